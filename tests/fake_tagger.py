"""A tagger for tests of the server and its page, to which each word with a capital is an entity."""

import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from tagger.document import Document, Entity

WORD = re.compile(r"[^\W\d_]+")


def wait_until(condition: Callable[[], object]) -> None:
    """Wait for what another thread does, for a minute at most."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not happen within a minute"
        time.sleep(0.001)


@dataclass
class FakeTagger:
    """Labels go round by the word's length, scores by its place.

    A text that contains "refuse" becomes a document with an error; one that contains "fail" makes
    the tagger raise an error; one that contains "wait" waits for `go`.
    """

    labels: tuple[str, ...] = ("LOC", "MISC", "ORG", "PER")
    go: threading.Event = field(default_factory=threading.Event)
    calls: list[list[str]] = field(default_factory=list)

    @property
    def texts(self) -> list[str]:
        """All texts of all calls."""
        return [text for call in self.calls for text in call]

    def wait_until_tagging(self) -> None:
        """Wait until the tagger has begun with a text."""
        wait_until(lambda: self.texts)

    def tag(self, documents: Iterable[str], *, wrapped: bool) -> Iterator[Document]:
        self.calls.append([])
        for text in documents:
            self.calls[-1].append(text)
            if "wait" in text:
                assert self.go.wait(60)
            if "fail" in text:
                raise RuntimeError(f"a message that holds the text: {text}")
            yield self.document(text)

    def document(self, text: str) -> Document:
        if "refuse" in text:
            return Document(text, error="it cannot be tagged")
        entities = [
            Entity(start, start + len(word), self.labels[len(word) % 4], (start % 101) / 100, word)
            for start, word in ((found.start(), found[0]) for found in WORD.finditer(text))
            if word[0].isupper()
        ]
        return Document(text, entities=entities)
