"""Fixtures: the sample through the first stages, and clones in which the real commands run."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from filelock import FileLock
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

# Before anything imports NumPy or torch: the workers share the cores, and threads that wait for
# each other waste them.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from stages.runner import run
from tests.browser import browser, open_page  # noqa: F401

ROOT = Path(__file__).parent.parent
INPUTS = ROOT / "data" / "inputs"
MIRROR = ROOT.parent / "shared" / "mirror"  # of the real corpus and vectors, where there is one

# Two busy cores are no place for deadlines, and a failure must be there again the next time.
settings.register_profile("steady", deadline=None, derandomize=True)
settings.register_profile("quick", settings.get_profile("steady"), max_examples=20)  # test-fast
settings.load_profile("steady")

TINY = {  # trains on the sample in a second or two
    "corpus": "sample", "embeddings": "sample",
    "hidden": 16, "epochs": 4, "learning_rate": 0.02, "threads": 1,
}  # fmt: skip


# Files whose tests share what takes long to set up run in one worker.
WORKERS = {
    "conllpp": ["conllpp"],  # the word vectors
    "mass": ["mass"],  # Ray and a server of S3
    "pages": ["html", "pages", "report", "serve"],  # a browser
    "remote": ["remote"],  # a server of S3
}
GROUPS = {f"tests/test_{name}.py": group for group, names in WORKERS.items() for name in names}


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Send the tests of a group to the same worker, and each other test to the next free one.

    The marker `xdist_group` of pytest-xdist 3.8 has no effect with pytest 9.2.
    """
    scheduler = LoadScopeScheduling(config, log)
    scheduler._split_scope = lambda nodeid: GROUPS.get(nodeid.split("::")[0], nodeid)
    return scheduler


SLOW_FIXTURES = {"origin", "browser", "real"}  # clones to run DVC in, a browser, all of conllpp


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what uses a slow fixture, directly or through other fixtures."""
    for item in items:
        if isinstance(item, pytest.Function) and SLOW_FIXTURES & set(item.fixturenames):
            item.add_marker(pytest.mark.slow)


@dataclass
class Data:
    """The outputs of the first three stages."""

    corpus: Path
    embeddings: Path
    index: Path


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Data:
    # Not at the top: the stages take seconds to import, which most test files need not wait for.
    from stages.download import download
    from stages.embed import embed
    from stages.index import index

    folder = tmp_path_factory.mktemp("sample")
    data = Data(folder / "corpus", folder / "embeddings", folder / "index")
    download(INPUTS / "corpora/sample", data.corpus, corpus="sample", held_out=0.1)
    embed(INPUTS / "vectors/sample", data.embeddings)
    index(data.corpus, data.embeddings, data.index)
    return data


def run_evaluate(sample: Data, model: Path, curve: Path, folder: Path) -> dict[str, Any]:
    """Evaluate a model on the sample, every output in a folder; the scores."""
    from stages.evaluate import evaluate

    evaluate(
        sample.corpus, sample.embeddings, model, curve,
        folder / "metrics.json", folder / "confusion.csv", folder / "intervals.csv",
        folder / "sentences.csv", folder / "predictions", folder / "report", threads=1,
    )  # fmt: skip
    scores: dict[str, Any] = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    return scores


@pytest.fixture(scope="session")
def sample_tagger(sample: Data, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tagger that was trained for some seconds on the sample."""
    from stages.export import export
    from tests.test_train import run_train

    folder = tmp_path_factory.mktemp("sample_tagger")
    run_train(sample, folder, hidden=32, epochs=12, learning_rate=0.02)
    run_evaluate(sample, folder / "model", folder / "curve.csv", folder)
    inputs = ROOT / "data/inputs"
    export(
        inputs / "corpora/sample", inputs / "vectors/sample",
        sample.embeddings, sample.index, folder / "model", folder / "predictions",
        folder / "metrics.json", folder / "intervals.csv", folder / "tagger",
    )  # fmt: skip
    return folder / "tagger"


@pytest.fixture
def run_as_stage(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Runs a function as the stage of its name, with the paths given."""

    def run_as_stage_(function: Callable[..., None], *paths: str) -> None:
        name = function.__name__
        module = ModuleType(f"stages.{name}")
        setattr(module, name, function)
        monkeypatch.setitem(sys.modules, module.__name__, module)
        run(name, paths, os.getppid())

    return run_as_stage_


@dataclass
class Clone:
    """A git clone, and how to run commands in it as a new user with no settings would."""

    path: Path
    env: dict[str, str]

    @property
    def _options(self) -> dict[str, Any]:
        """How a command is started: here, with all that it prints in one stream."""
        return {
            "cwd": self.path,
            "env": self.env,
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.STDOUT,
            "text": True,
        }

    def run(self, *command: str, status: int | None = 0) -> str:
        """Run a command and return what it printed; fail unless it ends with `status`."""
        result: subprocess.CompletedProcess[str] = subprocess.run(command, **self._options)
        assert status in (None, result.returncode), (
            f"{command}: {result.returncode}\n{result.stdout}"
        )
        return result.stdout

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command that runs beside the test, in a process group of its own.

        Signals end it even if the tests run where they are ignored, as SIGINT is in the background
        of a shell script, and SIGHUP under nohup: a command would inherit that.
        """

        def restore() -> None:
            for each in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
                signal.signal(each, signal.SIG_DFL)

        return subprocess.Popen(
            command, **self._options, start_new_session=True, preexec_fn=restore
        )

    def read(self, file: str) -> str:
        return (self.path / file).read_text(encoding="utf-8")

    def edit(self, file: str, old: str, new: str) -> None:
        text = self.read(file)
        assert old in text
        (self.path / file).write_text(text.replace(old, new), encoding="utf-8")

    def set(self, **values: object) -> None:
        """Change params.yaml as a person would: the line of a key."""
        lines = self.read("params.yaml").splitlines()
        kept = [line for line in lines if line.split(":")[0] not in values]
        changed = [f"{key}: {value}" for key, value in values.items()]
        (self.path / "params.yaml").write_text("\n".join([*kept, *changed, ""]), encoding="utf-8")


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of a new user: no home, no git identity, no network, no mirror."""
    home = tmp_path_factory.mktemp("home")
    dropped = ("CONLLPP_", "DVC_", "GENSIM_", "GIT_", "HF_", "OMP_", "PYTHON", "XDG_")
    kept = {key: value for key, value in os.environ.items() if not key.startswith(dropped)}
    return kept | {
        "HOME": str(home),
        "DVC_SITE_CACHE_DIR": str(home / "dvc"),
        "GENSIM_DATA_DIR": str(home / "gensim-data"),
        "GIT_CONFIG_NOSYSTEM": "1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "no_proxy": "",
        "http_proxy": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
    }


@contextmanager
def s3_server(variables: Mapping[str, str]) -> Iterator[int]:
    """Run moto's server of S3, which keeps everything in memory, on a port of this machine.

    Args:
        variables: its environment
    """
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "--port", "0"],
        env=variables,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr
    try:
        for line in process.stderr:
            if found := re.search(r"http://127\.0\.0\.1:(\d+)", line):
                break
        else:
            pytest.fail("the server never began")
        threading.Thread(target=process.stderr.read, daemon=True).start()
        yield int(found[1])
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip installed the package of this tree, without its dependencies."""
    folder = tmp_path_factory.mktemp("installed")
    options = ("--no-index", "--no-deps", "--no-build-isolation", "--no-compile", "--quiet")
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(folder), str(ROOT)]
    subprocess.run(command, check=True)
    return folder


@pytest.fixture(scope="session")
def origin(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> Path:
    """A repository with this tree as its last commit, set to train little on the sample."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout
    clone = Clone(tmp_path_factory.mktemp("origin"), environment)
    inputs = ("data/inputs/corpora/", "data/inputs/vectors/")  # and not what a user put there
    for name in filter(None, listed.split("\0")):
        mine = (
            name.startswith(inputs)
            and not {"conllpp", "sample"} & set(Path(name).parts)
            and ("sample" not in name)
        )
        if (ROOT / name).is_file() and not mine:
            (clone.path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, clone.path / name)
    clone.set(**TINY)
    (clone.path / "dvc.lock").unlink(missing_ok=True)  # the one of conllpp
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    clone.run("git", "init", "-q", "-b", "main")
    clone.run("git", *identity, "commit", "-qm", "Nothing yet", "--allow-empty")
    clone.run("git", "add", "-A")
    clone.run("git", *identity, "commit", "-qm", "The tree under test")
    return clone.path


@pytest.fixture
def clone(tmp_path: Path, origin: Path, environment: dict[str, str]) -> Callable[..., Clone]:
    """Makes a clone of `origin`; `git clone` gets the options given."""

    def make(name: str = "clone", *options: str) -> Clone:
        here = Clone(tmp_path, environment)
        here.run("git", "clone", "-q", *options, origin.as_uri(), name)
        return Clone(tmp_path / name, environment)

    return make


@pytest.fixture(scope="session")
def reproduced(
    tmp_path_factory: pytest.TempPathFactory, origin: Path, environment: dict[str, str]
) -> Clone:
    """A clone in which `dvc repro` has run, once for all workers. Not to be changed: copy it."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent  # which the workers share
    clone = Clone(base / "reproduced", environment)
    with FileLock(f"{clone.path}.lock"):
        if not clone.path.exists():
            Clone(base, environment).run("git", "clone", "-q", str(origin), "partial-reproduced")
            Clone(base / "partial-reproduced", environment).run("dvc", "repro")
            (base / "partial-reproduced").rename(clone.path)
    return clone


def set_up(clone: Clone) -> None:
    """Give a clone the environment of these tests, as make would set it up."""
    venv = clone.path / ".venv"
    venv.mkdir()
    for name in ("bin", "lib"):
        (venv / name).symlink_to(Path(sys.prefix) / name)
    shutil.copy(Path(sys.prefix) / "pyvenv.cfg", venv)
    (venv / "done").touch()


def commit_all(clone: Clone) -> None:
    identity = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
    clone.run("git", "add", "-A")
    clone.run("git", *identity, "commit", "-qm", "The results")


@pytest.fixture
def clone_with_results(reproduced: Clone, tmp_path: Path) -> Clone:
    """A copy of the clone in which `dvc repro` has run, with the results committed."""
    shutil.copytree(reproduced.path, tmp_path / "results", symlinks=True)
    clone = Clone(tmp_path / "results", reproduced.env)
    commit_all(clone)
    return clone
