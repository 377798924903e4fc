"""The package is the tagger alone, and the tools of pre-commit are those of the environment."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT


@pytest.mark.slow
def test_the_package_holds_the_tagger_and_nothing_else(installed: Path) -> None:
    assert {path.name.split("-")[0] for path in installed.iterdir()} == {
        "tagger", "conllpp_tagger"  # the second is what pip knows of it
    }  # fmt: skip
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "tagger"],
        cwd=ROOT,
        capture_output=True,
        check=True,
        text=True,
    ).stdout.splitlines()
    packed = [path for path in (installed / "tagger").rglob("*") if path.is_file()]
    assert {str(path.relative_to(installed)) for path in packed} == {
        name for name in listed if (ROOT / name).is_file()
    }


@pytest.mark.slow
def test_the_package_works_without_what_only_the_pipeline_needs(
    installed: Path, tmp_path: Path
) -> None:
    code = """
import importlib, pkgutil, sys
for name in ("datasets", "dvc", "gensim", "pandas", "pyarrow", "pydantic", "scipy", "seqeval",
             "tqdm", "yaml", "evaluation", "stages"):
    sys.modules[name] = None  # importing it raises ModuleNotFoundError
import tagger
for module in pkgutil.walk_packages(tagger.__path__, "tagger."):
    if module.name.startswith(("tagger.serve.", "tagger.mass")):  # extras
        continue
    importlib.import_module(module.name)
    print(module.name)
"""
    output = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(installed), "PYTHONDONTWRITEBYTECODE": "1"},
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    ).stdout
    assert "tagger.model.bilstm_crf\n" in output


def test_the_version_is_the_same_everywhere() -> None:
    pytest.importorskip("fastapi")
    from tagger.serve.app import VERSION

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert VERSION == project["version"] == citation["version"]


def test_the_hooks_of_pre_commit_are_tools_of_the_environment() -> None:
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))
    (local,) = hooks["repos"]
    for hook in local["hooks"]:
        tool = hook["entry"].split()[0]
        assert tool.startswith(".venv/bin/")
        assert (Path(sys.executable).parent / Path(tool).name).is_file()
