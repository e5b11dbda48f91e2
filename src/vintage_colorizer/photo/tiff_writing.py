"""TIFF results: pixels in strips, and a directory with all that the source said. Reference: TIFF 6.0."""

from __future__ import annotations

import logging
import zlib
from collections.abc import Iterable
from fractions import Fraction
from typing import IO, Any

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

from vintage_colorizer.color import Pixels
from vintage_colorizer.errors import OutputError
from vintage_colorizer.photo.formats import quiet_pillow
from vintage_colorizer.photo.metadata import (
    INCH,
    IPTC_RESOURCE,
    RESOLUTION_UNIT,
    X_RESOLUTION,
    Y_RESOLUTION,
    Metadata,
    resources,
)
from vintage_colorizer.photo.tiff import DEFLATE, ICC, IPTC, PHOTOSHOP, STRUCTURE, UNCOMPRESSED, XMP, tags_of

log = logging.getLogger("vintage_colorizer")

HEADER = b"II*\0\x08\0\0\0"  # little-endian, the directory right behind
STRIP_BYTES = 1 << 20
MAX_FILE_BYTES = 2**32 - 2**20  # offsets are 32 bits; leaves a megabyte for the directory


def write(
    file: IO[bytes], pixels: Pixels, alpha: Pixels | None, metadata: Metadata, icc: bytes, compress: bool
) -> None:
    """Write an RGB TIFF in strips: pixels H x W x 3 and alpha H x W (plain), uint8, uint16 or float32.

    Compressed means deflate, integers with the horizontal predictor. `file` need not be seekable. Raises
    OutputError when the file would pass 4 GB.
    """
    height, width = pixels.shape[:2]
    samples = 3 if alpha is None else 4
    row_bytes = width * samples * pixels.dtype.itemsize
    if not compress and height * row_bytes > MAX_FILE_BYTES:
        raise OutputError("The result would be over 4 GB, more than a TIFF holds: choose --format png.")
    rows = max(1, STRIP_BYTES // row_bytes)
    predict = compress and pixels.dtype != np.float32
    strips: Iterable[bytes] = (_strip(pixels, alpha, top, rows, predict) for top in range(0, height, rows))
    if compress:
        packed = [zlib.compress(strip) for strip in strips]
        sizes = [len(strip) for strip in packed]
        strips = packed
    else:
        sizes = [min(rows, height - top) * row_bytes for top in range(0, height, rows)]
    tags = _structure(pixels, samples, rows, sizes, predict, compress)
    _describe(tags, metadata, icc)
    file.write(HEADER + tags.tobytes(len(HEADER)))
    for strip in strips:
        file.write(strip)


def _strip(pixels: Pixels, alpha: Pixels | None, top: int, rows: int, predict: bool) -> bytes:
    part = pixels[top : top + rows]
    if alpha is not None:
        part = np.dstack([part, alpha[top : top + rows]])
    if predict:
        part = np.concatenate([part[:, :1], part[:, 1:] - part[:, :-1]], axis=1)
    return part.astype(part.dtype.newbyteorder("<"), copy=False).tobytes()


def _structure(
    pixels: Pixels, samples: int, rows: int, sizes: list[int], predict: bool, compress: bool
) -> ImageFileDirectory_v2:
    tags = ImageFileDirectory_v2(HEADER)
    tags[256], tags[257] = pixels.shape[1], pixels.shape[0]
    tags[258] = (8 * pixels.dtype.itemsize,) * samples
    tags[259] = DEFLATE if compress else UNCOMPRESSED
    tags[262] = 2
    # Pillow's directory adds its own length to these when it is serialized.
    tags[273] = tuple(int(o) for o in np.cumsum([0, *sizes[:-1]]))
    tags[277], tags[278], tags[279], tags[284] = samples, rows, tuple(sizes), 1
    tags[317] = 2 if predict else 1
    if samples == 4:
        tags[338] = 2
    tags[339] = (3 if pixels.dtype == np.float32 else 1,) * samples
    tags.tagtype[273] = tags.tagtype[279] = 4  # LONG, whatever the values
    return tags


def _describe(tags: ImageFileDirectory_v2, metadata: Metadata, icc: bytes) -> None:
    for tag, value in _descriptive(metadata.exif):
        tags[tag] = value
    if metadata.dpi:
        numbers = [IFDRational(Fraction(d).limit_denominator(1000)) for d in metadata.dpi]
        tags[X_RESOLUTION], tags[Y_RESOLUTION] = numbers
        tags[RESOLUTION_UNIT] = INCH
    for tag, data in (
        (XMP, metadata.xmp),
        (PHOTOSHOP, metadata.photoshop),
        (IPTC, resources(metadata.photoshop).get(IPTC_RESOURCE, (b"", b""))[1]),
        (ICC, icc),
    ):
        if data:
            tags.tagtype[tag] = 1 if tag == XMP else 7
            tags[tag] = data


def _descriptive(exif: bytes) -> list[tuple[int, Any]]:
    """The tags of an EXIF block fit for a TIFF; none when its sub-directories turn out damaged."""
    if not exif:
        return []
    try:
        with quiet_pillow():
            block = Image.Exif()
            block.load(b"Exif\0\0" + exif)
            found = [(tag, value) for tag, value in tags_of(block) if tag not in STRUCTURE]
            trial = ImageFileDirectory_v2(HEADER)
            for tag, value in found:
                trial[tag] = value
            trial.tobytes()
            return found
    except Exception:  # damaged, Pillow raises nearly anything
        log.warning("The EXIF data is damaged and was left out.")
        return []
