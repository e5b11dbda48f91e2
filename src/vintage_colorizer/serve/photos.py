"""The routes of photos."""

from __future__ import annotations

import io
import json
from typing import Any

from fastapi import FastAPI, Request, Response

from vintage_colorizer.networks import catalog, weights
from vintage_colorizer.networks.catalog import PHOTO_LOOK
from vintage_colorizer.options import PhotoSettings
from vintage_colorizer.photo.formats import HOLDS, SUFFIXES, output_format
from vintage_colorizer.photo.picture import Photo
from vintage_colorizer.photo.result import ColorizedPhoto
from vintage_colorizer.serve.limits import Task
from vintage_colorizer.serve.service import (
    Service,
    documented,
)
from vintage_colorizer.version import __version__

ABOUT = {
    "artistic": "Vivid and detailed.",
    "stable": "Few mistakes: portraits and landscapes.",
    "video": "Calm, made for films.",
}


def add_api(app: FastAPI, service: Service) -> None:
    """Add the endpoints for photos, and what there is to know about the server."""

    @app.post("/api/photo", **documented("The colored photo.", PhotoSettings, {"image/jpeg": {}, "image/png": {}}))
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
    used = result.options.model_dump(include=set(PhotoSettings.model_fields), exclude_none=True) | {
        "look": result.look,
        "render_factor": result.render_factor,
        "format": format.lower(),
    }
    if result.network.has_vividness:
        used["vividness"] = result.settings.vividness
    return {"X-Options": json.dumps(used), "X-Notes": json.dumps(list(result.warnings))}
