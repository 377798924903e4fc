"""An audit says that results are those of their commit only where they are."""

import hashlib
import re
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

import review.verify
from review.verify import (
    MetricChange,
    Out,
    compare_metrics,
    compare_outs,
    is_reproduced,
    main,
    verify,
)
from tagger.files import InputError
from tests.conftest import Clone, commit_all


def left(folder: Path) -> list[Path]:
    """What stays of the folders that stages run in; torch has one of its own there."""
    return list(folder.glob("review-*"))


def outs(clone: Clone) -> list[tuple[str, str]]:
    """The outs of dvc.lock, each with its stage."""
    stages = yaml.safe_load(clone.read("dvc.lock"))["stages"]
    return [(out["path"], name) for name, stage in stages.items() for out in stage["outs"]]


def test_a_commit_that_gives_its_results_is_reproduced(
    clone_with_results: Clone, tmp_path: Path
) -> None:
    clone = clone_with_results
    clone.edit("README.md", "#", "# ")
    before = clone.run("git", "status", "--short")
    clone.env = clone.env | {"TMPDIR": str(tmp_path)}
    output = clone.run("python", "-m", "review.verify")
    assert "the working tree has changes that HEAD does not have: they are not verified\n" in output
    assert "epoch 4: " in output, "what the stages print is shown"
    table = re.findall(r"^(\S+) +(\S+) +identical$", output, re.MULTILINE)
    assert table == outs(clone)
    assert f"{len(table)} of {len(table)} outputs are identical, 0 metrics changed." in output
    assert left(tmp_path) == []
    assert clone.run("git", "status", "--short") == before


@pytest.fixture
def run(
    clone_with_results: Clone,
    reproduced: Clone,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Callable[..., str]:
    """Runs the command in a clone with results, with those of `reproduced` for a pipeline's."""

    def results(clone: Path) -> None:
        shutil.copy(reproduced.path / "dvc.lock", clone)
        shutil.copytree(reproduced.path / "metrics", clone / "metrics", dirs_exist_ok=True)

    def command(*arguments: str, status: str | None = None) -> str:
        monkeypatch.setattr(sys, "argv", ["verify", *arguments])
        if status is None:
            main()
        else:
            with pytest.raises(SystemExit, match=status):
                main()
        return capsys.readouterr().out

    monkeypatch.chdir(clone_with_results.path)
    monkeypatch.setattr(review.verify, "rerun", results)
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # the test's own stays
    return command


def test_planted_differences_are_found(clone_with_results: Clone, run: Callable[..., str]) -> None:
    clone = clone_with_results
    output = run()
    assert "HEAD is reproduced." in output
    assert "make fingerprint" not in output
    before, it, after = clone.read("dvc.lock").partition("- path: data/model\n")
    lock = before + it + re.sub(r"md5: \w{4}", "md5: 0123", after, count=1)
    file = clone.path / "metrics/metrics.json"
    (value,) = re.findall(r'"f1": ([\d.]+)', clone.read("metrics/metrics.json"))[:1]
    old = hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
    text = clone.read("metrics/metrics.json").replace(f'"f1": {value}', '"f1": 0.9', 1)
    file.write_text(text, encoding="utf-8")
    new = hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
    assert old in lock
    (clone.path / "dvc.lock").write_text(lock.replace(old, new), encoding="utf-8")
    commit_all(clone)

    output = run(status="^verify: HEAD is not reproduced$")
    for command in ("make fingerprint", "make verify TOLERANCE=", "dvc pull"):
        assert f"`{command}" in output
    assert re.search(r"^data/model +train +different$", output, re.MULTILINE)
    assert re.search(r"^metrics/metrics.json +evaluate +different$", output, re.MULTILINE)
    assert output.count(" identical\n") == len(outs(clone)) - 2
    by = f"{float(value) - 0.9:+.4g}"
    assert re.search(rf"^\S+\.f1 +0\.9 {value}  {re.escape(by)}$", output, re.MULTILINE)
    run("--tolerance", "0.001", status="is not reproduced")
    assert " different\n" in run("--tolerance", "0.9")


def test_a_result_that_is_not_that_of_the_lock_is_found(
    clone_with_results: Clone, run: Callable[..., str]
) -> None:
    clone_with_results.edit("metrics/confusion.csv", "O,", "0,")
    commit_all(clone_with_results)
    output = run("HEAD", status="is not reproduced")
    assert re.search(r"^metrics/confusion.csv +evaluate +different$", output, re.MULTILINE)


def test_all_outs_are_compared() -> None:
    def stage(**hashes: str) -> dict[str, object]:
        return {"outs": [{"path": path, "md5": md5} for path, md5 in hashes.items()]}

    locked = {"a": stage(same="1", other="1", gone="1"), "b": stage(file="1")}
    made = {"a": stage(same="1", other="2", new="1"), "c": stage(file="1")}
    assert compare_outs(locked, made, {"unknown"}) == [
        Out("same", "a", "identical"),
        Out("other", "a", "different"),
        Out("gone", "a", "not made"),
        Out("new", "a", "not in dvc.lock"),
        Out("file", "b", "not made"),
        Out("file", "c", "not in dvc.lock"),
    ]


def test_the_largest_change_is_first_and_a_missing_value_is_the_largest() -> None:
    old = {"same": 1, "little": 0.8123, "much": 0.5, "gone": 0.1}
    found = compare_metrics(old, {"same": 1, "little": 0.8122, "much": 0.6, "new": 0})
    assert [change.path for change in found] == ["gone", "new", "much", "little"]
    assert found[-1].amount == pytest.approx(0.0001)


@pytest.mark.parametrize(
    ("verdict", "changes", "tolerance", "expected"),
    [
        ("identical", [], None, True),
        ("different", [], None, False),
        ("identical", [MetricChange("f1", 0.5, 0.6)], None, False),
        ("different", [MetricChange("f1", 0.8123, 0.8122)], 0.0001, True),
        ("different", [MetricChange("f1", 0.8123, 0.8121)], 0.0001, False),
        ("different", [MetricChange("f1", 0.8123, None)], 1.0, False),
        (
            "different",
            [MetricChange("f1", 0.8, 0.8), MetricChange("test.errors.missed", 62, 63)],
            0.0,
            True,
        ),
        ("different", [MetricChange("test.support", 62, 63)], 0.5, False),
        ("different", [MetricChange("test.types.errors.f1", 0.8, 0.7)], 0.0, False),
        ("different", [], 0.0, True),
        ("not made", [], 1.0, False),
        ("not in dvc.lock", [], 1.0, False),
    ],
)
def test_a_tolerance_is_of_the_metrics(
    verdict: str, changes: list[MetricChange], tolerance: float | None, expected: bool
) -> None:
    assert is_reproduced([Out("data/model", "train", verdict)], changes, tolerance) is expected


def test_a_stage_that_fails_is_named(clone_with_results: Clone, tmp_path: Path) -> None:
    clone = clone_with_results
    clone.set(corpus="nope")
    commit_all(clone)
    clone.env = clone.env | {"TMPDIR": str(tmp_path)}
    output = clone.run("python", "-m", "review.verify", status=1)
    assert "No such file or directory: " in output
    assert "data/inputs/corpora/nope'" in output
    assert "failed to reproduce 'download'" in output
    assert "verify: `dvc repro` failed with status 255; above it says in which stage" in output
    assert "Traceback" not in output
    assert left(tmp_path) == []


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interruption_ends_all_and_leaves_nothing(
    clone_with_results: Clone, tmp_path: Path, how: signal.Signals
) -> None:
    environment = f"TMPDIR={tmp_path}"
    process = clone_with_results.start("env", environment, "python", "-m", "review.verify")
    assert process.stdout
    for line in process.stdout:
        if line.startswith("> ") and "stages download" in line:
            break
    else:
        pytest.fail("the pipeline never began")
    assert len(left(tmp_path)) == 1
    process.send_signal(how)  # not to DVC and the stage, which have the pipe too
    rest = process.stdout.read()
    assert process.wait() == 128 + how
    assert "Traceback" not in rest
    assert "documents" not in rest, "the stage went on"
    assert left(tmp_path) == []


def test_what_cannot_be_verified_is_refused(
    clone: Callable[..., Clone], monkeypatch: pytest.MonkeyPatch
) -> None:
    root = clone().path
    with pytest.raises(InputError, match=r"no dvc.lock in HEAD: run dvc repro, and commit"):
        verify(root, "HEAD")
    with pytest.raises(InputError, match=r"there is no revision 'nope' here; name a branch"):
        verify(root, "nope")
    monkeypatch.setenv("MY_OWN_MIRROR", "shared/mine")
    with pytest.raises(InputError, match="MY_OWN_MIRROR: 'shared/mine' is relative"):
        verify(root, "HEAD")


@pytest.mark.parametrize("tolerance", ["nan", "inf", "-0.1", "2"])
def test_a_tolerance_is_a_fraction(
    tolerance: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["verify", f"--tolerance={tolerance}"])
    with pytest.raises(SystemExit):
        main()
    assert "is no fraction from 0 to 1" in capsys.readouterr().err
