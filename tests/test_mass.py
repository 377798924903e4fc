"""Mass tagging: every document once, whatever is killed, and bad input is told before Ray starts.

Most tests have a tagger that is a regular expression, see tests/fake_mass_tagger.py.
"""

import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tagger import mass
from tagger.document import Document
from tagger.files import InputError
from tests import fake_mass_tagger
from tests.conftest import ROOT

SETTINGS = mass.Settings()


@pytest.fixture
def tagger(tmp_path: Path) -> Path:
    """The folder of the tagger of these tests."""
    (tmp_path / "notes").mkdir()
    (tmp_path / "tagger").mkdir()
    (tmp_path / "tagger/config.json").write_text(str(tmp_path / "notes"), encoding="utf-8")
    return tmp_path / "tagger"


def write_table(path: Path, rows: int = 10, group: int = 4, **columns: Any) -> None:
    content = {"id": list(range(rows)), "text": [f"Document {i}" for i in range(rows)]}
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(content | columns), path, row_group_size=group)


def start(*arguments: object, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.fake_mass_tagger", *map(str, arguments)],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def outputs(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*.parquet") if not path.name.startswith("_"))


def processes(mark: str) -> list[int]:
    """The processes that have a variable MARK of this value."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"MARK={mark}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
        except OSError:  # it has ended, or is another user's
            pass
    return found


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="looks for processes in /proc")
def test_every_document_is_there_once_though_processes_are_killed(
    tmp_path: Path, tagger: Path
) -> None:
    pytest.importorskip("ray", reason="no Ray: make mass")
    texts = [f"Number {i} of Anna in Berlin" for i in range(40_000)]
    texts[39_000] += " fails"
    texts[25_000] += " killed"
    texts[39_999] += " waits"  # so that the last part is not finished before the first kill
    for file in range(4):
        some = slice(file * 10_000, (file + 1) * 10_000)
        write_table(
            tmp_path / f"in/folder/{file}.parquet", 10_000, 3_000,
            id=list(range(40_000))[some], text=texts[some], extra=[file] * 10_000,
        )  # fmt: skip
    home = tmp_path / "home"
    home.mkdir()
    command = (tagger, tmp_path / "in", tmp_path / "out", "--actors", "2")
    environment = {"MARK": str(tmp_path), "HOME": str(home)}

    # All CPUs are the actors': with another task to run beside them, this would hang.
    process = start(*command, **environment)
    while not outputs(tmp_path / "out"):
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.kill()
    process.communicate()
    for _ in range(600):
        if not (left := processes(str(tmp_path))):
            break
        time.sleep(0.1)
    assert [Path(f"/proc/{each}/cmdline").read_bytes() for each in left] == []
    first = {
        path: (path.stat().st_mtime_ns, path.read_bytes()) for path in outputs(tmp_path / "out")
    }
    assert 0 < len(first) < 8
    for path in first:
        assert pq.read_table(path).num_rows in (4_000, 6_000)  # which is all of a part

    process = start(*command, **environment)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 1, output
    assert (tmp_path / "notes/killed").exists()
    assert f"{8 - len(first)} of {8 - len(first)} parts, " in output
    assert "documents have an error" in output
    assert not any(text in output for text in ("Number", "Anna"))
    for path, before in first.items():
        assert (path.stat().st_mtime_ns, path.read_bytes()) == before

    table = pq.read_table(tmp_path / "out/folder")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["_tagger.json", "folder"]
    assert list(home.iterdir()) == []
    assert processes(str(tmp_path)) == []
    assert table.schema.names == ["id", "text", "extra", "entities", "error"]
    assert sorted(table["id"].to_pylist()) == list(range(40_000))
    expected = fake_mass_tagger.FakeTagger(tmp_path / "notes")
    for row in table.to_pylist():
        assert row["text"] == texts[row["id"]]
        assert row["extra"] == row["id"] // 10_000
        if row["id"] == 39_000:
            assert (row["entities"], row["error"]) == (None, "RuntimeError: it fails")
            continue
        document = Document(row["text"].replace("waits", "").rstrip())
        (document,) = expected.tag([document], wrapped=False, threshold=0)
        assert row["entities"] == [asdict(entity) for entity in document.entities]
        assert row["error"] is None


@pytest.fixture(scope="module")
def store() -> Iterator[dict[str, str]]:
    """The variables for a server of S3 on loopback, which has an empty bucket `team`."""
    pytest.importorskip("moto.server", reason="no server of S3: make remote")
    import boto3

    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "--port", "0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    try:
        for line in process.stderr:
            if found := re.search(r"http://127\.0\.0\.1:\d+", line):
                break
        else:
            pytest.fail("the server never began")
        options: Any = {"region_name": "us-east-1", "endpoint_url": found[0]}
        keys = {"AWS_ACCESS_KEY_ID": "none", "AWS_SECRET_ACCESS_KEY": "none"}
        options |= {name.lower(): value for name, value in keys.items()}
        boto3.client("s3", **options).create_bucket(Bucket="team")
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield keys | {
            "AWS_ENDPOINT_URL": found[0],
            "AWS_DEFAULT_REGION": "us-east-1",
            "no_proxy": "127.0.0.1",
        }
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def cluster(
    store: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, str]]:
    """The variables for a cluster of Ray with two CPUs, where nodes know the store."""
    pytest.importorskip("ray", reason="no Ray: make mass")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    mark = str(tmp_path_factory.mktemp("cluster"))
    variables = store | {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a" * 64}
    node = {"MARK": mark, "RAY_USAGE_STATS_ENABLED": "0", "PYTHONPATH": ""}
    ray = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--num-cpus=2"]
    ray += [f"--port={port}", "--include-dashboard=false", f"--object-store-memory={2**28}"]
    try:
        subprocess.run(ray, env=os.environ | variables | node, check=True, capture_output=True)
        yield variables | {"RAY_ADDRESS": f"127.0.0.1:{port}"}
    finally:
        for process in processes(mark):
            os.kill(process, signal.SIGKILL)


@pytest.mark.slow
def test_a_cluster_tags_json_lines_in_s3(
    tmp_path: Path, tagger: Path, cluster: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in cluster.items():
        monkeypatch.setenv(name, value)
    files, _ = mass.open_folder("s3://team/in")
    documents: list[dict[str, Any]] = [
        {"id": i, "text": f"Document {i}\nin Rome \N{GRINNING FACE}"} for i in range(9_000)
    ]
    bad = {
        b"{": "Expecting property name",
        b"[1]": "it is no object",
        b'{"text": "x"}': "its 'id' is not there",
        b'{"id": true, "text": "x"}': "its 'id' is not there",
        b'{"id": "no text"}': "its 'text' is not there",
        b'{"id": "half", "text": "\\ud800"}': "surrogates not allowed",
        b'{"id": "\\ud800", "text": "x"}': "surrogates not allowed",
        b'{"id": "bytes", "text": "\xff"}': "invalid start byte",
        b'{"id": "endless", "text": "x", "a": NaN}': "not JSON compliant",
        b"[" * 100_000: "recursion",
    }
    lines = [json.dumps(document).encode() for document in documents]
    lines.insert(4_000, b"\n \r\n".join(bad))
    with files.open_output_stream("team/in/a/lines.jsonl") as stream:
        stream.write(b"\n".join(lines))
    with files.open_output_stream("team/in/packed.jsonl.gz") as stream:  # which compresses it
        stream.write(b'\xef\xbb\xbf{"id": "packed", "text": "Anna", "more": {"a": [1, null]}}\r\n')
    with files.open_output_stream("team/in/z.jsonl") as stream:
        stream.write(b'{"id": "deadly", "text": "poison"}')
    command = (tagger, "s3://team/in", "s3://team/out")

    process = start(*command, "--actors", "3", **cluster)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "--actors 3: Ray has 2 CPUs" in output

    process = start(*command, **cluster)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 1
    assert re.search(r"1 of \d parts could not be tagged; the others are in OUT", output)
    assert "team/in/z.jsonl: its actor died each of 4 times" in output
    outputs, _ = mass.open_folder("s3://team/out")
    names = [
        info.path
        for info in outputs.get_file_info(pyarrow.fs.FileSelector("team/out", recursive=True))
    ]
    assert [name for name in names if mass.PARTIAL in name] == []
    table = pq.read_table("team/out/a", filesystem=outputs)
    assert table.schema.names == ["id", "text", "fields", "entities", "error"]
    rows = {row["id"]: row for row in table.to_pylist()}
    tag = fake_mass_tagger.FakeTagger(tmp_path).tag
    for document in documents:
        (tagged,) = tag([Document(document["text"])], wrapped=False, threshold=0)
        row = rows[str(document["id"])]
        assert row["entities"] == [asdict(entity) for entity in tagged.entities]
        assert (row["text"], row["fields"], row["error"]) == (document["text"], "{}", None)
    errors = [row["error"] for row in table.to_pylist() if row["error"]]
    assert table.num_rows == len(documents) + len(bad)
    assert len(errors) == len(bad)
    for error, expected in zip(errors, bad.values(), strict=True):
        assert expected in error
    for row in rows.values():
        if row["error"]:
            assert (row["text"], row["entities"]) == (None, None)
    (row,) = pq.read_table("team/out/packed.jsonl.gz-00000.parquet", filesystem=outputs).to_pylist()
    assert (row["id"], row["text"], row["fields"]) == (
        "packed",
        "Anna",
        '{"more": {"a": [1, null]}}',
    )

    # The cause is removed, and the rest is tagged.
    with files.open_output_stream("team/in/z.jsonl") as stream:
        stream.write(b'{"id": "deadly", "text": "Harmless"}')
    process = start(*command, **cluster)
    output, _ = process.communicate(timeout=300)
    assert process.returncode == 0, output
    assert "1 of 1 parts, 1 documents, 0 with an error" in output


def plan(tagger: Path, folder: Path, settings: mass.Settings = SETTINGS) -> list[mass.Part]:
    return mass.plan(tagger, str(folder / "in"), str(folder / "out"), settings)


@given(
    st.lists(st.sampled_from([b"a", b"bcd", b"", b" ", b"efghijklmn"]), max_size=12),
    st.integers(1, 9),
    st.booleans(),
)
def test_each_line_is_in_one_part(lines: list[bytes], size: int, is_ended: bool) -> None:
    content = b"\n".join(lines) + b"\n" * is_ended
    found = []
    for first in range(0, max(len(content), 1), size):
        for place, line in mass._lines(io.BytesIO(content), mass.Part("", first, first + size, "")):
            assert first <= place < first + size
            assert content[place:].startswith(line)
            found.append(line.rstrip(b"\n"))
    assert found == [line for line in lines if line.strip()]


def test_what_is_finished_is_left_out(tmp_path: Path, tagger: Path) -> None:
    write_table(tmp_path / "in/a.parquet")
    write_table(tmp_path / "in/_hidden/b.parquet")
    (part,) = plan(tagger, tmp_path)
    assert part == (
        str(tmp_path / "in/a.parquet"),
        0,
        3,
        str(tmp_path / "out/a.parquet-00000.parquet"),
    )
    write_table(Path(part.target))
    (tmp_path / "out" / f"{mass.PARTIAL}1").touch()
    assert plan(tagger, tmp_path) == []
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        Path(part.target).name,
        mass.RECORD,
    }
    write_table(tmp_path / "in/new.parquet")
    assert [Path(part.source).name for part in plan(tagger, tmp_path)] == ["new.parquet"]


def test_other_output_is_not_mixed_in(tmp_path: Path, tagger: Path) -> None:
    write_table(tmp_path / "in/a.parquet")
    (part,) = plan(tagger, tmp_path)
    write_table(Path(part.target))
    for settings in (
        mass.Settings(id="text", text="text"),
        mass.Settings(threshold=0.5),
        mass.Settings(wrapped=True),
    ):
        with pytest.raises(InputError, match=r"output of another (id|threshold|wrapped)"):
            plan(tagger, tmp_path, settings)
    write_table(tmp_path / "in/a.parquet", rows=11)
    with pytest.raises(InputError, match=r"output of another file a\.parquet"):
        plan(tagger, tmp_path)
    (tagger / "config.json").write_text("other", encoding="utf-8")
    with pytest.raises(InputError, match="output of another tagger"):
        plan(tagger, tmp_path)
    (tmp_path / "out" / mass.RECORD).unlink()
    with pytest.raises(InputError, match=r"they are not of tagger\.mass"):
        plan(tagger, tmp_path)


def test_input_that_cannot_be_used_is_told(tmp_path: Path, tagger: Path) -> None:
    source = tmp_path / "in"

    def refused(message: str, settings: mass.Settings = SETTINGS) -> None:
        with pytest.raises(InputError, match=message):
            plan(tagger, tmp_path, settings)
        assert not (tmp_path / "out").exists()

    refused("there is no such file, or none in the folder")
    write_table(source / "a.parquet")
    refused("a.parquet has no column 'body', but id, text; ", mass.Settings(text="body"))
    refused("a.parquet has no column 'key'", mass.Settings(id="key"))
    refused("the column 'id' is of type int64, not text", mass.Settings(text="id"))
    write_table(source / "a.parquet", error=["x"] * 10)
    refused("two columns of one name: id, text, error, entities, error")
    (source / "a.parquet").write_bytes(b"PAR1, but no more")
    refused("a.parquet is damaged")
    (source / "a.parquet").rename(source / "a.csv")
    refused("a.csv is neither parquet nor JSON Lines by its name")
    (source / "a.csv").rename(source / "a.jsonl")
    refused("two columns of one name", mass.Settings(id="text"))
    with pytest.raises(InputError, match="lies in IN"):
        mass.plan(tagger, str(source), str(source / "out"), SETTINGS)
    with pytest.raises(InputError, match="nothing://x cannot be opened"):
        mass.plan(tagger, "nothing://x", str(tmp_path / "out"), SETTINGS)
