"""Stage 1: read a corpus and write it as parquet, with IOB2 tags and document numbers.

Run as `python -m stages download data/inputs/corpora/conllpp data/corpus`.

A corpus is a folder that holds files, or a corpus.yaml that says where they are, see
stages/corpus/description.py. What is made of it is printed, as `make check-corpus` does.
"""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import datasets
from pydantic import Field

from stages.corpus.reading import Corpus, read_corpus
from stages.corpus.summary import summarise
from tagger.files import atomic_output

REPAIRS = "repairs.csv"


def download(
    corpus_folder: Path,
    output: Path,
    *,
    corpus: str,
    held_out: Annotated[float, Field(gt=0, lt=0.5)],
) -> None:
    """Write {train,validation,test}.parquet to `output`: tokens, ner_tags (ClassLabel), document.

    repairs.csv beside them lists the tags that broke the scheme of the corpus; it is there only if
    some did.

    Args:
        corpus_folder: the folder of the corpus
        output: the folder to write
        corpus: the name of the corpus
        held_out: the share of train's documents for each split that the corpus lacks

    Raises:
        InputError: there is no such corpus, it cannot be reached, its checksum is wrong, or it is
            malformed.
    """
    found = read_corpus(corpus_folder, corpus, held_out)
    print(summarise(found), flush=True)
    features = datasets.Features(
        tokens=datasets.List(datasets.Value("string")),
        ner_tags=datasets.List(datasets.ClassLabel(names=list(found.tags))),
        document=datasets.Value("int32"),
    )
    datasets.disable_progress_bars()
    with atomic_output(output) as written:
        written.mkdir()
        for split, sentences in found.splits.items():
            columns = {
                "tokens": [s.tokens for s in sentences],
                "ner_tags": [s.tags for s in sentences],
                "document": [s.document for s in sentences],
            }
            table = datasets.Dataset.from_dict(columns, features=features)
            # With checksums, which tell the stages that read it of most damage.
            table.to_parquet(written / f"{split}.parquet", write_page_checksum=True)
        if found.repairs:
            write_repairs(written / REPAIRS, found)


def write_repairs(path: Path, corpus: Corpus) -> None:
    """Write a row for each place that broke the scheme, with the tag that its token has now."""
    rows: list[Sequence[object]] = [("split", "where", "token", "problem", "read_as")]
    rows += [
        (split, v.sentence.location(v.token), v.sentence.tokens[v.token], v.problem, tag)
        for split, v, tag in corpus.repairs
    ]
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
