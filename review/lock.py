"""Is dvc.lock current: are the results in git those of the code that stands beside them?

Run as `python -m review.lock`: `make lock-check`. What has changed is found by `dvc status`. What
that says of data in DVC's cache is left out: a fresh clone has none of them, and where the data on
disk belong to another commit, `dvc repro` takes the right ones from the cache and runs nothing. So
the answer depends on what git tracks, and is the same on every machine.

`dvc repro --dry --allow-missing` gives a wrong answer in four cases. It calls dvc.lock current
where a file of code or a result in git was deleted, or where dvc.yaml has a new output: it takes
them for data that this machine lacks. It calls dvc.lock stale where the data on disk are those of
another commit.
"""

import json
import sys
from graphlib import TopologicalSorter
from typing import Any, NamedTuple

from review.revision import WORKING_TREE, Revision, cache_of, clone_at, dvc, find_root, hashes
from tagger.files import InputError


class Lock(NamedTuple):
    """What was found out about dvc.lock, which is current if no stage is stale."""

    stale: dict[str, list[str]]  # the stages that would run again, in the pipeline's order, and why
    missing: list[str]  # outputs that the local cache lacks, as in any fresh clone


def read_lock(revision: Revision) -> Lock:
    """Check the dvc.lock of a revision.

    Raises:
        InputError: one of DVC's files is missing or broken, or has a merge conflict.
    """
    root, commit = revision.root, revision.commit
    if commit is None:
        return _check(revision)
    with clone_at(root, commit, str(cache_of(root))) as clone:
        return _check(Revision(clone, str(revision), None))


def _check(tree: Revision) -> Lock:
    """Check the dvc.lock of files on disk."""
    for file in ("dvc.yaml", "params.yaml"):
        if tree.read(file) is None:
            raise InputError(f"{tree} has no {file}")
    stages, locked = tree.stages(), tree.locked_stages()
    status = json.loads(dvc(tree.root, "status", "--json"))
    is_cached = {out: cached for stage in stages.values() for out, cached in _outs(stage).items()}
    maker = {out: name for name, stage in stages.items() for out in _outs(stage)}
    made_by = {  # of each stage's dependencies, those that are outputs of other stages
        name: {dep: maker[dep] for dep in stage.get("deps", []) if dep in maker}
        for name, stage in stages.items()
    }
    stale: dict[str, list[str]] = {}
    missing: list[str] = []
    order = TopologicalSorter({name: makers.values() for name, makers in made_by.items()})
    for name in order.static_order():
        own = locked.get(name, {})
        recorded = hashes(own, "deps") | hashes(own, "outs")
        reasons = []
        changes: dict[str, Any] = {}  # by path; a change of params.yaml is a mapping by key
        for entry in status.get(name, []):
            if isinstance(entry, str):
                reasons.append(entry)  # "changed command"
            else:
                changes |= entry.get("changed deps", {}) | entry.get("changed outs", {})
        for path, change in changes.items():
            if change == "not in cache":
                missing.append(path)
            elif isinstance(change, dict):
                old, new = own.get("params", {}).get(path, {}), tree.yaml(path)
                for key in change:
                    was, now = old.get(key, "not"), new.get(key, "not")
                    reasons.append(f"parameter {key}: {was} in dvc.lock, {now} in {path}")
            elif path not in recorded:
                reasons.append(f"not in dvc.lock: {path}")
            elif not is_cached.get(path):
                reasons.append(f"{'changed' if change == 'modified' else change}: {path}")
        for dep, source in made_by[name].items():
            # DVC compares each of the two with the data on disk alone, if there are any.
            made = hashes(locked.get(source, {}), "outs").get(dep)
            if recorded.get(dep, made) != made:
                reasons.append(f"dvc.lock has another {dep} here than {source} made")
        if name not in locked:
            reasons = ["not in dvc.lock"]
        upstream = [source for source in dict.fromkeys(made_by[name].values()) if source in stale]
        if upstream:
            reasons.append(f"after {', '.join(upstream)}")
        if reasons:
            stale[name] = reasons
    return Lock(stale, missing)


def _outs(stage: dict[str, Any]) -> dict[str, bool]:
    """The outputs of a stage in dvc.yaml, and whether DVC's cache keeps them, or git."""
    entries = [entry for kind in ("outs", "metrics", "plots") for entry in stage.get(kind, [])]
    with_options = [entry if isinstance(entry, dict) else {entry: {}} for entry in entries]
    return {out: own.get("cache") != "false" for one in with_options for out, own in one.items()}


def main() -> None:
    """Print which stages are stale and why, and which outputs the cache lacks.

    Raises:
        SystemExit: dvc.lock is not current, or cannot be checked.
    """
    try:
        lock = read_lock(Revision(find_root(), WORKING_TREE, None))
    except InputError as error:
        sys.exit(f"lock: {error}")
    for stage, reasons in lock.stale.items():
        print(f"{stage}: {'; '.join(reasons)}")
    if lock.missing:
        print(f"Not in the local cache, which is no fault: {', '.join(lock.missing)}.")
    if lock.stale:
        sys.stdout.flush()  # before what sys.exit prints
        sys.exit("dvc.lock is not current: run dvc repro, and commit what it changes.")
    print("dvc.lock is current.")


if __name__ == "__main__":
    main()
