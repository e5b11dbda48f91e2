"""The web page, and the two endpoints made for it. Everything it needs comes from this server.

The page gets a small picture and a few small chroma maps once; moving a slider then merges them in the browser
(page/merge.js). What is saved is made at full quality by `/api/photo`.
"""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
from fastapi import FastAPI, Request, Response
from PIL import Image
from starlette.responses import JSONResponse

from vintage_colorizer import color
from vintage_colorizer.color import Floats, Pixels, eight_bit
from vintage_colorizer.colorizer import Colorizer
from vintage_colorizer.errors import OptionError
from vintage_colorizer.options import PhotoOptions
from vintage_colorizer.photo.formats import SUFFIXES, output_format
from vintage_colorizer.photo.picture import Photo
from vintage_colorizer.photo.sheets import render_factor_sheet
from vintage_colorizer.serve.limits import Task
from vintage_colorizer.serve.service import Service, documented, query_parameter

PAGE = Path(__file__).parent / "static"
TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
PREVIEW_SIDE = 1280  # pixels of the longer side of the picture in the page
MAP_SIDE = 256  # of the chroma maps
VIVIDNESSES = (0.0, 0.25, 0.5, 0.75, 1.0)  # the page interpolates between these
MAP_SCALE = 32767  # maps are int16, this is 1.0
MOST_FACTORS = 9  # on one sheet
JPEG: dict[str, Any] = {"image/jpeg": {}}


def add_page(app: FastAPI, service: Service) -> None:
    """Add the page and its endpoints."""

    @app.post("/api/preview", **documented("A small picture and chroma maps.", PhotoOptions, {"application/json": {}}))
    async def make_preview(request: Request) -> Any:
        """Color a small version of a photo, as picture and chroma maps that a browser can merge."""
        options = service.photo_options(request.query_params.multi_items())
        answer = await service.with_photo(request, lambda photo, task: preview(service.colorizer, photo, options, task))
        return JSONResponse(answer)

    factors = query_parameter("try", "Render factors to compare, up to nine.", {"type": "string"}, "10,16,24,32,auto")

    @app.post("/api/sheet", **documented("A contact sheet.", PhotoOptions, JPEG, {**factors, "required": True}))
    async def make_sheet(request: Request) -> Response:
        """Color a photo at several render factors, as one labeled contact sheet."""
        options, factors = sheet_options(request, service)

        def work(photo: Photo, task: Task) -> bytes:
            return encoded(render_factor_sheet(service.colorizer.at_render_factors(photo, factors.split(","), options)))

        return Response(await service.with_photo(request, work), media_type="image/jpeg")

    for path in PAGE.iterdir():
        _add_file(app, path)


def _add_file(app: FastAPI, path: Path) -> None:
    """Serve one file of the page under its own name; no path from a request ever reaches the disk."""
    content, kind = path.read_bytes(), TYPES[path.suffix]

    async def file() -> Response:
        return Response(content, media_type=kind)

    app.get("/" if path.name == "index.html" else f"/{path.name}", include_in_schema=False)(file)


def sheet_options(request: Request, service: Service) -> tuple[PhotoOptions, str]:
    """The options of a sheet, and the factors to compare, all checked."""
    factors = request.query_params.getlist("try")
    if len(factors) != 1 or not 1 <= factors[0].count(",") + 1 <= MOST_FACTORS:
        raise OptionError(f"try names up to {MOST_FACTORS} render factors, once, such as try=12,20,auto.")
    rest = [(name, value) for name, value in request.query_params.multi_items() if name != "try"]
    options = service.photo_options(rest)
    for factor in factors[0].split(","):
        options.replace(render_factor=factor.strip())
    return options, factors[0]


def preview(colorizer: Colorizer, photo: Photo, options: PhotoOptions, task: Task) -> dict[str, Any]:
    """What the page needs to show a photo and to answer its sliders."""
    first = colorizer.color(photo, options)
    settings = options.replace(render_factor=first.render_factor)
    vividnesses = VIVIDNESSES if first.network.has_vividness else (None,)
    maps = []
    for vividness in vividnesses:
        task.check()
        maps.append(colorizer.color(photo, settings.replace(vividness=vividness)).chroma)
    picture = small_picture(photo.pixels)
    width, height = fitted(*picture.size, MAP_SIDE)
    midtone = (4 * first.luma * (1 - first.luma))[..., None]
    return {
        "width": photo.pixels.shape[1],
        "height": photo.pixels.shape[0],
        "suffix": SUFFIXES[output_format(photo.format, photo.depth, photo.alpha is not None, options.format)],
        "look": first.look,
        "network": first.network.name,
        "render_factor": first.render_factor,
        "vividness": first.settings.vividness,
        "saturation": first.settings.saturation,
        "notes": first.warnings,
        "picture": "data:image/jpeg;base64," + base64.b64encode(encoded(picture)).decode(),
        "maps": {
            "width": width,
            "height": height,
            "vividness": vividnesses,
            "chroma": [_packed(color.upsample(one, height, width)) for one in maps],
            "midtone": _packed(color.upsample(midtone, height, width)),
            "warmth": [color.WARMTH_SHIFT * part for part in color.ORANGE],
        },
    }


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
