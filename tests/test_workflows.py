"""What runs on a pull request: targets of the Makefile, pinned actions, and no right to spare."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from review import summary
from tests.conftest import ROOT

FILES = sorted((ROOT / ".github/workflows").iterdir())
TEXTS = [file.read_text(encoding="utf-8") for file in FILES]
WORKFLOWS = [yaml.load(text, yaml.BaseLoader) for text in TEXTS]  # noqa: S506  # `on` is no boolean
JOBS = [job for workflow in WORKFLOWS for job in workflow["jobs"].values()]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def steps(job: dict[str, Any], key: str) -> list[dict[str, Any]]:
    return [step for step in job["steps"] if key in step]


def commands() -> list[str]:
    """What steps run, for each value of a matrix."""
    found = []
    for job in JOBS:
        targets = job.get("strategy", {}).get("matrix", {}).get("target", [""])
        for step in steps(job, "run"):
            if '"$TARGET"' in step["run"]:
                assert step["env"] == {"TARGET": "${{ matrix.target }}"}
            found += [step["run"].replace('"$TARGET"', target) for target in targets]
    return found


def test_each_step_is_a_target_of_the_makefile() -> None:
    targets = set(re.findall(r"^([\w-]+):", MAKEFILE, re.MULTILINE))
    run = [re.fullmatch(r'make ([\w-]+)( [A-Z]+="[\w/$]+")*', command) for command in commands()]
    # And none that trains on conllpp, as `repro` and `verify` do.
    assert {match and match[1] for match in run} == {
        "test", "sample", "lock-check", "review", "summary", "remote", "serve-extra", "mass"
    }  # fmt: skip
    assert {match[1] for match in run if match} <= targets


def test_nothing_of_a_pull_request_is_pasted_into_a_shell() -> None:
    assert not [command for command in commands() if "${{" in command]


def test_actions_are_pinned() -> None:
    for text in TEXTS:
        used = re.findall(r"uses: ([\w/-]+)@([0-9a-f]{40})  # (v[\d.]+)$", text, re.MULTILINE)
        assert len(used) == text.count("uses:") > 0


def test_rights_are_least() -> None:
    for workflow in WORKFLOWS:
        assert workflow["on"] == "pull_request", "never pull_request_target"
        assert workflow["permissions"] == {}
        assert workflow["concurrency"]["cancel-in-progress"] == "true"
    for job in JOBS:
        assert int(job["timeout-minutes"]) <= 30
        for step in steps(job, "uses"):
            if step["uses"].startswith("actions/checkout@"):
                assert step["with"] == {"fetch-depth": "0", "persist-credentials": "false"}
        if job["permissions"] != {"contents": "read"}:
            # Who may write runs nothing, takes nothing but text, and is there for no fork.
            assert job["permissions"] == {"pull-requests": "write"}
            assert [step["uses"].split("@")[0] for step in job["steps"]] == [
                "marocchino/sticky-pull-request-comment"
            ]
            assert job["if"] == (
                "github.event.pull_request.head.repo.full_name == github.repository"
            )


@pytest.fixture
def summarise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], tuple[str, str]]:
    """Gives the page and the comment that the command makes of a review."""

    def command(text: str) -> tuple[str, str]:
        (tmp_path / ".review").mkdir()
        (tmp_path / ".review/review.md").write_text(text, encoding="utf-8")
        page, output = tmp_path / "page", tmp_path / "output"
        page.write_text("before\n")
        output.write_text("earlier=1\n")
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(page))
        monkeypatch.setenv("GITHUB_OUTPUT", str(output))
        summary.main()
        earlier, start, *lines, end = output.read_text(encoding="utf-8").splitlines()
        assert earlier == "earlier=1"
        assert start == f"markdown<<{end}"
        assert re.fullmatch(r"[0-9a-f]{64}", end)
        assert end not in lines
        return page.read_text(encoding="utf-8"), "\n".join(lines) + "\n"

    return command


def test_the_review_is_the_summary_and_the_comment(
    summarise: Callable[[str], tuple[str, str]],
) -> None:
    text = "## This against main\n\n| F1 | ±0.1 … |\n\nEOF\n"
    assert summarise(text) == (f"before\n{text}", text)


@pytest.mark.parametrize(
    "start", ["", "<details><summary>All</summary>\n\n", "<details>\n</details>\n"]
)
def test_a_long_review_is_cut_to_what_a_comment_may_hold(
    summarise: Callable[[str], tuple[str, str]], start: str
) -> None:
    line = "| a row – of a table |\n"
    text = start + line * 5000
    page, comment = summarise(text)
    assert page == "before\n" + text
    assert 50_000 < len(comment) < 65_536
    kept, last_line, hint = comment.rpartition(line)
    assert text.startswith(kept + last_line), "whole lines"
    assert hint.endswith("\n… The rest is on the page of the run.\n")
    assert comment.count("<details>") == comment.count("</details>")


def test_a_review_of_just_the_allowed_length_stays_whole() -> None:
    assert summary.cut("ab\ncd\n", 6) == "ab\ncd\n"
    assert summary.cut("ab\ncd\n", 5) == "ab\n\n… The rest is on the page of the run.\n"


def test_what_the_summary_lacks_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    with pytest.raises(SystemExit, match=r"no \.review/review\.md here: run make review first"):
        summary.main()
    (tmp_path / ".review").mkdir()
    (tmp_path / ".review/review.md").write_text("text\n")
    with pytest.raises(SystemExit, match="GITHUB_STEP_SUMMARY is not set"):
        summary.main()


@pytest.mark.parametrize("persona", ["regular", "pedantic"])
def test_zizmor_finds_nothing(persona: str) -> None:
    zizmor = Path(sys.executable).parent / "zizmor"
    options = ["--offline", "--no-progress", "--persona", persona]
    result = subprocess.run(
        [zizmor, *options, ROOT / ".github/workflows"], capture_output=True, text=True
    )
    assert result.returncode == 0, result.stdout + result.stderr
    assert "No findings to report" in result.stdout
