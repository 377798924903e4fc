"""From a file of predictions to scores, tables and a report.

A file of predictions is in CoNLL format: a token a line, its gold tag and its predicted tag last.
Any tagger's will do, and conlleval reads it too.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from evaluation.calibration import count_bins, expected_calibration_error
from evaluation.errors import count_errors
from evaluation.report import describe, render
from evaluation.scoring import count_confusions, likeliest_scheme, score
from evaluation.slices import (
    SLICES,
    Score,
    Train,
    count_entities,
    score_slices,
    slices_of_entity,
    slices_of_sentence,
)
from tagger.corpus.conll import check_tags, read_conll
from tagger.corpus.tags import parse, spans, tag_set, types_of


@dataclass(frozen=True)
class Predictions:
    """The tokens, the gold tags, the predicted tags and the document number of each sentence."""

    tokens: list[list[str]]
    gold: list[list[str]]
    predicted: list[list[str]]
    documents: list[int]


def read_predictions(path: Path) -> Predictions:
    """Read a file of predictions.

    Raises:
        InputError: the file is malformed, or an entry of one of its last two columns is no tag.
    """
    sentences = read_conll(str(path), path.read_bytes(), tag_columns=2)
    check_tags(sentences)
    tokens, gold, predicted = ([s.columns[i] for s in sentences] for i in range(3))
    return Predictions(tokens, gold, predicted, [s.document for s in sentences])


@dataclass(frozen=True)
class Result:
    """The scores of the predictions for one split.

    predictions: what was scored
    metrics: what `score` returns, and f1_interval, slices, errors and, if there is an entity with a
        probability, calibration, as metrics.json has them
    confusion: gold, predicted, tokens: how many tokens of each type were taken for each
    intervals: the rows of `score_slices`
    sentences: the table of `count_entities`
    calibration: that of `count_bins`; None if the probabilities of the entities are not known
    """

    predictions: Predictions
    metrics: dict[str, Any]
    confusion: pd.DataFrame
    intervals: pd.DataFrame
    sentences: pd.DataFrame
    calibration: pd.DataFrame | None


def score_predictions(
    predictions: Predictions,
    train: Train | None,
    probabilities: Sequence[Sequence[float]] | None = None,
) -> Result:
    """Score predictions.

    Args:
        predictions: those of a split
        train: what occurs in train; without, the slices that need it are left out
        probabilities: of the predicted entities of each sentence, in the order of `spans`; without,
            there is no calibration
    """
    gold, predicted = predictions.gold, predictions.predicted
    tags = {tag for sentence in (*gold, *predicted) for tag in sentence}
    occurring = {parse(tag)[1] for tag in tags} - {""}
    if train is not None:
        occurring |= {type_ for _, type_ in train.entities}
    types = types_of(tag_set(occurring))
    sentences = count_entities(
        predictions.tokens, predictions.documents, gold, predicted, types, train
    )
    scores = score_slices(sentences)
    metrics = {
        **score(gold, predicted),
        **_interval_and_slices(scores),
        "errors": count_errors(gold, predicted),
    }
    calibration = None
    if probabilities is not None:
        calibration = count_bins(gold, predicted, probabilities)
        if len(calibration):
            error = round(expected_calibration_error(calibration), 4)
            metrics["calibration"] = {"expected_calibration_error": error}
    confusion = count_confusions(gold, predicted, types)
    return Result(
        predictions,
        metrics,
        pd.DataFrame(confusion, columns=["gold", "predicted", "tokens"]),
        pd.DataFrame(scores),
        sentences,
        calibration,
    )


def _interval_and_slices(scores: list[Score]) -> dict[str, Any]:
    """The interval of F1 and the scores of the slices, as metrics.json has them."""
    (overall,) = (row for row in scores if row.level == "all")
    rows = {row.slice: row for row in scores if row.level == "slice"}
    return {
        "f1_interval": {"low": round(overall.low, 4), "high": round(overall.high, 4)},
        "slices": {
            slice_.name: {
                slice_.measure.lower(): round(rows[slice_.label].score, 4),
                "support": rows[slice_.label].support,
            }
            for slice_ in SLICES.values()
            if slice_.label in rows
        },
    }


def format_scores(name: str, result: Result) -> str:
    """What to print: the scores by type, the interval of F1, and a note on invalid tags."""
    metrics = result.metrics
    rows = pd.DataFrame([*metrics["types"].values(), metrics], index=[*metrics["types"], "all"])
    lines = [
        name,
        rows[["precision", "recall", "f1", "support"]].to_string(float_format="{:.4f}".format),
    ]
    if not metrics["support"]:
        lines.append("There is no gold entity, so nothing can be scored.")
    elif len(set(result.predictions.documents)) > 1:
        interval = metrics["f1_interval"]
        lines.append(f"95 % interval of F1: {interval['low']:.4f} to {interval['high']:.4f}")
    else:
        lines.append("No interval of F1: it needs more than one document (-DOCSTART- lines).")
    if "calibration" in metrics:
        error = metrics["calibration"]["expected_calibration_error"]
        lines.append(f"Expected calibration error of the entities' probabilities: {error:.4f}")
    if invalid := metrics["invalid_transitions"]:
        scheme = likeliest_scheme(result.predictions.gold, result.predictions.predicted)
        lines.append(
            f"Transitions between predicted tags that are not allowed in {scheme}, the scheme of "
            f"the gold tags: {invalid}. The scores are conlleval's, which takes an entity to start "
            f"where the type changes; a scorer that reads the tags strictly as {scheme} may give "
            "others."
        )
    return "\n".join(lines)


def write_results(
    results: Mapping[str, Result], metrics: Path, confusion: Path, intervals: Path, sentences: Path
) -> None:
    """Write the results of each split: the metrics as JSON, the three tables as CSV."""
    scores = {name: result.metrics for name, result in results.items()}
    metrics.write_text(json.dumps(scores, indent=2) + "\n", encoding="utf-8")
    for path, field in (
        (confusion, "confusion"),
        (intervals, "intervals"),
        (sentences, "sentences"),
    ):
        table = _join(results, field)
        table.to_csv(path, index=False, float_format="%.4f", lineterminator="\n")


def write_report(
    results: Mapping[str, Result], path: Path, train: Train | None, curve: pd.DataFrame | None
) -> None:
    """Write the report of all splits as one HTML file.

    Args:
        results: by split
        path: the file
        train: what occurs in train; without, the slices that need it are left out
        curve: epoch, train_loss, validation_loss and validation_f1; None if it is not known
    """
    wrong = [
        {"split": name} | sentence
        for name, result in results.items()
        for sentence in _describe_errors(result.predictions, train)
    ]
    scores = {name: result.metrics for name, result in results.items()}
    known = {name: r.calibration for name, r in results.items() if r.calibration is not None}
    html = render(
        scores,
        _join(results, "intervals"),
        _join(results, "confusion"),
        known,
        curve,
        wrong,
    )
    path.write_text(html, encoding="utf-8")


def _describe_errors(predictions: Predictions, train: Train | None) -> list[dict[str, Any]]:
    """The sentences with errors as `render` wants them, but for the split.

    The slices of a sentence are its own and those of its entities with an error.
    """
    rows = []
    for number, (tokens, gold, predicted) in enumerate(
        zip(predictions.tokens, predictions.gold, predictions.predicted, strict=True)
    ):
        entities = {"gold": spans(gold), "predicted": spans(predicted)}
        shown = describe(tokens, entities["gold"], {"predicted": entities["predicted"]})
        if not shown["errors"]:
            continue
        names = set(slices_of_sentence(tokens, train))
        for error in shown["errors"]:
            row = "predicted" if error["gold"] is None else "gold"
            names.update(slices_of_entity(tokens, entities[row][error[row]], train))
        rows.append(
            {
                "document": predictions.documents[number],
                "sentence": number,
                **shown,
                "slices": [slice_.label for slice_ in SLICES.values() if slice_.name in names],
            }
        )
    return rows


def _join(results: Mapping[str, Result], field: str) -> pd.DataFrame:
    """A table of all splits, with the split as its first column."""
    tables = {name: getattr(result, field) for name, result in results.items()}
    joined = pd.concat(tables, names=["split"])
    if field == "sentences":  # a split has no columns for the types that only another split has
        joined = joined.fillna(0).astype("int64")
    table: pd.DataFrame = joined.reset_index("split")
    return table
