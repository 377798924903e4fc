"""How a stage is called, and how its outputs come to be whole or not at all.

A stage is one function: its positional arguments are paths, named in dvc.yaml's `cmd`; its
keyword-only arguments are parameters, named in dvc.yaml's `params`.
"""

import inspect
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

SPLITS = ("train", "validation", "test")  # of a corpus


class InputError(ValueError):
    """What a user gave cannot be used; the message says where it stands and what would do."""


class Parameters(BaseModel):
    """The parameters of the pipeline, and what each may be; params.yaml says what each is for."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    corpus: str
    embeddings: str
    scheme: Literal["IOB2", "BIOES"]
    finetune: bool
    characters: Literal["none", "cnn"]
    filters: Annotated[int, Field(ge=1, le=4096)]
    document: bool
    crf: bool
    hidden: Annotated[int, Field(ge=1, le=4096)]
    layers: Annotated[int, Field(ge=1, le=8)]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    recurrent_dropout: Annotated[float, Field(ge=0, lt=1)]
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    decay: bool
    batch_size: Annotated[int, Field(ge=1, le=4096)]
    epochs: Annotated[int, Field(ge=1, le=1000)]
    patience: Annotated[int, Field(ge=1, le=1000)]
    clip: Annotated[float, Field(gt=0, allow_inf_nan=False)]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    threads: Annotated[int, Field(ge=1, le=256)]
    device: Literal["auto", "cpu", "cuda"]

    @classmethod
    def read(cls, path: Path) -> "Parameters":
        """The parameters in a YAML file, each read as the text that stands there.

        So `1e-05` is a number, though not to YAML (`dvc exp run -S learning_rate=0.00001` writes
        it), and a corpus may be called `no`.

        Raises:
            InputError: the file is not a YAML mapping, or a key is missing, unknown or refused.
        """
        try:
            values = yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)  # noqa: S506
        except yaml.YAMLError as error:
            raise InputError(f"{path} is not YAML: {error}") from error
        if not isinstance(values, dict):
            raise InputError(f"{path} must hold `key: value` lines, not {values!r}")
        try:
            return cls.model_validate_strings({key: str(value) for key, value in values.items()})
        except ValidationError as error:
            problem = error.errors()[0]
            key = problem["loc"][0]
            if problem["type"] == "missing":
                raise InputError(f"{path} has no key {key!r}; add a line `{key}: …`") from error
            if problem["type"] == "extra_forbidden":
                known = ", ".join(cls.model_fields)
                raise InputError(f"{path}: no stage reads {key!r}; there are: {known}") from error
            message = problem["msg"]
            raise InputError(f"{path}: {key}: {values[key]!r} is refused: {message}") from error


def run(stage: Callable[..., None]) -> None:
    """Call `stage` with the paths of the command line and its parameters of params.yaml.

    All parameters are checked, not the stage's alone, so that what the last stage would refuse is
    refused before the first one works. Bad input and a failing disk end the process with one line
    on standard error and status 1.
    """
    arguments = inspect.signature(stage).parameters.values()
    paths = [a.name for a in arguments if a.kind is not a.KEYWORD_ONLY]
    keys = [a.name for a in arguments if a.kind is a.KEYWORD_ONLY]
    if len(sys.argv) != 1 + len(paths):
        usage = " ".join(name.upper() for name in paths)
        sys.exit(f"usage: python -m stages.{stage.__name__} {usage}")
    try:
        parameters = Parameters.read(Path("params.yaml"))
        stage(*map(Path, sys.argv[1:]), **{key: getattr(parameters, key) for key in keys})
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
