"""What a stranger's commit says is shown, and nothing of it is followed or believed unseen."""

import json
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import pandas as pd
import pytest
from dvc.config import Config
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

import evaluation.results
import review.__main__
import review.lock
import review.revision
from evaluation.results import Predictions, score_predictions
from evaluation.significance import Difference, f1
from evaluation.slices import SLICES, Train, by_document
from review.__main__ import Review, align, load_markdown
from review.compare import Comparison, Row, compare_split
from review.escape import markdown, terminal
from review.lock import Lock, read_lock
from review.revision import METRICS, SENTENCES, Revision, changed_code, empty_tree, flatten
from tagger.files import InputError
from tests.conftest import ROOT
from tests.test_review import table

DVC_YAML = """
stages:
  train:
    cmd: python train.py
    deps: [code]
    params: [seed]
    outs: [data/model, {metrics/metrics.json: {cache: false}}]
"""


class Repository:
    """A git repository whose commits are made of objects, so that they may hold anything."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self.git("init", "-q", "-b", "main")

    def git(self, *arguments: str, given: bytes = b"") -> str:
        identity = ("-c", "user.name=Test", "-c", "user.email=test@example.org")
        command = ["git", *identity, *arguments]
        result = subprocess.run(command, cwd=self.path, input=given, capture_output=True)
        assert not result.returncode, result.stderr
        return result.stdout.decode().strip()

    def commit(self, files: dict[str, str | bytes], links: dict[str, str] | None = None) -> str:
        """Commit files and symbolic links to the branch `hostile`; the hash of the commit."""
        self.git("read-tree", "--empty")
        for mode, contents in (("100644", files), ("120000", links or {})):
            for name, content in contents.items():
                data = content if isinstance(content, bytes) else content.encode()
                hash_ = self.git("hash-object", "-w", "--stdin", given=data)
                self.git("update-index", "--add", "--cacheinfo", mode, hash_, name)
        return self.commit_tree(self.git("write-tree"))

    def commit_tree(self, tree: str) -> str:
        commit = self.git("commit-tree", "-m", "Hostile", tree)
        self.git("update-ref", "refs/heads/hostile", commit)
        return commit

    def find(self, name: str = "hostile") -> Revision:
        return Revision.find(self.path, name)


@pytest.fixture
def repository(
    tmp_path: Path, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> Repository:
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    for module in (review.revision, review.lock):  # or DVC would be asked, which takes a second
        monkeypatch.setattr(module, "cache_of", lambda root: root / ".dvc/cache")
    return Repository(tmp_path / "repository")


FILES: dict[str, str | bytes] = {
    "dvc.yaml": DVC_YAML,
    "params.yaml": "seed: 1\n",
    "code/a.py": "a = 1\n",
    "metrics/metrics.json": "{}\n",
}


@pytest.fixture
def connections() -> Iterator[tuple[int, list[object]]]:
    """The port of a server, and a list that grows with each connection to it."""
    made: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connection, address = server.accept()
                except OSError:
                    return
                made.append(address)
                connection.close()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server.getsockname()[1], made
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.slow
def test_nothing_of_a_commit_is_followed(
    repository: Repository,
    connections: tuple[int, list[object]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    port, made = connections
    victim, marker = tmp_path / "victim", tmp_path / "marker"
    victim.write_text("mine")
    url = f"http://127.0.0.1:{port}"
    import_url = f"deps: [{{path: '{url}/data'}}]\nouts: [{{path: fetched}}]\n"
    hook = f"#!/bin/sh\ntouch {marker}\n"
    repository.commit(
        FILES
        | {
            ".dvc/config": f"[core]\n  remote = r\n['remote \"r\"']\n  url = {url}\n",
            "fetched.dvc": import_url,
            "code/fetched.dvc": import_url,
            "code/dvc.yaml": f"stages: {{x: {{cmd: x, deps: ['{url}/y'], outs: [z]}}}}",
            ".gitattributes": "* filter=evil\n",
            ".gitmodules": f'[submodule "s"]\n  path = s\n  url = {url}/s\n',
            ".githooks/post-checkout": hook,
        },
        {".dvc/config.local": str(victim), "notes": "/etc/passwd"},
    )  # fmt: skip
    hash_ = repository.git("rev-parse", "hostile")
    repository.git("update-index", "--add", "--cacheinfo", "160000", hash_, "s")
    hook_hash = repository.git("rev-parse", "hostile:.githooks/post-checkout")
    repository.git("update-index", "--cacheinfo", "100755", hook_hash, ".githooks/post-checkout")
    repository.commit_tree(repository.git("write-tree"))
    settings = tmp_path / "settings"  # as a user has them for other repositories
    settings.write_text(
        "[core]\n  hooksPath = .githooks\n[submodule]\n  recurse = true\n"
        f'[filter "evil"]\n  smudge = "touch {marker}; cat"\n'
    )
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    monkeypatch.setenv("no_proxy", "127.0.0.1")

    lock = read_lock(repository.find())
    assert lock == Lock({"train": ["not in dvc.lock"]}, [], "train")
    assert victim.read_text() == "mine"
    assert not marker.exists()
    assert made == []
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("files", "links", "message"),
    [
        ({}, {"params.yaml": "/etc/passwd"}, "params.yaml of hostile .* must hold `key: value`"),
        ({}, {"metrics/metrics.json": "/etc/passwd"}, "json of hostile .* is a symbolic link"),
        ({}, {"code": "/etc"}, "code of hostile .* is a symbolic link: put the files themselves"),
        ({"code/a.py": ""}, {"code/b": "/etc/passwd"}, "code/b of hostile .* is a symbolic link"),
        ({}, {"dvc.yaml": "code"}, "dvc.yaml of hostile .* must hold"),
    ],
)
def test_a_link_in_a_commit_is_refused_where_it_is_needed(
    repository: Repository, files: dict[str, str], links: dict[str, str], message: str
) -> None:
    kept = {name: text for name, text in FILES.items() if name.split("/")[0] not in links}
    repository.commit({**kept, **files} if "metrics/metrics.json" not in links else
                      {k: v for k, v in kept.items() if k not in links}, links)  # fmt: skip
    with pytest.raises(InputError, match=message):
        read_lock(repository.find())


def test_a_link_in_the_working_tree_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("password: 1\n")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree/params.yaml").symlink_to(tmp_path / "secret")
    with pytest.raises(InputError, match=r"^params\.yaml of here is a symbolic link: put the file"):
        Revision(tmp_path / "tree", "here", None).parameters()


@pytest.mark.parametrize("name", ["..", ".", "a/../../b", "/b"])
def test_no_file_is_written_outside_the_folder(
    repository: Repository, tmp_path: Path, name: str
) -> None:
    blob = repository.git("hash-object", "-w", "--stdin", given=b"x")
    entry = b"100644 " + name.encode() + b"\0" + bytes.fromhex(blob)
    tree = repository.git("hash-object", "-t", "tree", "--literally", "-w", "--stdin", given=entry)
    repository.commit_tree(tree)
    (tmp_path / "out").mkdir()
    with pytest.raises(InputError, match="is no path of a file"):
        repository.find().write_files(tmp_path / "out", lambda _: True)
    assert list((tmp_path / "out").iterdir()) == []


def test_files_are_written_as_git_has_them(repository: Repository, tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"a/münchen": b"\xff\r\n", ".dvc/config": "x", "b": ""}
    repository.commit(files)
    with empty_tree("cache") as tree:
        repository.find().write_files(tree, lambda file: file != "b")
        written = [path for path in tree.rglob("*") if path.is_file()]
        assert {path.relative_to(tree).as_posix() for path in written} == {
            "a/münchen", ".dvc/config"
        }  # fmt: skip
        assert (tree / "a/münchen").read_bytes() == b"\xff\r\n"
        assert "no_scm" in (tree / ".dvc/config").read_text()
    assert not tree.exists()


@pytest.mark.parametrize(
    "path",
    ["http://127.0.0.1:1/x", "remote://r/x", "ds://x", "/etc/passwd", "../x", "a/../../x",
     "${u}127.0.0.1/x", ".dvc/config", "a/.GIT/config", "", "a\nb"],
)  # fmt: skip
def test_a_path_that_leads_out_of_the_repository_is_refused(tmp_path: Path, path: str) -> None:
    (tmp_path / "params.yaml").write_text("seed: 1\n")
    for kind in ("deps", "outs", "metrics"):
        stages = {"stages": {"train": {"cmd": "x", kind: [path]}}}
        (tmp_path / "dvc.yaml").write_text(json.dumps(stages), encoding="utf-8")
        with pytest.raises(InputError, match=r"^dvc\.yaml of here: train: .*is not the path of a"):
            Revision(tmp_path, "here", None).stages()


def test_a_parameter_cannot_make_a_path_lead_out(tmp_path: Path) -> None:
    (tmp_path / "params.yaml").write_text('u: "http://"\n')
    (tmp_path / "dvc.yaml").write_text("stages: {a: {cmd: x, deps: ['${u}127.0.0.1/x']}}")
    with pytest.raises(InputError, match=r"'http://127\.0\.0\.1/x' is not the path of a file"):
        Revision(tmp_path, "here", None).stages()


@pytest.mark.parametrize(
    "content", ["a,b\n", '[{"relpath": "test.conll", "md5": "aa/etc/passwd"}]', '[{"md5": ""}]']
)
def test_what_the_cache_has_under_a_hash_may_be_something_else(
    repository: Repository, content: str
) -> None:
    folder = repository.path / ".dvc/cache/files/md5/00"
    folder.mkdir(parents=True)
    (folder / f"{30 * '0'}.dir").write_text(content)
    out = f"{{path: data/predictions, md5: {32 * '0'}.dir}}"
    repository.commit(FILES | {"dvc.lock": f"stages: {{evaluate: {{outs: [{out}]}}}}\n"})
    with pytest.raises(InputError, match=r"^dvc\.lock of hostile .* in DVC's cache is no list of"):
        repository.find().predictions("test")
    (folder / f"{30 * '0'}.dir").write_text("[]")
    assert repository.find().predictions("test") is None


def test_any_path_of_a_cache_is_kept() -> None:
    for path in ("/C#/a b", "/a, b/é", "/it's"):
        with empty_tree(path) as tree:
            assert Config.load_file(str(tree / ".dvc/config"))["cache"]["dir"] == path


def test_a_name_that_git_quotes_is_the_same_file(repository: Repository) -> None:
    base = repository.commit(FILES | {"code/münchen \t.py": "a\n", "code/same ü.py": "a\n"})
    repository.commit(FILES | {"code/münchen \t.py": "b\n", "code/same ü.py": "a\n"})
    found = changed_code(Revision(repository.path, "base", base), repository.find())
    assert found == {"train": ["code/münchen \t.py"]}


def test_code_that_moves_away_has_changed(repository: Repository) -> None:
    code = "".join(f"a = {i}\n" for i in range(100))
    base = repository.commit(FILES | {"code/moved.py": code})
    repository.commit(FILES | {"elsewhere/moved.py": code})
    found = changed_code(Revision(repository.path, "base", base), repository.find())
    assert found == {"train": ["code/moved.py"]}


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefghi", "bcdefghij", strict=True)
)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("params.yaml", "layers: [1, 2]\n", "layers: a list; a parameter is a single value"),
        ("params.yaml", "layers: {a: 1}\n", "layers: a mapping; a parameter is a single value"),
        ("params.yaml", f"seed: {'9' * 5000}\n", "seed: the value has more than 500 characters"),
        ("params.yaml", f"seed: {'[' * 5000}{']' * 5000}\n", "line 1: nested more than 20 deep"),
        ("params.yaml", BOMB, r"line 2: \*a stands for another value: write that out"),
        ("params.yaml", "a: 1\n" * 200_000, "has 1000000 characters, more than 100000"),
        ("params.yaml", b"seed: \xff\n", "is not UTF-8"),
        ("params.yaml", "a: \x01\n", "is not YAML: "),
        ("params.yaml", "? [a]\n: b\n", "is not YAML: "),
        ("params.yaml", "- a\n", "must hold `key: value` lines"),
        ("dvc.yaml", "stages: [a]\n", "must hold `key: value` lines, and stages by name"),
        ("dvc.yaml", "stages: {a: b}\n", "a must be a mapping"),
        ("dvc.yaml", "stages: {a: {cmd: {b: c}}}\n", "a: cmd must be a command"),
        ("dvc.yaml", "stages: {a: {cmd: x, deps: {b: c, d: e}}}\n", "a: deps must be a list"),
        ("dvc.yaml", "stages: {a: {cmd: x, deps: [[b]]}}\n", "a: deps must be a list of names"),
        ("dvc.yaml", "stages: {a: {cmd: x, params: {b: c}}}\n", "a: params must be a list"),
        ("dvc.yaml", "stages: {a: {cmd: x, params: [[b]]}}\n", "a: params must be a list of names"),
        ("dvc.yaml", "stages: {a: {foreach: [x], do: {cmd: y}}}\n", "a: foreach: a review reads"),
        ("dvc.yaml", "stages: {a: {cmd: x, wdir: ..}}\n", "a: wdir: a review reads only"),
        ("dvc.yaml", "vars: [{a: b}]\n", "vars: a review reads parameters from params.yaml"),
        ("dvc.yaml", f"stages: {{a: {{cmd: x, deps: [{'b, ' * 500}]}}}}", "more than 500 stages"),
        ("params.yaml", "".join(f"k{i}: v\n" for i in range(501)), "has more than 500 parameters"),
        ("dvc.yaml", "stages: {a: {cmd: x, outs: [b, c]}, d: {cmd: x, outs: [c]}}\n",
         "more than one output is c, or in it"),
        ("dvc.yaml", "stages: {a: {cmd: x, outs: [b, b/c]}}\n", "more than one output is b, or"),
        ("dvc.lock", "stages: 3\n", "must hold `key: value` lines, and stages by name"),
        ("dvc.lock", "stages: {a: 3}\n", "a is not as DVC writes it: run dvc repro"),
        ("dvc.lock", "stages: {a: {deps: b}}\n", "a: deps: 'b' has no path"),
        ("dvc.lock", "stages: {a: {outs: [{path: [b]}]}}\n", "a: outs: .* has no path"),
        ("dvc.lock", "stages: {a: {outs: {path: b}}}\n", "a: outs: .* has no path"),
        ("dvc.lock", "stages: {a: {params: [b]}}\n", "a is not as DVC writes it"),
        ("dvc.lock", "stages: {a: {params: {p: {k: [1]}}}}\n", "a: p: k: a list; a parameter is"),
        (
            "dvc.lock",
            "stages: {evaluate: {outs: [{path: data/predictions, md5: aa/etc/passwd}]}}\n",
            "evaluate: outs: 'aa/etc/passwd' is no MD5 hash",
        ),
        ("dvc.lock", f"stages: {{a: {{deps: [{{path: b, md5: {'a' * 33}}}]}}}}\n", "is no MD5"),
        ("metrics/metrics.json", f'{{"a": {"9" * 5000}}}', "is not JSON: "),
        ("metrics/metrics.json", '{"a": 1e999}', "a: inf is no number of sane size"),
        ("metrics/metrics.json", '{"a": NaN}', "a: nan is no number of sane size"),
        ("metrics/metrics.json", '{"a": true}', "a: True is no number"),
        ("metrics/metrics.json", "[" * 100_000, "is nested too deep"),
    ],
)  # fmt: skip
def test_an_odd_file_is_refused_in_one_line(
    tmp_path: Path, file: str, content: str | bytes, message: str
) -> None:
    path = tmp_path / file
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    here = Revision(tmp_path, "here", None)
    read: dict[str, Callable[[], object]] = {
        "params.yaml": here.parameters,
        "dvc.yaml": here.stages,
        "dvc.lock": here.locked_stages,
        "metrics/metrics.json": here.metrics,
    }
    with pytest.raises(InputError, match=message) as error:
        read[file]()
    assert str(error.value).startswith(f"{file} of here")
    assert len(terminal(error.value)) < 400


@pytest.mark.slow
def test_what_only_dvc_refuses_is_one_line_too(repository: Repository) -> None:
    huge = f"stages: {{train: {{cmd: x, outs: [{{path: data/model, size: {'9' * 5000}}}]}}}}\n"
    repository.commit(FILES | {"dvc.lock": huge})
    with pytest.raises(InputError, match=r"^`dvc status --json dvc\.yaml` failed: ") as error:
        read_lock(repository.find())
    assert "\n" not in str(error.value)


def write_results(folder: Path, **changes: int | str) -> Revision:
    """Write a table of one split, some of it changed, and the scores of it unchanged."""
    counts = table({}, 1, documents=3)
    scores: dict[str, object] = {}
    for (level, name), of_group in by_document(counts).items():
        sums = of_group.sum(axis=0)
        key = "recall" if level == "slice" and SLICES[name].measure == "recall" else "f1"
        score = {key: round(float(f1(sums)), 4), "support": int(sums[2])}
        place = scores if level == "all" else scores.setdefault(f"{level}s", {})
        place.update(score if level == "all" else {name: score})  # type: ignore[attr-defined]
    (folder / "metrics").mkdir()
    (folder / "metrics/metrics.json").write_text(json.dumps({"test": scores}))
    for column, value in changes.items():
        counts[column] = value
    counts.to_csv(folder / "metrics/sentences.csv", index=False)
    return Revision(folder, "here", None)


def test_counts_that_agree_with_the_scores_are_taken(tmp_path: Path) -> None:
    assert write_results(tmp_path).sentences() is not None


@pytest.mark.parametrize("lacking", ["train and validation", "validation", "test"])
def test_splits_of_which_one_lacks_a_type_are_compared(tmp_path: Path, lacking: str) -> None:
    tags = {
        split: [["B-PER"], ["O" if split in lacking else "B-LOC", "O"]]
        for split in ("train", "validation", "test")
    }
    tokens = [["Ann"], ["Oslo", "."]]
    train = Train.of(tokens, tags["train"])
    results = {
        split: score_predictions(Predictions(tokens, tags[split], tags[split], [0, 1]), train)
        for split in ("validation", "test")
    }
    names = ("metrics.json", "confusion.csv", "intervals.csv", "sentences.csv")
    (tmp_path / "metrics").mkdir()
    evaluation.results.write_results(results, *(tmp_path / "metrics" / name for name in names))
    counts = Revision(tmp_path, "here", None).sentences()
    assert counts is not None
    for split in results:
        comparison = compare_split(split, [counts], [counts])
        assert comparison.verdict.startswith("no evidence of a difference")
        supports = {row.label: row.support for row in comparison.rows}
        assert supports["PER"] == 1
        assert supports.get("LOC", 0) == (split not in lacking)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"type.PER.correct": 9}, "type.PER: more are correct than are predicted or gold"),
        ({"type.PER.gold": 2**62}, "type.PER.gold: not all are from 0 to 1000000"),
        ({"type.PER.gold": 2**70}, "type.PER.gold: not all are whole numbers"),
        ({"type.PER.predicted": -1}, "type.PER.predicted: not all are from 0 to"),
        ({"sentence": -1}, "sentence: not all are from 0 to"),
        ({"type.PER.correct": 0}, r"test.f1 is 0\.\d+ by .*, and 0\.\d+ in metrics/metrics.json"),
        ({"type.PER.gold": 4}, "test.f1 is .*: the two are not of one evaluation"),
        ({"unseen_entities.correct": 0}, "test.slices.unseen_entities.recall is 0 by"),
        ({"split": "dev"}, "dev.f1 is .* and nan in metrics/metrics.json"),
    ],
)
def test_impossible_counts_are_not_believed(
    tmp_path: Path, changes: dict[str, int | str], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        write_results(tmp_path, **changes).sentences()


def test_a_file_of_which_all_parameters_count_is_known(tmp_path: Path) -> None:
    (tmp_path / "dvc.yaml").write_text("stages: {a: {cmd: x, params: [seed, {params.yaml: }]}}\n")
    found = Revision(tmp_path, "here", None).stages()["a"]
    assert found.params == {"params.yaml": []}, "an empty list stands for all keys"


def test_types_that_differ_in_dots_have_scores_of_their_own() -> None:
    types = {"ORG": {"f1": 0.1}, "ORG.": {"f1": 0.2}, ".ORG": {"f1": 0.3}}
    assert flatten({"": {"test": types}}) == {
        "test.ORG.f1": 0.1, "test.ORG..f1": 0.2, "test..ORG.f1": 0.3
    }  # fmt: skip


DIFFERING = pd.DataFrame({"document": [0], "sentence": 0, "base": 0, "head": 1})


def test_counts_that_no_scores_agree_with_get_no_verdict(
    repository: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(review.__main__, "read_lock", lambda _: Lock({}, []))
    write_results(tmp_path)
    scores, counts = ((tmp_path / name).read_text() for name in (METRICS, SENTENCES))
    base = repository.commit(FILES | {METRICS: scores, SENTENCES: counts})
    other_scores = scores.replace('"f1": 0.', '"f1": 0.1', 1)
    repository.commit(FILES | {METRICS: other_scores, SENTENCES: counts})
    honest = review.__main__.review(repository.path, [base], [base])
    assert [comparison.split for comparison in honest.comparisons] == ["test"]
    found = review.__main__.review(repository.path, [base], ["hostile"])
    assert found.comparisons == []
    assert any(note.startswith("No test of the differences: test.f1 is") for note in found.notes)


def review_of(text: str) -> Review:
    """A review with a text wherever a commit can put one."""
    row = Row(text, Difference(0.9, 0.8, -0.2, -0.01, 0.01), 0.01, 9)
    return Review(
        text, text, Lock({text: [text, text]}, [text, text]), compared=True,
        parameters={text: (text, text)}, code={text: [text, text]},
        comparisons=[Comparison(text, (1, 1), row, [row], DIFFERING, [text])],
        metrics=[(text, 0.1, 0.2)], notes=[text, f"No test: {text}."],
    )  # fmt: skip


def in_markdown(text: str) -> str:
    return load_markdown(markdown).render(review=review_of(text), is_short=False)


def in_terminal(text: str) -> str:
    return align(load_markdown(terminal).render(review=review_of(text), is_short=True))


COMMONMARK = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


def elements(text: str) -> tuple[Counter[str], str]:
    """How often each element stands in Markdown, but for code, and the text outside of code."""

    def walk(tokens: list[Token]) -> Iterator[Token]:
        for token in tokens:
            yield token
            yield from walk(token.children or [])

    found = list(walk(COMMONMARK.parse(text)))
    shown = "".join(token.content for token in found if token.type in ("text", "text_special"))
    leaves = ("text", "text_special", "code_inline")
    return Counter(token.type for token in found if token.type not in leaves), shown


HOSTILE = [
    "</details>", "<!--", "a\nb", "a\r\n\r\n# b", "a|b", "a\\|b", "`", "`a``b```", "``|``",
    "![i](http://127.0.0.1/i.png)", "[l](javascript:x)", "<http://a.b>", "@team", "a@b.org",
    "www.a.org", "http://a.org", "# h", "- x", "+ x", "* x", "1. x", "1) x", "> x", "    x", "\tx",
    "---", "===", "~~x~~", "**x**", "__init__", "<script>", "&lt;", "&#60;script>", "\\",
    "\x1b[31m", "\u202e", "\u2028", "\ud800", "", " ", "[x]: http://a.org", "| a |\n|---|",
    "<details>", "GH-1", "~~~", "```",
    "\x00",
]  # fmt: skip


def examples(test: Callable[[str], None]) -> Callable[[str], None]:
    for text in HOSTILE:
        test = example(text)(test)
    return test


PIECES = st.lists(st.one_of(st.sampled_from(HOSTILE), st.characters(codec=None)), max_size=6)


@examples
@given(PIECES.map("".join))
def test_no_text_of_a_commit_is_markup_in_the_comment(text: str) -> None:
    harmless, _ = elements(in_markdown("x"))
    found, shown = elements(in_markdown(text))
    assert not found - harmless
    # Of these GitHub makes links and mentions outside of code, whatever CommonMark says.
    assert not any(mark in shown.lower() for mark in ("@", "www.", "://", "gh-1"))


@examples
@given(PIECES.map("".join))
def test_no_text_of_a_commit_is_obeyed_by_a_terminal(text: str) -> None:
    lines = in_terminal(text).splitlines()
    assert all(line.isprintable() for line in lines)
    harmless = in_terminal("x").splitlines()
    assert [line.count("|") for line in lines] == [line.count("|") for line in harmless]


@pytest.mark.slow
def test_a_hostile_commit_is_reviewed(
    repository: Repository, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    base = repository.commit(FILES)
    evil = "</details>![i](http://127.0.0.1/i.png) @team\n\n# h\n\x1b[31m|"
    stage = {"cmd": evil, "deps": ["code"], "outs": ["data/model"]}
    repository.commit(
        {
            "dvc.yaml": json.dumps({"stages": {"**team**": stage}}),
            "params.yaml": json.dumps({evil: evil}),
            "metrics/metrics.json": json.dumps({evil: {"\ud800": 1}}),
            "code/# h\n@team|": "",
        }
    )
    monkeypatch.chdir(repository.path)
    monkeypatch.setattr(review.__main__, "end_on_signals", lambda: None)  # in the tests' process
    monkeypatch.setattr("sys.argv", ["review", "--base", base, "--head", "hostile"])
    review.__main__.main()
    printed = capsys.readouterr().out
    assert all(line.isprintable() for line in printed.splitlines())
    assert r"\x1b[31m\x7c" in printed
    found, shown = elements((repository.path / ".review/review.md").read_text(encoding="utf-8"))
    assert "@" not in shown
    assert not found.keys() & {"image", "link_open", "html_inline"}
    assert found["html_block"] == 2  # <details> and </details> of the template
    assert "ud800" in (repository.path / ".review/review.html").read_text(encoding="utf-8")

    (repository.path / ".review").rename(repository.path / "elsewhere")
    (repository.path / ".review").symlink_to("elsewhere")
    with pytest.raises(SystemExit, match=r"^review: \.review is a symbolic link: remove it"):
        review.__main__.main()


def test_a_folder_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".review").touch()
    monkeypatch.setattr(review.__main__, "find_root", lambda: tmp_path)
    monkeypatch.setattr(review.__main__, "review", lambda *_: review_of("x"))
    monkeypatch.setattr(review.__main__, "end_on_signals", lambda: None)
    monkeypatch.setattr("sys.argv", ["review"])
    with pytest.raises(SystemExit, match=r"^review: \[Errno 17\] File exists: '.*/\.review'$"):
        review.__main__.main()


def test_an_interruption_prints_nothing() -> None:
    code = (
        "import os, signal; from review.revision import end_on_signals; end_on_signals();"
        "os.kill(os.getpid(), signal.SIGINT)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (130, b"")


def test_harmless_text_stays_as_it_is() -> None:
    for text in ("main (175e5f3)", "stages/train.py, tagger/model/crf.py", "1e-05", "PER",
                 "ΔF1 −0.08, 95 % −0.49 … +0.31, p = 0.71", "validation.types.PER.f1"):  # fmt: skip
        assert markdown(text) == terminal(text) == text
    assert markdown("tagger/__init__.py") == "`tagger/__init__.py`"
    assert markdown("say `dvc repro`") == "say `dvc repro`"
    assert terminal("tagger/__init__.py `a`") == "tagger/__init__.py `a`"
    assert markdown("a|b`c<d") == "`a`&#124;`b`&#96;`c`&lt;`d`"
    assert terminal("a\x1b[0m|\n") == r"a\x1b[0m\x7c\n"
