"""Read pictures so that nothing of them is lost.

`probe` looks at the header, `read_photo` gives upright sRGB pixels with all that came beside them, and
`writing` puts colored pixels back into a file of the same kind. Profiles are in `icc`, EXIF and XMP in
`metadata`, deep TIFF in `tiff`.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING, Any, BinaryIO, TypeAlias

import numpy as np
from PIL import Image

from vintage_colorizer.color import Pixels
from vintage_colorizer.errors import TooLargeError, UnreadableError, UnsupportedError
from vintage_colorizer.files import file_status, read_errors, readable_name
from vintage_colorizer.options import MAX_MEGAPIXELS
from vintage_colorizer.photo import icc
from vintage_colorizer.photo.formats import SNIFFED_BYTES, decoding, open_image, sniff
from vintage_colorizer.photo.metadata import (
    Metadata,
    as_bytes,
    checked,
    exif_block,
    fingerprint,
    metadata_of,
    orientation,
    upright,
    xmp_packet,
)
from vintage_colorizer.photo.picture import Header, Photo
from vintage_colorizer.photo.writing import luma_table

if TYPE_CHECKING:
    from PIL.TiffImagePlugin import ImageFileDirectory_v2

    from vintage_colorizer.photo.tiff import Layout


PhotoSource: TypeAlias = "str | os.PathLike[str] | bytes | BinaryIO | Image.Image | Pixels"

MAX_BYTES = 2 * 2**30
MAX_SIDE = 1_000_000  # libpng's; enlarging chroma takes some 1.5 kB for each pixel of a side

# What Pillow's modes become before they are arrays; the second where the picture has transparent parts.
MODES = {
    "1": ("L", "LA"),
    "L": ("L", "LA"),
    "LA": ("LA", "LA"),
    "La": ("LA", "LA"),
    "P": ("RGB", "RGBA"),
    "PA": ("RGBA", "RGBA"),
    "RGB": ("RGB", "RGBA"),
    "RGBA": ("RGBA", "RGBA"),
    "RGBa": ("RGBA", "RGBA"),
    "RGBX": ("RGB", "RGB"),
    "YCbCr": ("RGB", "RGB"),
    "HSV": ("RGB", "RGB"),
}


@dataclass
class _Opened:
    """A picture whose header has been read. `image` is None for a deep TIFF, which Pillow cannot hold."""

    name: str
    format: str
    file: IO[bytes] | None
    image: Image.Image | None
    tags: ImageFileDirectory_v2 | None = None
    layout: Layout | None = None
    png_kind: tuple[int, int] = (0, 0)  # bit depth and color type

    @property
    def info(self) -> dict[Any, Any]:
        return self.image.info if self.image else {}

    @property
    def size(self) -> tuple[int, int]:
        if self.image:
            return self.image.size
        assert self.layout
        return self.layout.width, self.layout.height

    @property
    def orientation(self) -> int:
        """How the decoded pixels must still be turned (Pillow turns a TIFF itself)."""
        if self.layout:
            return 1 if self.image else self.layout.orientation
        return orientation(exif_block(self.info))


# --- Reading --------------------------------------------------------------------------------------------


def probe(source: PhotoSource, max_megapixels: float = MAX_MEGAPIXELS) -> Header:
    """Read no more than the header of a picture.

    Raises UnreadableError (not a picture, damaged), UnsupportedError (format or variant not read) or
    TooLargeError (over the byte or pixel limit).
    """
    if isinstance(source, np.ndarray):
        photo = _from_array(source)
        height, width = photo.pixels.shape[:2]
        return Header("PNG", width, height, photo.depth, photo.alpha is not None, None)
    with _open(source, max_megapixels) as opened:
        width, height = opened.size[::-1] if opened.orientation >= 5 else opened.size
        return Header(opened.format, width, height, _depth(opened), _has_alpha(opened), fingerprint(_xmp(opened)))


def read_photo(source: PhotoSource, max_megapixels: float = MAX_MEGAPIXELS) -> Photo:
    """Decode a picture: upright, in sRGB, at its own depth. Raises as `probe`.

    A numpy array (H x W or H x W x 3 or 4; uint8, uint16, or float32 in 0..1; RGB) is taken as sRGB.
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    with _open(source, max_megapixels) as opened:
        turn = opened.orientation
        pixels, alpha, notes = _decode(opened)
        metadata, dropped = checked(_metadata(opened))
        metadata = replace(metadata, exif=upright(metadata.exif, turn >= 5))
        converted, note = icc.to_srgb(pixels, _profile(opened))
        on_grid = converted is pixels and _keeps_grid(turn, *opened.size)
        notes += [*([note] if note else []), *dropped, *_frame_notes(opened)]
        return Photo(
            pixels=_turned(converted, turn),
            alpha=None if alpha is None else _turned(alpha, turn),
            format=opened.format,
            metadata=metadata,
            notes=tuple(notes),
            luma_table=_luma_table(opened, on_grid, turn >= 5),
            lossless=opened.format != "WEBP" or _is_lossless_webp(opened.file),
            compressed=opened.layout.compressed if opened.layout else True,
        )


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


@contextlib.contextmanager
def _open(source: str | os.PathLike[str] | bytes | BinaryIO | Image.Image, max_megapixels: float) -> Iterator[_Opened]:
    if isinstance(source, Image.Image):
        opened = _Opened("The input", source.format or "PNG", None, source)
        _check_pixels(opened, max_megapixels)
        yield opened
        return
    with _file(source) as (file, name):
        opened = _open_file(file, name)
        _check_pixels(opened, max_megapixels)
        yield opened


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


def _check_pixels(opened: _Opened, max_megapixels: float) -> None:
    width, height = opened.size
    if width < 1 or height < 1:
        raise UnreadableError(f"is damaged (its size is {width} x {height}).", opened.name)
    if max(width, height) > MAX_SIDE:
        raise TooLargeError(f"is over {MAX_SIDE:,} pixels wide or high: cut it into pieces.", opened.name)
    if width * height > max_megapixels * 1e6:
        raise TooLargeError(
            f"has {width} x {height} pixels, over the limit of {max_megapixels:g} megapixels:"
            " raise it with --max-megapixels.",
            opened.name,
        )


def _open_file(file: IO[bytes], name: str) -> _Opened:
    head = file.read(SNIFFED_BYTES)
    file.seek(0)
    opened = _Opened(name, sniff(head, name), file, None)
    if opened.format == "TIFF":
        from vintage_colorizer.photo import tiff

        opened.tags = tiff.read_tags(file, name)
        opened.layout = tiff.layout(opened.tags, name)
        file.seek(0)
    if opened.layout is None or not opened.layout.is_deep:
        opened.image = open_image(file, opened.format, name)
    if opened.format == "PNG":
        opened.png_kind = head[24], head[25]
    return opened


def _is_lossless_webp(file: IO[bytes] | None) -> bool:
    """Whether the (first) picture of a WebP is stored in its lossless way; metadata may lie before it."""
    if file is None:
        return False
    file.seek(12)  # behind the name of the container
    while len(head := file.read(8)) == 8:
        kind, size = head[:4], int.from_bytes(head[4:], "little")
        if kind in (b"VP8L", b"VP8 "):
            return kind == b"VP8L"
        # A frame of an animation holds the picture behind 16 bytes; anything else is passed over.
        file.seek(16 if kind == b"ANMF" else size + size % 2, os.SEEK_CUR)
    return False


def _depth(opened: _Opened) -> int:
    if opened.layout and opened.layout.is_deep:
        return 32 if opened.layout.kind == 3 else 16
    mode = opened.image.mode if opened.image else ""
    if mode == "F":
        return 32
    return 16 if mode.startswith("I") or opened.png_kind[0] == 16 else 8


def _has_alpha(opened: _Opened) -> bool:
    if opened.image:
        return opened.image.has_transparency_data
    return bool(opened.layout and opened.layout.alpha and opened.layout.channels == 3)


# --- Pixels ---------------------------------------------------------------------------------------------


def _decode(opened: _Opened) -> tuple[Pixels, Pixels | None, list[str]]:
    """Pixels and alpha as stored (not turned, not sRGB but for CMYK and Lab), and notes."""
    notes: list[str] = []
    if opened.image is None:
        pixels, alpha = _deep_tiff(opened)
    elif opened.png_kind[0] == 16 and opened.png_kind[1] != 0:
        pixels, alpha = _deep_png(opened)
    else:
        pixels, alpha = _through_pillow(opened.image, opened, notes)
    return _to_known_range(pixels, notes), alpha, notes


def _deep_tiff(opened: _Opened) -> tuple[Pixels, Pixels | None]:
    from vintage_colorizer.photo import tiff

    assert opened.file and opened.tags and opened.layout
    return tiff.read_deep(opened.file, opened.tags, opened.layout, opened.name)


def _deep_png(opened: _Opened) -> tuple[Pixels, Pixels | None]:
    """16-bit color (or grey with alpha), which Pillow would cut to 8 bits, through OpenCV."""
    import cv2

    assert opened.file and opened.image
    with decoding(opened.name):
        _verify_png(opened.file)  # checksums first: OpenCV complains on the screen
        data = np.frombuffer(opened.file.read(), np.uint8)
        pixels = cv2.imdecode(data, cv2.IMREAD_UNCHANGED)
        if pixels is None or pixels.dtype != np.uint16 or pixels.shape[:2] != opened.size[::-1]:
            raise ValueError("the pixels do not decode")
    alpha = np.ascontiguousarray(pixels[..., 3]) if pixels.shape[2] == 4 else None
    is_grey = opened.png_kind[1] == 4
    return np.ascontiguousarray(pixels[..., 0] if is_grey else pixels[..., 2::-1]), alpha


def _verify_png(file: IO[bytes]) -> None:
    from PIL.PngImagePlugin import PngImageFile

    file.seek(0)
    data = io.BytesIO(file.read())  # verify() closes what it is given
    PngImageFile(data, "").verify()
    file.seek(0)


def _through_pillow(image: Image.Image, opened: _Opened, notes: list[str]) -> tuple[Pixels, Pixels | None]:
    with decoding(opened.name):
        image.load()
        if image.mode in ("CMYK", "LAB"):
            pixels, note = icc.image_to_srgb(image, image.info.get("icc_profile"))
            notes += [note] if note else []
            return pixels, None
        if image.mode not in MODES:
            return _plain_values(image)
        target = MODES[image.mode][image.has_transparency_data]
        values = icc.in_strips(image, lambda strip: strip if strip.mode == target else strip.convert(target))
    if target in ("L", "RGB"):
        return values, None
    color = values[..., 0] if target == "LA" else values[..., :3]
    return np.ascontiguousarray(color), np.ascontiguousarray(values[..., -1])


def _plain_values(image: Image.Image) -> tuple[Pixels, Pixels | None]:
    """Modes of one deep channel: I;16, I and F; a transparent grey value becomes alpha."""
    if image.mode not in ("I;16", "I;16B", "I;16L", "I;16N", "I", "F"):
        raise ValueError(f"pixels of mode {image.mode}")
    values = icc.in_strips(image, lambda strip: strip)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    key = image.info.get("transparency")
    alpha = np.where(values == key, 0, 65535).astype(np.uint16) if isinstance(key, int) else None
    return values, alpha


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


def _frame_notes(opened: _Opened) -> list[str]:
    """A note when the file holds further pictures, which are not colored."""
    several = False
    with contextlib.suppress(Exception):  # a damaged second frame is no concern of the first
        several = bool(getattr(opened.image, "is_animated", False)) or "mpoffset" in opened.info
    if opened.tags is not None:
        several = bool(opened.tags.next)
    return ["only the first of the several pictures in the file is colored"] if several else []


def _keeps_grid(turn: int, width: int, height: int) -> bool:
    """Whether the 8 x 8 blocks of a JPEG are still whole after a turn; a mirrored side must end with one."""
    mirrored_x, mirrored_y = turn in (2, 3, 7, 8), turn in (3, 4, 6, 7)
    return not (mirrored_x and width % 8) and not (mirrored_y and height % 8)


def _luma_table(opened: _Opened, on_grid: bool, transposed: bool) -> tuple[int, ...] | None:
    """The luma quantization of a JPEG source, or None where it has none or stores no luma."""
    from PIL.JpegImagePlugin import JpegImageFile

    image = opened.image
    if not isinstance(image, JpegImageFile):
        return None
    ids = [layer[0] for layer in image.layer]
    if image.mode not in ("L", "RGB") or opened.info.get("adobe_transform") == 0 or ids == [*b"RGB"]:
        return None
    table = image.quantization.get(image.layer[0][3] if image.layer else 0)
    return luma_table(tuple(table), on_grid, transposed) if table else None


# --- Metadata -------------------------------------------------------------------------------------------


def _profile(opened: _Opened) -> bytes | None:
    if opened.image is None and opened.tags is not None:
        return as_bytes(opened.tags.get(34675)) or None
    if opened.image and opened.image.mode in ("CMYK", "LAB"):
        return None  # already applied
    return opened.info.get("icc_profile") or None


def _xmp(opened: _Opened) -> bytes:
    return xmp_packet(opened.info if opened.tags is None else {"xmp": opened.tags.get(700)})


def _metadata(opened: _Opened) -> Metadata:
    if opened.tags is None:
        assert opened.image is not None
        return metadata_of(opened.image, opened.format)
    from vintage_colorizer.photo import tiff

    assert opened.file is not None
    return tiff.metadata_of(opened.file, opened.tags)


# --- Writing --------------------------------------------------------------------------------------------
