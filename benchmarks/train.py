"""How long an epoch of training takes, and how long its matrix products alone would.

Run as `python -m benchmarks.train` after `dvc repro index`, on an idle machine.

The stage itself trains for two epochs, of which the second counts, with a hidden size of 256, which
others report. The products are those of the LSTM, forwards and backwards, at the shapes of the same
batches: once with the directions side by side, as the stage runs them, and once in turn, on threads
that share each product, as PyTorch does. They run in a process of their own (`python -m
benchmarks.train SIZE`), with the stage's environment variables. Rounds alternate, since machines
are noisy, and the quickest counts.
"""

import json
import math
import re
import sys
import tempfile
import time
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from benchmarks.process import ROOT, machine, run, run_stage, variables_of
from tagger.encoding.split import Split, batches
from tagger.model.checkpoint import WEIGHTS
from tagger.model.threads import configure_threads, parallel_map

HIDDEN, BATCH_SIZE, ROUNDS = 256, 32, 3


def products(shapes: list[tuple[int, int]], size: int, executor: Executor | None) -> float:
    """The seconds that the products of an epoch take.

    Args:
        shapes: of each batch, the steps and the sentences
        size: of the LSTM's input
        executor: for both directions at a time
    """
    inputs, gates = torch.randn(size, 4 * HIDDEN), torch.randn(4 * HIDDEN, HIDDEN)
    most = max(steps * rows for steps, rows in shapes)
    values = [torch.randn(most, n) for n in (size, HIDDEN, 4 * HIDDEN)]

    def direction(shape: tuple[int, int]) -> None:
        # Input, states and the gradients of gates, by step
        x, h, d = (value[: math.prod(shape)].unflatten(0, shape) for value in values)
        steps = len(x)
        x = x.flatten(0, 1)
        x @ inputs
        for step in range(steps):
            h[step] @ gates.T
        for step in range(steps):
            d[step] @ gates
        flat = d.flatten(0, 1)
        flat @ inputs.T
        x.T @ flat
        h.flatten(0, 1).T @ flat

    start = time.perf_counter()
    for shape in shapes:
        parallel_map(executor, direction, (shape, shape))
    return time.perf_counter() - start


def time_products(size: int) -> None:
    """Print as JSON the seconds that the products of an epoch take, by how they are run."""
    split = Split.read(ROOT / "data/index/train.safetensors")
    cut = batches(split.lengths, BATCH_SIZE)
    shapes = [(int(split.lengths[some].max()), len(some)) for some in cut]
    side_by_side = products(shapes, size, configure_threads(2))
    torch.set_num_threads(2)
    shared = products(shapes, size, None)
    print(
        json.dumps(
            {
                "its products alone, two threads side by side": side_by_side,
                "its products alone, two threads that share each": shared,
            }
        )
    )


def main() -> None:
    """Measure, and print a table."""
    rows: dict[str, list[float]] = {}
    memory = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for _ in range(ROUNDS):
            for threads in (1, 2):
                changes: dict[str, Any] = {"hidden": HIDDEN, "batch_size": BATCH_SIZE, "epochs": 2}
                stage = run_stage("train", Path(folder), threads=threads, **changes)
                seconds = float(re.findall(r"([\d.]+) s of training", stage.output)[1])
                rows.setdefault(f"an epoch, threads: {threads}", []).append(seconds)
                memory = max(memory, stage.memory)
            weights = load_file(Path(folder, "data/model", WEIGHTS))
            size = weights["lstms.0.directions.0.weight_ih_l0"].shape[1]
            command = [sys.executable, "-m", "benchmarks.train", str(size)]
            alone = json.loads(run(command, ROOT, variables_of("train")).output)
            for name, seconds in alone.items():
                rows.setdefault(name, []).append(seconds)
    print(machine())
    print(f"hidden {HIDDEN}, batches of {BATCH_SIZE}, the quickest of {ROUNDS} rounds\n")
    best = {name: min(seconds) for name, seconds in rows.items()}
    epoch = best["an epoch, threads: 2"]
    for name, seconds in best.items():
        print(
            f"{name:50} {seconds:6.1f} s   an epoch on two threads is {epoch / seconds:4.2f} times"
        )
    print(f"\npeak resident memory of the stage: {memory:.2f} GiB")


if __name__ == "__main__":
    time_products(int(sys.argv[1])) if len(sys.argv) > 1 else main()
