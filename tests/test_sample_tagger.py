"""The tagger that the sample trains, on the command line and in Python, with hostile text."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

import tagger.__main__ as command_line
from tagger import Tagger
from tests.conftest import ROOT

TEXTS = [
    "Elena Price lives in Hill .", "", " \n\t ", "a\0b\r\nElena Price",
    "😀 Elena e\u0301 Price 👩\u200d🔬",
    "שלום Elena Price", "x" * 10_000, "Elena Price\n" * 2000,
]  # fmt: skip

pytestmark = pytest.mark.slow  # trains on the sample


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.jsonl"
    lines = [json.dumps({"id": i, "text": text}) for i, text in enumerate(TEXTS)]
    path.write_text("\n".join([*lines, '{"text": "\\ud800"}', "{"]), encoding="utf-8")
    return path


def test_the_command_line_writes_what_python_gives(
    sample_tagger: Path, texts: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.jsonl"
    arguments = ["apply", str(sample_tagger), str(texts), "-o", str(out), "--threads", "2"]
    assert command_line.main(arguments) == 1
    *found, surrogate, broken = map(json.loads, out.read_text(encoding="utf-8").splitlines())
    expected = list(Tagger.load(sample_tagger, threads=1).tag(TEXTS))
    assert [record["text"] for record in found] == TEXTS
    assert sum(len(record["entities"]) for record in found) > 2000
    for record, document in zip(found, expected, strict=True):
        for given, entity in zip(record["entities"], document.entities, strict=True):
            assert given == vars(entity) | {"score": round(entity.score, 4)}
            assert given["text"] == record["text"][given["start"] : given["end"]]
    assert "half of a surrogate pair" in surrogate["error"]
    assert broken["error"].startswith("texts.jsonl, line 10: not JSON")


def test_it_starts_without_pytorch_from_any_folder(sample_tagger: Path, tmp_path: Path) -> None:
    program = """if True:
        import runpy, sys
        sys.argv[0] = "tagger"
        try:
            runpy.run_module("tagger", run_name="__main__")
        finally:
            heavy = {"torch", "pandas", "pyarrow", "dvc", "datasets"} & set(sys.modules)
            assert not heavy, heavy
    """
    done = subprocess.run(
        [sys.executable, "-c", program, "apply", str(sample_tagger), "-"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        input="Elena Price lives in Hill .\n",
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["text"] == "Elena Price lives in Hill .\n"


def test_the_readmes_commands_can_be_given() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    commands = re.findall(r"^    python -m tagger (.*?)(?: +#.*)?$", readme, re.MULTILINE)
    assert len(commands) > 2
    for command in commands:
        command_line.make_parser().parse_args(shlex.split(command))
