"""Training repeats its bits, learns, stops, and writes all or nothing."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file

import stages.train
from stages.train import target_ids, train, warn_of_tags
from tagger.corpus.conll import MAX_TOKENS
from tagger.corpus.tags import is_allowed, spans, tag_set, to_iob2, transitions
from tagger.files import InputError
from tagger.model.bilstm_crf import BiLSTMCRF
from tagger.model.checkpoint import WEIGHTS
from tests.conftest import Data, run_evaluate
from tests.factories import FULL, make_split

SMALL: dict[str, Any] = {
    "scheme": "BIOES",
    "finetune": True,
    "characters": "cnn",
    "filters": 8,
    "document": True,
    "crf": True,
    "hidden": 16,
    "layers": 1,
    "dropout": 0.25,
    "recurrent_dropout": 0.25,
    "learning_rate": 0.002,
    "decay": True,
    "batch_size": 32,
    "epochs": 2,
    "patience": 5,
    "clip": 5.0,
    "seed": 1,
    "threads": 1,
    "device": "auto",
}
CLASSROOM = {
    "scheme": "IOB2", "finetune": False, "characters": "none", "document": False,
    "crf": False, "decay": False,
}  # fmt: skip


def run_train(sample: Data, folder: Path, **changes: Any) -> tuple[Path, pd.DataFrame]:
    """Train little unless told otherwise; the folder of the model, and the curve."""
    values = SMALL | changes
    train(sample.embeddings, sample.index, folder / "model", folder / "curve.csv", **values)
    return folder / "model", pd.read_csv(folder / "curve.csv")


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.parametrize("options", [{}, CLASSROOM], ids=["full", "classroom"])
def test_the_same_seed_gives_the_same_bytes_on_any_threads_and_another_others(
    sample: Data, tmp_path: Path, options: dict[str, Any]
) -> None:
    for name, seed, threads in (("one", 1, 1), ("again", 1, 2), ("other", 2, 1)):
        run_train(sample, tmp_path / name, seed=seed, threads=threads, **options)
    one, again, other = (contents(tmp_path / name) for name in ("one", "again", "other"))
    assert one == again
    files = ("config.json", "weights.safetensors", "train_tokens.txt", "characters.txt")
    assert set(one) == {"curve.csv", *(f"model/{file}" for file in files)}
    assert one["model/weights.safetensors"] != other["model/weights.safetensors"]


@pytest.mark.slow
def test_it_learns_and_keeps_the_best_epoch(sample: Data, tmp_path: Path) -> None:
    model, curve = run_train(sample, tmp_path, hidden=32, epochs=40, learning_rate=0.02, patience=4)
    assert list(curve.columns) == ["epoch", "train_loss", "validation_loss", "validation_f1"]
    assert curve["epoch"].tolist() == list(range(1, len(curve) + 1))
    assert 0.8 < curve["validation_f1"].max() < 1, "the sample can be learned, and is not easy"
    best = int(curve["validation_f1"].argmax())
    assert len(curve) == best + 1 + 4 < 40, "it stops after 4 epochs that are no better"
    scores = run_evaluate(sample, model, tmp_path / "curve.csv", tmp_path)
    assert scores["validation"]["f1"] == pytest.approx(curve["validation_f1"][best], abs=5.1e-5)


@pytest.mark.slow
def test_every_parameter_shapes_training(sample: Data, tmp_path: Path) -> None:
    """All but those that must not: the number of threads, and how long to go on."""
    changes: dict[str, Any] = {
        "scheme": "IOB2", "finetune": False, "characters": "none", "filters": 9,
        "document": False, "crf": False, "decay": False, "hidden": 17, "layers": 2,
        "dropout": 0.0, "recurrent_dropout": 0.0, "learning_rate": 0.003, "batch_size": 1000,
        "clip": 0.0001, "seed": 2,
    }  # fmt: skip
    assert set(SMALL) - set(changes) == {"epochs", "patience", "threads", "device"}
    losses = {}
    for name, value in {**changes, "epochs": 1}.items():
        _, curve = run_train(sample, tmp_path / name, **{"epochs": 1, name: value})
        losses[name] = curve["validation_loss"][0]
    assert len(set(losses.values())) == len(losses), "each gives another model"


def test_train_reads_nothing_of_test(sample: Data, tmp_path: Path) -> None:
    for path in sample.index.iterdir():
        if path.stem != "test":
            (tmp_path / "index").mkdir(exist_ok=True)
            (tmp_path / "index" / path.name).write_bytes(path.read_bytes())
    train(sample.embeddings, tmp_path / "index", tmp_path / "m", tmp_path / "c.csv", **SMALL)
    assert (tmp_path / "m").is_dir()


def test_trained_vectors_are_of_tokens_of_train_alone(sample: Data, tmp_path: Path) -> None:
    model, _ = run_train(sample, tmp_path)
    vectors = load_file(model / WEIGHTS)["train_tokens.weight"]
    assert not vectors[0].any(), "a token that train has not keeps its word's vector"
    assert vectors[1:].any(dim=1).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_trains_and_repeats_its_bits(sample: Data, tmp_path: Path) -> None:
    for name in ("one", "again"):
        run_train(sample, tmp_path / name, device="cuda", threads=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "again")


def test_a_loss_that_is_not_finite_names_the_learning_rate(sample: Data, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"params.yaml: learning_rate: with 1e\+37 the loss is"):
        run_train(sample, tmp_path, learning_rate=1e37, epochs=9)
    assert list(tmp_path.iterdir()) == []


def test_a_device_that_is_not_there_is_refused_and_auto_does_without(
    sample: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(InputError, match=r"device: 'cuda', but torch finds no GPU"):
        run_train(sample, tmp_path, device="cuda")
    run_train(sample, tmp_path, device="auto", epochs=1)


def test_interrupted_it_leaves_nothing(
    sample: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    for place in ("f1_score", "atomic_output"):
        with monkeypatch.context() as patch:
            patch.setattr(stages.train, place, interrupt)
            with pytest.raises(KeyboardInterrupt):
                run_train(sample, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(pd.DataFrame, "to_csv", interrupt)  # the model is written by then
        with pytest.raises(KeyboardInterrupt):
            run_train(sample, tmp_path)
    assert list(tmp_path.iterdir()) == []


@given(
    st.lists(st.lists(st.sampled_from(["O", *tag_set(["A", "B"])]), min_size=1), min_size=1),
    st.sampled_from(["IOB2", "BIOES"]),
)
def test_targets_mark_the_entities_of_types_that_the_tagger_knows(
    drawn: list[list[str]], scheme: str
) -> None:
    gold = [to_iob2(tags) for tags in drawn]
    iob2, tags = tag_set(["A", "B"]), tag_set(["B"], scheme)
    flat = np.array([iob2.index(tag) for sentence in gold for tag in sentence], dtype=np.int32)
    split = replace(make_split([len(sentence) for sentence in gold]), tags=flat)
    found = split.by_sentence(target_ids(split, iob2, tags, scheme), tags)
    for sentence, expected in zip(found, gold, strict=True):
        assert spans(sentence) == [span for span in spans(expected) if span.type == "B"]
        assert all(is_allowed(*pair, scheme) for pair in transitions(sentence))


def test_a_sentence_that_is_cut_within_an_entity_has_targets_that_are_allowed() -> None:
    iob2 = tag_set(["A"])
    entity = ["B-A", *["I-A"] * MAX_TOKENS]
    tags = np.array([iob2.index(tag) for tag in entity], dtype=np.int32)
    split = replace(make_split([len(entity)]), tags=tags)
    bioes = tag_set(["A"], "BIOES")
    first, second = split.by_sentence(target_ids(split, iob2, bioes, "BIOES"), bioes)
    assert (first[0], first[-1], second) == ("B-A", "E-A", ["S-A"])


def test_many_tags_come_with_a_warning_of_their_time() -> None:
    tags = tag_set([f"T{i}" for i in range(40)], "BIOES")
    split = make_split([4, 3, 5])
    targets = np.zeros(12, dtype=np.int64)
    for crf, expected in ((True, "add about 0 s to each epoch"), (False, "finding the best tags")):
        network = BiLSTMCRF(torch.zeros(12, 3), replace(FULL, tags=tuple(tags), crf=crf))
        warning = warn_of_tags(network, split, targets, 2)
        assert warning.startswith("warning: 161 tags of 40 types; ")
        assert expected in warning
