"""Untrusted text made harmless where it is shown: in a terminal, and in a comment in Markdown.

Whoever opens a pull request chooses its names and values, and these reach the comment on it and
the terminal of its reviewer. The template sends every expression through one of these functions.
"""

import re

# Code; what at the start of a line would begin a list; or a word.
_PIECE = re.compile(r"`(?P<code>[^`]+)`|^(?P<list>\d+[.)]|[+])(?= |$)|[^ (),;']+")
# Letters and digits, joined by single marks that mean nothing between them; and signs of numbers.
_HARMLESS = re.compile(r"[+−…–.:]|=|%|[+−-]?[^\W_]+(?:(?:_+|[-./+=])[^\W_]+)*[.:?%]?")
_LINK = re.compile(r"(?i)www\.|gh-\d")  # of which GitHub makes links
_ENTITIES = {"|": "&#124;", "`": "&#96;", "<": "&lt;"}


def terminal(value: object) -> str:
    r"""Write what a terminal would obey, or could not show, as a Python string has it: `\x1b`.

    So the text stays in its line. A vertical bar, which ends a cell of a table, becomes `\x7c`.
    """
    return _visible(value).replace("|", r"\x7c")


def markdown(value: object) -> str:
    """Write text so that Markdown shows it as text, or as code, and never as anything else.

    Words that mean nothing in Markdown stay as they are, and what stands between backticks is code.
    So is all else, since GitHub makes no links, mentions or images of code. The characters that
    could end the code or the cell, or begin HTML, become entities between two pieces of code.
    """
    return _PIECE.sub(_harmless, _visible(value).strip())


def _visible(value: object) -> str:
    characters = (c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(value))
    return "".join(characters)


def _harmless(found: re.Match[str]) -> str:
    text = found["code"] or found[0]
    is_word = _HARMLESS.fullmatch(text) and not _LINK.search(text)
    if is_word and not (found["code"] or found["list"]):
        return text
    parts = re.split(r"([|`<])", text)
    return "".join(_ENTITIES.get(part) or f"`{part}`" for part in parts if part)
