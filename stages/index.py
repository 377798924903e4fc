"""Stage 3: the corpus as ids of words and tags.

Run as `python -m stages.index data/corpus data/embeddings data/index`.

Writes tags.txt (the tag set, a tag a line), forms.txt (the distinct tokens of train),
characters.txt (those of train), a safetensors file for each split (see
tagger/split.py) and index.json, which says what they hold.
"""

import json
from collections import Counter
from pathlib import Path

import datasets
import pandas as pd
import pyarrow.parquet as pq
import torch

from tagger.document import elsewhere, names
from tagger.split import Split
from tagger.stage import SPLITS, run, whole
from tagger.vocabulary import (
    CHARACTERS,
    FORMS,
    TAGS,
    WORDS,
    Vocabulary,
    casing,
    characters,
    read_lines,
    write_lines,
)


def index(corpus: Path, embeddings: Path, output: Path) -> None:
    """Look up the tokens of each split among the words that have a vector."""
    vocabulary = Vocabulary(read_lines(embeddings / WORDS))
    summary: dict[str, object] = {
        "words": len(vocabulary.rows),
        "unknown": vocabulary.unknown,
        "padding": vocabulary.padding,
    }
    train = distinct(corpus / "train.parquet")
    forms = {form: row for row, form in enumerate(train, 1)}  # 0 is any that train has not
    known = {character: row for row, character in enumerate(sorted(set("".join(train))), 2)}
    with whole(output) as folder:
        folder.mkdir()
        write_lines(folder / FORMS, train)
        write_lines(folder / CHARACTERS, list(known))
        for split in SPLITS:
            path = corpus / f"{split}.parquet"
            table = pd.read_parquet(path)
            tokens = table["tokens"].explode()
            types = {token: row for row, token in enumerate(distinct(path))}
            matches = {token: vocabulary.look_up(token) for token in types}
            lengths = torch.tensor(table["tokens"].str.len().to_numpy())
            Split(
                types=torch.tensor([types[token] for token in tokens], dtype=torch.int32),
                words=torch.tensor([match.id for match in matches.values()], dtype=torch.int32),
                forms=torch.tensor([forms.get(token, 0) for token in types], dtype=torch.int32),
                casings=torch.tensor([casing(token) for token in types], dtype=torch.int32),
                characters=torch.tensor(
                    [characters(token, known) for token in types], dtype=torch.int32
                ),
                elsewhere=torch.tensor(
                    [
                        truths
                        for _, sentences in table.groupby("document")["tokens"]
                        for sentence in elsewhere(list(sentences))
                        for truths in sentence
                    ]
                ),
                names=torch.tensor(
                    names(list(table["tokens"]), list(table["document"])), dtype=torch.int32
                ),
                tags=torch.tensor(table["ner_tags"].explode().to_list(), dtype=torch.int32),
                offsets=torch.cat([lengths.new_zeros(1), lengths.cumsum(0)]),
                documents=torch.tensor(table["document"].to_numpy(), dtype=torch.int32),
            ).write(folder / f"{split}.safetensors")
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


def distinct(path: Path) -> list[str]:
    """The distinct tokens of a split, in a stable order."""
    return sorted(pd.read_parquet(path, columns=["tokens"])["tokens"].explode().unique())


def count(hows: list[str]) -> dict[str, int]:
    """How many were found in each way."""
    found = Counter(hows)
    return {how: found[how] for how in ("exact", "lower", "unknown")}


if __name__ == "__main__":
    run(index)
