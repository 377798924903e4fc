"""How far F1 moves where numbers are added in another order, as on other processors.

Run as `python -m benchmarks.processors` after `dvc repro`: `make bench-processors`. The first row
is what that gave. For each other row, the default is trained and scored in a folder of its own:
with what MKL computes for AVX2, which is not the same on Intel's and on AMD's processors; with all
the instructions that the processor knows; with as few of them as PyTorch, MKL and oneDNN can be
limited to; and with so many threads that they share sums (1, 2 and 3 threads give the same bits).
"""

import json
import tempfile
from hashlib import sha256
from pathlib import Path

from benchmarks.process import ROOT, machine, run_stage, variables_of
from tagger.model.checkpoint import WEIGHTS

# For each row the number of threads, and the environment variables (None: those of dvc.yaml).
SETTINGS: dict[str, tuple[int, dict[str, str] | None]] = {
    "MKL_CBWR=AVX2": (2, variables_of("train") | {"MKL_CBWR": "AVX2"}),
    "all instructions": (2, {}),
    "SSE4": (
        2,
        {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "SSE4_2", "ONEDNN_MAX_CPU_ISA": "SSE41"},
    ),
    "4 threads": (4, None),
}


def print_row(name: str, folder: Path) -> None:
    """Print the scores in a folder, and the first digits of the SHA-256 of its weights."""
    scores = json.loads((folder / "metrics/metrics.json").read_text(encoding="utf-8"))
    weights = sha256((folder / "data/model" / WEIGHTS).read_bytes()).hexdigest()[:8]
    validation, test = (scores[split]["f1"] for split in ("validation", "test"))
    print(f"{name:22}{validation:12.4f}{test:8.4f}   {weights}", flush=True)


def main() -> None:
    """Train and score with each setting, and print a table."""
    print(f"{machine()}\n")
    print(f"{'':22}{'validation':>12}{'test':>8}   weights")
    print_row("dvc repro", ROOT)
    for name, (threads, variables) in SETTINGS.items():
        with tempfile.TemporaryDirectory() as folder:
            for stage in ("train", "evaluate"):
                run_stage(stage, Path(folder), variables, threads=threads)
            print_row(name, Path(folder))


if __name__ == "__main__":
    main()
