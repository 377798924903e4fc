"""What the stage `train` leaves in a folder: a tagger without its word vectors.

The folder holds the configuration, the weights, and the tokens and characters of train. The
configuration has the temperature, and the SHA-256 of all other files and of the word vectors, which
stay in a folder of their own.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save

from tagger.encoding.encoder import CHARACTERS, TRAIN_TOKENS, Encoder
from tagger.encoding.split import Batch
from tagger.encoding.vocabulary import VECTORS, WORDS, read_vectors
from tagger.files import check_hashes, hash_files, reading
from tagger.model.bilstm_crf import BiLSTMCRF
from tagger.model.configuration import TaggerConfiguration
from tagger.model.decoder import Decoder
from tagger.predict import CONFIG, Predictor, read_configuration, write_configuration

WEIGHTS = "weights.safetensors"
FILES = (WEIGHTS, TRAIN_TOKENS, CHARACTERS)  # beside the configuration
EMBEDDINGS = (WORDS, VECTORS)


def save_checkpoint(
    folder: Path,
    encoder: Encoder,
    model: BiLSTMCRF,
    temperature: float,
    embeddings: Mapping[str, str],
) -> None:
    """Write a trained model to a new folder.

    Args:
        folder: the folder
        encoder: that of the model
        model: on the CPU
        temperature: what scores are divided by, so that probabilities are calibrated
        embeddings: the SHA-256 of each file of the word vectors, see `hash_embeddings`
    """
    folder.mkdir()
    encoder.save(folder)
    (folder / WEIGHTS).write_bytes(save(model.state_dict()))
    content = {
        "tagger": asdict(model.configuration),
        "temperature": temperature,
        "embeddings": dict(embeddings),
        "files": hash_files(folder, FILES),
    }
    write_configuration(folder / CONFIG, content)


def load_checkpoint(folder: Path, embeddings: Path) -> Predictor:
    """The predictor in a folder that `save_checkpoint` wrote, on the CPU.

    Args:
        folder: where it was written
        embeddings: the folder of the word vectors that the model was trained with

    Raises:
        InputError: a file of the folder is damaged or of another version, or the word vectors
            are others than those that the model was trained with.
    """
    record = folder / CONFIG
    content, configuration = read_configuration(record)
    with reading(record):
        trained_with = {name: str(content["embeddings"][name]) for name in EMBEDDINGS}
        files = {name: str(content["files"][name]) for name in FILES}
        temperature = float(content["temperature"])
    check_hashes(folder, files, record, "It is damaged: get or train the tagger again")
    check_hashes(
        embeddings, trained_with, record,
        "Use the vectors that the tagger was trained with, or train it again",
    )  # fmt: skip
    vectors = read_vectors(embeddings)
    model = load_model(folder / WEIGHTS, vectors, configuration)
    encoder = Encoder.load(folder, embeddings)
    return Predictor(encoder, vectors, configuration, model, decoder_of(model), temperature)


def load_model(path: Path, vectors: np.ndarray, configuration: TaggerConfiguration) -> BiLSTMCRF:
    """The model whose weights a safetensors file has, for tagging, and not for training.

    Args:
        path: the file; word vectors in it are left out
        vectors: by word id, [words + 2, dimension] float32 or float16
        configuration: of the model

    Raises:
        InputError: the file is damaged, or does not fit the configuration.
    """
    with reading(path):
        model = BiLSTMCRF(torch.from_numpy(vectors.astype(np.float32, copy=False)), configuration)
        weights = load_file(path)
        weights.pop("vectors", None)
        model.load_state_dict(weights)
    return model.eval()


@dataclass(frozen=True)
class OneThread:
    """A model that scores on one of PyTorch's threads, for several of ours side by side."""

    model: BiLSTMCRF

    def score(self, batch: Batch) -> np.ndarray:
        """The emissions, [tokens, tags] float32."""
        torch.set_num_threads(1)  # of the thread that calls
        return self.model.score(batch)


def decoder_of(model: BiLSTMCRF) -> Decoder:
    """The decoder with the transitions of a model."""
    crf = model.crf
    scores = (p.detach().numpy().copy() for p in (crf.transitions, crf.starts, crf.ends))
    configuration = model.configuration
    return Decoder(configuration.tags, configuration.scheme, *scores)


def hash_embeddings(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file of word vectors, in hexadecimal digits, by the file's name."""
    return hash_files(folder, EMBEDDINGS)
