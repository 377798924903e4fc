"""The exported folder tags as the trained model does, and its card says how well."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from huggingface_hub import ModelCard
from safetensors.numpy import load_file

import stages.onnx_graph
from evaluation.results import read_predictions
from evaluation.scoring import score
from stages.export import export, halve
from tagger import Document, Tagger
from tagger.corpus.tags import Span, iob2
from tagger.encoding.vocabulary import read_vectors
from tagger.files import InputError, hash_files, read_lines
from tagger.model.checkpoint import load_checkpoint
from tests.conftest import ROOT, Data, run_evaluate
from tests.test_train import run_train

pytestmark = pytest.mark.slow

CORPORA, VECTORS = ROOT / "data/inputs/corpora", ROOT / "data/inputs/vectors"


@dataclass
class Trained:
    """A model that was trained for some seconds on the sample, and scored."""

    sample: Data
    folder: Path

    def export(
        self, output: Path, corpus: Path = CORPORA / "sample", vectors: Path = VECTORS / "sample"
    ) -> Path:
        export(
            corpus, vectors, self.sample.embeddings, self.sample.index, self.folder / "model",
            self.folder / "predictions", self.folder / "metrics.json",
            self.folder / "intervals.csv", output,
        )  # fmt: skip
        return output

    def metrics(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.folder / "metrics.json").read_text("utf-8"))
        return found


@pytest.fixture(scope="module")
def trained(sample: Data, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    run_train(sample, folder, epochs=5, learning_rate=0.02)
    run_evaluate(sample, folder / "model", folder / "curve.csv", folder)
    return Trained(sample, folder)


@pytest.fixture(scope="module")
def exported(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained.export(tmp_path_factory.mktemp("exported") / "tagger")


def test_the_folder_holds_what_its_configuration_says(exported: Path, trained: Trained) -> None:
    config = json.loads((exported / "config.json").read_text("utf-8"))
    model = json.loads((trained.folder / "model/config.json").read_text("utf-8"))
    assert {path.name for path in exported.iterdir()} == {
        *config["files"], "README.md", "config.json"
    }  # fmt: skip
    assert config["files"] == hash_files(exported, config["files"])
    for key in ("tagger", "temperature", "embeddings"):
        assert config[key] == model[key]
    for name in ("train_tokens.txt", "characters.txt"):
        assert (exported / name).read_bytes() == (trained.folder / "model" / name).read_bytes()


def test_words_keep_their_ids_and_the_unknown_word_its_vector(exported: Path, sample: Data) -> None:
    """A word's id is its rank for the context features; the unknown word's vector is a mean."""
    vectors = load_file(exported / "model.safetensors")["vectors"]
    assert vectors.dtype == np.float16
    np.testing.assert_allclose(vectors, read_vectors(sample.embeddings), rtol=1e-3, atol=1e-6)
    words = read_lines(exported / "words.txt")
    assert words == read_lines(sample.embeddings / "words.txt")
    assert len(vectors) == len(words) + 2


def test_the_same_model_gives_the_same_bytes(
    exported: Path, trained: Trained, tmp_path: Path
) -> None:
    again = trained.export(tmp_path / "again")
    for path in exported.iterdir():
        assert path.read_bytes() == (again / path.name).read_bytes(), path.name


def test_torch_finds_in_the_folder_what_the_trained_model_finds(
    exported: Path, trained: Trained, sample: Data
) -> None:
    known = read_predictions(trained.folder / "predictions/test.conll")
    before = load_checkpoint(trained.folder / "model", sample.embeddings)
    torch.set_num_threads(2)
    tagger = Tagger.load(exported, runtime="torch")
    list(tagger.tag(["Elena Price"]))
    assert torch.get_num_threads() == 1, "others would share its sums, and slow it"
    after = tagger.predictor
    spans, expected = (
        [[span for span, _ in sentence] for sentence in each.predict(known.tokens, known.documents)]
        for each in (after, before)
    )
    same = sum(a == b for a, b in zip(spans, expected, strict=True))
    assert same >= 0.98 * len(expected), "half precision changes a tag now and then"


@pytest.mark.parametrize("split", ["validation", "test"])
def test_the_scores_of_the_card_are_those_of_the_folder(
    exported: Path, trained: Trained, split: str
) -> None:
    """Scored again from documents of text with given tokens, as its users tag them."""
    known = read_predictions(trained.folder / f"predictions/{split}.conll")
    tagger = Tagger.load(exported)
    documents = []
    for number in sorted(set(known.documents)):
        sentences: list[list[tuple[int, int]]] = []
        text = ""
        for tokens, document in zip(known.tokens, known.documents, strict=True):
            if document == number:
                sentences.append([])
                for token in tokens:
                    sentences[-1].append((len(text), len(text) + len(token)))
                    text += f"{token} "
        documents.append(Document(text, sentences=sentences))
    predicted = []
    for document in tagger.tag(documents):
        for sentence in document.sentences or ():
            starts, ends = ({place[i]: n for n, place in enumerate(sentence)} for i in (0, 1))
            found = [e for e in document.entities if e.start in starts]
            spans = [Span(starts[e.start], ends[e.end] + 1, e.label) for e in found]
            predicted.append(iob2(spans, len(sentence)))
    expected = score(known.gold, predicted)
    card = ModelCard.load(exported / "README.md")
    results = {
        (each.dataset_split, each.metric_type): each.metric_value for each in card.data.eval_results
    }
    for metric in ("precision", "recall", "f1"):
        assert results[split, metric] == expected[metric]
    evaluated = trained.metrics()[split]
    assert expected["f1"] > 0.3, "a model that finds nothing would prove nothing"
    (row,) = [line for line in card.text.splitlines() if line.startswith(f"| {split} |")]
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert cells[3] == f"{expected['f1']:.4f}"
    assert cells[5] == f"{evaluated['f1']:.4f}"


def test_the_card_names_sources_and_limits(
    exported: Path, trained: Trained, tmp_path: Path
) -> None:
    card = ModelCard.load(exported / "README.md")
    assert (card.data.language, card.data.license) == ("en", "mit")
    assert "no use on real text" in card.text
    weakest = [line for line in card.text.splitlines() if line.startswith("| entities unseen")]
    assert len(weakest) == 1
    real = ModelCard.load(
        trained.export(tmp_path / "real", CORPORA / "conllpp", VECTORS / "glove-wiki-gigaword-50")
        / "README.md"
    )
    assert real.data.license == "other"
    assert "licensed for research" in real.text
    assert "They are GloVe's" in real.text
    assert "Licence: http://opendatacommons.org/licenses/pddl/" in real.text


@pytest.mark.parametrize("vectors", ["glove-of-mine", "fasttext-of-mine.vec", "sample-of-mine"])
def test_the_card_knows_no_sources_by_a_name_that_is_like_another(
    trained: Trained, tmp_path: Path, vectors: str
) -> None:
    corpus, source = tmp_path / "my|conllpp", tmp_path / vectors
    corpus.mkdir()
    source.touch() if source.suffix else source.mkdir()
    mine = ModelCard.load(trained.export(tmp_path / "mine", corpus, source) / "README.md")
    assert (mine.data.language, mine.data.license) == (None, None)
    assert mine.text.count("licence is not known here") == 2
    assert "gensim-data" not in mine.text


def test_the_card_has_the_licences_that_are_declared(trained: Trained, tmp_path: Path) -> None:
    for name, text in (
        ("corpus.yaml", "licence: CC BY 4.0\n"),
        ("vectors.yaml", "gensim: numberbatch\nlicence: CC BY-SA 4.0\n"),
    ):
        (tmp_path / name).write_text(text, encoding="utf-8")
    mine = ModelCard.load(trained.export(tmp_path / "mine", tmp_path, tmp_path) / "README.md")
    assert "Licence: CC BY 4.0\n" in mine.text
    assert "where they are called `numberbatch`. Licence: CC BY-SA 4.0\n" in mine.text
    assert "not known here" not in mine.text


def test_a_model_that_loses_by_integers_is_not_exported(
    trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def build_graph(configuration: Any, weights: Any, ranges: Any) -> bytes:
        swapped = weights | {"output.weight": weights["output.weight"][::-1]}
        return original(configuration, swapped, ranges)

    original = stages.onnx_graph.build_graph
    monkeypatch.setattr("stages.export.build_graph", build_graph)
    with pytest.raises(InputError, match="F1 on validation falls from 0") as error:
        trained.export(tmp_path / "tagger")
    assert "smaller learning_rate" in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_vectors_beyond_half_precision_are_refused(trained: Trained) -> None:
    vectors = np.array([[1, 2], [3, -70_000]], np.float32)
    with pytest.raises(InputError, match=r"vectors\.npy has the value 70000"):
        halve(vectors, Path("vectors.npy"))


def test_the_tokens_of_another_index_are_refused(trained: Trained, tmp_path: Path) -> None:
    index = tmp_path / "index"
    shutil.copytree(trained.sample.index, index)
    shutil.copy(index / "test.safetensors", index / "train.safetensors")
    other = Trained(Data(trained.sample.corpus, trained.sample.embeddings, index), trained.folder)
    with pytest.raises(InputError, match=r"train\.safetensors has the SHA-256"):
        other.export(tmp_path / "tagger")
    assert not (tmp_path / "tagger").exists()
