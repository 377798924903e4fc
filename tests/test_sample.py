"""The sample is what its generator makes, and hard enough to tell models apart."""

import importlib.util
from pathlib import Path

from tagger.corpus.tags import spans
from tests.conftest import INPUTS

Sentences = list[list[list[str]]]


def read(split: str) -> Sentences:
    text = (INPUTS / "corpora/sample" / f"{split}.conll").read_text(encoding="utf-8")
    blocks = (block.split("\n") for block in text.strip().split("\n\n"))
    return [[line.split() for line in block] for block in blocks if "DOCSTART" not in block[0]]


def entities(sentences: Sentences) -> set[tuple[str, str]]:
    """The entities of a split, each as its words and its type."""
    return {
        (" ".join(token for token, _ in sentence[span.start : span.end]), span.type)
        for sentence in sentences
        for span in spans([tag for _, tag in sentence])
    }


def test_the_generator_makes_the_files_byte_for_byte(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("sample", INPUTS / "sample.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.make(tmp_path)
    made = sorted(p.relative_to(tmp_path) for p in tmp_path.rglob("*.*"))
    assert len(made) == 4
    for file in made:
        assert (tmp_path / file).read_bytes() == (INPUTS / file).read_bytes(), file


def test_it_has_what_makes_a_corpus_hard() -> None:
    train, test = read("train"), read("test")
    assert (len(train), len(read("validation")), len(test)) == (600, 150, 150)
    known, new = entities(train), entities(test)
    assert {type_ for _, type_ in known} == {"PER", "ORG", "LOC", "MISC"}
    assert len(new - known) > len(new) / 4, "unseen names"
    assert any(" " in words for words, _ in new), "entities of several tokens"
    surfaces = [words for words, _ in known]
    assert len(surfaces) > len(set(surfaces)) + 5, "words of several types"
    plain = {t.lower() for s in train for t, tag in s if tag == "O"}
    assert len({words.lower() for words, _ in known} & plain) >= 3, "names that are also words"
    assert any(all(t.upper() == t for t, _ in s) and len(s) > 4 for s in test), "headlines"
    assert any(s[0][1] != "O" for s in test), "entities at the start"
    shared = {tuple(t for t, _ in s) for s in train} & {tuple(t for t, _ in s) for s in test}
    assert len(shared) < 5, "test is not train again"


def test_no_generated_file_is_large() -> None:
    files = [*INPUTS.glob("corpora/sample/*"), INPUTS / "vectors/sample/vectors.txt"]
    assert len(files) == 4
    assert all(path.stat().st_size < 200_000 for path in files)
