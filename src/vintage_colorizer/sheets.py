"""Pictures of pictures: the contact sheet of settings, and the small visible mark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vintage_colorizer.color import Pixels, full_scale

if TYPE_CHECKING:
    from vintage_colorizer.colorizer import ColorizedPhoto, Colorizer
    from vintage_colorizer.options import PhotoOptions
    from vintage_colorizer.photos import Photo

TILE_SIDE = 640  # pixels of the longer side of a picture on a contact sheet
LABEL_HEIGHT = 36
GAP = 8
MARK_TEXT = "AI color"
MARK_HEIGHT = 0.03  # of the picture's shorter side


def color_at(factors: str, colorizer: Colorizer, photo: Photo, options: PhotoOptions) -> list[ColorizedPhoto]:
    """Color a photo at several render factors, such as '12,20,auto'.

    Raises:
        OptionError: a factor is wrong.
        EngineError: the network failed.
    """
    variants = [options.replace(render_factor=factor.strip()) for factor in factors.split(",")]
    return [colorizer.color(photo, variant) for variant in variants]


def render_factor_sheet(results: Sequence[ColorizedPhoto]) -> Image.Image:
    """One sheet of a photo colored at several render factors, each labeled with it."""
    labels = [
        f"render factor {result.render_factor}" + (" (auto)" if result.options.render_factor == "auto" else "")
        for result in results
    ]
    return contact_sheet([(label, result.image) for label, result in zip(labels, results, strict=True)])


def contact_sheet(tiles: Sequence[tuple[str, Image.Image]], columns: int | None = None) -> Image.Image:
    """Lay out pictures of one size in a grid, each with a label above it; two or three in a row by default."""
    columns = columns or min(3, len(tiles))
    small = [_shrunk(image) for _, image in tiles]
    width, height = small[0].size
    rows = -(-len(tiles) // columns)
    step_x, step_y = width + GAP, height + LABEL_HEIGHT + GAP
    sheet = Image.new("RGB", (columns * step_x + GAP, rows * step_y + GAP), "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(size=20)
    for index, ((label, _), image) in enumerate(zip(tiles, small, strict=True)):
        x, y = GAP + index % columns * step_x, GAP + index // columns * step_y
        draw.text((x, y + 5), label, fill="black", font=font)
        sheet.paste(image, (x, y + LABEL_HEIGHT))
    return sheet


def _shrunk(image: Image.Image) -> Image.Image:
    image = image.copy()
    image.thumbnail((TILE_SIDE, TILE_SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return image


def add_mark(pixels: Pixels) -> None:
    """Write a small half-transparent mark into the lower left corner, in place; the only change ever made to luma."""
    height, width = pixels.shape[:2]
    size = max(8, round(MARK_HEIGHT * min(height, width)))
    font = ImageFont.load_default(size=size)
    mask = Image.new("L", (width, min(height, 2 * size)))
    ImageDraw.Draw(mask).text((size / 2, mask.height - size / 2), MARK_TEXT, fill=153, font=font, anchor="ls")
    opacity = np.asarray(mask, dtype=np.float32)[..., None] / 255
    corner = pixels[-mask.height :]
    corner[:] = (corner + opacity * (full_scale(pixels.dtype) - corner)).astype(pixels.dtype)
