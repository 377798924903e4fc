"""Files that come to be whole or not at all, and the error for input that cannot be used."""

import hashlib
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path


class InputError(ValueError):
    """A user's input cannot be used. The message says where it stands, and what would help."""


# Called before anything is renamed to an output; what it raises keeps the output from becoming
# whole. The stages' runner sets it.
before_rename: ContextVar[Callable[[], None]] = ContextVar("before_rename", default=lambda: None)


@contextmanager
def atomic_output(path: Path) -> Iterator[Path]:
    """Give a path beside `path` to write a file or a folder to, and rename it to `path` at the end.

    If an error ends the block, or `before_rename` raises one, nothing stands at `path` that looks
    whole. What a killed process left behind is removed by the next one. The temporary name keeps
    the suffix of `path`, since some writers choose the format by it.

    Raises:
        InputError: `path` is a device or a pipe. Root may remove those, /dev/null too.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise InputError(f"{path} is a device or a pipe, which is not replaced; give another name")
    partial = partial_of(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove(partial)
    try:
        yield partial
        before_rename.get()()
        if partial.is_dir() or (path.is_dir() and not path.is_symlink()):
            _remove(path)
        partial.replace(path)  # a file in one step: there is never none
    finally:
        _remove(partial)


def partial_of(path: Path) -> Path:
    """Where `atomic_output` has an output written, until it is whole."""
    return path.with_name(f"partial-{path.name}")


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Name the file or the folder that a block reads where a library finds it damaged.

    Raises:
        InputError: the block raised an error that names no file, as the readers of safetensors,
            parquet, NumPy and JSON do, each with exceptions of its own.
    """
    try:
        yield
    except (InputError, MemoryError, FileNotFoundError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.filename:
            raise
        reason = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        raise InputError(
            f"{path} is damaged, or of another version ({reason}); delete it, and make or get it "
            "again"
        ) from error


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_files(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """The SHA-256 of some files of a folder, by their names."""
    return {name: sha256(folder / name) for name in names}


def check_hashes(folder: Path, expected: Mapping[str, str], record: Path, remedy: str) -> None:
    """Refuse files of a folder whose SHA-256, by name, is not that which the file `record` has.

    Raises:
        InputError: the first such file.
    """
    for name, hash_ in expected.items():
        if (found := sha256(folder / name)) != hash_:
            raise InputError(
                f"{folder / name} has the SHA-256 {found}, but {record} says that it is {hash_}. "
                f"{remedy}"
            )


def read_lines(path: Path) -> list[str]:
    """The entries of a list in a text file, one a line.

    Only a line feed ends a line: an entry may hold other characters that Python's `splitlines`
    would split at.

    Raises:
        InputError: the file is not UTF-8.
    """
    with reading(path), path.open(encoding="utf-8", newline="\n") as file:
        text = file.read()
    return text.removesuffix("\n").split("\n") if text else []


def write_lines(path: Path, entries: Sequence[str]) -> None:
    """Write a list to a text file, an entry a line."""
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{entry}\n" for entry in entries)
