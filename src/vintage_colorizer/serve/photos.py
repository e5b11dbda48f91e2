"""The routes of photos, and what there is to know about the server."""

from __future__ import annotations

import io
import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel

from vintage_colorizer.networks import catalog, weights
from vintage_colorizer.networks.catalog import PHOTO_LOOK
from vintage_colorizer.options import Look, PhotoSettings
from vintage_colorizer.photo.formats import HOLDS, SUFFIXES, output_format
from vintage_colorizer.photo.picture import Photo
from vintage_colorizer.photo.result import ColorizedPhoto
from vintage_colorizer.serve.answers import EVERYWHERE, failures
from vintage_colorizer.serve.limits import Task
from vintage_colorizer.serve.service import BINARY, PHOTO_BODY, Service, photo_router
from vintage_colorizer.version import __version__

ABOUT = {
    "artistic": "Vivid and detailed.",
    "stable": "Few mistakes: portraits and landscapes.",
    "video": "Calm, made for films.",
}
COLORED: dict[str, Any] = {
    "description": "The colored photo.",
    "content": {f"image/{format.lower()}": BINARY for format in HOLDS},
    "headers": {
        "X-Options": {"description": "The options used, as JSON.", "schema": {"type": "string"}},
        "X-Notes": {"description": "What you should know, as a JSON list of sentences.", "schema": {"type": "string"}},
        "Content-Disposition": {"description": "A name with the right ending.", "schema": {"type": "string"}},
    },
}


class LookRow(BaseModel):
    """A look of a network that is ready on the server."""

    look: Look
    network: str
    about: str
    default: bool
    render_factor: int
    vividness: float | None


class Choices(BaseModel):
    """What can be chosen on the server."""

    looks: list[LookRow]
    formats: list[str]


class Limits(BaseModel):
    """What is refused if it is larger."""

    megabytes: float
    megapixels: float
    film_megabytes: float


class Health(BaseModel):
    """Whether the server works, how many photos wait, and its limits."""

    status: str
    version: str
    waiting: int
    limits: Limits


def routes(service: Service) -> APIRouter:
    """The endpoints for photos."""
    router = photo_router()

    @router.post("/photo", response_class=Response, responses={200: COLORED}, openapi_extra=PHOTO_BODY)
    async def photo(request: Request, settings: Annotated[PhotoSettings, Query()]) -> Response:
        """Color a photo: send the file as the body, or a form with one file; get a picture of the same format."""
        options = service.photo_options(settings)

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

    return router


def looks_routes() -> APIRouter:
    """What can be chosen."""
    router = APIRouter(prefix="/api", responses=failures(*EVERYWHERE))

    @router.get("/looks")
    async def all_looks() -> Choices:
        """The looks, the networks and the formats there are."""
        return choices()

    return router


def health_routes(service: Service) -> APIRouter:
    """The one endpoint that does without the token."""
    router = APIRouter(prefix="/api", responses=failures(*EVERYWHERE))

    @router.get("/health")
    async def health() -> Health:
        """Whether the server works, how busy it is, and its limits."""
        options = service.options
        limits = Limits(
            megabytes=options.max_megabytes,
            megapixels=options.max_megapixels,
            film_megabytes=options.max_film_megabytes,
        )
        return Health(status="ok", version=__version__, waiting=service.desk.taken, limits=limits)

    return router


def choices() -> Choices:
    """What can be chosen on this machine."""
    ready = {name for name, is_ready, _ in weights.listing() if is_ready}
    rows = [
        LookRow(
            look=look,
            network=network,
            about=ABOUT[look],
            default=look == PHOTO_LOOK,
            render_factor=settings.render_factor,
            vividness=settings.vividness,
        )
        for (network, look), settings in catalog.LOOKS.items()
        if ready & {network, f"{network}-{look}"}
    ]
    return Choices(looks=rows, formats=[format.lower() for format in HOLDS])


def facts(result: ColorizedPhoto, format: str) -> dict[str, str]:
    """Headers that say how a result was made: options as JSON, and notes as a JSON list."""
    used = {name: value for name, value in result.options.part(PhotoSettings).items() if value is not None}
    used |= {"look": result.look, "render_factor": result.render_factor, "format": format.lower()}
    if result.network.has_vividness:
        used["vividness"] = result.settings.vividness
    return {"X-Options": json.dumps(used), "X-Notes": json.dumps(list(result.warnings))}
