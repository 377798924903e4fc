"""How a stage is called from the command line, and how its parameters are read.

A stage is one function. Its positional arguments are paths, which dvc.yaml's `cmd` names. Its
keyword-only arguments are parameters, which dvc.yaml's `params` names, annotated with their type
and bounds: `hidden: Annotated[int, Field(ge=1)]`.

DVC records what a stage was made of when the stage has ended. So a stage keeps its outputs only if
that is then what it was when the stage started, and only if whoever started it is still there.
"""

import inspect
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError, create_model

from tagger.files import InputError, before_rename, sha256

ROOT = Path(__file__).parent.parent
PACKAGES = ("evaluation", "stages", "tagger")  # whose modules a stage may import
PARAMETERS, VERSIONS = Path("params.yaml"), Path("requirements.lock")
LARGEST = 20_000  # bytes of params.yaml: PyYAML reads them within a second, whatever they are
LONGEST = 200  # characters of a value


def run(stage: Callable[..., None]) -> None:
    """Call `stage` with the paths of the command line and its parameters in params.yaml.

    Bad input, a failing disk, too little memory, and a change of what the stage is made of end the
    process with one line on standard error and status 1.
    """
    arguments = inspect.signature(stage).parameters.values()
    paths = [a.name for a in arguments if a.kind is not a.KEYWORD_ONLY]
    if len(sys.argv) != 1 + len(paths):
        usage = " ".join(name.upper() for name in paths)
        sys.exit(f"usage: python -m stages.{stage.__name__} {usage}")
    files = list(map(Path, sys.argv[1:]))
    try:
        parameters = read_parameters(PARAMETERS, stage)
        with _guarded(stage, files):
            stage(*files, **parameters)
    except (InputError, OSError) as error:
        sys.exit(f"{stage.__name__}: {error}")
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        reason = f"{error} ".splitlines()[0]
        sys.exit(
            f"{stage.__name__}: out of memory ({reason.strip()}). End other programs, or ask for "
            "less: shorter or fewer word vectors; in params.yaml a smaller batch_size, filters or "
            "hidden"
        )
    except KeyboardInterrupt:
        sys.exit(130)  # as a shell reports it: 128 + SIGINT


def _is_out_of_memory(error: Exception) -> bool:
    """Whether there is too little memory, for which torch has no exception that covers all."""
    texts = ("can't allocate memory", "out of memory")
    return isinstance(error, MemoryError) or any(text in str(error) for text in texts)


@contextmanager
def _guarded(stage: Callable[..., None], files: Sequence[Path]) -> Iterator[None]:
    """Let outputs become whole only if the stage is still made of what it was made of at first.

    DVC reads the hashes that it records when a stage has ended. It would vouch for code, values
    and inputs that came later than those which the stage has used.

    The process also ends within a second after the one that started it, and makes nothing whole
    then: an orphan would replace outputs that another run has made meanwhile. Linux could send it a
    signal (PR_SET_PDEATHSIG), but does so already when the thread ends that started the process.

    Raises:
        InputError: something has changed, or the process that started this one is gone.
    """
    parent = os.getppid()
    orphaned = "the process that started this stage is gone, so nothing was kept"
    before = made_of(stage, files)
    unchanged = False
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(timeout=0.5):
            if os.getppid() != parent:
                with suppress(OSError):  # where standard error led to the other process
                    print(f"{stage.__name__}: {orphaned}", file=sys.stderr, flush=True)
                os._exit(1)

    def check() -> None:
        nonlocal unchanged
        if os.getppid() != parent:
            raise InputError(orphaned)
        if not unchanged:  # before the first output: those after it may be among `files`
            changed = _difference(before, made_of(stage, files))
            if changed:
                raise InputError(
                    f"changed since this stage began: {', '.join(changed)}; so nothing was kept, "
                    "for dvc.lock would say that it was made of what stands there now. Run it "
                    "again; to go on working while a stage runs, use `dvc exp run --temp`"
                )
            unchanged = True

    threading.Thread(target=watch, daemon=True).start()
    token = before_rename.set(check)
    try:
        yield
    finally:
        before_rename.reset(token)
        ended.set()


def made_of(stage: Callable[..., None], files: Sequence[Path]) -> dict[str, str]:
    """What can shape the outputs of a stage, each with its value or its SHA-256.

    These are the values of its parameters, and the files of the versions, of all code of this
    repository that a stage may import, and in `files`, which may be folders. The contents are
    hashed, however large: a file that is written again as it was has not changed, and DVC reads
    them all once more.
    """
    parameters = read_parameters(PARAMETERS, stage)
    found = {f"{PARAMETERS}: {key}": repr(value) for key, value in parameters.items()}
    code = [ROOT / package for package in PACKAGES]
    for path in (ROOT / VERSIONS, *code, *files):
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            is_code = path in code
            if file.is_file() and (file.suffix == ".py" or not is_code):
                found[str(file)] = sha256(file)
    return found


def _difference(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """What differs, but for code that this process has not imported."""
    imported = {getattr(module, "__file__", None) for module in [*sys.modules.values()]}
    names = [name for name in {**before, **now} if before.get(name) != now.get(name)]
    code = tuple(f"{ROOT / package}{os.sep}" for package in PACKAGES)
    return [
        name.removeprefix(f"{ROOT}{os.sep}")
        for name in names
        if name in imported or not name.startswith(code)
    ]


def read_parameters(path: Path, stage: Callable[..., None]) -> dict[str, Any]:
    """The values of a stage's parameters in a YAML file, in the types that the stage declares.

    Each is read as the text that stands in the file. So `1e-05` is a number, although it is a
    string to YAML (`dvc exp run -S learning_rate=0.00001` writes it), and a corpus may be called
    `no`.

    Raises:
        InputError: the file is no flat YAML mapping, or a parameter is missing or refused.
    """
    arguments = inspect.signature(stage, eval_str=True).parameters.values()
    declared: dict[str, Any] = {
        a.name: (a.annotation, ...) for a in arguments if a.kind is a.KEYWORD_ONLY
    }
    values = _read_flat(path)
    for key in declared:
        if key not in values:
            raise InputError(f"{path} has no key {key!r}; add a line `{key}: …`")
    model = create_model("Parameters", **declared)
    try:
        found = model.model_validate_strings({key: values[key] for key in declared})
    except ValidationError as error:
        problem = error.errors()[0]
        key = str(problem["loc"][0])
        raise InputError(f"{path}: {key}: {values[key]!r} is refused: {problem['msg']}") from error
    return {key: getattr(found, key) for key in declared}


def _read_flat(path: Path) -> dict[str, str]:
    """The keys and the values of a YAML file with `key: value` lines, each as its text.

    Events are read one by one, up to the first that is not allowed, and no values are built: nested
    or repeated structures (aliases) could take any time and memory.
    """
    data = path.read_bytes()
    if len(data) > LARGEST:
        raise InputError(f"{path} has {len(data):,} bytes; more than {LARGEST:,} are not read")
    nodes = (yaml.MappingStartEvent, yaml.SequenceStartEvent, yaml.AliasEvent)
    texts: list[str] = []
    starts = 0  # of documents, mappings and lists, of which only the first two are allowed
    try:
        for event in yaml.parse(data.decode(), yaml.BaseLoader):
            assert event.start_mark  # of each event that is parsed from text
            line = event.start_mark.line + 1
            starts += isinstance(event, (yaml.DocumentStartEvent, *nodes))
            if starts > 2:
                raise InputError(
                    f"{path}, line {line}: a list, a mapping, a reference or a second document; "
                    "write `key: value` lines alone"
                )
            if starts == 2 and isinstance(event, yaml.SequenceStartEvent):
                break
            if isinstance(event, yaml.ScalarEvent):
                if len(event.value) > LONGEST:
                    raise InputError(
                        f"{path}, line {line}: {event.value[:80]!r}… has more than {LONGEST} "
                        "characters"
                    )
                texts.append(event.value)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise InputError(
            f"{path}, line {line}: byte {data[error.start]:#04x} is not UTF-8; save the file as "
            "UTF-8"
        ) from error
    except yaml.YAMLError as error:
        raise InputError(f"{path} is not YAML: {' '.join(str(error).split())}") from error
    if starts < 2 or isinstance(event, yaml.SequenceStartEvent):
        raise InputError(f"{path} must hold `key: value` lines")
    return dict(zip(texts[::2], texts[1::2], strict=True))
