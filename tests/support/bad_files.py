"""Every bad or odd picture of the reliability table, made in code.

`UNREADABLE`, `UNSUPPORTED` and `TOO_LARGE` map a name to a maker of a file that must be refused with that
error; `ODD` to one of a file that must be colored all the same.
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Maker = Callable[[], bytes]


def grey(width: int = 40, height: int = 24) -> NDArray[np.uint8]:
    """A smooth grey picture with an edge and some grain."""
    y, x = np.mgrid[:height, :width]
    grain = np.random.default_rng(7).integers(0, 8, (height, width))
    values: NDArray[np.int64] = x * 180 // max(width, 2) + (y > height // 2) * 60 + grain
    return values.clip(0, 255).astype(np.uint8)


def rgb(width: int = 40, height: int = 24) -> NDArray[np.uint8]:
    """A color picture of the same kind."""
    base = grey(width, height)
    return np.stack([base, base[::-1], np.roll(base, 5, axis=1)], axis=-1)


def encoded(image: Image.Image | NDArray[Any], format: str, **options: Any) -> bytes:
    """`image` as the bytes of a file."""
    file = io.BytesIO()
    picture = image if isinstance(image, Image.Image) else Image.fromarray(image)
    picture.save(file, format, **options)
    return file.getvalue()


def seed(format: str, size: tuple[int, int] = (40, 24)) -> bytes:
    """A sound grey picture."""
    return encoded(grey(*size), format)


def truncated(format: str, percent: int) -> bytes:
    data = encoded(rgb(160, 120), format)
    return data[: len(data) * percent // 100]


# --- PNG, chunk by chunk --------------------------------------------------------------------------------


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, depth: int, color: int, rows: bytes, extra: bytes = b"") -> bytes:
    """A PNG of already filtered `rows`; `extra` are chunks before the pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(rows, 1))
    return b"\x89PNG\r\n\x1a\n" + header + extra + pixels + chunk(b"IEND", b"")


def png16(values: NDArray[np.uint16], color: int, extra: bytes = b"") -> bytes:
    """A 16-bit PNG of H x W x channels values."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png(values.shape[1], values.shape[0], 16, color, rows, extra)


def png_with(extra: bytes) -> bytes:
    rows = b"".join(b"\0" + row.tobytes() for row in grey())
    return png(40, 24, 8, 0, rows, extra)


def png_bomb() -> bytes:
    """60,000 x 60,000 pixels of one bit in half a megabyte."""
    packer = zlib.compressobj(1)
    rows = bytes(7501 * 600)
    data = b"".join(packer.compress(rows) for _ in range(100)) + packer.flush()
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60000, 60000, 1, 0, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def png_text_bomb() -> bytes:
    return png_with(chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(200 << 20))))


def png_profile_bomb() -> bytes:
    return png_with(chunk(b"iCCP", b"x\0\0" + zlib.compress(bytes(200 << 20))))


def png_many_chunks() -> bytes:
    return png_with(chunk(b"tEXt", b"a\0b") * 100_000)


# --- EXIF -----------------------------------------------------------------------------------------------

MAKER_NOTE = b"MAKER" + bytes(range(64))


def exif(orientation: int = 1, order: str = "<") -> bytes:
    """An EXIF block with a camera name, a maker note and a grey thumbnail; raw, so any orientation goes."""
    thumbnail = encoded(grey(16, 12), "JPEG")
    first = 8
    sub = first + 2 + 4 * 12 + 4
    second = sub + 2 + 4 * 12 + 4
    data = second + 2 + 2 * 12 + 4
    entries = [
        (0x010F, 2, 8, data),
        (0x0112, 3, 1, orientation),
        (0x0131, 2, 4, b"abc\0"),
        (0x8769, 4, 1, sub),
    ]
    details = [
        (0x927C, 7, len(MAKER_NOTE), data + 8),
        (0xA001, 3, 1, 2),  # Adobe RGB
        (0xA002, 4, 1, 40),
        (0xA003, 4, 1, 24),
    ]
    preview = [(0x0201, 4, 1, data + 8 + len(MAKER_NOTE)), (0x0202, 4, 1, len(thumbnail))]
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "I", first)
    body = _directory(entries, second, order) + _directory(details, 0, order) + _directory(preview, 0, order)
    return head + body + b"Kodak 1\0" + MAKER_NOTE + thumbnail


def _directory(entries: list[tuple[int, int, int, int | bytes]] | list[Any], following: int, order: str) -> bytes:
    packed = struct.pack(order + "H", len(entries))
    for tag, kind, count, value in entries:
        field = value if isinstance(value, bytes) else struct.pack(order + {3: "H2x"}.get(kind, "I"), value)
        packed += struct.pack(order + "HHI", tag, kind, count) + field
    return packed + struct.pack(order + "I", following)


def with_orientation(value: int, format: str = "JPEG", order: str = "<") -> bytes:
    return encoded(grey(), format, exif=b"Exif\0\0" + exif(value, order))


def damaged(what: str) -> bytes:
    """A sound JPEG with random bytes as its EXIF, XMP or color profile."""
    noise = np.random.default_rng(3).integers(0, 256, 400, dtype=np.uint8).tobytes()
    prefix = {"exif": b"Exif\0\0", "xmp": b"", "icc_profile": b""}[what]
    return encoded(grey(), "JPEG", **{what: prefix + noise})


def damaged_exif_directory() -> bytes:
    """An EXIF header that is right and a directory that runs over the end."""
    return encoded(grey(), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\xff\x7f" + bytes(20))


# --- Pixels ---------------------------------------------------------------------------------------------


def in_mode(mode: str) -> bytes:
    """A picture of one of Pillow's modes, in a format that holds it."""
    if mode in ("F", "I"):
        values = grey().astype(np.float32) / 255 if mode == "F" else grey().astype(np.int32) * 257
        return encoded(values, "TIFF")
    if mode == "I;16":
        return encoded(grey().astype(np.uint16) * 257, "PNG")
    if mode == "P+tRNS":
        return encoded(Image.fromarray(rgb()).quantize(16), "PNG", transparency=3)
    if mode == "LAB":
        return encoded(Image.fromarray(np.full((24, 40, 3), (128, 20, 240), np.uint8), "LAB"), "TIFF")
    if mode in ("LA", "RGBA", "PA"):
        base = Image.fromarray(rgb()).convert("P" if mode == "PA" else mode[:-1])
        base.putalpha(Image.fromarray(grey()[:, ::-1].copy()))
        return encoded(base, "TIFF" if mode == "PA" else "PNG")
    format = {"CMYK": "JPEG", "YCbCr": "TIFF"}.get(mode, "PNG")
    return encoded(Image.fromarray(rgb()).convert(mode), format)


def float_tiff(*special: float, high: float = 1.0) -> bytes:
    values = grey().astype(np.float32) / 255 * high
    values.flat[: len(special)] = special
    return encoded(values, "TIFF")


def animated(format: str) -> bytes:
    frames = [Image.fromarray(np.roll(rgb(), shift, axis=1)) for shift in (0, 9, 17)]
    return encoded(frames[0], format, save_all=True, append_images=frames[1:])


def grown_gif() -> bytes:
    """A GIF whose only frame is larger than what its header says of the whole."""
    data = bytearray(encoded(rgb(), "GIF"))
    data[6:10] = struct.pack("<HH", 8, 8)
    return bytes(data)


def heic_header() -> bytes:
    return struct.pack(">I", 24) + b"ftypheic" + bytes(4) + b"mif1heic" + bytes(200)


def with_transfer(code: int) -> bytes:
    """An AVIF that says its numbers follow the transfer function `code` of ITU-T H.273."""
    data = encoded(rgb(), "AVIF")
    at = data.index(b"colrnclx") + 10
    return data[:at] + struct.pack(">H", code) + data[at + 2 :]


UNREADABLE: dict[str, Maker] = {
    "empty": lambda: b"",
    "html": lambda: b"<!DOCTYPE html><html><body>404</body></html>",
    "text": lambda: b"Dear grandma,\nhere is the photo.\n",
    "noise": lambda: bytes([200, 3, 77, 250] * 50),
    **{
        f"{format}-{percent}": partial(truncated, format, percent)
        for format in ("PNG", "TIFF", "WEBP", "BMP", "JPEG2000")
        for percent in (1, 10, 50, 90, 97)
    },
    **{f"JPEG-{percent}": partial(truncated, "JPEG", percent) for percent in (1, 10, 50)},
    "damaged-header": lambda: b"\xff\xd8\xff" + bytes(300),
    "text-bomb": png_text_bomb,
    "profile-bomb": png_profile_bomb,
}
UNSUPPORTED: dict[str, Maker] = {
    "eps": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "psd": lambda: b"8BPS\0\x01" + bytes(40),
    "pdf": lambda: b"%PDF-1.7\n",
    "svg": lambda: b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>',
    "fits": lambda: b"SIMPLE  =                    T".ljust(2880),
    "film": lambda: struct.pack(">I", 24) + b"ftypisom" + bytes(4) + b"isommp42",
    "jpeg xl": lambda: b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(40),
    "hdr picture .pq": partial(with_transfer, 16),
    "hdr picture .hlg": partial(with_transfer, 18),
    "raw file": lambda: b"II*\0\x10\0\0\0CR\x02\0" + bytes(40),
}
TOO_LARGE: dict[str, Maker] = {"bomb": png_bomb, "endless-row": partial(seed, "PNG", (1_000_001, 1))}
MODES = ("1", "L", "LA", "P", "P+tRNS", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I;16", "I", "F")
ODD: dict[str, Maker] = {
    **{f"{w}x{h}": partial(seed, "PNG", (w, h)) for w, h in ((1, 1), (1, 9), (9, 1), (2, 3), (20000, 10))},
    **{f"mode-{mode}": partial(in_mode, mode) for mode in MODES},
    **{f"orientation-{value}": partial(with_orientation, value) for value in range(10)},
    **{f"animated-{format}": partial(animated, format) for format in ("GIF", "PNG", "WEBP", "TIFF")},
    "float-nan": partial(float_tiff, float("nan"), float("inf"), -float("inf")),
    "float-high": partial(float_tiff, high=4000.0),
    **{f"JPEG-{percent}": partial(truncated, "JPEG", percent) for percent in (90, 97)},
    "JPEG2000": lambda: encoded(grey(), "JPEG2000"),
    "JPEG2000-rgba": lambda: encoded(np.dstack([rgb(), grey()]), "JPEG2000"),
    "damaged-exif": partial(damaged, "exif"),
    "damaged-exif-directory": damaged_exif_directory,
    "damaged-xmp": partial(damaged, "xmp"),
    "damaged-profile": partial(damaged, "icc_profile"),
    "many-chunks": png_many_chunks,
    "black": lambda: encoded(np.zeros((24, 40), np.uint8), "JPEG"),
    "white": lambda: encoded(np.full((24, 40), 255, np.uint8), "PNG"),
    "colored": lambda: encoded(rgb(), "JPEG"),
    "sepia": lambda: encoded((grey()[..., None] * np.array([1, 0.85, 0.6])).astype(np.uint8), "PNG"),
}
