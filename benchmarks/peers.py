"""Training and tagging beside flair, in one run on one machine.

Run as `python -m benchmarks.peers PYTHON` after `dvc repro`, on an idle machine, where PYTHON is
that of an environment with flair: `make bench-peers` sets one up. Both train an epoch with a
bidirectional LSTM of 256, a CRF and batches of 32 on two threads, ours with all its other inputs
too, and tag test from its tokens; ours trains with the instructions of dvc.yaml alone. Rounds
alternate, and the quickest of each counts.
"""

import json
import re
import sys
import tempfile
from pathlib import Path

from benchmarks.process import ROOT, machine, run, run_stage
from benchmarks.tag import TaggingSpeed

ROUNDS = 2


def main() -> None:
    """Measure, and print a table."""
    if len(sys.argv) != 2:
        sys.exit("usage: python -m benchmarks.peers PYTHON")
    ours: list[tuple[float, float]] = []
    theirs: list[tuple[float, float]] = []
    speed = TaggingSpeed()
    for _ in range(ROUNDS):
        with tempfile.TemporaryDirectory() as folder:
            output = run_stage(
                "train", Path(folder), hidden=256, batch_size=32, epochs=1, threads=2
            )
        seconds = re.findall(r"([\d.]+) s of training", output.output)
        ours.append((float(seconds[0]), speed.measure(2)))
        flair = run([sys.argv[1], "benchmarks/flair_peer.py"], ROOT, {}).output
        figures = json.loads(flair.splitlines()[-1])
        theirs.append((figures["epoch"], figures["speed"]))
    print(machine())
    print(f"the quickest of {ROUNDS} rounds\n")
    epochs = [min(row[0] for row in rows) for rows in (ours, theirs)]
    speeds = [max(row[1] for row in rows) for rows in (ours, theirs)]
    print(f"{'':22}{'ours':>9}{'flair':>9}{'ratio':>9}")
    print(f"{'epoch, seconds':22}{epochs[0]:9.1f}{epochs[1]:9.1f}{epochs[0] / epochs[1]:9.2f}")
    print(
        f"{'tagging, sentences/s':22}{speeds[0]:9,.0f}{speeds[1]:9,.0f}{speeds[0] / speeds[1]:9.1f}"
    )


if __name__ == "__main__":
    main()
