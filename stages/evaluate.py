"""Stage 5: tag validation and test once, score the result, and show its errors.

Run as `python -m stages evaluate data/corpus data/embeddings data/model data/curve.csv
metrics/metrics.json metrics/confusion.csv metrics/intervals.csv
metrics/sentences.csv data/predictions data/report`.
"""

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from pydantic import Field

from evaluation.results import (
    format_scores,
    read_predictions,
    score_predictions,
    write_report,
    write_results,
)
from evaluation.slices import Train
from tagger.corpus.conll import write_conll
from tagger.corpus.tags import names_of_tags
from tagger.files import atomic_output, reading
from tagger.model.checkpoint import load_checkpoint
from tagger.model.threads import configure_threads
from tagger.predict import tags_and_probabilities


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
    """Tag validation and test, and write the predictions, their scores and a report.

    * metrics: the scores by split, type and slice, as JSON
    * confusion: how many tokens of each type were taken for each, as CSV
    * intervals: F1 or recall by split, type and slice with its 95 % interval, as CSV
    * sentences: the entities of each sentence, counted, as CSV (see evaluation/slices.py)
    * predictions: {validation,test}.conll: a token, its gold tag and its predicted tag a line
    * report: index.html
    """
    with ExitStack() as stack:
        metrics, confusion, intervals, sentences, predictions, report = (
            stack.enter_context(atomic_output(path))
            for path in (metrics, confusion, intervals, sentences, predictions, report)
        )
        predictions.mkdir()
        report.mkdir()
        files = {split: predictions / f"{split}.conll" for split in ("validation", "test")}
        probabilities = tag(corpus, embeddings, model, files, threads)

        tokens, _, tags = read_split(corpus / "train.parquet")
        train = Train.of(tokens, tags)
        results = {}
        for split, file in files.items():
            results[split] = score_predictions(read_predictions(file), train, probabilities[split])
            print(format_scores(split, results[split]), flush=True)
        write_results(results, metrics, confusion, intervals, sentences)
        write_report(results, report / "index.html", train, read_curve(curve))


def tag(
    corpus: Path, embeddings: Path, model: Path, files: dict[str, Path], threads: int
) -> dict[str, list[list[float]]]:
    """Tag splits of the corpus and write a file of predictions for each, all tags in IOB2.

    Args:
        corpus: the folder of the corpus
        embeddings: the folder of the word vectors
        model: the folder of the trained model
        files: by split, the file to write
        threads: how many to use; one, two and three give the same tags

    Returns:
        by split and sentence, the probability of each predicted entity, from left to right
    """
    executor = configure_threads(threads)
    predictor = load_checkpoint(model, embeddings)
    probabilities = {}
    for split, file in files.items():
        tokens, documents, gold = read_split(corpus / f"{split}.parquet")
        found = predictor.predict(tokens, documents, executor)
        predicted, probabilities[split] = tags_and_probabilities(found, tokens)
        write_conll(file, tokens, gold, predicted, documents=documents)
    return probabilities


def read_split(path: Path) -> tuple[list[list[str]], list[int], list[list[str]]]:
    """The tokens, the document number and the gold tags of each sentence of a split."""
    with reading(path):
        table = pd.read_parquet(path, page_checksum_verification=True)
        tags = names_of_tags(pq.read_schema(path).metadata, "ner_tags")
        if not tags:
            raise ValueError("the numbers of its tags have no names")
        return (
            [list(tokens) for tokens in table["tokens"]],
            table["document"].to_list(),
            [[tags[id_] for id_ in ids] for ids in table["ner_tags"]],
        )


def read_curve(path: Path) -> pd.DataFrame:
    """The course of training: a row by epoch."""
    types = {"epoch": int, "train_loss": float, "validation_loss": float, "validation_f1": float}
    with reading(path):
        curve = pd.read_csv(path, usecols=list(types), dtype=types)
        if curve.empty or not np.isfinite(curve).all(axis=None):
            raise ValueError("an epoch is missing, or one of its numbers")
    return curve
