"""What there is to know about the server: what can be chosen, in which ranges, and how it is doing."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from vintage_colorizer.networks import catalog, weights
from vintage_colorizer.networks.catalog import FILM_LOOK, PHOTO_LOOK
from vintage_colorizer.options import LOOKS, FilmSettings, Look, PhotoSettings
from vintage_colorizer.photo.formats import HOLDS
from vintage_colorizer.serve.answers import EVERYWHERE, failures
from vintage_colorizer.serve.service import Service
from vintage_colorizer.version import __version__


class LookRow(BaseModel):
    """A look of a network that is ready on the server."""

    look: Look
    network: str
    about: str
    default: bool = Field(description="Whether a photo gets this look if none is asked for.")
    render_factor: int
    vividness: float | None


class Choices(BaseModel):
    """What can be chosen on the server."""

    looks: list[LookRow]
    formats: list[str]
    film_look: Look = Field(description="What a film gets if no look is asked for.")


class Settings(BaseModel):
    """The options of photos and films as JSON Schema: ranges, defaults and descriptions."""

    photo: dict[str, Any]
    film: dict[str, Any]


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


def routes() -> APIRouter:
    """What can be chosen."""
    router = APIRouter(prefix="/api", responses=failures(*EVERYWHERE))

    @router.get("/looks")
    async def looks() -> Choices:
        """The looks, the networks and the formats there are."""
        return choices()

    @router.get("/settings")
    async def settings() -> Settings:
        """The ranges, defaults and descriptions of all options, for whoever builds a page of their own."""
        return Settings(photo=PhotoSettings.model_json_schema(), film=FilmSettings.model_json_schema())

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
            about=f"{LOOKS[look].capitalize()}.",
            default=look == PHOTO_LOOK,
            render_factor=settings.render_factor,
            vividness=settings.vividness,
        )
        for (network, look), settings in catalog.LOOKS.items()
        if ready & {network, f"{network}-{look}"}
    ]
    return Choices(looks=rows, formats=[format.lower() for format in HOLDS], film_look=FILM_LOOK)
