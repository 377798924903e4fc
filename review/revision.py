"""A state of the repository: a commit, an experiment, or the working tree."""

import io
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dvc.api
import pandas as pd
import yaml
from dvc.exceptions import DvcException

from tagger.stage import InputError

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


@dataclass(frozen=True)
class Revision:
    """What a name stands for: a commit, or the files on disk where that is None."""

    root: Path
    name: str
    commit: str | None

    @classmethod
    def find(cls, root: Path, name: str) -> "Revision":
        """The revision of a name that git knows, or of a DVC experiment; empty: the working tree.

        Raises:
            InputError: there is none.
        """
        if not name:
            return cls(root, WORKING_TREE, None)
        experiments = git(root, "for-each-ref", "--format=%(refname)", f"refs/exps/*/*/{name}")
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
        """The text of a file that git tracks, None where there is none."""
        try:
            if self.commit is None:
                return (self.root / path).read_text(encoding="utf-8")
            return git(self.root, "show", f"{self.commit}:{path}")
        except (FileNotFoundError, subprocess.CalledProcessError):
            return None

    def yaml(self, path: str) -> dict[str, Any]:
        """A YAML mapping, empty where there is none.

        Raises:
            InputError: the file is not YAML.
        """
        try:
            found: dict[str, Any] = yaml.safe_load(self.read(path) or "") or {}
        except yaml.YAMLError as error:
            raise InputError(f"{path} of {self} is not YAML: {error}") from error
        return found

    def metrics(self) -> dict[str, float]:
        """The values of metrics.json by their path, such as `test.types.PER.f1`.

        Raises:
            InputError: the file is not JSON.
        """
        try:
            return flatten(json.loads(self.read(METRICS) or "{}"))
        except json.JSONDecodeError as error:
            raise InputError(f"{METRICS} of {self} is not JSON: {error}") from error

    def sentences(self) -> pd.DataFrame | None:
        """What each sentence's entities count, None for a commit that has no such table.

        Raises:
            InputError: the table is malformed.
        """
        text = self.read(SENTENCES)
        try:
            return None if text is None else pd.read_csv(io.StringIO(text))
        except pd.errors.ParserError as error:
            raise InputError(f"{SENTENCES} of {self} is malformed: {error}") from error

    def predictions(self, split: str) -> list[list[list[str]]] | None:
        """By sentence the columns token, gold and predicted tag; None if not on this machine."""
        path = f"data/predictions/{split}.conll"
        try:
            text = dvc.api.read(path, repo=str(self.root), rev=self.commit, encoding="utf-8")
        except (DvcException, OSError):
            return None
        blocks = text.split("\n\n")[:-1]
        return [
            [list(c) for c in zip(*(line.split(" ") for line in block.split("\n")), strict=True)]
            for block in blocks
        ]


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, float]:
    """The numbers in nested mappings, by their keys joined with dots."""
    found: dict[str, float] = {}
    for key, value in values.items():
        path = f"{prefix}{key}"
        found |= flatten(value, f"{path}.") if isinstance(value, dict) else {path: value}
    return found


def changed_parameters(base: Revision, head: Revision) -> dict[str, tuple[Any, Any]]:
    """The parameters that differ: their values in the base and in the head, None for none."""
    old, new = base.yaml("params.yaml"), head.yaml("params.yaml")
    keys = dict.fromkeys([*old, *new])
    return {k: (old.get(k), new.get(k)) for k in keys if old.get(k) != new.get(k)}


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
