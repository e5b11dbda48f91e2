"""What a picture carries beside its pixels: EXIF, XMP (see `xmp`), IPTC, text, resolution.

EXIF is never rebuilt, which would break the makers' private notes: the few values that are wrong for the
result (orientation, sizes after a turn, color space, the grey thumbnail) are patched in place.
Reference: CIPA DC-008 (Exif 3.0).
"""

from __future__ import annotations

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from vintage_colorizer.photo import xmp as packets

if TYPE_CHECKING:
    from PIL import Image


ORIENTATION, EXIF_IFD, COLOR_SPACE, WIDTH, HEIGHT = 0x0112, 0x8769, 0xA001, 0xA002, 0xA003
X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT = 282, 283, 296
INCH, INCHES = 2, {2: 1.0, 3: 2.54}  # by unit: the inch, the centimeter
NO_EXIF = b"II*\0\x08\0\0\0" + bytes(6)
IPTC_RESOURCE = 1028
XMP_EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"
XMP_UUID = bytes.fromhex("be7acfcb97a942e89c71999491e3afac")  # of its box in a JPEG 2000
# Photoshop resources untrue of the result: grey thumbnails, the source's color profile, a second EXIF.
STALE_RESOURCES = (1033, 1036, 1039, 1058, 1059)


@dataclass(frozen=True)
class Metadata:
    """All that is carried from a source to its result. Empty values mean: the source had none.

    exif: a TIFF block (without the `Exif` prefix); xmp: one packet, UTF-8; xmp_extensions: bodies of the
    further XMP segments of a JPEG; photoshop: image resources (8BIM), IPTC among them; text: keywords and
    values of a PNG; dpi: horizontal, vertical.
    """

    exif: bytes = b""
    xmp: bytes = b""
    xmp_extensions: tuple[bytes, ...] = ()
    photoshop: bytes = b""
    text: dict[str, str] = field(default_factory=dict)
    comment: bytes = b""
    dpi: tuple[float, float] | None = None


def metadata_of(image: Image.Image, format: str) -> Metadata:
    """All that Pillow found beside the pixels of a loaded picture; TIFF has its own way, in `tiff`."""
    segments = [body for _, body in getattr(image, "applist", [])]
    text = getattr(image, "text", {}) if format == "PNG" else {}
    exif = exif_block(image.info)
    return Metadata(
        exif=exif,
        xmp=xmp_packet(image.info),
        xmp_extensions=tuple(body for body in segments if body.startswith(XMP_EXTENSION)),
        photoshop=b"".join(body[14:] for body in segments if body.startswith(b"Photoshop 3.0\0")),
        text={key: str(value) for key, value in text.items() if not _is_block(key)},
        comment=as_bytes(image.info.get("comment")),
        dpi=_dpi(image.info, format) or resolution(exif),
    )


def exif_block(info: dict[Any, Any]) -> bytes:
    """The EXIF block in Pillow's `info`, without its prefix."""
    raw = as_bytes(info.get("exif"))
    as_text = info.get("Raw profile type exif")  # ImageMagick's way in PNG: three lines, then hex
    if not raw and isinstance(as_text, str):
        with contextlib.suppress(ValueError):
            raw = bytes.fromhex("".join(as_text.split("\n")[3:]))
    return raw.removeprefix(b"Exif\0\0")


def xmp_packet(info: dict[Any, Any]) -> bytes:
    """The XMP packet in Pillow's `info`."""
    return as_bytes(info.get("xmp")).rstrip(b"\0")


def as_bytes(value: object) -> bytes:
    """A block of metadata as bytes, in whichever of its ways Pillow gives it."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace")
    if isinstance(value, tuple) and all(isinstance(v, int) and 0 <= v < 256 for v in value):
        return bytes(value)
    return value if isinstance(value, bytes) else b""


def _is_block(key: str) -> bool:
    """Whether a text of a PNG is really XMP, EXIF or a profile, all handled elsewhere."""
    return key == "XML:com.adobe.xmp" or key.startswith("Raw profile type ")


def _dpi(info: dict[Any, Any], format: str) -> tuple[float, float] | None:
    """The resolution outside of EXIF; of a JPEG without units Pillow would say 72, which nobody did."""
    if format == "JPEG" and info.get("jfif_unit") not in (1, 2):
        return None
    try:
        x, y = (float(value) for value in info.get("dpi", ()))
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return sane_dpi(x, y)


def sane_dpi(x: float, y: float) -> tuple[float, float] | None:
    """A resolution in pixels to the inch; None where it cannot be meant."""
    return (x, y) if 0 < x < 65536 and 0 < y < 65536 else None


def transposed(metadata: Metadata) -> Metadata:
    """The metadata of a picture whose rows have become columns: its resolutions are swapped."""
    if metadata.dpi is None or metadata.dpi[0] == metadata.dpi[1]:
        return metadata
    dpi, exif = metadata.dpi[::-1], metadata.exif
    return replace(metadata, dpi=dpi, exif=with_resolution(exif, dpi) if resolution(exif) else exif)


def stripped(metadata: Metadata) -> Metadata:
    """Only what tells nothing of the source's history: its resolution."""
    return Metadata(dpi=metadata.dpi)


def checked(metadata: Metadata) -> tuple[Metadata, list[str]]:
    """The metadata without its broken parts, and a note for each part dropped."""
    notes = []
    if metadata.exif and not _is_sound(metadata.exif):
        metadata = replace(metadata, exif=b"")
        notes.append("broken EXIF data was dropped")
    if metadata.xmp and packets.parsed(metadata.xmp) is None:
        metadata = replace(metadata, xmp=b"", xmp_extensions=())
        notes.append("broken XMP data was dropped")
    if (kept := packets.without_other_parts(metadata.xmp)) != metadata.xmp:
        metadata = replace(metadata, xmp=kept)
        notes.append(packets.OTHER_PARTS_NOTE)
    return replace(metadata, photoshop=pack_resources(metadata.photoshop)), notes


# --- EXIF -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Entry:
    tag: int
    kind: int
    count: int
    value_at: int  # where the 4-byte value field lies


def _byte_order(exif: bytes) -> str:
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(exif[:4])
    if order is None:
        raise ValueError("not a TIFF block")
    return order


def _entries(exif: bytes | bytearray, order: str, offset: int) -> Iterator[_Entry]:
    (count,) = struct.unpack_from(order + "H", exif, offset)
    if offset + 2 + 12 * count > len(exif):
        raise ValueError("directory runs over the end")
    for at in range(offset + 2, offset + 2 + 12 * count, 12):
        tag, kind, values = struct.unpack_from(order + "HHI", exif, at)
        yield _Entry(tag, kind, values, at + 8)


def _first_directory(exif: bytes | bytearray, order: str) -> int:
    offset: int = struct.unpack_from(order + "I", exif, 4)[0]
    return offset


def _is_sound(exif: bytes) -> bool:
    try:
        order = _byte_order(exif)
        list(_entries(exif, order, _first_directory(exif, order)))
        return True
    except (ValueError, struct.error):
        return False


def _integer(exif: bytes | bytearray, order: str, entry: _Entry) -> int | None:
    """The value of a single SHORT or LONG; None for anything else."""
    code = {3: "H", 4: "I"}.get(entry.kind)
    if code is None or entry.count != 1:
        return None
    value: int = struct.unpack_from(order + code, exif, entry.value_at)[0]
    return value


def orientation(exif: bytes) -> int:
    """EXIF orientation 1..8; anything absent, broken or out of range is 1."""
    try:
        order = _byte_order(exif)
        for entry in _entries(exif, order, _first_directory(exif, order)):
            if entry.tag == ORIENTATION:
                value = _integer(exif, order, entry)
                return value if value is not None and 1 <= value <= 8 else 1
    except (ValueError, struct.error):
        pass
    return 1


def upright(exif: bytes, transposed: bool) -> bytes:
    """EXIF true of the result: orientation 1, sRGB, sizes swapped if `transposed`, no grey thumbnail.

    Patched in place; `exif` has passed `checked`. Everything else keeps its bytes and its place.
    """
    if not exif:
        return exif
    block = bytearray(exif)
    order = _byte_order(exif)
    first = _first_directory(block, order)
    sub = _patch(block, order, first, {ORIENTATION: 1}).get(EXIF_IFD)
    (count,) = struct.unpack_from(order + "H", block, first)
    struct.pack_into(order + "I", block, min(first + 2 + 12 * count, len(block) - 4), 0)
    try:
        if sub:
            sizes = _patch(block, order, sub, {COLOR_SPACE: 1})
            if transposed and WIDTH in sizes and HEIGHT in sizes:
                _patch(block, order, sub, {WIDTH: sizes[HEIGHT], HEIGHT: sizes[WIDTH]})
    except (ValueError, struct.error):
        pass  # a damaged sub-directory is carried as it is
    return bytes(block)


def of_size(exif: bytes, width: int, height: int) -> bytes:
    """EXIF that states this size of the picture, if it states one; see `upright`."""
    block = bytearray(exif)
    with contextlib.suppress(ValueError, struct.error):  # there is none, or a damaged one, which is carried as it is
        order = _byte_order(exif)
        sub = _patch(block, order, _first_directory(block, order), {}).get(EXIF_IFD)
        if sub:
            _patch(block, order, sub, {WIDTH: width, HEIGHT: height})
    return bytes(block)


def _patch(block: bytearray, order: str, offset: int, values: dict[int, int]) -> dict[int, int]:
    """Overwrite the integers of a directory named in `values`; returns the integers it held before."""
    before = {}
    for entry in _entries(block, order, offset):
        value = _integer(block, order, entry)
        if value is None:
            continue
        before[entry.tag] = value
        if entry.tag in values:
            code = "H" if entry.kind == 3 else "I"
            struct.pack_into(order + code, block, entry.value_at, values[entry.tag])
    return before


def resolution(exif: bytes) -> tuple[float, float] | None:
    """Horizontal and vertical pixels to the inch that an EXIF block says, if any."""
    try:
        order = _byte_order(exif)
        entries = {entry.tag: entry for entry in _entries(exif, order, _first_directory(exif, order))}
        unit = _integer(exif, order, entries[RESOLUTION_UNIT]) if RESOLUTION_UNIT in entries else INCH
        numbers = [_rational(exif, order, entries[tag]) for tag in (X_RESOLUTION, Y_RESOLUTION)]
        return sane_dpi(*(number * INCHES[unit or 0] for number in numbers))
    except (ValueError, KeyError, ZeroDivisionError, struct.error):
        return None


def _rational(exif: bytes, order: str, entry: _Entry) -> float:
    if entry.kind != 5 or entry.count != 1:
        raise ValueError("not a rational number")
    (at,) = struct.unpack_from(order + "I", exif, entry.value_at)
    above, below = struct.unpack_from(order + "II", exif, at)
    return float(above / below)


def with_resolution(exif: bytes, dpi: tuple[float, float] | None) -> bytes:
    """An EXIF block (sound, or empty) that says the resolution `dpi`.

    Its first directory is written anew behind all else, so that everything keeps its place.
    """
    said = resolution(exif)
    if dpi is None or (said and np.allclose(said, dpi, rtol=0.01)):
        return exif
    block = exif or NO_EXIF
    order = _byte_order(block)
    first = _first_directory(block, order)
    ours = (X_RESOLUTION, Y_RESOLUTION, RESOLUTION_UNIT)
    entries = list(_entries(block, order, first))
    kept = {e.tag: block[e.value_at - 8 : e.value_at + 4] for e in entries if e.tag not in ours}
    (following,) = struct.unpack_from(order + "I", block, first + 2 + 12 * len(entries))
    block += bytes(len(block) % 2)
    numbers = len(block) + 2 + 12 * (len(kept) + 3) + 4
    kept[X_RESOLUTION] = struct.pack(order + "HHII", X_RESOLUTION, 5, 1, numbers)
    kept[Y_RESOLUTION] = struct.pack(order + "HHII", Y_RESOLUTION, 5, 1, numbers + 8)
    kept[RESOLUTION_UNIT] = struct.pack(order + "HHIHxx", RESOLUTION_UNIT, 3, 1, INCH)
    directory = struct.pack(order + "H", len(kept)) + b"".join(kept[tag] for tag in sorted(kept))
    values = b"".join(struct.pack(order + "II", round(number * 100), 100) for number in dpi)
    head = block[:4] + struct.pack(order + "I", len(block))
    return head + block[8:] + directory + struct.pack(order + "I", following) + values


# --- Photoshop resources and IPTC -----------------------------------------------------------------------


def resources(photoshop: bytes) -> dict[int, tuple[bytes, bytes]]:
    """Number -> (name as stored, data) of the image resources (8BIM) up to the first broken one."""
    found: dict[int, tuple[bytes, bytes]] = {}
    at = 0
    while photoshop[at : at + 4] == b"8BIM" and at + 12 <= len(photoshop):
        number = int.from_bytes(photoshop[at + 4 : at + 6], "big")
        name_end = at + 6 + (photoshop[at + 6] + 2) // 2 * 2  # a counted string, padded to even
        size = int.from_bytes(photoshop[name_end : name_end + 4], "big")
        data = photoshop[name_end + 4 : name_end + 4 + size]
        if len(data) < size:
            break
        found[number] = (photoshop[at + 6 : name_end], data)
        at = name_end + 4 + (size + 1) // 2 * 2
    return found


def pack_resources(photoshop: bytes, iptc: bytes = b"") -> bytes:
    """The image resources still true of the result, as bytes; `iptc` is added where they have none."""
    kept = {n: r for n, r in resources(photoshop).items() if n not in STALE_RESOURCES}
    if iptc:
        kept.setdefault(IPTC_RESOURCE, (b"\0\0", iptc))
    return b"".join(
        b"8BIM" + n.to_bytes(2, "big") + name + len(data).to_bytes(4, "big") + data + b"\0" * (len(data) % 2)
        for n, (name, data) in kept.items()
    )
