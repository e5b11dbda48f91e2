"""How a colored picture becomes a file: which formats hold it, with which settings, with what beside it."""

from __future__ import annotations

import functools
import importlib
import io
import logging
import os
import struct
import zlib
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from vintage_colorizer.color import Pixels, full_scale
from vintage_colorizer.errors import MissingError, OutputError
from vintage_colorizer.files import atomically, write_errors
from vintage_colorizer.photo import icc
from vintage_colorizer.photo.formats import check, quiet_pillow
from vintage_colorizer.photo.metadata import Metadata, stripped, with_resolution
from vintage_colorizer.photo.picture import Photo
from vintage_colorizer.photo.xmp import Disclosure, disclose

MARK_TEXT = "AI color"
MARK_HEIGHT = 0.03  # of the picture's shorter side


log = logging.getLogger("vintage_colorizer")

QUALITY = 95
OFF_GRID_QUALITY = 97
# Against 4:4:4, mean luma changes by 0.01 to 0.03 levels more, and files are a fifth to a half smaller.
SUBSAMPLING = "4:2:0"
PNG_LEVEL = 6  # of zlib; 3 takes half the time for files 6 % larger
MAX_SEGMENT = 65533  # bytes in a marker of a JPEG
XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\0"


class _Plain:
    """A file reduced to `write`: Pillow then reports a full disk by its number, and never seeks."""

    def __init__(self, file: IO[bytes]) -> None:
        self.write = file.write


def encode(
    file: IO[bytes],
    pixels: Pixels,
    photo: Photo,
    format: str,
    quality: int | None,
    strip: bool,
    disclosure: Disclosure,
) -> None:
    """Encode a checked result into `file`, which need not be seekable."""
    metadata = stripped(photo.metadata) if strip else photo.metadata
    metadata = replace(metadata, xmp=disclose(metadata.xmp, disclosure))
    profile = icc.srgb_profile()
    if format == "TIFF":
        from vintage_colorizer.photo import tiff_writing

        tiff_writing.write(file, pixels, photo.alpha, metadata, profile, photo.compressed)
    elif format == "PNG":
        _write_png(file, pixels, photo.alpha, metadata, profile)
    elif format == "JPEG":
        metadata = _fitted(metadata, disclosure)
        options = _jpeg_options(photo, quality, metadata)
        _save(_image(pixels, None), file, "JPEG", icc_profile=profile, **options)
    else:
        _write_modern(file, _image(pixels, photo.alpha), photo, format, quality, metadata, profile)


def _image(pixels: Pixels, alpha: Pixels | None) -> Image.Image:
    return Image.fromarray(pixels if alpha is None else np.dstack([pixels, alpha]))


def _save(image: Image.Image, file: IO[bytes], format: str, **options: Any) -> None:
    image.save(cast("IO[bytes]", _Plain(file)), format, **options)


# --- JPEG -----------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=8)
def quality_tables(quality: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """libjpeg's luma and chroma quantization of a quality, 64 values each, as a saved picture shows them."""
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", quality=quality)
    with Image.open(file, formats=["JPEG"]) as image:
        tables: dict[int, list[int]] = cast(Any, image).quantization
    return tuple(tables[0]), tuple(tables[1])


def luma_table(source: tuple[int, ...], on_grid: bool, transposed: bool) -> tuple[int, ...]:
    """The luma quantization (64 values, row by row) for the result of a JPEG with the table `source`.

    On the source's own 8 x 8 grid its own table loses next to nothing more, however coarse: 0.2 levels of
    mean luma at any quality from 5 to 100, against up to 1.2 with quality 95. Off that grid, or with
    converted values, it would lose as much again as the source did (4.7 levels at quality 5); the finer
    of it and quality 97 stays under 1.
    """
    if transposed:
        source = tuple(int(step) for step in np.reshape(source, (8, 8)).T.flat)
    if on_grid and max(source) < 256:
        return source
    return tuple(min(pair) for pair in zip(source, quality_tables(OFF_GRID_QUALITY)[0], strict=True))


def _jpeg_options(photo: Photo, quality: int | None, metadata: Metadata) -> dict[str, Any]:
    options: dict[str, Any] = {"subsampling": SUBSAMPLING, "extra": _segments(metadata)}
    if quality is None and photo.luma_table:
        options["qtables"] = [photo.luma_table, quality_tables(QUALITY)[1]]
    else:
        options["quality"] = QUALITY if quality is None else quality
    if metadata.dpi:
        options["dpi"] = metadata.dpi
    if metadata.exif:
        options["exif"] = b"Exif\0\0" + metadata.exif
    return options | {"xmp": metadata.xmp, "comment": metadata.comment}


def _segments(metadata: Metadata) -> bytes:
    """The application segments Pillow does not write: IPTC and the further parts of a large XMP."""
    body = metadata.photoshop
    parts = [(b"\xff\xed", b"Photoshop 3.0\0" + body[at : at + 65000]) for at in range(0, len(body), 65000)]
    parts += [(b"\xff\xe1", extension) for extension in metadata.xmp_extensions]
    return b"".join(marker + struct.pack(">H", len(part) + 2) + part for marker, part in parts)


def _fitted(metadata: Metadata, disclosure: Disclosure) -> Metadata:
    """The metadata without blocks too long for a segment of a JPEG (they come from other formats)."""
    if len(metadata.exif) + 6 > MAX_SEGMENT:
        log.warning("The EXIF data is too long for a JPEG and was left out.")
        metadata = replace(metadata, exif=b"")
    if len(metadata.xmp) + len(XMP_PREFIX) > MAX_SEGMENT:
        log.warning("The XMP data is too long for a JPEG and was left out.")
        metadata = replace(metadata, xmp=disclose(b"", disclosure), xmp_extensions=())
    return replace(metadata, comment=metadata.comment[:MAX_SEGMENT])


# --- PNG ------------------------------------------------------------------------------------------------


def _write_png(file: IO[bytes], pixels: Pixels, alpha: Pixels | None, metadata: Metadata, profile: bytes) -> None:
    """Pixels by OpenCV, which knows 16 bits; everything beside them as chunks right after the header."""
    import cv2

    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    bgra = bgr if alpha is None else np.dstack([bgr, alpha])
    done, data = cv2.imencode(".png", bgra, [cv2.IMWRITE_PNG_COMPRESSION, PNG_LEVEL])
    if not done:
        raise OutputError("The result could not be encoded as PNG.")
    stream = data.data
    header_end = 8 + 12 + 13  # signature, then the IHDR chunk
    file.write(stream[:header_end])
    file.write(_png_chunks(metadata, profile))
    file.write(stream[header_end:])


def _png_chunks(metadata: Metadata, profile: bytes) -> bytes:
    chunks = [_chunk(b"iCCP", b"sRGB\0\0" + zlib.compress(profile))]
    if metadata.dpi:
        x, y = (round(d / 0.0254) for d in metadata.dpi)
        chunks.append(_chunk(b"pHYs", struct.pack(">IIB", x, y, 1)))
    if metadata.exif:
        chunks.append(_chunk(b"eXIf", metadata.exif))
    chunks.append(_chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + metadata.xmp))
    text = metadata.text | ({"Comment": metadata.comment.decode("latin-1")} if metadata.comment else {})
    return b"".join([*chunks, *(_text_chunk(key, value) for key, value in text.items())])


def _text_chunk(key: str, value: str) -> bytes:
    keyword = key.encode("latin-1", "replace")[:79]
    try:
        return _chunk(b"tEXt", keyword + b"\0" + value.encode("latin-1"))
    except UnicodeEncodeError:
        return _chunk(b"iTXt", keyword + b"\0\0\0\0\0" + value.encode("utf-8", "replace"))


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


# --- WebP, AVIF, HEIF -----------------------------------------------------------------------------------


def _write_modern(
    file: IO[bytes],
    image: Image.Image,
    photo: Photo,
    format: str,
    quality: int | None,
    metadata: Metadata,
    profile: bytes,
) -> None:
    options: dict[str, Any] = {"quality": QUALITY if quality is None else quality, "xmp": metadata.xmp}
    if exif := with_resolution(metadata.exif, metadata.dpi):  # these formats have no other place for it
        options["exif"] = b"Exif\0\0" + exif
    if format == "HEIF":
        _write_heif(file, image, options, profile)
        return
    importlib.import_module({"WEBP": "PIL.WebPImagePlugin", "AVIF": "PIL.AvifImagePlugin"}[format])
    if format == "AVIF":  # Pillow rebuilds its EXIF and complains of each damaged entry
        with quiet_pillow():
            _save(image, file, format, icc_profile=profile, subsampling="4:4:4", **options)
        return
    if photo.format == "WEBP" and photo.lossless and quality is None:
        options |= {"lossless": True, "exact": True, "quality": 50}
    _save(image, file, format, icc_profile=profile, **options)


def _write_heif(file: IO[bytes], image: Image.Image, options: dict[str, Any], profile: bytes) -> None:
    try:
        import pillow_heif
    except ImportError as error:
        raise MissingError('Writing HEIC needs an extra: pip install "vintage-colorizer[heif]".') from error
    image.info["icc_profile"] = profile
    try:
        pillow_heif.from_pillow(image).save(file, chroma=444, **options)
    except (RuntimeError, ValueError) as error:
        raise OutputError(f"The result could not be encoded as HEIC ({error}): choose jpg or png.") from error


def write_photo(
    target: str | os.PathLike[str] | BinaryIO,
    pixels: Pixels,
    photo: Photo,
    *,
    format: str,
    quality: int | None = None,
    strip: bool = False,
    disclosure: Disclosure,
) -> None:
    """Write colored pixels (H x W x 3, sRGB, of the type of `photo.pixels`) with all that `photo` carried.

    `format` is what `output_format` gave. A path is written atomically, parent folders are made. `strip`
    leaves out the source's EXIF, XMP, IPTC and text. Raises OutputError, DiskFullError.
    """
    check(pixels, photo.pixels, photo.alpha, format)
    if isinstance(target, (str, os.PathLike)):
        with atomically(Path(target)) as file:
            encode(file, pixels, photo, format, quality, strip, disclosure)
    else:
        with write_errors("the output"):
            encode(target, pixels, photo, format, quality, strip, disclosure)
            target.flush()


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
