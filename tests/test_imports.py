"""What each package imports, seen by a fresh interpreter: what is light must stay light."""

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT

PROGRAM = """
import importlib, json, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps(sorted({name.split(".")[0] for name in sys.modules})))
"""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("package", "unwanted"),
    [
        ("evaluation", {"torch", "dvc", "datasets", "gensim"}),
        ("review", {"torch", "dvc", "datasets", "gensim"}),
        ("tagger", {"dvc", "datasets", "gensim", "pandas", "pydantic", "seqeval"}),
    ],
)
def test_a_package_imports_no_more_than_it_needs(package: str, unwanted: set[str]) -> None:
    files = [path.relative_to(ROOT) for path in (ROOT / package).rglob("*.py")]
    files = [file for file in files if not {"serve", "mass.py"} & set(file.parts)]  # extras
    modules = [".".join(file.with_suffix("").parts).removesuffix(".__init__") for file in files]
    assert len(modules) > 3
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *modules], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found = set(json.loads(done.stdout))
    assert package in found
    assert sorted(found & unwanted) == []
