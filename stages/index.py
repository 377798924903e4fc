"""Stage 3: the corpus as arrays of ids.

Run as `python -m stages index data/corpus data/embeddings data/index`.

Writes tags.txt (the tag set of the corpus, a tag a line), the encoder (see
tagger/encoding/encoder.py), a safetensors file for each split (see tagger/encoding/split.py), and
index.json, which tells how many tokens have a word vector, and has the SHA-256 of the other files
and of the word vectors.
"""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from tagger.corpus.conll import SPLITS
from tagger.encoding.encoder import Encoder
from tagger.encoding.split import TAGS
from tagger.encoding.vocabulary import VECTORS, WORDS
from tagger.files import InputError, atomic_output, hash_files, read_lines, reading, write_lines


def index(corpus: Path, embeddings: Path, output: Path) -> None:
    """Write the corpus as arrays, with an encoder that knows what train has.

    Raises:
        InputError: an input is damaged.
    """
    tables = {}
    for split in SPLITS:
        with reading(path := corpus / f"{split}.parquet"):
            columns = ["tokens", "ner_tags", "document"]
            tables[split] = pd.read_parquet(path, columns=columns, page_checksum_verification=True)
            features = datasets.Features.from_arrow_schema(pq.read_schema(path))
            tag_set = features["ner_tags"].feature.names
    words = read_lines(embeddings / WORDS)
    with reading(embeddings / VECTORS):
        vectors = np.load(embeddings / VECTORS, mmap_mode="r")
    if len(vectors) != len(words):
        raise InputError(
            f"{embeddings / WORDS} has {len(words)} words, but {embeddings / VECTORS} has "
            f"{len(vectors)} vectors: one is damaged; delete both, and make them again"
        )
    encoder = Encoder.fit(words, tables["train"]["tokens"])
    vocabulary = encoder.vocabulary
    summary: dict[str, object] = {
        "words": len(vocabulary.rows),
        "unknown": vocabulary.unknown,
        "padding": vocabulary.padding,
    }
    with atomic_output(output) as folder:
        folder.mkdir()
        encoder.save(folder)
        for split, table in tables.items():
            encoded = encoder.encode(table["tokens"].to_list(), table["document"].to_list())
            tags = np.concatenate(table["ner_tags"].to_list()).astype(np.int32)
            replace(encoded, tags=tags).write(folder / f"{split}.safetensors")
            tokens = table["tokens"].explode()
            how_found = {token: vocabulary.look_up(token).how for token in tokens.unique()}
            coverage = {
                "tokens": count(how_found[token] for token in tokens),
                "token_types": count(how_found.values()),
            }
            summary[split] = {
                "sentences": len(table),
                "tokens": len(tokens),
                "documents": int(table["document"].nunique()),
                "coverage": coverage,
            }
            for what, found in coverage.items():
                counts = ", ".join(f"{n} {how}" for how, n in found.items())
                share = found["unknown"] / sum(found.values())
                print(f"{split}: {what.replace('_', ' ')}: {counts} ({share:.1%} unknown)")
        write_lines(folder / TAGS, tag_set)
        names = sorted(path.name for path in folder.iterdir())
        summary["files"] = hash_files(folder, names)
        summary["embeddings"] = hash_files(embeddings, (WORDS, VECTORS))
        text = json.dumps(summary, indent=2)
        (folder / "index.json").write_text(f"{text}\n", encoding="utf-8")


def count(how_found: Iterable[str]) -> dict[str, int]:
    """The number of tokens that were found in each way, see `Match`."""
    counts = Counter(how_found)
    return {how: counts[how] for how in ("exact", "lower", "unknown")}
