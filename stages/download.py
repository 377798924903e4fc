"""Stage 1: a corpus by name, as parquet with IOB2 tags and document numbers.

Run as `python -m stages.download data/inputs/corpora data/corpus`.

`conllpp` (Wang et al., CrossWeigh, EMNLP 2019: CoNLL-2003 with its test labels corrected) comes
from the repository of its authors at a pinned commit; any other name is a folder of CoNLL files.
"""

import hashlib
import http.client
import io
import os
import tempfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import datasets

from stages.runner import run
from tagger.corpus.conll import SPLITS
from tagger.corpus.tags import (
    PREFIXES,
    detect_scheme,
    is_allowed,
    parse,
    tag_set,
    to_iob2,
    transitions,
    types_of,
)
from tagger.files import InputError, atomic_output

CONLLPP = "https://raw.githubusercontent.com/ZihanWangKi/CrossWeigh/77d0c2dbf1a039211426f0fecb11daabba8e7bd1/data"
CONLLPP_FILES = {  # by split: the file and its SHA-256
    "train": (
        "conllpp_train.txt",
        "213953b5522fb7924802d883e50f027b2c6ffb5d4d0e63368ed82909f9b60423",
    ),
    "validation": (
        "conllpp_dev.txt",
        "c02eb19809eafb83998326a0481942eb37d96f31826ae387cfe8773699969f5b",
    ),
    "test": (
        "conllpp_test.txt",
        "4eb3b5114787d0df24087e9c9dfc956abf4cfd5e201bc1056b48ff4f7b37c0e8",
    ),
}
DOCUMENT_START = "-DOCSTART-"


class Sentence(NamedTuple):
    """A sentence as it stands in a file."""

    tokens: list[str]
    tags: list[str]
    document: int
    line: int  # of the first token, from 1; the others follow one a line


def download(corpora: Path, output: Path, *, corpus: str) -> None:
    """Write {train,validation,test}.parquet to `output`: tokens, ner_tags (ClassLabel), document.

    Raises:
        InputError: there is no such corpus, it cannot be reached, its checksum is wrong, or it is
            malformed.
    """
    datasets.disable_progress_bars()
    datasets.config.HF_UPDATE_DOWNLOAD_COUNTS = False  # or it calls the hub, for a local file
    sources = fetch_conllpp() if corpus == "conllpp" else read_corpus(corpora, corpus)
    splits = {split: read_conll(name, data) for split, (name, data) in sources.items()}
    names = {split: name for split, (name, _) in sources.items()}
    check_scheme(splits, names)
    check_types(splits, names)
    labels = tag_set(types_of(tag for sentence in splits["train"] for tag in sentence.tags))

    features = datasets.Features(
        tokens=datasets.List(datasets.Value("string")),
        ner_tags=datasets.List(datasets.ClassLabel(names=labels)),
        document=datasets.Value("int32"),
    )
    with atomic_output(output) as folder:
        folder.mkdir()
        for split, sentences in splits.items():
            columns = {
                "tokens": [s.tokens for s in sentences],
                "ner_tags": [to_iob2(s.tags) for s in sentences],
                "document": [s.document for s in sentences],
            }
            table = datasets.Dataset.from_dict(columns, features=features)
            table.to_parquet(folder / f"{split}.parquet")
            tokens = sum(len(s.tokens) for s in sentences)
            documents = len({s.document for s in sentences})
            print(f"{split}: {len(table)} sentences, {tokens} tokens, {documents} documents")


def fetch_conllpp() -> dict[str, tuple[str, bytes]]:
    """The files of conllpp by split, each with where it came from, their checksums right."""
    base = os.environ.get("CONLLPP_MIRROR") or CONLLPP
    files = {}
    for split, (file, sha256) in CONLLPP_FILES.items():
        source = f"{base.rstrip('/')}/{file}"
        try:
            if "://" in base:
                with urllib.request.urlopen(source, timeout=60) as response:
                    data = response.read()
            else:
                data = Path(source).read_bytes()
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise InputError(
                f"could not reach {source}: {error}. Set CONLLPP_MIRROR to a folder or a base URL "
                "that holds the three files of conllpp, or run `make sample`, which needs no "
                "network"
            ) from error
        found = hashlib.sha256(data).hexdigest()
        if found != sha256:
            raise InputError(
                f"{source} is not the file that this pipeline was made for: expected SHA-256 "
                f"{sha256}, got {found}; nothing was kept. Get it again, or from another mirror"
            )
        files[split] = (source, data)
    return files


def read_corpus(corpora: Path, name: str) -> dict[str, tuple[str, bytes]]:
    """The files of a corpus under `corpora` by split, each with its path."""
    known = sorted(p.name for p in corpora.iterdir() if p.is_dir())
    if name not in known:
        raise InputError(
            f"there is no corpus {name!r}; there are: {', '.join(['conllpp', *known])}"
        )
    paths = {split: corpora / name / f"{split}.conll" for split in SPLITS}
    for path in paths.values():
        if not path.is_file():
            raise InputError(
                f"corpus {name!r} has no file {path}; a corpus needs one for each split"
            )
    return {split: (str(path), path.read_bytes()) for split, path in paths.items()}


def read_conll(name: str, data: bytes) -> list[Sentence]:
    """The sentences of a CoNLL file: its first column the tokens, its last the tags.

    A document starts at each -DOCSTART- line; in a file without any, each sentence is a document.
    """
    lines, numbers, width = check_lines(name, data)
    columns = ["tokens", *(f"column_{i}" for i in range(2, width)), "ner_tags"]
    # The builder takes a glob and fills a cache: a folder of our own is safe from both.
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "split.conll")
        path.write_text("\n".join(lines), encoding="utf-8")
        table = datasets.load_dataset(
            "conll",
            data_files=str(path),
            split="train",
            column_names=columns,
            skip_docstart=False,
            cache_dir=folder,
            keep_in_memory=True,
        )
        rows = list(zip(table["tokens"], table["ner_tags"], strict=True))
    has_documents = any(tokens[0] == DOCUMENT_START for tokens, _ in rows)
    sentences: list[Sentence] = []
    document = token = 0
    for tokens, tags in rows:
        if tokens[0] == DOCUMENT_START:
            document += bool(sentences)
        else:
            number = document if has_documents else len(sentences)
            sentences.append(Sentence(tokens, tags, number, numbers[token]))
        token += len(tokens)
    return sentences


def check_lines(name: str, data: bytes) -> tuple[list[str], list[int], int]:
    """The lines of a CoNLL file, the numbers of those with a token, and how many columns they have.

    -DOCSTART- lines may have any number of columns, and stand alone in what is returned.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        number = data.count(b"\n", 0, error.start) + 1
        raise InputError(
            f"{name}, line {number}: byte {data[error.start]:#04x} is not UTF-8; "
            "save the file as UTF-8"
        ) from error
    lines: list[str] = []
    numbers: list[int] = []
    width = 0
    for number, line in enumerate(io.StringIO(text, newline=None), 1):
        columns = line.split()
        if columns:
            numbers.append(number)
        if columns[:1] == [DOCUMENT_START]:
            lines += ["", DOCUMENT_START, ""]
            continue
        if columns and not width:
            width = len(columns)
            if width < 2:
                raise InputError(
                    f"{name}, line {number}: {columns[0][:80]!r} has no tag; a line needs a token "
                    "first and its tag last, with white space between"
                )
        if columns and len(columns) != width:
            raise InputError(
                f"{name}, line {number}: {len(columns)} columns, but the lines before it have "
                f"{width}: {line.strip()[:80]!r}"
            )
        lines.append(" ".join(columns))
    if not width:
        raise InputError(f"{name} holds no sentence; each split needs at least one")
    return lines, numbers, width


def check_scheme(splits: dict[str, list[Sentence]], names: dict[str, str]) -> None:
    """Refuse a corpus whose tags keep to no scheme, at the first one that breaks the likeliest."""
    for split, sentences in splits.items():
        for sentence in sentences:
            for i, tag in enumerate(sentence.tags):
                try:
                    parse(tag)
                except ValueError as error:
                    raise InputError(
                        f"{names[split]}, line {sentence.line + i}: {error}; in the sentence: "
                        f"{excerpt(sentence.tokens)}"
                    ) from error
    everything = [(split, sentence) for split in splits for sentence in splits[split]]
    if detect_scheme(sentence.tags for _, sentence in everything):
        return
    schemes = {split: detect_scheme(s.tags for s in splits[split]) for split in splits}
    if all(schemes.values()):
        each = ", ".join(f"{names[split]} in {scheme}" for split, scheme in schemes.items())
        raise InputError(f"the files are in different schemes: {each}; convert them to one")
    broken = {
        scheme: [
            (split, sentence, i)
            for split, sentence in everything
            for i, (left, right) in enumerate(transitions(sentence.tags))
            if not is_allowed(left, right, scheme)
        ]
        for scheme in PREFIXES
    }
    scheme = min(broken, key=lambda scheme: len(broken[scheme]))
    split, sentence, i = broken[scheme][0]
    left, right = list(transitions(sentence.tags))[i]
    what = f"{right} after {left}"
    if i == 0:
        what = f"{right} at the start of a sentence"
    elif i == len(sentence.tags):
        what = f"{left} at the end of a sentence"
    line = sentence.line + min(i, len(sentence.tags) - 1)
    raise InputError(
        f"{names[split]}, line {line}: {what} breaks {scheme}, and the corpus fits none of "
        f"{', '.join(PREFIXES)} better (places that break {scheme}: {len(broken[scheme])}); in "
        f"the sentence: {excerpt(sentence.tokens)}"
    )


def check_types(splits: dict[str, list[Sentence]], names: dict[str, str]) -> None:
    """Refuse a type that train does not have: nothing could learn it."""
    types = types_of(tag for sentence in splits["train"] for tag in sentence.tags)
    if not types:
        raise InputError(f"{names['train']} holds no entity; there is nothing to learn")
    for split, sentences in splits.items():
        for sentence in sentences:
            for i, tag in enumerate(sentence.tags):
                if tag != "O" and parse(tag)[1] not in types:
                    raise InputError(
                        f"{names[split]}, line {sentence.line + i}: the type of {tag} does not "
                        f"occur in {names['train']}, which has: {', '.join(sorted(types))}. "
                        "Add sentences of it to train, or rename it"
                    )


def excerpt(tokens: Sequence[str]) -> str:
    """A sentence's tokens, cut to a length that a terminal can show."""
    text = " ".join(tokens)
    return text if len(text) <= 200 else f"{text[:200]}…"


if __name__ == "__main__":
    run(download)
