"""Tag your own text from the command line: `python -m tagger apply FOLDER INPUT`."""

import argparse
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import AbstractContextManager, ExitStack, suppress
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TextIO

from tagger.files import InputError, atomic_output, partial_of
from tagger.formats.read import INPUT_FORMATS, STANDARD_INPUT, read_documents
from tagger.formats.write import (
    BRAT,
    BRAT_SUFFIXES,
    FILE_WRITERS,
    OUTPUT_FORMATS,
    Write,
    brat_writer,
    printable,
    terminal_writer,
)

# What takes long to import is imported where it is used: bad arguments should not wait for it.
if TYPE_CHECKING:
    from tagger.apply import Tagger

DESCRIPTION = """\
Tag the named entities in text.

INPUT is a file, a folder with such files, or - for standard input. A file that ends in .jsonl is
JSON Lines: each line an object with the field "text", perhaps "id", and other fields, which are
kept, but for "entities" and "error", which the output sets anew. One that ends in .conll is in
CoNLL format: a token at the start of each line, an empty line after each sentence, -DOCSTART-
before each document. Lines with # before a sentence are comments, unless they have the columns of a
token. It may also be CoNLL-U, whose words are in the second column; then .conllu may be its end.
Other files are plain text, a document each. In a folder only .txt, .jsonl, .conll and .conllu are
read, in subfolders too. All text must be UTF-8.

A document is tagged as a whole: what stands in one sentence helps with the others.

The output is JSON Lines, a document a line: its id, its text, and its entities, each with its
label, its start and end in the text (counted in Unicode characters from 0, the end not included),
and its score, the probability that exactly this entity is there. A document that cannot be used
gets an "error" instead; the others are tagged all the same.

The exit status is 0 if all documents were tagged, 1 if some have an error, 2 if nothing was done.
"""
FORMAT_HELP = """\
jsonl (the default where the output is no terminal), conll, or what an annotation tool imports:
labelstudio, doccano, brat (a folder)
"""
NOT_DONE = 2
INTERRUPTED, BROKEN_PIPE, TERMINATED = 130, 141, 143  # as a shell reports it: 128 + the signal


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command line and return the exit status, see DESCRIPTION."""
    arguments = make_parser().parse_args(argv)
    closed = _replace_closed_streams()
    try:
        return apply(arguments, closed)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # Nobody reads on, as after `| head`. Python flushes standard output once more at its end.
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except (InputError, OSError) as error:
        say(f"tagger: {error}")
        return NOT_DONE


def _replace_closed_streams() -> list[str]:
    """Put the null device in place of standard streams that are closed, as they are for daemons.

    A file that is opened later cannot take the place of one then, and get what libraries write.

    Returns:
        the names of the streams, of `sys`
    """
    closed = [name for name in ("stdin", "stdout", "stderr") if getattr(sys, name) is None]
    for name in closed:
        mode = "r" if name == "stdin" else "w"
        setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115
    return closed


def make_parser() -> argparse.ArgumentParser:
    """The parser of command lines."""
    parser = argparse.ArgumentParser(prog="python -m tagger", description="A named-entity tagger.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    apply_parser = commands.add_parser(
        "apply",
        help="tag your own text",
        description=DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = apply_parser.add_argument
    add("tagger", type=Path, metavar="FOLDER", help="of the tagger: data/tagger")
    add("input", metavar="INPUT", help="a file, a folder, or - for standard input")
    add(
        "-o",
        "--output",
        type=path_or_none,
        metavar="OUT",
        help="write to this file, or folder for brat; - is standard output, the default",
    )
    add("--format", choices=OUTPUT_FORMATS, help=FORMAT_HELP)
    add("--html", type=Path, metavar="FILE", help="write a page with the entities drawn, too")
    add("--force", action="store_true", help="replace the outputs if they exist")
    add("--input-format", choices=INPUT_FORMATS, help="of all input, whatever the suffix")
    add(
        "--unit",
        choices=("document", "line"),
        default="document",
        help="what is a document in plain text: a file (document, the default) or a line",
    )
    add(
        "--wrapped",
        action="store_true",
        help="the text is hard-wrapped: a line break alone ends no sentence, an empty line does",
    )
    add(
        "--threshold",
        type=probability,
        default=0.0,
        metavar="P",
        help="leave out entities with a score below P",
    )
    add("--runtime", choices=("onnx", "torch"), default="onnx", help="what computes the scores")
    add("--threads", type=positive, metavar="N", help="as many as there are processors by default")
    return parser


def probability(text: str) -> float:
    """A number from 0 to 1; raises argparse's error for anything else."""
    with suppress(ValueError):
        value = float(text)
        if 0 <= value <= 1:
            return value
    raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to 1")


def path_or_none(text: str) -> Path | None:
    """A path; None for `-`, which is standard output."""
    return None if text == "-" else Path(text)


def positive(text: str) -> int:
    """An integer from 1; raises argparse's error for anything else."""
    with suppress(ValueError):
        value = int(text)
        if value >= 1:
            return value
    raise argparse.ArgumentTypeError(f"{text!r} is no integer from 1")


def apply(arguments: argparse.Namespace, closed: Sequence[str]) -> int:
    """Tag what the arguments name and return the exit status.

    Args:
        arguments: of the command line
        closed: the standard streams that are, by their names

    Raises:
        InputError: an argument cannot be used. Nothing has been loaded, read or written then.
    """
    check(arguments, closed)
    started = time.monotonic()
    skipped: Counter[str] = Counter()
    documents = read_documents(
        arguments.input,
        format=arguments.input_format,
        by_line=arguments.unit == "line",
        output=_standard_output(),
        skipped=skipped,
        warn=lambda message: say(f"tagger: warning: {message}", show_progress),
    )
    show_progress = sys.stderr.isatty() and not (sys.stdout.isatty() and not arguments.output)
    shown = started
    counts = Counter[str]()
    with ExitStack() as stack:
        tagger = load(arguments.tagger, runtime=arguments.runtime, threads=arguments.threads)
        writers = [stack.enter_context(writer) for writer in make_writers(arguments, tagger, stack)]
        for document in tagger.tag(
            documents, wrapped=arguments.wrapped, threshold=arguments.threshold
        ):
            counts["documents"] += 1
            counts["entities"] += len(document.entities)
            errors = [document.error] if document.error else []
            for write in writers:
                try:
                    write(document)
                except InputError as error:
                    errors.append(str(error))
            counts["errors"] += bool(errors)
            for message in errors:
                say(f"tagger: {message}", show_progress)
            if show_progress and time.monotonic() >= shown + 0.5:
                shown = time.monotonic()
                print(f"\r{counts['documents']:,} documents", end="", file=sys.stderr, flush=True)
    sys.stdout.flush()
    if skipped:
        listed = ", ".join(f"{number:,} {reason}" for reason, number in skipped.items())
        say(f"Skipped files: {listed}", show_progress)
    summary = ", ".join(f"{name}: {counts[name]:,}" for name in ("documents", "entities", "errors"))
    say(f"{summary}, {time.monotonic() - started:.1f} s", show_progress)
    return int(counts["errors"] > 0)


def load(folder: Path, **options: Any) -> "Tagger":
    """The tagger in a folder, see `Tagger.load`.

    Raises:
        InputError: the folder holds none, or what the runtime needs is not installed.
    """
    try:
        from tagger.apply import Tagger

        return Tagger.load(folder, **options)
    except ModuleNotFoundError as error:
        raise InputError(
            f"{error.name} is not installed, which --runtime {options['runtime']} needs; "
            f"install it with `pip install {error.name}`, or choose another --runtime"
        ) from error


def say(message: str, clear: bool = False) -> None:
    """Print a line to standard error, in place of the line of progress if `clear`."""
    line = printable(message).replace("\n", "\\n")
    print("\r\x1b[K" * clear + line, file=sys.stderr, flush=True)


def check(arguments: argparse.Namespace, closed: Sequence[str]) -> None:
    """Refuse arguments that cannot be used, before anything is loaded.

    Args:
        arguments: of the command line
        closed: the standard streams that are, by their names

    Raises:
        InputError: there is no such input, or an output exists or cannot be written there.
    """
    if arguments.input == STANDARD_INPUT and "stdin" in closed:
        raise InputError("standard input is closed; give a file or a folder")
    if not arguments.output and "stdout" in closed:
        raise InputError("standard output is closed; say with -o where to write")
    source = Path(arguments.input)
    if arguments.input != STANDARD_INPUT and not os.access(source, os.R_OK):
        reason = "cannot be read" if source.exists() else "does not exist"
        raise InputError(f"{source} {reason}; give a file, a folder, or - for standard input")
    if arguments.format == BRAT and not arguments.output:
        raise InputError("brat's format is a folder of files: say with -o where to write it")
    outputs = [path for path in (arguments.output, arguments.html) if path]
    for path in outputs:
        _check_output(path, arguments.force, arguments.format == BRAT and path == arguments.output)
        if source.exists() and path.exists() and path.samefile(source):
            raise InputError(f"{path} is the input, which is not replaced; give another name")
        if source.is_dir() and path.resolve().is_relative_to(source.resolve()):
            raise InputError(f"{path} lies in {source}, which is read: write to another folder")
    if len({path.resolve() for path in outputs}) < len(outputs):
        raise InputError(f"-o and --html both name {outputs[0]}; give two names")


def _check_output(path: Path, force: bool, is_brat: bool) -> None:
    if not path.parent.is_dir():
        raise InputError(f"{path} cannot be written: there is no folder {path.parent}; make it")
    if not os.access(path.parent, os.W_OK):
        raise InputError(f"{path} cannot be written: no right to write in the folder {path.parent}")
    unfinished = partial_of(path)
    if os.path.lexists(unfinished) and not force:
        raise InputError(
            f"{unfinished} exists, where {path} is written until it is whole: another run may be "
            "at work; wait for it, or remove that, or add --force"
        )
    if not os.path.lexists(path):
        return
    if not force:
        raise InputError(f"{path} exists; add --force to replace it, or give another name")
    if not is_brat and not path.is_file():
        raise InputError(f"{path} is not a file, so it is not replaced; give another name")
    if is_brat and not (
        path.is_dir() and all(file.name.endswith(BRAT_SUFFIXES) for file in path.iterdir())
    ):
        raise InputError(
            f"{path} is not a folder with brat's files ({', '.join(BRAT_SUFFIXES)}) alone, so it "
            "is not replaced; give another name"
        )


def _standard_output() -> os.stat_result | None:
    with suppress(OSError):  # in a notebook, for example, it is no file
        return os.fstat(sys.stdout.fileno())
    return None


def _open_standard_output(encoding: str | None) -> TextIO:
    """Standard output in an encoding, or in that of the terminal with escapes for what it lacks."""
    if isinstance(sys.stdout, TextIOWrapper):
        errors = "strict" if encoding else "backslashreplace"
        sys.stdout.reconfigure(encoding=encoding, errors=errors, newline="\n")
    return sys.stdout


def make_writers(
    arguments: argparse.Namespace, tagger: "Tagger", stack: ExitStack
) -> list[AbstractContextManager[Write]]:
    """The writers that arguments name.

    Args:
        arguments: which
        tagger: whose labels brat is told
        stack: closes the outputs, and makes them whole unless an error ends it
    """

    def open_output(path: Path) -> TextIO:
        unfinished = stack.enter_context(atomic_output(path))
        return stack.enter_context(unfinished.open("w", encoding="utf-8", newline="\n"))

    writers: list[AbstractContextManager[Write]] = []
    if arguments.format == BRAT:
        folder = stack.enter_context(atomic_output(arguments.output))
        writers.append(brat_writer(folder, tagger.labels))
    elif sys.stdout.isatty() and not arguments.output and not arguments.format:
        has_colour = not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
        writers.append(terminal_writer(_open_standard_output(None), has_colour))
    else:
        path = arguments.output
        file = open_output(path) if path else _open_standard_output("utf-8")
        writers.append(FILE_WRITERS[arguments.format or "jsonl"](file))
    if arguments.html:
        from tagger.html import html_writer

        writers.append(html_writer(open_output(arguments.html)))
    return writers


def run() -> NoReturn:
    """Be the process of a command line. SIGTERM is an exception: what is not whole is removed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    sys.exit(main())


if __name__ == "__main__":
    run()
