"""A state of the repository: a commit, an experiment, or the working tree."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd
import yaml

from evaluation.slices import COUNTS
from tagger.files import InputError

WORKING_TREE = "the working tree"
METRICS, SENTENCES = "metrics/metrics.json", "metrics/sentences.csv"


def git(root: Path, *arguments: str) -> str:
    """Run a git command in a folder and return what it prints.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    command = ["git", *arguments]
    result = subprocess.run(command, cwd=root, check=True, capture_output=True, encoding="utf-8")
    return result.stdout


def dvc(root: Path, *arguments: str) -> str:
    """Run a DVC command in a folder and return what it prints.

    Raises:
        InputError: it failed.
    """
    command = [sys.executable, "-m", "dvc", *arguments]
    result = subprocess.run(command, cwd=root, capture_output=True, encoding="utf-8")
    if result.returncode:
        raise InputError(f"`dvc {' '.join(arguments)}` failed: {result.stderr.strip()}")
    return result.stdout


@cache
def cache_of(root: Path) -> Path:
    """The folder of a repository's DVC cache."""
    return root / dvc(root, "cache", "dir").strip()


def find_root() -> Path:
    """The root of the repository that the working directory is in.

    Git starts a hook, or a command of `git rebase --exec`, with environment variables that name
    the repository. Git commands in our clones would obey them too, so this removes them from the
    environment of this process.

    Raises:
        InputError: the working directory is in no repository.
    """
    for variable in git(Path.cwd(), "rev-parse", "--local-env-vars").split():
        if "CONFIG" not in variable:  # settings stay
            os.environ.pop(variable, None)
    try:
        return Path(git(Path.cwd(), "rev-parse", "--show-toplevel").removesuffix("\n"))
    except subprocess.CalledProcessError as error:
        raise InputError(f"{Path.cwd()} is in no git repository: {error.stderr.strip()}") from error


@contextmanager
def clone_at(root: Path, commit: str, cache: str) -> Iterator[Path]:
    """A temporary clone of a repository at a commit, with a folder as the cache of its DVC.

    The commit is fetched by its hash: `git clone` copies only what branches and tags lead to,
    which leaves out experiments and, from a shallow clone, many commits.
    """
    with TemporaryDirectory(prefix="review-") as folder:
        clone = Path(folder) / "clone"
        clone.mkdir()
        git(clone, "init", "-q")
        git(clone, "fetch", "-q", "--depth", "1", str(root.resolve()), commit)
        git(clone, "-c", "advice.detachedHead=false", "checkout", "-q", "--detach", "FETCH_HEAD")
        (clone / ".dvc").mkdir(exist_ok=True)
        # Without a setting, DVC keeps its notes on the clone in a folder that outlives it.
        (clone / ".dvc/config.local").write_text(
            f"[core]\n    site_cache_dir = {folder}/site\n[cache]\n    dir = {cache}\n",
            encoding="utf-8",
        )
        yield clone


def parse(text: str, name: str) -> dict[str, Any]:
    """Read a YAML mapping, with each value as the text that stands in the file.

    YAML itself would read `1e-05` as a string, and `0.00001` as a number.

    Raises:
        InputError: the text is no YAML mapping, or has a merge conflict.
    """
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(("<<<<<<< ", ">>>>>>> ")):
            raise InputError(
                f"{name} has a merge conflict in line {number}: {line}. Resolve it; for dvc.lock "
                "take one side as a whole (git checkout --ours dvc.lock), and run dvc repro"
            )
    try:
        found = yaml.load(text, yaml.BaseLoader) or {}  # noqa: S506
    except yaml.YAMLError as error:
        raise InputError(f"{name} is not YAML: {error}") from error
    if not isinstance(found, dict) or not isinstance(found.get("stages", {}), dict):
        raise InputError(f"{name} must hold `key: value` lines, and stages by name")
    return found


def hashes(locked: dict[str, Any], kind: str) -> dict[str, str]:
    """The hashes of a stage's `deps` or `outs` (`kind`) in dvc.lock, by path."""
    return {entry["path"]: entry.get("md5", "") for entry in locked.get(kind, [])}


@dataclass(frozen=True)
class Revision:
    """What a name stands for: a commit, or the files on disk where `commit` is None."""

    root: Path
    name: str
    commit: str | None

    @classmethod
    def find(cls, root: Path, name: str) -> "Revision":
        """Find the commit of a name that git knows, or of a DVC experiment.

        Raises:
            InputError: nothing has this name, or several experiments have it.
        """
        if not name:
            raise InputError("'' names no revision")
        experiments = git(root, "for-each-ref", "--format=%(refname)", f"refs/exps/*/*/{name}")
        if len(experiments.split()) > 1:
            raise InputError(
                f"several experiments are called {name!r}: name a commit (dvc exp show)"
            )
        for reference in (name, f"origin/{name}", *experiments.split()):
            try:
                commit = git(root, "rev-parse", "--verify", "-q", f"{reference}^{{commit}}")
            except subprocess.CalledProcessError:
                continue
            return cls(root, reference if reference.startswith("origin/") else name, commit.strip())
        remedy = "name a branch, a tag, a commit or an experiment (dvc exp list)"
        if git(root, "rev-parse", "--is-shallow-repository").strip() == "true":
            remedy = f"this clone is shallow: git fetch --unshallow, or git fetch origin {name}"
        raise InputError(f"there is no revision {name!r} here; {remedy}")

    def __str__(self) -> str:
        """The name, with the commit that it stands for now unless it is the commit itself."""
        is_hash = self.commit is None or self.commit.startswith(self.name)
        return self.name if is_hash else f"{self.name} ({(self.commit or '')[:7]})"

    def read(self, path: str) -> str | None:
        """The text of a file, None where the revision does not have it.

        Raises:
            InputError: it is not text in UTF-8.
        """
        try:
            if self.commit is None:
                return (self.root / path).read_text(encoding="utf-8")
            return git(self.root, "show", f"{self.commit}:{path}")
        except (FileNotFoundError, subprocess.CalledProcessError):
            return None
        except UnicodeDecodeError as error:
            raise InputError(f"{path} of {self} is not UTF-8: {error}") from error

    def yaml(self, path: str) -> dict[str, Any]:
        """Read a YAML mapping, empty where there is no such file; each value is text.

        Raises:
            InputError: the file is no YAML mapping, or has a merge conflict.
        """
        return parse(self.read(path) or "", f"{path} of {self}")

    def stages(self) -> dict[str, Any]:
        """The stages of dvc.yaml by name, with `${key}` replaced by the value in params.yaml.

        Raises:
            InputError: a file is no YAML mapping, or has a merge conflict.
        """
        text = Template(self.read("dvc.yaml") or "").safe_substitute(self.yaml("params.yaml"))
        stages: dict[str, Any] = parse(text, f"dvc.yaml of {self}").get("stages", {})
        return stages

    def locked_stages(self) -> dict[str, Any]:
        """The stages of dvc.lock by name, empty where there is no dvc.lock.

        Raises:
            InputError: the file is no YAML mapping, or has a merge conflict.
        """
        stages: dict[str, Any] = self.yaml("dvc.lock").get("stages", {})
        return stages

    def metrics(self) -> dict[str, float]:
        """The numbers in metrics.json by their path, such as `test.types.PER.f1`.

        Raises:
            InputError: the file is not JSON, or has values that are not numbers.
        """
        try:
            found = flatten({"": json.loads(self.read(METRICS) or "{}")})
        except json.JSONDecodeError as error:
            raise InputError(f"{METRICS} of {self} is not JSON: {error}") from error
        for path, value in found.items():
            if not isinstance(value, int | float):
                raise InputError(f"{METRICS} of {self}: {path}: {value!r} is no number")
        return found

    def sentences(self) -> pd.DataFrame | None:
        """The table of metrics/sentences.csv, None for a commit without it.

        Raises:
            InputError: the table is malformed.
        """
        text = self.read(SENTENCES)
        if text is None:
            return None
        try:
            table = pd.read_csv(io.StringIO(text))
        except ValueError as error:  # empty, or a line is too long
            raise InputError(f"{SENTENCES} of {self} is malformed: {error}") from error
        groups = {column.rpartition(".")[0] for column in table.columns if "." in column}
        wanted = [f"{group}.{what}" for group in sorted(groups) for what in COUNTS]
        for column in ("split", "document", "sentence", *wanted):
            if column not in table.columns:
                raise InputError(f"{SENTENCES} of {self} has no column {column!r}")
        for column in table.columns.drop("split"):
            if table[column].dtype != "int64":
                raise InputError(f"{SENTENCES} of {self}: {column}: not all are whole numbers")
        return table

    def predictions(self, split: str) -> list[list[list[str]]] | None:
        """For each sentence its tokens, gold tags and predicted tags.

        They are read from DVC's cache under the hash in dvc.lock, since `dvc.api.read` would
        download them from a remote. None if this machine's cache does not have them.
        """
        evaluate = self.locked_stages().get("evaluate", {})
        objects = cache_of(self.root) / "files/md5"
        folder = hashes(evaluate, "outs").get("data/predictions", "")
        try:
            listed = json.loads((objects / folder[:2] / folder[2:]).read_text(encoding="utf-8"))
            (file,) = (item["md5"] for item in listed if item["relpath"] == f"{split}.conll")
            text = (objects / file[:2] / file[2:]).read_text(encoding="utf-8")
        except OSError:
            return None
        blocks = text.split("\n\n")[:-1]
        blocks = [block for block in blocks if not block.startswith("-DOCSTART- ")]
        return [
            [list(c) for c in zip(*(line.split(" ") for line in block.split("\n")), strict=True)]
            for block in blocks
        ]


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, float]:
    """The values of nested mappings, by their keys joined with dots."""
    found: dict[str, float] = {}
    for key, value in values.items():
        path = f"{prefix}.{key}".strip(".")
        found |= flatten(value, path) if isinstance(value, dict) else {path: value}
    return found


def changed_parameters(base: Revision, head: Revision) -> dict[str, tuple[str | None, str | None]]:
    """The parameters whose values differ: the text in the base and in the head, None if absent."""
    old, new = base.yaml("params.yaml"), head.yaml("params.yaml")
    keys = dict.fromkeys([*old, *new])
    pairs = {key: (old.get(key), new.get(key)) for key in keys}
    return {key: pair for key, pair in pairs.items() if _value(pair[0]) != _value(pair[1])}


def _value(text: str | None) -> object:
    """A parameter's number, if it is one: `1e-05` and `0.00001` are the same."""
    try:
        return float(text or "")
    except ValueError:
        return text


def changed_code(base: Revision, head: Revision) -> dict[str, list[str]]:
    """What differs, by stage, of the files in git that the stage depends on, and of its command.

    Raises:
        InputError: dvc.yaml is not YAML, or has no stages.
    """
    assert base.commit
    files = git(base.root, "diff", "--name-only", base.commit, *filter(None, [head.commit]))
    if head.commit is None:
        files += git(base.root, "ls-files", "--others", "--exclude-standard")
    old_stages, new_stages = base.stages(), head.stages()
    changed = {}
    for name in dict.fromkeys([*new_stages, *old_stages]):
        old, new = old_stages.get(name, {}), new_stages.get(name, {})
        deps = [*old.get("deps", []), *new.get("deps", [])]
        found = [
            file
            for file in files.splitlines()
            if any(file == dep or file.startswith(f"{dep}/") for dep in deps)
        ]
        if not old or not new:
            found.insert(0, "the stage itself")
        elif old.get("cmd") != new.get("cmd"):
            found.insert(0, "its command")
        if found:
            changed[name] = found
    return changed


def changed_hashes(base: Revision, head: Revision, kind: str) -> list[str]:
    """The paths of `deps` or `outs` (`kind`) that both dvc.locks have, with different hashes.

    Raises:
        InputError: a dvc.lock is no YAML mapping, or has a merge conflict.
    """
    old, new = (
        {
            path: hash_
            for stage in side.locked_stages().values()
            for path, hash_ in hashes(stage, kind).items()
        }
        for side in (base, head)
    )
    return [path for path in old if path in new and old[path] != new[path]]
