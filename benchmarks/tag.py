"""How quickly text is tagged, how soon, and in how much memory.

Run as `python -m benchmarks.tag` after `dvc repro`, on an idle machine: `make bench`. The tagger of
data/tagger tags test of the corpus, once with ONNX Runtime in 8-bit integers, as it does unless
told otherwise, and once with PyTorch in single precision:

* from tokens to tags: the documents come with their sentences and tokens
* from raw text to JSON Lines: a file with a text a line is read, split, tagged and written, by what
  `python -m tagger apply` reads and writes with. Words are the corpus's tokens
* a short text, tagged in a process that has tagged others
* `python -m tagger apply` on the short text, from the command to its end
* the peak memory of `python -m tagger apply` on the file of all texts

Loading the tagger does not count in the first three. Rounds alternate between all that is measured,
and the quickest counts; of the short texts it is the median.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

from benchmarks import text
from benchmarks.process import machine
from benchmarks.text import RawText
from tagger import Document, Tagger
from tagger.formats.read import read_documents
from tagger.formats.write import jsonl_writer

ROUNDS = 3
FOLDER = Path("data/tagger")
SHORT = "Laura Osborne of Chase Bank flew to Bergen on Monday, the Norwegian Parliament said."
CALLS, COMMANDS = 300, 5  # with the short text
# Does what `python -m tagger` does, and says then how many KiB it had in memory at most (Linux).
# What `wait4` says of a process counts the memory of the one that started it, too.
COMMAND = """\
import re, sys
from pathlib import Path
from tagger.__main__ import main
status = main(sys.argv[1:])
print(*re.findall(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text()))
sys.exit(status)
"""


def taggers() -> dict[str, Tagger]:
    """The exported tagger on one thread, by what computes the scores."""
    return {
        "ONNX Runtime": Tagger.load(FOLDER, runtime="onnx", threads=1),
        "PyTorch": Tagger.load(FOLDER, runtime="torch", threads=1),
    }


def write_texts(documents: Sequence[RawText], path: Path) -> None:
    """Write the texts as JSON Lines."""
    lines = [json.dumps({"id": i, "text": each.text}) for i, each in enumerate(documents)]
    path.write_text("\n".join(lines), encoding="utf-8")


def sentences_a_second(tagger: Tagger, documents: Sequence[RawText]) -> float:
    """The number of sentences tagged a second, where tokens and sentences are given."""
    given = [Document(each.text, sentences=each.sentences) for each in documents]
    start = time.perf_counter()
    deque(tagger.tag(given), maxlen=0)
    return sum(len(each.sentences) for each in documents) / (time.perf_counter() - start)


def words_a_second(tagger: Tagger, words: int, source: Path, output: Path) -> float:
    """The number of words a second, from raw text in JSON Lines to entities in JSON Lines."""
    start = time.perf_counter()
    with output.open("w", encoding="utf-8") as file, jsonl_writer(file) as write:
        for document in tagger.tag(read_documents(str(source))):
            write(document)
    return words / (time.perf_counter() - start)


def words_of(documents: Sequence[RawText]) -> int:
    """The number of the corpus's tokens in some documents."""
    return sum(len(sentence) for each in documents for sentence in each.sentences)


def short_text(tagger: Tagger) -> float:
    """The median of the milliseconds that tagging the short text takes."""
    seconds = []
    for _ in range(CALLS):
        start = time.perf_counter()
        list(tagger.tag([SHORT]))
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds) * 1e3


def command() -> float:
    """The median of the seconds from the command to its end, with the short text."""
    seconds = []
    for _ in range(COMMANDS):
        start = time.perf_counter()
        apply = [sys.executable, "-m", "tagger", "apply", str(FOLDER), "-"]
        subprocess.run(apply, input=SHORT.encode(), capture_output=True, check=True)
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


def peak_memory(source: Path, output: Path, runtime: str) -> float:
    """The peak resident memory in MiB of the command on a file."""
    arguments = ["apply", str(FOLDER), str(source), "-o", str(output), "--force"]
    run = [sys.executable, "-c", COMMAND, *arguments, "--runtime", runtime]
    result = subprocess.run(run, capture_output=True, check=True, text=True)
    return int(result.stdout) / 1024


def main() -> None:
    """Measure, and print a table."""
    documents = text.read_documents("test")
    words = words_of(documents)
    rows: dict[str, list[list[float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        source, output = Path(folder, "texts.jsonl"), Path(folder, "tagged.jsonl")
        write_texts(documents, source)
        found = taggers()
        pairs = {name: (each, replace(each, threads=2)) for name, each in found.items()}
        for _ in range(ROUNDS):
            for runtime, pair in pairs.items():
                speeds = [sentences_a_second(each, documents) for each in pair]
                rows.setdefault(f"tokens to tags, sentences/s, {runtime}", []).append(speeds)
            for runtime, pair in pairs.items():
                speeds = [words_a_second(each, words, source, output) for each in pair]
                rows.setdefault(f"text to JSON Lines, words/s, {runtime}", []).append(speeds)
        milliseconds = {runtime: short_text(each) for runtime, each in found.items()}
        seconds = command()
        memory = [peak_memory(source, output, runtime) for runtime in ("onnx", "torch")]
    print(f"{machine()}, onnxruntime {version('onnxruntime')}")
    sentences = sum(len(each.sentences) for each in documents)
    print(f"{sentences:,} sentences of test, {words:,} words, the quickest of {ROUNDS} rounds\n")
    print(f"{'':44}{'1 thread':>10}{'2 threads':>10}")
    for name, each_round in rows.items():
        one, two = map(max, zip(*each_round, strict=True))
        print(f"{name:44}{one:10,.0f}{two:10,.0f}")
    print(f"\n{'':44}{'':>7}ONNX Runtime{'PyTorch':>10}")
    print(f"{'a short text, median':44}{'':7}", end="")
    print(f"{milliseconds['ONNX Runtime']:9.2f} ms{milliseconds['PyTorch']:7.2f} ms")
    print(f"{'the command on it, median':44}{'':7}{seconds:10.2f} s")
    print(f"{'peak resident memory of the command':44}{'':7}", end="")
    print(f"{memory[0]:8.0f} MiB{memory[1]:6.0f} MiB")


if __name__ == "__main__":
    main()
