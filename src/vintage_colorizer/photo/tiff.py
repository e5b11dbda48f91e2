"""TIFF where Pillow cannot help: deep pixels are read by OpenCV, and every TIFF result is written here.

Pillow has no 16-bit or float RGB. OpenCV decodes those pixels but knows no metadata and guesses when a
layout is foreign to it, so the directory is read first (by Pillow's directory class) and decides.
Reference: TIFF 6.0.
"""

from __future__ import annotations

import contextlib
import logging
import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import IFDRational, ImageFileDirectory_v2

from vintage_colorizer.color import Pixels
from vintage_colorizer.errors import OutputError, UnsupportedError
from vintage_colorizer.photo.formats import decoding, quiet_pillow
from vintage_colorizer.photo.metadata import (
    EXIF_IFD,
    IPTC_RESOURCE,
    ORIENTATION,
    Metadata,
    as_bytes,
    pack_resources,
    resources,
    xmp_packet,
)

log = logging.getLogger("vintage_colorizer")

HEADER = b"II*\0\x08\0\0\0"  # little-endian, the directory right behind

GPS_IFD, INTEROP_IFD = 0x8825, 0xA005
XMP, IPTC, PHOTOSHOP, ICC = 700, 33723, 34377, 34675
UNCOMPRESSED, DEFLATE = 1, 8
STRIP_BYTES = 1 << 20
MAX_FILE_BYTES = 2**32 - 2**20  # offsets are 32 bits; leaves a megabyte for the directory
# Tags that describe how the source's pixels lie in its file; they are not carried to a result.
STRUCTURE = {
    *(254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, ORIENTATION, 277, 278, 279, 280, 281, 284),
    *(288, 289, 290, 291, 292, 293, 301, 317, 318, 319, 320, 321, 322, 323, 324, 325, 330, 332, 334, 336),
    *(338, 339, 340, 341, 342, 347, XMP, IPTC, PHOTOSHOP, ICC, 37724, 50341),
    *range(512, 533),
}


@dataclass(frozen=True)
class Layout:
    """What a TIFF's directory says of its first picture."""

    width: int
    height: int
    bits: int
    samples: int
    kind: int  # sample format: 1 unsigned, 2 signed, 3 float
    photometric: int  # 0 white is zero, 1 black is zero, 2 RGB
    planar: bool  # channels apart
    alpha: int  # 0 none or meaningless, 1 premultiplied, 2 plain
    compressed: bool
    orientation: int

    @property
    def is_deep(self) -> bool:
        """More than 8 bits a sample: not for Pillow."""
        return self.bits > 8

    @property
    def dtype(self) -> np.dtype[Any]:
        """The numpy type of a sample."""
        return np.dtype(f"{'uif'[self.kind - 1]}{self.bits // 8}")

    @property
    def channels(self) -> int:
        """Color channels: 1 or 3."""
        return 3 if self.photometric == 2 else 1


def read_tags(file: IO[bytes], name: str) -> ImageFileDirectory_v2:
    """The first directory of a TIFF or BigTIFF; raises UnreadableError when it is damaged."""
    with decoding(name), quiet_pillow():
        file.seek(0)
        head = file.read(8)
        head += file.read(8) if 43 in head[2:4] else b""
        tags = ImageFileDirectory_v2(head)
        file.seek(tags.next)
        tags.load(file)
        for tag in (256, 257):
            _ = tags[tag]
    return tags


def layout(tags: ImageFileDirectory_v2, name: str) -> Layout:
    """Read the layout out of `tags`; raises UnreadableError when a number makes no sense."""
    with decoding(name):
        bits = _numbers(tags, 258, 1)
        samples = int(tags.get(277, 1))
        extra = _numbers(tags, 338, 0) if 338 in tags else ()
        photometric = int(tags.get(262, 1))
        orientation = tags.get(ORIENTATION, 1)
        return Layout(
            width=int(tags[256]),
            height=int(tags[257]),
            bits=max(bits),
            samples=samples,
            kind=_numbers(tags, 339, 1)[0],
            photometric=photometric,
            planar=int(tags.get(284, 1)) == 2 and samples > 1,
            alpha=_alpha_kind(extra, samples - (3 if photometric == 2 else 1)),
            compressed=int(tags.get(259, 1)) != UNCOMPRESSED,
            orientation=orientation if orientation in range(1, 9) else 1,
        )


def _alpha_kind(extra: tuple[int, ...], extra_samples: int) -> int:
    """0, 1 or 2 as in `Layout`; a fourth sample that is not explained is taken as plain alpha."""
    if extra_samples < 1:
        return 0
    return 2 if not extra else extra[0] if extra[0] in (1, 2) else 0


def _numbers(tags: ImageFileDirectory_v2, tag: int, default: int) -> tuple[int, ...]:
    value = tags.get(tag, default)
    return tuple(int(v) for v in value) if isinstance(value, tuple) else (int(value),)


def read_deep(file: IO[bytes], tags: ImageFileDirectory_v2, what: Layout, name: str) -> tuple[Pixels, Pixels | None]:
    """Pixels (H x W or H x W x 3, RGB, as stored but black is zero) and alpha of a 16-, 32- or 64-bit TIFF.

    Not turned upright. Raises UnsupportedError for layouts OpenCV would get wrong, UnreadableError for
    damaged files.
    """
    _require_known(what, name)
    import cv2

    with decoding(name):
        file.seek(0)
        data = bytearray(file.read())
        _require_complete(tags, len(data))
        _hide_orientation(data)
        pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
        del data
        shape = (what.height, what.width) if what.samples == 1 else (what.height, what.width, what.samples)
        if pixels is None or pixels.shape != shape or pixels.dtype != what.dtype:
            raise ValueError("the pixels do not decode")
    if what.photometric == 0:
        pixels = (1 if what.kind == 3 else np.iinfo(what.dtype).max) - pixels
    if pixels.ndim == 2:
        return pixels, None
    color = np.ascontiguousarray(pixels[..., 2::-1])
    alpha = np.ascontiguousarray(pixels[..., 3]) if what.alpha else None
    return (_unmultiplied(color, alpha) if what.alpha == 1 and alpha is not None else color), alpha


def _unmultiplied(color: Pixels, alpha: Pixels) -> Pixels:
    """Color as it is without its transparency; black where nothing is left of it."""
    top = 1 if color.dtype.kind == "f" else np.iinfo(alpha.dtype).max
    share = alpha[..., None].astype(np.float64) / top
    plain = np.minimum(np.divide(color, share, out=np.zeros(color.shape), where=share > 0), top)
    return (plain if top == 1 else np.rint(plain)).astype(color.dtype)


def _require_known(what: Layout, name: str) -> None:
    plain = what.bits in {1: (16, 32), 2: (16, 32), 3: (32, 64)}.get(what.kind, ())
    known = what.photometric == 2 and what.samples in (3, 4)
    known = known or (what.photometric in (0, 1) and what.samples == 1)
    if not (plain and known and not what.planar):
        raise UnsupportedError(
            f"is a TIFF of a rare kind ({what.samples} channels of {what.bits} bits, photometric"
            f" {what.photometric}{', planar' if what.planar else ''}): save it as plain 16-bit grey or RGB.",
            name,
        )


def _require_complete(tags: ImageFileDirectory_v2, size: int) -> None:
    """Raise ValueError when a strip or tile lies outside the file; OpenCV would complain on the screen."""
    offsets, counts = ((273, 279), (324, 325))[324 in tags]
    for offset, count in zip(_numbers(tags, offsets, 0), _numbers(tags, counts, 0), strict=True):
        if offset + count > size:
            raise ValueError("the file ends too early")


def _hide_orientation(data: bytearray) -> None:
    """Set the orientation in the file's bytes to 1: some versions of OpenCV apply it, some do not."""
    order = "<" if data.startswith(b"II") else ">"
    big = 43 in data[2:4]
    directory = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)[0]
    count = struct.unpack_from(order + ("Q" if big else "H"), data, directory)[0]
    step, start = (20, directory + 8) if big else (12, directory + 2)
    for at in range(start, start + step * count, step):
        if struct.unpack_from(order + "H", data, at)[0] == ORIENTATION:
            struct.pack_into(order + "H", data, at + (12 if big else 8), 1)


def metadata_of(file: IO[bytes], tags: ImageFileDirectory_v2) -> Metadata:
    """All that a TIFF carries beside its pixels."""
    return Metadata(
        exif=_exif_of(file, tags),
        xmp=xmp_packet({"xmp": tags.get(XMP)}),
        photoshop=pack_resources(as_bytes(tags.get(PHOTOSHOP)), as_bytes(tags.get(IPTC))),
    )


def _exif_of(file: IO[bytes], tags: ImageFileDirectory_v2) -> bytes:
    """The descriptive tags of a TIFF, with its EXIF and GPS directories, as an EXIF block."""
    with contextlib.suppress(Exception), quiet_pillow():  # damaged, Pillow raises nearly anything
        file.seek(0)
        head = file.read(4)
        source = Image.Exif()
        source.endian = "<" if head.startswith(b"II") else ">"
        source.bigtiff = 43 in head
        source.load_from_fp(file, tags.offset)
        result = Image.Exif()
        for tag, value in _tags_of(source):
            if tag not in STRUCTURE:
                result[tag] = value
        return result.tobytes()[6:] if len(result) else b""
    return b"damaged"  # so that it is dropped with the note all broken EXIF gets


def _tags_of(exif: Image.Exif) -> Iterator[tuple[int, Any]]:
    """Tag and value, sub-directories as dicts, text beyond ASCII as the bytes it was."""
    for tag in exif:
        if tag in (EXIF_IFD, GPS_IFD):
            sub = {t: _raw(v) for t, v in exif.get_ifd(tag).items() if t != INTEROP_IFD}
            yield tag, sub
        else:
            yield tag, _raw(exif[tag])


def _raw(value: Any) -> Any:
    is_foreign = isinstance(value, str) and not value.isascii()
    return value.encode("latin-1", "replace") if is_foreign else value


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
        tags[282], tags[283] = (IFDRational(round(d * 100), 100) for d in metadata.dpi)
        tags[296] = 2
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
            found = [(tag, value) for tag, value in _tags_of(block) if tag not in STRUCTURE]
            trial = ImageFileDirectory_v2(HEADER)
            for tag, value in found:
                trial[tag] = value
            trial.tobytes()
            return found
    except Exception:  # damaged, Pillow raises nearly anything
        log.warning("The EXIF data is damaged and was left out.")
        return []
