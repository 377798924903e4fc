"""How a stage is called from the command line, and how its parameters are read.

A stage is one function. Its positional arguments are paths, which dvc.yaml's `cmd` names. Its
keyword-only arguments are parameters, which dvc.yaml's `params` names, annotated with their type
and bounds: `hidden: Annotated[int, Field(ge=1)]`.
"""

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError, create_model

from tagger.files import InputError


def run(stage: Callable[..., None]) -> None:
    """Call `stage` with the paths of the command line and its parameters in params.yaml.

    Bad input and a failing disk end the process with one line on standard error and status 1.
    """
    arguments = inspect.signature(stage).parameters.values()
    paths = [a.name for a in arguments if a.kind is not a.KEYWORD_ONLY]
    if len(sys.argv) != 1 + len(paths):
        usage = " ".join(name.upper() for name in paths)
        sys.exit(f"usage: python -m stages.{stage.__name__} {usage}")
    try:
        parameters = read_parameters(Path("params.yaml"), stage)
        stage(*map(Path, sys.argv[1:]), **parameters)
    except (InputError, OSError) as error:
        sys.exit(f"{stage.__name__}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)  # as a shell reports it: 128 + SIGINT


def read_parameters(path: Path, stage: Callable[..., None]) -> dict[str, Any]:
    """The values of a stage's parameters in a YAML file, in the types that the stage declares.

    Each is read as the text that stands in the file. So `1e-05` is a number, although it is a
    string to YAML (`dvc exp run -S learning_rate=0.00001` writes it), and a corpus may be called
    `no`.

    Raises:
        InputError: the file is not a YAML mapping, or a parameter is missing or refused.
    """
    arguments = inspect.signature(stage, eval_str=True).parameters.values()
    declared: dict[str, Any] = {
        a.name: (a.annotation, ...) for a in arguments if a.kind is a.KEYWORD_ONLY
    }
    try:
        values = yaml.load(path.read_text(encoding="utf-8"), yaml.BaseLoader)  # noqa: S506
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not YAML: {error}") from error
    if not isinstance(values, dict):
        raise InputError(f"{path} must hold `key: value` lines, not {values!r}")
    for key in declared:
        if key not in values:
            raise InputError(f"{path} has no key {key!r}; add a line `{key}: …`")
    model = create_model("Parameters", **declared)
    try:
        found = model.model_validate_strings({key: str(values[key]) for key in declared})
    except ValidationError as error:
        problem = error.errors()[0]
        key = str(problem["loc"][0])
        raise InputError(f"{path}: {key}: {values[key]!r} is refused: {problem['msg']}") from error
    return {key: getattr(found, key) for key in declared}
