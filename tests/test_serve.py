"""The server over HTTP, on a port of its own, with a tagger that needs no model."""
# ruff: noqa: E402 -- what needs the extra is imported after the question whether it is there

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page

from tagger.files import InputError
from tests.browser import CONTRASTS, watched
from tests.conftest import ROOT
from tests.fake_tagger import FakeTagger, wait_until

WITHOUT = "the extra serve is not installed: make serve-extra"
pytest.importorskip("fastapi", reason=WITHOUT)
pytest.importorskip("uvicorn", reason=WITHOUT)

import uvicorn
from fastapi import FastAPI, Response

from tagger.serve import app as serving
from tagger.serve import connection
from tagger.serve.__main__ import LOCAL_HOSTS, bind, configure, hosts_of
from tagger.serve.app import MAX_BODY, MAX_CHARACTERS, MAX_REQUESTS, MAX_TEXTS, make_app
from tagger.serve.batcher import Batcher

HASH = "0" * 64
JSON = {"Content-Type": "application/json"}
Answer = tuple[int, Any]


@dataclass
class Server:
    """A server in a thread of the test, its tagger, and requests to it."""

    port: int
    tagger: FakeTagger
    batcher: Batcher

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def connect(self) -> HTTPConnection:
        return HTTPConnection("127.0.0.1", self.port, timeout=60)

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> HTTPResponse:
        connection = self.connect()
        connection.request(method, path, body, headers)
        return connection.getresponse()

    def post(self, content: Any, **headers: str) -> Answer:
        """Ask for entities; `content` is JSON if it is not bytes."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        response = self.ask("POST", "/tag", body, **(JSON | headers))
        return response.status, json.loads(response.read())

    def tag(self, *texts: str) -> list[dict[str, Any]]:
        status, content = self.post({"texts": texts})
        assert status == 200, content
        documents: list[dict[str, Any]] = content["documents"]
        return documents


@contextmanager
def running(app: FastAPI, listener: socket.socket) -> Iterator[uvicorn.Server]:
    """Serves an application in a thread, as the command does."""
    found = uvicorn.Server(configure(app))
    thread = threading.Thread(target=found.run, args=([listener],))
    thread.start()
    try:
        yield found
    finally:
        found.should_exit = True
        thread.join(60)
    assert not thread.is_alive()


@pytest.fixture
def server() -> Iterator[Server]:
    tagger = FakeTagger()
    batcher = Batcher(tagger, waiting=1000)
    listener = bind("127.0.0.1", 0)
    with running(make_app(batcher, HASH, LOCAL_HOSTS), listener):
        yield Server(listener.getsockname()[1], tagger, batcher)
        tagger.go.set()


def test_texts_become_documents_with_entities(server: Server) -> None:
    texts = ["Ada met 👩‍🚀 Bo\r\nin Tarrow.\0", "", "refuse me", "שלום Ada\u2028\u0301"]
    documents = server.tag(*texts)
    assert [document["text"] for document in documents] == texts
    for document in documents:
        for entity in document["entities"]:
            assert document["text"][entity["start"] : entity["end"]] == entity["text"]
    assert [entity["text"] for entity in documents[0]["entities"]] == ["Ada", "Bo", "Tarrow"]
    assert [document.get("error") for document in documents] == [
        None, None, "it cannot be tagged", None
    ]  # fmt: skip


def test_the_threshold_drops_what_is_below(server: Server) -> None:
    content = {"texts": ["Ada " + "x " * 20 + "Bo"], "threshold": 0.44}
    _, whole = server.post({**content, "threshold": 0})
    _, rest = server.post(content)
    scores = [entity["score"] for entity in whole["documents"][0]["entities"]]
    assert scores == [0, 0.44]
    assert rest["documents"][0]["entities"] == whole["documents"][0]["entities"][1:]


def test_health_tells_of_the_tagger(server: Server) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    response = server.ask("GET", "/health")
    assert json.loads(response.read()) == {
        "status": "ok", "version": project["version"], "labels": list(server.tagger.labels),
        "tagger": HASH,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({"texts": ["a"] * (MAX_TEXTS + 1)}, 422, "1000"),
        ({"texts": ["a" * MAX_CHARACTERS, "b"]}, 422, "at most 1,048,576"),
        ({"texts": ["a" * (MAX_CHARACTERS + 1)]}, 422, "at most 1048576"),
        (b" " * (MAX_BODY + 1), 413, "8,388,608 bytes"),
        ({"texts": ["a"], "threshold": 1.5}, 422, "less than or equal to 1"),
        ({"texts": ["a"], "threshold": float("nan")}, 422, "threshold"),
        ({"texts": ["a"], "threshold": "0.5"}, 422, "valid number"),
        ({"texts": ["a"], "wrapped": 1}, 422, "valid boolean"),
        ({"texts": ["a"], "texst": ["a"]}, 422, "texst"),
        ({"texts": "secret"}, 422, "valid list"),
        ({"texts": [None]}, 422, "valid string"),
        (b'{"texts": ["secret \\ud800"]}', 422, "unicode"),
        (b'{"texts": ["secret', 422, "JSON"),
        (b"", 422, "required"),
        (b"[" * 100_000, 400, "parsing"),
        (b"\xff\xfe\xfd", 400, "parsing"),
        (b"9" * 5000, 400, "parsing"),
        (b"null", 422, "valid dictionary"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_refused_with_the_reason(
    server: Server, body: Any, status: int, reason: str
) -> None:
    found, content = server.post(body)
    told = json.dumps(content)
    assert found == status
    assert reason in told
    assert "secret" not in told
    assert server.tagger.calls == []


def test_many_unknown_fields_are_one_problem(server: Server) -> None:
    """A problem for each would make an answer nine times as long, and take seconds to write."""
    status, content = server.post({f"{i}": 0 for i in range(20_000)} | {"\ud800" * 99: 0})
    assert (status, len(content["detail"])) == (422, 1)
    assert "20001 unknown fields, such as " in content["detail"][0]["msg"]


@pytest.mark.parametrize("type_", ["text/plain", "application/x-www-form-urlencoded", ""])
def test_a_page_elsewhere_cannot_send_json_unasked(server: Server, type_: str) -> None:
    """A browser sends these types to any server, and the type of JSON only if it is allowed to."""
    response = server.ask("POST", "/tag", '{"texts": ["a"]}', **{"Content-Type": type_})
    assert response.status == 422
    ask = {"Origin": "http://example.org", "Access-Control-Request-Method": "POST"}
    response = server.ask("OPTIONS", "/tag", **ask)
    assert response.status == 405
    assert not any(name.lower().startswith("access-control") for name in response.headers)


def test_a_body_that_is_longer_than_it_may_be_is_not_awaited(server: Server) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        head = f"POST /tag HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {MAX_BODY + 1}\r\n\r\n"
        client.sendall(head.encode())
        assert client.recv(1000).startswith(b"HTTP/1.1 413 ")
    chunk = b"100000\r\n" + b"x" * 2**20 + b"\r\n"  # without an end, and without a length
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.sendall(
            b"POST /tag HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        for _ in range(9):
            client.sendall(chunk)
        assert client.recv(1000).startswith(b"HTTP/1.1 413 ")
    assert server.tag("Ada")


@pytest.mark.parametrize(
    "garbage",
    [
        b"\x16\x03\x01\x02\x00\x01",  # the beginning of TLS
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST /tag HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n",
        b"\0" * 99_999,
    ],
)
def test_garbage_is_answered_and_forgotten(server: Server, garbage: bytes) -> None:
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.sendall(garbage)
        client.sendall(b"\r\n\r\n")
        assert client.recv(1000).startswith(b"HTTP/1.1 400 ")
    assert server.tag("Ada")


def test_other_hosts_names_are_refused_on_this_machine_alone(server: Server) -> None:
    for host in ("example.org", "127.0.0.1.example.org", "localhost@example.org", ""):
        assert server.ask("GET", "/health", Host=host).status == 400
    for host in ("localhost:1", "127.0.0.1", "[::1]:8000"):
        assert server.ask("GET", "/health", Host=host).status == 200
    for address in ("0.0.0.0", "192.0.2.1", "::"):  # noqa: S104
        assert hosts_of("example.org", address) == ("*",)
    for name in ("LOCALHOST", "127.1", "127.0.0.5"):
        with bind(name, 0) as listener:
            found = hosts_of(name, listener.getsockname()[0])
        assert set(found) == {*LOCAL_HOSTS, name}


def test_every_answer_has_the_headers_that_protect(server: Server) -> None:
    for path in ("/", "/serve.js", "/health", "/openapi.json", "/nowhere", "/docs", "/redoc"):
        response = server.ask("GET", path)
        assert response.status == (404 if path in ("/nowhere", "/docs", "/redoc") else 200)
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "http" not in policy
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"


def test_a_full_queue_is_told_and_empties(server: Server) -> None:
    with ThreadPoolExecutor(8) as executor:
        first = executor.submit(server.tag, "wait")
        server.tagger.wait_until_tagging()
        waiting = executor.submit(server.tag, "A" * 900)
        wait_until(lambda: server.batcher._jobs)
        response = server.ask("POST", "/tag", json.dumps({"texts": ["B" * 900]}), **JSON)
        assert response.status == 503
        assert int(response.headers["Retry-After"]) >= 1
        server.tagger.go.set()
        assert first.result(60)
        assert waiting.result(60)[0]["entities"]
    assert server.tag("Ada")


def test_too_many_requests_are_told_and_idle_connections_are_none(server: Server) -> None:
    address = ("127.0.0.1", server.port)
    idle = [socket.create_connection(address) for _ in range(50)]
    asked = [server.connect() for _ in range(MAX_REQUESTS)]
    for i, client in enumerate(asked):
        client.request("POST", "/tag", json.dumps({"texts": ["A" if i else "wait"]}), JSON)
        if i == 0:
            server.tagger.wait_until_tagging()
    wait_until(lambda: len(server.batcher._jobs) == MAX_REQUESTS - 1)
    response = server.ask("POST", "/tag", json.dumps({"texts": ["B"]}), **JSON)
    assert response.status == 503
    assert int(response.headers["Retry-After"]) >= 1
    assert {name: response.headers[name] for name in serving.HEADERS} == serving.HEADERS
    assert json.loads(response.read()) == {"detail": "Too much is waiting to be tagged."}
    assert server.ask("GET", "/health").status == 200  # whoever watches the server learns of it
    server.tagger.go.set()
    assert {client.getresponse().status for client in asked} == {200}
    assert server.tag("Ada")
    for client in asked:
        client.close()
    for unused in idle:
        unused.close()


def test_who_goes_away_is_not_tagged_for(server: Server) -> None:
    with ThreadPoolExecutor(1) as executor:
        first = executor.submit(server.tag, "wait")
        server.tagger.wait_until_tagging()
        leaving = server.connect()
        leaving.request("POST", "/tag", json.dumps({"texts": ["nobody waits"]}), JSON)
        wait_until(lambda: server.batcher._jobs)
        leaving.close()
        wait_until(lambda: not server.batcher._jobs)
        server.tagger.go.set()
        first.result(60)
    server.tag("Ada")
    assert "nobody waits" not in server.tagger.texts


def test_the_tagger_s_failure_is_a_clear_answer(server: Server, capfd: Any) -> None:
    assert server.post({"texts": ["fail: secret"]}) == (500, {"detail": "Tagging failed."})
    assert server.tag("Ada")
    assert "secret" not in "".join(capfd.readouterr())


@pytest.mark.slow
def test_64_clients_get_what_is_theirs_beside_slow_ones_and_garbage(
    server: Server, capfd: Any
) -> None:
    slow = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(32)]
    for i, client in enumerate(slow):  # parts of heads and bodies, and no more
        head = b"POST /tag HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000\r\n\r\n{"
        client.sendall(head[: 20 + 5 * i])

    def run(number: int) -> int:
        """The number of right answers that a client gets, who asks again while it is refused."""
        connection = server.connect()
        right = 0
        deadline = time.monotonic() + 60
        while right < 20 and time.monotonic() < deadline:
            texts = [f"Client{'x' * number} {right}", f"and Ada{'y' * right}"]
            connection.request("POST", "/tag", json.dumps({"texts": texts}), JSON)
            response = connection.getresponse()
            content = json.loads(response.read())
            if response.status == 503:
                time.sleep(0.01)
                continue
            documents = [server.tagger.document(text) for text in texts]
            assert content["documents"] == [
                {"text": one.text, "entities": [vars(entity) for entity in one.entities]}
                for one in documents
            ]
            right += 1
        return right

    with ThreadPoolExecutor(64) as executor:
        assert list(executor.map(run, range(64), timeout=120)) == [20] * 64
    assert 0 < len(server.tagger.calls) < 64 * 20  # some were tagged together
    for client in slow:
        client.close()
    assert "Client" not in "".join(capfd.readouterr())  # no text is logged


def test_slow_heads_and_bodies_are_ended(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_SECONDS", 0.2)
    monkeypatch.setattr(serving, "BODY_SECONDS", 0.2)
    for sent in (b"", b"POST /tag HTTP/1.1\r\nHost:"):
        with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
            client.sendall(sent)
            assert client.recv(1000) == b""
    monkeypatch.setattr(connection, "HEAD_SECONDS", 60)
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as client:
        client.sendall(b"POST /tag HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
        assert client.recv(1000).startswith(b"HTTP/1.1 408 ")


@pytest.mark.slow
def test_a_slow_reader_gets_its_answers_and_one_that_does_not_read_is_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 2)
    app = FastAPI()
    app.add_api_route("/{size}", lambda size: Response(b"x" * int(size)))
    listener = bind("127.0.0.1", 0)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 2**16)  # the rest the server holds
    address = listener.getsockname()
    silent = socket.create_connection(address)
    with running(app, listener) as found, silent:
        silent.sendall(b"GET /4000000 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        steady = HTTPConnection("127.0.0.1", address[1], timeout=60)
        steady.connect()
        steady.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2**16)
        steady.request("GET", "/1000000")
        assert len(steady.getresponse().read()) == 1_000_000
        with suppress(OSError):  # it may be ended already
            silent.sendall(b"GET /1 HTTP/1.1\r\nHost: localhost\r\n\r\n")  # still reads nothing
        steady.request("GET", "/4000000")
        response = steady.getresponse()
        size = 0
        while piece := response.read(2**16):
            size += len(piece)
            time.sleep(0.05)
        assert size == 4_000_000
        steady.close()
        wait_until(lambda: not found.server_state.connections)


PROGRAM = """
import sys
from tagger import apply
from tests.fake_tagger import FakeTagger
apply.Tagger = type("Loaded", (), {"load": lambda folder: FakeTagger()})
from tagger.serve.__main__ import main
sys.argv = ["serve", *sys.argv[1:]]
main()
"""


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    """Starts the command in a process, for a tagger that needs no model."""
    (tmp_path / "config.json").write_text("{}")
    processes = []

    def started(*arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, str(tmp_path), *arguments],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        processes.append(process)
        return process

    yield started
    for process in processes:
        process.kill()
        process.communicate()


@pytest.mark.slow
def test_the_command_says_where_it_is_and_ends_quietly(start: Any) -> None:
    process = start("--port", "0")
    line = process.stdout.readline()
    found = re.fullmatch(r"The tagger is at (http://127\.0\.0\.1:(\d+)); Ctrl-C ends it\.\n", line)
    assert found
    assert Server(int(found[2]), FakeTagger(), Batcher(FakeTagger())).tag("Ada")
    second = start("--port", found[2])
    output, errors = second.communicate(timeout=60)
    assert (second.returncode, output) == (1, "")
    assert errors == (
        f"tagger.serve: Cannot listen at 127.0.0.1, port {found[2]} (Address already in use). "
        "Choose another with --host or --port; --port 0 takes a free one.\n"
    )
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 0


@pytest.mark.parametrize(("host", "port"), [("no.such.host.invalid", 0), ("127.0.0.1", 70_000)])
def test_an_address_that_cannot_be_had_is_told(host: str, port: int) -> None:
    with pytest.raises(InputError, match=rf"Cannot listen at {host}, port {port} \(.+\)"):
        bind(host, port)


@pytest.mark.slow
def test_the_interface_is_as_its_description_says(server: Server, tmp_path: Path) -> None:
    """Schemathesis makes requests from the description, right and wrong ones."""
    pytest.importorskip("schemathesis", reason=WITHOUT)
    command = [
        str(Path(sys.executable).parent / "schemathesis"), "run", f"{server.url}openapi.json",
        "--max-examples=30", "--generation-deterministic", "--no-color",
    ]  # fmt: skip
    done = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"no_proxy": "127.0.0.1"},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout


# In Chromium


@pytest.fixture
def visit(browser: Browser, server: Server) -> Iterator[Any]:
    """Opens the page; in the end it has asked nobody but the server."""
    requests: list[str] = []
    with watched(browser, requests) as open_url:
        yield lambda **options: open_url(server.url, **options)
    assert {url.removeprefix(server.url) for url in requests} <= {
        "", "style.css", "entities.css", "entities.js", "serve.js", "icon.svg", "tag"
    }  # fmt: skip


HOSTILE = (
    "Ada </script><script>alert(1)</script> <img/src=x/onerror=alert(1)> Bo 👩‍🚀 Tarrow\n\n\n"
    "שלום Ada שלום\n\0\x07\u202eBo\u2028Cid e\u0301 &lt;Dee&gt; " + "X" * 10_000 + " End\n"
)


def words(page: Page) -> list[str]:
    texts: list[str] = page.locator(".entity .words").evaluate_all(
        "all => all.map(e => e.textContent)"
    )
    return texts


def text_shown(page: Page) -> str:
    """The text of the result as it stands in the page, without the labels."""
    shown: str = page.evaluate(
        """[...document.querySelectorAll(".text p")].map((p, i) => {
            const copy = p.cloneNode(true), begins = i > 0 && p.className !== "continued";
            for (const bar of copy.querySelectorAll(".bar")) bar.remove();
            return (begins ? "\\n" : "") + copy.textContent;
        }).join("")"""
    )
    return shown


def submit(page: Page, text: str) -> None:
    page.locator("#text").evaluate(
        """(field, text) => {
            field.value = text;
            field.dispatchEvent(new Event("input"));
        }""",
        text,
    )
    page.locator("#text").press("Control+Enter")
    page.wait_for_selector("#ask:not([aria-busy])")


def test_the_page_shows_what_was_found_in_any_text(visit: Any, server: Server) -> None:
    page = visit()
    page.wait_for_selector(".entity")  # of the text that is there at first
    submit(page, HOSTILE)
    (expected,) = server.tag(HOSTILE)
    assert len(expected["entities"]) == 9
    assert words(page) == [entity["text"] for entity in expected["entities"]]
    assert text_shown(page) == HOSTILE
    assert page.locator("#status").text_content() == "9 entities"
    assert page.locator(".text script, .text img, .text b").count() == 0
    scores = page.locator(".entity .score").all_text_contents()
    assert scores == [f"{entity['score']:.2f}" for entity in expected["entities"]]


def test_the_threshold_is_chosen_and_what_is_shown_is_copied(visit: Any, server: Server) -> None:
    page = visit(permissions=["clipboard-read", "clipboard-write"])
    text = "👩‍🚀 Ada " + "x " * 20 + "Bo"
    submit(page, text)
    calls = len(server.tagger.calls)
    slider = page.get_by_label("least probability")
    slider.fill("0.2")
    shown = page.locator(".entity:not(.below) .words").all_text_contents()
    assert shown == ["Bo"]
    assert page.locator(".entity.below").bounding_box()  # its words stay in the text
    assert text_shown(page) == text
    page.get_by_role("button", name="Copy JSON").click()
    page.get_by_text("Copied 1 entity.").wait_for()
    (expected,) = server.tag(text)
    expected["entities"] = expected["entities"][1:]
    assert json.loads(page.evaluate("navigator.clipboard.readText()")) == expected
    slider.press("Home")
    assert page.locator(".entity.below").count() == 0
    assert len(server.tagger.calls) == calls + 1  # that of this test alone


def test_the_page_tells_why_there_is_no_answer(visit: Any, server: Server) -> None:
    page = visit()
    page.wait_for_selector(".entity")
    for text, reason in (
        ("refuse me", "This text could not be tagged."),
        ("Ada", "1 entity"),
        ("nothing", "0 entities"),
    ):
        submit(page, text)
        assert page.locator("#status").text_content() == reason
    assert page.get_by_role("button", name="Copy JSON").is_enabled()
    submit(page, "refuse me")
    assert page.get_by_text("Not tagged: it cannot be tagged").is_visible()
    assert page.get_by_role("button", name="Copy JSON").is_disabled()


def test_the_page_tells_what_any_answer_means(visit: Any) -> None:
    page = visit()
    page.wait_for_selector(".entity")

    def told(status: int, headers: dict[str, str], body: str) -> str:
        # As in HTTP/2, the status has no words.
        page.evaluate(
            """([status, headers, body]) => {
                window.fetch = async () => new Response(body, {status, headers});
            }""",
            [status, headers, body],
        )
        submit(page, "Ada")
        shown: str = page.locator("#status").inner_text()
        return shown

    # This server's answers
    assert told(503, {"Retry-After": "1"}, '{"detail": "No."}') == "No. Try again in 1 second."
    assert told(422, {}, '{"detail": [{"loc": ["body", "texts"], "msg": "No"}]}') == "texts: No"
    # Those of a proxy
    for headers, body, wait in (
        ({"Retry-After": "Fri, 31 Dec 2027 23:59:59 GMT"}, '{"message": "rate limited"}', ""),
        ({"Retry-After": "90"}, "<h1>Bad Gateway</h1>", " Try again in 90 seconds."),
        ({}, "null", ""),
        ({}, '{"detail": ["No"]}', ""),
    ):
        assert told(502, headers, body) == f"The server answered with status 502.{wait}"
    unusable = told(200, {}, "<h1>Log in</h1>")
    assert unusable.startswith("The server gave no answer that can be used (")


def test_a_text_of_a_megabyte_stays_usable(visit: Any, server: Server) -> None:
    page = visit()
    line = "Ada met somebody in a town, and the rest of this line has no name. "
    text = f"{line}\n" * 7500 + line * 7500  # many lines, and one that is long
    submit(page, text)
    assert page.locator("#status").text_content() == "15,000 entities"
    page.get_by_label("least probability").fill("0.5")
    page.locator(".entity.below").first.wait_for()
    assert text_shown(page) == text


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_can_be_read_in_either_scheme_and_on_a_phone(visit: Any, scheme: str) -> None:
    page = visit(viewport={"width": 400, "height": 844}, color_scheme=scheme)
    page.wait_for_selector(".entity")
    assert page.evaluate("document.documentElement.scrollWidth") == 400
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 40
    assert {name: ratio for name, ratio in contrasts.items() if ratio < 4.5} == {}
    for field in page.locator("input, textarea, button").all():
        assert field.evaluate("e => e.labels?.length > 0 || e.textContent.trim() !== ''")
