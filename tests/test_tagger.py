"""What is found in a document depends on nothing but the document."""

import itertools
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tagger import Document, Tagger, apply
from tagger.corpus.conll import MAX_TOKENS
from tagger.corpus.tags import Span
from tagger.encoding.encoder import Encoder
from tagger.files import InputError
from tagger.model.bilstm_crf import BiLSTMCRF
from tagger.model.checkpoint import decoder_of
from tagger.predict import Predictor
from tests.factories import ENCODER, FULL, TOKENS, WORDS

TEXTS = [
    "May met Bush in the U.S. . The may bush !\nBUSH\n\nMay , a B .",
    "",
    " \t\r\n\x00\ufeff\u200b ",
    "Zürich 😀 A\u0301 bb\r\nBush\u2028MAY",
    "x" * 10_000,
    "\ud800 Bush may a",
    "مرحبا May",
    "the " * 300 + "Bush",
]


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    """A tagger with random weights, which finds many entities."""
    torch.manual_seed(0)
    vectors = np.random.default_rng(0).normal(size=(len(WORDS) + 2, 6)).astype(np.float32)
    model = BiLSTMCRF(torch.from_numpy(vectors), FULL).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter)
    return Tagger(Predictor(ENCODER, vectors, FULL, model, decoder_of(model), 1.5))


documents = st.lists(
    st.one_of(
        st.text(max_size=60),
        st.lists(st.sampled_from([*TOKENS, "\n", "\n\n"]), max_size=40).map(" ".join),
        st.sampled_from(TEXTS),
    ),
    max_size=6,
)


def without_scores(document: Document) -> Document:
    return replace(document, entities=[replace(e, score=0) for e in document.entities])


@settings(max_examples=25, deadline=None)
@given(documents, st.sampled_from([1, 30, 500]), st.sampled_from([1, 3]), st.booleans())
def test_a_document_is_tagged_by_itself(
    tagger: Tagger, texts: list[str], chunk: int, threads: int, wrapped: bool
) -> None:
    alone = [found for text in texts for found in tagger.tag([text], wrapped=wrapped)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(apply, "CHUNK", chunk)
        together = list(replace(tagger, threads=threads).tag(texts, wrapped=wrapped))
    assert [without_scores(document) for document in together] == list(map(without_scores, alone))
    scores, others = (
        [entity.score for document in found for entity in document.entities]
        for found in (alone, together)
    )
    assert scores == pytest.approx(others, abs=1e-5), "PyTorch's sums depend on the batch"
    for text, document in zip(texts, together, strict=True):
        assert document.text == text
        end = 0
        for entity in document.entities:
            assert end <= entity.start < entity.end
            assert text[entity.start : entity.end] == entity.text
            assert 0 < entity.score <= 1
            assert entity.label in tagger.labels == ["PER", "LOC"]
            end = entity.end


def test_texts_have_entities(tagger: Tagger) -> None:
    found = list(tagger.tag(TEXTS))
    assert [bool(document.entities) for document in found] == [
        True, False, False, True, True, True, True, True
    ]  # fmt: skip


def test_typographic_quotes_are_read_as_straight_ones_where_train_has_none(
    tagger: Tagger,
) -> None:
    straight, typographic = tagger.tag(["'May' \"Bush\" a's b", "‘May’ “Bush” a’s b"])
    assert [(e.start, e.end, e.label, e.score) for e in straight.entities] == [
        (e.start, e.end, e.label, e.score) for e in typographic.entities
    ]
    assert typographic.text == "‘May’ “Bush” a’s b"
    encoder = Encoder.fit(WORDS, [["‘", "’", "“", "”"]])
    other = Tagger(replace(tagger.predictor, encoder=encoder))
    read: list[str] = []

    def predict(_: Predictor, sentences: list[list[str]], __: list[int]) -> list[list[None]]:
        read.extend(chain.from_iterable(sentences))
        return [[] for _ in sentences]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Predictor, "predict", predict)
        list(other.tag(["‘May’ “Bush”"]))
    assert read == ["‘", "May", "’", "“", "Bush", "”"]


def test_entities_below_the_threshold_are_left_out(tagger: Tagger) -> None:
    (document,) = tagger.tag(TEXTS[:1])
    scores = sorted(entity.score for entity in document.entities)
    assert scores[0] < scores[-1]
    (rest,) = tagger.tag(TEXTS[:1], threshold=scores[1])
    expected = [entity for entity in document.entities if entity.score >= scores[1]]
    assert rest == replace(document, entities=expected)


def test_tokens_that_are_given_are_kept(tagger: Tagger) -> None:
    sentences = [[(0, 8), (9, 13)], [], [(14, 15)]]
    document = Document("May-2 x. Bush B", id=7, fields={"a": 1}, sentences=sentences)
    (found,) = tagger.tag([document])
    assert found.sentences == [sentences[0], sentences[2]]
    assert (found.id, found.fields) == (7, {"a": 1})
    ends = {end for sentence in sentences for _, end in sentence}
    assert found.entities
    assert all(entity.end in ends for entity in found.entities)


@pytest.mark.parametrize(
    ("sentences", "reason"),
    [
        ([[(3, 3)]], "a token from 3 to 3 in a text of 4 characters"),
        ([[(-1, 2)]], "a token from -1 to 2 in a text of 4 characters"),
        ([[(2, 5)]], "a token from 2 to 5 in a text of 4 characters"),
        ([[(3, 1)]], "a token from 3 to 1 in a text of 4 characters"),
        ([[(0, 2), (1, 4)]], "a token from 1 to 4 after one that ends at 2"),
        ([[(2, 4), (0, 1)]], "a token from 0 to 1 after one that ends at 4"),
        ([[(2, 4)], [(0, 1)]], "a token from 0 to 1 after one that ends at 4"),
        ([[(0, 4)], [], [(0, 4)]], "a token from 0 to 4 after one that ends at 4"),
    ],
)
def test_an_impossible_token_is_an_error_of_its_document(
    tagger: Tagger, sentences: list[list[tuple[int, int]]], reason: str
) -> None:
    earlier = Document("May", error="it was no UTF-8")
    wrong = Document("Bush", sentences=sentences)
    passed, found, other = tagger.tag([earlier, wrong, TEXTS[0]])
    assert passed == earlier
    assert str(found.error).startswith(f"{reason}: give each its place")
    assert not found.entities
    assert other.entities
    assert other.error is None


def test_documents_are_read_as_they_are_needed(
    tagger: Tagger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apply, "CHUNK", 10)
    taken = []

    def without_end() -> Iterator[str]:
        for number in itertools.count():
            taken.append(number)
            yield f"May {number} Bush"

    for threads in (1, 2):
        taken.clear()
        found = replace(tagger, threads=threads).tag(without_end())
        texts = [document.text for document in itertools.islice(found, 20)]
        assert texts == [f"May {number} Bush" for number in range(20)]
        assert len(taken) < 40


def test_several_threads_may_use_one_tagger(tagger: Tagger) -> None:
    expected = list(tagger.tag(TEXTS))
    with ThreadPoolExecutor(4) as executor:
        results = executor.map(lambda _: list(replace(tagger, threads=2).tag(TEXTS)), range(8))
        for found in results:
            assert list(map(without_scores, found)) == list(map(without_scores, expected))


def test_a_folder_without_a_tagger_is_named(tmp_path: pytest.TempPathFactory) -> None:
    with pytest.raises(
        InputError, match=r"holds no tagger: .*config.json is missing. `make repro`"
    ):
        Tagger.load(str(tmp_path))


def test_one_text_is_not_taken_for_its_characters(tagger: Tagger) -> None:
    for one in ("May met Bush", Document("May met Bush")):
        with pytest.raises(TypeError, match=r"give a list: \[text\]"):
            tagger.tag(one)


@pytest.mark.parametrize("item", [b"May", None, {"text": "May"}, ["May"]])
def test_what_is_no_text_is_named_with_its_number(tagger: Tagger, item: Any) -> None:
    with pytest.raises(TypeError, match=f"item 2 .* is of the type {type(item).__name__}") as told:
        list(tagger.tag(["May", item]))
    assert ('row["text"]' in str(told.value)) == isinstance(item, dict)
    with pytest.raises(TypeError, match="tag takes several documents"):
        tagger.tag({"text": "May"})  # whose keys would be the texts


@pytest.mark.parametrize("threshold", [float("nan"), 90, -0.1])
def test_a_threshold_that_is_no_probability_is_refused(tagger: Tagger, threshold: float) -> None:
    with pytest.raises(InputError, match=f"the threshold {threshold} .* from 0 to 1"):
        tagger.tag(TEXTS, threshold=threshold)


def write_configuration(folder: Path, **changes: object) -> None:
    content = {"tagger": vars(FULL), "temperature": 1, "tokenizer": 1}
    content["files"] = dict.fromkeys(apply.FILES, "0" * 64)
    (folder / "config.json").write_text(json.dumps(content | changes))


@pytest.mark.parametrize("temperature", [0, -1, 1e-9, float("nan"), float("inf"), "a", None])
def test_a_temperature_that_gives_no_probabilities_is_refused(
    tmp_path: Path, temperature: object
) -> None:
    write_configuration(tmp_path, temperature=temperature)
    with pytest.raises(InputError, match=r"config\.json is damaged, or of another version"):
        Tagger.load(tmp_path)


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    write_configuration(tmp_path)
    for make in (lambda path: None, Path.mkdir):  # neither there, nor a folder in its place
        make(tmp_path / "model.safetensors")
        with pytest.raises(InputError, match=r"model\.safetensors is missing, which .*config"):
            Tagger.load(tmp_path)


@pytest.mark.parametrize("options", [{"runtime": "trch"}, {"threads": 0}, {"threads": -1}])
def test_an_option_that_cannot_be_used_is_refused(tmp_path: Path, options: Any) -> None:
    with pytest.raises(InputError, match=str(next(iter(options.values())))):
        Tagger.load(tmp_path, **options)


def test_a_sentence_of_any_length_is_tagged_in_parts(tagger: Tagger) -> None:
    words = ["Mr.", "Bush", "met", "the", "U.S."] * 500
    (whole,) = tagger.predictor.predict([words], [0])
    starts = range(0, len(words), MAX_TOKENS)
    parts = tagger.predictor.predict([words[i : i + MAX_TOKENS] for i in starts], [0] * len(starts))
    expected = [
        (Span(span.start + start, span.end + start, span.type), score)
        for start, part in zip(starts, parts, strict=True)
        for span, score in part
    ]
    assert whole == expected
    assert whole[-1][0].end > MAX_TOKENS
