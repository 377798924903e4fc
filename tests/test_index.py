"""The tensors hold what the corpus holds, as ids of the vectors."""

import json
import shutil
from collections import Counter
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from stages.index import index
from tagger.corpus.conll import SPLITS
from tagger.encoding.split import Split
from tagger.files import read_lines
from tests.conftest import Data


@pytest.mark.parametrize("split", SPLITS)
def test_ids_lead_back_to_the_corpus(sample: Data, split: str) -> None:
    table = pd.read_parquet(sample.corpus / f"{split}.parquet")
    words = [*read_lines(sample.embeddings / "words.txt"), None]
    stored = Split.read(sample.index / f"{split}.safetensors")
    assert len(stored) == len(table)
    several = Counter(
        (row["document"], token.lower())
        for _, row in table.iterrows()
        for token in row["tokens"]
        if token.lower() != token
    )
    for i, (_, row) in enumerate(table.iterrows()):
        start, end = stored.offsets[i : i + 2].tolist()
        found = [words[id_] for id_ in stored.words[stored.token_types[start:end]].tolist()]
        expected = [t.lower() if t.lower() in words else None for t in row["tokens"]]
        assert found == expected
        assert stored.tags is not None
        assert stored.tags[start:end].tolist() == list(row["ner_tags"])
        assert stored.documents[i] == row["document"]
        names = [(row["document"], t.lower() if t.lower() != t else "") for t in row["tokens"]]
        mentions = stored.mention_ids[start:end].tolist()
        assert [mention > 0 for mention in mentions] == [several[name] > 1 for name in names]


def test_the_shuffled_sample_has_the_ids_it_always_had(sample: Data, tmp_path: Path) -> None:
    path = str(sample.corpus / "train.parquet")
    table = datasets.Dataset.from_parquet(path, cache_dir=str(tmp_path))
    shuffled = table.add_column("number", range(len(table))).shuffle(seed=1)
    stored = Split.read(sample.index / "train.safetensors")
    words = stored.words[stored.token_types]
    ids = [words[stored.offsets[i] : stored.offsets[i + 1]] for i in shuffled["number"][:3]]
    assert [" ".join(tokens) for tokens in shuffled["tokens"][:3]] == [
        '" We may cook the books no longer , " said Dalton .',
        "Elena Price , analyst of Summit & Price , denied the plan on Friday .",
        "San Marco lost at home in San Marco and sold Hill to Sydney .",
    ]
    assert [x.tolist() for x in ids] == [
        [17, 203, 15, 63, 3, 201, 84, 202, 2, 17, 8, 87, 0],
        [273, 20, 2, 215, 7, 76, 50, 20, 2, 48, 3, 19, 4, 99, 0],
        [92, 91, 11, 16, 39, 1, 92, 91, 9, 156, 216, 6, 137, 0],
    ]


def test_index_json_says_what_the_tensors_hold(sample: Data) -> None:
    summary = json.loads((sample.index / "index.json").read_text())
    words = read_lines(sample.embeddings / "words.txt")
    assert (summary["words"], summary["unknown"], summary["padding"]) == (
        len(words),
        len(words),
        len(words) + 1,
    )
    for split in SPLITS:
        tokens = pd.read_parquet(sample.corpus / f"{split}.parquet")["tokens"].explode()
        for what, some in (("tokens", tokens), ("token_types", tokens.drop_duplicates())):
            exact = some.isin(words)
            lower = ~exact & some.str.lower().isin(words)
            assert summary[split]["coverage"][what] == {
                "exact": exact.sum(),
                "lower": lower.sum(),
                "unknown": (~exact & ~lower).sum(),
            }
        assert summary[split]["tokens"] == len(tokens)


def test_it_writes_the_same_bytes_again(sample: Data, tmp_path: Path) -> None:
    index(sample.corpus, sample.embeddings, tmp_path / "again")
    names = sorted(path.name for path in sample.index.iterdir())
    tensors = sorted(f"{split}.safetensors" for split in SPLITS)
    assert set(names) == {"characters.txt", "train_tokens.txt", "index.json", "tags.txt", *tensors}
    for name in names:
        assert (sample.index / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_tags_are_those_of_the_corpus(sample: Data) -> None:
    assert read_lines(sample.index / "tags.txt")[:5] == ["O", "B-PER", "I-PER", "B-ORG", "I-ORG"]
    tags = Split.read(sample.index / "train.safetensors").tags
    assert tags is not None
    assert set(np.unique(tags)) == set(range(9))


def test_a_long_sentence_is_read_in_parts(sample: Data, tmp_path: Path) -> None:
    shutil.copytree(sample.corpus, tmp_path / "corpus")
    path = tmp_path / "corpus" / "test.parquet"
    table = pd.read_parquet(path)
    long = {"tokens": ["Hill"] * 1000, "ner_tags": [0] * 1000, "document": 99}
    features = datasets.Features.from_arrow_schema(pq.read_schema(path))
    rows = [*table.to_dict("records")[:2], long]
    datasets.Dataset.from_list(rows, features=features).to_parquet(path)
    index(tmp_path / "corpus", sample.embeddings, tmp_path / "index")
    stored = Split.read(tmp_path / "index" / "test.safetensors")
    assert stored.lengths.tolist() == [*map(len, table["tokens"][:2]), 400, 400, 200]
    assert stored.tags is not None
    assert len(stored.tags) == len(stored.token_types) == stored.offsets[-1]
    summary = json.loads((tmp_path / "index" / "index.json").read_text())
    assert summary["test"]["sentences"] == 3
