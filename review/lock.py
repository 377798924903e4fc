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
from graphlib import CycleError, TopologicalSorter
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from review.dvc_files import Stage, check_locked_stage, hashes
from review.escape import terminal
from review.revision import (
    METRICS,
    WORKING_TREE,
    Revision,
    cache_of,
    dvc,
    empty_tree,
    end_on_signals,
    find_root,
    is_in,
)
from tagger.files import InputError


class Lock(NamedTuple):
    """What was found out about dvc.lock, which is current if no stage is stale."""

    stale: dict[str, list[str]]  # the stages that would run again, in the pipeline's order, and why
    missing: list[str]  # outputs that the local cache lacks, as in any fresh clone
    scored_by: str = ""  # the stage that makes metrics.json

    @property
    def has_stale_scores(self) -> bool:
        """Whether metrics.json would be made again, and not only what comes after it."""
        return self.scored_by in self.stale if self.scored_by else bool(self.stale)


def read_lock(revision: Revision) -> Lock:
    """Check the dvc.lock of a revision.

    Raises:
        InputError: one of DVC's files is missing or broken, or has a merge conflict.
    """
    if revision.commit is None:
        return _check(revision, revision.root)
    stages = revision.stages()
    needed = {"params.yaml", "dvc.lock", ".dvcignore"}
    for stage in stages.values():
        needed |= {*stage.deps, *stage.params, *stage.outs}
    with empty_tree(str(cache_of(revision.root))) as tree:
        revision.write_files(tree, lambda file: is_in(file, needed))
        # DVC sees the stages as they were checked. In JSON, which is YAML.
        text = json.dumps({"stages": {name: _for_dvc(stage) for name, stage in stages.items()}})
        (tree / "dvc.yaml").write_text(text, encoding="utf-8")
        return _check(revision, tree)


def _for_dvc(stage: Stage) -> dict[str, Any]:
    """A stage as dvc.yaml has it, with no more than `dvc status` needs."""
    return {
        "cmd": stage.command,
        "deps": stage.deps,
        "params": [{file: keys} for file, keys in stage.params.items()],
        "outs": [{path: {"cache": is_cached}} for path, is_cached in stage.outs.items()],
    }


def _check(revision: Revision, folder: Path) -> Lock:
    """Check the dvc.lock of a revision whose files are in a folder."""
    for file in ("dvc.yaml", "params.yaml"):
        if revision.read(file) is None:
            raise InputError(f"{revision} has no {file}")
    stages, locked = revision.stages(), revision.locked_stages()
    for stage in stages.values():
        for file in stage.params:  # before DVC reads it
            revision.yaml(file)
    # Of dvc.yaml alone: files that `dvc import-url` made name hosts, which DVC would ask.
    status = json.loads(dvc(folder, "status", "--json", "dvc.yaml"))
    is_cached = {out: cached for stage in stages.values() for out, cached in stage.outs.items()}
    maker = {out: name for name, stage in stages.items() for out in stage.outs}
    made_by = {  # of each stage's dependencies, those that are outputs of other stages
        name: {dep: maker[dep] for dep in stage.deps if dep in maker}
        for name, stage in stages.items()
    }
    stale: dict[str, list[str]] = {}
    missing: list[str] = []
    graph = TopologicalSorter({name: makers.values() for name, makers in made_by.items()})
    try:
        order = list(graph.static_order())
    except CycleError as error:
        cycle = ", ".join(error.args[1])
        raise InputError(f"dvc.yaml of {revision}: these wait for each other: {cycle}") from error
    for name in order:
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
                old, new = own.get("params", {}).get(path, {}), revision.yaml(path)
                for key in change:
                    was, now = old.get(key, "not"), new.get(key, "not")
                    reasons.append(f"parameter {key}: {was} in dvc.lock, {now} in {path}")
            elif path not in recorded:
                reasons.append(f"not in dvc.lock: {path}")
            elif change == "deleted" and (added := _added(revision, path)):
                if added != recorded[path]:
                    reasons.append(f"changed: {path}")
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
    return Lock(stale, missing, maker.get(METRICS, ""))


def _added(revision: Revision, path: str) -> str:
    """The hash of data that `dvc add` tracks, which git has; empty for other data."""
    file = f"{path}.dvc"
    found = check_locked_stage(revision.yaml(file), f"{file} of {revision}")
    return hashes(found, "outs").get(PurePosixPath(path).name, "")


def main() -> None:
    """Print which stages are stale and why, and which outputs the cache lacks.

    Raises:
        SystemExit: dvc.lock is not current, or cannot be checked.
    """
    end_on_signals()
    try:
        lock = read_lock(Revision(find_root(), WORKING_TREE, None))
    except (InputError, OSError) as error:
        sys.exit(f"lock-check: {terminal(error)}")
    for stage, reasons in lock.stale.items():
        print(terminal(f"{stage}: {'; '.join(reasons)}"))
    if lock.missing:
        missing = terminal(", ".join(lock.missing))
        print(f"Not in the local cache, which is no fault: {missing}.")
    if lock.stale:
        sys.stdout.flush()  # before what sys.exit prints
        sys.exit("dvc.lock is not current: run dvc repro, and commit what it changes.")
    print("dvc.lock is current.")


if __name__ == "__main__":
    main()
