"""The report: its figures and data without a browser; the rest as a person uses it, in Chromium."""

import json
import re
from collections.abc import Sequence
from itertools import product
from typing import Any
from xml.etree import ElementTree

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import Page, expect

from evaluation.errors import KINDS, find_errors
from evaluation.report import Axis, describe, render
from evaluation.slices import SLICES
from tagger.corpus.tags import Span
from tests.browser import CONTRASTS, Open

UNSEEN, CAPITALS = (SLICES[name].label for name in ("unseen_entities", "sentences_in_capitals"))
NASTY = "<img/src=x/onerror=alert(1)>"  # a type of entity, as no tag's rules forbid
Sentence = dict[str, Any]


def sentence(
    number: int,
    text: str,
    gold: Sequence[tuple[int, int, str]],
    predicted: Sequence[tuple[int, int, str]],
    split: str = "test",
    slices: Sequence[str] = (),
) -> Sentence:
    found = describe(
        text.split(" "), [Span(*s) for s in gold], {"predicted": [Span(*s) for s in predicted]}
    )
    return {**found, "split": split, "document": 7, "sentence": number, "slices": list(slices)}


SENTENCES = [
    sentence(
        10, "Ada Quill met Bo in Tarrow .",
        [(0, 2, "PER"), (3, 4, "PER"), (5, 6, "LOC")], [(0, 2, "PER"), (5, 6, "LOC")],
        "validation", [UNSEEN],
    ),
    sentence(
        11, "TARROW LOST AGAIN", [(0, 1, "LOC")], [(1, 3, "ORG")], "validation", [CAPITALS],
    ),
    sentence(12, "Tarrow beat Mirefield", [(0, 1, "ORG"), (2, 3, "ORG")], [(0, 1, "LOC")]),
    sentence(13, "the old Ada Quill", [(2, 4, "PER")], [(3, 4, "PER")], "test", [UNSEEN]),
    sentence(14, "QUILL OF ADA", [(0, 3, "ORG")], [(2, 3, "PER")], "test", [UNSEEN, CAPITALS]),
]  # fmt: skip


CURVE = pd.DataFrame(
    [(1, 0.4, 0.3, 0.7), (2, 0.2, 0.15, 0.9123), (3, 0.1, 0.2, 0.85)],
    columns=["epoch", "train_loss", "validation_loss", "validation_f1"],
)


CALIBRATION = pd.DataFrame(
    [(0.4, 0.5, 0.45, 0.4, 20), (0.7, 0.8, 0.75, 0.85, 40), (0.9, 1.0, 0.99, 0.97, 5012)],
    columns=["low", "high", "confidence", "accuracy", "entities"],
)


def page_of(
    sentences: Sequence[Sentence] = SENTENCES,
    types: Sequence[str] = ("PER", "ORG", "LOC"),
    curve: pd.DataFrame | None = CURVE,
    calibration: pd.DataFrame = CALIBRATION,
) -> str:
    """A report; with no sentences it is one of predictions without an error."""
    row = {"precision": 0.9, "recall": 0.8, "f1": 0.8471, "support": 1234}
    scores: dict[str, Any] = {
        split: {
            **row, "f1": f1, "f1_interval": {"low": f1 - 0.02, "high": f1 + 0.01},
            "accuracy": 0.98, "invalid_transitions": 0, "sentences": 2345, "tokens": 34567,
            "types": dict.fromkeys(sorted(types), row),
            "slices": {"unseen_entities": {"recall": 0.8, "support": 99}},
            "errors": {
                kind.replace(" ", "_"): 100 + i if sentences else 0 for i, kind in enumerate(KINDS)
            },
            "calibration": {"expected_calibration_error": 0.0123},
        }
        for split, f1 in (("validation", 0.9123), ("test", 0.8876))
    }  # fmt: skip
    names = [("all", "all"), *(("type", type_) for type_ in types), ("slice", UNSEEN)]
    rows = [
        (split, *name, "recall" if name[1] == UNSEEN else "F1", f1, f1 - 0.02, f1 + 0.01, 50)
        for split, f1 in (("validation", 0.9123), ("test", 0.8876))
        for name in names
    ]
    columns = ["split", "level", "slice", "measure", "score", "low", "high", "support"]
    confusion = [
        (split, *pair, 1000 + i)
        for split in scores
        for i, pair in enumerate(product(("O", *types), repeat=2))
    ]
    return render(
        scores,
        pd.DataFrame(rows, columns=columns),
        pd.DataFrame(confusion, columns=["split", "gold", "predicted", "tokens"]),
        dict.fromkeys(scores, calibration),
        curve,
        sentences,
    )


def hostile() -> Sentence:
    text = (
        '<script>alert(1)</script> </script> <!-- &amp; " \u2028 👩‍🚀 שלום عالم ${alert(1)} {{7*7}}'
    )
    return sentence(66, text, [(0, 2, NASTY), (7, 9, "PER")], [(1, 2, "PER")])


# Without a browser


def test_the_same_input_gives_the_same_bytes() -> None:
    assert page_of() == page_of()


def test_the_data_in_the_page_are_the_sentences() -> None:
    sentences = [*SENTENCES, hostile()]
    (data,) = re.findall(
        r'<script type="application/json" id="data">(.*?)</script>', page_of(sentences)
    )
    assert json.loads(data) == sentences
    assert not re.search("[<>&\u2028\u2029]", data)


def test_markup_in_a_type_is_escaped_wherever_it_is_shown() -> None:
    page = page_of([hostile()], types=("PER", NASTY))
    assert NASTY not in page
    assert "&lt;img/src=x/onerror=alert(1)&gt;" in page


def test_a_description_points_at_its_own_entities() -> None:
    gold = [Span(0, 2, "PER"), Span(3, 4, "LOC"), Span(5, 6, "ORG")]
    predicted = [Span(0, 2, "PER"), Span(2, 4, "LOC"), Span(4, 5, "PER")]
    found = describe(list("abcdef"), gold, {"predicted": predicted})
    assert found["tokens"] == list("abcdef")
    assert found["gold"][0] == [0, 2, "PER"]
    assert [
        (
            error["kind"],
            None if error["gold"] is None else gold[error["gold"]],
            None if error["predicted"] is None else predicted[error["predicted"]],
        )
        for error in found["errors"]
    ] == find_errors(gold, predicted)


def test_an_error_of_several_taggers_is_described_once() -> None:
    gold = [Span(0, 2, "PER"), Span(3, 4, "LOC"), Span(5, 6, "ORG")]
    base = [Span(3, 4, "ORG")]
    head = [Span(0, 2, "PER"), Span(2, 3, "PER"), Span(3, 4, "ORG")]
    found = describe(list("abcdef"), gold, {"base": base, "head": head})
    assert found["base"] == [[3, 4, "ORG"]]
    assert found["errors"] == [
        {"kind": "missed", "gold": 0, "base": None},
        {"kind": "spurious", "gold": None, "head": 1},
        {"kind": "wrong type", "gold": 1, "base": 0, "head": 2},
        {"kind": "missed", "gold": 2, "base": None, "head": None},
    ]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9))
def test_an_axis_holds_its_values_and_has_few_even_ticks(values: list[float]) -> None:
    axis = Axis.over(values, 0, 1000)
    places, texts = zip(*axis.ticks, strict=True)
    assert all(0 <= axis.position(value) <= 1000 for value in values)
    assert places[0] == 0
    assert places[-1] == 1000
    assert 2 <= len(set(texts)) == len(places) <= 8
    even = [1000 * i / (len(places) - 1) for i in range(len(places))]
    assert list(places) == pytest.approx(even, abs=0.1)
    # A tick's text is the value at its place
    assert [axis.position(float(text)) for text in texts] == pytest.approx(even, abs=0.1)


def svgs(page: str) -> list[ElementTree.Element]:
    return [ElementTree.fromstring(svg) for svg in re.findall(r"<svg.*?</svg>", page, re.DOTALL)]  # noqa: S314


def test_charts_hold_the_figures_and_say_what_they_are() -> None:
    whiskers, loss, f1, *matrices, reliability = svgs(page_of())
    charts = (whiskers, loss, f1, reliability, *matrices)
    assert all(svg.get("role") == "img" and svg.get("aria-label") for svg in charts)
    titles = [title.text for title in whiskers.iter("title")]
    assert titles[1] == "test, all: F1 0.8876 (0.8676–0.8976)"
    assert len(titles) == 2 * len(("all", "PER", "ORG", "LOC", UNSEEN))
    for group in whiskers.iter("g"):
        line, point = group.find("line"), group.find("circle")
        assert line is not None
        if point is not None:  # two thirds of an interval are below its score
            low, high = float(line.get("x1", 0)), float(line.get("x2", 0))
            at = float(point.get("cx", 0))
            assert at - low == pytest.approx(2 * (high - at), abs=0.3)
    assert len(loss.findall("polyline")) == 2
    (line,) = f1.findall("polyline")
    heights = [float(pair.split(",")[1]) for pair in line.get("points", "").split()]
    assert heights[0] > heights[2] > heights[1]  # SVG counts from the top
    assert "0.9123 in epoch 2" in str(f1.get("aria-label"))
    points = reliability.findall("g/g")
    assert len(points) == 2 * len(CALIBRATION)
    title, text = points[2].find("title"), points[2].find("text")
    assert title is not None
    assert title.text == (
        "validation, probability above 0.9 up to 1.0: 0.9700 of 5,012 are correct, with a mean "
        "probability of 0.9900"
    )
    assert text is not None
    assert text.text == "5,012"
    above = []  # the diagonal
    for point in points:
        distance = point.find("line")
        assert distance is not None
        above.append(float(distance.get("y2", 0)) < float(distance.get("y1", 0)))
    assert above == [False, True, False] * 2
    assert len(matrices) == 2
    for svg in matrices:
        texts = {"".join(text.itertext()) for text in svg.iter("text")}
        assert texts >= {f"{1000 + i:,}" for i in range(16)} | {"O", "PER", "gold ↓", "predicted →"}
        assert "gold PER, predicted ORG: 1,006" in {title.text for title in svg.iter("title")}


def test_the_header_and_the_tables_hold_the_scores() -> None:
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page_of()))
    assert "F1 on validation 0.9123 95 % interval 0.8923–0.9223" in text
    assert "F1 on test 0.8876" in text
    assert "calibration error: validation ○ 0.0123, test ◆ 0.0123." in text
    assert "PER 0.9000 0.8000 0.8471 0.8923–0.9223" in text
    assert f"{UNSEEN} – 0.8000 0.8923–0.9223 – 50" in text
    assert "missed no prediction shares a token with it 100 100 spurious" in text


def test_a_type_may_be_called_like_all_or_like_a_slice() -> None:
    page = page_of(types=("all", UNSEEN))
    rows = re.findall(r'<tr class="(\w+)">\s*<th scope="row">([^<]*)</th>', page)
    assert rows == [("all", "all entities"), ("type", "all"), ("type", UNSEEN), ("slice", UNSEEN)]
    names = [text.text for text in svgs(page)[0].iter("text") if text.get("class") == "name"]
    assert names == ["all entities", "all", UNSEEN, UNSEEN]


# In a browser


def shown(page: Page) -> list[int]:
    """The numbers of the sentences in the page."""
    places = page.locator("#list > li .where").all_text_contents()
    return [int(found[1]) for place in places if (found := re.search(r"sentence (\d+)", place))]


def count(page: Page) -> str:
    return page.locator("#count").inner_text()


def focused(page: Page) -> str:
    """The id of the element with the focus, or the number of the sentence."""
    found = page.evaluate(
        "document.activeElement.id || document.activeElement.querySelector('.where')?.textContent"
    )
    return str(found)


def wanted(split: str, kind: str, type_: str, slice_: str, search: str) -> list[int]:
    """The numbers of the sentences that filters should leave."""
    result = []
    for s in SENTENCES:
        errors = [
            {"", s[row][e[row]][2]}
            for e in s["errors"]
            for row in ("gold", "predicted")
            if e[row] is not None and kind in ("", e["kind"])
        ]
        text = " ".join(s["tokens"]).casefold()
        if (
            any(type_ in types for types in errors)
            and split in ("", s["split"])
            and slice_ in ("", *s["slices"])
            and search in text
        ):
            result.append(s["sentence"])
    return result


def test_every_combination_of_filters_leaves_the_sentences_that_it_should(open_page: Open) -> None:
    page = open_page(page_of())
    combinations = list(
        product(
            ("", "validation", "test"),
            ("", *KINDS),
            ("", "PER", "ORG", "LOC"),
            ("", UNSEEN, CAPITALS),
            ("", "ada quill"),
        )
    )
    found = page.evaluate(
        """combinations => combinations.map(values => {
            ["split", "kind", "type", "slice", "search"].forEach((id, i) => {
                document.getElementById(id).value = values[i];
            });
            document.getElementById("filters").dispatchEvent(new Event("input"));
            return [...document.querySelectorAll("#list > li .where")].map(
                where => Number(/sentence (\\d+)/.exec(where.textContent)[1]));
        })""",
        combinations,
    )
    assert found == [wanted(*values) for values in combinations]


def test_filters_search_and_their_counts(open_page: Open) -> None:
    page = open_page(page_of())
    assert shown(page) == [10, 11, 12, 13, 14]
    assert count(page) == "5 of 5 sentences"
    page.locator("#split").select_option("test")
    assert shown(page) == [12, 13, 14]
    # Each filter tells what it would leave, given the others
    assert "missed (1)" in page.locator("#kind").inner_text()
    assert "spurious (0)" in page.locator("#kind").inner_text()
    assert "validation (2)" in page.locator("#split").inner_text()
    page.locator("#split").select_option("")
    page.locator("#type").select_option("LOC")
    assert "missed (1)" in page.locator("#kind").inner_text()  # of LOC, and that in 11 alone
    assert "spurious (0)" in page.locator("#kind").inner_text()
    page.locator("#type").select_option("")
    page.locator("#split").select_option("test")
    page.locator("#search").fill("  QUILL ")
    assert shown(page) == [13, 14]
    assert page.locator(".hit").all_text_contents() == ["Quill", "QUILL"]
    page.locator("#slice").select_option(CAPITALS)
    assert (shown(page), count(page)) == ([14], "1 of 5 sentences")
    page.locator("#kind").select_option("missed")
    assert count(page) == "0 of 5 sentences"
    assert page.get_by_text("No sentence is like that.").is_visible()
    page.get_by_role("button", name="Clear").click()
    assert count(page) == "5 of 5 sentences"


def test_a_view_is_in_the_address_and_the_counts_of_errors_lead_to_one(open_page: Open) -> None:
    page = open_page(page_of())
    page.locator("#search").fill("ada & co")
    page.locator("#search").fill("ada quill")
    page.locator("#split").select_option("test")
    fragment = page.url.partition("#")[2]
    again = open_page(page_of(), fragment=f"#{fragment}")
    assert shown(again) == [13]
    assert again.locator("#search").input_value() == "ada quill"
    again.locator(".kinds tr", has_text="spurious").get_by_role("link").first.click()
    # The page hears of its new address later than the click returns
    expect(again.locator("#kind")).to_have_value("spurious")
    assert shown(again) == [11]
    assert focused(again) == "sentences"
    again.go_back()
    expect(again.locator("#kind")).to_have_value("")
    assert shown(again) == [13]
    assert shown(open_page(page_of(), fragment="#split=nonsense")) == [10, 11, 12, 13, 14]


def test_all_of_it_works_by_keyboard(open_page: Open) -> None:
    page = open_page(page_of())
    press = page.keyboard.press
    for _ in range(60):
        press("Tab")
        if focused(page) == "split":
            break
    press("ArrowDown")
    press("ArrowDown")
    assert page.locator("#split").input_value() == "test"
    assert shown(page) == [12, 13, 14]
    for name in ("kind", "type", "slice", "search", "clear"):
        press("Tab")
        assert focused(page) == name
    press("Enter")
    assert count(page) == "5 of 5 sentences"
    press("Tab")
    press("Tab")
    assert "sentence 10" in focused(page)  # the list is one stop
    press("/")
    assert focused(page) == "search"
    page.keyboard.type("quill/j")  # where one types, keys are letters
    assert page.locator("#search").input_value() == "quill/j"
    press("Backspace")
    press("Backspace")
    press("Enter")
    for key, number in (
        ("j", 13), ("ArrowDown", 14), ("j", 14), ("k", 13), ("ArrowUp", 10), ("k", 10)
    ):  # fmt: skip
        press(key)
        assert f"sentence {number}" in focused(page)
        outline = page.evaluate(
            "(({outlineStyle, outlineWidth}) => [outlineStyle, parseFloat(outlineWidth)])"
            "(getComputedStyle(document.activeElement))"
        )
        assert outline[0] == "solid"
        assert outline[1] >= 2
        assert page.evaluate(  # below the filters
            "document.activeElement.getBoundingClientRect().top >="
            " document.getElementById('filters').getBoundingClientRect().bottom"
        )
    press("Escape")
    assert (count(page), focused(page)) == ("5 of 5 sentences", "search")
    assert "#" not in page.url


def test_a_sentence_is_drawn_with_its_entities_and_its_errors_in_words(open_page: Open) -> None:
    page = open_page(page_of())
    item = page.locator("#list > li").nth(3)  # "the old Ada Quill"
    item.scroll_into_view_if_needed()
    assert item.locator(".word").all_text_contents() == ["the", "old", "Ada", "Quill"]
    bars = {
        row: [
            index
            for index, token in enumerate(item.locator(".token").all())
            if token.locator(f".bar.{row}").count()
        ]
        for row in ("gold", "predicted")
    }
    assert bars == {"gold": [2, 3], "predicted": [3]}
    boxes = {
        name: item.locator(name).last.bounding_box() for name in (".gold", ".word", ".predicted")
    }
    heights = [box["y"] for box in boxes.values() if box]
    assert heights == sorted(heights)  # gold over the token, predicted under it
    assert item.locator(".bar.first").all_text_contents() == ["1PER", "1PER"]
    words = "1wrong boundarygold PER “Ada Quill”, predicted PER “Quill”"
    assert item.locator(".errors li").all_text_contents() == [words]
    colours = page.locator(".where b").evaluate_all(
        "all => all.map(e => getComputedStyle(e).color)"
    )
    assert colours == [colours[0]] * 2 + [colours[-1]] * 3
    assert colours[0] != colours[-1]  # of validation and of test
    missed = page.locator("#list > li").first  # "Ada Quill met Bo in Tarrow ."
    gaps = [token.locator(".gap.predicted").count() for token in missed.locator(".token").all()]
    assert gaps == [0, 0, 0, 1, 0, 0, 0]
    labels = item.locator(".tokens").evaluate("e => getComputedStyle(e, '::before').content")
    assert "gold" in labels
    assert "predicted" in labels


def test_markup_in_the_corpus_is_text(open_page: Open) -> None:
    bad = hostile()
    page = open_page(page_of([bad], types=("PER", NASTY)))
    words = page.locator(".word").evaluate_all("all => all.map(one => one.textContent)")
    assert words == bad["tokens"]
    assert NASTY in str(page.locator(".bar.gold").first.text_content())
    assert NASTY in page.locator("#type").inner_text()
    assert page.locator("img, #list script").count() == 0
    page.locator("#search").fill("<script>")
    assert page.locator(".hit").text_content() == "<script>alert(1)</script>"
    page.locator("#search").fill("שלום")
    page.locator("#type").select_option(NASTY)
    assert shown(page) == [66]
    again = open_page(page_of([sentence(1, "שלום Ada", [(0, 2, "PER")], [])]))
    first, last = again.locator(".bar").all()
    corner = "e => getComputedStyle(e).borderTopRightRadius"
    assert first.evaluate(corner) != "0px"  # from right to left
    assert last.evaluate(corner) == "0px"


def test_thousands_of_sentences_come_in_portions(open_page: Open) -> None:
    # Two kinds of error and eleven lengths
    many = [
        sentence(i, f"w{i} " + "so " * (i % 11) + "Ada", [(0, 1, "PER")], [(0, 1, "ORG")][: i % 2])
        for i in range(3500)
    ]
    page = open_page(page_of(many))
    rows = page.locator("#list > li")
    assert count(page) == "3,500 of 3,500 sentences"
    assert rows.count() == 50
    rows.nth(40).scroll_into_view_if_needed()
    page.locator("#kind").select_option("missed")
    first, bar = rows.first.bounding_box(), page.locator("#filters").bounding_box()
    assert first
    assert bar
    assert bar["y"] + bar["height"] <= first["y"] < 720  # the height of Playwright's window
    assert count(page) == "1,750 of 3,500 sentences"
    assert shown(page) == list(range(0, 100, 2))
    page.locator("#search").fill("w34")
    assert count(page) == "56 of 3,500 sentences"  # 34, 340, 342, …, 348, 3400, 3402, …, 3498
    assert rows.count() == 50
    more = page.get_by_role("button", name="Show 6 more of 6")
    more.focus()
    page.keyboard.press("Enter")
    rows.nth(55).wait_for()
    assert rows.count() == 56
    assert more.is_hidden()
    page.keyboard.press("Escape")
    assert rows.count() == 50
    rows.nth(49).focus()
    page.keyboard.press("j")
    assert "sentence 50" in focused(page)
    assert rows.count() <= 150  # and what is near is there before one scrolls to it


def test_no_sentence_with_an_error_is_said(open_page: Open) -> None:
    page = open_page(page_of([]))
    assert page.get_by_text("No sentence has an error.").is_visible()
    assert page.locator("#filters").count() == 0


@pytest.mark.parametrize("types", [[f"TYPE-{i}" for i in range(30)], []])
def test_a_page_holds_without_errors_and_with_any_number_of_types(
    open_page: Open, types: list[str]
) -> None:
    page = open_page(page_of([], types), viewport={"width": 400, "height": 844})
    assert page.get_by_text("No sentence has an error.").is_visible()
    rows = page.locator(".scores tr.type th").all_text_contents()
    assert rows == types
    assert set(page.locator(".kinds td span").all_text_contents()) == {"0"}
    for matrix in page.locator("svg[aria-label^='Tokens of']").all():
        assert matrix.locator("rect").count() == (1 + len(types)) ** 2
        names = matrix.locator(".name").all_text_contents()
        assert sorted(names) == sorted(2 * ["O", *types])
    assert page.evaluate("document.documentElement.scrollWidth") == 400
    contrasts = page.evaluate(CONTRASTS)
    assert {name: ratio for name, ratio in contrasts.items() if ratio < 4.5} == {}


def test_many_types_can_be_filtered(open_page: Open) -> None:
    types = [f"TYPE-{i}" for i in range(30)]
    sentences = [sentence(i, "Ada met", [(0, 1, type_)], []) for i, type_ in enumerate(types)]
    page = open_page(page_of(sentences, types))
    page.locator("#type").select_option("TYPE-2")
    assert shown(page) == [2]


def test_without_a_curve_there_is_no_chart_of_training(open_page: Open) -> None:
    page = open_page(page_of(curve=None))
    assert page.get_by_text("Scores by type and slice").is_visible()
    assert page.get_by_text("by epoch").count() == 0


def test_without_probabilities_there_is_no_chart_of_them(open_page: Open) -> None:
    assert "Probabilities of" in page_of()
    page = open_page(page_of(calibration=CALIBRATION[:0]))
    assert page.get_by_text("Scores by type and slice").is_visible()
    assert page.get_by_text("Probabilities of").count() == 0


def test_a_phone_scrolls_only_down(open_page: Open) -> None:
    long = sentence(9, "x" * 400 + " Ada", [(0, 2, "A" * 60)], [(1, 2, "PER")])
    page = open_page(
        page_of([*SENTENCES, long]), viewport={"width": 390, "height": 844}, has_touch=True
    )
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.locator("#sentences").scroll_into_view_if_needed()
    wide = page.locator("#list :not(bdi)").evaluate_all(
        "all => all.filter(e => e.getBoundingClientRect().right > 390).map(e => e.outerHTML)"
    )
    assert wide == []
    bar = page.locator("#filters").bounding_box()
    assert bar
    assert bar["height"] < 844 / 4


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_either_scheme(open_page: Open, scheme: str) -> None:
    types = [f"TYPE{i}" for i in range(8)]  # one of each colour, of a right and of a wrong entity
    tokens = " ".join("ab")
    sentences = [
        sentence(i, tokens, [(0, 1, t), (1, 2, t)], [(0, 1, t)]) for i, t in enumerate(types)
    ]
    page = open_page(page_of(sentences, types), color_scheme=scheme)
    page.locator("#search").fill("a")
    page.locator("#sentences").scroll_into_view_if_needed()
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 100
    assert {name: ratio for name, ratio in contrasts.items() if ratio < 4.5} == {}
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (min(map(int, re.findall(r"\d+", background))) < 128) == (scheme == "dark")
