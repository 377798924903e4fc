"""Word vectors from files, and through gensim's downloader from a stand-in for gensim-data."""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import shutil
import struct
import sys
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import gensim.downloader
import numpy as np
import pytest
from gensim.models import FastText, KeyedVectors
from gensim.models.fasttext import save_facebook_model
from hypothesis import given, settings
from hypothesis import strategies as st

from stages.embed import embed, find_file
from stages.word_vectors import BLOCK
from tagger.encoding.vocabulary import Vocabulary, read_vectors
from tagger.files import InputError, read_lines
from tests.conftest import INPUTS, Clone, Data

GLOVE = "the 1 2\nMay 3 -4\nmay 0.5 0\n"
TEXT = f"3 2\n{GLOVE}"
WORDS = ["the", "May", "may"]
ROWS: list[list[float]] = [[1, 2], [3, -4], [0.5, 0]]


def local(tmp_path: Path, data: str | bytes, name: str = "mine.txt") -> Path:
    path = tmp_path / "vectors" / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def read(tmp_path: Path, data: str | bytes, name: str = "mine.txt") -> tuple[list[str], np.ndarray]:
    """The words and the vectors that the stage makes of a file."""
    embed(local(tmp_path, data, name), tmp_path / "out")
    return read_lines(tmp_path / "out" / "words.txt"), np.load(tmp_path / "out" / "vectors.npy")


def zipped(*names: str) -> bytes:
    """An archive that holds the text under each name."""
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(zipfile.ZipInfo(name), TEXT, zipfile.ZIP_DEFLATED)  # of no time
    return data.getvalue()


def tarred() -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as archive:
        member = tarfile.TarInfo("vectors.txt")
        member.size = len(TEXT)
        archive.addfile(member, io.BytesIO(TEXT.encode()))
    return data.getvalue()


def binary(
    words: Sequence[str | bytes], rows: Sequence[Sequence[float]], header: str = "", end: str = "\n"
) -> bytes:
    """word2vec's binary form, in which `end` follows each vector."""
    data = (header or f"{len(words)} {len(rows[0])}\n").encode()
    for word, row in zip(words, rows, strict=True):
        name = word if isinstance(word, bytes) else word.encode()
        data += name + b" " + struct.pack(f"<{len(row)}f", *row) + end.encode()
    return data


def test_words_and_vectors_go_row_by_row(tmp_path: Path) -> None:
    words, vectors = read(tmp_path, TEXT)
    assert words == WORDS
    assert vectors.dtype == np.float32
    assert vectors.tolist() == ROWS


def test_unknown_is_the_mean_and_padding_is_zero(tmp_path: Path) -> None:
    read(tmp_path, TEXT)
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


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(GLOVE, id="no first line"),
        pytest.param(GLOVE[:-1], id="no last line feed"),
        pytest.param(TEXT.replace("\n", "\r\n"), id="CRLF"),
        pytest.param(TEXT.replace("\n", "  \t\n"), id="trailing blanks"),
        pytest.param(TEXT.replace(" ", "\t"), id="tabs"),
        pytest.param(TEXT.replace(" ", "   "), id="several blanks"),
        pytest.param("\n\n" + TEXT.replace("\n", "\n\n"), id="blank lines"),
        pytest.param(b"\xef\xbb\xbf" + TEXT.encode(), id="BOM before the first line"),
        pytest.param(b"\xef\xbb\xbf" + GLOVE.encode(), id="BOM before the first word"),
        pytest.param(TEXT.replace(" 2\nMay 3", " 2.0000\nMay +3e0"), id="other numbers"),
        pytest.param(TEXT.replace("0.5", "0.5" + 400 * "0"), id="many digits"),
        pytest.param(gzip.compress(TEXT.encode(), mtime=0), id="gzip"),
        pytest.param(
            gzip.compress(TEXT[:9].encode(), mtime=0) + gzip.compress(TEXT[9:].encode(), mtime=0),
            id="two",
        ),
        pytest.param(bz2.compress(GLOVE.encode()), id="bzip2"),
        pytest.param(lzma.compress(GLOVE.encode()), id="xz"),
        pytest.param(zipped("some/vectors.vec"), id="zip"),
        pytest.param(zipped("mine.txt", "__MACOSX/._mine.txt"), id="zip of macOS"),
        pytest.param(binary(WORDS, ROWS), id="word2vec's binary"),
        pytest.param(binary(WORDS, ROWS, "3 2\r\n"), id="binary, CRLF"),
        pytest.param(binary([f"\n{w}" for w in WORDS], ROWS, end=""), id="line feeds before words"),
        pytest.param(binary(WORDS, ROWS, end=""), id="gensim's binary"),
        pytest.param(gzip.compress(binary(WORDS, ROWS), mtime=0), id="binary, gzip"),
    ],
)
def test_the_same_vectors_in_each_form(tmp_path: Path, data: str | bytes) -> None:
    """The name says nothing of the form."""
    words, vectors = read(tmp_path, data)
    assert words == WORDS
    assert vectors.tolist() == ROWS


@pytest.mark.parametrize(
    "words",
    [
        ["a\u2028b", "c\x85d", "e\x0bf", "g\rh", "i\x01j"],  # which end a line elsewhere
        ["at name@domain.com", ". . .", "x  y", "\xa0", "New inf"],  # blanks inside
        ["1", "2003", "-", "x"],
        ["3", "4\u0660", "nan", "inf"],
    ],
)
@pytest.mark.parametrize("header", [True, False])
def test_words_may_be_odd(tmp_path: Path, words: list[str], header: bool) -> None:
    rows = "".join(f"{word} {i}.5 -1\n" for i, word in enumerate(words))
    assert read(tmp_path, f"{len(words)} 2\n{rows}" if header else rows)[0] == words


@pytest.mark.parametrize(
    ("data", "words", "told"),
    [
        (f"{GLOVE}the 9 9\nthe 8 8\n", WORDS, "first counts: 2, as 'the', lines 1 and 4"),
        (binary([*WORDS, "the"], [*ROWS, [9, 9]]), WORDS, "counts: 1, as 'the', words 1 and 4"),
        (b"z\xfcrich 7 7\n" + GLOVE.encode(), ["z�rich", *WORDS], "not UTF-8: 1; � stands"),
        (binary([b"\xfc", *WORDS], [[7, 7], *ROWS]), ["�", *WORDS], "not UTF-8: 1; � stands"),
        (f"x y 7 7\n{GLOVE}", ["x y", *WORDS], "with a blank in them: 1, as 'x y'"),
        (f"{GLOVE} 7 7\n", WORDS, "empty or a blank, and left out: 1"),
        (f" 7 7\n{GLOVE}", WORDS, "empty or a blank, and left out: 1"),
        (f"9 2\n{GLOVE}", WORDS, "states 9 words, but 3 follow"),
        (f"2 2\n{GLOVE}", WORDS, "states 2 words, but 3 follow"),
    ],
)
def test_what_is_odd_is_told(
    tmp_path: Path,
    data: str | bytes,
    words: list[str],
    told: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    found, vectors = read(tmp_path, data)
    assert found == words
    assert vectors.tolist() == [[7, 7]] * (len(words) - 3) + ROWS
    assert told in capsys.readouterr().out


def test_a_real_replacement_character_is_not_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    read(tmp_path, "� 1 2\n")
    assert "UTF-8" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", " is empty"),
        (" \n\n", " is empty"),
        ("3 2\n\n", " has no words after its first line"),
        ("the 1\na 2\n", r", line 1 \('the'\): only one number .* list of frequencies"),
        ("the\na\n", r", line 1 \('the'\): no numbers, with blanks or tabs between, .*\.bin"),
        ("the,1,2\n", r", line 1 \('the,1,2'\): no numbers, with blanks or tabs"),
        ("<!DOCTYPE html>\n", ", line 1 .*: no numbers"),
        ('{"the": [1, 2]}', ", line 1 .*: no numbers"),
        ("0.1 0.2 0.3\n0.4 0.5 0.6\n", ", lines 1 to 2: each begins with a number"),
        ("2 2\nthe 1 2\na 1\n", r", line 3 \('a'\): 1 numbers, not 2 as the first line states"),
        ("the 1 2\n\na 1\n", r", line 3 \('a'\): 1 numbers, not 2 as the first line has"),
        ("the 1 2\na 1 2 3\n", r", line 2 \('a'\): more than the 2 numbers .* write _ for"),
        ("9 3\nthe 1 2\n", r", line 2 \('the'\): 2 numbers, not 3 as the first line states"),
        ("9 1\nthe 1 2\n", r", line 2 \('the'\): more than the 1 numbers"),
        (f"{TEXT}{TEXT}", r", line 5 \('3'\): 1 numbers, not 2"),
        ("9 2\nthe 1 2\na 1 2", " ends within line 3, after 2 of the 9 words"),
        ("1 2\nthe one 2\n", r", line 2 \('the'\): 'one' is not a number"),
        ("the 1 2\na 0x1 2\n", r", line 2 \('a'\): '0x1' is not a number"),
        ("the 1 2\na 0,5 2\n", r", line 2 \('a'\): '0,5' is not .* decimals with a point"),
        ("the 1 2\na b nan\n", r", line 2 \('a'\): 'b' is not a number"),
        ("1 2\nthe 1 nan\n", r", line 2 \('the'\): a number is not finite"),
        ("a 1 2\nthe inf 1\n", r", line 2 \('the'\): a number is not finite"),
        ("1 2\nthe 1 1e39\n", r", line 2 \('the'\): a number is not finite in single precision"),
        ("the nan nan\n", r", line 1 \('the'\): a number is not finite"),
        ("the 1 2\nMay -nan(ind) 2\n", r", line 2 \('May'\): '-nan\(ind\)' is not a number"),
        (
            "0 the 1 2\n1 May 3 4\n2 x 1 1\n",
            ", lines 1 to 3: most words begin with a number and a b",
        ),
        ("\tword\t0\t1\n0\tthe\t1\t2\n1\tMay\t3\t4\n", ", lines 1 to 3: most words begin with a"),
        ("word 0 1 2\nthe 1 2 3\n", r", line 1 \('word'\): the first line counts the columns"),
        ("the 1:0.5 2:0.3\n", r", line 1 \('the'\): no numbers"),
        ("the [0.1, 0.2]\n", r", line 1 \('the'\): no numbers"),
        ("the 0.1 0.2 DT\n", r", line 1 \('the'\): no numbers"),
        ("2,000 2\nthe 1 2\n", r", line 1 \('2,000'\): only one number"),
        (
            "2 3\nthe 1 2\nMay 3 4\n",
            r", line 2 \('the'\): 2 numbers, not 3 as the first line states",
        ),
        ("2 4\nдом 1 2 3\nиз 1 2 3\n", r", line 2 \('дом'\): 3 numbers, not 4 as the first"),
        ("2 2\nдом nan nan\nиз 1 2\n", r", line 2 \('дом'\): a number is not finite"),
        (
            "2 2\nдом 1,5 2,5\nиз 1 2\n",
            r", line 2 \('дом'\): '1,5' is not a number; write decimals",
        ),
        ("version https://git-lfs.github.com/spec/v1\n", " is what Git LFS puts in a file's place"),
        (tarred(), " is a tar archive; unpack the file"),
        (gzip.compress(tarred(), mtime=0), " is a tar archive; unpack the file"),
        (
            gzip.compress(gzip.compress(TEXT.encode(), mtime=0), mtime=0),
            " has no vectors that can be read",
        ),
        (binary(WORDS, ROWS, "", end="")[len("3 2\n") :], " has no vectors that can be read"),
        (binary(["New York", "a", "b"], ROWS), ", word 2 .*: a line feed in a word"),
        ("1 0\nthe\n", ", line 1 .*: the first line states 0 dimensions"),
        ("1 99999999999\nthe 1\n", ", line 1 .*: the first line states 99999999999"),
        ("the 1 2\rMay 3 4\r", ", line 1 .*: lines end in a carriage return alone"),
        (TEXT.encode("utf-16"), " is UTF-16; save it as UTF-8"),
        (binary(WORDS, ROWS)[:-2], " ends or is damaged in word 3 of the 3 of 2 dim"),
        (binary(WORDS, ROWS, "9 2\n"), " ends or is damaged in word 4 of the 9"),
        (binary(WORDS, ROWS, "2 2\n"), " goes on after the 2 words of 2 dimensions"),
        (binary(WORDS, ROWS, "3 3\n"), " ends or is damaged in word 3 of the 3"),
        (binary(WORDS, ROWS, "3 1\n"), ", word 2 .*: a line feed in a word"),
        (binary(["a", "b"], [[1, 2], [np.nan, 2]]), r", word 2 \('b'\): a number is not finite"),
        (b"\x80\x04\x95\x00gensim's .model", r" has no vectors that can be read.*save_word2vec"),
        (b"\x93NUMPY\x01\x00v\x00{'descr': '<f4'}\n", " has no vectors that can be read"),
        (b"SQLite format 3\x00\x10\x00", " has no vectors that can be read"),
        (b"\xba\x16\x4f\x2f\x0c\x00\x00\x00 fastText, cut", " is damaged"),
        (gzip.compress(b"vectors.tar\0\0\0 ustar", mtime=0), " has no vectors that can be read"),
        (gzip.compress(TEXT.encode(), mtime=0)[:-9], " is damaged"),
        (gzip.compress(TEXT.encode(), mtime=0)[:-8] + b"12345678", " is damaged"),
        (b"BZh91AY&SY", " is damaged"),
        (zipped("a.txt")[:-9], " is damaged"),
        (zipped("a.txt", "b.txt"), r" holds 2 files \(a.txt, b.txt\), not one; unpack"),
        (zipped(), " has no vectors that can be read"),
    ],
)
def test_bad_files_are_refused_in_a_line(tmp_path: Path, data: str | bytes, message: str) -> None:
    path = local(tmp_path, data)
    with pytest.raises(InputError, match=f"mine.txt{message}") as error:
        embed(path, tmp_path / "out")
    assert "\n" not in str(error.value)
    assert [p.name for p in tmp_path.iterdir()] == ["vectors"]


words_of_gensim = st.text(
    st.characters(codec="utf-8", exclude_categories=["Z", "C"]), min_size=1, max_size=8
)


@settings(max_examples=25)
@given(
    st.lists(words_of_gensim, min_size=1, max_size=9, unique=True),
    st.integers(8, 12),
    st.sampled_from([(False, False), (False, True), (True, True)]),
    st.randoms(use_true_random=False),
)
def test_what_gensim_writes_is_read_as_it_was(
    tmp_path_factory: pytest.TempPathFactory,
    words: list[str],
    dimension: int,
    form: tuple[bool, bool],
    random: Random,
) -> None:
    is_binary, header = form
    folder = tmp_path_factory.mktemp("gensim")
    keyed = KeyedVectors(dimension)
    rows = [[random.uniform(-1, 1) for _ in range(dimension)] for _ in words]
    keyed.add_vectors([f"w{word}" for word in words], np.array(rows, dtype=np.float32))
    path = folder / "vectors"
    keyed.save_word2vec_format(str(path), binary=is_binary, write_header=header)
    embed(path, folder / "out")
    assert read_lines(folder / "out" / "words.txt") == keyed.index_to_key
    assert np.array_equal(np.load(folder / "out" / "vectors.npy"), keyed.vectors)


def test_blocks_join_and_the_bytes_are_those_of_numpy(tmp_path: Path) -> None:
    """The second block ends with a word that the first has, and the last is numbers alone."""
    count = 2 * BLOCK
    names = [f"w{i}" for i in range(count)]
    names[-1] = "w0"
    names += ["12", "34"]
    text = "".join(f"{name} {i} -1\n" for i, name in enumerate(names)) + "\n"
    words, vectors = read(tmp_path, text)
    expected = [i for i in range(count + 2) if i != count - 1]
    assert words == [names[i] for i in expected]
    assert vectors.tolist() == [[i, -1] for i in expected]
    np.save(tmp_path / "expected.npy", vectors)
    written = (tmp_path / "out" / "vectors.npy").read_bytes()
    assert written == (tmp_path / "expected.npy").read_bytes()


@pytest.mark.parametrize(
    "pack", [bytes, gzip.compress, bz2.compress], ids=["plain", "gzip", "bzip2"]
)
def test_a_model_of_fasttext_gives_its_words(
    tmp_path: Path, pack: Callable[[bytes], bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    model = FastText(
        [["die", "größte", "bank"]] * 5, vector_size=4, min_count=1, bucket=50, workers=1, epochs=1
    )
    save_facebook_model(model, str(tmp_path / "model.bin"))
    words, vectors = read(tmp_path, pack((tmp_path / "model.bin").read_bytes()), "model.bin")
    assert sorted(words) == ["bank", "die", "größte"]
    assert np.allclose(vectors, [model.wv[word] for word in words])
    assert "sub-words" in capsys.readouterr().out


def test_the_sample_is_read_as_gensim_reads_it(sample: Data) -> None:
    keyed = KeyedVectors.load_word2vec_format(str(INPUTS / "vectors/sample/vectors.txt"))
    assert read_lines(sample.embeddings / "words.txt") == keyed.index_to_key
    assert np.array_equal(np.load(sample.embeddings / "vectors.npy"), keyed.vectors)


def test_a_folder_holds_one_file_of_vectors(tmp_path: Path) -> None:
    path = local(tmp_path, TEXT, "mine.vec")
    for name in ("README", "LICENSE.txt", ".gitignore", "mine.vec.dvc", "notes.md"):
        local(tmp_path, "not vectors", name)
    (path.parent / "other").mkdir()
    assert find_file(path.parent) == path
    local(tmp_path, TEXT, "mine.txt")
    with pytest.raises(InputError, match=r"vectors must hold one file.*are: mine.txt, mine.vec\."):
        find_file(path.parent)


def test_vectors_of_a_similar_name_are_named(tmp_path: Path) -> None:
    for name in ("glove.6B.50d.txt", "mine.vec", "other.txt"):
        local(tmp_path, TEXT, name)
    folder = tmp_path / "vectors"
    for asked, there in (
        ("glove.6B.50d", "glove.6B.50d.txt"),
        ("mine.txt", "mine.vec"),
        ("mine", "mine.vec"),
    ):
        with pytest.raises(InputError, match=f"no .*{asked}, but {there}: .*embeddings: {there}"):
            find_file(folder / asked)
    with pytest.raises(InputError, match=r"no .*x; there are: glove\.6B\.50d\.txt, mine\.vec, oth"):
        find_file(folder / "x")


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for gensim-data with a model `tiny`, and an empty folder to download to."""
    folder = tmp_path / "hub"
    (folder / "tiny").mkdir(parents=True)
    data = gzip.compress(TEXT.encode(), mtime=0)
    (folder / "tiny" / "tiny.gz").write_bytes(data)
    (folder / "tiny" / "__init__.py").write_text("raise SystemExit('downloaded code ran')")
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    model = {"checksum": md5, "file_name": "tiny.gz", "parts": 1}
    information = {"corpora": {}, "models": {"tiny": model, "__testing": model}}
    (folder / "list.json").write_text(json.dumps(information))
    monkeypatch.setattr(gensim.downloader, "DOWNLOAD_BASE_URL", folder.as_uri())
    monkeypatch.setattr(gensim.downloader, "BASE_DIR", str(tmp_path / "cache"))
    load_info = gensim.downloader._load_info
    monkeypatch.setattr(
        gensim.downloader, "_load_info", lambda: load_info(f"{folder.as_uri()}/list.json")
    )
    return folder


def source(tmp_path: Path, text: str = "gensim: tiny\nlicence: PDDL\n") -> Path:
    return local(tmp_path, text, "vectors.yaml").parent


def test_a_model_is_downloaded_once_and_its_code_never_runs(tmp_path: Path, hub: Path) -> None:
    embed(source(tmp_path), tmp_path / "out")
    (hub / "tiny" / "tiny.gz").unlink()
    (hub / "list.json").unlink()  # no network now: what is in the folder serves
    embed(source(tmp_path), tmp_path / "again")
    assert read_lines(tmp_path / "out" / "words.txt") == WORDS
    for name in ("words.txt", "vectors.npy"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    assert not any("tiny" in name for name in sys.modules)


def test_a_wrong_checksum_is_refused_and_nothing_is_kept(tmp_path: Path, hub: Path) -> None:
    (hub / "tiny" / "tiny.gz").write_bytes(gzip.compress(b"1 1\nthe 1\n", mtime=0))
    with pytest.raises(
        InputError, match=r"could not get tiny, of MD5 \w{32}, into .*: Checksum comparison failed"
    ):
        embed(source(tmp_path), tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert [p.name for p in (tmp_path / "cache").iterdir()] == ["information.json"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("gensim: glove\n", "no model 'glove'; it has: tiny$"),
        ("gensim: __testing\n", "no model '__testing'; it has: tiny$"),
        ("model: tiny\n", "has the keys model; it must have `gensim`"),
        ("gensim: tiny\nurl: x\n", "has the keys gensim, url; it must have `gensim`"),
        ("gensim: [tiny]\n", "line 1: a list"),
        ("", "must hold `key: value` lines"),
    ],
)
def test_what_names_no_model_is_refused(tmp_path: Path, hub: Path, text: str, message: str) -> None:
    with pytest.raises(InputError, match=f"vectors.yaml.*{message}"):
        embed(source(tmp_path, text), tmp_path / "out")


def test_without_a_network_the_message_names_the_ways_out(
    tmp_path: Path, hub: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (hub / "list.json").unlink()
    with pytest.raises(InputError, match=r"could not reach gensim-data.*vectors\.yaml") as error:
        embed(source(tmp_path), tmp_path / "out")
    for words in ("GENSIM_DATA_DIR", "make sample"):
        assert words in str(error.value)
    assert "Traceback" not in capfd.readouterr().err


def test_each_folder_of_gensims_models_names_one() -> None:
    """So that `dvc exp run -S embeddings=MODEL` finds what dvc.yaml names."""
    folders = [path.parent for path in (INPUTS / "vectors").glob("*/vectors.yaml")]
    assert len(folders) >= 12
    for folder in folders:
        lines = read_lines(find_file(folder))
        assert lines[0] == f"gensim: {folder.name}"


def test_other_vectors_beside_make_no_stage_stale(reproduced: Clone, tmp_path: Path) -> None:
    shutil.copytree(reproduced.path, tmp_path / "clone", symlinks=True)
    here = Clone(tmp_path / "clone", reproduced.env)
    for key, value in (("user.name", "Test"), ("user.email", "test@example.org")):
        here.run("git", "config", key, value)
    current = "Data and pipelines are up to date.\n"
    assert here.run("dvc", "status") == current
    vectors = here.path / "data/inputs/vectors"
    other = here.path / "data/inputs/corpora/my own é"
    shutil.copytree(INPUTS / "corpora/sample", other)
    (vectors / "my words é").mkdir()
    (vectors / "my words é" / "any name.vec").write_text(TEXT, encoding="utf-8")
    (vectors / "flat.txt").write_text(GLOVE, encoding="utf-8")
    assert here.run("dvc", "status") == current
    settings = ("-S", f'corpus="{other.name}"', "download")
    for name, more in (("flat.txt", ()), ("my words é", settings)):
        output = here.run("dvc", "exp", "run", "-S", f'embeddings="{name}"', *more, "embed")
        assert read_lines(here.path / "data/embeddings/words.txt") == WORDS
        assert here.run("dvc", "status", "embed") == current
    assert f"corpus {other.name}\n" in output
    (vectors / "my words é" / "any name.vec").write_text(f"{GLOVE}x 1 2\n", encoding="utf-8")
    assert "modified:           data/inputs/vectors/my words é" in here.run("dvc", "status")
