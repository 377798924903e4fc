"""Stage 1: get a corpus by name and write it as parquet, with IOB2 tags and document numbers.

Run as `python -m stages download data/inputs/corpora data/corpus`.

`conllpp` (Wang et al., CrossWeigh, EMNLP 2019: CoNLL-2003 with its test labels corrected) comes
from the repository of its authors at a pinned commit; any other name is a folder of CoNLL files.
"""

import hashlib
import http.client
import os
import urllib.request
from pathlib import Path

import datasets

from tagger.corpus.conll import SPLITS, Sentence, check_tags, read_conll
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


def download(corpora: Path, output: Path, *, corpus: str) -> None:
    """Write {train,validation,test}.parquet to `output`: tokens, ner_tags (ClassLabel), document.

    Raises:
        InputError: there is no such corpus, it cannot be reached, its checksum is wrong, or it is
            malformed.
    """
    files = fetch_conllpp() if corpus == "conllpp" else read_corpus(corpora, corpus)
    splits = {split: read_conll(file, data) for split, (file, data) in files.items()}
    for sentences in splits.values():
        check_tags(sentences)
    check_scheme(splits)
    check_entity_types(splits)

    entity_types = types_of(tag for sentence in splits["train"] for tag in sentence.tags)
    features = datasets.Features(
        tokens=datasets.List(datasets.Value("string")),
        ner_tags=datasets.List(datasets.ClassLabel(names=tag_set(entity_types))),
        document=datasets.Value("int32"),
    )
    datasets.disable_progress_bars()
    with atomic_output(output) as folder:
        folder.mkdir()
        for split, sentences in splits.items():
            columns = {
                "tokens": [s.tokens for s in sentences],
                "ner_tags": [to_iob2(s.tags) for s in sentences],
                "document": [s.document for s in sentences],
            }
            table = datasets.Dataset.from_dict(columns, features=features)
            # With checksums, which tell the stages that read it of most damage.
            table.to_parquet(folder / f"{split}.parquet", write_page_checksum=True)
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


def check_scheme(splits: dict[str, list[Sentence]]) -> None:
    """Refuse a corpus whose tags follow no scheme, naming the first that breaks the likeliest."""
    corpus = [sentence for sentences in splits.values() for sentence in sentences]
    if detect_scheme(sentence.tags for sentence in corpus):
        return
    schemes = {s[0].file: detect_scheme(sentence.tags for sentence in s) for s in splits.values()}
    if all(schemes.values()):
        each = ", ".join(f"{file} in {scheme}" for file, scheme in schemes.items())
        raise InputError(f"the files are in different schemes: {each}; convert them to one")
    violations = {
        scheme: [
            (sentence, i, left, right)
            for sentence in corpus
            for i, (left, right) in enumerate(transitions(sentence.tags))
            if not is_allowed(left, right, scheme)
        ]
        for scheme in PREFIXES
    }
    scheme = min(violations, key=lambda scheme: len(violations[scheme]))
    sentence, i, left, right = violations[scheme][0]
    if i == 0:
        problem = f"{right} at the start of a sentence"
    elif i == len(sentence.tags):
        problem = f"{left} at the end of a sentence"
    else:
        problem = f"{right} after {left}"
    raise InputError(
        f"{sentence.location(min(i, len(sentence.tags) - 1))}: {problem} breaks {scheme}, and the "
        f"corpus fits none of {', '.join(PREFIXES)} better (places that break {scheme}: "
        f"{len(violations[scheme])}); correct the tags in the sentence: {sentence.excerpt()}"
    )


def check_entity_types(splits: dict[str, list[Sentence]]) -> None:
    """Refuse a corpus with an entity type that train does not have: nothing could learn it."""
    train = splits["train"]
    known = types_of(tag for sentence in train for tag in sentence.tags)
    if not known:
        raise InputError(
            f"{train[0].file} holds no entity, so there is nothing to learn; tag some of its tokens"
        )
    for sentences in splits.values():
        for sentence in sentences:
            for i, tag in enumerate(sentence.tags):
                if tag != "O" and parse(tag)[1] not in known:
                    raise InputError(
                        f"{sentence.location(i)}: the type of {tag} does not occur in "
                        f"{train[0].file}, which has: {', '.join(sorted(known))}. Add sentences "
                        "with it to train, or rename it"
                    )
