"""Is dvc.lock current? Whether the results in git are those of the code beside them.

Run as `python -m review.lock`: `make lock-check`. Only what git tracks decides: code, parameters,
versions, inputs, commands, and the results that are in git themselves. What DVC caches is not in a
fresh clone, and where it is there, but not as dvc.lock has it, `dvc repro` checks it out again and
runs nothing. So the answer is the same on every machine.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from graphlib import TopologicalSorter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from review.revision import (
    WORKING_TREE,
    Revision,
    cache_of,
    dvc,
    find_root,
    git,
    hashes,
    parse,
)  # fmt: skip
from tagger.files import InputError

OUTS = ("outs", "metrics", "plots")  # of a stage in dvc.yaml


class Lock(NamedTuple):
    """What dvc.lock is worth; it is current where nothing is stale."""

    stale: dict[str, list[str]]  # the stages that would rerun, in the pipeline's order, and why
    missing: list[str]  # outs that are not in the local cache, as in any fresh clone


def read_lock(revision: Revision) -> Lock:
    """Check the dvc.lock of a revision.

    Raises:
        InputError: one of DVC's files is missing, broken, or has a merge conflict.
    """
    if revision.commit is None:
        return check(revision.root)
    with clone_at(revision.root, revision.commit, str(cache_of(revision.root))) as clone:
        try:
            return check(clone)
        except InputError as error:
            raise InputError(f"{revision}: {error}") from error


def check(root: Path) -> Lock:
    """Check the dvc.lock of a working tree.

    Raises:
        InputError: one of DVC's files is missing, broken, or has a merge conflict.
    """
    stages = _read(root, "dvc.yaml").get("stages", {})
    locked = _read(root, "dvc.lock").get("stages", {}) if (root / "dvc.lock").exists() else {}
    _read(root, "params.yaml")
    status = json.loads(dvc(root, "status", "--json"))

    makers = {out: name for name in stages for out in _paths(stages[name], *OUTS)}
    before = {
        name: [makers[dep] for dep in _paths(stages[name], "deps") if dep in makers]
        for name in stages
    }
    stale: dict[str, list[str]] = {}
    missing: list[str] = []
    for name in TopologicalSorter(before).static_order():
        changes: dict[str, Any] = {}  # by path; of params.yaml by key
        reasons = []
        for entry in status.get(name, []):
            if isinstance(entry, str):
                reasons.append(entry)  # "changed command"
            else:
                changes |= entry.get("changed deps", {}) | entry.get("changed outs", {})
        missing += [out for out, change in changes.items() if change == "not in cache"]
        if name in locked:
            reasons += _why(root, stages[name], locked, locked[name], makers, changes)
        else:
            reasons = ["not in dvc.lock"]
        upstream = [other for other in dict.fromkeys(before[name]) if other in stale]
        if upstream:
            reasons.append(f"after {', '.join(upstream)}")
        if reasons:
            stale[name] = reasons
    return Lock(stale, missing)


def _why(
    root: Path,
    stage: dict[str, Any],
    locked: dict[str, Any],
    own: dict[str, Any],
    makers: dict[str, str],
    changes: dict[str, Any],
) -> Iterator[str]:
    """Why a stage that dvc.lock has, as `own`, would rerun by itself."""
    deps, outs = (hashes(own, kind) for kind in ("deps", "outs"))
    for dep in _paths(stage, "deps"):
        if dep not in deps:  # DVC calls it modified, or deleted
            yield f"not in dvc.lock: {dep}"
        elif dep not in makers:
            if dep in changes:
                yield f"{_told(changes[dep])}: {dep}"
        elif deps[dep] != hashes(locked.get(makers[dep], {}), "outs").get(dep):
            # DVC sees that only where the data are, and may see neither of the two there.
            yield f"dvc.lock has another {dep} here than {makers[dep]} made"
    for out in _paths(stage, *OUTS):
        if out not in outs:
            yield f"not in dvc.lock: {out}"
        elif out in changes and out in _in_git(stage):
            yield f"{_told(changes[out])} output: {out}"
    for file, keys in changes.items():
        if isinstance(keys, dict):
            old, new = own.get("params", {}).get(file, {}), _read(root, file)
            for key in keys:
                was = f"{old[key]} in dvc.lock" if key in old else "not in dvc.lock"
                now = f"{new[key]} in {file}" if key in new else f"not in {file}"
                yield f"parameter {key}: {was}, {now}"
        elif file not in _paths(stage, "deps", *OUTS):
            yield f"{_told(keys)}: {file}"  # params.yaml as a whole


def _told(change: str) -> str:
    return {"modified": "changed"}.get(change, change)


def _paths(stage: dict[str, Any], *kinds: str) -> list[str]:
    """The paths of deps or outs in dvc.yaml, with or without options."""
    entries = [entry for kind in kinds for entry in stage.get(kind, [])]
    return [path for e in entries for path in (e if isinstance(e, dict) else [e])]


def _in_git(stage: dict[str, Any]) -> set[str]:
    """The outs that git keeps, not DVC's cache."""
    entries = [e for kind in OUTS for e in stage.get(kind, []) if isinstance(e, dict)]
    return {path for e in entries for path, options in e.items() if options.get("cache") == "false"}


def _read(root: Path, name: str) -> dict[str, Any]:
    """A YAML file of DVC's, each value as the text that stands there.

    Raises:
        InputError: there is none, it is not YAML, or it has a merge conflict.
    """
    text = Revision(root, WORKING_TREE, None).read(name)
    if text is None:
        raise InputError(f"there is no {name}")
    return parse(text, name)


@contextmanager
def clone_at(root: Path, commit: str, cache: str) -> Iterator[Path]:
    """A clone of a repository at a commit, with a cache for DVC; gone at the end.

    It is fetched, since `git clone` takes what branches and tags reach: no experiment is, and in
    a shallow clone not even each commit.
    """
    with TemporaryDirectory(prefix="review-") as folder:
        clone = Path(folder) / "clone"
        clone.mkdir()
        git(clone, "init", "-q")
        git(clone, "fetch", "-q", "--depth", "1", str(root.resolve()), commit)
        git(clone, "-c", "advice.detachedHead=false", "checkout", "-q", "--detach", "FETCH_HEAD")
        (clone / ".dvc").mkdir(exist_ok=True)
        # DVC keeps what it knows of a folder elsewhere on the machine, if not told so.
        (clone / ".dvc/config.local").write_text(
            f"[core]\n    site_cache_dir = {folder}/site\n[cache]\n    dir = {cache}\n",
            encoding="utf-8",
        )
        yield clone


def main() -> None:
    """Say what is stale and why.

    Raises:
        SystemExit: something is, or it could not be found out.
    """
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]  # before what sys.exit says
    try:
        lock = check(find_root())
    except InputError as error:
        sys.exit(f"lock: {error}")
    for stage, reasons in lock.stale.items():
        print(f"{stage}: {'; '.join(reasons)}")
    if lock.missing:
        print(f"Not in the local cache, which is no fault: {', '.join(lock.missing)}.")
    if lock.stale:
        sys.exit("dvc.lock is not current: run dvc repro, and commit what it changes.")
    print("dvc.lock is current.")


if __name__ == "__main__":
    main()
