"""What a change does to the tagger, whether it is real, and whether the numbers are the code's.

Run as `python -m review [--base REV …] [--head REV …] [--check]`: `make review BASE=main`. It reads
what git tracks, so it needs neither the corpus nor a model, prints Markdown, and writes it to
.review/review.md, for a comment on a pull request, and as a page to .review/review.html. Several
runs of a side (seeds, as names of experiments) make the test one of training, not of two runs.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import combinations, groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment

from evaluation.report import describe, page_environment
from review.compare import Comparison, compare_split, p_of, points
from review.lock import Lock, read_lock
from review.revision import (
    SENTENCES,
    WORKING_TREE,
    Revision,
    changed_code,
    changed_parameters,
    find_root,
    git,
)  # fmt: skip
from tagger.corpus.tags import spans
from tagger.files import InputError, atomic_output

OUTPUT = Path(".review")
EXPERIMENTS = "refs/exps/*/*/*"
NOT_THE_MODEL = {"seed", "threads", "device"}  # what runs of one side may differ in
MOST = 300  # sentences on the page


@dataclass
class Review:
    """All that a reviewer is told; what could not be found out stays empty, and is noted."""

    base: str
    head: str
    lock: Lock
    compared: bool = False
    parameters: dict[str, tuple[str | None, str | None]] = field(default_factory=dict)
    code: dict[str, list[str]] = field(default_factory=dict)
    comparisons: list[Comparison] = field(default_factory=list)
    metrics: list[tuple[str, float | None, float | None]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    sentences: list[dict[str, Any]] = field(default_factory=list)


def review(root: Path, bases: Sequence[str], heads: Sequence[str]) -> Review:
    """Compare the runs of two sides; the first of each stands for its parameters and code.

    Raises:
        InputError: a name stands for no revision, or a file of one cannot be read.
    """
    head = [Revision.find(root, name) for name in heads] or [Revision(root, WORKING_TREE, None)]
    found = Review(", ".join(bases), ", ".join(map(str, head)), read_lock(head[0]))
    try:
        base = [Revision.find(root, name) for name in bases]
    except InputError as error:
        found.notes.append(f"Nothing can be compared: {error}.")
        found.metrics = [(path, None, value) for path, value in head[0].metrics().items()]
        return found
    for side in (base, head):
        commits = [some.commit for some in side]
        for some in side:
            if commits.count(some.commit) > 1:
                raise InputError(f"{some} stands twice on one side: name each run once")
    found.base, found.compared = ", ".join(map(str, base)), True
    found.parameters = changed_parameters(base[0], head[0])
    found.code = changed_code(base[0], head[0])
    found.metrics = changed_metrics(base, head)
    found.notes += doubts(base, head)
    tables = [[some.sentences() for some in side] for side in (base, head)]
    lacking = [
        str(some)
        for side, several in zip((base, head), tables, strict=True)
        for some, table in zip(side, several, strict=True)
        if table is None
    ]
    if lacking:
        found.notes.append(
            f"No test of the differences: there is no {SENTENCES} in {', '.join(lacking)}, which "
            "evaluation did not write then. Reproduce it there with today's code, or compare "
            "commits that have it."
        )
        return found
    known = [[table for table in side if table is not None] for side in tables]
    try:
        for split in known[0][0]["split"].unique():
            found.comparisons.append(compare_split(split, *known))
    except ValueError as error:
        found.comparisons.clear()
        found.notes.append(f"No test of the differences: {error}.")
    for comparison in found.comparisons:
        found.sentences += differing_sentences(comparison, base[0], head[0])
        if comparison.incomparable_slices:
            found.notes.append(
                f"Not compared on {comparison.split}, since the two sides have other entities or "
                f"sentences in them: {', '.join(comparison.incomparable_slices)}. Is train another?"
            )
    for side, several in zip((base, head), known, strict=True):
        for (some, table), (other, same) in combinations(zip(side, several, strict=True), 2):
            if table.equals(same):
                found.notes.append(
                    f"{some.name} and {other.name} predict the same: two runs of one seed? As two "
                    "runs of a side they make the noise of training look smaller."
                )
    return found


def changed_metrics(
    base: Sequence[Revision], head: Sequence[Revision]
) -> list[tuple[str, float | None, float | None]]:
    """The values of metrics.json that differ: path, and the means over each side's runs."""

    def mean(side: Sequence[Revision]) -> dict[str, float]:
        runs = [some.metrics() for some in side]
        paths = [path for path in runs[0] if all(path in run for run in runs)]
        return {path: sum(run[path] for run in runs) / len(runs) for path in paths}

    old, new = mean(base), mean(head)
    rows = [(path, old.get(path), new.get(path)) for path in dict.fromkeys([*old, *new])]
    return [row for row in rows if row[1] != row[2]]


def doubts(base: Sequence[Revision], head: Sequence[Revision]) -> list[str]:
    """What a reader must know to read the comparison rightly."""
    notes = []
    root = base[0].root
    tip = head[0].commit or "HEAD"
    assert base[0].commit
    behind = git(root, "rev-list", "--count", base[0].commit, f"^{tip}").strip()
    # An experiment is a commit of its own beside its branch, and never behind.
    if behind != "0" and not git(root, "for-each-ref", "--points-at", base[0].commit, EXPERIMENTS):
        notes.append(
            f"{base[0].name} has commits that {head[0].name} lacks ({behind}): "
            "some of the differences may be theirs. Rebase or merge first."
        )
    for side in (base, head):
        for other in side[1:]:
            differing = set(changed_parameters(side[0], other)) - NOT_THE_MODEL
            if differing or changed_code(side[0], other):
                what = ", ".join(sorted(differing)) or "code"
                notes.append(
                    f"{side[0].name} and {other.name} stand for one side, but differ in {what}: "
                    "their spread is not that of the seed alone."
                )
    if len(base) == len(head) == 1:
        notes.append(
            "Each side is one run. A test of one run each says whether these two runs differ; it "
            "says nothing of the noise of training, and another seed moves F1 by tenths of a "
            "point. To test the change itself, name runs of several seeds on both sides."
        )
    return notes


def differing_sentences(
    comparison: Comparison, base: Revision, head: Revision
) -> list[dict[str, Any]]:
    """The sentences of a comparison that differ, if predictions of a side are on this machine.

    Returns:
        for each sentence its split, document and number (`sentence`); `wrong_entities`, how many
        entities are missed or made up by `base` and by `head`; and what `describe` returns for
        those sides whose predictions are here
    """
    sides = {"base": base.predictions(comparison.split), "head": head.predictions(comparison.split)}
    rows = comparison.sentences.to_dict("records")
    last = max((row["sentence"] for row in rows), default=-1)
    known = {name: side for name, side in sides.items() if side is not None and len(side) > last}
    found = []
    for row in rows if known else []:
        columns = {name: side[row["sentence"]] for name, side in known.items()}
        tokens, gold, _ = next(iter(columns.values()))
        place = {"split": comparison.split} | {key: row[key] for key in ("document", "sentence")}
        wrong_entities = {name: row[name] for name in sides}
        predicted = {name: spans(tags) for name, (_, _, tags) in columns.items()}
        sentence = describe(tokens, spans(gold), predicted)
        found.append({**place, "wrong_entities": wrong_entities, **sentence})
    return found


def load_templates() -> Environment:
    """The templates beside this file, with the filters that they use."""
    templates = page_environment(Path(__file__).parent)
    templates.filters |= {"points": points, "p_of": p_of, "number": number, "cell": cell}
    return templates


def number(value: float | None) -> str:
    """A value of metrics.json; a dash where there is none."""
    if value is None:
        return "\N{EN DASH}"
    return f"{value:.4f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def cell(value: str | None) -> str:
    """A value of params.yaml as the cell of a Markdown table; a dash where there is none."""
    return "\N{EN DASH}" if value is None else str(value).replace("|", r"\|")


def align(text: str) -> str:
    """Markdown with the cells of its tables padded to the width of their column."""
    lines: list[str] = []
    for is_table, some in groupby(text.splitlines(), lambda line: line.startswith("|")):
        if not is_table:
            lines += some
            continue
        rows = [[text.strip() for text in re.split(r"(?<!\\)\|", line)[1:-1]] for line in some]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = [
                "-" * width if set(text) == {"-"} else text.ljust(width)
                for text, width in zip(row, widths, strict=True)
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Print and write the review.

    Raises:
        SystemExit: with --check, dvc.lock is not current or nothing could be compared; or a file of
            a revision cannot be read.
    """
    parser = argparse.ArgumentParser(prog="python -m review", description=__doc__)
    parser.add_argument("--base", nargs="+", default=["main"], metavar="REV")
    parser.add_argument("--head", nargs="+", default=[], metavar="REV")
    parser.add_argument(
        "--check", action="store_true", help="exit 1 if dvc.lock is stale, or BASE is not there"
    )
    arguments = parser.parse_args()
    templates = load_templates()
    try:
        root = find_root()
        found = review(root, arguments.base, arguments.head)
        text = templates.get_template("review.md.jinja").render(review=found)
        page = templates.get_template("review.html.jinja").render(review=found, most=MOST)
        for path, content in (("review.md", text), ("review.html", page)):
            with atomic_output(root / OUTPUT / path) as file:
                file.write_text(content, encoding="utf-8")
    except InputError as error:
        sys.exit(f"review: {error}")
    print(align(text.split("<details>")[0].rstrip()), flush=True)
    print(f"\nWritten to {OUTPUT}/review.md and {OUTPUT}/review.html.", file=sys.stderr)
    if arguments.check and (found.lock.stale or not found.compared):
        sys.exit(1)


if __name__ == "__main__":
    main()
