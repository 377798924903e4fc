"""How well raw text is split into sentences and tokens, and how quickly.

Run as `python -m benchmarks.text` after `dvc repro`; `python -m benchmarks.text validation` reads
that split instead of test. The documents of the corpus are made into text as people write it, see
`detokenize`, and split again. A token or a sentence of the corpus counts as found if one of the
same characters comes back. F1 is that of the entities, as spans of characters, that the exported
tagger finds in the text. Other tokenizers are measured where they are installed.
"""

import re
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from benchmarks.process import machine
from tagger import Document, Tagger
from tagger.text import Span, split_text, split_words

DATA = Path("data")
ROUNDS = 3

CLITICS = {"'s", "'m", "'re", "'ve", "'ll", "'d", "n't"}
NO_BLANK_BEFORE = {",", ".", ";", ":", "?", "!", "%", ")", "]", "..", "...", "/", *CLITICS}
NO_BLANK_AFTER = {"(", "[", "/", "$"}
CLOSERS = {'"', "'", ")", "]"}
ENDS = {".", "?", "!", "..", "..."}

Split = list[list[Span]]  # of a document, as `split_text` gives it


class RawText(NamedTuple):
    """A text, and what the corpus says of it.

    Attributes:
        text: the text
        sentences: by sentence, its tokens as spans of characters
        entities: where each entity begins and ends, and its type
    """

    text: str
    sentences: Split
    entities: set[tuple[int, int, str]]


def detokenize(sentences: Iterable[Sequence[str]]) -> tuple[str, Split]:
    """The text of a document as it might stand in a newspaper, and where its tokens are in it.

    A blank stands between two tokens, but not before a comma, a full stop, a closing bracket, `%`
    or a clitic such as `'s`; not after an opening bracket or a currency; and not around a slash.
    A double quote opens at the beginning of a sentence, closes at its end and after a comma, and
    otherwise does in turn. A single one closes what was opened, or ends a plural's possessive
    (`players'`), or opens. A sentence without a full stop or the like at its end, as a headline or
    a row of a table, has a line of its own; a blank follows the others. None has a line break
    inside.
    """
    pieces: list[str] = []
    spans: Split = []
    position = 0
    open_quotes = {'"': False, "'": False}
    after_line = True
    for tokens in sentences:
        whole = is_whole(tokens)
        if pieces:
            pieces.append(" " if whole and not after_line else "\n")
            position += 1
        after_line = not whole
        if not whole:
            open_quotes = dict.fromkeys(open_quotes, False)
        spans.append([])
        glue = True  # to what stands before
        for i, token in enumerate(tokens):
            previous = tokens[i - 1] if i else ""
            glue_after = token in NO_BLANK_AFTER or (token.endswith("$") and token.isupper())
            if token.lower() in NO_BLANK_BEFORE:
                glue = True
            elif token in open_quotes:
                last = i == len(tokens) - 1
                if token == "'" and not open_quotes[token]:  # noqa: S105
                    closes = previous[-1:].lower() in {"s", "x", "z"}
                    open_quotes[token] = not closes
                else:
                    closes = i > 0 and (open_quotes[token] or last or previous in {",", *ENDS})
                    open_quotes[token] = not closes
                glue, glue_after = glue or closes, not closes
            if i and not glue:
                pieces.append(" ")
                position += 1
            pieces.append(token)
            spans[-1].append((position, position + len(token)))
            position += len(token)
            glue = glue_after
    return "".join(pieces), spans


def is_whole(tokens: Sequence[str]) -> bool:
    """Whether a sentence has a full stop, or the like, at its end, before quotes and brackets."""
    return next((token in ENDS for token in reversed(tokens) if token not in CLOSERS), False)


def entities_of(sentences: Split, tags: Sequence[Sequence[str]]) -> set[tuple[int, int, str]]:
    """The entities of a document, in characters, from tags in IOB2."""
    entities = set()
    for spans, names in zip(sentences, tags, strict=True):
        for match in re.finditer("BI*", "".join(name[0] for name in names)):
            start, end = spans[match.start()][0], spans[match.end() - 1][1]
            entities.add((start, end, names[match.start()][2:]))
    return entities


def read_documents(split: str) -> list[RawText]:
    """The documents of a split of the corpus, as text."""
    table = pd.read_parquet(DATA / f"corpus/{split}.parquet")
    names = (DATA / "index/tags.txt").read_text(encoding="utf-8").split()
    documents = []
    for _, rows in table.groupby("document", sort=False):
        text, spans = detokenize([list(tokens) for tokens in rows["tokens"]])
        tags = [[names[id_] for id_ in ids] for ids in rows["ner_tags"]]
        documents.append(RawText(text, spans, entities_of(spans, tags)))
    return documents


def by_sentence(split: Callable[[str], Iterable[Span]], document: RawText) -> Split:
    """Tokens of a splitter of words within the sentences of the corpus."""
    sentences = []
    for spans in document.sentences:
        start = spans[0][0]
        words = split(document.text[start : spans[-1][1]])
        sentences.append([(start + a, start + b) for a, b in words])
    return sentences


def splitters() -> dict[str, Callable[[RawText], Split]]:
    """What is measured, by its name."""
    found: dict[str, Callable[[RawText], Split]] = {
        "the corpus": lambda document: document.sentences,
        "ours, the corpus's sentences": lambda document: by_sentence(
            lambda text: split_words(text, 0, len(text)), document
        ),
        "ours": lambda document: split_text(document.text),
    }
    if find_spec("nltk"):
        nltk = import_module("nltk.tokenize").NLTKWordTokenizer()
        found["NLTK, the corpus's sentences"] = lambda document: by_sentence(
            nltk.span_tokenize, document
        )
    if find_spec("spacy"):
        spacy = import_module("spacy").blank("en")
        spacy.add_pipe("sentencizer")

        def of_spacy(text: str) -> Split:
            return [
                [(token.idx, token.idx + len(token)) for token in sentence if not token.is_space]
                for sentence in spacy(text).sents
            ]

        found["spaCy, the corpus's sentences"] = lambda document: by_sentence(
            lambda text: [span for sentence in of_spacy(text) for span in sentence], document
        )
        found["spaCy"] = lambda document: [s for s in of_spacy(document.text) if s]
    return found


def f1(documents: Sequence[RawText], splits: Sequence[Split], tagger: Tagger) -> float:
    """F1 of the entities, as spans of characters of a type, that are found in split documents."""
    tagged = tagger.tag(
        Document(document.text, sentences=split)
        for document, split in zip(documents, splits, strict=True)
    )
    found = [{(e.start, e.end, e.label) for e in document.entities} for document in tagged]
    right = sum(len(d.entities & f) for d, f in zip(documents, found, strict=True))
    return 2 * right / sum(len(d.entities) + len(f) for d, f in zip(documents, found, strict=True))


def shares_found(documents: Sequence[RawText], splits: Sequence[Split]) -> tuple[float, float]:
    """The shares of the corpus's tokens and sentences that are found, with the same characters."""

    def units(sentences: Split) -> tuple[set[Span], set[Span]]:
        tokens = {span for sentence in sentences for span in sentence}
        return tokens, {(sentence[0][0], sentence[-1][1]) for sentence in sentences}

    expected = [units(document.sentences) for document in documents]
    found = [units(split) for split in splits]
    shares = [
        sum(len(e[kind] & f[kind]) for e, f in zip(expected, found, strict=True))
        / sum(len(e[kind]) for e in expected)
        for kind in (0, 1)
    ]
    return shares[0], shares[1]


def main() -> None:
    """Measure, and print a table."""
    split = sys.argv[1] if len(sys.argv) > 1 else "test"
    documents = read_documents(split)
    size = sum(len(document.text.encode()) for document in documents) / 1e6
    tagger = Tagger.load(DATA / "tagger")
    print(machine())
    print(
        f"{len(documents)} documents of {split}, {size:.2f} MB, the quickest of {ROUNDS} rounds\n"
    )
    columns = ("tokens", "sentences", "F1", "sentences/s", "MB/s")
    print(f"{'':30}" + "".join(f"{column:>12}" for column in columns))
    for name, splitter in splitters().items():
        seconds = []
        for _ in range(ROUNDS):
            start = time.perf_counter()
            splits = [splitter(document) for document in documents]
            seconds.append(time.perf_counter() - start)
        tokens, sentences = shares_found(documents, splits)
        row = f"{name:30}{tokens:12.2%}{sentences:12.2%}{f1(documents, splits, tagger):12.4f}"
        if name != "the corpus":
            speed = sum(map(len, splits)) / min(seconds), size / min(seconds)
            row += f"{speed[0]:12,.0f}{speed[1]:12.2f}"
        print(row)


if __name__ == "__main__":
    main()
