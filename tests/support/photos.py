"""Photos written and read back."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vintage_colorizer.photo.formats import output_format
from vintage_colorizer.photo.picture import Photo
from vintage_colorizer.photo.writing import write_photo
from vintage_colorizer.photo.xmp import Disclosure

Pixels = NDArray[Any]

DISCLOSURE = Disclosure(fingerprint="f1", software="vintage-colorizer 0.1", look="stable", network="compact")


def colored(photo: Photo) -> Pixels:
    """Any colored picture of the photo's luma, within its own rounding: a slight warm cast where it fits."""
    grey = luma(photo.pixels)
    top = 1.0 if photo.pixels.dtype == np.float32 else np.iinfo(photo.pixels.dtype).max
    cast = np.minimum(grey, top - grey) * 0.25
    result = np.stack([grey + cast, grey - cast * (0.299 - 0.114) / 0.587, grey - cast], axis=-1)
    return (result if top == 1 else np.rint(result)).astype(photo.pixels.dtype)


def written(photo: Photo, format: str | None = None, **options: Any) -> bytes:
    chosen = format or output_format(photo.format, photo.depth, photo.alpha is not None)
    file = io.BytesIO()
    write_photo(file, colored(photo), photo, format=chosen, disclosure=DISCLOSURE, **options)
    return file.getvalue()


def png_chunks(data: bytes) -> list[tuple[bytes, bytes]]:
    """An independent walk over the chunks of a PNG."""
    chunks, at = [], 8
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    return chunks


def luma(pixels: Pixels) -> NDArray[np.float64]:
    values = pixels.astype(np.float64)
    return values if values.ndim == 2 else values @ np.array([0.299, 0.587, 0.114])
