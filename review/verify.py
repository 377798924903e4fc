"""Are the results of a commit what its code gives? Every stage runs again, elsewhere, from nothing.

Run as `python -m review.verify [--tolerance X] [REVISION]`: `make verify`. It prints which outs of
dvc.lock came out the same, byte by byte, and by how much each metric moved. It ends with status 0
if all are identical, or if no score moved by more than the tolerance.
"""

import argparse
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from review.lock import clone_at
from review.revision import METRICS, WORKING_TREE, Revision, find_root, git, hashes
from tagger.files import InputError


class Out(NamedTuple):
    """What became of an output."""

    path: str
    stage: str
    verdict: str


class Move(NamedTuple):
    """A value of metrics.json that came out different; None: it is not there."""

    path: str
    old: float | None
    new: float | None

    @property
    def amount(self) -> float:
        """By how much it moved."""
        return float("inf") if self.old is None or self.new is None else abs(self.new - self.old)


def verify(root: Path, name: str) -> tuple[list[Out], list[Move]]:
    """Run a revision's pipeline in a clone, and compare: all outs, and the metrics that moved.

    Raises:
        InputError: there is no such revision, it has no dvc.lock, or a stage fails.
    """
    for variable in ("CONLLPP_MIRROR", "GENSIM_DATA_DIR"):
        value = os.environ.get(variable, "/")
        if "://" not in value and not Path(value).is_absolute():
            raise InputError(f"{variable}: {value!r} is relative, and means nothing in a clone")
    revision = Revision.find(root, name)
    assert revision.commit  # a name is no working tree
    locked = revision.yaml("dvc.lock").get("stages")
    if not locked:
        raise InputError(f"there is no dvc.lock in {name}: run dvc repro, and commit what it makes")
    if git(root, "status", "--porcelain"):
        print(f"the working tree has changes that {name} has not: they are not verified")
    if revision.read("requirements.lock") != Revision(root, WORKING_TREE, None).read(
        "requirements.lock"
    ):
        print(f"the versions installed here may not be those of {name}: requirements.lock differs")
    with clone_at(root, revision.commit, "cache") as clone:
        (clone / "dvc.lock").unlink()  # so that nothing counts as done, nor as made if it is not
        rerun(clone)
        made = Revision(clone, "the clone", None)
        # A result in git can also differ from what dvc.lock says of it.
        in_git = {line[3:] for line in git(clone, "status", "--porcelain", "-uall").splitlines()}
        outs = compare_outs(locked, made.yaml("dvc.lock")["stages"], in_git)
        return outs, moves(revision.metrics(), made.metrics())


def rerun(clone: Path) -> None:
    """Run the pipeline, and show what it prints.

    Raises:
        InputError: a stage failed.
    """
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro"],
        cwd=clone,
        env=os.environ | {"PATH": programs, "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
    )
    try:
        status = process.wait()
    except BaseException:  # the stage too must end, before its folder goes
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if status:
        raise InputError(f"`dvc repro` failed with status {status}; above it says in which stage")


def compare_outs(
    locked: Mapping[str, Any], made: Mapping[str, Any], changed_in_git: set[str]
) -> list[Out]:
    """The outs of two versions of dvc.lock's stages."""
    rows = []
    for stage in dict.fromkeys([*locked, *made]):
        old, new = (hashes(some.get(stage, {}), "outs") for some in (locked, made))
        for path in dict.fromkeys([*old, *new]):
            if path not in new:
                verdict = "not made"
            elif path not in old:
                verdict = "not in dvc.lock"
            else:
                same = old[path] == new[path] and path not in changed_in_git
                verdict = "identical" if same else "different"
            rows.append(Out(path, stage, verdict))
    return rows


def moves(old: Mapping[str, float], new: Mapping[str, float]) -> list[Move]:
    """The metrics that differ, by how much, the largest first."""
    rows = [Move(path, old.get(path), new.get(path)) for path in dict.fromkeys([*old, *new])]
    return sorted((row for row in rows if row.old != row.new), key=lambda row: -row.amount)


def reproduced(outs: list[Out], moved: list[Move], tolerance: float | None) -> bool:
    """Whether all is identical; with a tolerance, whether all was made and no score is beyond.

    A score is a fraction. Of the numbers only those of errors may move with the scores; what else
    is counted, such as the support, is the same whatever the model.
    """
    if tolerance is None:
        return all(out.verdict == "identical" for out in outs) and not moved
    judged = [move for move in moved if ".errors." not in move.path]
    near = all(move.amount <= tolerance + 1e-9 for move in judged)  # scores are decimal fractions
    return near and all(out.verdict in ("identical", "different") for out in outs)


def main() -> None:
    """Print what came out.

    Raises:
        SystemExit: not what is in git, or nothing; or it was interrupted.
    """
    parser = argparse.ArgumentParser(prog="python -m review.verify", description=__doc__)
    parser.add_argument("--tolerance", type=float, metavar="X", help="by how much scores may move")
    parser.add_argument("revision", nargs="?", default="HEAD", metavar="REVISION")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # cleans up
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # DVC prints between
    try:
        outs, moved = verify(find_root(), arguments.revision)
    except InputError as error:
        sys.exit(f"verify: {error}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    width = max(len(out.path) for out in outs) + 2
    stages = max(len(out.stage) for out in outs) + 2
    print()
    for out in outs:
        print(f"{out.path:{width}}{out.stage:{stages}}{out.verdict}")
    if moved:
        width = max(len(move.path) for move in moved) + 2
        print(f"\n{METRICS}, in {arguments.revision} and now:")
    for path, old, new in moved:
        by = f"  {new - old:+.4g}" if old is not None and new is not None else ""
        print(f"{path:{width}}{old} {new}{by}")
    differ = sum(out.verdict != "identical" for out in outs)
    print(f"\n{len(outs) - differ} of {len(outs)} outs are identical, {len(moved)} metrics moved.")
    if not reproduced(outs, moved, arguments.tolerance):
        sys.exit(f"verify: {arguments.revision} is not reproduced")
    print(f"{arguments.revision} is reproduced.")


if __name__ == "__main__":
    main()
