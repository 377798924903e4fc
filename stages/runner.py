"""How a stage is called, and how its parameters are read.

A stage is one function, in the module of its name. Its positional arguments are paths, which
dvc.yaml's `cmd` names. Its keyword-only arguments are parameters, which dvc.yaml's `params` names,
annotated with their type and bounds: `hidden: Annotated[int, Field(ge=1)]`.

DVC hashes the code and the inputs of a stage only after the stage has ended. So a stage keeps its
outputs only if these are still what they were when it started, and if the process that started it
still runs.
"""

import importlib
import inspect
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError, create_model

from tagger.files import InputError, before_rename, read_lines, sha256

ROOT = Path(__file__).parent.parent
PACKAGES = ("evaluation", "stages", "tagger")  # whose modules a stage may import
PARAMETERS, VERSIONS = Path("params.yaml"), Path("requirements.lock")
COMPUTING = ("numpy", "pyarrow", "scipy", "torch")  # packages that results come from
LARGEST = 20_000  # bytes of params.yaml: PyYAML reads them within a second, whatever they are
LONGEST = 200  # characters of a value
ORPHANED = "the process that started this stage is gone, so nothing was kept"


def run(name: str, arguments: Sequence[str], parent: int) -> None:
    """Import the stage `name`, and call it with paths and with its parameters in params.yaml.

    Bad input, a failing disk, too little memory, a change of what the stage is made of, and the end
    of the process `parent`, which started this one, end it with one line on standard error and
    status 1. SIGINT ends it with status 130, and nothing that is half-written remains.
    """
    files = [Path(argument) for argument in arguments]
    try:
        with _ending_with(parent, name):
            texts = read_texts(PARAMETERS)
            if others := _other_versions():
                print(
                    f"{name}: warning: {sys.executable} has {', '.join(others)}. Results may "
                    "differ; `. .venv/bin/activate` gives the environment of this project",
                    file=sys.stderr,
                )
            before = made_of(texts, files)
            # Code is hashed before it is imported: an edit between the two ends a stage that could
            # have been kept, and does not keep one that has used the old code.
            stage = getattr(importlib.import_module(f"stages.{name}"), name)
            positional = [a for a in _arguments(stage) if a.kind is not a.KEYWORD_ONLY]
            if len(files) != len(positional):
                paths = " ".join(a.name.upper() for a in positional)
                sys.exit(f"usage: python -m stages {name} {paths}")
            parameters = read_parameters(texts, stage)
            with _checked(before, files, parameters, parent), _unwound_by_interrupts():
                stage(*files, **parameters)
    except FileNotFoundError as error:
        # pyarrow's error is the path alone.
        reason = error if error.filename else f"No such file or directory: '{error}'"
        sys.exit(f"{name}: {reason}{_maker(Path(error.filename or str(error)))}")
    except (InputError, OSError) as error:
        sys.exit(f"{name}: {error}")
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        reason = f"{error} ".splitlines()[0]
        sys.exit(
            f"{name}: out of memory ({reason.strip()}). End other programs, or ask for "
            "less: shorter or fewer word vectors; in params.yaml a smaller batch_size, filters or "
            "hidden"
        )
    except KeyboardInterrupt:
        sys.exit(130)  # as a shell reports it: 128 + SIGINT


def _other_versions() -> list[str]:
    """The packages in COMPUTING of another version than that which the results come from."""
    locked = dict(line.partition("==")[::2] for line in read_lines(ROOT / VERSIONS))
    found = []
    for name in COMPUTING:
        with suppress(PackageNotFoundError):
            there = version(name).partition("+")[0]  # torch 2.13.0+cpu is torch 2.13.0
            if name in locked and there != locked[name]:
                found.append(f"{name} {there} ({VERSIONS}: {locked[name]})")
    return found


def _is_out_of_memory(error: Exception) -> bool:
    """Whether there is too little memory, for which torch has no exception that covers all."""
    texts = ("can't allocate memory", "out of memory")
    return isinstance(error, MemoryError) or any(text in str(error) for text in texts)


def _maker(missing: Path) -> str:
    """Which stage makes a file that is missing, to end a message with; nothing if none does."""
    with suppress(OSError, yaml.YAMLError, KeyError, AttributeError):
        stages = yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8"))["stages"]
        for name, stage in stages.items():
            for entry in (*stage["outs"], *stage.get("metrics", [])):
                out = Path(next(iter(entry)) if isinstance(entry, dict) else entry)
                if missing == out or out in missing.parents:
                    return f". The stage {name} makes {out}: `dvc repro` runs it first where needed"
    return ""


@contextmanager
def _ending_with(parent: int, name: str) -> Iterator[None]:
    """End this process within a second after the one that started it.

    An orphan would replace outputs that another run has made meanwhile. Linux could send it a
    signal (PR_SET_PDEATHSIG), but does so already when the thread ends that started the process.
    """
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(timeout=0.5):
            if os.getppid() != parent:
                with suppress(OSError):  # where standard error led to the other process
                    print(f"{name}: {ORPHANED}", file=sys.stderr, flush=True)
                os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        ended.set()


@contextmanager
def _checked(
    before: Mapping[str, str], files: Sequence[Path], parameters: Iterable[str], parent: int
) -> Iterator[None]:
    """Let outputs become whole only if the stage is still made of what it was made of at first.

    DVC reads the hashes that it records when a stage has ended. It would vouch for code, values
    and inputs that came later than those which the stage has used.

    Raises:
        InputError: something has changed, or the process that started this one is gone.
    """
    unchanged = False

    def check() -> None:
        nonlocal unchanged
        if os.getppid() != parent:
            raise InputError(ORPHANED)
        if not unchanged:  # before the first output: those after it may be among `files`
            now = made_of(read_texts(PARAMETERS), files)
            changed = _difference(before, now, parameters)
            if changed:
                raise InputError(
                    f"changed since this stage began: {', '.join(changed)}; so nothing was kept, "
                    "for dvc.lock would say that it was made of what stands there now. Run it "
                    "again; to go on working while a stage runs, use `dvc exp run --temp`"
                )
            unchanged = True

    token = before_rename.set(check)
    try:
        yield
    finally:
        before_rename.reset(token)


@contextmanager
def _unwound_by_interrupts() -> Iterator[None]:
    """Let SIGINT, unless it is ignored, raise KeyboardInterrupt, so that outputs are cleaned up."""
    handler = signal.getsignal(signal.SIGINT)
    try:
        if handler is not signal.SIG_IGN:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def made_of(texts: Mapping[str, str], files: Sequence[Path]) -> dict[str, str]:
    """What can shape the outputs of a stage, each with its value or its SHA-256.

    These are the values of params.yaml, and the files of the versions, of all code of this
    repository that a stage may import, and in `files`, which may be folders. The contents are
    hashed, however large: a file that is written again as it was has not changed, and DVC reads
    them all once more.
    """
    found = {f"{PARAMETERS}: {key}": text for key, text in texts.items()}
    code = [ROOT / package for package in PACKAGES]
    for path in (ROOT / VERSIONS, *code, *files):
        for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
            is_code = path in code
            if file.is_file() and (file.suffix == ".py" or not is_code):
                found[str(file)] = sha256(file)
    return found


def _difference(
    before: Mapping[str, str], now: Mapping[str, str], parameters: Iterable[str]
) -> list[str]:
    """What differs, but for other parameters, and for code that this process has not imported."""
    used = {getattr(module, "__file__", None) for module in [*sys.modules.values()]}
    used |= {f"{PARAMETERS}: {key}" for key in parameters}
    perhaps = (f"{PARAMETERS}: ", *(f"{ROOT / package}{os.sep}" for package in PACKAGES))
    return [
        name.removeprefix(f"{ROOT}{os.sep}")
        for name in {**before, **now}
        if before.get(name) != now.get(name) and (name in used or not name.startswith(perhaps))
    ]


def read_parameters(texts: Mapping[str, str], stage: Callable[..., None]) -> dict[str, Any]:
    """The values of a stage's parameters, in the types that the stage declares.

    Each is read as the text that stands in params.yaml. So `1e-05` is a number, although it is a
    string to YAML (`dvc exp run -S learning_rate=0.00001` writes it), and a corpus may be called
    `no`.

    Raises:
        InputError: a parameter is missing or refused.
    """
    declared: dict[str, Any] = {
        a.name: (a.annotation, ...) for a in _arguments(stage) if a.kind is a.KEYWORD_ONLY
    }
    for key in declared:
        if key not in texts:
            raise InputError(f"{PARAMETERS} has no key {key!r}; add a line `{key}: …`")
    model = create_model("Parameters", **declared)
    try:
        found = model.model_validate_strings({key: texts[key] for key in declared})
    except ValidationError as error:
        problem = error.errors()[0]
        key = str(problem["loc"][0])
        raise InputError(
            f"{PARAMETERS}: {key}: {texts[key]!r} is refused: {problem['msg']}"
        ) from error
    return {key: getattr(found, key) for key in declared}


def _arguments(stage: Callable[..., None]) -> list[inspect.Parameter]:
    return list(inspect.signature(stage, eval_str=True).parameters.values())


def read_texts(path: Path) -> dict[str, str]:
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
