"""Two taggers compared, sentence by sentence, from their metrics/sentences.csv alone."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from evaluation.significance import LEVEL, Difference, compare, holm
from evaluation.slices import ALL, SLICES, Group, by_document, types_in

PLACE = ["document", "sentence"]


@dataclass(frozen=True)
class Row:
    """How a score of all entities, of a type or of a slice differs.

    p is corrected for the number of scores looked at beside F1 itself.
    """

    label: str
    difference: Difference
    p: float
    support: int

    @property
    def verdict(self) -> str:
        """Better or worse, or empty where there is no evidence of either."""
        if self.p >= LEVEL:
            return ""
        return "better" if self.difference.delta > 0 else "worse"


@dataclass(frozen=True)
class Comparison:
    """Of a split: F1 of all entities, the other scores, and the sentences that differ.

    runs is how many there are on each side; sentences has document, sentence, base and head: the
    number of entities missed and made up, on average over the runs; incomparable_slices has the
    labels of the slices that do not hold the same entities or sentences on both sides, since train
    is another, or the code.
    """

    split: str
    runs: tuple[int, int]
    overall: Row
    rows: list[Row]
    sentences: pd.DataFrame
    incomparable_slices: list[str]

    @property
    def better(self) -> int:
        """The number of sentences in which the head makes fewer errors."""
        return int((self.sentences["head"] < self.sentences["base"]).sum())

    @property
    def worse(self) -> int:
        """The number of sentences in which the head makes more errors."""
        return int((self.sentences["head"] > self.sentences["base"]).sum())

    @property
    def verdict(self) -> str:
        """What a person needs to know, in a sentence."""
        verdict = self.overall.verdict or "no evidence of a difference"
        text = f"{verdict} ({format_difference(self.overall.difference)})"
        for which in ("better", "worse"):
            if labels := [row.label for row in self.rows if row.verdict == which]:
                everything = len(labels) == len(self.rows)
                text += (
                    f"; {which} on {'every type and slice' if everything else ', '.join(labels)}"
                )
        return text


def format_difference(difference: Difference) -> str:
    """The difference in points of F1, its interval and p."""
    low, high = format_points(difference.low), format_points(difference.high)
    return f"ΔF1 {format_points(difference.delta)}, 95 % {low} … {high}, {format_p(difference.p)}"


def format_points(value: float) -> str:
    """A difference of fractions in hundredths, with its sign."""
    return f"{100 * value:+.2f}".replace("-", "\N{MINUS SIGN}")


def format_p(p: float) -> str:
    """A p value, as papers print it."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"


def compare_split(
    split: str, base: Sequence[pd.DataFrame], head: Sequence[pd.DataFrame]
) -> Comparison:
    """Compare the runs of two sides on a split.

    Args:
        split: its name
        base: metrics/sentences.csv of each run
        head: the same of the other side

    Raises:
        ValueError: they are not of the same sentences and gold entities, or there is one run on one
            side and several are on the other.
    """
    sides = [
        [table[table["split"] == split].reset_index(drop=True) for table in side]
        for side in (base, head)
    ]
    first = sides[0][0]
    gold = [f"type.{type_}.gold" for type_ in types_in(first)]
    incomparable = set()
    for table in (*sides[0], *sides[1]):
        same_types = types_in(table) == types_in(first)
        if not same_types or not table[PLACE + gold].equals(first[PLACE + gold]):
            raise ValueError("the two are not of the same sentences and gold entities")
        for name in SLICES:
            column = _column(name)
            both = column in table and column in first
            if not both or not table[column].equals(first[column]):
                incomparable.add(name)
    groups = [
        [
            _groups(table.drop(columns=list(map(_column, incomparable)), errors="ignore"))
            for table in side
        ]
        for side in sides
    ]
    names = list(groups[0][0])
    counts = [np.stack([[run[name] for name in names] for run in side]) for side in groups]
    supports = [int(groups[0][0][name][:, 2].sum()) for name in names]
    supports[:3] = [supports[0]] * 3  # for precision `gold` stands for what is predicted
    overall, *others = compare(counts[0], counts[1])
    ps = holm([difference.p for difference in others])
    rows = [Row(*row) for row in zip(map(_label, names[1:]), others, ps, supports[1:], strict=True)]
    sentences = first[PLACE].assign(
        **{
            name: np.mean([_errors(table) for table in side], axis=0)
            for name, side in zip(("base", "head"), sides, strict=True)
        }
    )
    sentences = sentences[sentences["base"] != sentences["head"]]
    runs = len(base), len(head)
    left_out = [_label(Group("slice", name)) for name in SLICES if name in incomparable]
    row = Row("F1", overall, overall.p, supports[0])
    return Comparison(split, runs, row, rows, sentences, left_out)


def _column(name: str) -> str:
    """The column that says what is in a slice."""
    return f"{name}.gold" if SLICES[name].level == "entity" else name


def _groups(table: pd.DataFrame) -> dict[Group, np.ndarray]:
    """The counts that each score is made of; those of F1, precision and recall of all first."""
    found = by_document(table)
    everything = found.pop(ALL)
    return {
        Group("all", "F1"): everything,
        Group("all", "precision"): everything[:, [0, 1, 1]],  # 2 · correct / (2 · predicted)
        Group("all", "recall"): everything[:, [0, 2, 2]],
        **found,
    }


def _label(group: Group) -> str:
    if group.level != "slice":
        return group.name
    slice_ = SLICES[group.name]
    return f"{slice_.label}{' (recall)' if slice_.measure == 'recall' else ''}"


def _errors(table: pd.DataFrame) -> np.ndarray:
    """The number of entities that each sentence lacks or has too many, [sentences]."""

    def total(what: str) -> np.ndarray:
        columns = [c for c in table.columns if c.startswith("type.") and c.endswith(f".{what}")]
        counts: np.ndarray = table[columns].to_numpy(np.int64)
        result: np.ndarray = counts.sum(axis=1)
        return result

    wrong: np.ndarray = total("predicted") + total("gold") - 2 * total("correct")
    return wrong
