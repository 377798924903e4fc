"""A state of the repository: a commit, an experiment, or the working tree."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pandas as pd

from evaluation.significance import f1
from evaluation.slices import COUNTS, SLICES, by_document
from review.dvc_files import (
    SPECIAL_FOLDERS,
    Stage,
    check_hash,
    check_locked_stage,
    check_parameters,
    hashes,
    parse,
    read_stages,
)
from tagger.corpus.conll import read_conll
from tagger.files import InputError

WORKING_TREE = "the working tree"
METRICS, SENTENCES = "metrics/metrics.json", "metrics/sentences.csv"
# Far more than an honest evaluation gives.
MAX_NUMBER = 10**9  # in metrics.json
MAX_COUNT = 10**6  # in sentences.csv


def git(root: Path, *arguments: str) -> str:
    """Run a git command in a folder and return what it prints.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    command = ["git", *arguments]
    result = subprocess.run(
        command, cwd=root, check=True, capture_output=True,
        encoding="utf-8", errors="backslashreplace",
    )  # fmt: skip
    return result.stdout


def _read_objects(root: Path, *arguments: str, given: bytes = b"") -> bytes:
    """Run a git command that reads the bytes `given`, and return the bytes that it prints."""
    command = ["git", *arguments]
    result = subprocess.run(command, cwd=root, check=True, input=given, capture_output=True)
    return result.stdout


def dvc(root: Path, *arguments: str) -> str:
    """Run a DVC command in a folder and return what it prints.

    Raises:
        InputError: it failed.
    """
    command = [sys.executable, "-m", "dvc", *arguments]
    result = subprocess.run(command, cwd=root, capture_output=True, encoding="utf-8")
    if result.returncode:
        reason = " ".join(result.stderr.split())[:1000]
        raise InputError(f"`dvc {' '.join(arguments)}` failed: {reason}")
    return result.stdout


@cache
def cache_of(root: Path) -> Path:
    """The folder of a repository's DVC cache."""
    return root / dvc(root, "cache", "dir").strip()


def find_root() -> Path:
    """The root of the repository that the working directory is in.

    Git starts a hook, or a command of `git rebase --exec`, with environment variables that name
    the repository, and git obeys them in whatever folder it runs. So this removes them from the
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
def empty_tree(cache: str) -> Iterator[Path]:
    """A temporary folder in which DVC works, without git and with this folder as its cache."""
    with TemporaryDirectory(prefix="review-") as folder:
        tree = Path(folder) / "tree"
        (tree / ".dvc").mkdir(parents=True)
        # Without a setting, DVC keeps its notes on the folder in another one that outlives it.
        (tree / ".dvc/config").write_text(
            "[core]\n    no_scm = true\n    analytics = false\n    check_update = false\n"
            # In quotes, since a comma would make a list of a path, and # a comment.
            f'    site_cache_dir = "{folder}/site"\n[cache]\n    dir = "{cache}"\n',
            encoding="utf-8",
        )
        yield tree


def end_on_signals() -> None:
    """End as by an error on SIGINT, SIGTERM and SIGHUP: what runs is ended, folders are removed."""
    ends = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]

    def end(number: int, _: object) -> None:
        for other in ends:  # a second one must not interrupt the removal
            signal.signal(other, signal.SIG_IGN)
        sys.exit(128 + number)

    for number in ends:
        if signal.getsignal(number) != signal.SIG_IGN:  # as nohup sets it
            signal.signal(number, end)


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
        if not name or name.startswith("-"):  # which git would take for an option
            raise InputError(f"{name!r} names no revision")
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
            InputError: it is not text in UTF-8, or behind a symbolic link.
        """
        data = self.read_bytes(path)
        try:
            return None if data is None else data.decode()
        except UnicodeDecodeError as error:
            raise InputError(f"{path} of {self} is not UTF-8: {error}") from error

    def read_bytes(self, path: str) -> bytes | None:
        """What a file holds, None where the revision does not have it.

        Raises:
            InputError: it is behind a symbolic link, which may lead to any file of this machine.
        """
        if self.commit is not None:
            try:
                return _read_objects(self.root, "cat-file", "blob", f"{self.commit}:{path}")
            except subprocess.CalledProcessError:
                return None
        file = self.root / path
        if file.resolve() != self.root.resolve() / path:
            raise InputError(f"{path} of {self} is a symbolic link: put the file itself there")
        return file.read_bytes() if file.is_file() else None

    def write_files(self, folder: Path, is_wanted: Callable[[str], bool]) -> None:
        """Write files of a commit into a folder, each with the bytes that git has.

        `git checkout` would follow what the commit says: make its links, fetch its submodules, and
        run hooks and filters. What says how DVC and git behave is not written.

        Raises:
            InputError: a path leads out of the folder or is in the commit twice, or is no file.
        """
        listed = _read_objects(self.root, "ls-tree", "-r", "-z", "--full-tree", str(self.commit))
        entries = []
        for line in listed.split(b"\0")[:-1]:
            kind, _, raw = line.partition(b"\t")
            name = os.fsdecode(raw)
            parts = [part.lower() for part in name.split("/")]
            if not is_wanted(name) or SPECIAL_FOLDERS.intersection(parts):
                continue
            mode, _, hash_ = kind.split()
            if not mode.startswith(b"100"):
                what = "a symbolic link" if mode == b"120000" else "a submodule"
                raise InputError(f"{name} of {self} is {what}: put the files themselves there")
            if {"", ".", ".."}.intersection(parts):
                raise InputError(f"{name!r} of {self} is no path of a file")
            entries.append((folder / name, mode, hash_))
        data = io.BytesIO(
            _read_objects(
                self.root, "cat-file", "--batch",
                given=b"".join(hash_ + b"\n" for _, _, hash_ in entries),
            )
        )  # fmt: skip
        for path, mode, _ in entries:
            size = int(data.readline().split()[2])
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                with path.open("xb") as file:
                    file.write(data.read(size))
            except OSError as error:
                raise InputError(
                    f"{path.relative_to(folder)} of {self} cannot be written: {error}"
                ) from error
            path.chmod(0o755 if mode == b"100755" else 0o644)
            data.readline()

    def yaml(self, path: str) -> dict[str, Any]:
        """Read a YAML mapping, empty where there is no such file; each value is text.

        Raises:
            InputError: the file is no YAML mapping, or has a merge conflict (see `parse`).
        """
        return parse(self.read(path) or "", f"{path} of {self}")

    def parameters(self) -> dict[str, str]:
        """The values of params.yaml by key, each the text that stands in the file.

        Raises:
            InputError: the file is no YAML mapping, or a value is a list, a mapping or very long.
        """
        return check_parameters(self.yaml("params.yaml"), f"params.yaml of {self}")

    def stages(self) -> dict[str, Stage]:
        """The stages of dvc.yaml by name, with `${key}` in paths replaced by the parameter's value.

        Raises:
            InputError: a file is no YAML mapping, has a merge conflict, or other stages than a
                review understands.
        """
        return read_stages(self.yaml("dvc.yaml"), f"dvc.yaml of {self}", self.parameters())

    def locked_stages(self) -> dict[str, Any]:
        """The stages of dvc.lock by name, empty where there is no dvc.lock.

        Raises:
            InputError: the file is no YAML mapping, has a merge conflict, or is not as DVC writes
                it.
        """
        where = f"dvc.lock of {self}"
        return {
            name: check_locked_stage(entry, f"{where}: {name}")
            for name, entry in (self.yaml("dvc.lock").get("stages") or {}).items()
        }

    def metrics(self) -> dict[str, float]:
        """The numbers in metrics.json by their path, such as `test.types.PER.f1`.

        Raises:
            InputError: the file is not JSON, or has values that are not numbers.
        """
        where = f"{METRICS} of {self}"
        try:
            found = flatten({"": json.loads(self.read(METRICS) or "{}")})
        except RecursionError as error:
            raise InputError(f"{where} is nested too deep") from error
        except ValueError as error:
            if isinstance(error, InputError):
                raise
            raise InputError(f"{where} is not JSON: {error}") from error
        for path, value in found.items():
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if not is_number or not abs(value) <= MAX_NUMBER:
                raise InputError(f"{where}: {path}: {value!r:.80} is no number of sane size")
        return found

    def sentences(self) -> pd.DataFrame | None:
        """The table of metrics/sentences.csv, None for a commit without it.

        Raises:
            InputError: the table is malformed, or not that of the scores in metrics.json.
        """
        text = self.read(SENTENCES)
        if text is None:
            return None
        where = f"{SENTENCES} of {self}"
        try:
            table = pd.read_csv(io.StringIO(text), dtype={"split": str}, keep_default_na=False)
        except ValueError as error:  # empty, or a line is too long
            raise InputError(f"{where} is malformed: {error}") from error
        groups = {column.rpartition(".")[0] for column in table.columns if "." in column}
        wanted = [f"{group}.{what}" for group in sorted(groups) for what in COUNTS]
        for column in ("split", "document", "sentence", *wanted):
            if column not in table.columns:
                raise InputError(f"{where} has no column {column!r}")
        for column in table.columns.drop("split"):
            if table[column].dtype != "int64":
                raise InputError(f"{where}: {column}: not all are whole numbers")
            if not table[column].between(0, MAX_COUNT).all():
                raise InputError(f"{where}: {column}: not all are from 0 to {MAX_COUNT}")
        for group in sorted(groups):
            correct, *others = (table[f"{group}.{what}"] for what in COUNTS)
            if any((correct > other).any() for other in others):
                raise InputError(f"{where}: {group}: more are correct than are predicted or gold")
        self._check_scores(table)
        return table

    def _check_scores(self, table: pd.DataFrame) -> None:
        """Check that the counts of sentences.csv give the scores that metrics.json has."""
        metrics = self.metrics()
        for split in table["split"].unique():
            groups = by_document(table[table["split"] == split])
            for (level, name), counts in groups.items():
                prefix = split if level == "all" else f"{split}.{level}s.{name}"
                is_recall = level == "slice" and SLICES[name].measure == "recall"
                total = counts.sum(axis=0)
                if level == "type" and not total.any() and f"{prefix}.support" not in metrics:
                    continue  # a type of train or of another split, which has no score here
                scores = {
                    "recall" if is_recall else "f1": float(f1(total)),
                    "support": int(total[2]),
                }
                for path, value in ((f"{prefix}.{key}", value) for key, value in scores.items()):
                    written = metrics.get(path, float("nan"))
                    if not abs(written - value) <= 0.0001:  # scores have four digits
                        raise InputError(
                            f"{path} is {value:.4g} by {SENTENCES} of {self}, and {written:.4g} in "
                            f"{METRICS}: the two are not of one evaluation"
                        )

    def predictions(self, split: str) -> list[list[list[str]]] | None:
        """For each sentence its tokens, gold tags and predicted tags.

        They are read from DVC's cache under the hash in dvc.lock, since `dvc.api.read` would
        download them from a remote. None if this machine's cache does not have them.

        Raises:
            InputError: what the cache has is no such file.
        """
        evaluate = self.locked_stages().get("evaluate", {})
        folder = hashes(evaluate, "outs").get("data/predictions", "")
        objects = cache_of(self.root) / "files/md5"
        try:
            listed = json.loads((objects / folder[:2] / folder[2:]).read_bytes())
            files = {item["relpath"]: check_hash(item["md5"]) for item in listed}
            file = files.get(f"{split}.conll", "")
            data = (objects / file[:2] / file[2:]).read_bytes()
        except OSError:
            return None
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"dvc.lock of {self}: {folder} in DVC's cache is no list of files, as that of "
                f"data/predictions is: {error}"
            ) from error
        where = f"{split}.conll of {self}"
        return [list(s.columns) for s in read_conll(where, data, tag_columns=2)]


def is_in(file: str, paths: Iterable[str]) -> bool:
    """Whether a file is one of the paths, or in a folder that is."""
    return any(file == path or file.startswith(f"{path}/") for path in paths)


def flatten(values: dict[str, Any], prefix: str = "") -> dict[str, float]:
    """The values of nested mappings, by their keys joined with dots."""
    found: dict[str, float] = {}
    for key, value in values.items():
        path = f"{prefix}.{key}" if prefix else key
        found |= flatten(value, path) if isinstance(value, dict) else {path: value}
    return found


def changed_parameters(base: Revision, head: Revision) -> dict[str, tuple[str | None, str | None]]:
    """The parameters whose values differ: the text in the base and in the head, None if absent."""
    old, new = base.parameters(), head.parameters()
    keys = dict.fromkeys([*old, *new])
    pairs = {key: (old.get(key), new.get(key)) for key in keys}
    return {key: pair for key, pair in pairs.items() if _value(pair[0]) != _value(pair[1])}


def _value(text: str | None) -> object:
    """A parameter's number, if it is one: `1e-05` and `0.00001` are the same."""
    try:
        value = Decimal(text or "")
    except InvalidOperation:
        return text
    return value if value.is_finite() else text


def changed_code(base: Revision, head: Revision) -> dict[str, list[str]]:
    """What differs, by stage, of the files in git that the stage depends on, and of its command.

    Raises:
        InputError: as `Revision.stages`.
    """
    assert base.commit
    # Of a file that was moved both names count: it may have left what a stage depends on.
    options = ("-z", "--name-only", "--no-renames")
    files = git(base.root, "diff", *options, base.commit, *filter(None, [head.commit]))
    if head.commit is None:
        files += git(base.root, "ls-files", "-z", "--others", "--exclude-standard")
    old_stages, new_stages = base.stages(), head.stages()
    changed = {}
    for name in dict.fromkeys([*new_stages, *old_stages]):
        old, new = old_stages.get(name), new_stages.get(name)
        deps = [dep for stage in (old, new) if stage for dep in stage.deps]
        deps += [f"{dep}.dvc" for dep in deps]  # where git has no more than the hash of the data
        found = [file for file in files.split("\0")[:-1] if is_in(file, deps)]
        if not old or not new:
            found.insert(0, "the stage itself")
        elif old.command != new.command:
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
