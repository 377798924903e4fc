"""How a stage is called, and how its outputs come to be whole or not at all.

A stage is one function: its positional arguments are paths, named in dvc.yaml's `cmd`; its
keyword-only arguments are parameters, named in dvc.yaml's `params`. The signature is the
declaration: the annotation of a parameter says its type and what it may be.
"""

import inspect
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

PARAMS = Path("params.yaml")


class InputError(ValueError):
    """What a user gave cannot be used; the message says where it stands and what would do."""


def read_parameters(path: Path, annotations: dict[str, Any]) -> dict[str, Any]:
    """The values that `path` gives for the keys of `annotations`, each in its declared type.

    A value is read as the text that stands in the file: `dvc exp run -S learning_rate=0.00001`
    writes `1e-05`, which YAML takes for a string, and a YAML `true` is no number.

    Raises:
        InputError: the file is not a YAML mapping, a key is missing, or a value is not allowed.
    """
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not YAML: {error}") from error
    if not isinstance(values, dict):
        raise InputError(f"{path} must hold `key: value` lines, not {values!r}")
    result = {}
    for key, annotation in annotations.items():
        if key not in values:
            raise InputError(f"{path} has no key {key!r}; add a line `{key}: …`")
        try:
            result[key] = TypeAdapter(annotation).validate_strings(str(values[key]))
        except ValidationError as error:
            reason = error.errors()[0]["msg"]
            raise InputError(f"{path}: {key}: {values[key]!r} is refused: {reason}") from error
    return result


def run(stage: Callable[..., None]) -> None:
    """Call `stage` with the paths of the command line and the parameters of params.yaml.

    Bad input and a failing disk end the process with one line on standard error and status 1.
    """
    arguments = inspect.signature(stage, eval_str=True).parameters.values()
    paths = [a.name for a in arguments if a.kind is not a.KEYWORD_ONLY]
    annotations = {a.name: a.annotation for a in arguments if a.kind is a.KEYWORD_ONLY}
    if len(sys.argv) != 1 + len(paths):
        usage = " ".join(name.upper() for name in paths)
        sys.exit(f"usage: python -m stages.{stage.__name__} {usage}")
    try:
        stage(*map(Path, sys.argv[1:]), **read_parameters(PARAMS, annotations))
    except (InputError, OSError) as error:
        sys.exit(f"{stage.__name__}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)  # as a shell reports it: 128 + SIGINT


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """A path beside `path` to write a file or a folder to, renamed to `path` at the end.

    Whatever ends the block early, nothing stands at `path` that looks whole. What a killed
    process left beside it is removed by the next one. The name keeps its suffix, since some
    writers go by it.
    """
    partial = path.with_name(f"partial-{path.name}")
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove(partial)
    try:
        yield partial
        _remove(path)
        partial.rename(path)
    finally:
        _remove(partial)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
