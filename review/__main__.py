"""Compare two commits: what differs, how the scores differ, and whether that is more than chance.

Run as `python -m review [--base REV …] [--head REV …] [--check]`: `make review BASE=main`. It reads
what git tracks, so it needs neither the corpus nor a model. It prints Markdown, and writes it to
.review/review.md, for a comment on a pull request, and as a page to .review/review.html. With
several runs on each side, named as revisions or experiments with other seeds, the test is of the
change and not of two runs alone.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import combinations, groupby
from pathlib import Path
from typing import Any

from jinja2 import Environment, Template

from evaluation.report import describe, page_environment
from review.compare import Comparison, compare_split, format_p, format_points
from review.escape import markdown, terminal
from review.lock import Lock, read_lock
from review.revision import (
    SENTENCES,
    WORKING_TREE,
    Revision,
    changed_code,
    changed_hashes,
    changed_parameters,
    end_on_signals,
    find_root,
    git,
)  # fmt: skip
from tagger.corpus.tags import spans
from tagger.files import InputError, atomic_output

OUTPUT = Path(".review")
EXPERIMENTS = "refs/exps/*/*/*"
FREE_PARAMETERS = {"seed", "threads", "device"}  # in which the runs of one side may differ
MAX_SENTENCES = 300  # on the page


@dataclass
class Review:
    """What the templates show. What could not be found out stays empty, and a note says why.

    base and head name the runs of each side; `parameters` and `code` are those of the first run of
    each side (`changed_parameters`, `changed_code`), `metrics` those of `changed_metrics`.
    """

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
    """Compare the runs of two sides. The first of each stands for its parameters and code.

    Args:
        root: of the repository
        bases: the names of the base's runs
        heads: those of the head's runs; the working tree if there are none

    Raises:
        InputError: a name stands for no revision or is there twice, or a file of a revision cannot
            be read. (An unknown base is not an error, but a note.)
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
        commits = [run.commit for run in side]
        for run in side:
            if commits.count(run.commit) > 1:
                raise InputError(f"{run} stands twice on one side: name each run once")
    found.base, found.compared = ", ".join(map(str, base)), True
    found.parameters = changed_parameters(base[0], head[0])
    found.code = changed_code(base[0], head[0])
    found.metrics = changed_metrics(base, head)
    if not found.parameters and not found.code:
        found.notes += unexplained_results(base[0], head[0])
    found.notes += limits_of_comparison(base, head)
    try:
        tables = {run: run.sentences() for run in (*base, *head)}
    except InputError as error:
        found.notes.append(f"No test of the differences: {error}.")
        return found
    known = {run: table for run, table in tables.items() if table is not None}
    if without := [str(run) for run in tables if run not in known]:
        found.notes.append(
            f"No test of the differences: there is no {SENTENCES} in {', '.join(without)}, which "
            "evaluation did not write then. Reproduce it there with today's code, or compare "
            "commits that have it."
        )
        return found
    try:
        base_tables, head_tables = ([known[run] for run in side] for side in (base, head))
        for split in base_tables[0]["split"].unique():
            found.comparisons.append(compare_split(split, base_tables, head_tables))
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
    for side in (base, head):
        for run, other in combinations(side, 2):
            if known[run].equals(known[other]):
                found.notes.append(
                    f"{run.name} and {other.name} predict the same: two runs of one seed? As two "
                    "runs of a side they make the noise of training look smaller."
                )
    return found


def changed_metrics(
    base: Sequence[Revision], head: Sequence[Revision]
) -> list[tuple[str, float | None, float | None]]:
    """The values of metrics.json that differ: path, mean over the base's runs, over the head's.

    A mean is None if not all runs of the side have the value.
    """

    def mean(side: Sequence[Revision]) -> dict[str, float]:
        runs = [revision.metrics() for revision in side]
        paths = [path for path in runs[0] if all(path in run for run in runs)]
        return {path: sum(run[path] for run in runs) / len(runs) for path in paths}

    old, new = mean(base), mean(head)
    rows = [(path, old.get(path), new.get(path)) for path in dict.fromkeys([*old, *new])]
    return [row for row in rows if row[1] != row[2]]


def unexplained_results(base: Revision, head: Revision) -> list[str]:
    """A note on results that differ although nothing in git that shapes them does, or no note."""
    outs = changed_hashes(base, head, "outs")
    if not outs:
        return []
    found = (
        "No parameter, code, input or version in git differs, but these results do: "
        f"{', '.join(outs)}."
    )
    if inputs := [dep for dep in changed_hashes(base, head, "deps") if dep not in outs]:
        return [
            f"{found} By dvc.lock they were made from another {', '.join(inputs)}: from files that "
            "git does not track, or dvc.lock is not current in one of the two."
        ]
    return [
        f"{found} They were made on different kinds of machine, or from something that is not "
        "tracked. `make fingerprint` says whether your machine computes the committed bits, and "
        "`make verify` whether a commit gives its results there."
    ]


def limits_of_comparison(base: Sequence[Revision], head: Sequence[Revision]) -> list[str]:
    """Notes on what the comparison cannot tell: of commits, of a side's runs, of the seed."""
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
            differing = set(changed_parameters(side[0], other)) - FREE_PARAMETERS
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
    templates.filters |= {"points": format_points, "p": format_p, "number": number}
    return templates


@cache
def load_markdown(escape: Callable[[object], str]) -> Template:
    """The template of the review in Markdown, which shows each value by way of `escape`.

    `escape` is a function of review.escape. The template takes `review`, and `is_short`, which
    leaves out the values of metrics.json.
    """
    return load_templates().overlay(finalize=escape).get_template("review.md.jinja")


def number(value: float | None) -> str:
    """Write a value of metrics.json; a dash where there is none."""
    if value is None:
        return "\N{EN DASH}"
    return f"{value:.4f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def align(text: str) -> str:
    """Pad the cells of the tables in a Markdown text to the width of their column."""
    lines: list[str] = []
    for is_table, block in groupby(text.splitlines(), lambda line: line.startswith("|")):
        if not is_table:
            lines += block
            continue
        rows = [[text.strip() for text in line.split("|")[1:-1]] for line in block]
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
        SystemExit: an input cannot be used; or, with --check, dvc.lock is not current or nothing
            could be compared.
    """
    parser = argparse.ArgumentParser(prog="python -m review", description=__doc__)
    parser.add_argument("--base", nargs="+", default=["main"], metavar="REV")
    parser.add_argument("--head", nargs="+", default=[], metavar="REV")
    parser.add_argument(
        "--check", action="store_true", help="exit 1 if dvc.lock is stale, or BASE is not there"
    )
    arguments = parser.parse_args()
    end_on_signals()
    try:
        root = find_root()
        if (root / OUTPUT).is_symlink():
            raise InputError(f"{OUTPUT} is a symbolic link: remove it, the review is written there")
        found = review(root, arguments.base, arguments.head)
        page = load_templates().get_template("review.html.jinja")
        html = page.render(review=found, max_sentences=MAX_SENTENCES)
        contents = {
            "review.md": load_markdown(markdown).render(review=found, is_short=False),
            "review.html": html,
        }
        for name, content in contents.items():
            with atomic_output(root / OUTPUT / name) as file:
                # A YAML or JSON text can hold what UTF-8 cannot: half a pair of surrogates.
                file.write_text(content, encoding="utf-8", errors="backslashreplace")
    except (InputError, OSError) as error:
        sys.exit(f"review: {terminal(error)}")
    text = load_markdown(terminal).render(review=found, is_short=True)
    print(align(text.rstrip()), flush=True)
    print(f"\nWritten to {OUTPUT}/review.md and {OUTPUT}/review.html.", file=sys.stderr)
    if arguments.check and (found.lock.stale or not found.compared):
        sys.exit(1)


if __name__ == "__main__":
    main()
