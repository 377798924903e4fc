"""The command line `python -m tagger apply`, with a tagger that takes capitals for entities."""

import io
import json
import os
import re
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

import tagger.__main__ as command_line
from tagger.document import Document, Entity
from tagger.formats.write import jsonl_writer
from tests.conftest import ROOT


class FakeTagger:
    """Takes each word that begins with a capital for a PER, as `tagger.apply.Tagger` would."""

    labels = ("PER",)

    def tag(
        self, documents: Iterable[Document], *, wrapped: bool = False, threshold: float = 0.0
    ) -> Iterator[Document]:
        for document in documents:
            if document.error:
                yield document
                continue
            text = document.text
            words = [word.span() for word in re.finditer(r"\S+", text)]
            entities = [
                Entity(start, end, "PER", 0.87654321, text[start:end])
                for start, end in words
                if text[start].isupper() and threshold <= 0.87654321
            ]
            sentences = document.sentences or [words]
            yield replace(document, sentences=sentences, entities=entities)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The folder of a tagger, which is a FakeTagger."""
    path = tmp_path / "tagger"
    path.mkdir()
    (path / "config.json").write_text("{}")
    monkeypatch.setattr(command_line, "load", lambda folder, **options: FakeTagger())
    return str(path)


def apply(*arguments: object) -> int:
    return command_line.main(["apply", *map(str, arguments)])


def records(text: str) -> list[dict[str, object]]:
    return list(map(json.loads, text.splitlines()))


def standard_input(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(content)))


def test_a_sentence_that_is_tagged_in_parts_is_told(
    folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.conll").write_text("a O\n\n" + "Ann O\n" * 401)
    assert apply(folder, tmp_path / "a.conll") == 0
    found = capsys.readouterr()
    assert "tagger: warning: a.conll, line 3: this sentence has more than 400 tokens" in found.err
    assert len(records(found.out)[1]["entities"]) == 401  # type: ignore[arg-type]


def test_a_folder_is_read_in_order_and_its_bad_files_are_told(
    folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    texts = tmp_path / "texts"
    (texts / "sub").mkdir(parents=True)
    for name, content in {
        "sub/a.txt": b"Ann\r\nleft", "b.txt": b"caf\xe9", "c.TXT": b"", "d.pdf": b"%PDF",
        "e.jsonl": b'{"id": 5, "text": "Bob", "year": 1999}\n{"id": "x"}\n', "f.conll": b"Eve\n",
        "noname": b"Zoe", "sub/b\udcff.txt": b"\xff",
    }.items():  # fmt: skip
        (texts / name).write_bytes(content)
    (texts / "gone.txt").symlink_to("nowhere")
    os.mkfifo(texts / "pipe.txt")
    out = tmp_path / "out.jsonl"
    assert apply(folder, texts, "-o", out) == 1
    found = records(out.read_text(encoding="utf-8"))
    assert [record["id"] for record in found] == [
        "b.txt", "c.TXT", 5, "x", "f.conll:1", "gone.txt", "sub/a.txt", "sub/b\\xff.txt",
    ]  # fmt: skip
    assert found[2] == {
        "id": 5, "text": "Bob", "year": 1999,
        "entities": [{"start": 0, "end": 3, "label": "PER", "score": 0.8765, "text": "Bob"}],
    }  # fmt: skip
    errors = {record["id"]: record["error"] for record in found if "error" in record}
    assert errors == {
        "b.txt": "b.txt: byte 0xe9 (number 4) is not UTF-8; save the file as UTF-8",
        "x": "e.jsonl, line 2: no field 'text'; its fields: 'id'",
        "gone.txt": "gone.txt: No such file or directory",
        "sub/b\\xff.txt": (
            "sub/b\\xff.txt: byte 0xff (number 1) is not UTF-8; save the file as UTF-8"
        ),
    }
    *told, skipped, summary = capsys.readouterr().err.splitlines()
    assert told == [f"tagger: {error}" for error in errors.values()]
    assert skipped == "Skipped files: 1 .pdf, 1 without suffix, 1 no regular file"
    assert re.fullmatch(r"documents: 8, entities: 3, errors: 4, \d+\.\d s", summary)


@pytest.mark.parametrize(
    ("options", "content", "ids"),
    [
        ([], b"Ann\nBob", ["-"]),
        (["-o", "-"], b"Ann\nBob", ["-"]),
        (["--unit", "line"], b"Ann\n\nBob", ["-:1", "-:3"]),
        (["--input-format", "jsonl"], b'{"text": "Ann"}\n{"id": 2, "text": "Bob"}', ["-:1", 2]),
        (["--input-format", "conll"], b"Ann\n\nBob\n", ["-:1", "-:3"]),
        (["--input-format", "jsonl"], b"", []),
    ],
)
def test_standard_input_to_standard_output(
    options: list[str],
    content: bytes,
    ids: list[str | int],
    folder: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    standard_input(monkeypatch, content)
    assert apply(folder, "-", *options) == 0
    found = records(capsys.readouterr().out)
    assert [record["id"] for record in found] == ids
    entities = [entity for record in found for entity in record["entities"]]  # type: ignore[attr-defined]
    assert [entity["text"] for entity in entities] == (["Ann", "Bob"] if content else [])


def test_options_reach_the_tagger(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[object] = []

    def load(folder: Path, *, runtime: str, threads: int | None) -> FakeTagger:
        calls.extend([folder, runtime, threads])
        return FakeTagger()

    def tag(tagger: FakeTagger, documents: object, **options: object) -> Iterator[Document]:
        calls.append(options)
        return iter(())

    monkeypatch.setattr(command_line, "load", load)
    monkeypatch.setattr(FakeTagger, "tag", tag)
    (tmp_path / "a.txt").write_text("Ann")
    apply(folder, tmp_path / "a.txt")
    assert calls == [Path(folder), "onnx", None, {"wrapped": False, "threshold": 0.0}]
    calls.clear()
    options = ["--runtime", "torch", "--threads", "3", "--wrapped", "--threshold", "0.5"]
    apply(folder, tmp_path / "a.txt", *options)
    assert calls == [Path(folder), "torch", 3, {"wrapped": True, "threshold": 0.5}]


@pytest.mark.parametrize("format", ["conll", "labelstudio", "doccano", "brat"])
def test_each_format_is_written_beside_a_page(
    format: str, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tagger.html", SimpleNamespace(html_writer=jsonl_writer))
    (tmp_path / "a.txt").write_text("Ann left")
    out, page = tmp_path / "out", tmp_path / "a.html"
    assert apply(folder, tmp_path / "a.txt", "--format", format, "-o", out, "--html", page) == 0
    if format == "conll":
        assert out.read_text() == "-DOCSTART- O\n\nAnn B-PER\nleft O\n\n"
    elif format == "labelstudio":
        assert json.loads(out.read_text())[0]["data"] == {"text": "Ann left", "id": "a.txt"}
    elif format == "doccano":
        assert records(out.read_text())[0]["label"] == [[0, 3, "PER"]]
    else:
        assert (out / "a.ann").read_text().startswith("T1\tPER 0 3\tAnn\n")
    assert records(page.read_text())[0]["text"] == "Ann left"
    assert not list(tmp_path.glob("partial-*"))


def test_what_a_format_cannot_hold_is_an_error_of_the_document(
    folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_text("Ann\nit -DOCSTART-\nBob")
    out = tmp_path / "out.conll"
    assert apply(folder, tmp_path / "a.txt", "--unit", "line", "--format", "conll", "-o", out) == 1
    assert out.read_text() == "-DOCSTART- O\n\nAnn B-PER\n\n-DOCSTART- O\n\nBob B-PER\n\n"
    assert capsys.readouterr().err.startswith(
        "tagger: a.txt:2: CoNLL cannot hold the token '-DOCSTART-', at character 3"
    )


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["{tmp}/tagger", "none.txt"], "none.txt does not exist"),
        (["{tmp}/tagger", "a.txt", "-o", "a.txt"], "a.txt exists; add --force to replace it"),
        (["{tmp}/tagger", "a.txt", "--html", "a.txt"], "a.txt exists; add --force"),
        (["{tmp}/tagger", "a.txt", "-o", "none/out"], "out cannot be written: there is no folder"),
        (["{tmp}/tagger", "a.txt", "-o", "tagger", "--force"], "tagger is not a file, so it is"),
        (
            ["{tmp}/tagger", "a.txt", "-o", "tagger", "--force", "--format", "brat"],
            "tagger is not a folder with brat's files (.txt, .ann, .conf) alone",
        ),
        (["{tmp}/tagger", "a.txt", "-o", "./a.txt", "--force"], "a.txt is the input, which is not"),
        (["{tmp}/tagger", "a.txt", "--format", "brat"], "brat's format is a folder of files"),
        (["{tmp}/tagger", ".", "-o", "out"], "lies in ., which is read"),
        (["{tmp}/tagger", "a.txt", "-o", "out", "--html", "./out"], "-o and --html both name out"),
    ],
)  # fmt: skip
def test_bad_arguments_end_before_anything_is_loaded(
    arguments: list[str],
    reason: str,
    folder: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(command_line, "load", None)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("Ann")
    assert apply(*(argument.format(tmp=tmp_path) for argument in arguments)) == 2
    message = capsys.readouterr().err
    assert message.startswith("tagger: ")
    assert reason in message
    assert message.count("\n") == 1
    assert {path.name for path in tmp_path.iterdir()} == {"a.txt", "tagger"}
    assert (tmp_path / "a.txt").read_text() == "Ann"


def test_what_another_run_is_writing_is_left_alone(
    folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_text("Ann")
    (tmp_path / "partial-out").write_text("of another run, or of the user")
    assert apply(folder, tmp_path / "a.txt", "-o", tmp_path / "out") == 2
    assert "partial-out exists, where " in capsys.readouterr().err
    assert (tmp_path / "partial-out").read_text() == "of another run, or of the user"
    assert apply(folder, tmp_path / "a.txt", "-o", tmp_path / "out", "--force") == 0
    assert {path.name for path in tmp_path.iterdir()} == {"a.txt", "out", "tagger"}


def test_a_folder_without_a_tagger_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.txt").write_text("Ann")
    assert apply(tmp_path, tmp_path / "a.txt", "-o", tmp_path / "out") == 2
    assert capsys.readouterr().err.startswith(f"tagger: {tmp_path} holds no tagger: ")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_missing_library_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def load(folder: Path, **options: object) -> None:
        raise ModuleNotFoundError("No module named 'torch'", name="torch")

    monkeypatch.setattr("tagger.apply.Tagger.load", load)
    (tmp_path / "a.txt").write_text("Ann")
    assert apply(tmp_path, tmp_path / "a.txt", "--runtime", "torch") == 2
    assert "torch is not installed, which --runtime torch needs" in capsys.readouterr().err


@pytest.mark.parametrize(
    "options", ["--threshold nan", "--threshold 1.1", "--threads 0", "--format xml", "--unit word"]
)
def test_bad_values_are_refused_by_name(
    options: str, folder: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="2"):
        apply(folder, "-", *options.split())
    assert options.split()[0] in capsys.readouterr().err


@pytest.mark.parametrize("format", ["jsonl", "brat"])
def test_an_output_is_replaced_if_forced(format: str, folder: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Ann")
    (tmp_path / "b.txt").write_text("Bob")
    out = tmp_path / "out"
    assert apply(folder, tmp_path / "a.txt", "-o", out, "--format", format) == 0
    assert apply(folder, tmp_path / "b.txt", "-o", out, "--format", format, "--force") == 0
    if format == "brat":
        assert sorted(path.name for path in out.iterdir()) == ["annotation.conf", "b.ann", "b.txt"]
    else:
        assert [record["text"] for record in records(out.read_text())] == ["Bob"]


@pytest.mark.parametrize(
    ("error", "status"), [(KeyboardInterrupt(), 130), (OSError(28, "No space left"), 2)]
)
@pytest.mark.parametrize("format", ["labelstudio", "brat"])
def test_what_ends_early_leaves_no_output(
    error: BaseException,
    status: int,
    format: str,
    folder: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def tag(tagger: FakeTagger, documents: Iterable[Document], **_: object) -> Iterator[Document]:
        yield from documents
        raise error

    monkeypatch.setattr(FakeTagger, "tag", tag)
    (tmp_path / "a.txt").write_text("Ann")
    assert apply(folder, tmp_path / "a.txt", "-o", tmp_path / "out", "--format", format) == status
    assert {path.name for path in tmp_path.iterdir()} == {"a.txt", "tagger"}
    assert capsys.readouterr().err == (
        "" if status == 130 else "tagger: [Errno 28] No space left\n"
    )


@pytest.mark.parametrize("no_color", ["", "1"])
def test_a_terminal_gets_readable_text(
    no_color: str,
    folder: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("NO_COLOR", no_color)
    (tmp_path / "a.txt").write_text("It was Ann\x1b[2J\x07.\n")
    assert apply(folder, tmp_path / "a.txt", "--threshold", "0.1") == 0
    shown, told = capsys.readouterr()
    plain = re.sub(r"\x1b\[[0-9;]+m", "", shown)
    assert plain == "a.txt\n[It PER 0.88] was [Ann\\x1b[2J\\x07. PER 0.88]\n\n"
    assert (shown == plain) == bool(no_color)
    assert told.replace("\r\x1b[K", "").startswith("documents: 1, entities: 2, errors: 0")
    # A format that is asked for is written as it is.
    assert apply(folder, tmp_path / "a.txt", "--format", "doccano") == 0
    assert records(capsys.readouterr().out)[0]["id"] == "a.txt"


def test_memory_does_not_grow_with_the_number_of_documents(folder: str, tmp_path: Path) -> None:
    peaks = []
    for count in (200, 2000):
        name = tmp_path / f"{count}.jsonl"
        with name.open("w") as file:
            for i in range(count):
                file.write(f'{{"id": {i}, "text": "Ann left at {i}", "more": "{"x" * 100}"}}\n')
        tracemalloc.start()
        assert apply(folder, name, "-o", tmp_path / f"{count}.out") == 0
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.5 * peaks[0]


PROGRAM = """
import sys
import tagger.__main__ as command_line
from tests.test_command_line import FakeTagger
command_line.load = lambda folder, **options: FakeTagger()
command_line.run()
"""


def start(*arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, "apply", *map(str, arguments)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


@pytest.mark.slow
def test_a_reader_that_goes_away_ends_it_quietly(folder: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Ann left\n" * 100_000)
    with start(folder, tmp_path / "a.txt", "--unit", "line") as process:
        assert process.stdout
        assert process.stderr
        assert json.loads(process.stdout.readline())["text"] == "Ann left"
        process.stdout.close()
        assert (process.stderr.read(), process.wait()) == ("", 141)


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_it_without_a_trace(
    sent: signal.Signals, status: int, folder: str, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    with start(folder, "-", "--unit", "line", "-o", out) as process:
        assert process.stdin
        assert process.stderr
        process.stdin.write("Ann left\n" * 10_000)
        process.stdin.flush()
        while not list(tmp_path.glob("partial-*")):
            assert process.poll() is None
        process.send_signal(sent)
        assert (process.stderr.read(), process.wait()) == ("", status)
    assert {path.name for path in tmp_path.iterdir()} == {"tagger"}


@pytest.mark.slow
def test_an_output_that_lies_in_the_folder_is_not_read(folder: str, tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts/a.txt").write_text("Ann")
    with (tmp_path / "texts/out.jsonl").open("w") as out:
        command = [sys.executable, "-c", PROGRAM, "apply", folder, str(tmp_path / "texts")]
        done = subprocess.run(command, cwd=ROOT, stdout=out, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 0, done.stderr
    assert "1 the output itself" in done.stderr
    assert len(records((tmp_path / "texts/out.jsonl").read_text())) == 1


@pytest.mark.parametrize(
    ("closed", "arguments", "status", "told"),
    [
        (["stdout"], ["a.txt", "-o", "out"], 0, "documents: 1, entities: 1, errors: 0"),
        (["stdin"], ["a.txt", "-o", "out"], 0, "documents: 1, entities: 1, errors: 0"),
        (["stderr"], ["a.txt", "-o", "out"], 0, ""),
        (["stderr"], ["none.txt"], 2, ""),
        (["stdin"], ["-"], 2, "tagger: standard input is closed; give a file or a folder"),
        (["stdout"], ["a.txt"], 2, "tagger: standard output is closed; say with -o where to write"),
    ],
)
def test_streams_may_be_closed(
    closed: list[str],
    arguments: list[str],
    status: int,
    told: str,
    folder: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a.txt").write_text("Ann")
    with monkeypatch.context() as patch:
        for name in closed:
            patch.setattr(sys, name, None)
        assert apply(folder, *arguments) == status
        for name in closed:
            getattr(sys, name).close()
    assert Path("out").exists() == (status == 0)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(told)
    assert shown.err.count("\n") == bool(told)


@pytest.mark.slow
def test_no_file_takes_the_place_of_a_closed_stream(folder: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("Ann")
    out = tmp_path / "out"
    # As a library may, the tagger writes to standard output and standard error by their numbers.
    noisy = """
import os
tag = FakeTagger.tag
FakeTagger.tag = lambda *a, **options: (os.write(1, b"x"), os.write(2, b"x"), tag(*a, **options))[2]
command_line.run()
"""
    program = PROGRAM.replace("command_line.run()", noisy)
    arguments = ["apply", folder, str(tmp_path / "a.txt"), "-o", str(out)]
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments],
        cwd=ROOT,
        preexec_fn=lambda: os.closerange(1, 3),
    )
    assert done.returncode == 0
    assert [record["text"] for record in records(out.read_text())] == ["Ann"]
