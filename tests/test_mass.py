"""Mass tagging: every document once, whatever is killed; bad input is told before Ray starts."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tagger import Tagger
from tagger.document import Document
from tagger.files import InputError
from tests.conftest import ROOT, s3_server

pytest.importorskip("ray", reason="no Ray: make mass")

from tagger.mass import run

SETTINGS = run.Settings()


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A folder with as much of a tagger as a plan needs."""
    (tmp_path / "tagger").mkdir()
    (tmp_path / "tagger/config.json").write_text("{}", encoding="utf-8")
    return tmp_path / "tagger"


def write_table(path: Path, rows: int = 10, group: int = 4, **columns: Any) -> None:
    content = {"id": list(range(rows)), "text": [f"Document {i}" for i in range(rows)]}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(content | columns), path, row_group_size=group)


def start(*arguments: object, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tagger.mass", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def finish(process: subprocess.Popen[str], status: int) -> str:
    output, _ = process.communicate(timeout=300)
    assert process.returncode == status, output
    return output


def finished(folder: Path) -> dict[Path, tuple[int, bytes]]:
    """The files in a folder that have their names, with the time of each and what is in it."""
    paths = sorted(path for path in folder.rglob("*.parquet") if not path.name.startswith("_"))
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in paths}


def wait_for(process: subprocess.Popen[str], folder: Path, files: int) -> None:
    while len(finished(folder)) < files:
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


def processes(process: subprocess.Popen[str]) -> tuple[list[psutil.Process], list[psutil.Process]]:
    """What a process has started, at any depth, and the actors among that."""
    started = psutil.Process(process.pid).children(recursive=True)
    return started, [each for each in started if "MapWorker" in " ".join(each.cmdline())]


def wait_for_end(processes: list[psutil.Process]) -> None:
    def is_alive(process: psutil.Process) -> bool:
        try:
            return bool(process.status() != psutil.STATUS_ZOMBIE)
        except psutil.NoSuchProcess:
            return False

    for _ in range(600):
        if not any(map(is_alive, processes)):
            return
        time.sleep(0.1)
    pytest.fail("processes outlive the one that started them")


def entities(tagger: Tagger, texts: Iterable[str]) -> list[list[dict[str, Any]]]:
    return [[asdict(entity) for entity in document.entities] for document in tagger.tag(texts)]


@pytest.mark.slow
def test_every_document_is_there_once_though_processes_are_killed(
    tmp_path: Path, sample_tagger: Path
) -> None:
    texts = [f"Elena Price lives in Hill {i} .\n" * 20 for i in range(1600)]
    for i in range(8):
        some = slice(i * 200, (i + 1) * 200)
        ids = list(range(1600))[some]
        write_table(
            tmp_path / f"in/folder/{i // 4}/{i}.parquet", 200, 100, id=ids, text=texts[some], n=ids
        )
    source, target, home = (tmp_path / name for name in ("in", "out", "home"))
    home.mkdir()
    command = (sample_tagger, source, target)

    process = start(*command, HOME=str(home))
    wait_for(process, target, 1)
    started, actors = processes(process)
    process.kill()
    process.communicate()
    wait_for_end(actors)
    for each in started:  # some of Ray's end only after a minute
        with suppress(psutil.NoSuchProcess):
            each.kill()
    first = finished(target)
    assert len(first) < 16
    for path in first:
        assert pq.read_table(path).num_rows == 100

    process = start(*command, HOME=str(home))
    wait_for(process, target, len(first) + 1)
    started, actors = processes(process)
    actors[0].send_signal(signal.SIGKILL)
    output = finish(process, 0)
    wait_for_end(started)
    assert f"{16 - len(first)} of {16 - len(first)} parts, " in output
    assert f"{1600 - 100 * len(first)} documents tagged into {target}, 0 with an error" in output
    assert "Elena" not in output

    second = finished(target)
    assert {path: second[path] for path in first} == first
    assert sorted(path.name for path in target.iterdir()) == ["_tagger.json", "folder"]
    assert list(home.iterdir()) == []
    table = pq.read_table(target)
    assert table.schema.names == ["id", "text", "n", "entities", "error"]
    rows = sorted(table.to_pylist(), key=lambda row: int(row["id"]))
    assert [row["id"] for row in rows] == [row["n"] for row in rows] == list(range(1600))
    assert [row["text"] for row in rows] == texts
    assert {row["error"] for row in rows} == {None}
    expected = entities(Tagger.load(sample_tagger, threads=1), texts)
    assert [row["entities"] for row in rows] == expected
    assert sum(map(len, expected)) > 1600

    assert "0 documents tagged" in finish(start(*command), 0)
    assert finished(target) == second


@pytest.fixture(scope="module")
def store() -> Iterator[dict[str, str]]:
    """The variables for a server of S3 on loopback, which has an empty bucket `team`."""
    pytest.importorskip("moto.server", reason="no server of S3: make remote")
    import boto3

    keys = {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}
    with s3_server(os.environ) as port:
        address = f"http://127.0.0.1:{port}"
        options: Any = {"region_name": "us-east-1", "endpoint_url": address}
        options |= {name.lower(): value for name, value in keys.items()}
        boto3.client("s3", **options).create_bucket(Bucket="team")
        yield keys | {
            "AWS_ENDPOINT_URL": address,
            "AWS_DEFAULT_REGION": "us-east-1",
            "no_proxy": "127.0.0.1",
        }


@pytest.fixture(scope="module")
def cluster(store: dict[str, str]) -> Iterator[dict[str, str]]:
    """The variables for a cluster of Ray with two CPUs, where nodes know the store."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    variables = store | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a" * 64}
    node = {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": ""}
    ray = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--num-cpus=2"]
    ray += ["--block", f"--port={port}", "--include-dashboard=false"]
    ray += [f"--object-store-memory={2**28}"]
    process = psutil.Popen(
        ray, cwd="/", env=os.environ | variables | node, stdout=subprocess.PIPE, text=True
    )
    try:
        for line in process.stdout:
            if "Ray runtime started" in line:
                break
        else:
            pytest.fail("the cluster never began")
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield variables | {"RAY_ADDRESS": f"127.0.0.1:{port}"}
    finally:
        for each in [*process.children(recursive=True), process]:
            each.kill()
        process.wait()


@pytest.mark.slow
def test_a_cluster_tags_what_is_in_s3(
    sample_tagger: Path, cluster: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in cluster.items():
        monkeypatch.setenv(name, value)
    files, _ = run.open_folder("s3://team/in")
    texts = [f"Elena Price {i}\nin Hill \N{GRINNING FACE}" for i in range(600)]
    lines = [json.dumps({"key": i, "body": text}).encode() for i, text in enumerate(texts)]
    bad = {
        b"{": "a/lines.jsonl, line 301: not JSON",
        b"[1]": "an array instead of an object with a field 'body'",
        b'{"text": "x"}': "no field 'body'",
        b'{"key": true, "body": "x"}': "its field 'key' is true or false",
        b'{"body": "\\ud800"}': "half of a surrogate pair",
        b'{"body": "\xff"}': "is not UTF-8",
        b"[" * 100_000: "nested more than",
    }
    lines.insert(300, b"\n".join(bad))
    with files.open_output_stream("team/in/a/lines.jsonl") as stream:
        stream.write(b"\n".join(lines))
    with files.open_output_stream("team/in/packed.jsonl.gz") as stream:  # which compresses it
        stream.write(b'\xef\xbb\xbf{"key": "p", "body": "Elena Price", "more": [1, null]}\r\n')
    texts_of_table = pa.array(["Elena Price", None, b"\xff"], pa.binary()).view(pa.string())
    table = pa.table({"key": [{"x": 1}] * 3, "body": texts_of_table})
    with files.open_output_stream("team/in/t.parquet") as stream:
        pq.write_table(table, stream)
    with files.open_output_stream("team/in/cut.parquet") as stream:
        pq.write_table(table, stream)
    command = (sample_tagger, "s3://team/in", "s3://team/out", "--text", "body", "--id", "key")

    refused = start(*command, "--actors", "3", **cluster)
    # All CPUs are the actors': with another task to run beside them, this would hang.
    tagged = start(*command, "--actors", "2", **cluster)
    assert "--actors 3 would wait for ever: Ray has 2 CPUs" in finish(refused, 1)
    output = finish(tagged, 1)
    assert f"{607 + 1 + 6} documents tagged into s3://team/out, {7 + 4} with an error" in output

    names = [i.path for i in files.get_file_info(pa.fs.FileSelector("team/out", recursive=True))]
    assert sorted(name for name in names if "." in name) == [
        "team/out/_tagger.json",
        "team/out/a/lines.jsonl-00000.parquet",
        "team/out/cut.parquet-00000.parquet",
        "team/out/packed.jsonl.gz-00000.parquet",
        "team/out/t.parquet-00000.parquet",
    ]
    rows = pq.read_table("team/out/a", filesystem=files).to_pylist()
    wrong, right = (
        [row for row in rows if bool(row["error"]) is is_bad] for is_bad in (True, False)
    )
    assert [row["key"] for row in right] == [str(i) for i in range(600)]
    assert [row["body"] for row in right] == texts
    assert [row["entities"] for row in right] == entities(Tagger.load(sample_tagger), texts)
    assert {row["fields"] for row in right} == {"{}"}
    for row, message in zip(wrong, bad.values(), strict=True):
        assert message in row["error"]
        assert (row["body"], row["entities"]) == (None, None)
    (row,) = pq.read_table(
        names and "team/out/packed.jsonl.gz-00000.parquet", filesystem=files
    ).to_pylist()
    assert (row["key"], row["body"], row["fields"]) == ("p", "Elena Price", '{"more": [1, null]}')
    rows = pq.read_table("team/out/t.parquet-00000.parquet", filesystem=files, columns=["error"])
    assert rows["error"].to_pylist() == [
        None, "the text is null", "the text is not UTF-8: invalid start byte"
    ]  # fmt: skip


def plan(tagger: Path, folder: Path, settings: run.Settings = SETTINGS) -> list[run.Part]:
    return run.plan(tagger, str(folder / "in"), str(folder / "out"), settings)


def test_what_is_finished_is_left_out(tmp_path: Path, config: Path) -> None:
    write_table(tmp_path / "in/a.parquet")
    write_table(tmp_path / "in/_hidden/b.parquet")
    parts = plan(config, tmp_path)
    assert parts == [
        {
            "source": str(tmp_path / "in/a.parquet"),
            "group": group,
            "target": str(tmp_path / f"out/a.parquet-0000{group}.parquet"),
        }
        for group in range(3)
    ]
    write_table(Path(parts[1]["target"]))
    assert plan(config, tmp_path) == [parts[0], parts[2]]
    (tmp_path / "in/new.jsonl.gz").touch()
    assert [part["source"] for part in plan(config, tmp_path)[2:]] == [
        str(tmp_path / "in/new.jsonl.gz")
    ]


def test_other_output_is_not_mixed_in(tmp_path: Path, config: Path) -> None:
    write_table(tmp_path / "in/a.parquet")
    write_table(Path(plan(config, tmp_path)[0]["target"]))
    for settings in (
        run.Settings(threshold=0.5),
        run.Settings(wrapped=True),
    ):
        with pytest.raises(InputError, match=r"out was made with .*, not .*: remove it"):
            plan(config, tmp_path, settings)
    (config / "config.json").write_text("other", encoding="utf-8")
    with pytest.raises(InputError, match=r"was made with \{'tagger': '44136fa"):
        plan(config, tmp_path)
    record = tmp_path / "out" / run.RECORD
    record.write_text("{", encoding="utf-8")
    with pytest.raises(InputError, match=r"_tagger\.json is damaged"):
        plan(config, tmp_path)
    record.unlink()
    with pytest.raises(InputError, match="was made with another program"):
        plan(config, tmp_path)


def test_input_that_cannot_be_used_is_told(tmp_path: Path, config: Path) -> None:
    source = tmp_path / "in"

    def refused(message: str, settings: run.Settings = SETTINGS) -> None:
        with pytest.raises(InputError, match=message):
            plan(config, tmp_path, settings)
        assert not (tmp_path / "out").exists()

    refused("in does not exist, or has no files")
    write_table(source / "a.parquet")
    columns = r"a\.parquet has the columns id \(int64\), text \(string\)\. Name that of the texts"
    for settings in (run.Settings(text="body"), run.Settings(id="key"), run.Settings(text="id")):
        refused(columns, settings)
    write_table(source / "a.parquet", error=["x"] * 10)
    refused(r"error \(string\).*none may be there twice, or be called \['entities', 'error'\]")
    (source / "a.parquet").write_bytes(b"PAR1, but no more")
    refused("a.parquet is damaged")
    (source / "a.parquet").rename(source / "a.csv")
    refused(r"a\.csv ends in none of \.parquet, \.jsonl")
    (source / "a.csv").rename(source / "a.jsonl")
    refused("none may be there twice", run.Settings(id="text"))
    with pytest.raises(InputError, match="lies in IN"):
        run.plan(config, str(source), str(source / "out"), SETTINGS)
    with pytest.raises(ValueError, match="nothing://x"):
        run.plan(config, "nothing://x", str(tmp_path / "out"), SETTINGS)


class Fragile:
    """A tagger that raises an error for some texts."""

    def tag(self, documents: list[Document], **options: Any) -> Iterator[Document]:
        for document in documents:
            if "fails" in document.text:
                raise RuntimeError("it fails")
            yield document


def test_what_one_document_raises_is_its_error() -> None:
    documents = [Document(text) for text in ("a", "it fails", "b")]
    tagged = run.tag_each(Fragile(), documents, SETTINGS)  # type: ignore[arg-type]
    assert [document.text for document in tagged] == ["a", "it fails", "b"]
    assert [document.error for document in tagged] == [None, "RuntimeError: it fails", None]
