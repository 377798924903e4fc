"""Word vectors from files, and through gensim's downloader from a stand-in for gensim-data."""

import gzip
import hashlib
import json
import sys
from pathlib import Path

import gensim.downloader
import numpy as np
import pytest
from gensim.models import KeyedVectors

from stages.embed import embed, read_word2vec
from tagger.encoding.vocabulary import Vocabulary, read_vectors
from tagger.files import InputError, read_lines
from tests.conftest import INPUTS, Data

TEXT = "3 2\nthe 1 2\nMay 3 -4\nmay 0.5 0\n"


def local(tmp_path: Path, text: str | bytes) -> Path:
    folder = tmp_path / "vectors"
    folder.mkdir()
    (folder / "mine.txt").write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def test_words_and_vectors_go_row_by_row(tmp_path: Path) -> None:
    embed(local(tmp_path, TEXT), tmp_path / "out", embeddings="mine")
    assert read_lines(tmp_path / "out" / "words.txt") == ["the", "May", "may"]
    vectors = np.load(tmp_path / "out" / "vectors.npy", mmap_mode="r")
    assert vectors.dtype == np.float32
    assert vectors.tolist() == [[1, 2], [3, -4], [0.5, 0]]


def test_unknown_is_the_mean_and_padding_is_zero(tmp_path: Path) -> None:
    embed(local(tmp_path, TEXT), tmp_path / "out", embeddings="mine")
    table = read_vectors(tmp_path / "out")
    vocabulary = Vocabulary(read_lines(tmp_path / "out" / "words.txt"))
    assert (vocabulary.unknown, vocabulary.padding) == (3, 4)
    assert table[vocabulary.unknown].tolist() == [1.5, pytest.approx(-2 / 3)]
    assert table[vocabulary.padding].tolist() == [0, 0]
    assert table[vocabulary.look_up("May").id].tolist() == [3, -4]


def test_an_exact_match_comes_first() -> None:
    vocabulary = Vocabulary(["may", "May", "the"])
    tokens = ["May", "may", "MAY", "The", "bee"]
    assert [vocabulary.look_up(token) for token in tokens] == [
        (1, "exact"), (0, "exact"), (0, "lower"), (2, "lower"), (3, "unknown"),
    ]  # fmt: skip


def test_words_may_hold_what_ends_a_line_elsewhere(tmp_path: Path) -> None:
    words = ["a\u2028b", "c\x85d", "e\x0bf", "g\rh"]
    text = f"{len(words)} 1\n" + "".join(f"{word} {i}\n" for i, word in enumerate(words))
    embed(local(tmp_path, text), tmp_path / "out", embeddings="mine")
    assert read_lines(tmp_path / "out" / "words.txt") == words


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1: the first line must be `words dimension`"),
        ("the 1 2\n", "line 1: the first line must be `words dimension`"),
        ("the 1\n", "line 1: invalid literal for int"),
        ("9 2\nthe 1 2\n", "line 2: the file ends after 1 words, not 9"),
        ("1 2\nthe 1 2\na 1 2\n", "line 3: more words than the 1 that"),
        ("2 2\nthe 1 2\na 1\n", "line 3: 1 numbers, not 2"),
        ("1 2\nthe one two\n", "line 2: could not convert string to float: 'one'"),
        (b"1 1\n\xff 1\n", "'utf-8' codec can't decode byte 0xff"),
        ("1 2\nthe 1 nan\n", "line 2: a number that is not finite"),
        ("1 2\nthe 1 1e39\n", "line 2: a number that is not finite"),
        ("2 1\nthe 1\nthe 2\n", "line 3: 'the' stands on line 2 already"),
        ("1 0\nthe\n", "line 1: there must be at least one word and one dimension"),
        ("0 2\n", "line 1: there must be at least one word"),
    ],
)
def test_bad_files_are_refused_by_line(tmp_path: Path, text: str | bytes, message: str) -> None:
    vectors = local(tmp_path, text)
    with pytest.raises(InputError, match=rf"mine.txt, .*{message}.* Text in word2vec format has"):
        embed(vectors, tmp_path / "out", embeddings="mine")
    assert [p.name for p in tmp_path.iterdir()] == ["vectors"]


def test_a_damaged_archive_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "cut.gz"
    data = gzip.compress(TEXT.encode())
    for damaged in (data[:-9], data[:20] + b"\0\0\0\0" + data[24:], b"no archive"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"cut.gz, line \d: "):
            read_word2vec(path)


def test_the_sample_is_read_as_gensim_reads_it(sample: Data) -> None:
    keyed = KeyedVectors.load_word2vec_format(str(INPUTS / "vectors" / "sample.txt"))
    assert read_lines(sample.embeddings / "words.txt") == keyed.index_to_key
    assert np.array_equal(np.load(sample.embeddings / "vectors.npy"), keyed.vectors)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for gensim-data with a model `tiny`, and an empty folder to download to."""
    folder = tmp_path / "hub"
    (folder / "tiny").mkdir(parents=True)
    data = gzip.compress(TEXT.encode())
    (folder / "tiny" / "tiny.gz").write_bytes(data)
    (folder / "tiny" / "__init__.py").write_text("raise SystemExit('downloaded code ran')")
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    model = {"checksum": md5, "file_name": "tiny.gz", "parts": 1}
    information = {"corpora": {}, "models": {"tiny": model}}
    (folder / "list.json").write_text(json.dumps(information))
    monkeypatch.setattr(gensim.downloader, "DOWNLOAD_BASE_URL", folder.as_uri())
    monkeypatch.setattr(gensim.downloader, "BASE_DIR", str(tmp_path / "cache"))
    load_info = gensim.downloader._load_info
    monkeypatch.setattr(
        gensim.downloader, "_load_info", lambda: load_info(f"{folder.as_uri()}/list.json")
    )
    return folder


def test_a_model_is_downloaded_once_and_its_code_never_runs(tmp_path: Path, hub: Path) -> None:
    vectors = tmp_path / "none"
    embed(vectors, tmp_path / "out", embeddings="tiny")
    (hub / "tiny" / "tiny.gz").unlink()
    (hub / "list.json").unlink()  # no network now: what is in the folder serves
    embed(vectors, tmp_path / "again", embeddings="tiny")
    for name in ("words.txt", "vectors.npy"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    assert not any("tiny" in name for name in sys.modules)


def test_a_wrong_checksum_is_refused_and_nothing_is_kept(tmp_path: Path, hub: Path) -> None:
    (hub / "tiny" / "tiny.gz").write_bytes(gzip.compress(b"1 1\nthe 1\n"))
    with pytest.raises(
        InputError, match=r"could not get tiny, of MD5 \w{32}, into .*: Checksum comparison failed"
    ):
        embed(tmp_path / "none", tmp_path / "out", embeddings="tiny")
    assert not (tmp_path / "out").exists()
    assert [p.name for p in (tmp_path / "cache").iterdir()] == ["information.json"]


def test_an_unknown_name_gets_the_names_there_are(tmp_path: Path, hub: Path) -> None:
    with pytest.raises(InputError, match=r"no embeddings 'glove' in text; there are: mine, tiny$"):
        embed(local(tmp_path, TEXT), tmp_path / "out", embeddings="glove")


def test_without_a_network_the_message_names_the_ways_out(
    tmp_path: Path, hub: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (hub / "list.json").unlink()
    with pytest.raises(InputError) as error:
        embed(local(tmp_path, TEXT), tmp_path / "out", embeddings="tiny")
    for words in (
        "could not reach gensim-data",
        "There are here: mine",
        "GENSIM_DATA_DIR",
        "make sample",
    ):
        assert words in str(error.value)
    assert "Traceback" not in capfd.readouterr().err
