"""A sentence's tags are its own, whatever it is batched with; each part does what it says."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from tagger.corpus.tags import is_allowed, tag_set, transitions
from tagger.encoding.document import ELSEWHERE
from tagger.encoding.split import Batch, Split
from tagger.encoding.vocabulary import LONGEST
from tagger.files import InputError
from tagger.model.lstm import workers
from tagger.model.tagger import CHARACTER_SIZE, CONFIG, KERNEL, Tagger

WORDS, DIMENSION, FORMS, CHARACTERS = 30, 6, 20, 9
FULL: dict[str, Any] = {
    "scheme": "BIOES", "forms": FORMS, "characters": CHARACTERS, "filters": 7,
    "document": True, "crf": True, "hidden": 5, "layers": 2, "dropout": 0.5,
    "recurrent_dropout": 0.25,
}  # fmt: skip
CLASSROOM: dict[str, Any] = FULL | {
    "scheme": "IOB2", "forms": 0, "characters": 0, "document": False,
    "crf": False, "layers": 1,
}  # fmt: skip
each_model = pytest.mark.parametrize("options", [FULL, CLASSROOM], ids=["full", "classroom"])


def make_tagger(options: dict[str, Any]) -> Tagger:
    torch.manual_seed(0)
    vectors = torch.randn(WORDS + 2, DIMENSION)
    tagger = Tagger(vectors, tags=tag_set(["PER", "LOC"], options["scheme"]), **options)
    for parameter in tagger.parameters():  # large and none zero, so that everything shows
        parameter.data.add_(torch.randn_like(parameter) * 0.3).mul_(2)
    return tagger.eval()


def make_split(lengths: list[int], seed: int = 0) -> Split:
    generator = torch.Generator().manual_seed(seed)
    types, tokens = 25, sum(lengths)

    def some(high: int, *shape: int) -> torch.Tensor:
        return torch.randint(high, shape, generator=generator, dtype=torch.int32)

    characters = some(CHARACTERS, types, LONGEST) + 1
    sizes = some(LONGEST, types) + 1
    characters[torch.arange(LONGEST) >= sizes[:, None]] = 0
    return Split(
        types=some(types, tokens),
        words=some(WORDS + 1, types),
        forms=some(FORMS + 1, types),
        characters=characters,
        elsewhere=some(2, tokens, ELSEWHERE).bool(),
        names=some(4, tokens),
        tags=some(5, tokens),
        offsets=torch.tensor([0, *lengths]).cumsum(0),
        documents=torch.zeros(len(lengths), dtype=torch.int32),
    )


def batch_of(tagger: Tagger, split: Split) -> Batch:
    """All sentences of a split, in its order."""
    return split.batch(torch.arange(len(split)), tagger.context(split))


@each_model
@settings(max_examples=15)
@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=9),
    size=st.integers(1, 5),
    seed=st.integers(0, 99),
)
def test_a_sentence_alone_and_in_any_batch_gets_the_same_tags(
    options: dict[str, Any], lengths: list[int], size: int, seed: int
) -> None:
    tagger, split = make_tagger(options), make_split(lengths, seed)
    gold = torch.zeros(sum(lengths), dtype=torch.int64)
    alone, loss_alone = tagger.tag(split, gold, batch_size=1)
    together, loss_together = tagger.tag(split, gold, batch_size=size)
    assert torch.equal(alone, together)
    assert loss_alone == pytest.approx(loss_together, rel=1e-4)
    for tags in split.sentences(alone, tagger.tags):
        assert all(is_allowed(left, right, options["scheme"]) for left, right in transitions(tags))


@pytest.mark.parametrize("without", [None, "forms", "characters", "document"])
def test_each_input_has_an_effect_that_goes_with_it(without: str | None) -> None:
    options = FULL | ({without: 0} if without else {})
    tagger, split = make_tagger(options), make_split([4, 7])
    emissions = tagger(batch_of(tagger, split))
    for name in ("forms", "characters"):
        changed = dict(vars(split))
        changed[name] = (changed[name] + 1) % (CHARACTERS if name == "characters" else 9)
        other = tagger(batch_of(tagger, Split(**changed)))
        assert torch.equal(emissions, other) == (name == without)
    changed = vars(split) | {"elsewhere": ~split.elsewhere}
    other = tagger(batch_of(tagger, Split(**changed)))
    assert torch.equal(emissions, other) == (without == "document")


def test_the_width_of_the_padding_of_characters_changes_nothing() -> None:
    tagger, split = make_tagger(FULL), make_split([4, 7])
    wide = dict(vars(split))
    wide["characters"] = torch.nn.functional.pad(split.characters, (0, 9))
    torch.testing.assert_close(
        tagger(batch_of(tagger, split)), tagger(batch_of(tagger, Split(**wide)))
    )


def test_characters_are_read_as_by_a_convolution() -> None:
    tagger, split = make_tagger(FULL), make_split([9])
    assert tagger.characters is not None
    batch = batch_of(tagger, split)
    width = tagger.filters.out_features
    with torch.no_grad():
        weights = tagger.filters.weight.view(width, KERNEL, CHARACTER_SIZE).transpose(1, 2)
        expected = []
        for ids in split.characters[split.types.long()]:
            word = tagger.characters.weight[[0, *ids[ids > 0].tolist(), 0]].T
            filtered = F.conv1d(word, weights, tagger.filters.bias)
            expected.append(filtered.amax(dim=1))
        found = tagger.read_characters(batch)[batch.types]
    torch.testing.assert_close(found, torch.stack(expected))


def test_dropout_drops_a_value_from_all_of_a_sentence_and_scales_the_rest() -> None:
    tagger, split = make_tagger(FULL | {"dropout": 0.25}), make_split([400, 300])
    batch = batch_of(tagger, split)
    states = torch.ones(700, 5000)
    assert torch.equal(tagger.drop(states, batch), states), "not when it tags"
    dropped = tagger.train().drop(states, batch)
    for sentence in dropped.split([400, 300]):
        assert (sentence == sentence[0]).all()
        assert set(sentence[0].tolist()) == {0.0, torch.tensor(1 / 0.75).item()}
        assert sentence[0].mean().item() == pytest.approx(1, abs=0.05)
    assert not torch.equal(dropped[0], dropped[-1]), "each sentence has its own"


def test_two_threads_tag_and_train_with_the_bits_of_one() -> None:
    tagger, split = make_tagger(FULL), make_split([5, 9, 2, 9, 30, 7])
    gold = torch.zeros(62, dtype=torch.int64)
    tags, losses, gradients = [], [], []
    for executor in (workers(1), workers(2)):
        found, loss = tagger.tag(split, gold, batch_size=2, executor=executor)
        tags.append(found)
        losses.append(loss)
        torch.manual_seed(0)
        batch = batch_of(tagger, split)
        tagger.train().zero_grad()
        tagger.loss(tagger(batch, executor), gold, batch.packing).backward()
        gradients.append([p.grad for p in tagger.parameters()])
    assert torch.equal(*tags)
    assert losses[0] == losses[1]
    for one, two in zip(*gradients, strict=True):
        assert one is not None
        assert two is not None
        assert torch.equal(one.to_dense(), two.to_dense())


@each_model
def test_the_loss_is_a_mean_over_tokens(options: dict[str, Any]) -> None:
    tagger, split = make_tagger(options), make_split([3, 5])
    batch = batch_of(tagger, split)
    gold = torch.zeros(8, dtype=torch.int64)
    emissions = tagger(batch)
    if options["crf"]:
        expected = tagger.crf.loss(emissions, gold, batch.packing) / 8
    else:
        expected = -emissions.log_softmax(dim=1)[:, 0].mean()
    torch.testing.assert_close(tagger.loss(emissions, gold, batch.packing), expected)


def test_without_a_crf_transitions_are_constraints_alone() -> None:
    tagger = make_tagger(CLASSROOM)
    assert not any(parameter.requires_grad for parameter in tagger.crf.parameters())


def test_vectors_of_words_are_neither_trained_nor_stored() -> None:
    tagger = make_tagger(FULL)
    assert "vectors" not in tagger.state_dict()
    assert not tagger.vectors.requires_grad


@each_model
def test_a_saved_model_is_rebuilt_from_its_folder_alone(
    options: dict[str, Any], tmp_path: Path
) -> None:
    tagger, split = make_tagger(options), make_split([4, 9])
    for name in ("one", "another"):
        tagger.save(tmp_path / name)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "another" / file.name).read_bytes()
    again = Tagger.load(tmp_path / "one", tagger.vectors)
    assert torch.equal(again.tag(split)[0], tagger.tag(split)[0])
    config = json.loads((tmp_path / "one" / CONFIG).read_text())
    assert config["tags"] == tagger.tags
    assert config["hidden"] == 5


def test_other_vectors_are_refused(tmp_path: Path) -> None:
    make_tagger(FULL).save(tmp_path / "model")
    with pytest.raises(InputError, match=r"config.json: .* 30 vectors of 6 dimensions, not 9 of 6"):
        Tagger.load(tmp_path / "model", torch.zeros(11, DIMENSION))
