"""Runs a stage: `python -m stages NAME PATH…`, from the root of the repository, as in dvc.yaml.

What a stage imports takes seconds. This module and stages/runner.py import nothing of that kind, so
that Ctrl-C, the end of the parent process and edits are noticed in these seconds too.
"""

import io
import os
import signal
import sys

STAGES = ("download", "embed", "index", "train", "evaluate", "export")


def main() -> None:
    """Run the stage that the command line names."""
    parent = os.getppid()
    # Python's own handler raises KeyboardInterrupt, which a library that is being imported may
    # print, wrap or swallow. SIGINT may also be ignored, as in the background of a script.
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, lambda *_: os._exit(130))  # for a shell: 128 + SIGINT
    # Tokens are shown, and a terminal may lack their characters.
    if isinstance(sys.stdout, io.TextIOWrapper):  # it is None where it is closed
        sys.stdout.reconfigure(errors="backslashreplace")
    name, *paths = sys.argv[1:] or [""]
    if name not in STAGES:
        sys.exit(f"usage: python -m stages {{{','.join(STAGES)}}} PATH…")
    try:
        from stages.runner import run  # which itself takes a tenth of a second to import

        run(name, paths, parent)
    except ModuleNotFoundError as error:
        package = str(error.name).partition(".")[0]
        if package in ("stages", "tagger", "evaluation"):
            raise
        sys.exit(
            f"{name}: the Python that runs this stage, {sys.executable}, has no package {package}: "
            "DVC was called from outside the environment of this project. Run "
            "`. .venv/bin/activate` first; `make sample` makes .venv"
        )


if __name__ == "__main__":
    main()
