"""Mass tagging: every document once, whatever is killed; bad input is told before Ray starts."""

import gzip
import json
import os
import socket
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace
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

from tagger import mass

LIMIT = 120  # seconds that a test waits for anything before it fails


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A folder with as much of a tagger as a plan needs."""
    (tmp_path / "tagger").mkdir()
    (tmp_path / "tagger/config.json").write_text("{}", encoding="utf-8")
    return tmp_path / "tagger"


def write_table(path: Path, rows: int = 10, **columns: Any) -> None:
    content = {"id": list(range(rows)), "text": [f"Document {i}" for i in range(rows)]}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(content | columns), path)


@contextmanager
def running(
    log: Path, *command: object, environment: dict[str, str], folder: Path = ROOT
) -> Iterator[subprocess.Popen[bytes]]:
    """A Python program that prints to a file; at the end all that it has started is killed."""
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", *map(str, command)],
            cwd=folder,
            env=os.environ | environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        kill_processes(process)


def processes_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """A command and all that it has started, which can be found after its end too."""
    found = []
    for each in psutil.process_iter():
        with suppress(psutil.NoSuchProcess, ProcessLookupError, PermissionError):
            if os.getsid(each.pid) == process.pid and each.status() != psutil.STATUS_ZOMBIE:
                found.append(each)
    return found


def actors(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    found = []
    for each in processes_of(process):
        with suppress(psutil.NoSuchProcess):
            if "MapWorker" in " ".join(each.cmdline()):
                found.append(each)
    return found


def kill_processes(process: subprocess.Popen[bytes]) -> None:
    def kill_all() -> bool:
        found = processes_of(process)
        for each in found:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        return not found

    wait_until(kill_all, "the end of killed processes")
    process.wait(LIMIT)


def wait_until(
    condition: Callable[[], bool],
    what: str,
    process: subprocess.Popen[bytes] | None = None,
    log: Path | None = None,
) -> None:
    """Wait for a condition; fail after LIMIT seconds, or if a process ends that could bring it."""
    end = time.monotonic() + LIMIT
    while not condition():
        ended = process and process.poll() is not None
        if ended or time.monotonic() > end:
            printed = log.read_text(errors="replace") if log else ""
            pytest.fail(f"{'It ended' if ended else 'Too long'} before {what}.\n{printed}")
        time.sleep(0.05)


def finish(process: subprocess.Popen[bytes], log: Path, status: int) -> str:
    """What a process has printed, once it has ended with a status, and all that it has started."""
    wait_until(lambda: process.poll() is not None, "the end of the command", log=log)
    output = log.read_text()
    assert process.returncode == status, output
    wait_until(lambda: not processes_of(process), "the end of what the command has started")
    return output


def finished(folder: Path) -> dict[Path, tuple[int, bytes]]:
    """The files in a folder that have their names, with the time of each and what is in it."""
    paths = sorted(path for path in folder.rglob("*.parquet") if not path.name.startswith("_"))
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in paths}


def entities(tagger: Tagger, texts: Iterable[str]) -> list[list[dict[str, Any]]]:
    return [[asdict(entity) for entity in document.entities] for document in tagger.tag(texts)]


@pytest.mark.slow
def test_every_document_is_there_once_though_an_actor_is_killed(
    tmp_path: Path, sample_tagger: Path
) -> None:
    files, rows = 8, 60
    texts = [f"Elena Price lives in Hill {i} .\n" * 20 for i in range(files * rows)]
    for i in range(files):
        ids = list(range(i * rows, (i + 1) * rows))
        some = texts[i * rows : (i + 1) * rows]
        write_table(tmp_path / f"in/folder/{i // 4}/{i}.parquet", id=ids, text=some, n=ids)
    source, target, home, log = (tmp_path / name for name in ("in", "out", "home", "log"))
    home.mkdir()
    command = ("tagger.mass", sample_tagger, source, target, "--actors", "1")
    environment = {"HOME": str(home), "RAY_ADDRESS": ""}

    with running(log, *command, environment=environment) as process:
        wait_until(lambda: bool(finished(target)), "the first file", process, log)
        actors(process)[0].kill()
        assert len(finished(target)) < files
        output = finish(process, log, 0)
    assert f"{files} of {files} files, {len(texts)} documents\n" in output
    assert f"{len(texts)} documents tagged into {target}, 0 with an error" in output
    assert "Elena" not in output
    assert list(home.iterdir()) == []

    assert sorted(path.name for path in target.iterdir()) == ["_tagger.json", "folder"]
    assert len(list((target / "folder").rglob("*.*"))) == files
    table = pq.read_table(target)
    assert table.schema.names == ["id", "text", "n", "entities", "error"]
    tagged = sorted(table.to_pylist(), key=lambda row: int(row["id"]))
    assert [row["id"] for row in tagged] == [row["n"] for row in tagged] == list(range(len(texts)))
    assert [row["text"] for row in tagged] == texts
    assert {row["error"] for row in tagged} == {None}
    expected = entities(Tagger.load(sample_tagger, threads=1), texts)
    assert [row["entities"] for row in tagged] == expected
    assert sum(map(len, expected)) > len(texts)

    before = finished(target)
    with running(log, *command, environment=environment) as process:  # without Ray
        assert "0 documents tagged" in finish(process, log, 0)
    assert finished(target) == before


@pytest.fixture(scope="module")
def store() -> Iterator[dict[str, str]]:
    """The variables for a server of S3 on loopback, which has an empty bucket `team`."""
    pytest.importorskip("moto.server", reason="no server of S3: make remote")
    import boto3
    from botocore.config import Config

    keys = {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}
    with s3_server(os.environ) as port:
        address = f"http://127.0.0.1:{port}"
        options: Any = {"region_name": "us-east-1", "endpoint_url": address}
        options["config"] = Config(proxies={})
        options |= {name.lower(): value for name, value in keys.items()}
        boto3.client("s3", **options).create_bucket(Bucket="team")
        yield keys | {
            "AWS_ENDPOINT_URL": address,
            "AWS_DEFAULT_REGION": "us-east-1",
            "no_proxy": "127.0.0.1",
        }


@pytest.fixture(scope="module")
def cluster(
    store: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[subprocess.Popen[bytes], dict[str, str]]]:
    """A cluster of Ray with two CPUs, where nodes know the store, and the variables to use it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    variables = store | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a" * 64}
    node = {"RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": ""}
    command = ("ray.scripts.scripts", "start", "--head", "--block", f"--port={port}")
    options = ("--num-cpus=2", "--include-dashboard=false", f"--object-store-memory={2**28}")
    log = tmp_path_factory.mktemp("cluster") / "log"
    with running(
        log, *command, *options, environment=variables | node, folder=Path("/")
    ) as process:
        wait_until(lambda: "Ray runtime started" in log.read_text(), "the start", process, log)
        yield process, variables | {"RAY_ADDRESS": f"127.0.0.1:{port}"}


@pytest.mark.slow
def test_a_cluster_tags_what_is_in_s3_though_the_driver_is_killed(
    tmp_path: Path,
    sample_tagger: Path,
    cluster: tuple[subprocess.Popen[bytes], dict[str, str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    nodes, environment = cluster
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    files, _ = mass.open_folder("s3://team/in")
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
    for i in range(8):
        keys, long = range(i * 150, (i + 1) * 150), "Elena Price lives in Hill .\n" * 20
        with files.open_output_stream(f"team/in/0/{i}.parquet") as stream:
            pq.write_table(pa.table({"key": keys, "body": [long] * 150}), stream)
    # All CPUs are the actors': with another task to run beside them, this would hang.
    options = ("--text", "body", "--id", "key", "--actors", "2")
    command = ("tagger.mass", sample_tagger, "s3://team/in", "s3://team/out", *options)
    log = tmp_path / "log"

    def tables() -> dict[str, tuple[Any, Any]]:
        """The files in OUT that have their names, with the time of each and what is in it."""
        infos = files.get_file_info(
            pa.fs.FileSelector("team/out", allow_not_found=True, recursive=True)
        )
        return {
            info.path.removeprefix("team/out/"): (
                info.mtime_ns,
                pq.read_table(info.path, filesystem=files),
            )
            for info in infos
            if info.is_file and not info.base_name.startswith("_")
        }

    with running(log, *command, environment=environment) as process:
        wait_until(lambda: bool(tables()), "the first file", process, log)
        wait_until(lambda: len(actors(nodes)) == 2, "two actors", process, log)
        process.kill()
        wait_until(lambda: not actors(nodes), "the end of the actors")
    first = tables()
    with running(log, *command, environment=environment) as process:
        output = finish(process, log, 1)
    second = tables()
    assert sorted(second) == [
        *(f"0/{i}.parquet" for i in range(8)),
        "a/lines.jsonl.parquet",
        "cut.parquet",
        "packed.jsonl.gz.parquet",
        "t.parquet",
    ]
    assert len(first) < len(second)
    assert {name: second[name] for name in first} == first
    new = [table for name, (_, table) in second.items() if name not in first]
    documents, errors = (sum(map(len, new)), sum(len(table["error"].drop_null()) for table in new))
    summary = f"{documents} documents tagged into s3://team/out, {errors} with an error"
    assert summary in output

    assert sum(len(table) for _, table in second.values()) == 8 * 150 + 607 + 1 + 6
    keys_of_0 = [key for i in range(8) for key in second[f"0/{i}.parquet"][1]["key"]]
    assert [key.as_py() for key in keys_of_0] == list(range(8 * 150))
    rows = second["a/lines.jsonl.parquet"][1].to_pylist()
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
    (row,) = second["packed.jsonl.gz.parquet"][1].to_pylist()
    assert (row["key"], row["body"], row["fields"]) == ("p", "Elena Price", '{"more": [1, null]}')
    assert second["t.parquet"][1]["error"].to_pylist() == [
        None, "the text is null", "the text is not UTF-8: invalid start byte"
    ]  # fmt: skip


def job(folder: Path, **changes: Any) -> Namespace:
    """The arguments of the command, for a tagger, IN and OUT in a folder."""
    places = {"tagger": folder / "tagger", "source": f"{folder}/in", "target": f"{folder}/out"}
    return Namespace(**{**places, "text": "text", "id": "id", "wrapped": False, **changes})


@pytest.mark.usefixtures("config")
def test_what_is_finished_is_left_out(tmp_path: Path) -> None:
    for name in ("a.parquet", "b/a.parquet", "_hidden/b.parquet", ".hidden.parquet"):
        write_table(tmp_path / "in" / name)
    files = mass.plan(job(tmp_path))
    assert files == [
        {"source": f"{tmp_path}/in/{name}", "target": f"{tmp_path}/out/{name}"}
        for name in ("a.parquet", "b/a.parquet")
    ]
    write_table(Path(files[0]["target"]))
    (tmp_path / "in/new.jsonl.gz").touch()
    assert [file["source"] for file in mass.plan(job(tmp_path))] == [
        f"{tmp_path}/in/b/a.parquet", f"{tmp_path}/in/new.jsonl.gz"
    ]  # fmt: skip
    one = job(tmp_path, source=files[0]["source"], target=f"{tmp_path}/one")
    assert [file["target"] for file in mass.plan(one)] == [f"{tmp_path}/one/a.parquet"]
    (tmp_path / "in/a.json").touch()
    write_table(tmp_path / "in/a.json.parquet")
    with pytest.raises(InputError, match=r"a\.json\.parquet and .*a\.json would both be "):
        mass.plan(job(tmp_path))


def test_other_output_is_not_mixed_in(tmp_path: Path, config: Path) -> None:
    write_table(tmp_path / "in/a.parquet")
    write_table(Path(mass.plan(job(tmp_path))[0]["target"]))
    with pytest.raises(InputError, match=r"out was made with .*, not .*: remove or rename it"):
        mass.plan(job(tmp_path, wrapped=True))
    (config / "config.json").write_text("other", encoding="utf-8")
    with pytest.raises(InputError, match=r'was made with \{"tagger": "44136fa'):
        mass.plan(job(tmp_path))
    (tmp_path / "out/_tagger.json").unlink()
    with pytest.raises(InputError, match="was made with another program"):
        mass.plan(job(tmp_path))


@pytest.mark.usefixtures("config")
def test_input_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    source = tmp_path / "in"

    def refused(message: str, **changes: Any) -> None:
        with pytest.raises(InputError, match=message):
            mass.plan(job(tmp_path, **changes))
        assert not (tmp_path / "out").exists()

    refused("in does not exist, or has no files")
    source.mkdir()
    refused("in does not exist, or has no files")
    write_table(source / "a.parquet")
    columns = r"a\.parquet has the columns id \(int64\), text \(string\)\. Name that of the texts"
    for changes in ({"text": "body"}, {"id": "key"}, {"text": "id"}):
        refused(columns, **changes)
    refused("lies in IN", target=str(source / "out"))
    write_table(source / "a.parquet", error=["x"] * 10)
    refused(r"error \(string\).*none may be there twice, or be called \['entities', 'error'\]")
    (source / "a.parquet").write_bytes(b"PAR1, but no more")
    refused("a.parquet is damaged")
    (source / "a.parquet").rename(source / "a.csv")
    refused(r"a\.csv is damaged, or of another version .*not a parquet file")
    (source / "a.csv").rename(source / "a.jsonl")
    refused("none may be there twice", id="text")
    with pytest.raises(ValueError, match="nothing://x"):
        mass.plan(job(tmp_path, source="nothing://x"))


class Fragile:
    """A tagger that raises an error for some texts."""

    def tag(self, documents: list[Document], **options: Any) -> Iterator[Document]:
        for document in documents:
            if "fails" in document.text:
                raise RuntimeError("it fails")
            yield document


def test_what_one_document_raises_is_its_error() -> None:
    documents = [Document(text) for text in ("a", "it fails", "b")]
    tagged = mass.tag(Fragile(), documents, wrapped=False)  # type: ignore[arg-type]
    assert [document.text for document in tagged] == ["a", "it fails", "b"]
    assert [document.error for document in tagged] == [None, "RuntimeError: it fails", None]


def test_a_file_that_breaks_off_has_no_output_and_says_why(tmp_path: Path) -> None:
    actor = mass.Actor.__new__(mass.Actor)  # which has no Ray that gives it a tagger
    actor.job, actor.tagger = job(tmp_path), Fragile()  # type: ignore[assignment]
    source, target = tmp_path / "in/a.jsonl.gz", tmp_path / "out/b/a.jsonl.gz.parquet"
    whole = gzip.compress(b'{"text": "some text", "id": 1}\n' * 3000)
    source.parent.mkdir()
    for content, failure, documents in ((whole[:-20], "Error", 0), (whole, "", 3000)):
        source.write_bytes(content)
        done = actor({"source": str(source), "target": str(target)})
        assert (done["documents"], done["files"]) == (documents, documents // 3000)
        assert failure in done["failure"]
        assert bool(failure) == (str(source) in done["failure"])
        assert target.exists() is not bool(failure)
    assert pq.read_table(target).num_rows == 3000
    assert list(target.parent.iterdir()) == [target]


RAY_OF_ANOTHER_VERSION = """
import sys
import ray
def init(**options): raise RuntimeError("Version mismatch")
ray.init = init
from tagger import mass
sys.exit(mass.main())
"""


@pytest.mark.slow
def test_the_exit_status_tells_errors_of_documents_from_what_is_to_do_again(
    tmp_path: Path, sample_tagger: Path
) -> None:
    write_table(tmp_path / "in/a.parquet")
    command = [sys.executable, "-c", RAY_OF_ANOTHER_VERSION, str(sample_tagger)]
    for source, message in (
        ("in", "the Ray of this machine cannot be used, as where its version or Python's is"),
        ("no", f"{tmp_path}/no does not exist, or has no files"),
    ):
        done = subprocess.run(
            [*command, f"{tmp_path}/{source}", f"{tmp_path}/out"],
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 2
        assert done.stderr.startswith(f"tagger.mass: {message}"), done.stderr
        assert done.stderr.count("\n") == 1


def test_more_actors_than_cpus_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ray = SimpleNamespace(
        cluster_resources=lambda: {"CPU": 2.0}, exceptions=SimpleNamespace(RayError=RuntimeError)
    )
    monkeypatch.setattr(mass, "_start_ray", lambda: ray)
    with pytest.raises(InputError, match="--actors 3 would wait for ever: Ray has 2 CPUs"):
        mass.tag_files(job(tmp_path, actors=3), [{}])
