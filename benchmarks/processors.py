"""How far F1 moves where other threads or another processor add numbers in another order.

Run as `python -m benchmarks.processors` after `dvc repro`. The default is trained and scored in a
folder of its own as dvc.yaml has it, with other numbers of threads, with all the instructions that
the processor knows, and with as few as the libraries that compute have variables for.
"""

import json
import tempfile
from hashlib import sha256
from pathlib import Path

from benchmarks.process import machine, run_stage
from tagger.model import WEIGHTS

SETTINGS: dict[str, tuple[int, dict[str, str] | None]] = {  # threads; variables, if not dvc.yaml's
    "2 threads": (2, None),
    "1 thread": (1, None),
    "4 threads": (4, None),
    "2 threads, all instructions": (2, {}),
    "2 threads, SSE4": (
        2,
        {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "SSE4_2", "ONEDNN_MAX_CPU_ISA": "SSE41"},
    ),
}


def main() -> None:
    """Measure, and print a table."""
    print(f"{machine()}\n")
    print(f"{'':28}{'validation':>12}{'test':>8}{'train':>9}   weights")
    for name, (threads, variables) in SETTINGS.items():
        with tempfile.TemporaryDirectory() as folder:
            here = Path(folder)
            training = run_stage("train", here, variables, threads=threads)
            run_stage("evaluate", here, variables, threads=threads)
            scores = json.loads((here / "metrics/metrics.json").read_text(encoding="utf-8"))
            weights = sha256((here / "data/model" / WEIGHTS).read_bytes()).hexdigest()[:8]
        validation, test = (scores[split]["f1"] for split in ("validation", "test"))
        print(f"{name:28}{validation:12.4f}{test:8.4f}{training.seconds:7.0f} s   {weights}")


if __name__ == "__main__":
    main()
