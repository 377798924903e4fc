"""Give a review to GitHub Actions: to the page of the run, and as the output of the step.

Run as `python -m review.summary` after `make review`: `make summary`. The step's output `markdown`
is for a comment on the pull request. GitHub refuses comments of more than 65,536 characters, so a
longer review is cut; the page has all of it.
"""

import os
import sys
from hashlib import sha256
from pathlib import Path

from review.__main__ import OUTPUT

MAX_CHARACTERS = 60_000  # the comment has other text, too


def cut(text: str, most: int = MAX_CHARACTERS) -> str:
    """Cut Markdown after a whole line, so that at most `most` characters stay and a hint follows.

    A <details> element that the cut leaves open is closed: it would swallow what follows.
    """
    if len(text) <= most:
        return text
    kept = text[: text.rfind("\n", 0, most) + 1]
    if kept.count("<details>") > kept.count("</details>"):
        kept += "\n</details>\n"
    return f"{kept}\n… The rest is on the page of the run.\n"


def write_summary(text: str, page: Path, output: Path) -> None:
    """Append a review to the files that GitHub reads the run's page and a step's outputs from."""
    with page.open("a", encoding="utf-8") as file:
        file.write(text)
    comment = cut(text).rstrip("\n")
    end = sha256(comment.encode()).hexdigest()  # no line of a text can hold the text's own hash
    with output.open("a", encoding="utf-8") as file:
        file.write(f"markdown<<{end}\n{comment}\n{end}\n")


def main() -> None:
    """Append the review to the files that GitHub names in two environment variables.

    Raises:
        SystemExit: there is no review, or a variable is not set.
    """
    try:
        text = (OUTPUT / "review.md").read_text(encoding="utf-8")
        page, output = (Path(os.environ[name]) for name in ("GITHUB_STEP_SUMMARY", "GITHUB_OUTPUT"))
    except FileNotFoundError:
        sys.exit(f"summary: there is no {OUTPUT}/review.md here: run make review first")
    except KeyError as error:
        sys.exit(f"summary: {error.args[0]} is not set: GitHub Actions sets it, for its own steps")
    write_summary(text, page, output)


if __name__ == "__main__":
    main()
