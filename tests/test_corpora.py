"""Corpora as people have them: what is read, what is repaired, what is refused, and what is said.

The inputs are one invented corpus in many forms, each with a property of published corpora.
"""

import csv
import gzip
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.corpus.__main__ import main
from stages.corpus.reading import Corpus, read_corpus
from stages.corpus.summary import count_shared, summarise
from stages.download import download
from stages.index import index
from stages.train import train
from tagger.corpus.conll import SPLITS, write_conll
from tagger.files import InputError
from tests.conftest import INPUTS, ROOT, Clone, Data, run_evaluate, set_up

README = (ROOT / "README.md").read_text(encoding="utf-8")
Token = tuple[str, str]
SENTENCES: list[list[Token]] = [
    [("Jaro", "B-PER"), ("van", "I-PER"), ("Pell", "I-PER"), ("left", "O"), ("Oslo", "B-LOC")],
    [("Lene", "B-PER"), ("saw", "O"), ("Old", "B-LOC"), ("Tarn", "I-LOC"), (".", "O")],
    [("no", "O"), ("one", "O")],
] * 20
EXPECTED = [[tag for _, tag in sentence] for sentence in SENTENCES]
ROWS = {
    "tokens": [[token for token, _ in sentence] for sentence in SENTENCES],
    "ner_tags": EXPECTED,
}


def bioes(letters: str) -> list[list[Token]]:
    """The sentences with other letters for the begin, the middle, the end, and a single token."""
    result = []
    for sentence in SENTENCES:
        tags = [tag for _, tag in sentence] + ["O"]
        written = []
        for (token, tag), after in zip(sentence, tags[1:], strict=True):
            goes_on = after.startswith("I-")
            place = {("B", True): 0, ("I", True): 1, ("I", False): 2, ("B", False): 3}
            letter = tag if tag == "O" else letters[place[tag[0], goes_on]] + tag[1:]
            written.append((token, letter))
        result.append(written)
    return result


def conll(
    sentences: list[list[Token]] = SENTENCES,
    line: Callable[[str, str], str] = "{} {}".format,
    before: Callable[[int], str] = lambda _: "",
) -> str:
    """Sentences as text, with something before each."""
    return "".join(
        before(number) + "".join(f"{line(*token)}\n" for token in sentence) + "\n"
        for number, sentence in enumerate(sentences)
    )


def written(change: Callable[[str], str]) -> str:
    """The corpus with its tags written in another way."""
    return conll(line=lambda token, tag: f"{token} {change(tag)}")


def numbered(first: int, separator: str, number: Callable[[int], str] = str) -> str:
    """The corpus with a first column that counts."""
    return "".join(
        "".join(separator.join((number(i), *row)) + "\n" for i, row in enumerate(sentence, first))
        + "\n"
        for sentence in SENTENCES
    )


GOOD = conll()
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"
TABS = conll(line="{}\t{}".format)


def parquet(names: list[str] | None = None) -> bytes:
    """The corpus as `datasets` writes it, with tags as names or as numbers of names."""
    tag = datasets.ClassLabel(names=names) if names else datasets.Value("string")
    features = datasets.Features(
        tokens=datasets.List(datasets.Value("string")), ner_tags=datasets.List(tag)
    )
    file = io.BytesIO()
    datasets.Dataset.from_dict(ROWS, features=features).to_parquet(file)
    return file.getvalue()


def plain_parquet(
    rows: dict[str, list[Any]], types: Mapping[str, Any] = MappingProxyType({}), **metadata: bytes
) -> bytes:
    """Rows as other programs write them, with columns of some types."""
    table = pa.table({name: pa.array(column, types.get(name)) for name, column in rows.items()})
    file = io.BytesIO()
    pq.write_table(table.replace_schema_metadata(metadata), file)
    return file.getvalue()


def read(
    tmp_path: Path, texts: Mapping[str, str | bytes] | str | bytes, description: str = ""
) -> Corpus:
    """Read a corpus of some files; one text stands for all three splits in CoNLL format."""
    folder = tmp_path / "mine"
    folder.mkdir()
    files = texts if isinstance(texts, Mapping) else {f"{split}.conll": texts for split in SPLITS}
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    if description:
        (folder / "corpus.yaml").write_text(description, encoding="utf-8")
    return read_corpus(folder, "mine", held_out=0.1)


def tags_of(corpus: Corpus, split: str = "train") -> list[list[str]]:
    return [sentence.tags for sentence in corpus.splits[split]]


def named(per: str, loc: str) -> list[list[str]]:
    """The tags of the corpus with other names for its types."""
    return [[tag.replace("PER", per).replace("LOC", loc) for tag in tags] for tags in EXPECTED]


@pytest.mark.parametrize(
    ("text", "expected", "note"),
    [
        (conll(bioes("BIES")), EXPECTED, ""),
        (conll(bioes("BILU")), EXPECTED, "BILOU is read as BIOES"),
        (conll(bioes("BMES")), EXPECTED, "BMES is read as BIOES"),
        (conll(bioes("BMEW")), EXPECTED, "BMEWO is read as BIOES"),
        (written(lambda t: t.replace("-", "_")), EXPECTED, "written like B_PER"),
        (written(lambda t: t.replace("-", ":")), EXPECTED, "written like B:PER"),
        (written(lambda t: "-".join(reversed(t.split("-")))), EXPECTED, "written like PER-B"),
        (written(lambda t: "_".join(reversed(t.split("-")))), EXPECTED, "written like PER_B"),
        (written(str.lower), named("per", "loc"), "some letters are in lower case"),
        (written(lambda t: t[0].lower() + t[1:]), EXPECTED, "some letters are in lower case"),
        (written(lambda t: t.replace("O", "_")), named("PER", "L_C"), "_ is read as O"),
        (written(lambda t: t.split("-")[-1]), EXPECTED, "types without letters"),
        (
            written(lambda t: {"PER": "e-mail", "LOC": "S-Bahn"}.get(t[2:], t)),
            named("e-mail", "S-Bahn"),
            "types without letters",
        ),
        (written(lambda t: t[0]), named("ENTITY", "ENTITY"), "the type is called ENTITY"),
        (written(lambda t: t[0].lower()), named("ENTITY", "ENTITY"), "called ENTITY"),
        (written(lambda t: t.replace("PER", "B-I").replace("LOC", "o")), named("B-I", "o"), ""),
        (written(lambda t: t.replace("PER", "all/x.gold-1")), named("all/x.gold-1", "LOC"), ""),
    ],
)
def test_dialects_of_tags_are_read_and_said(
    tmp_path: Path, text: str, expected: list[list[str]], note: str
) -> None:
    corpus = read(tmp_path, text)
    assert tags_of(corpus) == expected
    assert corpus.repairs == []
    assert note in "; ".join(corpus.notes)
    assert bool(corpus.notes) == bool(note)


SENT_ID = "# sent_id = {}\n".format


@pytest.mark.parametrize(
    ("text", "description"),
    [
        (conll(before=SENT_ID), ""),
        (conll(line="{}\t{}".format, before=SENT_ID), ""),
        (conll(line="{}\t{}".format, before=lambda i: f"# id = {i}\n# text = van Pell O\n"), ""),
        (conll(line="{} _ _ {}".format, before="# id {}-f0\tdomain=en\n".format), ""),
        (numbered(1, "\t"), "token: 2\ntag: 3"),
        (numbered(0, " "), "token: -2"),
        (conll(line="9\t{}\t{}\tO".format, before=lambda _: "#\thttp://x\t[2030]\n"),
         "token: 2\ntag: 3"),
        (conll(line=lambda a, b: f"{b}\t{a}"), "token: 2\ntag: 1"),
        (conll(line=lambda a, b: f"{a}\t{b}" + "\tsome words" * (a == "saw")), "tag: 2"),
        (conll(line="{}\tNN {}".format), ""),
        (conll(line="{} NN\t{}".format), ""),
        (conll(line="{}\t{}\t".format), ""),
        (conll(line="{} {} \t ".format), ""),
        (conll(before=lambda _: "\n \n\t\n"), ""),
        (GOOD.rstrip("\n"), ""),
        (GOOD.replace("\n", "\r\n"), ""),
        (GOOD.replace("\n", "\r"), ""),
        ("\ufeff" + GOOD, ""),
        (GOOD.replace("Lene", "\ufeffLene") + "\ufeff", ""),
        (GOOD.encode("utf-16"), "encoding: utf-16"),
        (numbered(1, "\t").replace("1\tJaro", "1-2\tJarovan\t_\n1\tJaro"), "token: 2"),
        *((numbered(0, "\t", "{}.5".format), "token: 2"),  # as times
          (numbered(0, "\t", "{0}-{0}".format), "token: 2"),  # as places
          (numbered(1, "\t", "1-{}\t0-4".format), "token: 3")),  # WebAnno
        # HIPE, with comments between tokens
        (conll(line="{}\t{}\t_\t_\n# segment = _".format, before=lambda _: "# language = en\n"),
         "tag: 2"),
        (TABS, "separator: whitespace"),
        (TABS, "# nothing"),
        (TABS.replace("\n\n", "\n\t\n"), ""),  # WNUT-17
        ("-DOCSTART- -X- O\n" + conll(line="{} -X- _ {}".format), ""),  # Label Studio
        (conll(before=lambda i: "-DOCSTART- -DOCSTART- O\n" * (i % 9 == 0), line="{} N {}".format),
         ""),  # CoNLL-2002's Dutch
        # JNLPBA
        (conll(before=lambda i: "###MEDLINE:9\n\n" * (i % 9 == 0), line="{}\t{}".format), ""),
        (conll(line="1\t{}\t{}\t-\t-".format, before=SENT_ID), "token: 2\ntag: 3"),  # Universal NER
        (GOOD.replace(" ", "\xa0"), ""),
        (GOOD.replace("\n", "  \n"), ""),
        (GOOD.replace("\n\n", "\n\u3000\n"), ""),
        ("\n".join(f"\ufeff{line}" if line else "" for line in GOOD.split("\n")), ""),
    ],
)  # fmt: skip
def test_layouts_are_understood(tmp_path: Path, text: str | bytes, description: str) -> None:
    corpus = read(tmp_path, text, description)
    assert tags_of(corpus) == EXPECTED
    tokens = [s.tokens for s in corpus.splits["train"]]
    assert tokens == [[token for token, _ in sentence] for sentence in SENTENCES]
    assert not corpus.notes
    assert not corpus.warnings
    assert not corpus.repairs


@pytest.mark.parametrize(
    ("lines", "tokens", "tags"),
    [
        ("# O\n#tag O\n", ["#", "#tag"], ["O", "O"]),
        ("#tag B-NEW\nx I-NEW\n", ["#tag", "x"], ["B-NEW", "I-NEW"]),
        ("#tag\tB-NEW\nx\tI-NEW\n", ["#tag", "x"], ["B-NEW", "I-NEW"]),
        ("we\tO\n# O\n1\tO\n", ["we", "#", "1"], ["O", "O", "O"]),
        ("Word B-ORG\n", ["Word"], ["B-ORG"]),
        ("x\ufeff O\n\ufeffy O\n", ["x", "y"], ["O", "O"]),
        ("x O\n# O\n", ["x", "#"], ["O", "O"]),
        ("Old\xa0Tarn B-LOC\n", ["Old\xa0Tarn"], ["B-LOC"]),
        ("Old Tarn\tB-LOC\n", ["Old Tarn"], ["B-LOC"]),
        ("Old  Tarn\tB-LOC\n", ["Old  Tarn"], ["B-LOC"]),
        ("\tO\nx\tO\n \tO\n\xa0\tO\n", ["x"], ["O"]),
        ("Old\tB-LOC\n\tI-LOC\nTarn\tI-LOC\n", ["Old", "Tarn"], ["B-LOC", "I-LOC"]),
        ("\tB-LOC\nTarn\tI-LOC\n", ["Tarn"], ["B-LOC"]),
        ("x O\n  O\n", ["x"], ["O"]),
        ("x O\n\u3000 O\n", ["x"], ["O"]),
        ("\ufeff\tO\nx\tO\n", ["x"], ["O"]),
        ("x B-LOC\n", ["x"], ["B-LOC"]),
    ],
)
def test_odd_tokens_are_kept_and_empty_ones_dropped(
    tmp_path: Path, lines: str, tokens: list[str], tags: list[str]
) -> None:
    good = TABS if "\t" in lines else GOOD
    corpus = read(tmp_path, good + lines)
    last = corpus.splits["train"][-1]
    assert (last.tokens, last.tags) == (tokens, tags)
    assert corpus.repairs == []
    dropped = lines.count("\n") - len(tokens)
    notes = [f"{split}: empty tokens left out: {dropped}; sentences of nothing else: 0"
             for split in SPLITS]  # fmt: skip
    assert list(corpus.notes) == (notes if dropped else [])


@pytest.mark.parametrize(
    ("text", "description", "documents"),
    [
        ("-DOCSTART- O\n\n" + GOOD + "-DOCSTART- O\n\n" + GOOD, "", 2),
        ("-DOCSTART- O\n\n" + GOOD + "-DOCSTART- O\n\n" + GOOD, "documents: false", 120),
        (conll(before=lambda i: "# newdoc id = a\n" * (i % 10 == 0)), "", 6),
        (conll(before=lambda i: "# newdoc\n" * (i % 10 == 0)), "documents: false", 60),
        (conll(before=lambda i: "#begin document\n" * (i % 15 == 0)) + "#end document\n",
         "documents: '#begin document'", 4),
        (GOOD, "", 60),
    ],
)  # fmt: skip
def test_documents_start_where_the_description_says(
    tmp_path: Path, text: str, description: str, documents: int
) -> None:
    corpus = read(tmp_path, text, description)
    numbers = [sentence.document for sentence in corpus.splits["test"]]
    assert sorted(set(numbers)) == list(range(documents))


def test_rows_that_start_documents_divide_a_table(tmp_path: Path) -> None:
    rows = [["-DOCSTART-"], ["Lene"], ["saw", "it"], ["-DOCSTART-"], ["Jaro"]]
    text = "".join(
        json.dumps(
            {"tokens": t, "ner_tags": ["B-PER" if t[0] in ("Lene", "Jaro") else "O"] * len(t)}
        )
        + "\n"
        for t in rows
    )
    corpus = read(tmp_path, {f"{split}.jsonl": text for split in SPLITS})
    found = [(sentence.tokens, sentence.document) for sentence in corpus.splits["train"]]
    assert [tokens for tokens, _ in found] == [["Lene"], ["saw", "it"], ["Jaro"]]
    first, second, third = (document for _, document in found)
    assert first == second < third


@pytest.mark.parametrize(
    ("slip", "problem", "tag"),
    [
        ("x O\nTarn I-LOC\n", "I-LOC after O", "B-LOC"),
        ("Tarn I-LOC\n", "I-LOC at the start of a sentence", "B-LOC"),
        ("Jaro B-PER\nTarn I-LOC\n", "I-LOC after B-PER", "B-LOC"),
    ],
)
def test_a_few_slips_are_repaired_counted_and_listed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], slip: str, problem: str, tag: str
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    for split in SPLITS:
        (folder / f"{split}.conll").write_text(GOOD * 10 + slip * (split == "test"))
    download(folder, tmp_path / "out", corpus="mine", held_out=0.1)
    line = (GOOD * 10 + slip).count("\n")
    with (tmp_path / "out/repairs.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    assert rows == [
        ["split", "where", "token", "problem", "read_as"],
        ["test", f"{folder / 'test.conll'}, line {line}", "Tarn", problem, tag],
    ]
    output = capsys.readouterr().out
    assert "places that break IOB2: 1, of " in output
    assert (
        f"  test: {folder / 'test.conll'}, line {line}: {problem} (Tarn), read as {tag}" in output
    )


def test_ten_repairs_are_printed_and_too_many_refused(tmp_path: Path) -> None:
    slips = "x O\nTarn I-LOC\n\n"
    corpus = read(tmp_path, GOOD * 20 + slips * 15)
    assert len(corpus.repairs) == 45
    output = summarise(corpus)
    assert output.count(", read as B-LOC") == 10
    assert "  and 35 more" in output
    (tmp_path / "again").mkdir()
    with pytest.raises(InputError) as error:
        read(tmp_path / "again", GOOD + slips * 2)
    for words in (
        "line 302: I-LOC after O breaks IOB2",
        "of 246 entities: IOB2: 6, IOB1: 240, BIOES: 252",
    ):
        assert words in str(error.value)


@pytest.mark.parametrize(
    ("files", "description", "message"),
    [
        (numbered(1, "\t"), "", "line 1: the first column counts the tokens (1 2 3 4 5)"),
        (numbered(0, " "), "", "say in corpus.yaml which column has the tokens, such as `token: 2"),
        ("# x = 1\n" + numbered(1, "\t"), "", "train.conll, line 2: the first column counts"),
        (conll(line="doc1 {} {}".format), "", "the first column is the same for all tokens"),
        *((numbered(1, "\t", how), "", "line 1: the first column counts the tokens") for how in
          (lambda i: str(7 * i), "{}.".format, "t{}".format, "d1_s1_t{}".format, "1-{}".format)),
        (conll(line=lambda a, b: f"{b}\t{a}"), "", "line 1: the first column has the tags (B-"),
        (conll(line="en:{}\t{}".format), "", "every token begins with 'en:'; remove that: sed"),
        (GOOD.replace(" O", " _").replace("I-PER", "PER[1]"), "", "'PER[1]' is not a tag"),
        (written(lambda t: "_" if t == "O" else "PER[1]"), "", "'PER[1]' is not a tag"),
        (written(lambda t: "_" if t == "O" else "A=No"), "", "'A=No' is not a tag"),
        (written(lambda t: t if t == "O" else f"{t[2:]}[{t[0]}]"), "", "[B]' is not a tag"),
        (written(lambda t: "–".join(reversed(t.split("-")))), "", "is not a tag: expected O"),
        (GOOD.replace(" O", " ?"), "", "'?' is not a tag: expected O"),
        ({"train.conll": GOOD, "test.conll": "x ?\n" * 2000}, "", "test.conll, line 1: '?' is not"),
        ("#Oslo\tBLOC\n" + TABS, "", "line 1: 'BLOC' is not a tag"),
        ("Token\tClass\n" + TABS.replace("B-", "").replace("I-", ""), "", "'Class' name columns"),
        (GOOD, "documents: '#begin'", "documents: no line begins with '#begin'; correct it"),
        (GOOD, "names: [O, B-X, I-X, B-X]", "names: ['O', 'B-X', 'I-X', 'B-X'] is refused: "),
        ({"train.conll": GOOD, "eval.conll": GOOD}, "", "eval.conll is not read, and there is no"),
        ({"train.conll": GOOD, "a.test.annotated": GOOD}, "", "rename it to test.conll if it"),
        ({"data/train-0.parquet": ""}, "", "train-0.parquet lies too deep: move it up"),
        (GOOD + "x O\n# no token\n", "", "train.conll, line 302: 3 columns, but the lines"),
        (GOOD.encode() + b"\xfc O\n", "", "line 301: byte 0xfc is not UTF-8; save the file as UTF-8"
         ", or of a corpus name it in corpus.yaml: `encoding: latin-1`"),
        (GOOD.encode("utf-16"), "", "`encoding: utf-16`, for example"),
        (GOOD + "ü O\n", "encoding: ascii", "train.conll is not in the encoding ascii ("),
        (TABS + "Old\n", "", "line 301: 'Old' has no tag; a line needs at least 2 columns with ta"),
        (TABS + "Old\t\n", "", "line 301: 'Old' has no tag"),
        (written(lambda t: "NN" if t == "O" else "VB"), "", "is not a tag: expected O"),
        (written(lambda t: t.replace("PER", "O")), "", "'B-O' is not a tag"),
        (GOOD + "x PER\n", "", "line 301: 'PER' is not a tag"),
        (GOOD + "x _\n", "", "line 301: '_' is not a tag"),
        (GOOD + "x M-PER\nx U-PER\n", "", "the letters B, I, M, U belong to no one scheme"),
        (written(lambda _: "_"), "", "train.conll has no tags but _"),
        (GOOD, "tag: 7", "'Jaro B-PER' has 2 columns; corpus.yaml names column 7 of each line"),
        (GOOD, "token: words", "token: 'words' is a name, but the columns of a CoNLL file have"),
        (GOOD, "token: 0", "token: 0 is refused: columns are counted from 1, or from the end"),
        (GOOD, "token: 2\ntag: 2", "token and tag are the same column: 2"),
        (GOOD, "tagg: 2", "there is no key 'tagg'; there are: token, tag, separator, encoding"),
        (GOOD, "separator: comma", "separator: 'comma' is refused: Input should be 'tab' or"),
        (GOOD, "encoding: klingon", "encoding: 'klingon' is refused: Python knows no such"),
        (GOOD, "encoding: hex", "encoding: 'hex' is refused"),
        (GOOD, "documents: true", "documents: True is refused: say how a line begins"),
        (GOOD, "- token", "must hold `key: value` lines; the keys are token, tag"),
        (GOOD, "token: [", "corpus.yaml is not YAML"),
        (GOOD, "x" * 20_001, "has 20,001 bytes; more than 20,000 are not read"),
        ({}, "", "mine has no train: put "),
        ({}, "urls: {train: {url: 'https://x/y', sha256: ab}}", "urls.train.sha256: 'ab' is refus"),
        ({}, "urls: {train: {url: 'https://x/y'}}", "urls.train.sha256 is missing; add it"),
        ({}, "urls: {train: {url: 'ftp://x/y', sha256: ab}}", "urls.train.url: 'ftp://x/y' is ref"),
        ({}, "urls: {dev: {url: 'https://x/y', sha256: ab}}", "urls.dev: 'dev' is refused"),
        ({}, "dataset: {path: a/b}", "dataset: a/b has no revision, so it may be another"),
        ({}, "dataset: {path: a/b, revision: main}", "dataset.revision: 'main' is refused: give t"),
        ({}, "dataset: {path: a/b, trust_remote_code: true}", "no key 'dataset.trust_remote_code'"),
        ({}, "dataset: {path: ./data}", "dataset: ./data: there is no such folder in "),
        ({}, "dataset: {path: ..}", "dataset: .. is outside of "),
        ({"train.conll": GOOD, "dev.conll": GOOD}, "", "dev.conll is not read under this name: "
         "rename it to validation.conll"),
        ({"train.txt": GOOD}, "", "train.txt is not read under this name: rename it to train.conl"),
        ({"train.conll": GOOD, "train.jsonl": "{}"}, "", "train is there more than once: "),
        ({"train.conll": GOOD}, "dataset: {path: a/b}", "corpus.yaml: dataset; keep one"),
        ({"train.conll": "-DOCSTART- O\n\n" + GOOD}, "", "no validation and no test, and train"),
        ({"train.jsonl": "{"}, "", "train.jsonl, line 1 is not JSON"),
        ({"train.jsonl": "[]"}, "", "train.jsonl, line 1: '[]' is no JSON object; write one a"),
        ({"train.jsonl": "[" * 100_000}, "", "train.jsonl, line 1 is not JSON (maximum recursion"),
        ({"train.jsonl": f"[{'9' * 5000}]"}, "", "train.jsonl, line 1 is not JSON (Exceeds"),
        ({"train.jsonl": b'\n{"tokens": ["\xff"]}'}, "", "train.jsonl, line 2: byte 0xff is not U"),
        ({"train.jsonl": '{"tokens": ["\\ud800"], "ner_tags": ["O"]}'}, "", "line 1: \\ud800 is h"),
        ({"train.jsonl": '{"tokens": ["a"], "ner_tags": ["B-\\udfff"]}'}, "", "\\udfff is half"),
        ({"train.jsonl": '{"tokens": ["a"], "ner_tags": [null]}'}, "", "the tag None is neither t"),
        ({"train.jsonl": '{"tokens": [["a"]], "ner_tags": [["O"]]}'}, "", "the token ['a'] is not"),
        ({"train.jsonl": '{"text": "a b", "label": [[0, 1, "X"]]}'}, "", "it has: text, label. Na"),
        ({"train.jsonl": '{"text": "a b", "tokens": [{"text": "a"}], "spans": []}'}, "tag: spans",
         "line 1: 1 tokens, but 0 tags"),
        ({"train.jsonl": '{"tokens": ["a"], "tags": ["O"]}'}, "", "corpus.yaml: `tag: tags`, for "),
        ({"train.jsonl": '{"tokens": ["a"]}'}, "", "Name the one to read in corpus.yaml: `tag: …`"),
        ({"train.jsonl": '{"tokens": ["a"], "ner_tags": [1.5]}'}, "", "1.5 is neither text nor"),
        ({"train.jsonl": '{"words": [], "ner_tags": []}'}, "", "no column 'tokens'; it has: words"),
        ({"train.jsonl": '{"tokens": "a", "ner_tags": ["O"]}'}, "", "its tokens are 'a', not a li"),
        ({"train.jsonl": '{"tokens": ["a"], "ner_tags": []}'}, "", "1 tokens, but 0 tags"),
        ({"train.jsonl": '{"tokens": ["-DOCSTART-"], "ner_tags": ["B-X"]}'}, "", "of its own"),
        ({"train.jsonl": '{"tokens": [1], "ner_tags": ["O"]}'}, "", "the token 1 is not text"),
        ({"train.jsonl": '{"tokens": ["a"], "ner_tags": [0]}'}, "", "`names: [O, B-PER, I-PER]`"),
        ({"train.jsonl": '{"tokens": ["a"], "ner_tags": [3]}'}, "names: [O]", "no name for the ta"),
        ({"train.parquet": "PAR1"}, "", "train.parquet is damaged"),
        ("Token\tNER\n" + TABS.replace("B-", "").replace("I-", ""), "", "line 1: 'Token' and "
         "'NER' name columns; delete it"),
        (GOOD.replace("\n", "\r\r\n"), "", "line 3: every sentence of train has one token: an emp"),
        (GOOD.replace("\n", "\n\n"), "", "delete those within sentences"),
        (GOOD.replace("B-LOC", "B-LOC\u200b", 3), "", r"I-LOC after 'B-LOC\u200b' breaks IOB2"),
        (GOOD.replace(" O", " 0"), "", "'0' is not a tag: expected O, or B-, I-, E- or S- and a t"),
        (conll(line="{} -{}".format), "", "line 4: '-O' is not a tag"),
        (conll(line=lambda a, b: f"{a} ({b[2:]})" if b != "O" else f"{a} *"), "", "Brackets, as O"),
        (written(lambda t: t.replace("B-", "BEGIN-").replace("I-", "IN-")), "", "'BEGIN-PER' is n"),
        (written(lambda t: t.replace("-", "&#45;")), "", "'B&#45;PER' is not a tag"),
        (written(lambda t: t.replace("-", "- ")), "", "line 4: 2 columns, but the lines before it"),
        (conll(line="{},{}".format), "", "line 1: 'Jaro,B-PER' has no tag"),
        ("<!DOCTYPE html>\n<html>\n", "", "train.conll, line 2: '<html>' has no tag"),
        (gzip.compress(GOOD.encode(), mtime=0), "", "train.conll is compressed; unpack it"),
        ({"train.jsonl": gzip.compress(b"{}", mtime=0)}, "", "train.jsonl is compressed; unpack"),
        (LFS, "", "train.conll is what Git LFS puts in a file's place: run `git lfs pull`"),
        ({"train.parquet": LFS}, "", "train.parquet is what Git LFS puts in a file's place"),
        ({"train.conll.gz": ""}, "", "train.conll.gz is not read: unpack it, and call what it hol"),
        ({"train.PARQUET": ""}, "", "train.PARQUET is not read under this name: rename it to trai"),
        ({"train.json": ""}, "", "rename it to train.jsonl if it holds train in JSON by line"),
        ({"train.conll": GOOD, "eng.testb": GOOD}, "", "eng.testb is not read under this name: re"),
        ({"train.conll": GOOD, "train-00001-of-00002.parquet": ""}, "", "is one of 2 parts: put t"),
        ({"deep/mine/train.conll": GOOD}, "", "deep/mine/train.conll lies too deep: move it up"),
        ({"train.conll": GOOD, "corpus.yml": ""}, "", "corpus.yml is not read under this name: re"),
        (GOOD, "names: [&a [x], *a]", "corpus.yaml, line 1: nested too deep, or a reference"),
        (GOOD, "{" * 15_000, "corpus.yaml, line 1: nested too deep"),
        (GOOD, "licence: 2026-99-99", "corpus.yaml is not YAML: month must be in 1..12"),
        ({"train.parquet": plain_parquet(ROWS, huggingface=b"{")}, "", "train.parquet is damaged"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named_with_the_remedy(
    tmp_path: Path, files: Any, description: str, message: str
) -> None:
    with pytest.raises(InputError) as error:
        read(tmp_path, files, description)
    assert message in str(error.value)


NAMES = ["I-LOC", "O", "B-PER", "I-PER", "B-LOC"]
JSONL = "".join(
    json.dumps(
        {"words": [t for t, _ in s], "labels": [NAMES.index(t) for _, t in s], "doc": i // 6}
    )
    + "\n"
    for i, s in enumerate(SENTENCES)
)


@pytest.mark.parametrize(
    ("name", "data", "description"),
    [
        ("train.parquet", parquet(), ""),
        ("train.parquet", parquet(NAMES), ""),
        ("train.parquet", plain_parquet(ROWS), ""),
        ("train.parquet", plain_parquet(ROWS, {"tokens": pa.large_list(pa.large_string())}), ""),
        (
            "train.parquet",
            plain_parquet(ROWS, {"ner_tags": pa.list_(pa.dictionary(pa.int8(), pa.string()))}),
            "",
        ),
        (
            "train.parquet",
            plain_parquet({**ROWS, "ner_tags": [[NAMES.index(t) for t in s] for s in EXPECTED]}),
            f"names: {NAMES}",
        ),
        ("data/train-00000-of-00001.parquet", parquet(NAMES), "dataset: {path: data}"),
        (
            "train.jsonl",
            JSONL.encode(),
            f"token: words\ntag: labels\nnames: {NAMES}\ndocuments: doc",
        ),
    ],
)
def test_tables_are_read_and_splits_that_lack_are_held_out(
    tmp_path: Path, name: str, data: bytes, description: str
) -> None:
    corpus = read(tmp_path, {name: data}, description)
    per_document = 6 if name == "train.jsonl" else 1
    sizes = {split: len(sentences) for split, sentences in corpus.splits.items()}
    assert sizes == {"train": 48, "validation": 6, "test": 6}
    sentences = [(tuple(s.tokens), tuple(s.tags)) for split in SPLITS for s in corpus.splits[split]]
    assert sorted(sentences) == sorted(tuple(zip(*s, strict=True)) for s in SENTENCES)
    for of_split in corpus.splits.values():
        assert [s.document for s in of_split] == [i // per_document for i in range(len(of_split))]
    assert ["there is no validation: it gets" in note for note in corpus.notes] == [True, False]
    again = read_corpus(tmp_path / "mine", "mine", held_out=0.1)
    assert again.splits == corpus.splits


@contextmanager
def hub(files: Mapping[str, Mapping[str, bytes]]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Run a stand-in of the Hugging Face Hub on a port of this machine.

    Args:
        files: of each commit of a data set, which is named as `OWNER/NAME/COMMIT`

    Yields:
        its address, and the commit and the authorization of each request for a data set
    """
    asked: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            pattern = r"(?:/api)?/datasets/(\w+/\w+)/(resolve|revision|tree)/(\w+)/?([^?]*)"
            request = re.match(pattern, self.path)
            if not request:
                self.answer(404)
                return
            repository, kind, commit, file = request.groups()
            asked.append((commit, self.headers["Authorization"]))
            present = files.get(f"{repository}/{commit}", {})
            if repository == "own/gated":
                self.answer(403, error="GatedRepo")
            elif not any(key.startswith(f"{repository}/") for key in files):
                self.answer(404, error="RepoNotFound")
            elif not present:
                self.answer(404, error="RevisionNotFound")
            elif kind == "revision":
                self.answer(200, json.dumps({"id": repository, "sha": commit}).encode())
            elif kind == "tree" and not file:
                entries = [{"type": "file", "path": p, "oid": "0", "size": 0} for p in present]
                self.answer(200, json.dumps(entries).encode())
            elif kind == "resolve" and file in present:
                self.answer(200, present[file], commit=commit)
            else:
                self.answer(404, error="EntryNotFound", commit=commit)

        do_HEAD = do_GET  # noqa: N815

        def answer(self, status: int, data: bytes = b"", error: str = "", commit: str = "") -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("ETag", hashlib.sha256(data).hexdigest())
            for key, value in (("X-Error-Code", error), ("X-Repo-Commit", commit)):
                if value:
                    self.send_header(key, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data)

        def log_message(self, format: str, *values: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", asked
        server.shutdown()


READ_EACH = """
import sys
from pathlib import Path
from stages.corpus.reading import read_corpus
from tagger.files import InputError
for folder in map(Path, sys.argv[1:]):
    try:
        corpus = read_corpus(folder, folder.name, held_out=0.1)
        print([len(sentences) for sentences in corpus.splits.values()], *corpus.tags)
    except InputError as error:
        print(error)
"""


@pytest.mark.slow
def test_a_data_set_of_the_hub_is_that_of_its_commit_also_offline(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    one, two, three = (digit * 40 for digit in "123")
    configurations = [{"config_name": n, "data_files": f"{n}.parquet"} for n in ("en", "de")]
    card = f"---\nconfigs: {json.dumps(configurations)}\n---\n"
    people = plain_parquet({"tokens": [["Ada", "ran"]] * 60, "ner_tags": [["B-PER", "O"]] * 60})
    both = {"README.md": card.encode(), "en.parquet": people, "de.parquet": people}
    lines = "\n".join(
        json.dumps(dict(zip(ROWS, row, strict=True))) for row in zip(*ROWS.values(), strict=True)
    ).encode()
    files = {
        f"own/many/{one}": {**both, "en.parquet": parquet(NAMES)},
        f"own/many/{two}": both,
        f"own/lines/{one}": {f"{split}.jsonl": lines for split in ("train", "dev", "test")},
        f"own/script/{one}": {"script.py": b"1 / 0"},
    }
    all_types, people_alone = "[48, 6, 6] O B-PER I-PER B-LOC I-LOC", "[48, 6, 6] O B-PER I-PER"
    expected = {
        f"path: own/many, name: en, revision: '{one}'": all_types,
        f"path: own/many, name: de, revision: '{one}'": people_alone,
        f"path: own/many, name: en, revision: '{two}'": people_alone,
        f"path: own/lines, revision: '{one}'": "[60, 60, 60] O B-PER I-PER B-LOC I-LOC",
        f"path: own/many, name: en, revision: '{three}'": "Give the 40 digits of one of its comm",
        f"path: own/many, name: fr, revision: '{one}'": "Name one of its configurations",
        f"path: own/many, revision: '{one}'": "Name one of its configurations",
        f"path: own/gated, revision: '{one}'": "ask for access there, and run `hf auth login`",
        f"path: own/gone, revision: '{one}'": "Compare the path with its page on the Hub",
        f"path: own/script, revision: '{one}'": "a branch refs/convert/parquet, put the tables",
        # It is a folder where the stage runs, too.
        f"path: data/inputs, revision: '{one}'": "Compare the path with its page on the Hub",
    }
    folders = [tmp_path / f"corpora/{number}" for number in range(len(expected))]
    for folder, description in zip(folders, expected, strict=True):
        folder.mkdir(parents=True)
        (folder / "corpus.yaml").write_text(f"dataset: {{{description}}}")

    def read_each(**variables: str) -> list[str]:
        command = [sys.executable, "-c", READ_EACH, *map(str, folders)]
        return subprocess.run(
            command, cwd=ROOT, env={**environment, **home, **variables}, check=True,
            capture_output=True, text=True,
        ).stdout.splitlines()  # fmt: skip

    home = {"HF_HOME": str(tmp_path), "HF_TOKEN": "hf_mine", "HF_UPDATE_DOWNLOAD_COUNTS": "0"}
    with hub(files) as (url, asked):
        found = read_each(HF_ENDPOINT=url, no_proxy="127.0.0.1")
    for line, folder, part in zip(found, folders, expected.values(), strict=True):
        assert line == part or (
            line.startswith(f"{folder}/corpus.yaml: dataset: ") and part in line
        )
    assert set(asked) == {(commit, "Bearer hf_mine") for commit in (one, two, three)}
    offline = read_each(HF_HUB_OFFLINE="1")
    assert offline[:4] == found[:4]
    assert all("(OfflineModeIsEnabled)). If trying again" in line for line in offline[4:])


def test_what_looks_wrong_is_warned_of(tmp_path: Path) -> None:
    long = "a O\n" * 401 + "\n" + "b O\n" * 1001
    names = GOOD.replace("-LOC", "-Loc", 3)
    texts = {"train.conll": names + long, "validation.conll": "a O\n\n" * 10, "test.conll": GOOD}
    corpus = read(tmp_path, texts)
    output = summarise(corpus).splitlines()
    file = tmp_path / "mine/train.conll"
    assert output[-3:] == [
        "warning: every sentence of validation has one token: an empty line may stand after each "
        "token",
        "warning: types that look alike are different types: 'LOC', 'Loc'",
        "warning: sentences of train with more than 400 tokens, which are read in parts of at most "
        f"400: 2; the longest, of 1,001 tokens, is at {file}, line {GOOD.count(chr(10)) + 403}. "
        "Mark where its sentences end",
    ]


def test_odd_text_in_tables_becomes_one_token_a_line(tmp_path: Path) -> None:
    tokens = ["a\tb", " c\r\n", "", "\ufeffd\u2028e", "\u3000f\x85\x0b\x1c"]
    row = {"tokens": tokens, "ner_tags": ["B-X", "I-X", "O", "O", " O\n"]}
    text = f"{json.dumps(row)}\n" * 20
    corpus = read(tmp_path, {f"{split}.jsonl": text for split in SPLITS})
    columns = corpus.splits["test"][0].columns
    assert columns == (["a b", "c", "d\u2028e", "f"], ["B-X", "I-X", "O", "O"])
    write_conll(tmp_path / "test.conll", *([column] for column in columns), documents=[0])


def test_a_tag_that_would_be_two_columns_is_refused(tmp_path: Path) -> None:
    text = json.dumps({"tokens": ["a"], "ner_tags": ["B-X\tY"]})
    with pytest.raises(InputError, match=r"test\.jsonl, line 1: the tag 'B-X\\tY' holds a tab"):
        read(tmp_path, {"train.jsonl": text.replace("\\tY", ""), "test.jsonl": text})


def test_the_sentences_of_a_document_stand_together(tmp_path: Path) -> None:
    """Where the rows of a table are shuffled, too, and where some have no document."""
    rows = [("a", 1), ("b", 2), ("c", None), ("d", 1), ("e", None), ("f", 2)] * 10
    lines = (json.dumps({"tokens": [t], "ner_tags": ["B-X"], "document": d}) for t, d in rows)
    train = read(tmp_path, {f"{split}.jsonl": "\n".join(lines) for split in ("train",)} | {
        f"{split}.conll": "x B-X\n" for split in SPLITS[1:]
    }).splits["train"]  # fmt: skip
    tokens = "".join(token for sentence in train for token in sentence.tokens)
    assert tokens == "ad" * 10 + "bf" * 10 + "ce" * 10
    numbers = [sentence.document for sentence in train]
    assert numbers == sorted(numbers)
    assert len(set(numbers)) == 2 + 20
    assert len(set(numbers[:20])) == len(set(numbers[20:40])) == 1


def test_files_that_differ_in_their_columns_are_warned_of(tmp_path: Path) -> None:
    files = {
        "train.conll": GOOD,
        "validation.conll": GOOD,
        "test.conll": conll(line="{0} {1} {1}".format),
    }
    (warning,) = read(tmp_path, files).warnings
    assert warning.endswith("were read: train has 2, validation has 2, test has 3")


@pytest.mark.parametrize("name", ["x.json?download=true", "download?file=x.jsonl"])
def test_a_url_is_known_by_the_name_of_its_file(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("urllib.request.urlopen", lambda *_, **__: io.BytesIO(JSONL.encode()))
    digest = hashlib.sha256(JSONL.encode()).hexdigest()
    link = f"urls: {{train: {{url: 'https://example.org/{name}', sha256: {digest}}}}}"
    description = f"{link}\ntoken: words\ntag: labels\nnames: {NAMES}"
    assert len(read(tmp_path, {}, description).splits["train"]) == 48


def test_the_first_sentence_is_shown_also_where_the_terminal_lacks_its_characters(
    tmp_path: Path,
) -> None:
    corpora = tmp_path / "data/inputs/corpora"
    corpora.mkdir(parents=True)
    corpus = read(corpora, GOOD.replace("Jaro", "Järo"))
    assert "first sentence: Järo B-PER  van I-PER  Pell I-PER  left O" in summarise(corpus)
    (tmp_path / "params.yaml").write_text((ROOT / "params.yaml").read_text(encoding="utf-8"))
    output = subprocess.run(
        [sys.executable, "-m", "stages.corpus", "mine"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert r"first sentence: J\xe4ro B-PER" in output


@pytest.mark.parametrize("what", ["folder", "file", "inner"])
def test_a_symbolic_link_is_refused(tmp_path: Path, what: str) -> None:
    real = tmp_path / "real"
    (real / "more").mkdir(parents=True)
    for split in SPLITS:
        (real / f"{split}.conll").write_text(GOOD)
    linked = tmp_path / "linked"
    if what == "folder":
        linked.symlink_to(real)
    else:
        linked.mkdir()
        (linked / "more").mkdir()
        for split in SPLITS:
            (linked / f"{split}.conll").write_text(GOOD)
        place = linked / "more/x" if what == "inner" else linked / "validation.conll"
        place.unlink(missing_ok=True)
        place.symlink_to(real / "test.conll")
    with pytest.raises(InputError, match=r"is a symbolic link: DVC would not see .* cp -rL"):
        read_corpus(linked, "linked", held_out=0.1)


PIPELINE: dict[str, Any] = {
    "scheme": "BIOES", "finetune": True, "characters": "cnn", "filters": 5, "document": True,
    "crf": True, "hidden": 8, "layers": 1, "dropout": 0.5, "recurrent_dropout": 0.25,
    "learning_rate": 0.02, "decay": True, "batch_size": 32, "epochs": 1, "patience": 1, "clip": 5.0,
    "seed": 1, "threads": 1, "device": "cpu",
}  # fmt: skip


@pytest.fixture
def score(sample: Data, tmp_path: Path) -> Callable[[dict[str, str]], dict[str, Any]]:
    """Takes a corpus through the whole pipeline, with little training: its scores."""

    def score_(texts: dict[str, str]) -> dict[str, Any]:
        folder = tmp_path / "mine"
        folder.mkdir()
        for split in SPLITS:
            (folder / f"{split}.conll").write_text(texts.get(split, GOOD), encoding="utf-8")
        data = Data(tmp_path / "corpus", sample.embeddings, tmp_path / "index")
        download(folder, data.corpus, corpus="mine", held_out=0.1)
        index(data.corpus, data.embeddings, data.index)
        model, curve = tmp_path / "model", tmp_path / "curve.csv"
        train(data.embeddings, data.index, model, curve, **PIPELINE)
        assert "-DATE" not in (model / "config.json").read_text(encoding="utf-8")
        return run_evaluate(data, model, curve, tmp_path)

    return score_


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_type_that_train_lacks_counts_as_missed(
    score: Callable[[dict[str, str]], dict[str, Any]],
    split: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    scores = score({split: GOOD + "May B-DATE\n2031 I-DATE\n"})
    assert scores[split]["support"] == 81
    assert scores[split]["types"]["DATE"] == {
        "precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1,
    }  # fmt: skip
    warning = f"warning: {split} has types that train lacks; their entities count as missed"
    assert f"{warning}: DATE (1)\n" in capsys.readouterr().out


@pytest.mark.parametrize(("split", "tag"), [("validation", "O"), ("test", "_")])
def test_a_split_without_gold_entities_is_warned_of_and_breaks_nothing(
    score: Callable[[dict[str, str]], dict[str, Any]],
    split: str,
    tag: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    scores = score({split: written(lambda _: tag)})
    assert scores[split]["support"] == 0
    output = capsys.readouterr().out
    assert f"warning: every tag of {split} is {tag}" in output
    assert "There is no gold entity, so nothing can be scored." in output


@pytest.mark.parametrize(
    ("per", "loc"),
    [
        ("all", "seen_entities"), ("length_1", "type.all"), ("micro avg", "weighted avg"),
        ("NA", "macro/avg-1.gold"), ("O-", "0"),
    ],
)  # fmt: skip
def test_a_type_may_be_called_anything(
    score: Callable[[dict[str, str]], dict[str, Any]], per: str, loc: str
) -> None:
    text = conll(line=lambda a, b: f"{a}\t{b.replace('PER', per).replace('LOC', loc)}")
    scores = score(dict.fromkeys(SPLITS, text))
    for split in ("validation", "test"):
        support = {name: row["support"] for name, row in scores[split]["types"].items()}
        assert support == {per: 40, loc: 40}
        assert scores[split]["support"] == 80
        assert scores[split]["slices"]["seen_entities"]["support"] == 80


def test_tokens_with_blanks_go_through_the_pipeline(
    score: Callable[[dict[str, str]], dict[str, Any]], tmp_path: Path
) -> None:
    text = TABS.replace("Lene", "Lene  Old").replace("Tarn", "Big\xa0Tarn")
    scores = score(dict.fromkeys(SPLITS, text))
    assert scores["test"]["tokens"] == sum(map(len, SENTENCES))
    lines = (tmp_path / "predictions/test.conll").read_text(encoding="utf-8")
    assert lines.startswith("-DOCSTART-\tO\tO\n\nJaro\tB-PER\t")
    assert "\nLene  Old\tB-PER\t" in lines


def test_sentences_that_also_stand_in_train_are_counted(tmp_path: Path) -> None:
    texts = {"train.conll": GOOD, "validation.conll": "new B-LOC\n", "test.conll": GOOD + "q O\n"}
    corpus = read(tmp_path, texts)
    texts_of = {split: [tuple(s.tokens) for s in corpus.splits[split]] for split in SPLITS}
    assert count_shared(texts_of["test"], texts_of["train"]) == 60
    assert "60 sentences of test (98.4 %) also stand in train" in summarise(corpus)


def test_check_corpus_says_what_download_says_and_the_coverage(
    sample: Data,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "data/inputs").mkdir(parents=True)
    (tmp_path / "data/inputs/corpora").mkdir()
    folder = tmp_path / "data/inputs/corpora/sample"
    folder.mkdir()
    for file in (INPUTS / "corpora/sample").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    (tmp_path / "params.yaml").write_text("corpus: sample\nheld_out: 0.2\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.argv", ["check"])
    main()
    alone = capsys.readouterr().out
    (tmp_path / "data/embeddings").symlink_to(sample.embeddings)
    monkeypatch.setattr("sys.argv", ["check", "--", "sample"])
    main()
    checked = capsys.readouterr().out
    download(folder.relative_to(tmp_path), tmp_path / "out", corpus="sample", held_out=0.2)
    said = capsys.readouterr().out
    assert alone == said + "vectors: there is no data/embeddings; the stage `embed` makes it\n"
    assert checked.startswith(said)
    summary = json.loads((sample.index / "index.json").read_text(encoding="utf-8"))
    for split in SPLITS:
        counts = summary[split]["coverage"]["tokens"]
        share = counts["unknown"] / sum(counts.values())
        assert f"{split} {100 * share:.1f} %" in checked.splitlines()[-1]
        row = next(line for line in said.splitlines() if line.startswith(f"{split} "))
        sizes = [summary[split][key] for key in ("sentences", "tokens", "documents")]
        assert [int(n.replace(",", "")) for n in row.split()[1:4]] == sizes
    monkeypatch.setattr("sys.argv", ["check", "nope"])
    with pytest.raises(
        SystemExit, match=r"^check-corpus: .*no corpus 'nope' .*; there are: sample\."
    ):
        main()


def test_the_readmes_walk_from_files_to_a_report(clone_with_results: Clone) -> None:
    """Its commands as they stand there, from files as people have them."""
    clone = clone_with_results
    set_up(clone)
    (section,) = re.findall(r"### Your own corpus and vectors\n\n((?:    .*\n)+)", README)
    *place, check, run = [line.strip() for line in section.splitlines()]
    for split in SPLITS:
        (clone.path / f"{split}.conll").write_text(GOOD)
    # The vectors of the sample as GloVe's are: without a first line.
    vectors = (INPUTS / "vectors/sample/vectors.txt").read_text(encoding="utf-8")
    (clone.path / "glove.6B.100d.txt").write_text(vectors.partition("\n")[2], encoding="utf-8")
    for command in place:
        clone.run("bash", "-c", command)
    assert "dvc.lock is current" in clone.run("python", "-m", "review.lock"), "what is in use is"

    checked = clone.run("bash", "-c", check)
    assert "2 columns with white space between, tokens in column 1, tags in 2" in checked
    assert "tokens without one of the" in checked
    output = clone.run("bash", "-c", run)
    assert "corpus mine\n" in output
    assert f"reading glove.6B.100d.txt\n{vectors.split()[0]} words" in output
    scores = json.loads(clone.read("metrics/metrics.json"))
    assert scores["test"]["support"] == 80
    assert scores["test"]["types"].keys() == {"LOC", "PER"}
    assert "Jaro" in clone.read("data/report/index.html")

    for split in ("validation", "test"):
        (clone.path / f"data/inputs/corpora/mine/{split}.conll").unlink()
    alone = clone.run("bash", "-c", check)
    for split in ("validation", "test"):
        assert f"there is no {split}: it gets 6 of the 60 documents of train" in alone
