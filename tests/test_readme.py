"""The README is true: its targets, links, parameters and figures are those of the repository."""

import json
import re
import subprocess
from pathlib import Path

import pandas as pd
import pytest
import yaml

from benchmarks.ablation import ABLATION, MODELS, markdown, replace_section
from tests.conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_every_make_target_is_described_and_exists() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([\w-]+):.*  ## ", makefile, re.MULTILINE)) - {"help"}
    assert set(re.findall(r"(?:`|    )make ([\w-]+)", README)) == targets


def test_every_link_leads_somewhere() -> None:
    headings = {
        re.sub(r"[^\w -]", "", title).lower().replace(" ", "-")
        for title in re.findall(r"^#+ (.*)$", README, re.MULTILINE)
    }
    for link in re.findall(r"\]\(([^)]+)\)", README):
        if link.startswith("#"):
            assert link[1:] in headings, link
        elif "://" not in link:
            assert (ROOT / link).exists(), link


def test_every_parameter_that_is_set_exists() -> None:
    known = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    assert set(re.findall(r"-S '?(\w+)=", README)) <= set(known)


def test_the_default_taggers_scores_are_those_of_the_metrics() -> None:
    # As git has them staged or committed: an experiment may have changed the file itself.
    show = ["git", "show", ":metrics/metrics.json"]
    scores = json.loads(subprocess.run(show, cwd=ROOT, capture_output=True, check=True).stdout)
    (quoted,) = re.findall(
        r"gives\s+([\d.]+)\s+on\s+validation\s+and\s+([\d.]+)\s+on\s+test", README
    )
    assert list(map(float, quoted)) == [scores["validation"]["f1"], scores["test"]["f1"]]


def test_the_classrooms_command_is_that_of_the_ablation() -> None:
    (command,) = re.findall(r"dvc exp run (-S scheme=(?:\\\n|.)*)", README)
    settings, _ = MODELS["the classroom's Bi-LSTM"]
    assert re.findall(r"-S (\S+)", command) == settings.split()


@pytest.mark.parametrize(
    "name", ["train", "tag", "serve", "peers", "text", "size", "mass", "processors", "verdicts"]
)
def test_the_benchmarks_latest_output_is_quoted(name: str) -> None:
    output = (ROOT / f"benchmarks/{name}.txt").read_text(encoding="utf-8")
    assert f"\n{output}" in README


def test_the_ablations_table_is_that_of_the_metrics(tmp_path: Path) -> None:
    copy = tmp_path / "README.md"
    copy.write_text(README, encoding="utf-8")
    replace_section(copy, "ablation", markdown(pd.read_csv(ROOT / ABLATION)))
    assert copy.read_text(encoding="utf-8") == README
