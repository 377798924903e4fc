"""Stage 5: tag validation and test once, score the result, and show its errors.

Run as `python -m stages.evaluate data/corpus data/embeddings data/model data/curve.csv
metrics/metrics.json metrics/confusion.csv metrics/intervals.csv
metrics/sentences.csv data/predictions data/report`.
"""

import json
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Any

import datasets
import pandas as pd
import pyarrow.parquet as pq
import torch
from pydantic import Field

from evaluation.errors import count_errors, find_errors
from evaluation.report import describe, render
from evaluation.scoring import count_confusions, score
from evaluation.slices import SLICES, Score, Train, count, score_slices
from stages.runner import run
from tagger.corpus.conll import SPLITS
from tagger.corpus.tags import spans, tag_set, types_of
from tagger.files import atomic_output
from tagger.model.threads import configure_threads
from tagger.predict import Predictor


def evaluate(
    corpus: Path,
    embeddings: Path,
    model: Path,
    curve: Path,
    metrics: Path,
    confusion: Path,
    intervals: Path,
    sentences: Path,
    predictions: Path,
    report: Path,
    *,
    threads: Annotated[int, Field(ge=1, le=256)],
) -> None:
    """Write the scores, what they are made of, {validation,test}.conll and a page of the errors.

    * metrics: the scores by split, type and slice, as JSON
    * confusion: how many tokens of each type were taken for each, as CSV
    * intervals: F1 or recall by split, type and slice with its 95 % interval, as CSV
    * sentences: the entities of each sentence, counted, as CSV (see evaluation/slices.py)
    * predictions: a token, its gold tag and its predicted tag a line, as the CoNLL scorer reads it
    * report: index.html
    """
    torch.use_deterministic_algorithms(True)
    executor = configure_threads(threads)
    predictor = Predictor.load(model, embeddings)
    corpora = {name: read_split(corpus / f"{name}.parquet") for name in SPLITS}
    tokens = {name: some[0] for name, some in corpora.items()}
    gold = {name: some[2] for name, some in corpora.items()}
    types = types_of(tag for some in gold["train"] for tag in some)
    types = types_of(tag_set(types))
    train = Train.of(tokens["train"], gold["train"])

    scores: dict[str, Any] = {}
    confusions, by_slice, counts = [], [], []  # tables of each split
    wrong: list[dict[str, Any]] = []  # sentences
    with ExitStack() as stack:
        metrics, confusion, intervals, sentences, predictions, report = (
            stack.enter_context(atomic_output(path))
            for path in (metrics, confusion, intervals, sentences, predictions, report)
        )
        predictions.mkdir()
        report.mkdir()
        for name in ("validation", "test"):
            documents = corpora[name][1]
            predicted = predictor.predict(tokens[name], documents, executor)
            write_conll(predictions / f"{name}.conll", tokens[name], gold[name], predicted)
            pairs = count_confusions(gold[name], predicted, types)
            confusions.append(pd.DataFrame(pairs, columns=["gold", "predicted", "tokens"]))
            counts.append(count(tokens[name], documents, gold[name], predicted, types, train))
            of_slices = score_slices(counts[-1])
            by_slice.append(pd.DataFrame(of_slices))
            scores[name] = {
                **score(gold[name], predicted),
                **told_apart(of_slices),
                "errors": count_errors(gold[name], predicted),
            }
            columns = zip(tokens[name], gold[name], predicted, strict=True)
            for number, sentence in enumerate(columns):
                if sentence[1] != sentence[2]:
                    place = {"split": name, "document": documents[number], "sentence": number}
                    wrong.append(place | show(*sentence, train))
            by_type = pd.DataFrame.from_dict(
                scores[name]["types"] | {"all": scores[name]}, orient="index"
            )
            print(f"{name}\n{by_type[['precision', 'recall', 'f1', 'support']].to_string()}")
            ends = scores[name]["f1_interval"]
            print(f"95 % interval of F1: {ends['low']:.4f} to {ends['high']:.4f}", flush=True)

        metrics.write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")
        tables = [
            pd.concat(dict(zip(scores, some, strict=True)), names=["split"]).reset_index("split")
            for some in (confusions, by_slice, counts)
        ]
        for table, file in zip(tables, (confusion, intervals, sentences), strict=True):
            table.to_csv(file, index=False, float_format="%.4f", lineterminator="\n")
        html = render(scores, tables[1], tables[0], pd.read_csv(curve), wrong)
        (report / "index.html").write_text(html, encoding="utf-8")


def read_split(path: Path) -> tuple[list[list[str]], list[int], list[list[str]]]:
    """The tokens, the document number and the gold tags of each sentence of a split."""
    table = pd.read_parquet(path)
    tags = datasets.Features.from_arrow_schema(pq.read_schema(path))["ner_tags"].feature.names
    return (
        [list(tokens) for tokens in table["tokens"]],
        table["document"].to_list(),
        [[tags[id_] for id_ in ids] for ids in table["ner_tags"]],
    )


def write_conll(path: Path, *columns: Sequence[Sequence[str]]) -> None:
    """Write a line a token and an empty line after each sentence; each column by sentence."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for sentence in zip(*columns, strict=True):
            file.writelines(f"{' '.join(line)}\n" for line in zip(*sentence, strict=True))
            file.write("\n")


def told_apart(rows: Sequence[Score]) -> dict[str, Any]:
    """What metrics.json tells of these scores: the interval of F1, and the scores of slices."""
    found = {row.slice: row for row in rows}
    slices = {
        name: {row.measure.lower(): round(row.score, 4), "support": row.support}
        for name, row in ((name, found[label]) for name, label in SLICES.items())
    }
    ends = {"low": round(found["all"].low, 4), "high": round(found["all"].high, 4)}
    return {"f1_interval": ends, "slices": slices}


def show(
    tokens: Sequence[str], gold: Sequence[str], predicted: Sequence[str], train: Train
) -> dict[str, Any]:
    """A sentence as the report shows it, with the slices that it and its wrong entities are in."""
    sides = spans(gold), spans(predicted)
    entities = [error.gold or error.predicted for error in find_errors(*sides)]
    slices = [name for entity in entities if entity for name in train.slices_of(tokens, entity)]
    names = {*train.slices_of_sentence(tokens), *slices}
    labels = [label for name, label in SLICES.items() if name in names]
    return describe(tokens, sides[0], {"predicted": sides[1]}) | {"slices": labels}


if __name__ == "__main__":
    run(evaluate)
