"""The download stage on good and bad corpora, and on files that corpus.yaml says where to find."""

import hashlib
import re
from pathlib import Path

import datasets
import pandas as pd
import pytest

from stages.corpus.description import Link, read_description
from stages.download import download
from tagger.corpus.conll import SPLITS
from tagger.files import InputError
from tests.conftest import INPUTS, Data

GOOD = "-DOCSTART- -X- O\n\nAnn NNP B-PER\nKent NNP I-PER\nslept VBD O\n\nOslo NNP B-LOC\n\n"


def corpus_of(tmp_path: Path, **texts: str | bytes) -> Path:
    """The folder of a corpus, `mine`; the splits not given are GOOD."""
    folder = tmp_path / "corpora" / "mine"
    folder.mkdir(parents=True)
    for split in SPLITS:
        text = texts.get(split, GOOD)
        data = text if isinstance(text, bytes) else text.encode()
        (folder / f"{split}.conll").write_bytes(data)
    return folder


def result(tmp_path: Path, **texts: str | bytes) -> pd.DataFrame:
    """The train split of what download makes of a corpus."""
    download(corpus_of(tmp_path, **texts), tmp_path / "out", corpus="mine", held_out=0.1)
    return pd.read_parquet(tmp_path / "out" / "train.parquet")


def refusal(tmp_path: Path, **texts: str | bytes) -> str:
    """What download says of a bad corpus, having written nothing."""
    folder = corpus_of(tmp_path, **texts)
    with pytest.raises(InputError) as error:
        download(folder, tmp_path / "out", corpus="mine", held_out=0.1)
    assert [p.name for p in tmp_path.iterdir()] == ["corpora"]
    return str(error.value)


def test_datasets_and_pandas_open_what_it_writes(sample: Data, tmp_path: Path) -> None:
    for split, sentences in (("train", 600), ("validation", 150), ("test", 150)):
        path = sample.corpus / f"{split}.parquet"
        by_datasets = datasets.Dataset.from_parquet(str(path), cache_dir=str(tmp_path))
        by_pandas = pd.read_parquet(path)
        assert len(by_datasets) == len(by_pandas) == sentences
        assert list(by_pandas.columns) == ["tokens", "ner_tags", "document"]
        assert by_datasets["tokens"][3] == list(by_pandas["tokens"][3])
        labels = by_datasets.features["ner_tags"].feature
        assert isinstance(labels, datasets.ClassLabel)
        assert labels.names[:3] == ["O", "B-PER", "I-PER"]
        lines = (INPUTS / "corpora/sample" / f"{split}.conll").read_text().splitlines()
        words = [line.split() for line in lines if line and not line.startswith("-DOCSTART-")]
        assert by_pandas["tokens"].explode().tolist() == [word[0] for word in words]
        assert labels.int2str(by_pandas["ner_tags"].explode().tolist()) == [w[-1] for w in words]
        starts = sum(line.startswith("-DOCSTART-") for line in lines)
        assert by_pandas["document"].nunique() == by_pandas["document"].max() + 1 == starts
        assert by_pandas["document"].is_monotonic_increasing


def test_it_writes_the_same_bytes_again(sample: Data, tmp_path: Path) -> None:
    download(INPUTS / "corpora/sample", tmp_path / "again", corpus="sample", held_out=0.1)
    for path in sample.corpus.iterdir():
        assert path.read_bytes() == (tmp_path / "again" / path.name).read_bytes()


def test_documents_start_at_docstart_lines_wherever_they_stand(tmp_path: Path) -> None:
    text = (
        "early O\n\n-DOCSTART-\nfirst B-PER\n\nsecond O\n-DOCSTART- -X- -X- O\nthird O\n\n"
        "-DOCSTART- O\n\n-DOCSTART- O\n\nlast O"
    )
    table = result(tmp_path, train=text, validation="a B-PER\n", test="a O\n")
    assert [list(tokens) for tokens in table["tokens"]] == [
        ["early"], ["first"], ["second"], ["third"], ["last"],
    ]  # fmt: skip
    assert table["document"].tolist() == [0, 1, 1, 2, 3], "a document without a sentence is none"


def test_without_docstart_each_sentence_is_a_document(tmp_path: Path) -> None:
    table = result(tmp_path, train="a B-PER\n\nb B-LOC\n\n\n\nc O\n")
    assert table["document"].tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    "text",
    [
        "Ann B-PER\nKent I-PER\nof O\nOslo B-LOC\nBergen B-LOC\n",
        "Ann I-PER\nKent I-PER\nof O\nOslo I-LOC\nBergen B-LOC\n",
        "Ann B-PER\nKent E-PER\nof O\nOslo S-LOC\nBergen S-LOC\n",
        "Ann NNP x B-PER\r\nKent\tNNP  x I-PER\r\nof IN x O\r\nOslo NNP x B-LOC\r\n"
        "Bergen NNP x B-LOC\r\n",
        "\ufeffAnn B-PER\nKent I-PER\n  of O  \nOslo B-LOC\nBergen B-LOC",
    ],
    ids=["IOB2", "IOB1", "BIOES", "CRLF and columns", "BOM and spaces"],
)
def test_any_scheme_and_layout_becomes_iob2(tmp_path: Path, text: str) -> None:
    table = result(tmp_path, train=text, validation=text, test=text)
    assert list(table["tokens"][0]) == ["Ann", "Kent", "of", "Oslo", "Bergen"]
    assert list(table["ner_tags"][0]) == [1, 2, 0, 3, 3]  # O B-PER I-PER B-LOC I-LOC


def test_a_token_of_10000_characters_is_a_token(tmp_path: Path) -> None:
    token = "é" * 10_000
    table = result(tmp_path, train=GOOD + f"{token} X O\n")
    assert table["tokens"].iloc[-1][0] == token


@pytest.mark.parametrize("character", ["\u200b", "\ufeff", "\x00", "\u0301"])
def test_odd_characters_stay_in_their_token(tmp_path: Path, character: str) -> None:
    table = result(tmp_path, train=f"-DOCSTART- O\n\na{character}b B-PER\nc B-LOC\n")
    assert [list(tokens) for tokens in table["tokens"]] == [[f"a{character}b", "c"]]


@pytest.mark.parametrize("character", ["\x85", "\u2028", "\xa0"])
def test_odd_white_space_parts_neither_columns_nor_lines(tmp_path: Path, character: str) -> None:
    table = result(tmp_path, train=f"-DOCSTART- O\n\na{character}b B-PER\nc B-LOC\n")
    assert [list(tokens) for tokens in table["tokens"]] == [[f"a{character}b", "c"]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "validation.conll holds no sentence"),
        ("\n\n-DOCSTART- O\n\n", "validation.conll holds no sentence"),
        ("Ann\n", "validation.conll, line 1: 'Ann' has no tag; a line needs"),
        (
            "Ann x B-PER\nKent B-PER\n",
            "validation.conll, line 2: 2 columns, but the lines before it have 3: 'Kent B-PER'",
        ),
        ("Ann O\n\nb O O\n", "validation.conll, line 3: 3 columns, but the lines before it have 2"),
        ("Ann O\n\nb\n", "validation.conll, line 3: 'b' has no tag; a line needs"),
        (b"Ann O\nZ\xfcrich B-LOC\n", "validation.conll, line 2: byte 0xfc is not UTF-8"),
        ("Ann PER\n", "validation.conll, line 1: 'PER' is not a tag"),
        ("a O\n\nAnn Q-PER\n", "validation.conll, line 3: 'Q-PER' is not a tag.*: Ann"),
        (
            "-DOCSTART- O\n\nthe O\nKent I-PER\nAnn B-PER\n\nOslo B-LOC\n",
            "validation.conll, line 4: I-PER after O breaks IOB2, and the corpus fits none of "
            r"IOB2, IOB1, BIOES better \(places that break each, of 7 entities: IOB2: 1, IOB1: 5, "
            r"BIOES: \d+; less than 1 % are repaired\); correct the tags in the sentence: the Kent "
            "Ann$",
        ),
        (
            "Kent B-PER\nKent I-PER\n\nKent I-PER\n",
            "validation.conll, line 4: I-PER at the start of a sentence breaks IOB2",
        ),
        ("O B-O\n", "validation.conll, line 1: 'B-O' is not a tag"),
        ("Kent I-PER\n", r"different schemes: train \(.*\) in IOB2, validation \(.*\) in IOB1"),
    ],
)
def test_bad_files_are_refused_with_file_line_and_remedy(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    assert re.search(message, refusal(tmp_path, validation=text))


def test_train_without_entities_is_refused(tmp_path: Path) -> None:
    assert "train.conll holds no entity" in refusal(tmp_path, train="a O\n")


def test_an_entity_left_open_in_bioes_is_found(tmp_path: Path) -> None:
    good = "Ann B-PER\nKent E-PER\n\nOslo S-LOC\n"
    message = refusal(tmp_path, train=good * 3 + "\nAnn B-PER\n", validation=good, test=good)
    assert "train.conll, line 14: B-PER at the end of a sentence breaks BIOES" in message


def test_an_unknown_corpus_gets_the_names_there_are(tmp_path: Path) -> None:
    folder = corpus_of(tmp_path)
    for name in ("yours", "../corpora/mine", "..", "", "/", "/etc"):
        with pytest.raises(InputError, match=f"^there is no corpus '{name}' .`corpus` of"):
            download(folder.parent / name, tmp_path / "out", corpus=name, held_out=0.1)
    with pytest.raises(InputError, match=r"make check-corpus\); there are: mine\. Put your"):
        download(folder.parent / "yours", tmp_path / "out", corpus="yours", held_out=0.1)


def test_conllpp_comes_from_its_authors_at_a_commit() -> None:
    links = read_description(INPUTS / "corpora/conllpp").urls
    assert set(links) == set(SPLITS)
    commit = "ZihanWangKi/CrossWeigh/77d0c2dbf1a039211426f0fecb11daabba8e7bd1"
    assert all(commit in link.url for link in links.values())


@pytest.fixture
def elsewhere(tmp_path: Path) -> tuple[Path, Path]:
    """The folder of a corpus, `my-own`, that has urls alone, and a folder with what they name."""
    folder, mirror = tmp_path / "corpora/my-own", tmp_path / "mirror"
    folder.mkdir(parents=True)
    mirror.mkdir()
    lines = ["urls:"]
    for split in SPLITS:
        (mirror / f"my_{split}.txt").write_text(GOOD)
        sha256 = hashlib.sha256(GOOD.encode()).hexdigest()
        url = f"http://127.0.0.1:9/here/my_{split}.txt"
        lines += [f"  {split}: {{url: '{url}', sha256: {sha256}}}"]
    (folder / "corpus.yaml").write_text("\n".join(lines))
    return folder, mirror


@pytest.mark.parametrize("form", [str, Path.as_uri, lambda p: f"{p}/", lambda p: f"{p.as_uri()}/"])
def test_the_mirror_is_a_folder_or_a_url(
    tmp_path: Path,
    elsewhere: tuple[Path, Path],
    monkeypatch: pytest.MonkeyPatch,
    form: type[str],
) -> None:
    folder, mirror = elsewhere
    monkeypatch.setenv("MY_OWN_MIRROR", form(mirror))
    download(folder, tmp_path / "out", corpus="my-own", held_out=0.1)
    assert len(pd.read_parquet(tmp_path / "out" / "test.parquet")) == 2


def test_urls_are_read_as_they_stand(tmp_path: Path, elsewhere: tuple[Path, Path]) -> None:
    folder, mirror = elsewhere
    file = folder / "corpus.yaml"
    file.write_text(file.read_text().replace("http://127.0.0.1:9/here", mirror.as_uri()))
    link = read_description(folder).urls["test"]
    assert link == Link(url=f"{mirror.as_uri()}/my_test.txt", sha256=link.sha256)
    download(folder, tmp_path / "out", corpus="my-own", held_out=0.1)
    assert len(pd.read_parquet(tmp_path / "out" / "test.parquet")) == 2


def test_a_wrong_checksum_is_shown_and_nothing_is_kept(
    tmp_path: Path, elsewhere: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, mirror = elsewhere
    monkeypatch.setenv("MY_OWN_MIRROR", str(mirror))
    bad = mirror / "my_test.txt"
    bad.write_text(GOOD + "\n")
    expected, got = (hashlib.sha256(text.encode()).hexdigest() for text in (GOOD, GOOD + "\n"))
    with pytest.raises(InputError, match=rf"{bad} .*expected SHA-256 {expected}, got {got}"):
        download(folder, tmp_path / "out", corpus="my-own", held_out=0.1)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["corpora", "mirror"]


@pytest.mark.parametrize(
    "place", ["http://127.0.0.1:9", "/no/such/folder", "what://is.this", "http://[bad"]
)
def test_what_could_not_be_reached_is_named_with_the_ways_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setenv("CONLLPP_MIRROR", place)
    with pytest.raises(InputError) as error:
        download(INPUTS / "corpora/conllpp", tmp_path / "out", corpus="conllpp", held_out=0.1)
    for words in (f"{place}/conllpp_train.txt", "CONLLPP_MIRROR", "make sample"):
        assert words in str(error.value)
