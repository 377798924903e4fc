"""The report of an evaluation: one HTML file that shows scores, charts and the wrong sentences.

The file needs nothing else: no other file and no network. This module computes what it shows;
evaluation/pages has its templates, style sheet and scripts, which other pages use too. Tokens and
types of entities may hold any text, such as `</script>`: Jinja escapes them in HTML, and its filter
`tojson` in the data that the scripts read.
"""

from collections.abc import Iterable, Mapping, Sequence
from math import floor, isnan, log10, sqrt
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from evaluation.errors import KINDS, Error, find_errors
from evaluation.slices import SLICES
from tagger.corpus.tags import Span

PAGES = Path(__file__).parent / "pages"
SHARED_PAGES = Path(__file__).parent.parent / "tagger" / "pages"  # the style sheet
CHART_WIDTH = 420  # in SVG units: narrow, so that a chart's text can be read on a phone
SLICE_NAMES = {slice_.label: slice_.name for slice_ in SLICES.values()}  # in metrics.json, by label
SCORE_HEIGHT = 50  # of a type or slice in the chart of scores, in SVG units


def page_environment(*folders: Path) -> Environment:
    """Jinja for pages that hold their style sheet and their scripts.

    Files are looked for in `folders`, then in evaluation/pages, where `layout.html` is what all
    pages have in common, then in tagger/pages, where the style sheet is. Everything is escaped,
    except in templates named `*.md.jinja`. In a template, `inline(name)` gives the text of a file
    of these folders as it is.
    """
    environment = Environment(
        loader=FileSystemLoader([*folders, PAGES, SHARED_PAGES]),
        autoescape=select_autoescape(disabled_extensions=["md.jinja"], default=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )

    def inline(name: str) -> str:
        assert environment.loader
        source = environment.loader.get_source(environment, name)[0]
        marked: str = environment.call_filter("safe", source)
        return marked

    environment.globals["inline"] = inline
    return environment


def describe(
    tokens: Sequence[str], gold: Sequence[Span], predicted: Mapping[str, Sequence[Span]]
) -> dict[str, Any]:
    """A sentence in the form that evaluation/pages/sentences.js draws.

    Args:
        tokens: those of the sentence
        gold: its gold entities
        predicted: the entities that each tagger found, under the name that the page gives to it

    Returns:
        tokens; the entities under `gold` and under each name of `predicted`; and errors, from left
        to right. An error that several taggers make is there once. It has its kind and, under
        `gold` and under the name of each tagger that makes it, the index of the entity there, or
        None where there is none.
    """
    errors: dict[Error, dict[str, Any]] = {}
    for name, entities in predicted.items():
        for error in find_errors(gold, entities):
            index = None if error.gold is None else gold.index(error.gold)
            known = errors.setdefault(error, {"kind": error.kind, "gold": index})
            known[name] = None if error.predicted is None else entities.index(error.predicted)
    order = sorted(errors, key=lambda error: (error.gold or error.predicted, error.kind))
    rows = {"gold": gold, **predicted}
    return {
        "tokens": list(tokens),
        **{name: [list(entity) for entity in entities] for name, entities in rows.items()},
        "errors": [errors[error] for error in order],
    }


def render(
    scores: Mapping[str, Any],
    intervals: pd.DataFrame,
    confusion: pd.DataFrame,
    calibration: Mapping[str, pd.DataFrame],
    curve: pd.DataFrame | None,
    sentences: Sequence[Mapping[str, Any]],
) -> str:
    """The HTML of the report. The same input gives the same bytes.

    Args:
        scores: what metrics.json holds, by split
        intervals: scores with their 95 % intervals, as in intervals.csv, in the order to show: the
            columns split, level ("all", "type" or "slice"), slice ("all", the type, or the label of
            the slice), measure ("F1" or "recall"), score, low, high and support
        confusion: numbers of tokens, as in confusion.csv: split, gold, predicted and tokens
        calibration: by split, the bins of `count_bins`; splits whose entities have no known
            probability are left out
        curve: the course of training, as in curve.csv: epoch, train_loss, validation_loss and
            validation_f1; None if it is not known, as for another program's predictions
        sentences: those with an error, each as `describe` returns it for one tagger, `predicted`,
            with its split, its document, its number in the split (`sentence`), and the labels of
            the slices that it or one of its wrong entities is in (`slices`)
    """
    environment = page_environment()
    environment.filters |= {"fraction": fraction, "number": "{:,}".format}
    entities = [entity for s in sentences for row in ("gold", "predicted") for entity in s[row]]
    types = [str(type_) for type_ in confusion["gold"].unique() if type_ != "O"]
    types += sorted({type_ for _, _, type_ in entities}.difference(types))
    slices = {label for s in sentences for label in s["slices"]}
    return environment.get_template("report.html").render(
        scores=scores,
        groups=score_table(scores, intervals),
        kinds={kind: kind.replace(" ", "_") for kind in KINDS},
        training=None if curve is None else training_charts(curve),
        whiskers=whisker_chart(list(scores), intervals),
        matrices={name: matrix(confusion[confusion["split"] == name]) for name in scores},
        reliability=reliability_chart(calibration),
        sentences=sentences,
        options={
            "split": list(scores),
            "kind": list(KINDS),
            "type": types,
            "slice": [label for label in SLICE_NAMES if label in slices],
        },
    )


def fraction(value: float | None, digits: int = 4) -> str:
    """A score to a fixed number of digits, or a dash if there is none (None or NaN)."""
    return "–" if value is None or isnan(value) else f"{value:.{digits}f}"


def score_table(
    scores: Mapping[str, Any], intervals: pd.DataFrame
) -> dict[str, list[dict[str, Any]]]:
    """The rows of the table of scores, in the groups "all", "type" and "slice".

    A row has its name and, for each split, a cell: its scores in metrics.json joined with its row
    of the intervals.
    """
    groups: dict[str, list[dict[str, Any]]] = {"all": [], "type": [], "slice": []}
    for key, of_name in intervals.groupby(["level", "slice"], sort=False):
        level, name = map(str, key)
        row: dict[str, Any] = {"name": name, "cells": {}}
        for split, of_split in scores.items():
            found = of_name[of_name["split"] == split].to_dict("records")
            if level == "all":
                known = of_split
            elif level == "type":
                known = of_split["types"].get(name, {})
            else:
                known = of_split["slices"].get(SLICE_NAMES[name], {})
            row["cells"][split] = {**known, **(found[0] if found else {})}
        groups[level].append(row)
    return groups


class Axis(NamedTuple):
    """An axis of a chart: it puts the values from low to high on the line from start to end.

    start and end are coordinates in SVG units; step is the difference in value between two ticks.
    """

    low: float
    high: float
    start: float
    end: float
    step: float

    @classmethod
    def over(
        cls, values: Iterable[float], start: float, end: float, least_step: float = 1e-9
    ) -> "Axis":
        """An axis that holds all the values, except NaN.

        It begins and ends at a multiple of its step, which is 1, 2 or 5 times a power of 10, at
        least `least_step`, and such that there are few ticks.
        """
        known = [value for value in values if not isnan(value)] or [0.0, 1.0]
        span = max(max(known) - min(known), 1e-3)
        power = 10.0 ** floor(log10(span / 5))
        step = next(m * power for m in (1, 2, 5, 10) if span / (m * power) <= 5)
        step = max(step, least_step)
        # Rounded first, since 0.95 / 0.05 is a little more than 19, and would add an empty step.
        low = floor(round(min(known) / step, 6)) * step
        high = max(-floor(round(-max(known) / step, 6)) * step, low + step)
        return cls(low, high, start, end, step)

    def position(self, value: float) -> float:
        """The coordinate of a value, in SVG units."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """The coordinate and the text of each tick."""
        digits = max(0, -floor(log10(self.step) + 1e-9))
        number = round((self.high - self.low) / self.step)
        values = [self.low + i * self.step for i in range(number + 1)]
        return [(self.position(value), f"{value:.{digits}f}") for value in values]


def line_chart(curve: pd.DataFrame, columns: list[str], *, from_zero: bool) -> dict[str, Any]:
    """A chart of columns by epoch: its axes and, for each column, the points of its line."""
    values = [float(value) for column in columns for value in curve[column]]
    x = Axis.over([0, float(curve["epoch"].max())], 44, CHART_WIDTH - 8, least_step=1)
    y = Axis.over([0.0, *values] if from_zero else values, 222, 14)
    lines = {
        column: [
            (x.position(epoch), y.position(value))
            for epoch, value in zip(curve["epoch"], curve[column], strict=True)
        ]
        for column in columns
    }
    return {"x": x, "y": y, "lines": lines}


def training_charts(curve: pd.DataFrame) -> dict[str, Any]:
    """The charts of loss and of F1 by epoch, and the row of the best epoch."""
    return {
        "loss": line_chart(curve, ["train_loss", "validation_loss"], from_zero=True),
        "f1": line_chart(curve, ["validation_f1"], from_zero=False),
        "best": max(curve.to_dict("records"), key=lambda row: row["validation_f1"]),
    }


def whisker_chart(splits: list[str], intervals: pd.DataFrame) -> dict[str, Any]:
    """A chart of scores with their intervals: its axis, its height, and a row for each slice.

    A row has the slice's level, its name, its measure, its y, and a point for each split that has a
    score.
    """
    x = Axis.over([*intervals["score"], *intervals["low"], *intervals["high"]], 8, CHART_WIDTH - 56)
    rows = [
        {
            "level": level,
            "name": name,
            "measure": of_name["measure"].iloc[0],
            "y": 20 + i * SCORE_HEIGHT,
            "points": of_name.dropna(subset=["score", "low", "high"]).to_dict("records"),
        }
        for i, ((level, name), of_name) in enumerate(
            intervals.groupby(["level", "slice"], sort=False)
        )
    ]
    return {"x": x, "rows": rows, "height": 30 + len(rows) * SCORE_HEIGHT, "splits": splits}


def matrix(confusion: pd.DataFrame) -> dict[str, Any]:
    """The confusion matrix of a split: its types, the width of a column, and its cells.

    A cell has its column x, its row y, and the opacity of its colour.
    """
    types = list(confusion["gold"].unique())
    totals = confusion.groupby("gold")["tokens"].sum()
    cells = [
        {
            **row,
            "x": types.index(row["predicted"]),
            "y": types.index(row["gold"]),
            # The square root makes the few confused tokens visible; 0.45 keeps the number legible.
            "opacity": round(0.45 * sqrt(row["tokens"] / max(int(totals[row["gold"]]), 1)), 3),
        }
        for row in confusion.to_dict("records")
    ]
    return {"types": types, "cells": cells, "width": max(56, 9 * max(map(len, types), default=0))}


def reliability_chart(calibration: Mapping[str, pd.DataFrame]) -> dict[str, Any] | None:
    """A reliability diagram: its axes and, for each split, its bins.

    A bin has what `count_bins` returns, the coordinates x and y of its point and of the point on
    the diagonal above or below it (`ideal`), and its `middle` on the axis.

    Returns:
        None if no split has a bin
    """
    x, y = Axis.over([0, 1], 44, CHART_WIDTH - 8), Axis.over([0, 1], 222, 14)
    splits = {
        split: [
            {
                **row,
                "x": x.position(row["confidence"]),
                "y": y.position(row["accuracy"]),
                "ideal": y.position(row["confidence"]),
                "middle": x.position((row["low"] + row["high"]) / 2),
            }
            for row in bins.to_dict("records")
        ]
        for split, bins in calibration.items()
        if len(bins)
    }
    return {"x": x, "y": y, "splits": splits} if splits else None
