"""What the server answers: the page, `POST /tag`, `GET /health` and their OpenAPI description.

No text is kept or logged. The limits protect one server from a client's mistakes; a server that
faces others belongs behind a proxy.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tagger.document import Document
from tagger.serve.batcher import Batcher, QueueFullError

VERSION = "0.1.0"  # of the package, as in pyproject.toml
PAGES = Path(__file__).parent.parent / "pages"
MAX_TEXTS = 1000  # in a request
MAX_CHARACTERS = 2**20  # in the texts of a request
MAX_BODY = 8 * 2**20  # bytes, which hold that many characters of most scripts even as \uXXXX
MAX_REQUESTS = 256  # at a time
MAX_HELD = 8 * MAX_BODY  # bytes of all bodies that are being read or answered
BODY_SECONDS = 30  # until the whole body has arrived
FILES = {
    "/": ("serve.html", "text/html; charset=utf-8"),
    "/serve.js": ("serve.js", "text/javascript; charset=utf-8"),
    "/entities.js": ("entities.js", "text/javascript; charset=utf-8"),
    "/style.css": ("style.css", "text/css; charset=utf-8"),
    "/entities.css": ("entities.css", "text/css; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def _check_size(texts: list[str]) -> list[str]:
    characters = sum(map(len, texts))
    if characters > MAX_CHARACTERS:
        raise ValueError(
            f"the texts have {characters:,} characters, and at most {MAX_CHARACTERS:,} are allowed"
        )
    return texts


class TagRequest(BaseModel):
    """Texts to find entities in. Each is a document, and is tagged as a whole."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        json_schema_extra={"examples": [{"texts": ["Laura Osborne flew to Bergen."]}]},
    )
    texts: Annotated[
        list[Annotated[str, Field(max_length=MAX_CHARACTERS)]],
        Field(
            max_length=MAX_TEXTS,
            description=f"The documents, with {MAX_CHARACTERS:,} characters at most in all.",
        ),
        AfterValidator(_check_size),
    ]
    threshold: Annotated[
        float,
        Field(ge=0, le=1, description="Entities that are less probable than this are left out."),
    ] = 0.0
    wrapped: Annotated[
        bool, Field(description="The lines are hard-wrapped: the end of a line ends no sentence.")
    ] = False

    @model_validator(mode="before")
    @classmethod
    def _check_fields(cls, content: Any) -> Any:
        """Refuse unknown fields in one problem; one for each would be longer than the body."""
        if isinstance(content, dict) and (unknown := content.keys() - cls.model_fields.keys()):
            names = ", ".join(sorted(repr(name[:40]) for name in unknown)[:3])
            raise ValueError(f"{len(unknown)} unknown fields, such as {names}")
        return content


class TaggedEntity(BaseModel):
    """A named entity. Offsets count Unicode code points from the start of the text."""

    start: Annotated[int, Field(ge=0, description="Its first character.")]
    end: Annotated[int, Field(ge=1, description="The character after its last one.")]
    label: Annotated[str, Field(description="Its type, one of the labels of /health.")]
    score: Annotated[
        float,
        Field(ge=0, le=1, description="The probability that exactly this entity is there."),
    ]
    text: Annotated[str, Field(description="The text from start to end.")]


class TaggedDocument(BaseModel):
    """A text with its entities in the order of the text. They do not overlap."""

    text: str
    entities: list[TaggedEntity]
    error: Annotated[
        str | None, Field(description="Why it could not be tagged; left out if it could.")
    ] = None


class TagResponse(BaseModel):
    """A document for each text, in the order of the texts."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "documents": [
                        {
                            "text": "Laura Osborne flew to Bergen.",
                            "entities": [
                                {"start": 0, "end": 13, "label": "PER", "score": 0.98,
                                 "text": "Laura Osborne"},
                                {"start": 22, "end": 28, "label": "LOC", "score": 0.95,
                                 "text": "Bergen"},
                            ],
                        }
                    ]
                }
            ]
        }
    )  # fmt: skip
    documents: list[TaggedDocument]


class Health(BaseModel):
    """The server answers, with this tagger."""

    status: str
    version: Annotated[str, Field(description="Of the package conllpp-tagger.")]
    labels: Annotated[list[str], Field(description="The types of entities.")]
    tagger: Annotated[
        str,
        Field(
            description="SHA-256 of the tagger's config.json, which has those of its other files."
        ),
    ]


class Problem(BaseModel):
    """Why a request was not answered."""

    detail: str


PROBLEMS: dict[int | str, dict[str, Any]] = {
    400: {"model": Problem, "description": "The body is not JSON, or the header Host is foreign."},
    408: {"model": Problem, "description": f"The body took longer than {BODY_SECONDS} seconds."},
    413: {"model": Problem, "description": f"The body has more than {MAX_BODY:,} bytes."},
    500: {"model": Problem, "description": "Tagging failed."},
    503: {
        "model": Problem,
        "description": "Too much is waiting to be tagged.",
        "headers": {
            "Retry-After": {
                "description": "After how many seconds to try again.",
                "schema": {"type": "integer"},
            }
        },
    },
}


class Guard:
    """Middleware (ASGI) that limits requests and their bodies, and adds HEADERS to the answers.

    A request whose body is not read is never refused, so `GET /health` answers at any time.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.requests = 0
        self.held = 0  # bytes of the bodies of all requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, with its body limited, and the answer back."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        deadline = asyncio.get_running_loop().time() + BODY_SECONDS
        length = Headers(scope=scope).get("content-length", "0")
        is_admitted = self.requests < MAX_REQUESTS
        size = 0
        is_whole = False

        async def receive_limited() -> Message:
            nonlocal size, is_whole
            if is_whole:  # this waits for the client to go away
                return await receive()
            if not is_admitted:
                raise _busy()
            if length.isdecimal() and int(length) > MAX_BODY:
                raise _too_large()
            try:
                async with asyncio.timeout_at(deadline):
                    message = await receive()
            except TimeoutError:
                detail = f"The body did not arrive within {BODY_SECONDS} seconds."
                raise HTTPException(HTTPStatus.REQUEST_TIMEOUT, detail) from None
            received = len(message.get("body", b""))
            size += received
            self.held += received
            if size > MAX_BODY:
                raise _too_large()
            if self.held > MAX_HELD:
                raise _busy()
            is_whole = not message.get("more_body", False)
            return message

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        self.requests += 1
        try:
            await self.app(scope, receive_limited, send_with_headers)
        finally:
            self.requests -= 1
            self.held -= size


def _too_large() -> HTTPException:
    detail = f"The body is too large: {MAX_BODY:,} bytes are allowed."
    return HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail)


def _busy() -> HTTPException:
    detail = "Too much is waiting to be tagged."
    return HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, detail, {"Retry-After": "1"})


def _answer_invalid(request: Request, error: Exception) -> Response:
    """What is wrong with a request, without what it holds: that may be long, or no Unicode."""
    assert isinstance(error, RequestValidationError)
    detail = [{key: problem[key] for key in ("loc", "msg", "type")} for problem in error.errors()]
    return JSONResponse({"detail": detail}, HTTPStatus.UNPROCESSABLE_ENTITY)


def _content_of(document: Document, threshold: float) -> dict[str, Any]:
    """A document in the form of TaggedDocument."""
    content: dict[str, Any] = {
        "text": document.text,
        "entities": [vars(one) for one in document.entities if one.score >= threshold],
    }
    return content if document.error is None else content | {"error": document.error}


def _file_answer(name: str, media_type: str) -> Callable[[], Awaitable[Response]]:
    content = (PAGES / name).read_bytes()

    async def answer() -> Response:
        return Response(content, media_type=media_type)

    return answer


def make_app(batcher: Batcher, tagger_hash: str, hosts: Sequence[str]) -> FastAPI:
    """The application (ASGI).

    Args:
        batcher: it is started and closed together with the application
        tagger_hash: SHA-256 of the tagger's config.json
        hosts: the names that a request may have in its header Host; "*" allows any. It keeps a page
            elsewhere from reaching a server on this machine through a name of its own (DNS
            rebinding).
    """

    @asynccontextmanager
    async def run_batcher(_: FastAPI) -> AsyncIterator[None]:
        batcher.start()
        yield
        batcher.close()

    async def tag(request: Request, body: TagRequest) -> Response:
        """Find the entities of texts.

        Requests that come together are tagged together, with the same result as alone.
        """
        try:
            future = batcher.submit(body.texts, wrapped=body.wrapped)
        except QueueFullError:
            raise _busy() from None
        documents = asyncio.wrap_future(future)
        gone = asyncio.ensure_future(request.receive())  # ends when the client goes away
        gone.add_done_callback(lambda _: documents.cancel())
        try:
            found = await documents
        except asyncio.CancelledError:
            if not gone.done():
                raise
            return Response()  # nobody reads it
        except Exception:
            detail = "Tagging failed."
            raise HTTPException(HTTPStatus.INTERNAL_SERVER_ERROR, detail) from None
        finally:
            gone.cancel()
        content = {"documents": [_content_of(one, body.threshold) for one in found]}
        encoded = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        return Response(encoded.encode(), media_type="application/json")

    async def health() -> Health:
        """Whether the server answers, and with which tagger."""
        return Health(
            status="ok", version=VERSION, labels=list(batcher.tagger.labels), tagger=tagger_hash
        )

    app = FastAPI(
        title="Named-entity tagger",
        description="Finds the named entities of texts. Offsets count Unicode code points.",
        version=VERSION,
        lifespan=run_batcher,
        docs_url=None,  # its page loads a script from another server
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
    )
    app.add_api_route(
        "/tag", tag, methods=["POST"], response_model=TagResponse, responses=PROBLEMS
    )  # fmt: skip
    app.add_api_route("/health", health, responses={400: PROBLEMS[400]})
    for path, (name, media_type) in FILES.items():
        app.add_api_route(path, _file_answer(name, media_type), include_in_schema=False)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(hosts), www_redirect=False)
    app.add_middleware(Guard)
    return app
