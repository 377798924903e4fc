"""Fixtures that open a page in Chromium, and what tests of several pages measure there."""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Dialog, Page, expect, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next(filter(None, map(shutil.which, NAMES)), None)
Open = Callable[..., Page]
WAIT = 60_000  # milliseconds: the machine may be busy


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip(f"there is no browser: none of {', '.join(NAMES)} is on the path")
    expect.set_options(timeout=WAIT)
    with sync_playwright() as playwright:
        # Root has no sandbox, and who tests in a container is root.
        found = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield found
        found.close()


@contextmanager
def watched(browser: Browser, requests: list[str]) -> Iterator[Open]:
    """Gives a function that opens an address, and notes requests; in the end nothing went wrong.

    A dialog, an error of a script, and what the browser refuses or warns of all count as wrong.
    """
    troubles: list[str] = []
    contexts = []

    def dismiss(dialog: Dialog) -> None:
        troubles.append(dialog.message)
        dialog.dismiss()

    def opened(url: str, **options: Any) -> Page:
        context = browser.new_context(reduced_motion="reduce", **options)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(WAIT)
        page.on("request", lambda request: requests.append(request.url.split("#")[0]))
        page.on("console", lambda message: troubles.append(message.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("dialog", dismiss)
        page.goto(url)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert troubles == []


@pytest.fixture
def open_page(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Opens a page; in the end it has asked for nothing but its file, and nothing went wrong."""
    path = tmp_path / "index.html"
    requests: list[str] = []
    with watched(browser, requests) as open_url:

        def opened(html: str, fragment: str = "", **options: Any) -> Page:
            path.write_text(html, encoding="utf-8")
            return open_url(path.as_uri() + fragment, **options)

        yield opened
    assert set(requests) == {path.as_uri()}


# The contrast of each text in a page with what is behind it (WCAG 2.2), by element and text.
CONTRASTS = """() => {
    const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
    const luminance = layers => {  // of colours laid over each other
        for (const [colour, opacity] of layers) {
            canvas.globalAlpha = opacity;
            canvas.fillStyle = colour;
            canvas.fillRect(0, 0, 1, 1);
        }
        const [r, g, b] = [...canvas.getImageData(0, 0, 1, 1).data].map(value => {
            const c = value / 255;
            return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
        });
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const result = {};
    for (const element of document.querySelectorAll("body *")) {
        const texts = [...element.childNodes].filter(n => n.nodeType === 3 && n.data.trim());
        const is_hidden = !element.checkVisibility() || element.closest("script, title, option");
        if (!texts.length || is_hidden) continue;
        const style = getComputedStyle(element), layers = [];
        for (let e = element; e; e = e.parentElement)
            layers.unshift([getComputedStyle(e).backgroundColor, 1]);
        if (element.previousElementSibling?.tagName === "rect") {  // a cell of a matrix
            const cell = getComputedStyle(element.previousElementSibling);
            layers.push([cell.fill, cell.fillOpacity]);
        }
        const text = luminance([[element.closest("svg") ? style.fill : style.color, 1]]);
        const back = luminance(layers);
        result[`${element.tagName} ${element.getAttribute("class")} ${texts[0].data.trim()}`] =
            (Math.max(text, back) + 0.05) / (Math.min(text, back) + 0.05);
    }
    return result;
}"""
