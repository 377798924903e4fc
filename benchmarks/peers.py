"""Training and tagging beside flair and spaCy, in one run on one machine.

Run as `python -m benchmarks.peers PYTHON` after `dvc repro`, on an idle machine, where PYTHON is
that of an environment with both: `make bench-peers` sets one up. Rounds alternate, and the quickest
of each counts.

Beside flair: both train an epoch with a bidirectional LSTM of 256, a CRF and batches of 32 on two
threads, ours with all its other inputs too, and tag test from its tokens. Ours trains with the
instructions of dvc.yaml alone. It tags with the exported tagger: with ONNX Runtime in 8-bit
integers, and with PyTorch in single precision.

Beside spaCy: both read test as raw text from JSON Lines and write its entities to JSON Lines, ours
on two threads, spaCy with one process and with two. Of spaCy's model only the tokenizer and `ner`
are on. F1 is that of what both can find: persons, organisations and places, as spans of
characters of a type. spaCy's model was trained on OntoNotes, whose guidelines differ from CoNLL's,
and much of the difference is theirs. PERSON is counted as PER; GPE, LOC and FAC as LOC; other types
do not count. A "the" in front, which is part of a name in OntoNotes, is cut off (of "The Hague",
too: that costs less than it gains).
"""

import json
import re
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks import text
from benchmarks.process import ROOT, machine, run, run_stage
from benchmarks.tag import sentences_a_second, taggers, words_a_second, words_of, write_texts
from benchmarks.text import RawText

ROUNDS = 2
TYPES = {"PER", "ORG", "LOC"}
ARTICLE = re.compile(r"the\s+", re.IGNORECASE)
SPACY = {"PERSON": "PER", "ORG": "ORG", "GPE": "LOC", "LOC": "LOC", "FAC": "LOC"}


def f1(documents: Sequence[RawText], entities: Sequence[set[tuple[int, int, str]]]) -> float:
    """F1 of the entities found in each document, of the types in TYPES alone."""
    right = expected = 0
    for document, found in zip(documents, entities, strict=True):
        wanted = {entity for entity in document.entities if entity[2] in TYPES}
        right += len(wanted & found)
        expected += len(wanted)
    return 2 * right / (expected + sum(map(len, entities)))


def our_entities(tagged: Path) -> list[set[tuple[int, int, str]]]:
    """By document the entities of TYPES in JSON Lines: start, end and type."""
    return [
        {(each["start"], each["end"], each["label"]) for each in found if each["label"] in TYPES}
        for found in read_entities(tagged)
    ]


def spacy_entities(tagged: Path) -> list[set[tuple[int, int, str]]]:
    """The same of entities that spaCy found, as CoNLL would have them."""
    return [
        {
            (each["start"] + len(article[0] if article else ""), each["end"], label)
            for each in found
            for label in [SPACY.get(each["label"])]
            for article in [ARTICLE.match(each["text"])]
            if label
        }
        for found in read_entities(tagged)
    ]


def read_entities(tagged: Path) -> list[list[dict[str, Any]]]:
    """The entities of each line of JSON Lines."""
    lines = tagged.read_text(encoding="utf-8").split("\n")[:-1]
    return [json.loads(line)["entities"] for line in lines]


def main() -> None:
    """Measure, and print a table."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m benchmarks.peers PYTHON")
    python = sys.argv[1]
    documents = text.read_documents("test")
    words = words_of(documents)
    onnx, pytorch = (replace(tagger, threads=2) for tagger in taggers().values())
    rounds: list[list[tuple[float, float]]] = []  # of ours and theirs, by row
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, ours, theirs = (folder / f"{each}.jsonl" for each in ("texts", "ours", "theirs"))
        write_texts(documents, source)
        for number in range(ROUNDS):
            (folder / str(number)).mkdir()
            stage = run_stage(
                "train", folder / str(number), hidden=256, batch_size=32, epochs=1, threads=2
            )
            epoch = float(re.findall(r"([\d.]+) s of training", stage.output)[0])
            output = run([python, "benchmarks/flair_peer.py"], ROOT, {}).output
            flair = json.loads(output.splitlines()[-1])
            speeds = [sentences_a_second(tagger, documents) for tagger in (onnx, pytorch)]
            speed = words_a_second(onnx, words, source, ours)
            command = [python, "benchmarks/spacy_peer.py", str(source), str(theirs), str(words)]
            spacy = json.loads(run(command, ROOT, {}).output.splitlines()[-1])
            rounds.append(
                [
                    (-epoch, -flair["epoch"]),
                    *((each, flair["speed"]) for each in speeds),
                    *((speed, spacy["speeds"][processes]) for processes in ("1", "2")),
                ]
            )
        scores = f1(documents, our_entities(ours)), f1(documents, spacy_entities(theirs))
    best = [tuple(map(max, zip(*row, strict=True))) for row in zip(*rounds, strict=True)]
    print(f"{machine()}, onnxruntime {version('onnxruntime')}")
    print(f"{flair['version']}; {spacy['version']}; the quickest of {ROUNDS} rounds\n")
    print(f"{'':52}{'ours':>9}{'theirs':>9}{'ratio':>7}")
    names = (
        "flair: an epoch of training, seconds",
        "flair: tokens to tags, sentences/s",
        "flair: the same, ours with PyTorch",
        "spaCy, 1 process: raw text to JSON Lines, words/s",
        "spaCy, 2 processes: raw text to JSON Lines, words/s",
    )
    for row, (mine, other), digits in zip(names, best, (1, 0, 0, 0, 0), strict=True):
        print(f"{row:52}{abs(mine):9,.{digits}f}{abs(other):9,.{digits}f}{mine / other:7.2f}")
    print(f"{'spaCy: F1 of persons, organisations and places':52}{scores[0]:9.4f}{scores[1]:9.4f}")


if __name__ == "__main__":
    main()
