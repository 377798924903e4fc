"""Parameters are coerced or refused by name; outputs are whole or not there."""

import subprocess
import sys
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from tagger.stage import InputError, read_parameters, run, whole
from tests.conftest import ROOT

Count = Annotated[int, Field(ge=1)]
Rate = Annotated[float, Field(ge=0, lt=1)]


def read(tmp_path: Path, text: str, **annotations: Any) -> dict[str, Any]:
    file = tmp_path / "params.yaml"
    file.write_text(text, encoding="utf-8")
    return read_parameters(file, annotations)


@pytest.mark.parametrize(
    ("text", "annotation", "expected"),
    [
        ("256", Count, 256),
        ("1e-05", float, 1e-05),  # what DVC writes for 0.00001, text to YAML
        ("1", float, 1.0),
        ("true", bool, True),
        ("2024", str, "2024"),
        ("auto", Literal["auto", "cpu"], "auto"),
    ],
)
def test_values_come_in_the_declared_type(
    tmp_path: Path, text: str, annotation: Any, expected: object
) -> None:
    value = read(tmp_path, f"key: {text}\n", key=annotation)["key"]
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("text", "annotation", "reason"),
    [
        ("abc", Count, "'abc' is refused: Input should be a valid integer"),
        ("0", Count, "0 is refused: Input should be greater than or equal to 1"),
        ("1.5", Rate, "1.5 is refused: Input should be less than 1"),
        ("1.5", Count, "1.5 is refused: Input should be a valid integer"),
        ("true", Count, "True is refused: Input should be a valid integer"),
        ("", Count, "None is refused: Input should be a valid integer"),
        ("[1, 2]", Count, r"\[1, 2\] is refused: Input should be a valid integer"),
        (".nan", Rate, "nan is refused"),
        ("gpu", Literal["auto", "cpu"], "'gpu' is refused: Input should be 'auto' or 'cpu'"),
    ],
)
def test_a_refusal_names_the_file_the_key_the_value_and_what_is_allowed(
    tmp_path: Path, text: str, annotation: Any, reason: str
) -> None:
    with pytest.raises(InputError, match=f"params.yaml: key: {reason}"):
        read(tmp_path, f"key: {text}\n", key=annotation)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("other: 1\n", "has no key 'key'"),
        ("- 1\n", "must hold `key: value` lines"),
        ("key: [\n", "is not YAML"),
    ],
)
def test_a_broken_file_is_named(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(InputError, match=f"params.yaml {reason}"):
        read(tmp_path, text, key=Count)


def test_run_ends_with_one_line_and_no_traceback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def copy(source: Path, target: Path, *, times: Count) -> None:
        target.write_text(source.read_text() * times)

    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("times: 2\n")
    monkeypatch.setattr(sys, "argv", ["copy", "a", "b"])
    with pytest.raises(SystemExit, match=r"^copy: .*No such file.*'a'$"):
        run(copy)
    Path("a").write_text("x")
    run(copy)
    assert Path("b").read_text() == "xx"
    Path("params.yaml").write_text("times: no\n")
    with pytest.raises(SystemExit, match=r"^copy: params.yaml: times: False is refused"):
        run(copy)
    monkeypatch.setattr(sys, "argv", ["copy", "a"])
    with pytest.raises(SystemExit, match=r"^usage: python -m stages.copy SOURCE TARGET$"):
        run(copy)


def test_whole_replaces_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "new" / "out.txt"
    for text in ("first", "second"):
        with whole(target) as path:
            assert path.suffix == ".txt"
            path.write_text(text)
        assert target.read_text() == text
    with whole(target) as path:  # a folder in place of a file
        path.mkdir()
    assert target.is_dir()
    assert [p.name for p in target.parent.iterdir()] == ["out.txt"]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt, SystemExit])
def test_whole_leaves_nothing_when_its_block_fails(
    tmp_path: Path, error: type[BaseException]
) -> None:
    def fail() -> None:
        with whole(tmp_path / "out") as path:
            path.mkdir()
            (path / "half").write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from tagger.stage import whole\n"
        "with whole(Path(sys.argv[1])) as path:\n"
        "    path.mkdir(); (path / 'half').write_text('half'); time.sleep(60)\n"
    )
    target = tmp_path / "out"
    process = subprocess.Popen([sys.executable, "-c", code, str(target)], cwd=ROOT)
    try:
        while not list(tmp_path.glob("*/half")):
            assert process.poll() is None
            time.sleep(0.05)
    finally:
        process.kill()
        process.wait()
    assert not target.exists()
    with whole(target) as path:
        assert not path.exists()
        path.write_text("whole")
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
