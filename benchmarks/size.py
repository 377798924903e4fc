"""How the memory and the time of each stage grow with the corpus.

Run as `python -m benchmarks.size [SENTENCES]`; corpora of 10,000, 100,000 and 1,000,000 sentences
are made up, up to the size that is given. Eight tenths of a corpus are train; validation and test
are a tenth each. A document has 15 sentences, as in conllpp.

The stages run as processes of their own, with a small tagger and word vectors of 50 dimensions
that are random numbers: the corpora are for counting, not for scores.
"""

import argparse
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.process import machine, run_stage
from tagger.encoding.vocabulary import VECTORS, WORDS
from tagger.files import write_lines

SIZES = (10_000, 100_000, 1_000_000)  # sentences of all three splits
SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}
STAGES = ("download", "index", "train", "evaluate", "export")
CHANGES: dict[str, Any] = {
    "corpus": "size", "embeddings": "size",
    "hidden": 8, "filters": 8, "batch_size": 128, "epochs": 2,
}  # fmt: skip
# As many words and dimensions as glove-wiki-gigaword-50, which most people start with
WORD_COUNT, DIMENSION = 400_000, 50
DOCUMENT = 15  # sentences
BLOCK = 10_000  # sentences that are made at a time
# `%s` is any word; a tag stands after the slash, and O where there is none.
TEMPLATES = (
    "%s/B-PER %s/I-PER , %s of %s/B-ORG %s/I-ORG %s/I-ORG , said on %s that %s %s had %s .",
    "The %s of %s/B-LOC %s %s %s to %s %s %s .",
    "%s/B-ORG shares %s %s in %s/B-LOC on %s , while %s/B-ORG %s %s , %s %s and %s .",
    "%s/B-LOC %s %s",
    "In %s/B-LOC %s/I-LOC , the %s/B-MISC %s %s %s %s a %s against %s/B-PER %s/I-PER .",
    "%s %s %s the %s %s , and %s the %s of the %s %s %s with %s %s .",
)


def sentences(count: int, random: np.random.Generator) -> Iterator[str]:
    """The lines of made-up sentences, each with the empty line after it.

    Words are frequent by the reciprocal of their rank (Zipf), so the number of token types grows
    with the corpus. Those of entities begin with a capital.
    """
    forms = []
    for template in TEMPLATES:
        pairs = [word.split("/") if "/" in word else (word, "O") for word in template.split(" ")]
        lines = [f"{word} {tag}" for word, tag in pairs]
        slots = [tag != "O" for word, tag in pairs if word == "%s"]
        forms.append(("\n".join((*lines, "", "")), slots))
    for start in range(0, count, BLOCK):
        chosen = random.integers(len(forms), size=min(BLOCK, count - start))
        total = sum(len(forms[form][1]) for form in chosen)
        words = iter(np.exp(random.random(total) * np.log(WORD_COUNT)).astype(int).tolist())
        for form in chosen:
            lines, slots = forms[form]
            yield lines % tuple(f"{'W' if s else 'w'}{next(words)}" for s in slots)


def make_corpus(folder: Path, count: int) -> None:
    """Write the three files of a corpus of some number of sentences."""
    folder.mkdir(parents=True)
    random = np.random.default_rng(count)
    for split, share in SHARES.items():
        with (folder / f"{split}.conll").open("w", encoding="utf-8", newline="\n") as file:
            for number, sentence in enumerate(sentences(round(count * share), random)):
                if number % DOCUMENT == 0:
                    file.write("-DOCSTART- O\n\n")
                file.write(sentence)


def make_vectors(folder: Path) -> None:
    """Write word vectors of random numbers, as the stage `embed` writes what it reads."""
    folder.mkdir(parents=True)
    write_lines(folder / WORDS, [f"w{rank}" for rank in range(1, WORD_COUNT + 1)])
    vectors = np.random.default_rng(0).standard_normal((WORD_COUNT, DIMENSION), np.float32)
    np.save(folder / VECTORS, vectors)


def main() -> None:
    """Measure, and print a row for each stage."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("sentences", type=int, nargs="?", default=SIZES[-1])
    largest = parser.parse_args().sentences
    if largest < 10:
        parser.error(f"{largest} sentences do not make three splits: give 10 or more")
    sizes = [size for size in SIZES if size <= largest] or [largest]
    rows = {}
    for size in sizes:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            make_corpus(folder / "data/inputs/corpora/size", size)
            make_vectors(folder / "data/embeddings")
            for stage in STAGES:
                rows[stage, size] = run_stage(stage, folder, **CHANGES)
                memory, seconds = rows[stage, size].memory, rows[stage, size].processor_seconds
                print(f"{size:,}: {stage}: {memory:.2f} GiB, {seconds:.0f} s", file=sys.stderr)
    print(machine())
    print(f"\n{'peak memory in GiB, seconds of CPU':36}", *(f"{size:>20,}" for size in sizes))
    for stage in STAGES:
        cells = (rows[stage, size] for size in sizes)
        texts = (f"{cell.memory:.2f} GiB {cell.processor_seconds:5.0f} s" for cell in cells)
        print(f"{stage:36}", *(f"{text:>20}" for text in texts))


if __name__ == "__main__":
    main()
