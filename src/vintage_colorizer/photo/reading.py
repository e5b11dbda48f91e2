"""Read pictures so that nothing of them is lost.

`probe` looks at the header, `read_photo` gives upright sRGB pixels with all that came beside them, and
`writing` puts colored pixels back into a file of the same kind. The kinds of picture are in `kinds`, profiles
in `icc`, EXIF and XMP in `metadata`, the directories of a TIFF in `tiff`.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import IO, BinaryIO, TypeAlias

import numpy as np
from PIL import Image

from vintage_colorizer.color import Pixels
from vintage_colorizer.errors import TooLargeError, UnreadableError, UnsupportedError
from vintage_colorizer.files import file_status, read_errors, readable_name
from vintage_colorizer.options import MAX_MEGAPIXELS
from vintage_colorizer.photo import icc, tiff
from vintage_colorizer.photo.formats import SNIFFED_BYTES, open_image, sniff
from vintage_colorizer.photo.jpegs import Jpeg, Jpeg2000, JpegFrame, RareJpeg
from vintage_colorizer.photo.kinds import DeepTiff, Kind, Plain, PlainTiff, WebP
from vintage_colorizer.photo.metadata import checked, of_size, transposed, upright
from vintage_colorizer.photo.picture import Header, Origin, Photo
from vintage_colorizer.photo.png import Png
from vintage_colorizer.photo.xmp import own_words

PhotoSource: TypeAlias = "str | os.PathLike[str] | bytes | BinaryIO | Image.Image | Pixels"

MAX_BYTES = 2 * 2**30
MAX_SIDE = 1_000_000  # libpng's; enlarging chroma takes some 1.5 kB for each pixel of a side
ROTATIONS = {0: 1, 90: 6, 180: 3, 270: 8}  # degrees, and the EXIF orientation of what is to be turned by them
SEVERAL = "only the first of the several pictures in the file is colored"


def probe(source: PhotoSource, max_megapixels: float = MAX_MEGAPIXELS) -> Header:
    """Read no more than the header of a picture.

    Raises UnreadableError (not a picture, damaged), UnsupportedError (format or variant not read) or
    TooLargeError (over the byte or pixel limit).
    """
    if isinstance(source, np.ndarray):
        photo = _from_array(source)
        height, width = photo.pixels.shape[:2]
        return Header("PNG", width, height, photo.depth, photo.alpha is not None, None)
    with _open(source, max_megapixels) as (picture, _):
        width, height = picture.size[::-1] if picture.orientation >= 5 else picture.size
        return Header(picture.format, width, height, picture.depth, picture.has_alpha, *own_words(picture.xmp))


def read_photo(source: PhotoSource, max_megapixels: float = MAX_MEGAPIXELS) -> Photo:
    """Decode a picture: upright, in sRGB, at its own depth. Raises as `probe`.

    A numpy array (H x W or H x W x 3 or 4; uint8, uint16, or float32 in 0..1; RGB) is taken as sRGB.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    with _open(source, max_megapixels) as (picture, origin):
        decoded, turn = picture.decode(), picture.orientation
        notes = decoded.notes
        pixels = _to_known_range(decoded.pixels, notes)
        metadata, dropped = checked(picture.metadata())
        metadata = replace(metadata, exif=upright(metadata.exif, turn >= 5))
        metadata = transposed(metadata) if turn >= 5 else metadata
        converted, note = icc.to_srgb(pixels, picture.profile)
        on_grid = converted is pixels and _keeps_grid(turn, *picture.size)
        notes += [*([note] if note else []), *dropped, *([SEVERAL] if picture.has_several else [])]
        return Photo(
            pixels=_turned(converted, turn),
            alpha=None if decoded.alpha is None else _turned(decoded.alpha, turn),
            format=picture.format,
            metadata=metadata,
            notes=tuple(notes),
            luma_table=picture.luma_table(on_grid, turn >= 5),
            lossless=picture.lossless,
            compressed=picture.compressed,
            origin=origin,
            repaired=own_words(picture.xmp)[2],
        )


def placed(photo: Photo, degrees: int, part: str | None) -> Photo:
    """A photo turned clockwise by 0, 90, 180 or 270 degrees, and the part of it from LEFT,TOP to RIGHT,BOTTOM."""
    return _cropped(_rotated(photo, degrees), part)


def _rotated(photo: Photo, degrees: int) -> Photo:
    turn = ROTATIONS[degrees]
    if turn == 1:
        return photo
    metadata = replace(photo.metadata, exif=upright(photo.metadata.exif, turn >= 5))
    return replace(
        photo,
        pixels=_turned(photo.pixels, turn),
        alpha=None if photo.alpha is None else _turned(photo.alpha, turn),
        metadata=transposed(metadata) if turn >= 5 else metadata,
        luma_table=None,
    )


def _cropped(photo: Photo, part: str | None) -> Photo:
    if part is None:
        return photo
    left, top, right, bottom = (float(one) for one in part.split(","))
    height, width = photo.pixels.shape[:2]
    rows, columns = _within(top, bottom, height), _within(left, right, width)
    pixels = np.ascontiguousarray(photo.pixels[rows, columns])
    return replace(
        photo,
        pixels=pixels,
        alpha=None if photo.alpha is None else np.ascontiguousarray(photo.alpha[rows, columns]),
        metadata=replace(photo.metadata, exif=of_size(photo.metadata.exif, pixels.shape[1], pixels.shape[0])),
        luma_table=None,
    )


def _within(start: float, end: float, side: int) -> slice:
    """The pixels of a side from start to end, each in parts of it: one at least. Halves are rounded up."""
    first = min(side - 1, int(start * side + 0.5))
    return slice(first, max(first + 1, int(end * side + 0.5)))


def _from_array(pixels: Pixels) -> Photo:
    shape_is_known = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))
    if not shape_is_known or pixels.size == 0 or pixels.dtype not in (np.uint8, np.uint16, np.float32):
        raise UnsupportedError(
            f"An array of shape {pixels.shape} and type {pixels.dtype} is not a picture: give H x W or"
            " H x W x 3 or 4 of uint8, uint16 or float32."
        )
    notes: list[str] = []
    color = pixels[..., :3] if pixels.ndim == 3 else pixels
    color = _to_known_range(np.ascontiguousarray(color), notes)
    alpha = np.ascontiguousarray(pixels[..., 3]) if pixels.shape[2:] == (4,) else None
    return Photo(color, alpha, "TIFF" if pixels.dtype == np.float32 else "PNG", notes=tuple(notes))


def _open_kind(file: IO[bytes], name: str) -> Kind:
    """Read the header of a picture; raises as `probe`."""
    head = file.read(SNIFFED_BYTES)
    file.seek(0)
    format = sniff(head, name)
    if format == "TIFF":
        return _open_tiff(file, name)
    if format == "JPEG" and (frame := JpegFrame.of(file)).is_rare:
        return RareJpeg(name, file, frame)
    image = open_image(file, format, name)
    match format:
        case "PNG":
            return Png(name, format, image, file, bits=head[24], color=head[25])
        case "JPEG":
            return Jpeg(name, format, image, file)
        case "JPEG2000":
            return Jpeg2000(name, format, image, file)
        case "WEBP":
            return WebP(name, format, image, file)
    return Plain(name, format, image)


def _open_tiff(file: IO[bytes], name: str) -> Kind:
    tags = tiff.read_directories(file, name)
    layout = tiff.layout(tags, name)
    file = tiff.beginning_with(file, tags.picture)
    file.seek(0)
    if layout.is_for_pillow:
        return PlainTiff(name, file, tags, layout)
    return DeepTiff(name, file, tags, layout)


@contextlib.contextmanager
def _open(
    source: str | os.PathLike[str] | bytes | BinaryIO | Image.Image, max_megapixels: float
) -> Iterator[tuple[Kind, Origin | None]]:
    """The picture with its header read and its size checked, and the file it came from."""
    if isinstance(source, Image.Image):
        picture: Kind = Plain("The input", source.format or "PNG", source)
        _check_pixels(picture, max_megapixels)
        yield picture, None
        return
    with _file(source) as (file, name):
        picture = _open_kind(file, name)
        _check_pixels(picture, max_megapixels)
        # By the file that is held open, so that a change from now on shows when it is looked at again.
        path = Path(source) if isinstance(source, (str, os.PathLike)) else None
        yield picture, Origin.of_file(path, os.fstat(file.fileno())) if path else None


@contextlib.contextmanager
def _file(source: str | os.PathLike[str] | bytes | BinaryIO) -> Iterator[tuple[IO[bytes], str]]:
    """The source as a seekable file within the byte limit, and its name for messages."""
    if isinstance(source, bytes):
        yield io.BytesIO(source), "The input"
    elif isinstance(source, (str, os.PathLike)):
        name = readable_name(source)
        with _regular_file(source, name) as file:
            yield file, name
    else:
        data = source.read(MAX_BYTES + 1)
        _check_bytes(len(data), "The input")
        yield io.BytesIO(data), "The input"


def _regular_file(path: str | os.PathLike[str], name: str) -> IO[bytes]:
    status = file_status(path)
    if not stat.S_ISREG(status.st_mode):  # a pipe or device could block for ever
        raise UnsupportedError("is not a file but a folder, pipe, socket or device: name a picture.", name)
    _check_bytes(status.st_size, name)
    with read_errors(name):
        return open(path, "rb")


def _check_bytes(size: int, name: str) -> None:
    if size > MAX_BYTES:
        raise TooLargeError(f"is over the limit of {MAX_BYTES >> 30} GiB for one picture.", name)


def _check_pixels(picture: Kind, max_megapixels: float) -> None:
    width, height = picture.size
    if width < 1 or height < 1:
        raise UnreadableError(f"is damaged (its size is {width} x {height}).", picture.name)
    if max(width, height) > MAX_SIDE:
        raise TooLargeError(f"is over {MAX_SIDE:,} pixels wide or high: cut it into pieces.", picture.name)
    if width * height > max_megapixels * 1e6:
        raise TooLargeError(
            f"has {width} x {height} pixels, over the limit of {max_megapixels:g} megapixels:"
            " raise it with --max-megapixels.",
            picture.name,
        )


def _to_known_range(values: Pixels, notes: list[str]) -> Pixels:
    """uint8 and uint16 as they are; other integers to uint16; floats to float32 in 0..1. Appends notes."""
    if values.dtype in (np.uint8, np.uint16):
        return values
    is_float = values.dtype.kind == "f"
    if is_float and not np.isfinite(values).all():
        values = np.where(np.isfinite(values), values, 0)
        notes.append("values that are not numbers were set to 0")
    low, high = float(values.min()), float(values.max())
    top = 1.0 if is_float else 65535.0
    if low >= 0 and high <= top:
        return values.astype(np.float32 if is_float else np.uint16, copy=False)
    low = min(low, 0.0)
    notes.append(f"values from {low:g} to {high:g} were scaled to 0..{top:g}")
    scaled = (values.astype(np.float64) - low) * (top / (high - low))
    return scaled.astype(np.float32) if is_float else np.rint(scaled).astype(np.uint16)


def _turned(pixels: Pixels, turn: int) -> Pixels:
    """Apply an EXIF orientation (1..8)."""
    if turn >= 5:
        pixels = pixels.swapaxes(0, 1)
    # After the swap of 5..8: 5 is done, 6 is mirrored, 7 is turned by half, 8 is flipped.
    if turn in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if turn in (3, 4, 7, 8):
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


def _keeps_grid(turn: int, width: int, height: int) -> bool:
    """Whether the 8 x 8 blocks of a JPEG are still whole after a turn; a mirrored side must end with one."""
    mirrored_x, mirrored_y = turn in (2, 3, 7, 8), turn in (3, 4, 6, 7)
    return not (mirrored_x and width % 8) and not (mirrored_y and height % 8)
