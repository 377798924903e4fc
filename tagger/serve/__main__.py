"""Serve a tagger: `python -m tagger.serve FOLDER [--host HOST] [--port PORT]`.

FOLDER is what the stage export has made. The page is at http://127.0.0.1:8000 unless told
otherwise, the description of the interface at /openapi.json. Ctrl-C ends it.
"""

import argparse
import ipaddress
import socket
import sys
from contextlib import suppress
from pathlib import Path

try:
    import uvicorn
    from fastapi import FastAPI
except ModuleNotFoundError as missing:
    sys.exit(f"{missing}: `make serve` installs it, or `pip install` with the extra `serve`.")

from tagger.apply import Tagger
from tagger.files import InputError, sha256
from tagger.serve.app import make_app
from tagger.serve.batcher import Batcher
from tagger.serve.connection import Connection

LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]")


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens at an address; a free port if `port` is 0.

    Raises:
        InputError: that is not possible, as where another program has the port.
    """
    # asyncio spares an answer in two packets the delay of Nagle's algorithm (40 ms) only where the
    # socket was made with the number of TCP; that of socket.create_server is not.
    listener = None
    try:
        family, type_, protocol, _, address = socket.getaddrinfo(
            host, None, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP
        )[0]
        listener = socket.socket(family, type_, protocol)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address[0], port, *address[2:]))
        listener.listen()
    except (OSError, OverflowError) as error:
        if listener is not None:
            listener.close()
        reason = getattr(error, "strerror", None) or str(error)
        raise InputError(
            f"Cannot listen at {host}, port {port} ({reason}). "
            "Choose another with --host or --port; --port 0 takes a free one."
        ) from error
    return listener


def hosts_of(host: str, address: str) -> tuple[str, ...]:
    """The names by which a server may be called.

    One that listens on this machine alone answers to this machine's names alone. Another may have
    any name.

    Args:
        host: where the user has it listen
        address: the address that this stands for, as `LOCALHOST` and `127.1` do for 127.0.0.1
    """
    return (*LOCAL_HOSTS, host) if ipaddress.ip_address(address).is_loopback else ("*",)


def configure(app: FastAPI) -> uvicorn.Config:
    """How uvicorn is to serve the application."""
    return uvicorn.Config(
        app,
        http=Connection,
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,  # the address of a request may hold a text
        server_header=False,
        timeout_graceful_shutdown=5,  # seconds for what is being answered
    )


def main() -> None:
    """Load the tagger, and serve it."""
    parser = argparse.ArgumentParser(prog="python -m tagger.serve", description=__doc__)
    parser.add_argument("folder", type=Path, help="a tagger, such as data/tagger")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen at")
    parser.add_argument("--port", type=int, default=8000, help="0 takes a free one")
    arguments = parser.parse_args()
    try:
        with bind(arguments.host, arguments.port) as listener:
            batcher = Batcher(Tagger.load(arguments.folder))
            hash_ = sha256(arguments.folder / "config.json")
            app = make_app(batcher, hash_, hosts_of(arguments.host, listener.getsockname()[0]))
            name = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
            port = listener.getsockname()[1]
            print(f"The tagger is at http://{name}:{port}; Ctrl-C ends it.", flush=True)
            with suppress(KeyboardInterrupt):
                uvicorn.Server(configure(app)).run(sockets=[listener])
    except (InputError, OSError) as error:
        sys.exit(f"tagger.serve: {error}")


if __name__ == "__main__":
    main()
