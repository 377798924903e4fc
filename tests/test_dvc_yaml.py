"""dvc.yaml tells the truth: what a stage declares is what it uses, no more and no less."""

import ast
import importlib
import inspect
import re
import shlex
import subprocess
import sys
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

import stages.__main__
from stages.runner import read_parameters, read_texts
from tests.conftest import ROOT

DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))
PARAMS = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8"))
STAGES = DVC["stages"]
FIRST_PARTY = ("stages", "tagger", "evaluation")
VERSIONS = "requirements.lock"
STYLE = "tagger/pages/style.css"  # of the report, which shares it with the tagger's own pages
MAIN = Path("stages/__main__.py")
HELPERS = {
    "__main__",
    "model_card",
    "onnx_graph",
    "runner",
    "sparse_adam",
    "temperature",
    "word_vectors",
}

each_stage = pytest.mark.parametrize("name", STAGES)


@cache
def imported_names(module: Path) -> list[str]:
    """The dotted names that a module imports; of `from a import b` both `a` and `a.b`."""
    names: list[str] = []
    for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"{module}: a relative import"
            assert node.level == 0, f"{module}: a relative import"
            names += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return names


def imports(file: Path, root: Path = ROOT) -> set[Path]:
    """The modules of this repository that a file imports, at any depth, also inside functions."""
    found: set[Path] = set()
    waiting = [file]
    while waiting:
        module = waiting.pop()
        if module in found:
            continue
        found.add(module)
        for name in imported_names(module):
            if name.split(".")[0] in FIRST_PARTY:
                path = root.joinpath(*name.split(".")).with_suffix(".py")
                waiting += [path] if path.is_file() else []
    return found


def modules_of(name: str) -> set[Path]:
    """The modules of this repository that a stage's command imports, at any depth.

    `python -m stages` imports the stage's module by its name, which no `import` shows.
    """
    files = (ROOT / MAIN, ROOT / "stages" / f"{name}.py")
    return {path.relative_to(ROOT) for file in files for path in imports(file)}


def third_party(package: str) -> set[str]:
    """What a package needs that is neither Python's own nor of this repository, at any depth."""
    modules: set[Path] = set()
    for path in (ROOT / package).rglob("*.py"):
        modules |= imports(path)
    names = {name.split(".")[0] for module in modules for name in imported_names(module)}
    return names - sys.stdlib_module_names - {package, *FIRST_PARTY}


def distributions(requirements: list[str]) -> set[str]:
    return {re.split(r"[^\w-]", requirement)[0] for requirement in requirements}


def signature(name: str) -> inspect.Signature:
    return inspect.signature(getattr(importlib.import_module(f"stages.{name}"), name))


def paths(entries: list[Any]) -> list[str]:
    """The paths of deps, outs or metrics, with or without options."""
    return [next(iter(entry)) if isinstance(entry, dict) else entry for entry in entries]


def outs(stage: dict[str, Any]) -> list[str]:
    return paths(stage.get("metrics", []) + stage.get("plots", []) + stage["outs"])


def is_code(dep: str) -> bool:
    return dep.split("/")[0] in FIRST_PARTY


@each_stage
def test_code_deps_are_the_imports(name: str) -> None:
    """A dep is a module, or a package of which at least one module is imported."""
    imported = modules_of(name)
    deps = {Path(dep) for dep in paths(STAGES[name]["deps"]) if is_code(dep) and dep != STYLE}
    covered = {dep: {p for p in imported if p == dep or dep in p.parents} for dep in deps}
    assert all(covered.values()), "a dep that the stage does not import"
    assert set().union(*covered.values()) == imported, "an import that is no dep"


RUN = """
import runpy, sys
try:
    runpy.run_module("stages", run_name="__main__")
finally:
    print(*(getattr(module, "__file__", None) for module in sys.modules.values()), sep="\\n")
"""


@pytest.mark.slow
@each_stage
def test_the_command_imports_what_its_modules_name(name: str) -> None:
    """Without paths, the command imports the stage to say which it takes.

    What a function imports when it is called is not seen here.
    """
    done = subprocess.run(
        [sys.executable, "-c", RUN, name], cwd=ROOT, capture_output=True, text=True
    )
    imported = {Path(line) for line in done.stdout.splitlines() if Path(line).name != "__init__.py"}
    ours = {p.relative_to(ROOT) for p in imported if p.is_relative_to(ROOT)}
    assert {p for p in ours if p.parts[0] in FIRST_PARTY} | {MAIN} <= modules_of(name)
    arguments = signature(name).parameters.values()
    paths = [p.name.upper() for p in arguments if p.kind is not p.KEYWORD_ONLY]
    assert done.stderr == f"usage: python -m stages {name} {' '.join(paths)}\n"


@each_stage
def test_paths_of_cmd_are_the_other_deps_and_the_outs(name: str) -> None:
    stage = STAGES[name]
    program, what, *arguments = shlex.split(stage["cmd"].split("python -m ")[1])
    assert (program, what) == ("stages", name)
    data = [dep for dep in paths(stage["deps"]) if not is_code(dep) and dep != VERSIONS]
    assert sorted(arguments) == sorted(data + outs(stage))
    positional = [p for p in signature(name).parameters.values() if p.kind is not p.KEYWORD_ONLY]
    assert all(p.annotation is Path for p in positional)
    # A stage that makes one folder calls it `output`; any other path has its argument's name, but
    # for a folder with the name of a parameter, which says what is in it.
    (only,) = outs(stage) if len(outs(stage)) == 1 else [""]
    # One that a parameter names, as in data/inputs/vectors/${embeddings}, has the parameter's name
    # if that is one of the stage, else its folder's.
    parameters = stage.get("params", [])
    names = [
        Path(m[2] if m[2] in parameters else m[1])
        if (m := re.search(r"(\w+)/\$\{(\w+)\}$", path))
        else Path(path)
        for path in arguments
    ]
    stems = ["output" if str(name) == only else name.stem for name in names]
    expected = [f"{s}_folder" if s in stage.get("params", []) else s for s in stems]
    assert [p.name for p in positional] == expected


@each_stage
def test_params_are_the_keyword_only_arguments(name: str) -> None:
    keywords = [k for k, p in signature(name).parameters.items() if p.kind is p.KEYWORD_ONLY]
    assert STAGES[name].get("params", []) == keywords
    stage = getattr(importlib.import_module(f"stages.{name}"), name)
    read_parameters(read_texts(ROOT / "params.yaml"), stage)


def test_params_yaml_is_flat_and_has_no_dead_key() -> None:
    read = {key for stage in STAGES.values() for key in stage.get("params", [])}
    in_paths = {key for s in STAGES.values() for key in re.findall(r"\$\{(\w+)\}", s["cmd"])}
    assert set(PARAMS) == read | in_paths
    assert not any(isinstance(value, (dict, list)) for value in PARAMS.values())
    lines = (ROOT / "params.yaml").read_text(encoding="utf-8").splitlines()
    assert all("#" in line for line in lines), "a comment a line"


@each_stage
def test_outputs_depend_on_the_versions_of_what_makes_them(name: str) -> None:
    assert VERSIONS in STAGES[name]["deps"]


def test_every_stage_says_what_it_does() -> None:
    assert all(stage["desc"] for stage in STAGES.values())
    assert set(STAGES) == set(stages.__main__.STAGES)
    assert set(STAGES) | HELPERS == {path.stem for path in (ROOT / "stages").glob("*.py")}


def test_train_keeps_its_run_cache_and_git_gets_the_metrics() -> None:
    uncached = {
        (name, path)
        for name, stage in STAGES.items()
        for entry in [*stage["outs"], *stage.get("metrics", [])]
        if isinstance(entry, dict)
        for path in entry
    }
    assert uncached == {
        ("evaluate", "metrics/metrics.json"),
        ("evaluate", "metrics/confusion.csv"),
        ("evaluate", "metrics/intervals.csv"),
        ("evaluate", "metrics/sentences.csv"),
    }


def test_git_ignores_what_dvc_caches_and_nothing_else() -> None:
    everything = [out for stage in STAGES.values() for out in outs(stage)]
    ignored = subprocess.run(
        ["git", "check-ignore", *everything], cwd=ROOT, capture_output=True, text=True
    ).stdout.split()
    assert set(ignored) == {out for out in everything if not out.startswith("metrics/")}


def test_stages_do_not_import_each_other_nor_the_library_a_stage() -> None:
    for name in STAGES:
        inside = {p for p in imports(ROOT / "stages" / f"{name}.py") if p.parent.name == "stages"}
        assert not {path.stem for path in inside} & (set(STAGES) - {name})
    for package, allowed in (("tagger", {"tagger"}), ("evaluation", {"tagger", "evaluation"})):
        for path in (ROOT / package).rglob("*.py"):
            assert {p.relative_to(ROOT).parts[0] for p in imports(path)} <= allowed


def test_the_package_declares_what_the_tagger_imports() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    core = distributions(project["dependencies"])
    extras = {name: distributions(d) for name, d in project["optional-dependencies"].items()}
    assert third_party("tagger") == core.union(*extras.values())
    assert third_party("tagger/serve") - core - extras["torch"] == extras["serve"]


def test_the_report_depends_on_its_style_sheet() -> None:
    assert (ROOT / STYLE).is_file()
    assert STYLE in STAGES["evaluate"]["deps"]


@pytest.mark.parametrize("package", ["evaluation", "review"])
def test_scoring_and_comparing_need_no_torch(package: str) -> None:
    assert "torch" not in third_party(package)


def test_packages_run_no_code_of_their_own_when_they_are_imported() -> None:
    """So no stage need depend on an `__init__.py`, which importing any module of it would run."""
    for package in FIRST_PARTY:
        for path in (ROOT / package).rglob("__init__.py"):
            module = ast.parse(path.read_text(encoding="utf-8"))
            for statement in module.body:
                if isinstance(statement, ast.ImportFrom):
                    assert statement.module == "typing", path
                else:
                    assert isinstance(statement, (ast.Expr, ast.Assign, ast.FunctionDef)), path


def test_the_closure_sees_imports_at_any_depth(tmp_path: Path) -> None:
    for folder in FIRST_PARTY:
        (tmp_path / folder).mkdir()
    (tmp_path / "stages/a.py").write_text("def f():\n    import tagger.b\n")
    (tmp_path / "tagger/b.py").write_text("from tagger import c\nimport json\n")
    (tmp_path / "tagger/c.py").write_text("from tagger.d import x\n")
    (tmp_path / "tagger/d.py").write_text("x = 1\n")
    found = imports(tmp_path / "stages/a.py", tmp_path)
    assert {p.stem for p in found} == {"a", "b", "c", "d"}
