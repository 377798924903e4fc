"""How tagging with Ray grows: time and memory by documents and by actors.

Run as `python -m benchmarks.mass` after `make mass` and `dvc repro`, on an idle machine with two or
more CPUs; it takes some minutes. The documents are two sentences each, made from templates, in
parquet files of 5,000. Time is that of the whole command, with the start of Ray and of the actors.
Memory is the peak of what all its processes have together, where a page that several share counts
once (their proportional set size, on Linux).
"""

import random
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.process import ROOT, machine

MODULE = "tagger.mass"
RUNS = ((1, 10_000), (1, 100_000), (2, 10_000), (2, 100_000), (2, 400_000))  # actors, documents
FILE = 5_000  # documents of a file

PEOPLE = ("Maria Lopez", "John Smith", "Peter van Dijk", "Anna Kowalska", "Chen Wei", "O. Okafor")
PLACES = ("Berlin", "New York", "Lagos", "Buenos Aires", "the Netherlands", "Seoul", "U.S.")
COMPANIES = ("Acme Corp.", "Northern Rail", "Banco Azul", "Tanaka Steel Ltd", "Blue Ocean Lines")
SENTENCES = (
    "{person} of {company} said on Monday that the talks in {place} would go on.",
    "{company} will open an office in {place} next year, a spokesman for {person} said.",
    "Shares of {company} rose 2.5 percent to 31.20 after a report from {place}.",
    "In {place}, {person} won the second match 6-4 and met the German champion.",
)


def write_documents(folder: Path, count: int) -> None:
    """Write texts of two sentences, the same in every run, to parquet files in a new folder."""
    generator = random.Random(1)
    folder.mkdir()
    for start in range(0, count, FILE):
        texts = [
            " ".join(
                generator.choice(SENTENCES).format(
                    person=generator.choice(PEOPLE),
                    company=generator.choice(COMPANIES),
                    place=generator.choice(PLACES),
                )
                for _ in range(2)
            )
            for _ in range(FILE)
        ]
        table = pa.table({"id": range(start, start + FILE), "text": texts})
        pq.write_table(table, folder / f"{start:09}.parquet")


def measure(tagger: Path, actors: int, count: int) -> tuple[float, float]:
    """Tag documents; the seconds that it took, and the peak memory in GiB.

    Raises:
        SystemExit: the command failed.
    """
    with tempfile.TemporaryDirectory() as folder:
        write_documents(Path(folder, "in"), count)
        command = [sys.executable, "-m", MODULE, str(tagger), f"{folder}/in"]
        command += [f"{folder}/out", "--actors", str(actors)]
        start, peak = time.perf_counter(), 0.0
        with Path(folder, "log").open("w+b") as log:
            process = psutil.Popen(command, cwd=ROOT, stdout=log, stderr=log)
            while process.poll() is None:
                peak = max(peak, memory(process))
                time.sleep(0.5)
            seconds = time.perf_counter() - start
            if process.returncode:
                log.seek(0)
                sys.exit(log.read().decode())
        tagged = pq.read_table(f"{folder}/out", columns=["id"]).num_rows
        if tagged != count:
            sys.exit(f"{tagged} of {count} documents are in the output")
    return seconds, peak / 2**30


def memory(process: psutil.Process) -> float:
    """The bytes that a process and all that it has started have together."""
    total = 0
    for each in [process, *process.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            total += each.memory_full_info().pss
    return total


def main() -> None:
    """Measure, and print a table."""
    tagger = Path(sys.argv[1] if len(sys.argv) > 1 else "data/tagger").resolve()
    print(f"{machine()}\n\nactors  documents  seconds  documents/s  peak memory", flush=True)
    seconds = {}
    for actors, count in RUNS:
        seconds[actors, count], peak = measure(tagger, actors, count)
        rate = count / seconds[actors, count]
        print(
            f"{actors:6} {count:10,} {seconds[actors, count]:8.1f} {rate:12,.0f} {peak:8.2f} GiB",
            flush=True,
        )
    print("\ndocuments/s once all have started, from the two longest runs with as many actors:")
    for actors in sorted({actors for actors, _ in RUNS}):
        *_, fewer, more = sorted(count for each, count in RUNS if each == actors)
        rate = (more - fewer) / (seconds[actors, more] - seconds[actors, fewer])
        print(f"{actors:6} {rate:,.0f}")


if __name__ == "__main__":
    main()
