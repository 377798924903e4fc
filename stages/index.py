"""Stage 3: the corpus as ids of words and tags.

Run as `python -m stages.index data/corpus data/embeddings data/index`.

Writes tags.txt (the tag set, a tag a line), forms.txt (the distinct tokens of train),
characters.txt (those of train), a safetensors file for each split (see
tagger/encoding/split.py) and index.json, which says what they hold.
"""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import torch

from stages.runner import run
from tagger.corpus.conll import SPLITS
from tagger.encoding.document import elsewhere, names
from tagger.encoding.split import Split
from tagger.encoding.vocabulary import (
    CHARACTERS,
    FORMS,
    TAGS,
    WORDS,
    Vocabulary,
    characters,
)
from tagger.files import atomic_output, read_lines, write_lines


def index(corpus: Path, embeddings: Path, output: Path) -> None:
    """Look up the tokens of each split among the words that have a vector."""
    vocabulary = Vocabulary(read_lines(embeddings / WORDS))
    summary: dict[str, object] = {
        "words": len(vocabulary.rows),
        "unknown": vocabulary.unknown,
        "padding": vocabulary.padding,
    }
    train = distinct(pd.read_parquet(corpus / "train.parquet"))
    forms = {form: row for row, form in enumerate(train, 1)}  # 0 is any that train has not
    known = {character: row for row, character in enumerate(sorted(set("".join(train))), 2)}
    with atomic_output(output) as folder:
        folder.mkdir()
        write_lines(folder / FORMS, train)
        write_lines(folder / CHARACTERS, list(known))
        for split in SPLITS:
            table = pd.read_parquet(corpus / f"{split}.parquet")
            encode(table, vocabulary, forms, known).write(folder / f"{split}.safetensors")
            tokens = table["tokens"].explode()
            matches = {token: vocabulary.look_up(token) for token in distinct(table)}
            coverage = {
                "tokens": count([matches[token].how for token in tokens]),
                "types": count([match.how for match in matches.values()]),
            }
            summary[split] = {
                "sentences": len(table),
                "tokens": len(tokens),
                "documents": int(table["document"].nunique()),
                "coverage": coverage,
            }
            for what, found in coverage.items():
                shares = ", ".join(f"{n} {how}" for how, n in found.items())
                share = found["unknown"] / sum(found.values())
                print(f"{split}: of the {what} {shares} ({share:.1%} unknown)")
        features = datasets.Features.from_arrow_schema(pq.read_schema(corpus / "train.parquet"))
        write_lines(folder / TAGS, features["ner_tags"].feature.names)
        text = json.dumps(summary, indent=2)
        (folder / "index.json").write_text(f"{text}\n", encoding="utf-8")


def encode(
    table: pd.DataFrame,
    vocabulary: Vocabulary,
    forms: Mapping[str, int],
    known: Mapping[str, int],
) -> Split:
    """The sentences of a table as ids.

    Args:
        table: with the tokens, ner_tags and document of each sentence
        vocabulary: of the words that have a vector
        forms: the id of each token of train, from 1
        known: the id of each character of train, from 2
    """
    sentences, documents = table["tokens"].to_list(), table["document"].to_list()
    tokens, types = pd.factorize(np.concatenate(sentences), sort=True)  # arrays of objects
    lengths = torch.tensor([len(sentence) for sentence in sentences])

    def by_type(function: Callable[[str], object]) -> torch.Tensor:
        return torch.tensor([function(token) for token in types], dtype=torch.int32)

    return Split(
        types=torch.from_numpy(tokens.astype(np.int32)),
        words=by_type(lambda token: vocabulary.look_up(token).id),
        forms=by_type(lambda token: forms.get(token, 0)),
        characters=by_type(lambda token: characters(token, known)),
        elsewhere=elsewhere(sentences, documents),
        names=names(sentences, documents),
        tags=torch.from_numpy(np.concatenate(table["ner_tags"].to_list()).astype(np.int32)),
        offsets=torch.cat([lengths.new_zeros(1), lengths.cumsum(0)]),
        documents=torch.tensor(documents, dtype=torch.int32),
    )


def distinct(table: pd.DataFrame) -> list[str]:
    """The distinct tokens of a table, in a stable order."""
    return sorted(table["tokens"].explode().unique())


def count(hows: list[str]) -> dict[str, int]:
    """How many were found in each way."""
    found = Counter(hows)
    return {how: found[how] for how in ("exact", "lower", "unknown")}


if __name__ == "__main__":
    run(index)
