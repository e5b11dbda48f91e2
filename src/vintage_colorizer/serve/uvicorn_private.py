"""How long a client may dawdle over a header or an answer, and how many may be connected.

uvicorn has no public way to say that, so its HTTP/1.1 is extended here, and nowhere else. What is used of it:
`connections`, `loop`, `transport`, `cycle.response_complete`, `connection_made`, `data_received`, `connection_lost`,
`on_response_complete` and `timeout_keep_alive_handler`. They may change with any minor version, hence the bound in
pyproject.toml; tests/serve/test_uvicorn_private.py says whether a new version still has them.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

from vintage_colorizer.serve.answers import RETRY_SECONDS, Failure

HEADER_SECONDS = 10.0  # in which the whole header of a request must have come
FLUSH_SECONDS = 300.0  # in which the last answer of a connection must have been fetched
MAX_CONNECTIONS = 500


class PatientProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, which closes connections that dawdle over a header or never fetch their answer."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the clock; refuse one connection too many."""
        super().connection_made(transport)
        if len(self.connections) > MAX_CONNECTIONS:
            transport.write(_CROWDED)
            transport.close()
            return
        self._deadline = self.loop.call_later(HEADER_SECONDS, self._too_slow)

    def data_received(self, data: bytes) -> None:
        """Take bytes; the clock runs only while a header is incomplete."""
        super().data_received(data)
        waits = self.cycle is None or self.cycle.response_complete
        if not waits:
            self._stop_clock()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEADER_SECONDS, self._too_slow)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clock."""
        super().connection_lost(exc)
        self._stop_clock()

    def on_response_complete(self) -> None:
        """Go on; a connection that is closing ends at last even if the client never fetches what it was sent."""
        super().on_response_complete()
        self._end_at_last()

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection."""
        super().timeout_keep_alive_handler()
        self._end_at_last()

    def _end_at_last(self) -> None:
        if self.transport.is_closing():
            self._stop_clock()
            self._deadline = self.loop.call_later(FLUSH_SECONDS, self.transport.abort)

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        if not self.transport.is_closing() and (self.cycle is None or self.cycle.response_complete):
            self.transport.write(_SLOW)
            self.transport.close()


def _plain_answer(status: str, message: str, more: str = "") -> bytes:
    """A refusal made without the application, in the same form."""
    body = Failure(error="Refused", message=message).model_dump_json()
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return f"{head}{more}Connection: close\r\n\r\n{body}".encode()


_SLOW = _plain_answer("408 Request Timeout", "The request arrives too slowly.")
_CROWDED = _plain_answer(
    "503 Service Unavailable", "Too many connections; try again soon.", f"Retry-After: {RETRY_SECONDS}\r\n"
)
