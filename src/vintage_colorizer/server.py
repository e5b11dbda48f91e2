"""The HTTP API: a photo in, the colored photo out. See docs/reference/http-api.md.

Nothing of a photo is kept. Options are the query, checked by the same classes as everywhere. Who may ask is
decided in `server_guard`, how much in `server_limits`; the page is in `web`.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, BinaryIO, TypeVar

import uvicorn
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from vintage_colorizer import errors
from vintage_colorizer.archive.photos import room_for
from vintage_colorizer.colorizer import Colorizer
from vintage_colorizer.errors import OptionError, VintageColorizerError
from vintage_colorizer.networks import catalog, weights
from vintage_colorizer.networks.catalog import PHOTO_LOOK
from vintage_colorizer.options import MACHINE_FIELDS, BaseOptions, PhotoOptions, ServeOptions
from vintage_colorizer.photo.formats import HOLDS, SUFFIXES, output_format
from vintage_colorizer.photo.picture import Photo
from vintage_colorizer.photo.reading import probe, read_photo
from vintage_colorizer.photo.result import ColorizedPhoto
from vintage_colorizer.server_guard import Guard, error_response
from vintage_colorizer.server_limits import MAX_CONNECTIONS, Desk, GivenUp, Lingering, PatientProtocol, Task
from vintage_colorizer.version import __version__

log = logging.getLogger("vintage_colorizer")

Group = TypeVar("Group", bound=BaseOptions)

# What an error of ours means in HTTP; the first class that fits counts.
STATUS: list[tuple[type[VintageColorizerError], int]] = [
    (errors.TooLargeError, 413),
    (errors.UnsupportedError, 415),
    (errors.InputError, 400),
    (errors.OptionError, 422),
    (errors.DiskFullError, 507),
    (errors.OutputError, 422),
    (errors.MissingError, 501),
    (errors.OutOfMemoryError, 503),
    (VintageColorizerError, 500),
]
CLIENT_GONE = 499  # nobody reads it
ABOUT = {
    "artistic": "Vivid and detailed.",
    "stable": "Few mistakes: portraits and landscapes.",
    "video": "Calm, made for films.",
}


class Service:
    """What all endpoints share: one network in memory, and one desk that bounds the work."""

    def __init__(self, options: ServeOptions) -> None:
        """Load the network."""
        self.options = options
        self.colorizer = Colorizer(threads=1, device=options.device, max_megapixels=options.max_megapixels)
        self.colorizer.engine()
        self.desk = Desk(options.workers, options.queue, options.timeout)

    def options_of(self, query: Iterable[tuple[str, str]], group: type[Group], **defaults: Any) -> Group:
        """The options in a query. Raises OptionError for what is wrong, unknown, given twice or the owner's."""
        values: dict[str, Any] = {}
        for name, value in query:
            if name in MACHINE_FIELDS:
                raise OptionError(f"{name.replace('_', '-')} is for the owner of the server to choose; leave it out.")
            if name in values:
                raise OptionError(f"{name.replace('_', '-')} is given twice; give it once.")
            values[name] = value
        return group.of(**defaults, **values)

    def photo_options(self, query: Iterable[tuple[str, str]]) -> PhotoOptions:
        """The options of a photo in a query."""
        own = self.colorizer.options.model_dump(include=set(MACHINE_FIELDS))
        return self.options_of(query, PhotoOptions, **own)

    async def with_photo(self, request: Request, work: Callable[[Photo, Task], Any]) -> Any:
        """Receive the photo of a request and do something with it, when its turn comes."""
        limit = self.options.max_megapixels

        def read_and_work(file: BinaryIO, task: Task) -> Any:
            data = file.read()
            with room_for(probe(data, max_megapixels=limit)):
                task.check()
                photo = read_photo(data, max_megapixels=limit)
                task.check()
                return work(photo, task)

        return await self.desk.serve(request, int(self.options.max_megabytes * 1e6), read_and_work)


def create_app(options: ServeOptions | None = None) -> FastAPI:
    """The whole application: API, page, and the guard before them.

    Raises:
        VintageColorizerError: the network cannot be used.
    """
    from vintage_colorizer import server_films, web

    options = options or ServeOptions.of()
    service = Service(options)
    films = server_films.Jobs(service.colorizer, int(options.max_film_megabytes * 1e6), options.keep_hours * 3600)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with server_films.kept_clean(films):
            yield
        service.desk.close()

    app = FastAPI(
        title="Vintage Colorizer",
        version=__version__,
        description="Colors are plausible, not historical fact.",
        docs_url=None,  # these pages fetch scripts from other hosts
        redoc_url=None,
        openapi_url="/api/openapi.json",
        lifespan=lifespan,
    )
    app.add_middleware(Guard, options=options)
    app.add_middleware(Lingering)
    _add_error_handlers(app)
    add_api(app, service)
    server_films.add_films(app, service, films)
    web.add_page(app, service)
    return app


def add_api(app: FastAPI, service: Service) -> None:
    """Add the endpoints for photos, and what there is to know about the server."""

    @app.post("/api/photo", **documented("The colored photo.", PhotoOptions, {"image/jpeg": {}, "image/png": {}}))
    async def photo(request: Request) -> Response:
        """Color a photo: send the file as the body, or a form with one file; get a picture of the same format."""
        options = service.photo_options(request.query_params.multi_items())

        def work(photo: Photo, task: Task) -> tuple[bytes, str, dict[str, str]]:
            result = service.colorizer.color(photo, options)
            task.check()
            file = io.BytesIO()
            result.write(file, options.format)
            format = output_format(photo.format, photo.depth, photo.alpha is not None, options.format)
            return file.getvalue(), format, facts(result, format)

        data, format, headers = await service.with_photo(request, work)
        headers["Content-Disposition"] = f'attachment; filename="color{SUFFIXES[format]}"'
        return Response(data, media_type=f"image/{format.lower()}", headers=headers)

    @app.get("/api/looks", responses={200: {"content": {"application/json": {"example": looks()}}}})
    async def all_looks() -> dict[str, Any]:
        """The looks, the networks and the formats there are."""
        return looks()

    @app.get("/api/health")
    async def health() -> dict[str, Any]:
        """Whether the server works, how busy it is, and its limits."""
        options = service.options
        limits = {
            "megabytes": options.max_megabytes,
            "megapixels": options.max_megapixels,
            "film_megabytes": options.max_film_megabytes,
        }
        return {"status": "ok", "version": __version__, "waiting": service.desk.taken, "limits": limits}


def looks() -> dict[str, Any]:
    """What can be chosen on this machine."""
    ready = {name for name, is_ready, _ in weights.listing() if is_ready}
    rows = [
        {
            "look": look,
            "network": network,
            "about": ABOUT[look],
            "default": look == PHOTO_LOOK,
            "render_factor": settings.render_factor,
            "vividness": settings.vividness,
        }
        for (network, look), settings in catalog.LOOKS.items()
        if ready & {network, f"{network}-{look}"}
    ]
    return {"looks": rows, "formats": [format.lower() for format in HOLDS]}


def facts(result: ColorizedPhoto, format: str) -> dict[str, str]:
    """Headers that say how a result was made: options as JSON, and notes as a JSON list."""
    used = result.options.model_dump(exclude=set(MACHINE_FIELDS), exclude_none=True) | {
        "look": result.look,
        "render_factor": result.render_factor,
        "format": format.lower(),
    }
    if result.network.has_vividness:
        used["vividness"] = result.settings.vividness
    return {"X-Options": json.dumps(used), "X-Notes": json.dumps(list(result.warnings))}


# --- Errors ---------------------------------------------------------------------------------------------


def _add_error_handlers(app: FastAPI) -> None:
    """Give every error the same form, and let no traceback out."""

    @app.exception_handler(VintageColorizerError)
    async def ours(request: Request, error: VintageColorizerError) -> Response:
        status = next(status for kind, status in STATUS if isinstance(error, kind))
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


# --- OpenAPI --------------------------------------------------------------------------------------------

EXAMPLES = {"look": "artistic", "render_factor": 20, "saturation": 1.2, "warmth": 0.1, "vividness": 0.6, "quality": 90}


def documented(answer: str, group: type[BaseOptions], content: dict[str, Any], *more: dict[str, Any]) -> dict[str, Any]:
    """What OpenAPI says of an endpoint that takes a file and a group of options; made of the group itself."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    form = {"schema": {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}}
    error = {"example": {"error": "UnreadableError", "message": "The input is damaged."}}
    statuses = dict.fromkeys((400, 408, 413, 415, 422, 503), "See the message.")
    failures = {code: {"description": text, "content": {"application/json": error}} for code, text in statuses.items()}
    return {
        "response_class": Response,
        "responses": {200: {"description": answer, "content": content}, **failures},
        "openapi_extra": {
            "parameters": [*more, *query_parameters(group)],
            "requestBody": {
                "required": True,
                "content": {"application/octet-stream": binary, "multipart/form-data": form},
            },
        },
    }


def query_parameters(group: type[BaseOptions]) -> list[dict[str, Any]]:
    """The options of a group as OpenAPI parameters."""
    fields = group.model_json_schema()["properties"]
    return [
        query_parameter(name, field.pop("description", ""), field, EXAMPLES.get(name))
        for name, field in fields.items()
        if name not in MACHINE_FIELDS
    ]


def query_parameter(name: str, description: str, schema: dict[str, Any], example: Any = None) -> dict[str, Any]:
    """One parameter of a query."""
    schema.pop("title", None)
    given = {"name": name, "in": "query", "description": description, "schema": schema}
    return given if example is None else given | {"example": example}


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
    return f"http://{name}:{port}/" + (f"?token={options.token}" if options.token else "")
