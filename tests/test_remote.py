"""The README's recipe for a remote, with a server of S3 on loopback, and transfers that break."""

import hashlib
import json
import re
import shlex
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, Clone, commit_all, s3_server
from tests.test_pipeline import UP_TO_DATE, ran

pytestmark = pytest.mark.slow


README = (ROOT / "README.md").read_text(encoding="utf-8")
RECIPE = re.findall(r"^    (dvc remote .*)", README, re.MULTILINE)


class Wire:
    """A port before a server. Where it has carried `limit` bytes, it calls `at_limit`, once."""

    def __init__(self, server: int) -> None:
        self.server = server
        self.carried = 0
        self.limit = float("inf")
        self.at_limit: Callable[[], None] = self.cut
        self.is_cut = False
        self.ends: set[socket.socket] = set()
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.listen, daemon=True).start()

    def listen(self) -> None:
        while True:
            client, _ = self.listener.accept()
            threading.Thread(target=self.connect, args=(client,), daemon=True).start()

    def connect(self, client: socket.socket) -> None:
        """Carry both ways until both have ended. Then close: each end is one of few open files."""
        with client:
            if self.is_cut:
                return
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.server)) as server:
                ends = {client, server}
                self.ends |= ends
                if self.is_cut:  # meanwhile
                    hang_up(*ends)
                back = threading.Thread(target=self.carry, args=(server, client), daemon=True)
                back.start()
                self.carry(client, server)
                back.join()
                self.ends -= ends

    def carry(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(4096):
                with self.lock:
                    left = self.limit - self.carried
                    self.carried += len(data)
                    if left <= len(data):
                        sink.sendall(data[: int(left)])
                        self.limit = float("inf")
                        self.at_limit()
                        hang_up(source, sink)
                        return
                sink.sendall(data)
            sink.shutdown(socket.SHUT_WR)
        except OSError:  # the wire was cut, one of the two was killed, or the server wants no more
            hang_up(source, sink)

    def cut(self) -> None:
        """Be as a server that was killed: end all connections, accept no other."""
        self.is_cut = True
        hang_up(*self.ends)

    def mend(self) -> None:
        self.is_cut = False


def hang_up(*ends: socket.socket) -> None:
    """End a connection for both sides: one that is left open would be waited for."""
    for end in ends:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@pytest.fixture(scope="module")
def server(environment: dict[str, str]) -> Iterator[tuple[int, dict[str, str]]]:
    """The port of a server of S3 with an empty bucket `team`, and variables with a user's keys."""
    for package in ("moto.server", "dvc_s3"):
        pytest.importorskip(package, reason="no DVC with S3, or no server of it: make remote")
    import boto3
    from botocore.config import Config

    variables = environment | {"INITIAL_NO_AUTH_ACTION_COUNT": "4"}  # then it asks for keys
    with s3_server(variables) as port:
        options: Any = {
            "endpoint_url": f"http://127.0.0.1:{port}", "region_name": "us-east-1",
            "aws_access_key_id": "none", "aws_secret_access_key": "none",
            "config": Config(proxies={}),
        }  # fmt: skip
        boto3.client("s3", **options).create_bucket(Bucket="team")
        iam = boto3.client("iam", **options)
        iam.create_user(UserName="colleague")
        key = iam.create_access_key(UserName="colleague")["AccessKey"]
        allowed = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        iam.put_user_policy(UserName="colleague", PolicyName="all", PolicyDocument=policy)
        keys = {
            "AWS_ACCESS_KEY_ID": key["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"],
        }
        yield port, keys


@dataclass
class Team:
    """People with a repository and a remote: `author` ran the pipeline, and set up the remote."""

    author: Clone
    wire: Wire

    def colleague(self, name: str) -> Clone:
        """A clone on another machine, with no more than what is in git."""
        folder = self.author.path.parent
        self.author.run("git", "clone", "-q", str(folder / "hub"), str(folder / name))
        site = {"DVC_SITE_CACHE_DIR": str(folder / f"site-{name}")}
        return Clone(folder / name, self.author.env | site)


def set_up(folder: Path, reproduced: Clone, server: tuple[int, dict[str, str]]) -> Team:
    """A team in a folder, whose remote is set up as the README says and has nothing yet."""
    port, keys = server
    wire = Wire(port)
    shutil.copytree(reproduced.path, folder / "author", symlinks=True)
    settings = {"no_proxy": "127.0.0.1", "AWS_MAX_ATTEMPTS": "1"} | keys
    author = Clone(folder / "author", reproduced.env | settings)
    for line in RECIPE:
        line = line.replace("s3://bucket/path", f"s3://team/{folder.name}")
        author.run(*shlex.split(line.replace("https://s3.example.org", wire.url), comments=True))
    for limit in ("connect_timeout", "read_timeout"):  # by default a minute, for each of many tries
        author.run("dvc", "remote", "modify", "storage", limit, "5")
    commit_all(author)
    author.run("git", "clone", "-q", "--bare", ".", "../hub")
    author.run("git", "remote", "set-url", "origin", "../hub")
    return Team(author, wire)


@pytest.fixture(scope="module")
def team(
    tmp_path_factory: pytest.TempPathFactory,
    reproduced: Clone,
    server: tuple[int, dict[str, str]],
) -> Team:
    """A team whose author has pushed everything."""
    team = set_up(tmp_path_factory.mktemp("team"), reproduced, server)
    team.author.run("dvc", "push", "--run-cache")
    return team


def hashes(folder: Path) -> dict[str, str]:
    """The MD5 hash of each file in a folder, by its path there."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {
        str(file.relative_to(folder)): hashlib.md5(file.read_bytes()).hexdigest()  # noqa: S324
        for file in files
    }


def check_nothing_is_wrong(team: Team, clone: Clone) -> None:
    """Fail if a file of the cache has not the content of its name, or an output is not whole."""
    for path, md5 in hashes(clone.path / ".dvc/cache/files/md5").items():
        if not path.endswith(".tmp"):
            assert path.replace("/", "").removesuffix(".dir") == md5
    right = hashes(team.author.path / "data")
    for path, md5 in hashes(clone.path / "data").items():
        assert right[path] == md5, path


def test_a_colleague_gets_everything_and_runs_nothing(team: Team) -> None:
    colleague = team.colleague("colleague")
    colleague.run("dvc", "pull", "--run-cache")
    assert hashes(colleague.path / "data") == hashes(team.author.path / "data")
    output = colleague.run("dvc", "repro")
    assert ran(output) == []
    assert UP_TO_DATE in output
    assert colleague.run("git", "status", "--short") == ""

    # Past runs came too, but for evaluate's: DVC keeps none that makes a file for git alone.
    (colleague.path / "dvc.lock").unlink()
    output = colleague.run("dvc", "repro")
    assert ran(output) == ["evaluate"]
    assert output.count("is cached - skipping run") == 5
    assert colleague.run("git", "status", "--short") == ""


def test_other_projects_get_the_model_alone(team: Team) -> None:
    model = hashes(team.author.path / "data/tagger")
    other = Clone(team.author.path.parent / "other", team.author.env)
    other.path.mkdir()
    other.run("dvc", "get", "../hub", "data/tagger", "--out", "got")
    assert hashes(other.path / "got") == model
    other.run("git", "init", "-q")
    other.run("dvc", "init", "-q")
    other.run("dvc", "import", "../hub", "data/tagger", "--out", "imported")
    assert hashes(other.path / "imported") == model
    assert UP_TO_DATE in other.run("dvc", "status")


def test_experiments_are_shared(team: Team) -> None:
    author, colleague = team.colleague("another-author"), team.colleague("another-colleague")
    author.run("dvc", "pull")
    author.run("dvc", "exp", "run", "--name", "short", "-S", "epochs=1", "train")
    author.run("dvc", "exp", "push", "origin", "short")
    colleague.run("dvc", "exp", "pull", "origin", "short")
    colleague.run("dvc", "exp", "apply", "short")
    model = hashes(author.path / "data/model")
    assert hashes(colleague.path / "data/model") == model
    assert ran(colleague.run("dvc", "repro", "train")) == []


def test_broken_transfers_are_resumed_and_nothing_wrong_is_believed(
    tmp_path: Path, reproduced: Clone, server: tuple[int, dict[str, str]]
) -> None:
    team = set_up(tmp_path, reproduced, server)
    break_off(team, team.author, "push", "server")
    break_off(team, team.author, "push", "client")
    early = team.colleague("early")
    early.run("dvc", "pull", status=1)
    check_nothing_is_wrong(team, early)
    team.author.run("dvc", "push")

    late = team.colleague("late")
    break_off(team, late, "pull", "server")
    check_nothing_is_wrong(team, late)
    break_off(team, late, "pull", "client")
    check_nothing_is_wrong(team, late)
    late.run("dvc", "pull")
    check_nothing_is_wrong(team, late)
    assert hashes(late.path / "data") == hashes(team.author.path / "data")


def break_off(team: Team, clone: Clone, command: str, victim: str) -> None:
    """Run a command of DVC, and kill one side after a third of what is to be transferred."""
    files = (team.author.path / ".dvc/cache/files").rglob("*")
    team.wire.carried = 0
    team.wire.limit = sum(file.stat().st_size for file in files if file.is_file()) // 3
    process = clone.start("dvc", command)
    team.wire.at_limit = process.kill if victim == "client" else team.wire.cut
    try:
        output, _ = process.communicate(timeout=120)
    finally:
        process.kill()
    assert process.returncode, output
    assert team.wire.limit == float("inf"), "the limit was never reached"
    team.wire.mend()


@pytest.mark.parametrize("command", ["push", "pull"])
def test_wrong_keys_are_told(team: Team, command: str) -> None:
    clone = Clone(team.author.path, team.author.env | {"AWS_SECRET_ACCESS_KEY": "wrong"})
    assert "Forbidden" in clone.run("dvc", command, "--run-cache", status=255)


def test_a_missing_plug_in_is_told(clone: Callable[..., Clone]) -> None:
    here = clone()
    here.run("dvc", "remote", "add", "--default", "storage", "s3://bucket/path")
    # Where the plug-in is installed, it cannot be imported in this process.
    without = "import sys; sys.modules['dvc_s3'] = None; from dvc.cli import main; sys.exit(main())"
    output = here.run("python", "-c", without.replace("main()", "main(['pull'])"), status=None)
    assert "dvc-s3" in output
