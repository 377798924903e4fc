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
EMBEDDINGS = (WORDS, VECTORS)


@dataclass(frozen=True)
class Predictor:
    """A tagger, and the encoder that turns tokens into what it reads.

    embeddings has the SHA-256 of each file of the word vectors, see `hash_embeddings`.
    """

    encoder: Encoder
    tagger: Tagger
    embeddings: dict[str, str]

    def save(self, folder: Path) -> None:
        """Write the predictor to a new folder."""
        folder.mkdir()
        self.encoder.save(folder)
        content = {"tagger": asdict(self.tagger.configuration), "embeddings": self.embeddings}
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
            InputError: the configuration is not one of this version, or the word vectors are others
                than those that the tagger was trained with.
        """
        content = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        try:
            trained_with = {name: content["embeddings"][name] for name in EMBEDDINGS}
            fields = content["tagger"]
            configuration = TaggerConfiguration(**fields | {"tags": tuple(fields["tags"])})
        except (KeyError, TypeError) as error:
            raise InputError(
                f"{folder / CONFIG} is not the configuration of a tagger of this version: {error}. "
                "Train the tagger again"
            ) from error
        hashes = hash_embeddings(embeddings)
        for name, expected in trained_with.items():
            if hashes[name] != expected:
                raise InputError(
                    f"{embeddings / name} has the SHA-256 {hashes[name]}, but {folder / CONFIG} "
                    f"says that the tagger was trained with {expected}. Use the vectors that it "
                    "was trained with, or train it again"
                )
        tagger = Tagger(torch.from_numpy(read_vectors(embeddings)), configuration)
        tagger.load_state_dict(load_file(folder / WEIGHTS))
        return cls(Encoder.load(folder, embeddings), tagger.eval(), hashes)

    def predict(
        self,
        sentences: Sequence[Sequence[str]],
        documents: Sequence[int],
        executor: Executor | None = None,
    ) -> list[list[str]]:
        """The tags of sentences in IOB2, by sentence.

        Args:
            sentences: the tokens of each, see `Encoder.encode`
            documents: the number of each sentence's document, see there
            executor: of `configure_threads`, to tag several batches at a time
        """
        if not sentences:
            return []
        split = self.encoder.encode(sentences, documents)
        tag_ids, _ = self.tagger.tag(split, executor=executor)
        tags = self.tagger.configuration.tags
        return [to_iob2(sentence) for sentence in split.by_sentence(tag_ids, tags)]


def hash_embeddings(folder: Path) -> dict[str, str]:
    """The SHA-256 of each file of word vectors, in hexadecimal digits, by the file's name."""
    hashes = {}
    for name in EMBEDDINGS:
        with (folder / name).open("rb") as file:
            hashes[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashes
