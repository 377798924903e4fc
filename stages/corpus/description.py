"""What corpus.yaml says of a corpus, and the files that it has."""

import codecs
import hashlib
import http.client
import os
import re
import urllib.parse
import urllib.request
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal, Self

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails

from tagger.corpus.conll import DOCUMENT_START, SPLITS, ConllLayout
from tagger.files import InputError

FILE = "corpus.yaml"
SUFFIXES = (".conll", ".parquet", ".jsonl")
LARGEST = 20_000  # bytes of corpus.yaml
# What others call the splits, for messages.
OTHER_NAMES = {"dev": "validation", "devel": "validation", "development": "validation",
               "val": "validation", "valid": "validation", "testa": "validation",
               "testb": "test"}  # fmt: skip
PACKED_SUFFIXES = (".bz2", ".gz", ".xz", ".zip")
# How a file begins that is not the one that is wanted.
PACKED = (b"\x1f\x8b", b"BZh91AY&SY", b"\xfd7zXZ", b"PK\x03\x04")
GIT_LFS = b"version https://git-lfs.github.com/"

Column = Annotated[int | str, Field(union_mode="left_to_right")]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Link(_Model):
    """A file of a split elsewhere."""

    url: Annotated[str, Field(pattern=r"^(https?|file)://\S+$")]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class DataSet(_Model):
    """A data set of the Hugging Face Hub, or a folder beside corpus.yaml.

    path: as `datasets.load_dataset` takes it
    name: of the configuration, where there are several
    revision: the commit on the Hub, in full: a branch or a tag may move
    """

    path: Annotated[str, Field(min_length=1)]
    name: str | None = None
    revision: Annotated[str, Field(pattern="^[0-9a-f]{40}$")] | None = None


class Description(_Model):
    """What corpus.yaml may say. Columns of a CoNLL file are numbers, of a table names.

    token: the column of tokens: from 1, or from the end if negative
    tag: the same of tags
    separator: of the columns of a CoNLL file, where it is not what most lines have
    encoding: of CoNLL files
    documents: how a line begins that starts a document, or the column that tells a table's
        documents apart; False if each sentence is a document
    names: of the tags, in the order of their numbers, for tables that hold numbers
    urls: where the files are, by split
    dataset: where they come from instead
    licence: of the corpus
    """

    token: Column | None = None
    tag: Column | None = None
    separator: Literal["tab", "whitespace"] | None = None
    encoding: str = "utf-8"
    documents: str | Literal[False] | None = None
    names: list[str] | None = None
    urls: dict[Literal["train", "validation", "test"], Link] = {}
    dataset: DataSet | None = None
    licence: str | None = None

    @field_validator("token", "tag")
    @classmethod
    def _check_column(cls, value: int | str | None) -> int | str | None:
        if value in (0, ""):
            raise ValueError("columns are counted from 1, or from the end with -1")
        return value

    @model_validator(mode="after")
    def _check_columns(self) -> Self:
        if self.token is not None and self.token == self.tag:
            raise ValueError(f"token and tag are the same column: {self.token}")
        return self

    @field_validator("encoding")
    @classmethod
    def _check_encoding(cls, value: str) -> str:
        try:
            "".encode(value)
            codecs.lookup(value)
        except (LookupError, ValueError) as error:
            raise ValueError("Python knows no such encoding of text; try latin-1") from error
        return value

    @field_validator("documents")
    @classmethod
    def _check_documents(cls, value: str | bool | None) -> str | bool | None:
        if value is True or value == "":
            raise ValueError("say how a line begins that starts a document, or false")
        return value

    @field_validator("names")
    @classmethod
    def _check_names(cls, value: list[str] | None) -> list[str] | None:
        twice = [name for name, n in Counter(value or ()).items() if n > 1 and name != "O"]
        if twice:
            raise ValueError(f"{twice[0]!r} stands there twice: list the name of each number")
        return value

    def layout(self) -> ConllLayout:
        """How the CoNLL files are laid out.

        Raises:
            ValueError: a column has a name, as in a table.
        """
        numbers = []
        for key, value in (("token", self.token or 1), ("tag", self.tag or -1)):
            if isinstance(value, str):
                raise ValueError(
                    f"{key}: {value!r} is a name, but the columns of a CoNLL file have numbers"
                )
            numbers.append(value - 1 if value > 0 else value)
        return ConllLayout(
            token=numbers[0],
            tag=numbers[1],
            separator=self.separator or "auto",
            encoding=self.encoding,
            documents=DOCUMENT_START if self.documents is None else self.documents,
        )


def read_description(folder: Path) -> Description:
    """What corpus.yaml in the folder of a corpus says; nothing if there is none.

    Raises:
        InputError: it is no YAML mapping, or a key or a value is refused.
    """
    path = folder / FILE
    for other in folder.iterdir():
        if re.fullmatch(r"corpus\.ya?ml", other.name, re.IGNORECASE) and other.name != FILE:
            raise InputError(f"{other} is not read under this name: rename it to {FILE}")
    if not path.exists():
        return Description()
    data = path.read_bytes()
    if len(data) > LARGEST:
        raise InputError(f"{path} has {len(data):,} bytes; more than {LARGEST:,} are not read")
    try:
        _refuse_deep(path, data)
        values = yaml.safe_load(data.decode())
    except InputError:
        raise
    except (ValueError, yaml.YAMLError) as error:
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if values is None:
        return Description()
    known = ", ".join(Description.model_fields)
    if not isinstance(values, dict):
        raise InputError(f"{path} must hold `key: value` lines; the keys are {known}")
    try:
        return Description.model_validate(values)
    except ValidationError as error:
        raise InputError(f"{path}: {_explain(error.errors()[0])}") from error


def _refuse_deep(path: Path, data: bytes) -> None:
    """Refuse what would take any time and memory: references (aliases), and deep structures.

    Raises:
        InputError: the first of them.
    """
    depth = 0
    for event in yaml.parse(data.decode()):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > 3 or isinstance(event, yaml.AliasEvent):
            assert event.start_mark  # of each event that is parsed from text
            raise InputError(
                f"{path}, line {event.start_mark.line + 1}: nested too deep, or a reference; write "
                "`key: value` lines"
            )


def _explain(problem: ErrorDetails) -> str:
    """What is wrong with a key of corpus.yaml, and what helps."""
    place = [str(part) for part in problem["loc"] if part not in ("int", "str", "[key]")]
    key, value = ".".join(place), f"{problem['input']!r:.80}"
    if problem["type"] == "extra_forbidden":
        models: dict[str, type[_Model]] = {"dataset": DataSet, "urls": Link}
        model = models.get(place[0] if len(place) > 1 else "", Description)
        return f"there is no key {key!r}; there are: {', '.join(model.model_fields)}"
    if problem["type"] == "missing":
        return f"{key} is missing; add it"
    reason = problem["msg"].removeprefix("Value error, ")
    if key == "dataset.revision":
        reason = "give the 40 digits of a commit, in quotes: a branch or a tag may move"
    elif key == "documents":
        reason = "say how a line begins that starts a document, or false"
    elif key == "":
        return reason
    return f"{key}: {value} is refused: {reason}"


def refuse_links(folder: Path) -> None:
    """Refuse a corpus that is, or holds, a symbolic link.

    Raises:
        InputError: the first link.
    """
    for path in (folder.parent, folder, *sorted(folder.rglob("*"))):
        if path.is_symlink():
            raise InputError(
                f"{path} is a symbolic link: DVC would not see changes of what it points to. Copy "
                f"the files themselves: cp -rL {path} {path}.copy && rm {path} && "
                f"mv {path}.copy {path}"
            )


def files_of(folder: Path, description: Description) -> dict[str, Path | Link]:
    """Where the file of each split is, for those that have one. Empty for a data set.

    Raises:
        InputError: there is no train, a split has several files, or a file has another name than a
            split's.
    """
    urls: dict[str, Link] = {str(split): link for split, link in description.urls.items()}
    local = {
        split: [folder / f"{split}{s}" for s in SUFFIXES if (folder / f"{split}{s}").is_file()]
        for split in SPLITS
    }
    for split, paths in local.items():
        several = [str(path) for path in paths]
        several += [f"{folder / FILE}: urls.{split}"] if split in urls else []
        if description.dataset and several:
            several.append(f"{folder / FILE}: dataset")
        if len(several) > 1:
            raise InputError(f"{split} is there more than once: {', '.join(several)}; keep one")
    if description.dataset and description.urls:
        raise InputError(f"{folder / FILE}: urls and dataset: keep one")
    found: dict[str, Path | Link] = {
        split: local[split][0] if local[split] else urls[split]
        for split in SPLITS
        if local[split] or split in urls
    }
    if not description.dataset:
        _refuse_other_names(folder, [split for split in SPLITS if split not in found])
    if not description.dataset and "train" not in found:
        deeper = next(iter(sorted(folder.glob("*/**/train[.-]*"))), None)
        raise InputError(
            f"{folder} has no train: put {folder / 'train.conll'} there (or train.parquet, "
            f"train.jsonl), or name its urls or a dataset in {folder / FILE}"
            + (f". {deeper} lies too deep: move it up" if deeper else "")
        )
    return found


def _refuse_other_names(folder: Path, missing: Sequence[str]) -> None:
    """Refuse files that are not read and may be a split that is missing.

    Raises:
        InputError: the first of them.
    """
    for path in sorted(folder.iterdir()):
        name, suffix = path.name.lower(), path.suffix.lower()
        parts = re.search(r"-\d{5}-of-0*(\d+)\b", name)
        if parts and parts[1] != "1" and suffix in SUFFIXES:
            raise InputError(
                f"{path} is one of {parts[1]} parts: put them all into a folder {folder / 'data'}, "
                f"and write `dataset: {{path: data}}` into {folder / FILE}"
            )
        words = [word for word in re.split("[^a-z]+", name) if word in (*OTHER_NAMES, *SPLITS)]
        split = OTHER_NAMES.get(words[0], words[0]) if words else None
        if not missing or name.startswith(".") or not path.is_file():
            continue
        if split not in missing:
            if suffix in SUFFIXES and path.stem not in SPLITS:
                raise InputError(
                    f"{path} is not read, and there is no {' and no '.join(missing)}: rename it if "
                    f"it is that ({missing[0]}{suffix}), or move it out of the folder"
                )
            continue
        if suffix == ".dvc":
            raise InputError(f"{path} stands for a file that is not there: run `dvc pull {path}`")
        if suffix in PACKED_SUFFIXES:
            raise InputError(
                f"{path} is not read: unpack it, and call what it holds {split}.conll (or "
                f"{split}.parquet, {split}.jsonl), or move it out of the folder"
            )
        suffix = {".json": ".jsonl", ".ndjson": ".jsonl"}.get(suffix, suffix)
        suffix = suffix if suffix in SUFFIXES else ".conll"
        form = {".conll": "CoNLL format", ".jsonl": "JSON by line"}.get(suffix, suffix[1:])
        raise InputError(
            f"{path} is not read under this name: rename it to {split}{suffix} if it holds "
            f"{split} in {form} (other forms must be converted), or move it out of the folder"
        )


def suffix_of(source: Path | Link) -> str:
    """How the name of a split's file ends; `.jsonl` too if a URL's ends in `.json`."""
    if isinstance(source, Path):
        return source.suffix
    known = {".json": ".jsonl", ".jsonl": ".jsonl", ".parquet": ".parquet"}
    path = urllib.parse.urlsplit(source.url).path
    suffixes = (PurePosixPath(text).suffix for text in (path, source.url))
    return next((known[suffix] for suffix in suffixes if suffix in known), "")


def read_file(corpus: str, split: str, source: Path | Link, splits: int) -> tuple[str, bytes]:
    """What a file holds, with how messages name it.

    The files of a corpus with urls can come from another place, which the environment names: for
    the corpus conllpp CONLLPP_MIRROR, a folder or a base URL.

    Args:
        corpus: its name
        split: of the file
        source: where it is
        splits: how many files the corpus has

    Raises:
        InputError: it cannot be reached, its checksum is wrong, or it is packed.
    """
    if isinstance(source, Path):
        place, data = str(source), source.read_bytes()
    else:
        place, data = _fetch(corpus, split, source, splits)
    if data.startswith(GIT_LFS):
        raise InputError(f"{place} is what Git LFS puts in a file's place: run `git lfs pull`")
    if data.startswith(PACKED):
        raise InputError(f"{place} is compressed; unpack it")
    return place, data


def _fetch(corpus: str, split: str, source: Link, splits: int) -> tuple[str, bytes]:
    variable = re.sub(r"[^A-Z0-9]", "_", corpus.upper()) + "_MIRROR"
    base = os.environ.get(variable)
    place = f"{base.rstrip('/')}/{PurePosixPath(source.url).name}" if base else source.url
    try:
        if "://" in place:
            with urllib.request.urlopen(place, timeout=60) as response:
                data = response.read()
        else:
            data = Path(place).read_bytes()
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise InputError(
            f"could not reach {place}: {error}. Set {variable} to a folder or a base URL that "
            f"holds the {splits} files of {corpus}, or run `make sample`, which needs no network"
        ) from error
    found = hashlib.sha256(data).hexdigest()
    if found != source.sha256:
        raise InputError(
            f"{place} is not the file that corpus.yaml of {corpus} names as {split}: expected "
            f"SHA-256 {source.sha256}, got {found}; nothing was kept. Get it again, or from "
            "another mirror"
        )
    return place, data
