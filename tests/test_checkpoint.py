"""A tagger is rebuilt from its folder and its word vectors, and from no others."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tagger.encoding.encoder import CHARACTERS, TRAIN_TOKENS
from tagger.encoding.vocabulary import VECTORS, WORDS, read_vectors
from tagger.files import InputError, write_lines
from tagger.model.bilstm_crf import BiLSTMCRF
from tagger.model.checkpoint import WEIGHTS, hash_embeddings, load_checkpoint, save_checkpoint
from tagger.model.configuration import TaggerConfiguration
from tagger.model.threads import configure_threads
from tagger.predict import CONFIG
from tests import factories
from tests.factories import CLASSROOM, ENCODER, FULL, TOKENS, each_model

SENTENCES = [TOKENS[:7], TOKENS[7:9], TOKENS[9:20]]
DOCUMENTS = [3, 3, 4]


@pytest.fixture
def embeddings(tmp_path: Path) -> Path:
    """A folder of word vectors for the words of the factory's encoder."""
    folder = tmp_path / "embeddings"
    folder.mkdir()
    write_lines(folder / WORDS, factories.WORDS)
    table = np.random.default_rng(0).random((len(factories.WORDS), 6), dtype=np.float32)
    np.save(folder / VECTORS, table)
    return folder


def write_model(folder: Path, embeddings: Path, configuration: TaggerConfiguration) -> None:
    """Write a tagger with random weights, the same ones each time."""
    torch.manual_seed(0)
    model = BiLSTMCRF(torch.from_numpy(read_vectors(embeddings)), configuration)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    save_checkpoint(folder, ENCODER, model, 1.25, hash_embeddings(embeddings))


@each_model
def test_a_saved_tagger_is_the_same(
    configuration: TaggerConfiguration, embeddings: Path, tmp_path: Path
) -> None:
    for name in ("one", "another"):
        write_model(tmp_path / name, embeddings, configuration)
    for file in (tmp_path / "one").iterdir():
        assert file.read_bytes() == (tmp_path / "another" / file.name).read_bytes()
    predictor = load_checkpoint(tmp_path / "one", embeddings)
    assert predictor.configuration == configuration
    assert predictor.temperature == 1.25
    found = predictor.predict(SENTENCES, DOCUMENTS)
    again = load_checkpoint(tmp_path / "another", embeddings)
    assert found == again.predict(SENTENCES, DOCUMENTS)
    assert found == again.predict(SENTENCES, DOCUMENTS, configure_threads(2))
    assert again.predict([], []) == []
    assert any(found)
    for entities, tokens in zip(found, SENTENCES, strict=True):
        for span, probability in entities:
            assert 0 <= span.start < span.end <= len(tokens)
            assert span.type in ("PER", "LOC")
            assert 0 < probability <= 1


@pytest.mark.parametrize("name", [WORDS, VECTORS])
def test_other_vectors_of_the_same_shape_are_refused(
    name: str, embeddings: Path, tmp_path: Path
) -> None:
    write_model(tmp_path / "model", embeddings, FULL)
    if name == WORDS:
        write_lines(embeddings / WORDS, factories.WORDS[::-1])
    else:
        np.save(embeddings / VECTORS, np.load(embeddings / VECTORS)[::-1])
    with pytest.raises(
        InputError, match=rf"{name} has the SHA-256 \w{{64}}, but .*{CONFIG} says .* \w{{64}}\. Use"
    ):
        load_checkpoint(tmp_path / "model", embeddings)


def test_the_configuration_can_be_read(embeddings: Path, tmp_path: Path) -> None:
    write_model(tmp_path / "model", embeddings, CLASSROOM)
    content = json.loads((tmp_path / "model" / CONFIG).read_text())
    found = content["tagger"]
    assert found["tags"] == list(CLASSROOM.tags)
    assert (found["hidden"], found["crf"], found["character_count"]) == (5, False, 0)
    assert set(content["embeddings"]) == {WORDS, VECTORS}


@pytest.mark.parametrize("change", ["embeddings", "tagger", "temperature", "hidden", "surplus"])
def test_a_configuration_of_another_version_is_named(
    change: str, embeddings: Path, tmp_path: Path
) -> None:
    write_model(tmp_path / "model", embeddings, CLASSROOM)
    path = tmp_path / "model" / CONFIG
    content = json.loads(path.read_text())
    if change == "surplus":
        content["tagger"]["surplus"] = 1
    else:
        (content["tagger"] if change == "hidden" else content).pop(change)
    path.write_text(json.dumps(content))
    with pytest.raises(InputError, match=rf"{CONFIG} is damaged, or of another .*{change}.* again"):
        load_checkpoint(tmp_path / "model", embeddings)


@pytest.mark.parametrize("name", [WEIGHTS, TRAIN_TOKENS, CHARACTERS])
def test_damaged_files_of_a_tagger_are_named(name: str, embeddings: Path, tmp_path: Path) -> None:
    write_model(tmp_path / "model", embeddings, FULL)
    path = tmp_path / "model" / name
    data = path.read_bytes()
    path.write_bytes(data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])
    with pytest.raises(InputError, match=rf"{name} has the SHA-256 .*{CONFIG} says .* is damaged"):
        load_checkpoint(tmp_path / "model", embeddings)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"tagger": 1}', "\udcff"])
def test_what_is_no_configuration_is_named(text: str, embeddings: Path, tmp_path: Path) -> None:
    write_model(tmp_path / "model", embeddings, FULL)
    (tmp_path / "model" / CONFIG).write_text(text, encoding="utf-8", errors="surrogateescape")
    with pytest.raises(InputError, match=rf"{CONFIG} is damaged, or of another version \(.*again$"):
        load_checkpoint(tmp_path / "model", embeddings)
