"""What dvc.yaml, dvc.lock and params.yaml say, checked, since anybody may have written them.

A commit that is reviewed may be a stranger's. So these files may hold no more than the pipeline
needs, no path out of the repository, no address of a host, and nothing that takes long to read.
"""

import re
from collections.abc import Mapping
from functools import cache
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import yaml

from tagger.files import InputError

SPECIAL_FOLDERS = {".dvc", ".git"}  # whose files say what DVC and git do
MD5 = re.compile(r"[0-9a-f]{32}(\.dir)?")  # of a file, or of the list of the files in a folder

# Far more than a file of an honest commit has: what has more would take minutes or gigabytes.
MAX_CHARACTERS = 100_000  # of a YAML file
MAX_DEPTH = 20  # of nested YAML and JSON
MAX_VALUE = 500  # characters of a parameter
MAX_ENTRIES = 500  # parameters; stages with their paths


@cache
def parse(text: str, name: str) -> dict[str, Any]:
    """Read a YAML mapping, with each value as the text that stands in the file.

    YAML itself would read `1e-05` as a string, and `0.00001` as a number.

    Raises:
        InputError: the text is no YAML mapping, has a merge conflict or aliases, or is so long or
            so deep that it would take minutes to read.
    """
    if len(text) > MAX_CHARACTERS:
        raise InputError(f"{name} has {len(text)} characters, more than {MAX_CHARACTERS}")
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith(("<<<<<<< ", ">>>>>>> ")):
            raise InputError(
                f"{name} has a merge conflict in line {number}: {line}. Resolve it; for dvc.lock "
                "take one side as a whole (git checkout --ours dvc.lock), and run dvc repro"
            )
    depth = 0
    try:
        for event in yaml.parse(text, yaml.CBaseLoader):
            line_number = event.start_mark.line + 1 if event.start_mark else 0
            depth += isinstance(event, yaml.CollectionStartEvent)
            depth -= isinstance(event, yaml.CollectionEndEvent)
            if isinstance(event, yaml.AliasEvent):
                raise InputError(
                    f"{name}, line {line_number}: *{event.anchor} stands for another value: "
                    "write that out"
                )
            if depth > MAX_DEPTH:
                raise InputError(f"{name}, line {line_number}: nested more than {MAX_DEPTH} deep")
        found = yaml.load(text, yaml.CBaseLoader)  # noqa: S506
    except (yaml.YAMLError, UnicodeError) as error:
        raise InputError(f"{name} is not YAML: {' '.join(str(error).split())}") from error
    if found is None or found == "":
        return {}
    if not isinstance(found, dict) or not isinstance(found.get("stages") or {}, dict):
        raise InputError(f"{name} must hold `key: value` lines, and stages by name")
    return found


def hashes(locked: Mapping[str, Any], kind: str) -> dict[str, str]:
    """The hashes of a stage's `deps` or `outs` (`kind`) in dvc.lock, by path."""
    return {entry["path"]: entry.get("md5", "") for entry in locked.get(kind, [])}


class Stage(NamedTuple):
    """What a stage of dvc.yaml runs, reads and makes."""

    command: str | list[str]
    deps: list[str]
    params: dict[str, list[str]]  # the keys by file; none stands for all keys
    outs: dict[str, bool]  # the paths, and whether DVC's cache keeps each, or git


def read_stages(
    found: Mapping[str, Any], where: str, values: Mapping[str, str]
) -> dict[str, Stage]:
    """Check what dvc.yaml holds, and give its stages by name.

    Args:
        found: what `parse` returned
        where: how messages name the file
        values: the parameters, which stand for `${key}` in a path

    Raises:
        InputError: it has more than a review understands, or stages that make the same file.
    """
    if "vars" in found:
        raise InputError(f"{where}: vars: a review reads parameters from params.yaml alone")
    stages = {
        name: _read_stage(entry, f"{where}: {name}", values)
        for name, entry in (found.get("stages") or {}).items()
    }
    outs = [out for stage in stages.values() for out in stage.outs]
    paths = [path for stage in stages.values() for path in (*stage.deps, *stage.params)]
    if len(stages) + len(outs) + len(paths) > MAX_ENTRIES:
        raise InputError(f"{where} has more than {MAX_ENTRIES} stages and paths")
    for out in outs:
        if outs.count(out) > 1 or any(other.startswith(f"{out}/") for other in outs):
            raise InputError(f"{where}: more than one output is {out}, or in it")
    return stages


def _read_stage(entry: Any, where: str, values: Mapping[str, str]) -> Stage:
    """Check a stage of dvc.yaml, and replace `${key}` in its paths by the parameter's value.

    Raises:
        InputError: it has a key or a shape that a review does not understand, or a path that is
            not that of a file in the repository.
    """
    known = {"desc", "cmd", "deps", "params", "outs", "metrics", "plots", "meta"}
    if not isinstance(entry, dict):
        raise InputError(f"{where} must be a mapping with cmd, deps and outs")
    if unknown := [key for key in entry if key not in known]:
        raise InputError(f"{where}: {unknown[0]}: a review reads only {', '.join(sorted(known))}")

    def entries(kind: str) -> list[tuple[str, Any]]:
        """Each item of a list, with what else is said of it."""
        listed = entry.get(kind) or []
        found: list[tuple[str, Any]] = []
        for item in listed if isinstance(listed, list) else [[]]:
            if isinstance(item, list):
                raise InputError(f"{where}: {kind} must be a list of names")
            found += item.items() if isinstance(item, dict) else [(item, None)]
        return found

    def path(text: str) -> str:
        filled = re.sub(r"\$\{(\w+)\}", lambda key: values.get(key[1], key[0]), text)
        parts = PurePosixPath(filled).parts
        is_ours = "://" not in filled and "${" not in filled and filled.isprintable()
        if not (is_ours and parts) or {"/", "..", *SPECIAL_FOLDERS} & {p.lower() for p in parts}:
            raise InputError(f"{where}: {filled!r} is not the path of a file in the repository")
        return str(PurePosixPath(filled))

    command = entry.get("cmd", "")
    if not isinstance(command, str) and not (
        isinstance(command, list) and all(isinstance(line, str) for line in command)
    ):
        raise InputError(f"{where}: cmd must be a command or a list of commands")
    params: dict[str, list[str]] = {}
    whole = set()  # files of which all keys count, whatever else is named
    for name, keys in entries("params"):
        file, of_file = ("params.yaml", [name]) if keys is None else (name, keys or [])
        if not isinstance(of_file, list) or not all(isinstance(key, str) for key in of_file):
            raise InputError(f"{where}: params must be a list of names")
        params.setdefault(path(file), []).extend(of_file)
        if not of_file:
            whole.add(path(file))
    params |= {file: [] for file in whole}
    outs = {}
    for kind in ("outs", "metrics", "plots"):
        for out, options in entries(kind):
            is_plain = isinstance(options, dict) and options.get("cache") == "false"
            outs[path(out)] = not is_plain
    return Stage(command, [path(dep) for dep, _ in entries("deps")], params, outs)


def check_parameters(values: Any, where: str) -> dict[str, str]:
    """Check that parameters are single values of a sane length.

    Raises:
        InputError: they are not.
    """
    if not isinstance(values, dict):
        raise InputError(f"{where} must hold `key: value` lines")
    if len(values) > MAX_ENTRIES:
        raise InputError(f"{where} has more than {MAX_ENTRIES} parameters")
    for key, value in values.items():
        if not isinstance(value, str):
            what = "a list" if isinstance(value, list) else "a mapping"
            raise InputError(f"{where}: {key:.80}: {what}; a parameter is a single value")
        if len(value) > MAX_VALUE:
            raise InputError(f"{where}: {key:.80}: the value has more than {MAX_VALUE} characters")
    return values


def check_locked_stage(entry: Any, where: str) -> dict[str, Any]:
    """Check a stage of dvc.lock.

    Raises:
        InputError: it is not as DVC writes it, or has a hash that is none.
    """
    remedy = "run dvc repro, and commit what it makes"
    if not isinstance(entry, dict) or not isinstance(entry.get("params", {}), dict):
        raise InputError(f"{where} is not as DVC writes it: {remedy}")
    for file, values in entry.get("params", {}).items():
        check_parameters(values, f"{where}: {file}")
    for kind in ("deps", "outs"):
        listed = entry.get(kind, [])
        for item in listed if isinstance(listed, list) else [str(listed)]:
            if not isinstance(item, dict) or not isinstance(item.get("path"), str):
                raise InputError(f"{where}: {kind}: {item!r:.80} has no path: {remedy}")
            try:
                check_hash(item.get("md5", ""))
            except InputError as error:
                raise InputError(f"{where}: {kind}: {error}: {remedy}") from error
    return entry


def check_hash(text: Any) -> str:
    """Check what becomes a part of a path in DVC's cache: the hash of a file or of a folder.

    Raises:
        InputError: it is neither, nor empty, as where DVC has no hash.
    """
    if not isinstance(text, str) or (text and not MD5.fullmatch(text)):
        raise InputError(f"{text!r:.80} is no MD5 hash")
    return text
