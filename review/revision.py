"""A state of the repository: a commit, an experiment, or the working tree."""

import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd
import yaml

from evaluation.slices import COUNTS
from tagger.files import InputError

WORKING_TREE = "the working tree"
METRICS, SENTENCES = "metrics/metrics.json", "metrics/sentences.csv"


def git(root: Path, *arguments: str) -> str:
    """What a git command prints.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    command = ["git", *arguments]
    result = subprocess.run(command, cwd=root, check=True, capture_output=True, encoding="utf-8")
    return result.stdout


def dvc(root: Path, *arguments: str) -> str:
    """What a command of DVC prints.

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

    A hook of git's, or `git rebase --exec`, has variables that name the repository. They would be
    heeded in clones too, so they are taken from this process.

    Raises:
        InputError: it is in none.
    """
    for variable in git(Path.cwd(), "rev-parse", "--local-env-vars").split():
        if "CONFIG" not in variable:  # settings stay
            os.environ.pop(variable, None)
    try:
        return Path(git(Path.cwd(), "rev-parse", "--show-toplevel").removesuffix("\n"))
    except subprocess.CalledProcessError as error:
        raise InputError(f"{Path.cwd()} is in no git repository: {error.stderr.strip()}") from error


def parse(text: str, name: str) -> dict[str, Any]:
    """A YAML mapping, each value as the text that stands there (`1e-05` is a string to YAML).

    Raises:
        InputError: the text is no YAML mapping, or has a merge conflict.
    """
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(("<<<<<<< ", ">>>>>>> ")):
            raise InputError(
                f"{name} has a merge conflict in line {number}: {line}. Settle it; of dvc.lock "
                "take either side whole (git checkout --ours dvc.lock), and run dvc repro"
            )
    try:
        found = yaml.load(text, yaml.BaseLoader) or {}  # noqa: S506
    except yaml.YAMLError as error:
        raise InputError(f"{name} is not YAML: {error}") from error
    if not isinstance(found, dict) or not isinstance(found.get("stages", {}), dict):
        raise InputError(f"{name} must hold `key: value` lines, and stages by name")
    return found


def hashes(locked: dict[str, Any], kind: str) -> dict[str, str]:
    """The hashes of a stage's deps or outs in dvc.lock, by path."""
    return {entry["path"]: entry.get("md5", "") for entry in locked.get(kind, [])}


@dataclass(frozen=True)
class Revision:
    """What a name stands for: a commit, or the files on disk where that is None."""

    root: Path
    name: str
    commit: str | None

    @classmethod
    def find(cls, root: Path, name: str) -> "Revision":
        """The revision of a name that git knows, or of a DVC experiment.

        Raises:
            InputError: there is none, or several experiments are called so.
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
        """The name, and what it stands for today."""
        is_hash = self.commit is None or self.commit.startswith(self.name)
        return self.name if is_hash else f"{self.name} ({(self.commit or '')[:7]})"

    def read(self, path: str) -> str | None:
        """The text of a file that git tracks, None where there is none.

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
        """A YAML mapping, empty where there is none; each value is text.

        Raises:
            InputError: the file is no YAML mapping, or has a merge conflict.
        """
        return parse(self.read(path) or "", f"{path} of {self}")

    def metrics(self) -> dict[str, float]:
        """The values of metrics.json by their path, such as `test.types.PER.f1`.

        Raises:
            InputError: the file is not JSON, or has other values than numbers.
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
        """What each sentence's entities count, None for a commit that has no such table.

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
        """By sentence the columns token, gold and predicted tag; None if not on this machine.

        They are those that dvc.lock tells of, and are read from DVC's cache: `dvc.api.read` would
        go and fetch them from a remote.
        """
        evaluate = self.yaml("dvc.lock").get("stages", {}).get("evaluate", {})
        objects = cache_of(self.root) / "files/md5"
        folder = hashes(evaluate, "outs").get("data/predictions", "")
        try:
            listed = json.loads((objects / folder[:2] / folder[2:]).read_text(encoding="utf-8"))
            (file,) = (some["md5"] for some in listed if some["relpath"] == f"{split}.conll")
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
    """What is in nested mappings, by their keys joined with dots."""
    found: dict[str, float] = {}
    for key, value in values.items():
        path = f"{prefix}.{key}".strip(".")
        found |= flatten(value, path) if isinstance(value, dict) else {path: value}
    return found


def changed_parameters(base: Revision, head: Revision) -> dict[str, tuple[str | None, str | None]]:
    """The parameters that differ: as they stand in the base and in the head, None for none."""
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
    """By stage what it is made of that differs, code and versions and its command; not the data.

    Raises:
        InputError: dvc.yaml is not YAML, or has no stages.
    """
    assert base.commit
    files = git(base.root, "diff", "--name-only", base.commit, *filter(None, [head.commit]))
    if head.commit is None:
        files += git(base.root, "ls-files", "--others", "--exclude-standard")
    stages = [revision.yaml("dvc.yaml").get("stages", {}) for revision in (base, head)]
    changed = {}
    for name in dict.fromkeys([*stages[1], *stages[0]]):
        old, new = (some.get(name, {}) for some in stages)
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
