"""The file of tagged documents: any text is in it as it was, and it shows what it holds."""

import io
import json
import re
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from playwright.sync_api import expect

from tagger.document import Document, Entity
from tagger.html import html_writer
from tests.browser import CONTRASTS, Open
from tests.fake_tagger import FakeTagger
from tests.test_pages import HOSTILE_TEXTS, PHONE

DATA = re.compile(r'<script type="application/json">(.*?)</script>')


def page_of(documents: Iterable[Document]) -> str:
    file = io.StringIO()
    with html_writer(file) as write:
        for document in documents:
            write(document)
    return file.getvalue()


@given(st.lists(st.text(st.characters()), max_size=3))
def test_any_text_is_in_the_file_as_it_was(texts: list[str]) -> None:
    html = page_of(Document(text, id=text) for text in texts)
    assert [json.loads(data)["text"] for data in DATA.findall(html)] == texts
    page_of([Document("\ud800")]).encode()  # nor does an unpaired surrogate stop the writing


def test_documents_are_written_one_by_one() -> None:
    file = io.StringIO()
    with html_writer(file) as write:
        for i in range(3):
            write(Document(f"Text {i}"))
            assert f"Text {i}" in file.getvalue()
    assert file.getvalue().endswith("</html>\n")


def test_a_file_shows_documents_with_anything_in_them(open_page: Open) -> None:
    documents = [
        Document(f"a {text} b", id=text, entities=[Entity(2, 2 + len(text), text, 0.987, text)])
        for text in HOSTILE_TEXTS
    ]
    page = open_page(page_of([*documents, Document("", id=7, error="<b>no</b>")]), viewport=PHONE)
    page.locator(".where", has_text="7").last.scroll_into_view_if_needed()
    words = page.locator(".entity .words").evaluate_all("all => all.map(e => e.textContent)")
    assert words == HOSTILE_TEXTS
    labels = page.locator(".entity bdi").evaluate_all("all => all.map(e => e.textContent)")
    assert labels == HOSTILE_TEXTS
    assert set(page.locator(".entity .score").all_text_contents()) == {"0.98"}
    assert page.get_by_text("Not tagged: <b>no</b>").is_visible()
    assert page.locator("main b b, main img, main svg, .entity script").count() == 0
    assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"]


def test_many_documents_are_drawn_as_they_are_read(open_page: Open) -> None:
    tagger = FakeTagger()
    page = open_page(page_of(tagger.document(f"Ada {i} met Bo") for i in range(1000)))
    assert 25 <= page.locator(".documents > li").count() < 1000
    assert page.locator(".legend").inner_text().split() == ["PER", "1,000", "ORG", "1,000"]
    page.get_by_label("least probability").fill("0.05")  # Ada's are below
    assert page.locator(".legend").inner_text().split() == ["PER", "0", "ORG", "1,000"]
    items = page.locator(".documents > li")
    count = items.count()
    page.get_by_role("button", name="Show").focus()
    page.keyboard.press("Enter")
    drawn = items.nth(count).locator(".entity")
    expect(drawn).to_have_text([re.compile("^Ada"), re.compile("^Bo")])
    expect(drawn).to_have_class([re.compile(r"\bbelow\b"), "entity"])


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_file_can_be_read_in_either_scheme(open_page: Open, scheme: str) -> None:
    entity = Entity(0, 3, "PER", 0.5, "Ada")
    page = open_page(page_of([Document("Ada", entities=[entity])]), color_scheme=scheme)
    contrasts = page.evaluate(CONTRASTS)
    assert {name: ratio for name, ratio in contrasts.items() if ratio < 4.5} == {}


def test_without_scripts_it_says_so(open_page: Open) -> None:
    page = open_page(page_of([]), java_script_enabled=False)
    assert page.locator("noscript p").is_visible()
