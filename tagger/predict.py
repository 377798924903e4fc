"""The predictor: a trained tagger in a folder, ready for tokens.

The folder holds the configuration, the weights, and the tokens and characters of train. The word
vectors stay in a folder of their own; the configuration has their SHA-256.
"""

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save

from tagger.corpus.tags import to_iob2
from tagger.encoding.encoder import Encoder
from tagger.encoding.vocabulary import VECTORS, WORDS, read_vectors
from tagger.files import InputError
from tagger.model.configuration import TaggerConfiguration
from tagger.model.tagger import Tagger

CONFIG, WEIGHTS = "config.json", "weights.safetensors"


@dataclass(frozen=True)
class Predictor:
    """A tagger, and the encoder that turns tokens into what it reads."""

    encoder: Encoder
    tagger: Tagger

    def save(self, folder: Path, embeddings: Path) -> None:
        """Write the predictor to a new folder.

        Args:
            folder: where to write
            embeddings: the folder of the word vectors that the tagger was trained with
        """
        folder.mkdir()
        self.encoder.save(folder)
        configuration = asdict(self.tagger.configuration)
        content = {**configuration, "embeddings": {n: sha256(embeddings / n) for n in FILES}}
        text = json.dumps(content, indent=2, sort_keys=True)
        (folder / CONFIG).write_text(f"{text}\n", encoding="utf-8")
        (folder / WEIGHTS).write_bytes(save(self.tagger.state_dict()))

    @classmethod
    def load(cls, folder: Path, embeddings: Path) -> "Predictor":
        """The predictor in a folder, on the CPU.

        Args:
            folder: where it was written
            embeddings: the folder of the word vectors that the tagger was trained with

        Raises:
            InputError: the word vectors are others than those that the tagger was trained with.
        """
        content = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        for name, expected in content.pop("embeddings").items():
            found = sha256(embeddings / name)
            if found != expected:
                raise InputError(
                    f"{embeddings / name} has the SHA-256 {found}, but {folder / CONFIG} says that "
                    f"the tagger was trained with {expected}. Use the vectors that it was trained "
                    "with, or train it again"
                )
        configuration = TaggerConfiguration(**content | {"tags": tuple(content["tags"])})
        tagger = Tagger(torch.from_numpy(read_vectors(embeddings)), configuration)
        tagger.load_state_dict(load_file(folder / WEIGHTS))
        return cls(Encoder.load(folder, embeddings), tagger.eval())

    def predict(
        self,
        sentences: Sequence[Sequence[str]],
        documents: Sequence[int],
        executor: Executor | None = None,
    ) -> list[list[str]]:
        """The tags of sentences in IOB2, by sentence.

        Args:
            sentences: the tokens of each; documents must be whole, since the tagger reads them
            documents: the number of each sentence's document
            executor: of `configure_threads`, to tag several batches at a time
        """
        split = self.encoder.encode(sentences, documents)
        tag_ids, _ = self.tagger.tag(split, executor=executor)
        tags = self.tagger.configuration.tags
        return [to_iob2(sentence) for sentence in split.by_sentence(tag_ids, tags)]


FILES = (WORDS, VECTORS)  # of the word vectors


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
