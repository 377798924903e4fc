"""Every stage names a damaged input in one line, or gives what it gives without the damage."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from stages.runner import run
from tests.conftest import INPUTS, ROOT, TINY, Data

pytestmark = pytest.mark.slow

RESULTS = ["metrics.json", "confusion.csv", "intervals.csv", "sentences.csv"]
STAGES: dict[str, tuple[list[str], list[str]]] = {  # its inputs, its outputs
    "download": (["corpora/sample"], ["out"]),
    "embed": (["vectors/sample"], ["out"]),
    "index": (["corpus", "embeddings"], ["out"]),
    "train": (["embeddings", "index"], ["out", "out.csv"]),
    "evaluate": (
        ["corpus", "embeddings", "model", "curve.csv"],
        [*RESULTS, "predictions", "report"],
    ),
    "export": (
        [
            *("corpora/described", "vectors/described", "embeddings", "index", "model"),
            *("predictions", "metrics.json", "intervals.csv"),
        ],
        ["out"],
    ),
}
DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda _: b"",
    "cut": lambda data: data[: len(data) // 2],
    "text": lambda _: b"<html>502 Bad Gateway</html>\n",
    "other bytes": lambda data: b"\xff" * len(data),
    "first byte": lambda data: bytes([data[0] ^ 0xFF]) + data[1:],
    "a byte": lambda data: data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1])
    + data[len(data) // 2 + 1 :],
    "last byte": lambda data: data[:-1] + bytes([data[-1] ^ 0xFF]),
}  # fmt: skip
# By stage, inputs that are other data of the user where a byte is another, or not hashed before.
BELIEVED: dict[str, str | tuple[str, ...]] = {
    "download": "corpora/sample", "embed": "vectors/sample", "index": "embeddings/vectors.npy",
    "export": ("corpora/described", "vectors/described"),
}  # fmt: skip


@pytest.fixture(scope="module")
def inputs(sample: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The inputs of all stages, and params.yaml, in a folder."""
    folder = tmp_path_factory.mktemp("inputs")
    for name in ("corpora", "vectors"):
        for path in (INPUTS / name).rglob("*"):
            if "sample" in str(path.relative_to(INPUTS)) and path.is_file():
                target = folder / path.relative_to(INPUTS)
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(path, target)
    for path, text in (
        (folder / "corpora/described/corpus.yaml", "licence: MIT\n"),
        (folder / "vectors/described/vectors.yaml", "gensim: glove-twitter-25\nlicence: PDDL\n"),
    ):
        path.parent.mkdir()
        path.write_text(text, encoding="utf-8")
    for path in (sample.corpus, sample.embeddings, sample.index):
        shutil.copytree(path, folder / path.name)
    lines = (ROOT / "params.yaml").read_text(encoding="utf-8").splitlines()
    values = {key: value for key, _, value in (line.partition(":") for line in lines)}
    changed = values | {**TINY, "epochs": 1}
    text = "".join(f"{key}: {value}\n" for key, value in changed.items())
    (folder / "params.yaml").write_text(text, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run("train", ["embeddings", "index", "model", "curve.csv"], os.getppid())
        run("evaluate", [*STAGES["evaluate"][0], *STAGES["evaluate"][1]], os.getppid())
    return folder


def contents(paths: list[str]) -> dict[str, bytes]:
    found = [file for path in map(Path, paths) for file in (path, *path.rglob("*"))]
    return {str(file): file.read_bytes() for file in found if file.is_file()}


def remove(paths: list[str]) -> None:
    for path in map(Path, paths):
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


@pytest.mark.parametrize("name", STAGES)
def test_a_damaged_input_is_named_in_one_line(
    name: str, inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, made = STAGES[name]
    folder = tmp_path / "inputs"
    shutil.copytree(inputs, folder)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("GENSIM_DATA_DIR", str(tmp_path))
    remove(made)  # what the fixture has made
    run(name, [*read, *made], os.getppid())
    undamaged = contents(made)
    remove(made)
    files = [Path("params.yaml")]
    for path in map(Path, read):
        files += sorted(path.rglob("*.*")) if path.is_dir() else [path]
    wrong = []
    for file in files:
        data = file.read_bytes()
        for damage, change in DAMAGES.items():
            file.write_bytes(change(data))
            try:
                run(name, [*read, *made], os.getppid())
            except SystemExit as end:
                outcome = str(end)
                if "\n" in outcome or str(file) not in outcome:
                    wrong.append((str(file), damage, outcome))
                if any(Path(path).exists() for path in made):
                    wrong.append((str(file), damage, "kept something"))
            except Exception as error:
                wrong.append((str(file), damage, repr(error)))
            else:
                is_believed = name in BELIEVED and str(file).startswith(BELIEVED[name])
                if contents(made) != undamaged and not is_believed:
                    wrong.append((str(file), damage, "gave something else"))
            remove(made)
        file.write_bytes(data)
    assert wrong == []
