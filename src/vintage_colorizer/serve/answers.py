"""What the server answers when it refuses, and how OpenAPI is told of it."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

RETRY_SECONDS = 2
RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}
MEANING = {
    400: "Empty, damaged or not a picture; a broken form; a broken range.",
    401: "The token is missing or wrong.",
    403: "Started by another site's page, or not a name of this server.",
    404: "No such film or job of yours.",
    408: "The request or its body arrives too slowly.",
    409: "The film is not done, or not here yet; a part that begins at the wrong place.",
    413: "Over the limit of bytes or pixels.",
    415: "A format that is not read, or no file at all.",
    416: "Several ranges, or one beyond the end.",
    422: "An option is wrong, unknown or given twice.",
    500: "The network failed.",
    501: "The network is not installed on the server.",
    503: "Too much to do, or too little memory; `Retry-After` says when to come back.",
    507: "No room on the server's disk.",
}
EVERYWHERE = (403, 408, 503)
BODY = (400, 413, 415, 422)  # of a request that carries a file and options
NETWORK = (500, 501)  # of one that waits for a network's color


class Failure(BaseModel):
    """The one form of every error."""

    error: str = Field(description="The name of the error, or Refused.", examples=["UnreadableError"])
    message: str = Field(description="A sentence that says what is wrong.", examples=["The input is damaged."])


def error_response(status: int, kind: str, message: str, headers: dict[str, str] | None = None) -> Response:
    """Refuse a request."""
    return JSONResponse(Failure(error=kind, message=message).model_dump(), status, headers)


def failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What FastAPI needs to know of these statuses."""
    return {
        status: {"model": Failure, "description": MEANING[status]} | ({"headers": RETRY_AFTER} if status == 503 else {})
        for status in statuses
    }


class Heads:
    """Answers HEAD, which FastAPI knows only where it is named, as GET without the body (ASGI)."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand before `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http" or scope["method"] != "HEAD":
            await self._app(scope, receive, send)
            return

        async def send_head(message: Message) -> None:
            if message["type"] == "http.response.start":
                await send(message)
                await send({"type": "http.response.body", "body": b"", "more_body": False})

        await self._app({**scope, "method": "GET", "head": True}, receive, send_head)
