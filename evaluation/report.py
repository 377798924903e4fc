"""The report: one HTML file that a person opens after evaluation, and that needs nothing else.

page.html says how it looks; here is counted and measured what it shows. All text goes through
Jinja's escaping, the sentences through its `tojson`: a token may be `</script>`.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import count
from math import floor, isnan, log10, sqrt
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from evaluation.errors import KINDS, find_errors
from evaluation.slices import SLICES
from tagger.corpus.tags import Span

WIDTH = 420  # of a chart: narrow, so that its text can be read on a phone
ROW = 50  # height of a slice in the chart of scores


def describe(
    tokens: Sequence[str], gold: Sequence[Span], predicted: Sequence[Span]
) -> dict[str, Any]:
    """A sentence as `render` wants it, but for its split, document, number and slices."""
    return {
        "tokens": list(tokens),
        "gold": [list(span) for span in gold],
        "predicted": [list(span) for span in predicted],
        "errors": [
            {
                "kind": error.kind,
                "gold": None if error.gold is None else gold.index(error.gold),
                "predicted": None if error.predicted is None else predicted.index(error.predicted),
            }
            for error in find_errors(gold, predicted)
        ],
    }


def render(
    scores: Mapping[str, Any],
    intervals: pd.DataFrame,
    confusion: pd.DataFrame,
    curve: pd.DataFrame | None,
    sentences: Sequence[Mapping[str, Any]],
) -> str:
    """The page, the same bytes for the same input.

    Args:
        scores: those of metrics.json, by split
        intervals: split, level ("all", "type" or "slice"), slice ("all", the type, or the label of
            the slice), measure ("F1" or "recall"), score, low, high and support, in the order to
            show
        confusion: split, gold, predicted, tokens: as in confusion.csv
        curve: epoch, train_loss, validation_loss, validation_f1; None if it is not known
        sentences: those with an error, each as `describe` has it, with its split, document, number
            in the split ("sentence") and the slices that it or its entities with an error are in
    """
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"fraction": fraction, "number": "{:,}".format}
    spans = [span for s in sentences for row in ("gold", "predicted") for span in s[row]]
    used = {name for s in sentences for name in s["slices"]}
    types = [str(type_) for type_ in confusion["gold"].unique() if type_ != "O"]
    types += sorted({span[2] for span in spans}.difference(types))
    return environment.get_template("page.html").render(
        scores=scores,
        groups=score_table(scores, intervals),
        kinds={kind: kind.replace(" ", "_") for kind in KINDS},
        training=None if curve is None else training_charts(curve),
        whiskers=whisker_chart(list(scores), intervals),
        matrices={name: matrix(confusion[confusion["split"] == name]) for name in scores},
        sentences=sentences,
        options={
            "split": list(scores),
            "kind": list(KINDS),
            "type": types,
            "slice": [some.label for some in SLICES.values() if some.label in used]
            + sorted(used.difference(some.label for some in SLICES.values())),
        },
    )


def fraction(value: float | None, digits: int = 4) -> str:
    """A score to a fixed number of digits; a dash where there is none."""
    return "–" if value is None or isnan(value) else f"{value:.{digits}f}"


def score_table(
    scores: Mapping[str, Any], intervals: pd.DataFrame
) -> dict[str, list[dict[str, Any]]]:
    """The rows of the table of scores, by group, each with a cell of scores for each split."""
    keys = {some.label: some.name for some in SLICES.values()}
    groups: dict[str, list[dict[str, Any]]] = {"all": [], "type": [], "slice": []}
    for group, some in intervals.groupby(["level", "slice"], sort=False):
        level, name = map(str, group)
        row: dict[str, Any] = {"name": name, "cells": {}}
        for split, of_split in scores.items():
            here = some[some["split"] == split]
            known = here.to_dict("records")[0] if len(here) else {}
            if level == "all":
                parts = of_split
            elif level == "type":
                parts = of_split["types"].get(name, {})
            else:
                parts = of_split["slices"].get(keys[name], {})
            row["cells"][split] = {**parts, **known}
        groups[level].append(row)
    return groups


class Axis(NamedTuple):
    """Values, the places on the page that they are drawn at, and the distance between ticks."""

    low: float
    high: float
    start: float
    end: float
    step: float

    @classmethod
    def over(
        cls, values: Iterable[float], start: float, end: float, least_step: float = 1e-9
    ) -> "Axis":
        """An axis over all the values, widened to whole steps, of which there are few."""
        known = [value for value in values if not isnan(value)] or [0.0, 1.0]
        span = max(max(known) - min(known), 1e-3)
        power = 10.0 ** floor(log10(span / 5))
        step = next(m * power for m in (1, 2, 5, 10) if span / (m * power) <= 5)
        step = max(step, least_step)
        # Rounded first: 0.95 / 0.05 is a hair above 19, and would draw an empty step.
        low = floor(round(min(known) / step, 6)) * step
        high = max(-floor(round(-max(known) / step, 6)) * step, low + step)
        return cls(low, high, start, end, step)

    def at(self, value: float) -> float:
        """The place of a value."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    @property
    def ticks(self) -> list[tuple[float, str]]:
        """A place and a text each."""
        digits = max(0, -floor(log10(self.step) + 1e-9))
        number = round((self.high - self.low) / self.step)
        values = [self.low + i * self.step for i in range(number + 1)]
        return [(self.at(value), f"{value:.{digits}f}") for value in values]


def line_chart(curve: pd.DataFrame, columns: list[str], *, from_zero: bool) -> dict[str, Any]:
    """Lines by epoch: the axes and, by column, the points of its line."""
    values = [float(value) for column in columns for value in curve[column]]
    x = Axis.over([0, float(curve["epoch"].max())], 44, WIDTH - 8, least_step=1)
    y = Axis.over([0.0, *values] if from_zero else values, 222, 14)
    lines = {
        column: [(x.at(a), y.at(b)) for a, b in zip(curve["epoch"], curve[column], strict=True)]
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
    """A row for each slice and in it, for each split, a point with the whiskers of its interval."""
    x = Axis.over([*intervals["score"], *intervals["low"], *intervals["high"]], 8, WIDTH - 56)
    top = count(20, ROW)
    rows = []
    for (level, name), some in intervals.groupby(["level", "slice"], sort=False):
        known = some.dropna(subset=["score", "low", "high"]).to_dict("records")
        measure = some["measure"].iloc[0]
        rows.append(
            {"level": level, "name": name, "measure": measure, "y": next(top), "points": known}
        )
    return {"x": x, "rows": rows, "height": next(top) + 10, "splits": splits}


def matrix(confusion: pd.DataFrame) -> dict[str, Any]:
    """The confusion of types as cells, each with how deep its colour is."""
    types = list(confusion["gold"].unique())
    totals = confusion.groupby("gold")["tokens"].sum()
    cells = [
        {
            **row,
            "x": types.index(row["predicted"]),
            "y": types.index(row["gold"]),
            # The root, for few tokens are confused; and never so deep that a figure is hard to read
            "depth": round(0.45 * sqrt(row["tokens"] / max(int(totals[row["gold"]]), 1)), 3),
        }
        for row in confusion.to_dict("records")
    ]
    return {"types": types, "cells": cells, "width": max(56, 9 * max(map(len, types), default=0))}
