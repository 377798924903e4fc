"""A tagger for tests of mass tagging: each word with a capital is an entity, and some words kill.

As a program, it is `python -m tagger.mass` with this tagger, and with parts of 200,000 bytes.
"""

import os
import re
import signal
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from tagger import mass
from tagger.document import Document, Entity


def load(folder: Path) -> "FakeTagger":
    """The tagger in a folder, whose config.json names the folder where it leaves notes."""
    return FakeTagger(Path((folder / "config.json").read_text(encoding="utf-8")))


@dataclass
class FakeTagger:
    """A word in a text makes it do something else than to tag.

    "killed" ends the process as `kill -9` does, the first time; "poison" does so each time. "fails"
    raises an error. "waits" waits a second.
    """

    notes: Path

    def tag(
        self, documents: Iterable[Document], *, wrapped: bool, threshold: float
    ) -> Iterator[Document]:
        for document in documents:
            if document.error is not None:
                yield document
                continue
            words = document.text.split()
            if "waits" in words:
                time.sleep(1)
            if "fails" in words:
                raise RuntimeError("it fails")
            if "poison" in words or ("killed" in words and not (self.notes / "killed").exists()):
                (self.notes / "killed").touch()
                os.kill(os.getpid(), signal.SIGKILL)
            entities = [
                Entity(found.start(), found.end(), "MISC", 1 / len(found[0]), found[0])
                for found in re.finditer(r"\b[A-Z]\w*", document.text)
                if 1 / len(found[0]) >= threshold
            ]
            yield replace(document, entities=entities)


if __name__ == "__main__":
    mass.PART = 200_000
    mass.main(load)
