"""Are the results of a commit what its code gives? Every stage runs again in a temporary folder.

Run as `python -m review.verify [--tolerance X] [REVISION]`: `make verify`. It prints which outputs
of dvc.lock came out the same, byte by byte, and how much each metric changed. It ends with status 0
if all are identical or, with a tolerance, if no score changed by more than that.
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

from review.dvc_files import hashes
from review.escape import terminal
from review.revision import (
    METRICS,
    WORKING_TREE,
    Revision,
    empty_tree,
    end_on_signals,
    find_root,
    git,
)
from tagger.files import InputError

HINT = """
Other bits may only mean another kind of machine. `make fingerprint` says within seconds whether
this machine computes the committed bits. If it does not, `make verify TOLERANCE=0.02` says whether
the scores are within 2 points, and `dvc pull` gets the committed outputs where a remote has them.
If it does, the results are not those of this commit: look for code or inputs that were not
committed, then run `dvc repro` and commit what it gives."""


class Out(NamedTuple):
    """An output, the stage that makes it, and the verdict of `compare_outs` on it."""

    path: str
    stage: str
    verdict: str


class MetricChange(NamedTuple):
    """A value of metrics.json that differs between two runs; None stands for no value."""

    path: str
    old: float | None
    new: float | None

    @property
    def amount(self) -> float:
        """The size of the change, infinite where one of the two has no value."""
        return float("inf") if self.old is None or self.new is None else abs(self.new - self.old)


def verify(root: Path, name: str) -> tuple[list[Out], list[MetricChange]]:
    """Run a revision's pipeline in a folder of its own; compare what it gives with the committed.

    Raises:
        InputError: there is no such revision, it has no dvc.lock, or a stage fails.
    """
    mirrors = sorted(name for name in os.environ if name.endswith("_MIRROR"))
    for variable in (*mirrors, "GENSIM_DATA_DIR"):
        value = os.environ.get(variable, "/")
        if "://" not in value and not Path(value).is_absolute():
            raise InputError(
                f"{variable}: {value!r} is relative, but the stages run in another folder: "
                "make it an absolute path"
            )
    revision = Revision.find(root, name)
    assert revision.commit  # a name is no working tree
    locked = revision.locked_stages()
    if not locked:
        raise InputError(f"there is no dvc.lock in {name}: run dvc repro, and commit what it makes")
    if git(root, "status", "--porcelain"):
        print(f"the working tree has changes that {name} does not have: they are not verified")
    if revision.read("requirements.lock") != Revision(root, WORKING_TREE, None).read(
        "requirements.lock"
    ):
        print(f"the versions installed here may not be those of {name}: requirements.lock differs")
    for dep in sorted({dep for stage in revision.stages().values() for dep in stage.deps}):
        if revision.read(f"{dep}.dvc") is not None:
            raise InputError(
                f"{dep} is tracked by `dvc add`: git has no more than its hash, so a run elsewhere "
                "would lack it"
            )
    with empty_tree("cache") as tree:
        # Without dvc.lock each stage must run, and only what it makes is listed.
        revision.write_files(tree, lambda file: file != "dvc.lock")
        rerun(tree)
        made = Revision(tree, "the run", None)
        made_stages = made.locked_stages()
        # A result that git keeps may differ from the committed file, though not from dvc.lock.
        paths = {path for stage in made_stages.values() for path in hashes(stage, "outs")}
        committed = {path: revision.read_bytes(path) for path in paths}
        changed_in_git = {
            path
            for path, data in committed.items()
            if data is not None and data != made.read_bytes(path)
        }
        outs = compare_outs(locked, made_stages, changed_in_git)
        return outs, compare_metrics(revision.metrics(), made.metrics())


def rerun(folder: Path) -> None:
    """Run the pipeline in a folder, and show what it prints.

    Raises:
        InputError: a stage failed.
    """
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    process = subprocess.Popen(
        [sys.executable, "-m", "dvc", "repro"],
        cwd=folder,
        env=os.environ | {"PATH": programs, "PYTHONUNBUFFERED": "1"},
        start_new_session=True,
    )
    try:
        status = process.wait()
    except BaseException:  # the running stage must end before its folder is removed
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        raise
    if status:
        raise InputError(f"`dvc repro` failed with status {status}; above it says in which stage")


def compare_outs(
    locked: Mapping[str, Any], made: Mapping[str, Any], changed_in_git: set[str]
) -> list[Out]:
    """Compare the outputs in two versions of dvc.lock's stages: as committed, and as made now.

    The verdict on an output is identical, different, not made (by the run), or not in dvc.lock (of
    the commit). What git says has changed is different, whatever the hashes.
    """
    rows = []
    for stage in dict.fromkeys([*locked, *made]):
        old, new = (hashes(stages.get(stage, {}), "outs") for stages in (locked, made))
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


def compare_metrics(old: Mapping[str, float], new: Mapping[str, float]) -> list[MetricChange]:
    """The metrics that differ, the largest change first."""
    rows = [MetricChange(path, old.get(path), new.get(path)) for path in {**old, **new}]
    return sorted((row for row in rows if row.old != row.new), key=lambda row: -row.amount)


def is_reproduced(outs: list[Out], changes: list[MetricChange], tolerance: float | None) -> bool:
    """Whether a run gave the committed results.

    Without a tolerance everything must be identical. With one, each output must have been made, and
    no score, as a fraction, may have changed by more. Numbers of errors may change freely, since
    they follow the scores; all other counts, such as the support, do not depend on the model.
    """
    if tolerance is None:
        return all(out.verdict == "identical" for out in outs) and not changes
    judged = [change for change in changes if change.path.split(".")[1:2] != ["errors"]]
    # Scores are decimal fractions, whose differences are a little off in binary.
    near = all(change.amount <= tolerance + 1e-9 for change in judged)
    return near and all(out.verdict in ("identical", "different") for out in outs)


def main() -> None:
    """Print how the outputs and the metrics compare, and what to do if they differ.

    Raises:
        SystemExit: the results are not those in git, or there are none; or it was interrupted.
    """
    parser = argparse.ArgumentParser(prog="python -m review.verify", description=__doc__)
    parser.add_argument(
        "--tolerance", type=float, metavar="X", help="the largest change of a score, a fraction"
    )
    parser.add_argument("revision", nargs="?", default="HEAD", metavar="REVISION")
    arguments = parser.parse_args()
    if arguments.tolerance is not None and not 0 <= arguments.tolerance <= 1:
        parser.error(f"--tolerance: {arguments.tolerance} is no fraction from 0 to 1")
    end_on_signals()
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # DVC prints between
    try:
        outs, changes = verify(find_root(), arguments.revision)
    except (InputError, OSError) as error:
        sys.exit(f"verify: {terminal(error)}")
    path_width = max((len(out.path) for out in outs), default=0) + 2
    stage_width = max((len(out.stage) for out in outs), default=0) + 2
    print()
    for out in outs:
        print(terminal(f"{out.path:{path_width}}{out.stage:{stage_width}}{out.verdict}"))
    if changes:
        path_width = max(len(change.path) for change in changes) + 2
        print(f"\n{METRICS}, in {arguments.revision} and now:")
    for path, old, new in changes:
        difference = f"  {new - old:+.4g}" if old is not None and new is not None else ""
        print(terminal(f"{path:{path_width}}{old} {new}{difference}"))
    identical = sum(out.verdict == "identical" for out in outs)
    print(f"\n{identical} of {len(outs)} outputs are identical, {len(changes)} metrics changed.")
    if not is_reproduced(outs, changes, arguments.tolerance):
        if changes or any(out.verdict == "different" for out in outs):
            print(HINT)
        sys.exit(f"verify: {arguments.revision} is not reproduced")
    print(f"{arguments.revision} is reproduced.")


if __name__ == "__main__":
    main()
