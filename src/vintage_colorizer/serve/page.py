"""The web page, and the two endpoints made for it. Everything it needs comes from this server.

The page gets a small picture and a few small chroma maps once; moving a slider then merges them in the browser
(static/merge.js), just as `color.merge` does. What is saved is made at full quality by `/api/photo`.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, FastAPI, Query, Request, Response
from PIL import Image
from pydantic import AfterValidator, BaseModel, Field, TypeAdapter, ValidationError
from pydantic_core import PydanticCustomError

from vintage_colorizer import color
from vintage_colorizer.color import Floats, Pixels, eight_bit
from vintage_colorizer.networks.guides import Guide
from vintage_colorizer.options import Look, PhotoOptions, PhotoSettings, RenderFactor, Several
from vintage_colorizer.photo.formats import SUFFIXES, output_format
from vintage_colorizer.photo.picture import Photo
from vintage_colorizer.photo.result import ColorizedPhoto
from vintage_colorizer.photo.sheets import render_factor_sheet
from vintage_colorizer.serve.limits import Task
from vintage_colorizer.serve.proposals import Proposals
from vintage_colorizer.serve.service import BINARY, GUIDED_BODY, Service, photo_router

PAGE = Path(__file__).parent / "static"
TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".json": "application/json",
    ".svg": "image/svg+xml",
}
PREVIEW_SIDE = 1280  # pixels of the longer side of the picture in the page
MAP_SIDE = 256  # of the chroma maps, at most: they are as small as the network gave them
MAP_SCALE = 32767  # maps are int16, this is 1.0
MOST_FACTORS = 9  # on one sheet


SHEET: dict[str, Any] = {"description": "A contact sheet.", "content": {"image/jpeg": BINARY}}


def _few(factors: str) -> str:
    try:
        if len(TypeAdapter(Several[RenderFactor | Literal["auto"]]).validate_python(factors)) <= MOST_FACTORS:
            return factors
    except ValidationError:
        pass
    raise PydanticCustomError("factors", f"name up to {MOST_FACTORS} render factors, such as try=12,20,auto")


class SheetQuery(PhotoSettings):
    """What a contact sheet is made of."""

    factors: Annotated[str, AfterValidator(_few)] = Field(
        alias="try",
        description="Render factors to compare, up to nine, with commas between them.",
        examples=["10,16,24,32,auto"],
    )


class Maps(BaseModel):
    """Small planes, each base64 of int16 of little end, where 32767 stands for 1."""

    width: int
    height: int
    vividness: list[float | None]
    chroma: list[str]
    midtone: str
    warmth: list[float]


class PhotoPreview(BaseModel):
    """A small picture, and chroma maps that a program can merge with it."""

    width: int
    height: int
    suffix: str
    look: Look
    network: str
    render_factor: int
    vividness: float | None
    saturation: float
    adjusted: bool = Field(
        description="There are hints, which saturation and warmth must not change: the maps have them already."
    )
    notes: list[str]
    picture: str
    maps: Maps


def routes(service: Service) -> APIRouter:
    """The page's own endpoints."""
    router, proposals = photo_router(), Proposals(service.colorizer)

    @router.post("/preview", openapi_extra=GUIDED_BODY)
    async def make_preview(request: Request, settings: Annotated[PhotoSettings, Query()]) -> PhotoPreview:
        """Color a small version of a photo, as picture and chroma maps that a browser can merge."""
        options = service.photo_options(settings)

        def work(photo: Photo, guide: Guide | None, task: Task) -> PhotoPreview:
            return preview(photo, options, proposals.of(photo, options, task, guide))

        return await service.with_guided_photo(request, work, options)

    @router.post("/sheet", response_class=Response, responses={200: SHEET}, openapi_extra=GUIDED_BODY)
    async def make_sheet(request: Request, query: Annotated[SheetQuery, Query()]) -> Response:
        """Color a photo at several render factors, as one labeled contact sheet."""
        options, factors = service.photo_options(query), query.factors.split(",")

        def work(photo: Photo, guide: Guide | None, task: Task) -> bytes:
            return encoded(render_factor_sheet(service.colorizer.at_render_factors(photo, factors, options, guide)))

        return Response(await service.with_guided_photo(request, work, options), media_type="image/jpeg")

    return router


def add_page(app: FastAPI) -> None:
    """Serve the files of the page."""
    for path in PAGE.iterdir():
        _add_file(app, path)


def _add_file(app: FastAPI, path: Path) -> None:
    """Serve one file of the page under its own name; no path from a request ever reaches the disk."""
    content, kind = path.read_bytes(), TYPES[path.suffix]

    async def file() -> Response:
        return Response(content, media_type=kind)

    app.get("/" if path.name == "index.html" else f"/{path.name}", include_in_schema=False)(file)


def preview(photo: Photo, options: PhotoOptions, proposed: Sequence[ColorizedPhoto]) -> PhotoPreview:
    """What the page needs to show a photo and to answer its sliders, of what `Proposals.of` gives."""
    first, *others = proposed
    maps = [one.final_chroma if options.hints else one.chroma for one in others]
    picture = small_picture(photo.pixels)
    height, width = first.luma.shape
    width, height = fitted(width, height, MAP_SIDE)
    midtone = (4 * first.luma * (1 - first.luma))[..., None]
    return PhotoPreview(
        width=photo.pixels.shape[1],
        height=photo.pixels.shape[0],
        suffix=SUFFIXES[output_format(photo.format, photo.depth, photo.alpha is not None, options.format)],
        look=first.look,
        network=first.network.name,
        render_factor=first.render_factor,
        vividness=first.settings.vividness,
        saturation=first.settings.saturation,
        adjusted=bool(options.hints),
        notes=list(first.warnings),
        picture="data:image/jpeg;base64," + base64.b64encode(encoded(picture)).decode(),
        maps=Maps(
            width=width,
            height=height,
            vividness=[one.settings.vividness for one in others],
            chroma=[_packed(color.upsample(one, height, width)) for one in maps],
            midtone=_packed(color.upsample(midtone, height, width)),
            warmth=[color.WARMTH_SHIFT * part for part in color.ORANGE],
        ),
    )


def small_picture(pixels: Pixels) -> Image.Image:
    """The source, 8 bits, at most PREVIEW_SIDE on its longer side."""
    image = Image.fromarray(eight_bit(pixels))
    size = fitted(*image.size, PREVIEW_SIDE)
    return image.resize(size, Image.Resampling.LANCZOS, reducing_gap=3.0)


def fitted(width: int, height: int, longest: int) -> tuple[int, int]:
    """The size in proportion whose longer side is `longest` or, if that is smaller, its own."""
    scale = min(1.0, longest / max(width, height))
    return max(1, round(width * scale)), max(1, round(height * scale))


def encoded(image: Image.Image) -> bytes:
    """As a JPEG for the screen."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=95, subsampling="4:4:4")
    return file.getvalue()


def _packed(planes: Floats) -> str:
    """Planes, h x w x C, one after the other, as int16 of little end in base64."""
    values = np.clip(np.moveaxis(planes, -1, 0) * MAP_SCALE, -MAP_SCALE, MAP_SCALE).astype("<i2")
    return base64.b64encode(values.tobytes()).decode()
