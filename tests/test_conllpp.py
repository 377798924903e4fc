"""The first three stages on the real corpus and the real vectors, where a mirror of them is."""

import json
from pathlib import Path

import datasets
import numpy as np
import pandas as pd
import pytest

from stages.download import download
from stages.index import index
from tagger.corpus.conll import SPLITS
from tagger.encoding.split import Split
from tests.conftest import INPUTS, MIRROR, Clone

pytestmark = pytest.mark.skipif(
    not MIRROR.is_dir(), reason=f"no mirror of conllpp and GloVe at {MIRROR}"
)

COUNTS = {  # sentences, tokens, entities, documents
    "train": (14_041, 203_621, 23_499, 946),
    "validation": (3_250, 51_362, 5_942, 216),
    "test": (3_453, 46_435, 5_702, 231),
}


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    folder = tmp_path_factory.mktemp("real")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CONLLPP_MIRROR", str(MIRROR / "conllpp"))
        download(INPUTS / "corpora/conllpp", folder / "corpus", corpus="conllpp", held_out=0.1)
    # gensim reads GENSIM_DATA_DIR when it is imported: a process of its own.
    env = environment | {"GENSIM_DATA_DIR": str(MIRROR / "gensim-data")}
    root = Clone(INPUTS.parent.parent, env)
    code = (
        "import sys; from pathlib import Path; from stages.embed import embed; "
        "embed(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    python = ("python", "-c", code)
    root.run(*python, str(INPUTS / "vectors/glove-wiki-gigaword-50"), str(folder / "embeddings"))
    index(folder / "corpus", folder / "embeddings", folder / "index")
    return folder


@pytest.mark.parametrize("split", SPLITS)
def test_counts(real: Path, split: str) -> None:
    table = pd.read_parquet(real / "corpus" / f"{split}.parquet")
    tags = table["ner_tags"].explode()
    entities = tags.isin([1, 3, 5, 7]).sum()
    found = (len(table), len(tags), entities, table["document"].nunique())
    assert found == COUNTS[split]
    stored = Split.read(real / "index" / f"{split}.safetensors")
    assert (len(stored), len(stored.token_types)) == COUNTS[split][:2]
    summary = json.loads((real / "index/index.json").read_text())[split]
    assert sum(summary["coverage"]["tokens"].values()) == COUNTS[split][1]


def test_tags_have_the_numbers_of_the_hubs_conllpp(real: Path, tmp_path: Path) -> None:
    path = str(real / "corpus/train.parquet")
    first = datasets.Dataset.from_parquet(path, cache_dir=str(tmp_path))[0]
    assert first["tokens"][:4] == ["EU", "rejects", "German", "call"]
    assert first["ner_tags"] == [3, 0, 7, 0, 0, 0, 7, 0, 0]


def test_the_shuffled_sentences_have_the_ids_of_the_notebook(real: Path, tmp_path: Path) -> None:
    path = str(real / "corpus/train.parquet")
    table = datasets.Dataset.from_parquet(path, cache_dir=str(tmp_path))
    order = table.add_column("number", range(len(table))).shuffle(seed=1)["number"][:3]
    stored = Split.read(real / "index/train.safetensors")
    words = stored.words[stored.token_types]
    first, second, third = (
        words[stored.offsets[i] : stored.offsets[i + 1]].tolist() for i in order
    )
    assert first == [544, 3535]
    assert second == [19605, 947, 790, 176, 421, 46532, 57483, 904]
    assert len(third) == 29
    assert third[:5] == [5330, 7764, 1161, 1644, 400_000]


def test_vectors_are_those_of_glove(real: Path) -> None:
    vectors = np.load(real / "embeddings/vectors.npy", mmap_mode="r")
    assert vectors.shape == (400_000, 50)
    assert vectors[0, :3] == pytest.approx([0.418, 0.24968, -0.41242])  # of `the`
