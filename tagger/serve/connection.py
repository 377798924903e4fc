"""HTTP connections that end if the other side is too slow."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10  # for the head of a request
ANSWER_SECONDS = 60  # for reading some of an answer


class Connection(H11Protocol):
    """HTTP/1.1 by uvicorn, which itself waits for ever for a head, and for an answer to be read.

    So a client could keep as many connections open as the system allows, at no cost to itself.
    Those between two requests are ended by uvicorn.
    """

    _timer: asyncio.TimerHandle | None = None  # for a head
    _reading: asyncio.TimerHandle | None = None  # for an answer

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for a head."""
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        """Take data; if it is part of a head, the time for it runs."""
        super().data_received(data)
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._stop()
        if self._reading is not None:
            self._reading.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        """Let the time for reading the answer run."""
        super().on_response_complete()
        if self._reading is not None:  # that of an answer before
            self._reading.cancel()
        self._await_reading()

    def _await_reading(self) -> None:
        if unread := self.transport.get_write_buffer_size():
            self._reading = self.loop.call_later(ANSWER_SECONDS, self._check_reading, unread)

    def _check_reading(self, unread: int) -> None:
        """End the connection unless fewer bytes are unread than there were."""
        if self.transport.get_write_buffer_size() < unread:
            self._await_reading()
        else:
            self.transport.abort()

    def _watch(self) -> None:
        """Let the time run unless a request is being answered."""
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop()
        elif self._timer is None:
            self._timer = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
