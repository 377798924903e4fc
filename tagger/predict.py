"""The predictor: a trained tagger in a folder, ready for tokens.

The folder holds the configuration, the weights, and the tokens and characters of train. The word
vectors stay in a folder of their own. The configuration has the SHA-256 of all these files.
"""

import json
from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import load_file, save

from tagger.corpus.tags import to_iob2
from tagger.encoding.encoder import CHARACTERS, TRAIN_TOKENS, Encoder
from tagger.encoding.vocabulary import VECTORS, WORDS, read_vectors
from tagger.files import check_hashes, hash_files, reading
from tagger.model.configuration import TaggerConfiguration
from tagger.model.tagger import Tagger

CONFIG, WEIGHTS = "config.json", "weights.safetensors"
EMBEDDINGS = (WORDS, VECTORS)
FILES = (WEIGHTS, TRAIN_TOKENS, CHARACTERS)  # beside the configuration


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
        (folder / WEIGHTS).write_bytes(save(self.tagger.state_dict()))
        content = {
            "tagger": asdict(self.tagger.configuration),
            "embeddings": self.embeddings,
            "files": hash_files(folder, FILES),
        }
        text = json.dumps(content, indent=2, sort_keys=True)
        (folder / CONFIG).write_text(f"{text}\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, embeddings: Path) -> "Predictor":
        """The predictor in a folder, on the CPU.

        Args:
            folder: where it was written
            embeddings: the folder of the word vectors that the tagger was trained with

        Raises:
            InputError: a file of the folder is damaged or of another version, or the word vectors
                are others than those that the tagger was trained with.
        """
        record = folder / CONFIG
        with reading(record):
            content = json.loads(record.read_text(encoding="utf-8"))
            fields = content["tagger"]
            configuration = TaggerConfiguration(**fields | {"tags": tuple(fields["tags"])})
            trained_with = {name: str(content["embeddings"][name]) for name in EMBEDDINGS}
            files = {name: str(content["files"][name]) for name in FILES}
        check_hashes(folder, files, record, "It is damaged: get or train the tagger again")
        check_hashes(
            embeddings, trained_with, record,
            "Use the vectors that the tagger was trained with, or train it again",
        )  # fmt: skip
        vectors = torch.from_numpy(read_vectors(embeddings))
        with reading(record):  # all else is as it was saved
            tagger = Tagger(vectors, configuration)
            tagger.load_state_dict(load_file(folder / WEIGHTS))
        return cls(Encoder.load(folder, embeddings), tagger.eval(), trained_with)

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
    return hash_files(folder, EMBEDDINGS)
