"""Stages run as processes of their own, so that their time and memory can be measured."""

import math
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parent.parent


class Run(NamedTuple):
    """A process that has ended.

    output: what it printed
    seconds: that it took
    memory: its peak resident memory in GiB
    processor_seconds: that its threads were at work, taken together
    """

    output: str
    seconds: float
    memory: float
    processor_seconds: float = math.nan


def run(command: list[str], folder: Path, variables: Mapping[str, str]) -> Run:
    """Run a command in a folder, with this repository's code and some environment variables.

    Raises:
        SystemExit: the command failed.
    """
    start = time.perf_counter()
    environment = os.environ | {"PYTHONPATH": str(ROOT), **variables}
    process = subprocess.Popen(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{output}")
    seconds = time.perf_counter() - start
    memory = usage.ru_maxrss / 2**20  # KiB on Linux
    return Run(output, seconds, memory, usage.ru_utime + usage.ru_stime)


def run_stage(
    name: str, folder: Path, variables: Mapping[str, str] | None = None, **changes: object
) -> Run:
    """Run a stage of dvc.yaml in a folder, with some parameters changed.

    What the stage reads and the folder lacks is this repository's. `variables` replace those that
    the stage's command sets; None keeps them.
    """
    stage = stage_of(name)
    parameters = yaml.safe_load((ROOT / "params.yaml").read_text(encoding="utf-8")) | changes
    (folder / "params.yaml").write_text(yaml.safe_dump(parameters), encoding="utf-8")
    # DVC puts parameters into commands and paths in place of ${name}, too.
    words = shlex.split(Template(stage["cmd"]).substitute(parameters))
    for dep in (Template(dep).substitute(parameters) for dep in stage["deps"]):
        if dep in words and not (folder / dep).exists():
            (folder / dep).parent.mkdir(parents=True, exist_ok=True)
            (folder / dep).symlink_to(ROOT / dep)
    if variables is None:
        variables = variables_of(name)
    return run([sys.executable, *words[words.index("python") + 1 :]], folder, variables)


def variables_of(name: str) -> dict[str, str]:
    """The environment variables that a stage's command sets."""
    words = stage_of(name)["cmd"].split()
    return dict(word.split("=") for word in words[2 : words.index("python")])  # after `exec env`


def stage_of(name: str) -> dict[str, Any]:
    """A stage of dvc.yaml."""
    stages: dict[str, dict[str, Any]] = yaml.safe_load(
        (ROOT / "dvc.yaml").read_text(encoding="utf-8")
    )["stages"]
    return stages[name]


def processor() -> str:
    """The kind of this machine's processor; the name alone may be that of several kinds."""
    path = Path("/proc/cpuinfo")  # on Linux
    fields = {}
    if path.exists():
        lines = path.read_text(encoding="utf-8").partition("\n\n")[0].splitlines()
        fields = {key.strip(): value.strip() for key, _, value in (s.partition(":") for s in lines)}
    if "model name" not in fields:  # as on ARM
        return platform.machine()
    return f"{fields['model name']} (family {fields['cpu family']}, model {fields['model']})"


def machine() -> str:
    """The processor and the versions that figures were measured with."""
    # Not at the top: a process is told to have had at least the memory of the one that started it.
    import torch

    capability = torch.backends.cpu.get_cpu_capability()
    return (
        f"{processor()}, {os.cpu_count()} cores, {capability}; "
        f"Python {platform.python_version()}, torch {torch.__version__}"
    )
