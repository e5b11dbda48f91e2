"""The HTTP API: a photo in, the colored photo out. See docs/reference/http-api.md.

Nothing of a photo is kept. Options are the query, checked by the same classes as everywhere. Who may ask is
decided in `guard`, how much in `limits`; the page is in `page`. OpenAPI is made from the types of the routes.
"""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import uvicorn
from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from vintage_colorizer.errors import OptionError, TooLargeError, VintageColorizerError
from vintage_colorizer.options import ServeOptions
from vintage_colorizer.serve import about, film_routes, films, page, photos
from vintage_colorizer.serve.answers import Heads, error_response, failures
from vintage_colorizer.serve.guard import Guard
from vintage_colorizer.serve.limits import GivenUp, Lingering
from vintage_colorizer.serve.service import CLIENT_GONE, STATUS, Service
from vintage_colorizer.serve.uvicorn_private import MAX_CONNECTIONS, PatientProtocol
from vintage_colorizer.version import __version__

log = logging.getLogger("vintage_colorizer")
BEARER = HTTPBearer(auto_error=False, description="The token of the server.")  # for OpenAPI; `guard` looks at it


class App(FastAPI):
    """FastAPI that says of errors only what happens."""

    def openapi(self) -> dict[str, Any]:
        """FastAPI's document, without its own form of errors: it says that any parameter may be refused with it."""
        if self.openapi_schema is not None:
            return self.openapi_schema
        document = super().openapi()
        for operation in (one for methods in document["paths"].values() for one in methods.values()):
            if "HTTPValidationError" in str(operation["responses"].get("422")):
                del operation["responses"]["422"]
        for name in ("HTTPValidationError", "ValidationError"):
            document["components"]["schemas"].pop(name, None)
        return document


def create_app(options: ServeOptions | None = None) -> FastAPI:
    """The whole application: API, page, and the guard before them.

    Raises:
        VintageColorizerError: the network cannot be used.
    """
    options = options or ServeOptions.of()
    service = Service(options)
    reels = films.Films(service.colorizer, options)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with films.kept_clean(reels):
            yield
        service.desk.close()

    app = App(
        title="Vintage Colorizer",
        version=__version__,
        description="Colors are plausible, not historical fact.",
        docs_url=None,  # these pages fetch scripts from other hosts
        redoc_url=None,
        openapi_url="/api/openapi.json",
        lifespan=lifespan,
    )
    app.add_middleware(Heads)
    app.add_middleware(Guard, options=options)
    app.add_middleware(Lingering)
    _add_error_handlers(app)
    app.include_router(about.health_routes(service))
    behind_token: dict[str, Any] = {"responses": failures(401), "dependencies": [Depends(BEARER)]}
    for router in (
        photos.routes(service),
        photos.repair_routes(service),
        photos.hint_routes(service),
        page.routes(service),
        about.routes(),
        film_routes.routes(service, reels),
    ):
        app.include_router(router, **({} if options.token is None else behind_token))
    page.add_page(app)
    return app


# --- Errors ---------------------------------------------------------------------------------------------


def _add_error_handlers(app: FastAPI) -> None:
    """Give every error the same form, and let no traceback out."""

    @app.exception_handler(VintageColorizerError)
    async def ours(request: Request, error: VintageColorizerError) -> Response:
        status = next(status for kind, status in STATUS if isinstance(error, kind))
        if isinstance(error, TooLargeError):  # what follows tells the owner which option raises the limit
            error = TooLargeError(f"{error.text.partition(':')[0].rstrip('.')}.", error.subject)
        return error_response(status, type(error).__name__, str(error), {"Connection": "close"})

    @app.exception_handler(HTTPException)
    async def refused(request: Request, error: HTTPException) -> Response:
        return error_response(error.status_code, "Refused", str(error.detail), dict(error.headers or {}))

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return error_response(422, "OptionError", str(error.errors()[0]["msg"]))

    @app.exception_handler(ClientDisconnect)
    @app.exception_handler(GivenUp)
    async def gone(request: Request, error: Exception) -> Response:
        return Response(status_code=CLIENT_GONE)

    @app.exception_handler(MemoryError)
    async def memory(request: Request, error: MemoryError) -> Response:
        return error_response(503, "OutOfMemoryError", "The server has too little memory for this; try a smaller file.")

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> Response:
        return error_response(500, "InternalError", "Something went wrong in the server; its log says what.")


# --- Running --------------------------------------------------------------------------------------------


def serve(options: ServeOptions, say: Callable[[str], None]) -> None:
    """Serve until interrupted; `say` hears the address to open.

    Raises:
        OptionError: the address cannot be listened at.
        VintageColorizerError: the network cannot be used.
    """
    app = create_app(options)
    with listen(options) as listener, contextlib.suppress(KeyboardInterrupt):  # which is how it is meant to end
        say(f"Open {address(listener, options)} in a browser; Ctrl-C ends the server.")
        make_server(app).run(sockets=[listener])


def make_server(app: FastAPI) -> uvicorn.Server:
    """A server with our limits; it keeps no log of who asked what."""
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        ws="none",
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        backlog=MAX_CONNECTIONS,
        timeout_keep_alive=5,
        timeout_graceful_shutdown=5,
    )
    return uvicorn.Server(config)


def listen(options: ServeOptions) -> socket.socket:
    """A socket that listens. Raises OptionError if that is not possible."""
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    try:
        return socket.create_server((options.host, options.port), family=family, backlog=MAX_CONNECTIONS)
    except OSError as error:
        where = f"{options.host}, port {options.port}"
        raise OptionError(f"The server cannot listen at {where} ({error.strerror}); choose another --port.") from error


def address(listener: socket.socket, options: ServeOptions) -> str:
    """What to open in a browser on this machine."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    name = f"[{host}]" if ":" in host else host
    return f"http://{name}:{port}/" + (f"?{urlencode({'token': options.token})}" if options.token else "")
