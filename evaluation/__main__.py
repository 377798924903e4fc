"""Score the predictions of any tagger: `python -m evaluation FILE`."""

import argparse
import sys
from pathlib import Path

from evaluation.results import (
    format_scores,
    read_predictions,
    score_predictions,
    write_report,
    write_results,
)
from evaluation.slices import SLICES, Train
from tagger.corpus.conll import check_tags, read_conll
from tagger.files import InputError, atomic_output

DESCRIPTION = """\
Score the entities in a file of predictions, and optionally write a report of the errors.

FILE is in CoNLL format: a token a line, with white space between the columns. The first column is
the token, the last but one its gold tag, the last its predicted tag; others are ignored. An empty
line ends a sentence. A line that begins with -DOCSTART- begins a document; without any, each
sentence counts as a document. Tags may be in IOB1, IOB2 or BIOES (O, B-PER, I-PER, E-PER, S-PER).

Precision, recall and F1 are those of conlleval, which takes an entity to start where the type
changes, also in a sequence that the scheme does not allow, such as O I-PER in IOB2. If predicted
tags have transitions that the scheme of the gold tags does not allow, their number is printed: a
scorer that reads the tags strictly as that scheme may give other scores.
"""


def main() -> None:
    """Score a file; bad input ends the process with one line on standard error and status 1."""
    parser = argparse.ArgumentParser(
        prog="python -m evaluation",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="the predictions")
    parser.add_argument(
        "--train",
        type=Path,
        metavar="TRAIN",
        help="the sentences that the tagger was trained on, in CoNLL format (token first, tag "
        "last), to score seen and unseen entities and new sentences",
    )
    parser.add_argument(
        "--report",
        type=Path,
        metavar="FOLDER",
        help="write index.html (the report), metrics.json, confusion.csv, intervals.csv and "
        "sentences.csv to this folder",
    )
    arguments = parser.parse_args()
    try:
        evaluate_file(arguments.file, arguments.train, arguments.report)
    except (InputError, OSError) as error:
        sys.exit(f"evaluation: {error}")


def read_train(path: Path) -> Train:
    """Collect what occurs in a CoNLL file with a token first and its tag last in each line.

    Raises:
        InputError: the file is malformed, or an entry of its last column is no tag.
    """
    sentences = read_conll(str(path), path.read_bytes())
    check_tags(sentences)
    return Train.of((s.tokens for s in sentences), (s.tags for s in sentences))


def evaluate_file(file: Path, train: Path | None, report: Path | None) -> None:
    """Print the scores of a file of predictions, and write them and the report to a folder.

    Args:
        file: token, gold tag and predicted tag a line
        train: token and tag a line; without, the slices that need it are left out
        report: a folder, made if it is not there; without, nothing is written

    Raises:
        InputError: a file is malformed, or there is no gold entity.
    """
    predictions = read_predictions(file)
    if all(tag == "O" for tags in predictions.gold for tag in tags):
        raise InputError(
            f"{file} has no gold entity: all tags of its last but one column are O; there is "
            "nothing to score. Is the column of gold tags missing?"
        )
    known = None if train is None else read_train(train)
    results = {file.stem: score_predictions(predictions, known)}
    print(format_scores(file.stem, results[file.stem]))
    if known is None:
        labels = ", ".join(slice_.label for slice_ in SLICES.values() if slice_.needs_train)
        print(f"Without --train these are not scored: {labels}.")
    if report is None:
        return
    report.mkdir(parents=True, exist_ok=True)
    with (
        atomic_output(report / "metrics.json") as metrics,
        atomic_output(report / "confusion.csv") as confusion,
        atomic_output(report / "intervals.csv") as intervals,
        atomic_output(report / "sentences.csv") as sentences,
        atomic_output(report / "index.html") as page,
    ):
        write_results(results, metrics, confusion, intervals, sentences)
        write_report(results, page, known, curve=None)
    print(f"The report is {report / 'index.html'}.")


if __name__ == "__main__":
    main()
