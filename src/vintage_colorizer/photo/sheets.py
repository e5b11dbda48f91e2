"""Pictures of pictures: the contact sheet of settings, and the small visible mark."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    from vintage_colorizer.photo.result import ColorizedPhoto


TILE_SIDE = 640  # pixels of the longer side of a picture on a contact sheet
LABEL_HEIGHT = 36
GAP = 8


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
