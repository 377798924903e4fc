"""A page of tagged documents: one HTML file that needs no other file and no network.

Documents are written one by one, so that they can be as many as there is room for on the disk. The
script that draws them is that of the server's page. Texts may hold anything, such as `</script>`:
they stand in the page as JSON in ASCII, in which nothing can end the element that holds it.
"""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from tagger.document import Document

PAGES = Path(__file__).parent / "pages"
HEAD = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; \
style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Named entities</title>
<style>
{style}</style>
</head>
<body>
<header>
  <h1>Named entities</h1>
  <p class="muted">Under each entity stand its type and its probability.</p>
</header>
<main>
<noscript><p class="card">The entities are drawn by a script of this page, which your browser \
does not run.</p></noscript>
"""
TAIL = """\
<script>
{script}
const view = makeView();
document.querySelector("main").append(view.element);
view.show([...document.querySelectorAll("script[type='application/json']")].map(
  one => JSON.parse(one.textContent)));
</script>
</main>
</body>
</html>
"""


@contextmanager
def html_writer(file: TextIO) -> Iterator[Callable[[Document], None]]:
    """Write a page to a file, and give a function that writes a document into it at once.

    Args:
        file: open for text in UTF-8
    """
    style = _read("style.css") + _read("entities.css")
    file.write(HEAD.format(style=style))

    def write(document: Document) -> None:
        content = {
            "id": document.id,
            "text": document.text,
            "entities": [vars(entity) for entity in document.entities],
            "error": document.error,
        }
        # Within a script only "<" can end the script, or begin a comment that hides its end.
        data = json.dumps(content).replace("<", "\\u003c")
        file.write(f'<script type="application/json">{data}</script>\n')

    yield write
    file.write(TAIL.format(script=_read("entities.js")))


def _read(name: str) -> str:
    return (PAGES / name).read_text(encoding="utf-8")
