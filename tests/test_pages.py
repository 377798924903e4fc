"""The review's page and what all pages share, in Chromium: no text becomes markup, all is seen."""

from typing import Any

import pandas as pd
import pytest
from playwright.sync_api import Page

from evaluation.report import page_environment
from evaluation.significance import Difference
from review.__main__ import MAX_SENTENCES, Review, differing_sentences, load_templates
from review.compare import Comparison, Row
from review.lock import Lock
from tests.browser import CONTRASTS, Open
from tests.test_report import page_of, sentence

PHONE = {"width": 400, "height": 844}
Columns = list[list[str]]  # of a sentence: tokens, gold tags, predicted tags

HOSTILE_TEXTS = [
    "</script><script>alert(1)</script>",
    "<img/src=https://example.org/x/onerror=alert(1)>",
    "<svg/onload=alert(1)>",
    "<!--<script>",
    "-->",
    "]]>",
    '"><b/onmouseover="alert(1)',
    "'onfocus='alert(1)",
    "{{7*7}}",
    "{%raw%}",
    "${alert(1)}",
    "`",
    "&lt;b&gt;&amp;",
    "\\u003cb\\u003e",
    "javascript:alert(1)",
    "__proto__",
    "שלום",
    "\u202eabc",
    "\u200b",
    "\u2028",
    "👩‍🚀",
    "z" + 30 * "\u0336",
    "x" * 10_000,
]


class Side:
    """A revision with these predictions, or with none on this machine."""

    def __init__(self, sentences: list[Columns] | None) -> None:
        self.sentences = sentences

    def predictions(self, split: str) -> list[Columns] | None:
        return self.sentences


# Sentences that base and head tag differently: tokens, gold tags, tags of base, tags of head.
SENTENCES = [
    ("Ada Quill met Bo in Tarrow .", "B-PER I-PER O B-PER O B-LOC O",
     "B-PER I-PER O O O B-ORG O", "B-PER I-PER O B-PER O B-ORG O"),
    ("Mirefield beat Tarrow", "B-ORG O B-ORG", "B-ORG O B-ORG", "B-LOC B-PER O"),
    ("Old Ada Quill", "O B-PER I-PER", "O B-PER I-PER", "B-PER I-PER I-PER"),
]  # fmt: skip


def review_of(sentences: list[tuple[Columns, Columns]], **options: Any) -> Review:
    """A review in which every sentence differs; of each the columns of base and of head."""
    wrong = {
        "base": [sum(a != b for a, b in zip(*base[1:], strict=True)) for base, _ in sentences],
        "head": [sum(a != b for a, b in zip(*head[1:], strict=True)) for _, head in sentences],
    }
    numbers = range(len(sentences))
    table = pd.DataFrame({"document": 7, "sentence": numbers} | wrong)
    better = Row("F1", Difference(0.91, 0.92, 0.005, 0.015, 0.001), 0.001, 5702)
    rows = [
        Row("LOC", Difference(0.93, 0.91, -0.03, -0.01, 0.001), 0.004, 1666),
        Row("entities unseen in train (recall)", Difference(0.8, 0.81, -0.01, 0.03, 0.4), 1, 99),
    ]
    comparison = Comparison("test", (1, 1), better, rows, table, [])
    sides = [Side([pair[i] for pair in sentences]) for i in (0, 1)]
    values: dict[str, Any] = {
        "lock": Lock({}, ["data/model"]),
        "compared": True,
        "parameters": {"hidden": ("16", "48")},
        "code": {"train": ["tagger/model/crf.py"]},
        "comparisons": [comparison],
        "metrics": [("test.f1", 0.91, 0.92)],
        "notes": ["Each side is one run."],
        "sentences": differing_sentences(comparison, sides[0], sides[1]),  # type: ignore[arg-type]
    }
    return Review("main", "the working tree", **(values | options))


def review_page(review: Review | None = None) -> str:
    if review is None:
        columns = [[text.split(" ") for text in texts] for texts in SENTENCES]
        review = review_of([((t, gold, base), (t, gold, head)) for t, gold, base, head in columns])  # type: ignore[misc]
    template = load_templates().get_template("review.html.jinja")
    return template.render(review=review, max_sentences=MAX_SENTENCES)


def hostile_columns() -> list[tuple[Columns, Columns]]:
    """Each hostile text as a token and as a type, that head gets wrong or misses."""
    pairs = []
    for text in HOSTILE_TEXTS:
        tokens = ["a", text, text, "b"]
        gold = ["O", f"B-{text}", f"I-{text}", "O"]
        pairs.append(([tokens, gold, gold], [tokens, gold, ["O", f"B-{text}", "B-X", "O"]]))
        pairs.append(([tokens, gold, gold], [tokens, gold, ["O"] * 4]))
    return pairs


def hostile_report() -> str:
    sentences = [
        sentence(i, f"a {text} {text} b", [(1, 3, text)], [(1, 2, text), (2, 3, "X")][: i % 3])
        for i, text in enumerate(HOSTILE_TEXTS)
    ]
    return page_of(sentences, ["X", *HOSTILE_TEXTS])


def hostile_review() -> str:
    review = review_of(
        hostile_columns(),
        parameters={text: (text, None) for text in HOSTILE_TEXTS},
        code={text: [text] for text in HOSTILE_TEXTS},
        notes=HOSTILE_TEXTS,
        lock=Lock({text: [text] for text in HOSTILE_TEXTS}, HOSTILE_TEXTS),
        metrics=[(text, 0.1, 0.2) for text in HOSTILE_TEXTS],
    )
    review.base, review.head = HOSTILE_TEXTS[:2]
    return review_page(review)


def elements(page: Page) -> set[str]:
    """The tags and attributes that a page consists of, apart from those of SVG."""
    found = page.evaluate(
        """[...document.querySelectorAll("*")].filter(e => !e.ownerSVGElement).flatMap(
            e => [e.localName, ...e.getAttributeNames().map(name => `${e.localName} ${name}`)])"""
    )
    return set(found)


@pytest.mark.parametrize(
    ("hostile", "harmless"),
    [(hostile_report, page_of), (hostile_review, lambda: review_page())],
    ids=["report", "review"],
)
def test_no_text_becomes_markup(open_page: Open, hostile: Any, harmless: Any) -> None:
    # `open_page` counts dialogs, requests, and what the policy of the page has to refuse.
    page = open_page(hostile(), viewport=PHONE)
    words = page.locator(".word").evaluate_all("all => all.map(one => one.textContent)")
    assert {*HOSTILE_TEXTS, "a", "b"} == set(words)
    labels = page.locator(".bar bdi").evaluate_all("all => all.map(one => one.textContent)")
    assert set(labels) - {""} == {*HOSTILE_TEXTS, "X"}
    assert elements(page) <= elements(open_page(harmless())) | {"li", "code"}
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    assert "{{7*7}}" in page.content()


def test_a_page_may_reach_nothing() -> None:
    for html in (page_of(), review_page()):
        (policy,) = (line for line in html.splitlines() if "Content-Security-Policy" in line)
        for part in ("default-src 'none'", "base-uri 'none'", "form-action 'none'"):
            assert part in policy
        assert "http" not in policy.replace("http-equiv", "")


@pytest.mark.parametrize("make_page", [page_of, review_page])
def test_without_scripts_the_tables_are_there_and_the_rest_is_explained(
    open_page: Open, make_page: Any
) -> None:
    page = open_page(make_page(), java_script_enabled=False)
    assert page.locator("noscript p").is_visible()
    assert page.locator("table").first.is_visible()


def test_a_review_shows_what_base_and_head_do_differently(open_page: Open) -> None:
    page = open_page(review_page())
    first, second, third = page.locator("#list > li").all()
    assert first.locator(".word").all_text_contents() == SENTENCES[0][0].split(" ")
    marks = {
        f"{look}.{row}": [
            token.locator(f".{look}.{row}").count() for token in first.locator(".token").all()
        ]
        for look in ("bar", "wrong", "gap")
        for row in ("gold", "base", "head")
    }
    assert marks == {
        "bar.gold": [1, 1, 0, 1, 0, 1, 0],
        "bar.base": [1, 1, 0, 0, 0, 1, 0],
        "bar.head": [1, 1, 0, 1, 0, 1, 0],
        "wrong.gold": [0, 0, 0, 1, 0, 1, 0],
        "wrong.base": [0, 0, 0, 0, 0, 1, 0],
        "wrong.head": [0, 0, 0, 0, 0, 1, 0],
        "gap.gold": [0] * 7,
        "gap.base": [0, 0, 0, 1, 0, 0, 0],
        "gap.head": [0] * 7,
    }
    assert first.locator(".errors li").all_text_contents() == [
        "1missedin basegold PER “Bo”",
        "2wrong typein base and headgold LOC “Tarrow”, base and head ORG “Tarrow”",
    ]
    where = "testdocument 7sentence 0entities missed or made up: 2 → 1better"
    assert first.locator(".where[data-split=test]").text_content() == where
    assert "worse" in str(second.locator(".where").text_content())
    assert second.locator(".errors .worse").count() == 3
    assert third.locator(".errors .better").count() == 0
    assert page.get_by_text("Sentences: 1 better, 2 worse.").is_visible()


def test_a_review_shows_at_most_300_sentences(open_page: Open) -> None:
    tokens, gold = ["Ada"], ["B-PER"]
    page = open_page(review_page(review_of([([tokens, gold, gold], [tokens, gold, ["O"]])] * 305)))
    assert page.locator("#list > li").count() == 300
    assert page.get_by_text("The first 300 of 305.").is_visible()


def test_a_review_shows_the_side_whose_predictions_are_here() -> None:
    review = review_of([([["Ada"], ["B-PER"], ["B-PER"]], [["Ada"], ["B-PER"], ["O"]])])
    (comparison,) = review.comparisons
    here, nowhere = Side([[["Ada"], ["B-PER"], ["O"]]]), Side(None)
    (found,) = differing_sentences(comparison, nowhere, here)  # type: ignore[arg-type]
    assert found == {
        "split": "test", "document": 7, "sentence": 0, "wrong_entities": {"base": 0, "head": 1},
        "tokens": ["Ada"], "gold": [[0, 1, "PER"]], "head": [],
        "errors": [{"kind": "missed", "gold": 0, "head": None}],
    }  # fmt: skip
    for other in (nowhere, Side([])):  # Side([]) has other sentences than were compared
        assert differing_sentences(comparison, nowhere, other) == []  # type: ignore[arg-type]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_review_can_be_read_in_either_scheme_and_on_a_phone(open_page: Open, scheme: str) -> None:
    page = open_page(review_page(), viewport=PHONE, color_scheme=scheme)
    page.locator("details").evaluate("e => { e.open = true; }")
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]
    page.locator("#list").scroll_into_view_if_needed()
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 60
    assert {name: ratio for name, ratio in contrasts.items() if ratio < 4.5} == {}


@pytest.mark.parametrize("rows", [["entities"], ["gold", "a", "b", "c", "d"]])
def test_a_sentence_has_any_number_of_rows(open_page: Open, rows: list[str]) -> None:
    template = page_environment().from_string(
        '{% extends "layout.html" %}{% block title %}x{% endblock %}{% block body %}'
        '<main></main><script>{{ inline("sentences.js") }}</script>{% endblock %}'
    )
    page = open_page(template.render(), viewport=PHONE)
    tokens = ["Ada", "met", "Bo", "Quill"] * 5  # several lines on a phone
    spans = [[i, i + 1, "PER"] for i in range(0, 20, 2)]
    page.evaluate(
        """([sentence, rows]) => document.querySelector("main").append(
            drawTokens(sentence, rows, ["PER"]))""",
        [{"tokens": tokens, "errors": [], **dict.fromkeys(rows, spans)}, rows],
    )
    box = page.locator(".tokens").bounding_box()
    assert box
    names = str(page.locator(".tokens").get_attribute("data-rows")).split("\n")
    half = page.locator(".word").first.evaluate("e => e.getBoundingClientRect().height") / 2
    lines = set()  # of tokens
    for row in rows:
        bars = page.locator(f".bar.{row}")
        assert bars.count() == len(spans)
        for bar in bars.all():  # beside the name of its row
            place = bar.bounding_box()
            assert place
            name = int((place["y"] - box["y"]) / half)
            assert names[name] == row
            lines.add(name // (2 * len(rows) + 3))
    assert len(lines) > 2
