"""A sentence's tags are its own, whatever it is batched with; each part does what it says."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

import stages.train
from stages.train import validate
from tagger.corpus.tags import is_allowed, transitions
from tagger.encoding.context import Context
from tagger.encoding.split import Batch, ContextFeatures, Split
from tagger.encoding.vocabulary import LONGEST
from tagger.model.bilstm_crf import CHARACTER_SIZE, KERNEL, BiLSTMCRF
from tagger.model.configuration import TaggerConfiguration
from tagger.model.threads import configure_threads
from tests.factories import CLASSROOM, ENCODER, FULL, WORDS, each_model, make_split

DIMENSION = 6


def make_tagger(configuration: TaggerConfiguration) -> BiLSTMCRF:
    """A tagger with random weights, large and none of them zero, so that every part shows."""
    torch.manual_seed(0)
    tagger = BiLSTMCRF(torch.randn(len(WORDS) + 2, DIMENSION), configuration)
    for parameter in tagger.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.3).mul_(2)
    return tagger.eval()


def batch_of(tagger: BiLSTMCRF, split: Split) -> Batch:
    """All sentences of a split, in its order."""
    return split.batch(np.arange(len(split)), context_of(tagger, split))


def context_of(tagger: BiLSTMCRF, split: Split) -> ContextFeatures | None:
    if not tagger.configuration.document:
        return None
    return Context.of(split, tagger.vectors.numpy()).features


@each_model
@settings(max_examples=15)
@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=9),
    size=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_a_sentence_alone_and_in_any_batch_gets_the_same_tags(
    configuration: TaggerConfiguration, lengths: list[int], size: int, seed: int
) -> None:
    tagger, split = make_tagger(configuration), make_split(lengths, seed)
    gold = np.zeros(sum(lengths), dtype=np.int64)
    context = context_of(tagger, split)
    alone, loss_alone = validate(tagger, split, context, gold, None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stages.train, "VALIDATION_BATCH", size)
        together, loss_together = validate(tagger, split, context, gold, None)
    assert np.array_equal(alone, together)
    assert loss_alone == pytest.approx(loss_together, rel=1e-4)
    for tags in split.by_sentence(alone, configuration.tags):
        pairs = transitions(tags)
        assert all(is_allowed(left, right, configuration.scheme) for left, right in pairs)


@pytest.mark.parametrize(
    ("without", "inputs"),
    [
        (None, ()),
        ("train_token_count", ("train_tokens",)),
        ("character_count", ("characters",)),
        ("document", ("casing_in_document", "mention_ids")),
    ],
)
def test_each_input_has_an_effect_that_goes_with_it(
    without: str | None, inputs: tuple[str, ...]
) -> None:
    changes: dict[str, Any] = {without: 0} if without else {}
    configuration = replace(FULL, **changes)
    tagger, split = make_tagger(configuration), make_split([4, 7])
    emissions = tagger(batch_of(tagger, split))
    changed_inputs = {
        "train_tokens": (split.train_tokens + 1) % 9,
        "characters": (split.characters + 1) % len(ENCODER.characters),
        "casing_in_document": ~split.casing_in_document,
        "mention_ids": np.where(split.mention_ids == split.mention_ids.max(), 0, split.mention_ids),
    }
    for name, changed in changed_inputs.items():
        other = tagger(batch_of(tagger, replace(split, **{name: changed})))
        assert torch.equal(emissions, other) == (name in inputs), name


def test_the_width_of_the_padding_of_characters_changes_nothing() -> None:
    tagger, split = make_tagger(FULL), make_split([4, 7])
    wide = replace(split, characters=np.pad(split.characters, ((0, 0), (0, 9))))
    assert wide.characters.shape[1] == LONGEST + 9
    torch.testing.assert_close(tagger(batch_of(tagger, split)), tagger(batch_of(tagger, wide)))


def test_characters_are_read_as_by_a_convolution() -> None:
    tagger, split = make_tagger(FULL), make_split([9])
    assert tagger.characters is not None
    width = tagger.filters.out_features
    with torch.no_grad():
        weights = tagger.filters.weight.view(width, KERNEL, CHARACTER_SIZE).transpose(1, 2)
        expected = []
        for ids in split.characters:
            word = tagger.characters.weight[[0, *ids[ids > 0].tolist(), 0]].T
            filtered = F.conv1d(word, weights, tagger.filters.bias)
            expected.append(filtered.amax(dim=1))
        found = tagger.character_features(torch.from_numpy(split.characters))
    torch.testing.assert_close(found, torch.stack(expected))


def test_dropout_drops_a_value_from_all_of_a_sentence_and_scales_the_rest() -> None:
    tagger = make_tagger(replace(FULL, dropout=0.25))
    layout = batch_of(tagger, make_split([400, 300])).layout
    states = torch.ones(700, 5000)
    assert torch.equal(tagger.drop(states, layout), states), "not when it tags"
    dropped = tagger.train().drop(states, layout)
    for sentence in dropped.split([400, 300]):
        assert (sentence == sentence[0]).all()
        assert set(sentence[0].tolist()) == {0.0, torch.tensor(1 / 0.75).item()}
        assert sentence[0].mean().item() == pytest.approx(1, abs=0.05)
    assert not torch.equal(dropped[0], dropped[-1]), "each sentence has its own"


def test_two_threads_tag_and_train_with_the_bits_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages.train, "VALIDATION_BATCH", 2)
    tagger, split = make_tagger(FULL), make_split([5, 9, 2, 9, 30, 7])
    gold = np.zeros(62, dtype=np.int64)
    tags, losses, gradients = [], [], []
    for executor in (configure_threads(1), configure_threads(2)):
        found, loss = validate(tagger, split, context_of(tagger, split), gold, executor)
        tags.append(found)
        losses.append(loss)
        torch.manual_seed(0)
        batch = batch_of(tagger, split)
        tagger.train().zero_grad()
        emissions = tagger(batch, executor)
        tagger.loss(emissions, torch.from_numpy(gold), batch.layout).backward()
        gradients.append([p.grad for p in tagger.parameters()])
    assert np.array_equal(tags[0], tags[1])
    assert losses[0] == losses[1]
    for one, two in zip(*gradients, strict=True):
        assert one is not None
        assert two is not None
        assert torch.equal(one.to_dense(), two.to_dense())


@each_model
def test_the_loss_is_a_mean_over_tokens(configuration: TaggerConfiguration) -> None:
    tagger, split = make_tagger(configuration), make_split([3, 5])
    batch = batch_of(tagger, split)
    gold = torch.zeros(8, dtype=torch.int64)
    emissions = tagger(batch)
    if configuration.crf:
        expected = tagger.crf.loss(emissions, gold, batch.layout) / 8
    else:
        expected = -emissions.log_softmax(dim=1)[:, 0].mean()
    torch.testing.assert_close(tagger.loss(emissions, gold, batch.layout), expected)


def test_without_a_crf_transitions_are_constraints_alone() -> None:
    tagger = make_tagger(CLASSROOM)
    assert not any(parameter.requires_grad for parameter in tagger.crf.parameters())


@each_model
def test_every_trained_parameter_has_one_optimizer(configuration: TaggerConfiguration) -> None:
    tagger = make_tagger(configuration).train()
    batch = batch_of(tagger, make_split([5, 9]))
    gold = torch.zeros(14, dtype=torch.int64)
    tagger.loss(tagger(batch), gold, batch.layout).backward()
    dense, sparse = tagger.dense_parameters(), tagger.sparse_parameters()
    trained = [p for p in tagger.parameters() if p.requires_grad]
    assert sorted(map(id, (*dense, *sparse))) == sorted(map(id, trained))
    for parameters, is_sparse in ((dense, False), (sparse, True)):
        for parameter in parameters:
            assert parameter.grad is not None
            assert parameter.grad.is_sparse == is_sparse


def test_vectors_of_words_are_neither_trained_nor_stored() -> None:
    tagger = make_tagger(FULL)
    assert "vectors" not in tagger.state_dict()
    assert not tagger.vectors.requires_grad
