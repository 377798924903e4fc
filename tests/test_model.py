"""A sentence's tags are its own: neither padding nor the rest of the batch changes them."""

import json
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tagger.model import CONFIG, Tagger
from tagger.split import Batch, Split
from tagger.stage import InputError
from tagger.tags import is_allowed, tag_set, transitions

TAGS = tag_set(["PER", "LOC"])
WORDS, DIMENSION = 30, 6


def make_tagger(layers: int = 2, seed: int = 0) -> Tagger:
    torch.manual_seed(seed)
    vectors = torch.randn(WORDS + 2, DIMENSION)
    tagger = Tagger(vectors, TAGS, hidden=5, layers=layers, dropout=0.5)
    for parameter in tagger.parameters():  # large weights, so that tags differ
        parameter.data.mul_(3)
    return tagger.eval()


def make_split(lengths: list[int], seed: int = 0) -> Split:
    generator = torch.Generator().manual_seed(seed)
    tokens = sum(lengths)
    return Split(
        words=torch.randint(WORDS + 1, (tokens,), generator=generator, dtype=torch.int32),
        tags=torch.randint(len(TAGS), (tokens,), generator=generator, dtype=torch.int32),
        offsets=torch.tensor([0, *lengths]).cumsum(0),
        documents=torch.zeros(len(lengths), dtype=torch.int32),
    )


@settings(max_examples=25)
@given(st.lists(st.integers(1, 12), min_size=1, max_size=9), st.integers(1, 5), st.integers(0, 99))
def test_a_sentence_alone_and_in_any_batch_gets_the_same_tags(
    lengths: list[int], size: int, seed: int
) -> None:
    tagger, split = make_tagger(), make_split(lengths, seed)
    alone, loss_alone = tagger.tag(split, batch_size=1)
    together, loss_together = tagger.tag(split, batch_size=size)
    assert torch.equal(alone, together)
    assert loss_alone == pytest.approx(loss_together, rel=1e-5)
    for tags in split.sentences(alone, TAGS):
        assert all(is_allowed(left, right, "IOB2") for left, right in transitions(tags))


def padded(batch: Batch, by: int, padding: int) -> Batch:
    """The same batch with more padding."""

    def pad(tensor: torch.Tensor, value: int) -> torch.Tensor:
        return torch.nn.functional.pad(tensor, (0, by), value=value)

    mask = pad(batch.mask, 0)
    return Batch(
        pad(batch.words, padding), pad(batch.tags, -1), batch.lengths, mask, batch.positions
    )


def test_padding_changes_neither_loss_nor_gradient() -> None:
    tagger, split = make_tagger(), make_split([4, 2, 7])
    batch = split.batch(torch.tensor([0, 1, 2]), tagger.padding)
    results = []
    for some in (batch, padded(batch, 5, tagger.padding)):
        tagger.zero_grad(set_to_none=True)
        emissions = tagger(some)
        loss = tagger.loss(emissions, some.tags[:, : emissions.shape[1]])
        loss.backward()  # type: ignore[no-untyped-call]
        results.append((loss.detach(), [p.grad for p in tagger.parameters()]))
    torch.testing.assert_close(results[0], results[1])


def test_emissions_are_log_probabilities_and_the_loss_their_mean_over_tokens() -> None:
    tagger, split = make_tagger(), make_split([3, 5])
    batch = split.batch(torch.tensor([0, 1]), tagger.padding)
    emissions = tagger(batch)
    assert emissions.shape == (2, 5, len(TAGS))
    torch.testing.assert_close(emissions.exp().sum(-1), torch.ones(2, 5))
    expected = -sum(
        emissions[row, t, tag]
        for row in range(2)
        for t, tag in enumerate(batch.tags[row].tolist())
        if tag >= 0
    ) / len(batch.positions)
    torch.testing.assert_close(tagger.loss(emissions, batch.tags), torch.as_tensor(expected))


def test_vectors_are_frozen_and_not_stored() -> None:
    tagger = make_tagger()
    assert "vectors" not in tagger.state_dict()
    assert not tagger.vectors.requires_grad


def test_a_saved_model_is_rebuilt_from_its_folder_alone(tmp_path: Path) -> None:
    tagger, split = make_tagger(layers=2), make_split([4, 9])
    for name in ("one", "another"):
        tagger.save(tmp_path / name)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "another" / file.name).read_bytes()
    again = Tagger.load(tmp_path / "one", tagger.vectors)
    assert torch.equal(again.tag(split)[0], tagger.tag(split)[0])
    config = json.loads((tmp_path / "one" / CONFIG).read_text())
    assert config["tags"] == TAGS
    assert config["hidden"] == 5


def test_other_vectors_are_refused(tmp_path: Path) -> None:
    make_tagger().save(tmp_path / "model")
    with pytest.raises(InputError, match=r"config.json: .* 30 vectors of 6 dimensions, not 9 of 6"):
        Tagger.load(tmp_path / "model", torch.zeros(11, DIMENSION))
