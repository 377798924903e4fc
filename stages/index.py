"""Stage 3: the corpus as arrays of ids.

Run as `python -m stages index data/corpus data/embeddings data/index`.

Writes tags.txt (the tag set of the corpus, a tag a line), the encoder (see
tagger/encoding/encoder.py), a safetensors file for each split (see tagger/encoding/split.py), and
index.json, which tells how many tokens have a word vector, and has the SHA-256 of the other files
and of the word vectors.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tagger.corpus.conll import SPLITS
from tagger.corpus.tags import names_of_tags
from tagger.encoding.encoder import Encoder
from tagger.encoding.split import TAGS
from tagger.encoding.vocabulary import VECTORS, WORDS
from tagger.files import InputError, atomic_output, hash_files, read_lines, reading, write_lines


def index(corpus: Path, embeddings: Path, output: Path) -> None:
    """Write the corpus as arrays, with an encoder that knows what train has.

    Raises:
        InputError: an input is damaged.
    """
    sources = {split: corpus / f"{split}.parquet" for split in SPLITS}
    train = Sentences.read(sources["train"])
    words = read_lines(embeddings / WORDS)
    with reading(embeddings / VECTORS):
        vectors = np.load(embeddings / VECTORS, mmap_mode="r")
    if len(vectors) != len(words):
        raise InputError(
            f"{embeddings / WORDS} has {len(words)} words, but {embeddings / VECTORS} has "
            f"{len(vectors)} vectors: one is damaged; delete both, and make them again"
        )
    encoder = Encoder.fit(words, [train.types])
    vocabulary = encoder.vocabulary
    summary: dict[str, object] = {
        "words": len(vocabulary.rows),
        "unknown": vocabulary.unknown,
        "padding": vocabulary.padding,
    }
    with atomic_output(output) as folder:
        folder.mkdir()
        encoder.save(folder)
        for split, path in sources.items():
            some = train if split == "train" else Sentences.read(path)
            encoded = encoder.encode_types(
                some.types, some.token_types, some.lengths, some.documents
            )
            replace(encoded, tags=some.tags).write(folder / f"{split}.safetensors")
            how_found = [vocabulary.look_up(type_).how for type_ in some.types]
            coverage = {
                "tokens": count(how_found, np.bincount(some.token_types)),
                "token_types": count(how_found, np.ones(len(some.types), dtype=np.int64)),
            }
            summary[split] = {
                "sentences": len(some.lengths),
                "tokens": len(some.token_types),
                "documents": len(np.unique(some.documents)),
                "coverage": coverage,
            }
            for what, found in coverage.items():
                counts = ", ".join(f"{n} {how}" for how, n in found.items())
                share = found["unknown"] / sum(found.values())
                print(f"{split}: {what.replace('_', ' ')}: {counts} ({share:.1%} unknown)")
        write_lines(folder / TAGS, train.tag_set)
        names = sorted(path.name for path in folder.iterdir())
        summary["files"] = hash_files(folder, names)
        summary["embeddings"] = hash_files(embeddings, (WORDS, VECTORS))
        text = json.dumps(summary, indent=2)
        (folder / "index.json").write_text(f"{text}\n", encoding="utf-8")


@dataclass(frozen=True)
class Sentences:
    """The sentences of a split of the corpus.

    They stay arrays from the file on: a corpus as Python's strings takes ten times the memory.

    types: the token types (distinct tokens), sorted
    token_types: the row in `types` of each token, [tokens] int32
    tags: the gold tag ids, [tokens] int32
    lengths: the number of tokens of each sentence, [sentences] int64
    documents: the number of each sentence's document, [sentences]
    tag_set: the tags by id
    """

    types: list[str]
    token_types: np.ndarray
    tags: np.ndarray
    lengths: np.ndarray
    documents: np.ndarray
    tag_set: list[str]

    @classmethod
    def read(cls, path: Path) -> "Sentences":
        """The split in a parquet file that the stage `download` wrote.

        Raises:
            InputError: the file is damaged, or a sentence has not as many tags as tokens.
        """
        with reading(path):
            table = pq.read_table(
                path,
                columns=["tokens", "ner_tags", "document"],
                page_checksum_verification=True,
            )
            tag_set = names_of_tags(table.schema.metadata, "ner_tags")
            if not tag_set:
                raise ValueError("the numbers of its tags have no names")
            lengths = pc.list_value_length(table["tokens"]).to_numpy().astype(np.int64)
            if not np.array_equal(lengths, pc.list_value_length(table["ner_tags"]).to_numpy()):
                raise ValueError("a sentence has not as many tags as tokens")
            tokens = pc.list_flatten(table["tokens"]).dictionary_encode().unify_dictionaries()
            found = tokens.chunk(0).dictionary.to_pylist()
            order = sorted(range(len(found)), key=found.__getitem__)
            rows = np.empty(len(found), dtype=np.int32)
            rows[order] = np.arange(len(found), dtype=np.int32)
            return cls(
                types=[found[i] for i in order],
                token_types=np.concatenate([rows[c.indices.to_numpy()] for c in tokens.chunks]),
                tags=pc.list_flatten(table["ner_tags"]).to_numpy().astype(np.int32),
                lengths=lengths,
                documents=table["document"].to_numpy(),
                tag_set=tag_set,
            )


def count(how_found: Sequence[str], numbers: np.ndarray) -> dict[str, int]:
    """The number of tokens that were found in each way, see `Match`.

    Args:
        how_found: by token type
        numbers: of the tokens of each type
    """
    ways = ("exact", "lower", "unknown")
    kinds = np.array([ways.index(how) for how in how_found])
    return {how: int(numbers[kinds == i].sum()) for i, how in enumerate(ways)}
