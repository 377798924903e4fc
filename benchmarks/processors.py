"""How far F1 moves where other threads or another processor add numbers in another order.

Run as `python -m benchmarks.processors` after `dvc repro`. Beside what that gave, the default is
trained and scored in a folder of its own with so many threads that they share sums, with all the
instructions that the processor knows, and with as few as the libraries that compute have variables
for. (On 1, 2 and 3 threads the bits are the same, which a test holds.)
"""

import json
import tempfile
from hashlib import sha256
from pathlib import Path

from benchmarks.process import ROOT, machine, run_stage
from tagger.model.tagger import WEIGHTS

SETTINGS: dict[str, tuple[int, dict[str, str] | None]] = {  # threads; variables, if not dvc.yaml's
    "all instructions": (2, {}),
    "SSE4": (
        2,
        {"ATEN_CPU_CAPABILITY": "default", "MKL_CBWR": "SSE4_2", "ONEDNN_MAX_CPU_ISA": "SSE41"},
    ),
    "4 threads": (4, None),
}


def tell(name: str, folder: Path) -> None:
    """Print the scores, and the hash of the weights, that a folder holds."""
    scores = json.loads((folder / "metrics/metrics.json").read_text(encoding="utf-8"))
    weights = sha256((folder / "data/model" / WEIGHTS).read_bytes()).hexdigest()[:8]
    validation, test = (scores[split]["f1"] for split in ("validation", "test"))
    print(f"{name:22}{validation:12.4f}{test:8.4f}   {weights}", flush=True)


def main() -> None:
    """Measure, and print a table."""
    print(f"{machine()}\n")
    print(f"{'':22}{'validation':>12}{'test':>8}   weights")
    tell("dvc repro", ROOT)
    for name, (threads, variables) in SETTINGS.items():
        with tempfile.TemporaryDirectory() as folder:
            for stage in ("train", "evaluate"):
                run_stage(stage, Path(folder), variables, threads=threads)
            tell(name, Path(folder))


if __name__ == "__main__":
    main()
