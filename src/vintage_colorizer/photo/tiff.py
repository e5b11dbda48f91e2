"""TIFF where Pillow cannot help: which picture of the file is meant, and deep pixels (results: `tiff_writing`).

The first picture of a file may be a small copy of the one meant, so all directories are read first (by
Pillow's directory class). Pillow has no 16-bit or float RGB; OpenCV decodes those pixels, and tifffile the
layouts that OpenCV would get wrong. References: TIFF 6.0; Adobe's TIFF Technical Note 1 (sub-directories); DNG 1.7.
"""

from __future__ import annotations

import contextlib
import io
import logging
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from vintage_colorizer.color import Pixels
from vintage_colorizer.errors import UnreadableError, UnsupportedError
from vintage_colorizer.photo.formats import decoding, quiet_pillow, raw_message
from vintage_colorizer.photo.metadata import (
    EXIF_IFD,
    INCH,
    INCHES,
    ORIENTATION,
    RESOLUTION_UNIT,
    X_RESOLUTION,
    Y_RESOLUTION,
    Metadata,
    as_bytes,
    pack_resources,
    sane_dpi,
    xmp_packet,
)

logging.getLogger("tifffile").addHandler(logging.NullHandler())  # what it says of odd tags is not for the screen

SUB_IFDS, GPS_IFD, INTEROP_IFD = 330, 0x8825, 0xA005
XMP, IPTC, PHOTOSHOP, ICC = 700, 33723, 34377, 34675
UNCOMPRESSED, DEFLATE, OLD_DEFLATE = 1, 8, 32946
PAGE_OF_SEVERAL = 2  # the one bit of NewSubfileType that says nothing of a copy
PREMULTIPLIED, PLAIN = 1, 2  # kinds of alpha
RAW = (32803, 34892)  # photometric: a sensor's mosaic, and linear light of the sensor
MAX_PAGES, MAX_SUB_IFDS = 1000, 32
LEFT_OUT = "a further channel, which is not said to be transparency, was left out"
# Tags that describe how the source's pixels lie in its file; they are not carried to a result.
STRUCTURE = {
    *(254, 255, 256, 257, 258, 259, 262, 263, 264, 265, 266, 273, ORIENTATION, 277, 278, 279, 280, 281, 284),
    *(288, 289, 290, 291, 292, 293, 301, 317, 318, 319, 320, 321, 322, 323, 324, 325, 330, 332, 334, 336),
    *(338, 339, 340, 341, 342, 347, XMP, IPTC, PHOTOSHOP, ICC, 37724, 50341),
    *range(512, 533),
    *range(50706, 52553),  # of DNG: how to develop it
}


@dataclass(frozen=True)
class Directories:
    """The directories of a TIFF that matter: of the picture itself, and of the page it belongs to.

    They differ in a DNG, whose page holds a small copy and all that is said of the picture, and whose picture
    lies in a sub-directory of it. several: there are further pictures, which are no copies of this one.
    """

    picture: ImageFileDirectory_v2
    page: ImageFileDirectory_v2
    several: bool

    def get(self, tag: int, default: Any = None) -> Any:
        """The value of a tag of the picture, else of its page."""
        return self.picture.get(tag, self.page.get(tag, default))


def read_directories(file: IO[bytes], name: str) -> Directories:
    """Find the picture of a TIFF or BigTIFF; raises UnreadableError when its directories are damaged."""
    with decoding(name), quiet_pillow():
        file.seek(0)
        head = file.read(8)
        head += file.read(8) if 43 in head[2:4] else b""
        if head.startswith(b"MM\0+"):  # Pillow takes it for a TIFF of 32 bits
            raise UnsupportedError("is a BigTIFF in big-endian order, which is not read: save it as plain TIFF.", name)
        copies = []
        pages = _pages(file, head)
        for page in pages:
            full = [tags for tags in page if not _is_copy(tags)]
            if full:
                return Directories(max(full, key=_area), page[0], any(not _is_copy(t) for p in pages for t in p))
            copies += page
        picture = max(copies, key=_area)
        for tag in (256, 257):
            _ = picture[tag]
        return Directories(picture, picture, len(copies) > 1)


def _pages(file: IO[bytes], head: bytes) -> Iterator[list[ImageFileDirectory_v2]]:
    """The directory of each page with its sub-directories; damaged ones are left out, but for the first page."""
    seen: set[int] = set()
    offset = ImageFileDirectory_v2(head).next
    while offset and offset not in seen and len(seen) < MAX_PAGES:
        try:
            tags = _directory(file, head, offset)
        except Exception:  # damaged, Pillow raises nearly anything
            if not seen:
                raise
            return
        seen.add(offset)
        subs = []
        for sub in _numbers(tags, SUB_IFDS, 0)[:MAX_SUB_IFDS]:
            with contextlib.suppress(Exception):
                subs += [_directory(file, head, sub)] if sub else []
        yield [tags, *subs]
        offset = tags.next


def _directory(file: IO[bytes], head: bytes, offset: int) -> ImageFileDirectory_v2:
    tags = ImageFileDirectory_v2(head)
    file.seek(offset)
    tags.load(file)
    return tags


def _is_copy(tags: ImageFileDirectory_v2) -> bool:
    """Whether a directory is of no picture of its own: a reduced copy, a mask, a depth map."""
    if _area(tags) < 1:
        return True
    kind = _numbers(tags, 254, 0)[0]
    return bool(kind & ~PAGE_OF_SEVERAL) or (254 not in tags and _numbers(tags, 255, 1)[0] == 2)


def _area(tags: ImageFileDirectory_v2) -> int:
    return _numbers(tags, 256, 0)[0] * _numbers(tags, 257, 0)[0]


def beginning_with(file: IO[bytes], tags: ImageFileDirectory_v2) -> IO[bytes]:
    """The file as if its first directory were `tags`; decoders look no further than the first."""
    file.seek(0)
    head = file.read(16)
    order, big = ("<" if head.startswith(b"II") else ">"), 43 in head[2:4]
    place = struct.Struct(order + ("Q" if big else "I"))
    at = 8 if big else 4
    file.seek(0)
    if place.unpack_from(head, at)[0] == tags.offset:
        return file
    data = bytearray(file.read())
    place.pack_into(data, at, tags.offset)
    return io.BytesIO(data)


@dataclass(frozen=True)
class Layout:
    """What the directory of a picture says of its pixels."""

    width: int
    height: int
    bits: int
    samples: int
    kind: int  # sample format: 1 unsigned, 2 signed, 3 float
    photometric: int  # 0 white is zero, 1 black is zero, 2 RGB
    planar: bool  # channels apart
    extra: tuple[int, ...]  # what each further channel is: 0 not said, 1 premultiplied alpha, 2 plain alpha
    compression: int
    orientation: int
    top: int  # the largest value

    @property
    def compressed(self) -> bool:
        """Whether the strips are packed in any way."""
        return self.compression != UNCOMPRESSED

    @property
    def is_for_pillow(self) -> bool:
        """Whether Pillow reads it whole: samples of 8 bits or fewer, and packed ones of 12."""
        if self.bits > 8:
            return self.bits == 12 and self.samples == 1
        has_more_than_grey = self.photometric in (0, 1) and self.samples > 1
        return not (has_more_than_grey and _is_for_tifffile(self))

    @property
    def depth(self) -> int:
        """Bits of a sample once decoded: 8, 16 or 32 (float)."""
        return 32 if self.kind == 3 else 8 if self.bits <= 8 else 16

    @property
    def dtype(self) -> np.dtype[Any]:
        """The numpy type of a sample."""
        return np.dtype(f"{'uif'[self.kind - 1]}{self.bits // 8}")

    @property
    def channels(self) -> int:
        """Color channels: 1 or 3."""
        return 3 if self.photometric == 2 else 1

    @property
    def alpha(self) -> int | None:
        """The channel that holds the transparency. One that is not declared is none: scanners put infrared there."""
        places = [index for index, kind in enumerate(self.extra) if kind in (PREMULTIPLIED, PLAIN)]
        return self.channels + places[0] if places else None

    @property
    def notes(self) -> list[str]:
        """A note when a channel is left out."""
        is_left_out = len(self.extra) > (self.alpha is not None)
        return [LEFT_OUT] if is_left_out and self.photometric in (0, 1, 2) else []

    def __str__(self) -> str:
        kind = {2: "signed ", 3: "float "}.get(self.kind, "")
        order = ", planar" if self.planar else ""
        what = f"{self.samples} channels of {self.bits} {kind}bits, photometric {self.photometric}{order}"
        return f"{what}, compression {self.compression}"


def layout(tags: Directories, name: str) -> Layout:
    """Read the layout out of `tags`.

    Raises UnreadableError when a number makes no sense, UnsupportedError when the picture is a camera's raw data.
    """
    picture = tags.picture
    with decoding(name):
        bits = max(_numbers(picture, 258, 1))
        samples = int(picture.get(277, 1))
        photometric = int(picture.get(262, 1))
        if photometric in RAW:
            raise UnsupportedError(raw_message(" (DNG)" if tags.get(50706) else ""), name)
        extra_samples = max(0, samples - (3 if photometric == 2 else 1))
        extra = (*(_numbers(picture, 338, 0) if 338 in picture else ()), *[0] * extra_samples)
        orientation = tags.get(ORIENTATION, 1)
        return Layout(
            width=int(picture[256]),
            height=int(picture[257]),
            bits=bits,
            samples=samples,
            kind=_numbers(picture, 339, 1)[0],
            photometric=photometric,
            planar=int(picture.get(284, 1)) == 2 and samples > 1,
            extra=extra[:extra_samples],
            compression=int(picture.get(259, 1)),
            orientation=orientation if orientation in range(1, 9) else 1,
            top=max(_numbers(picture, 281, 2**bits - 1)),
        )


@contextlib.contextmanager
def unknown_to_pillow(name: str, what: Layout) -> Iterator[None]:
    """Name the kind of a TIFF that Pillow does not know, which it reports as it does damage."""
    try:
        yield
    except UnreadableError as error:
        cause = error.__cause__
        if "unknown raw mode" in str(cause) or isinstance(getattr(cause, "__cause__", None), KeyError):
            raise _rare(name, what) from error
        raise


def _rare(name: str, what: Layout) -> UnsupportedError:
    return UnsupportedError(f"is a TIFF of a rare kind ({what}): save it as plain 16-bit grey or RGB.", name)


def _numbers(tags: ImageFileDirectory_v2, tag: int, default: int) -> tuple[int, ...]:
    value = tags.get(tag, default)
    return tuple(int(v) for v in value) if isinstance(value, tuple) else (int(value),)


def read_deep(file: IO[bytes], tags: Directories, what: Layout, name: str) -> tuple[Pixels, Pixels | None]:
    """Pixels (H x W or H x W x 3, RGB, as stored but black is zero) and alpha of a TIFF by OpenCV or tifffile.

    `file` begins with the picture's directory. Not turned upright. Raises UnsupportedError for layouts that
    neither knows, UnreadableError for damaged files.
    """
    by_tifffile = _is_for_tifffile(what)
    by_opencv = _is_for_opencv(what) and not (by_tifffile and 0 in what.extra)  # of which it complains on the screen
    if not by_opencv and not by_tifffile:
        raise _rare(name, what)
    with decoding(name):
        file.seek(0)
        data = bytearray(file.read())
        _require_complete(tags.picture, len(data))
        pixels = _by_opencv(data) if by_opencv else _by_tifffile(data, what)
        del data
        shape = (what.height, what.width) if what.samples == 1 else (what.height, what.width, what.samples)
        if pixels is None or pixels.shape != shape or pixels.dtype != what.dtype:
            raise ValueError("the pixels do not decode")
    if what.photometric == 0:
        pixels = (1 if what.kind == 3 else np.iinfo(what.dtype).max) - pixels
    if pixels.dtype == np.float16:
        pixels = pixels.astype(np.float32)
    if pixels.ndim == 2:
        return pixels, None
    color = np.ascontiguousarray(pixels[..., : what.channels] if what.channels == 3 else pixels[..., 0])
    if what.alpha is None:
        return color, None
    alpha = np.ascontiguousarray(pixels[..., what.alpha])
    premultiplied = what.extra[what.alpha - what.channels] == PREMULTIPLIED
    return (_unmultiplied(color, alpha) if premultiplied else color), alpha


def _is_for_opencv(what: Layout) -> bool:
    plain = what.bits in {1: (16, 32), 2: (16, 32), 3: (32, 64)}.get(what.kind, ())
    known = what.photometric == 2 and what.samples in (3, 4)
    known = known or (what.photometric in (0, 1) and what.samples == 1)
    return plain and known and not what.planar


def _is_for_tifffile(what: Layout) -> bool:
    """Rarer layouts, as long as they are not compressed in a way that needs a further package."""
    plain = what.bits in {1: (8, 16, 32), 2: (16, 32), 3: (16, 32, 64)}.get(what.kind, ())
    known = what.photometric in (0, 1, 2) and what.samples == what.channels + len(what.extra)
    return plain and known and what.compression in (UNCOMPRESSED, DEFLATE, OLD_DEFLATE)


def _by_opencv(data: bytearray) -> Pixels | None:
    import cv2

    _hide_orientation(data)
    pixels: Pixels | None = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is not None and pixels.ndim == 3:
        pixels[..., :3] = pixels[..., 2::-1].copy()
    return pixels


def _by_tifffile(data: bytearray, what: Layout) -> Pixels:
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as tiff:
        pixels: Pixels = tiff.pages.first.asarray()
    return np.moveaxis(pixels, 0, -1) if what.planar else pixels


def _unmultiplied(color: Pixels, alpha: Pixels) -> Pixels:
    """Color as it is without its transparency; black where nothing is left of it."""
    top = 1 if color.dtype.kind == "f" else np.iinfo(alpha.dtype).max
    share = (alpha if color.ndim == 2 else alpha[..., None]).astype(np.float64) / top
    plain = np.minimum(np.divide(color, share, out=np.zeros(color.shape), where=share > 0), top)
    return (plain if top == 1 else np.rint(plain)).astype(color.dtype)


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


def metadata_of(file: IO[bytes], tags: Directories) -> Metadata:
    """All that a TIFF carries beside its pixels, the resolution as it is for the pixels as stored."""
    return Metadata(
        dpi=_dpi(tags),
        exif=_exif_of(file, tags.page),
        xmp=xmp_packet({"xmp": tags.get(XMP)}),
        photoshop=pack_resources(as_bytes(tags.get(PHOTOSHOP)), as_bytes(tags.get(IPTC))),
    )


def _dpi(tags: Directories) -> tuple[float, float] | None:
    try:
        inches = INCHES[tags.get(RESOLUTION_UNIT, INCH)]
        return sane_dpi(*(float(tags.get(tag)) * inches for tag in (X_RESOLUTION, Y_RESOLUTION)))
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None


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
        for tag, value in tags_of(source):
            if tag not in STRUCTURE:
                result[tag] = value
        return result.tobytes()[6:] if len(result) else b""
    return b"damaged"  # so that it is dropped with the note all broken EXIF gets


def tags_of(exif: Image.Exif) -> Iterator[tuple[int, Any]]:
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
