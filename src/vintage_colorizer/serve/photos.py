"""The endpoints for photos."""

from __future__ import annotations

import io
import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from PIL import Image
from pydantic import Field

from vintage_colorizer.color import eight_bit
from vintage_colorizer.hints import Hint
from vintage_colorizer.networks.guides import Guide
from vintage_colorizer.networks.suggestions import Place
from vintage_colorizer.options import PhotoSettings, RepairOptions, RepairSettings
from vintage_colorizer.photo.formats import HOLDS, SUFFIXES, output_format
from vintage_colorizer.photo.hint_files import hints_in
from vintage_colorizer.photo.picture import Photo
from vintage_colorizer.photo.result import ColorizedPhoto
from vintage_colorizer.repair.repairing import RepairedPhoto
from vintage_colorizer.repair.sidecar import mask_picture
from vintage_colorizer.serve.limits import Task
from vintage_colorizer.serve.service import BINARY, GUIDED_BODY, MARKED_BODY, PHOTO_BODY, Service, photo_router

COLORED: dict[str, Any] = {
    "description": "The colored photo.",
    "content": {f"image/{format.lower()}": BINARY for format in HOLDS},
    "headers": {
        "X-Options": {"description": "The options used, as JSON.", "schema": {"type": "string"}},
        "X-Notes": {"description": "What you should know, as a JSON list of sentences.", "schema": {"type": "string"}},
        "Content-Disposition": {"description": "A name with the right ending.", "schema": {"type": "string"}},
    },
}


REPAIRED: dict[str, Any] = {
    "description": "The repaired photo, or its mask.",
    "content": COLORED["content"],
    "headers": {name: COLORED["headers"][name] for name in ("X-Notes", "Content-Disposition")}
    | {"X-Repaired": {"description": "The repairs that were made.", "schema": {"type": "string"}}},
}
CERTAINTY: dict[str, Any] = {"description": "A small map of the photo.", "content": {"image/png": BINARY}}


class RepairQuery(RepairSettings):
    """What to repair, and what to answer with."""

    mask: bool = Field(False, description="Answer with the mask: a PNG, white where the photo is damaged.")


class SuggestQuery(PhotoSettings):
    """A place, and settings of the photo."""

    x: float | None = Field(None, ge=0, le=1, description="Of the place, from left (0) to right (1).")
    y: float | None = Field(None, ge=0, le=1, description="From top (0) to bottom (1).")


def routes(service: Service) -> APIRouter:
    """The endpoints for photos."""
    router = photo_router()

    @router.post("/photo", response_class=Response, responses={200: COLORED}, openapi_extra=GUIDED_BODY)
    async def photo(request: Request, settings: Annotated[PhotoSettings, Query()]) -> Response:
        """Color a photo: send the file as the body, or a form with one file; get a picture of the same format.

        Further files of the form: `reference` is a picture in color whose colors the photo is to follow, `marks` says
        what is to be filled where the photo is repaired, as in `/api/repair`.
        """
        options = service.photo_options(settings)

        def work(photo: Photo, guide: Guide | None, task: Task) -> tuple[bytes, str, dict[str, str]]:
            result = service.colorizer.color(photo, options, guide)
            task.check()
            file = io.BytesIO()
            result.write(file, options.format)
            format = output_format(photo.format, photo.depth, photo.alpha is not None, options.format)
            return file.getvalue(), format, facts(result, format)

        data, format, headers = await service.with_guided_photo(request, work, options)
        headers["Content-Disposition"] = f'attachment; filename="color{SUFFIXES[format]}"'
        return Response(data, media_type=f"image/{format.lower()}", headers=headers)

    @router.post("/suggest", openapi_extra=PHOTO_BODY)
    async def suggest(request: Request, query: Annotated[SuggestQuery, Query()]) -> list[Place]:
        """Say which colors are likely at a place of a photo; without one, at those where a hint would help most."""
        options = service.photo_options(query)

        def work(photo: Photo, task: Task) -> list[Place]:
            return service.colorizer.likely(photo, options).places(query.x, query.y)

        return await service.with_photo(request, work, options)

    @router.post("/certainty", response_class=Response, responses={200: CERTAINTY}, openapi_extra=PHOTO_BODY)
    async def certainty(request: Request, settings: Annotated[PhotoSettings, Query()]) -> Response:
        """Say how sure the network is of the color of each part of a photo, as a small grey PNG: white is sure."""
        options = service.photo_options(settings)

        def work(photo: Photo, task: Task) -> bytes:
            file = io.BytesIO()
            Image.fromarray(eight_bit(service.colorizer.likely(photo, options).certainty)).save(file, "PNG")
            return file.getvalue()

        return Response(await service.with_photo(request, work, options), media_type="image/png")

    return router


def hint_routes(service: Service) -> APIRouter:
    """The endpoint that reads hints, which needs no network."""
    router = photo_router(())

    @router.post("/hints", openapi_extra=PHOTO_BODY)
    async def hints(request: Request) -> list[Hint]:
        """Read hints from a file: JSON lines, a painted PNG layer, or a photo that was colored with hints."""
        return list(await service.with_file(request, lambda data: hints_in(data, "The file")))

    return router


def repair_routes(service: Service) -> APIRouter:
    """The endpoint that repairs, whose networks are always there."""
    router = photo_router((500,))

    @router.post("/repair", response_class=Response, responses={200: REPAIRED}, openapi_extra=MARKED_BODY)
    async def repair(request: Request, query: Annotated[RepairQuery, Query()]) -> Response:
        """Repair a photo without coloring it; get a picture of the same format, or the mask of what is damaged.

        A second file of the form, named `marks`, is a corrected mask, or a layer over the one that would be found:
        opaque white is to be filled too, opaque black to be left.
        """
        options = RepairOptions(**query.part(RepairSettings))

        def work(photo: Photo, marks: Photo | None, task: Task) -> tuple[bytes, str, dict[str, str]]:
            result = service.colorizer.repaired(photo, options, marks)
            task.check()
            if query.mask:
                return mask_picture(result.mask), "PNG", repair_facts(result)
            file = io.BytesIO()
            result.write(file, options.format)
            format = output_format(photo.format, photo.depth, photo.alpha is not None, options.format)
            return file.getvalue(), format, repair_facts(result)

        data, format, headers = await service.with_marked_photo(request, work)
        headers["Content-Disposition"] = f'attachment; filename="repaired{SUFFIXES[format]}"'
        return Response(data, media_type=f"image/{format.lower()}", headers=headers)

    return router


def facts(result: ColorizedPhoto, format: str) -> dict[str, str]:
    """Headers that say how a result was made: options as JSON, and notes as a JSON list."""
    used = {name: value for name, value in result.options.part(PhotoSettings).items() if value not in (None, ())}
    used |= {"look": result.look, "render_factor": result.render_factor, "format": format.lower()}
    if result.network.has_vividness:
        used["vividness"] = result.settings.vividness
    return {"X-Options": json.dumps(used), "X-Notes": json.dumps(list(result.warnings))}


def repair_facts(result: RepairedPhoto) -> dict[str, str]:
    """Headers that say what was repaired."""
    return {"X-Repaired": ", ".join(result.found), "X-Notes": json.dumps(list(result.warnings))}
