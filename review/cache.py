"""Are the files in DVC's cache what dvc.lock says that they are?

Run as `python -m review.cache`: `make cache-check`. DVC names each file in its cache by the MD5 of
its content, and believes the names: after a transfer that broke, a wrong file is taken for right.
So this reads each of them that dvc.lock names, which takes as long as reading the data. What the
cache lacks is no fault: a clone has none of it before `dvc pull`.
"""

import hashlib
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from review.dvc_files import MD5, hashes
from review.escape import terminal
from review.revision import WORKING_TREE, Revision, cache_of, end_on_signals, find_root
from tagger.files import InputError, reading


class Cached(NamedTuple):
    """What was found out about a file of an output: its state is right, wrong or missing."""

    output: str
    path: str  # that of the output, or of the file in it
    file: Path  # in the cache
    state: str


def check(objects: Path, locked: Mapping[str, Any]) -> Iterator[Cached]:
    """Compare the files in a cache (the folder `files/md5`) with the MD5s in dvc.lock's stages.

    Raises:
        InputError: dvc.lock, or a list of the files in a folder, names something that is no MD5.
    """
    outs = {path: md5 for stage in locked.values() for path, md5 in hashes(stage, "outs").items()}
    for output, md5 in outs.items():
        yield (cached := _look_up(objects, output, output, md5))
        if md5.endswith(".dir") and cached.state == "right":
            with reading(cached.file):
                entries = json.loads(cached.file.read_bytes())
                files = {f"{output}/{entry['relpath']}": str(entry["md5"]) for entry in entries}
            for path, md5_ in files.items():
                yield _look_up(objects, output, path, md5_)


def _look_up(objects: Path, output: str, path: str, md5: str) -> Cached:
    if not MD5.fullmatch(md5):  # it might lead to any file
        raise InputError(f"dvc.lock: {path!r}: {md5[:80]!r} is no MD5; write it with `dvc repro`")
    file = objects / md5[:2] / md5[2:]
    if not file.is_file():
        return Cached(output, path, file, "missing")
    with file.open("rb") as content:
        found = hashlib.file_digest(content, lambda: hashlib.md5(usedforsecurity=False))
    is_right = found.hexdigest() == md5.removesuffix(".dir")
    return Cached(output, path, file, "right" if is_right else "wrong")


def main() -> None:
    """Print which files of the cache are wrong, and how to get them again.

    Raises:
        SystemExit: some are, or dvc.lock cannot be used.
    """
    end_on_signals()
    try:
        root = find_root()
        locked = Revision(root, WORKING_TREE, None).locked_stages()
        if not locked:
            raise InputError("there is no dvc.lock, or it has no stage: run dvc repro")
        found = list(check(cache_of(root) / "files/md5", locked))
    except (InputError, OSError) as error:
        sys.exit(f"cache-check: {terminal(error)}")
    wrong = [cached for cached in found if cached.state == "wrong"]
    for cached in wrong:
        print(f"wrong: {cached.path!r}, which is {str(cached.file)!r} in the cache")
    missing = [cached.path for cached in found if cached.state == "missing"]
    if missing:
        print(f"Not in the cache, which is no fault: {', '.join(map(repr, missing))}.")
    sys.stdout.flush()  # before what sys.exit prints
    if wrong:
        outputs = ", ".join(dict.fromkeys(repr(cached.output) for cached in wrong))
        sys.exit(
            "The content of these files in the cache is not what their names say. Delete them, "
            f"and the outputs that were copied from them ({outputs}). Then `dvc pull` gets them "
            "again from a remote, or `dvc repro` makes them again."
        )
    others = "The other " if missing else ""
    print(f"{others}{len(found) - len(missing)} files are what dvc.lock says.")


if __name__ == "__main__":
    main()
