"""The kinds of picture, behind one protocol: how each is decoded, and where what lies beside its pixels is found.

`Plain` is whatever Pillow reads whole; the others say only what is different with them. Those of PNG and JPEG
are in `png` and `jpegs`.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field, replace
from typing import IO, Protocol

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile

from vintage_colorizer.color import Pixels
from vintage_colorizer.photo import icc, tiff
from vintage_colorizer.photo.formats import decoding, load, open_image
from vintage_colorizer.photo.metadata import (
    ORIENTATION,
    Metadata,
    as_bytes,
    exif_block,
    metadata_of,
    orientation,
    transposed,
    xmp_packet,
)
from vintage_colorizer.photo.writing import luma_table

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
DEEP_MODES = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")


@dataclass
class Decoded:
    """Pixels as stored (not turned, not sRGB but for CMYK and Lab), alpha, and notes for the report."""

    pixels: Pixels
    alpha: Pixels | None = None
    notes: list[str] = field(default_factory=list)


class Kind(Protocol):
    """A picture whose header has been read."""

    @property
    def name(self) -> str:
        """What messages call it."""
        ...

    @property
    def format(self) -> str:
        """Pillow's name of its format."""
        ...

    @property
    def size(self) -> tuple[int, int]:
        """Width and height as stored."""
        ...

    @property
    def orientation(self) -> int:
        """How the decoded pixels must still be turned (EXIF, 1..8)."""
        ...

    @property
    def depth(self) -> int:
        """Bits of a sample once decoded: 8, 16 or 32 (float)."""
        ...

    @property
    def has_alpha(self) -> bool: ...

    @property
    def has_several(self) -> bool:
        """Whether the file holds further pictures, which are not colored."""
        ...

    @property
    def lossless(self) -> bool:
        """False for a lossy WebP."""
        ...

    @property
    def compressed(self) -> bool:
        """False for a TIFF whose strips are not packed."""
        ...

    @property
    def profile(self) -> bytes | icc.Profile | None:
        """The color profile of the decoded pixels; None for sRGB."""
        ...

    @property
    def xmp(self) -> bytes: ...

    def decode(self) -> Decoded:
        """Decode the pixels. Raises UnreadableError, UnsupportedError, TooLargeError (no memory)."""
        ...

    def metadata(self) -> Metadata:
        """What lies beside the pixels; complete only once they are decoded."""
        ...

    def luma_table(self, on_grid: bool, transposed: bool) -> tuple[int, ...] | None:
        """The luma quantization for a result of the same format; None where the source stores no such thing."""
        ...


@dataclass
class Plain:
    """A picture that Pillow reads whole."""

    name: str
    format: str
    image: Image.Image

    @property
    def size(self) -> tuple[int, int]:
        return self.image.size

    @property
    def orientation(self) -> int:
        return orientation(exif_block(self.image.info))

    @property
    def depth(self) -> int:
        return 32 if self.image.mode == "F" else 16 if self.image.mode.startswith("I") else 8

    @property
    def has_alpha(self) -> bool:
        return self.image.has_transparency_data

    @property
    def has_several(self) -> bool:
        with contextlib.suppress(Exception):  # a damaged second frame is no concern of the first
            return bool(getattr(self.image, "is_animated", False)) or "mpoffset" in self.image.info
        return False

    @property
    def lossless(self) -> bool:
        return self.format != "WEBP"  # of one given as an image nobody knows

    @property
    def compressed(self) -> bool:
        return True

    @property
    def profile(self) -> bytes | icc.Profile | None:
        if self.image.mode in ("CMYK", "LAB"):
            return None  # already applied
        return self.image.info.get("icc_profile") or None

    @property
    def xmp(self) -> bytes:
        return xmp_packet(self.image.info)

    def decode(self) -> Decoded:
        with decoding(self.name):
            return decoded_image(self.image)

    def metadata(self) -> Metadata:
        return metadata_of(self.image, self.format)

    def luma_table(self, on_grid: bool, transposed: bool) -> tuple[int, ...] | None:
        image = self.image
        if not isinstance(image, JpegImageFile) or image.mode not in ("L", "RGB"):
            return None
        ids = [layer[0] for layer in image.layer]
        if image.info.get("adobe_transform") == 0 or ids == [*b"RGB"]:  # no luma in it
            return None
        table = image.quantization.get(image.layer[0][3] if image.layer else 0)
        return luma_table(tuple(table), on_grid, transposed) if table else None


def decoded_image(image: Image.Image) -> Decoded:
    """Pixels of a Pillow image; raises nearly anything when it is damaged."""
    load(image)
    if image.mode in ("CMYK", "LAB"):
        pixels, note = icc.image_to_srgb(image, image.info.get("icc_profile"))
        return Decoded(pixels, notes=[note] if note else [])
    if image.mode in DEEP_MODES:
        return _one_deep_channel(image)
    if image.mode not in MODES:
        raise ValueError(f"pixels of mode {image.mode}")
    target = MODES[image.mode][image.has_transparency_data]
    values = icc.in_strips(image, lambda strip: strip if strip.mode == target else strip.convert(target))
    if target in ("L", "RGB"):
        return Decoded(values)
    color = values[..., 0] if target == "LA" else values[..., :3]
    return Decoded(np.ascontiguousarray(color), np.ascontiguousarray(values[..., -1]))


def _one_deep_channel(image: Image.Image) -> Decoded:
    """Modes I;16, I and F; a transparent grey value becomes alpha."""
    values = icc.in_strips(image, lambda strip: strip)
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    key = image.info.get("transparency")
    return Decoded(values, np.where(values == key, 0, 65535).astype(np.uint16) if isinstance(key, int) else None)


def left_aligned(bits: int) -> int:
    """The largest value of so many bits moved to the top of sixteen."""
    top: int = (2**bits - 1) << (16 - bits)
    return top


def scaled(pixels: Pixels, top: int) -> Pixels:
    """uint16 pixels of 0..`top` brought to 0..65535."""
    if top == 65535:
        return pixels
    return ((np.minimum(pixels, top).astype(np.uint32) * 65535 + top // 2) // top).astype(np.uint16)


# --- WebP ---------------------------------------------------------------------------------------------


@dataclass
class WebP(Plain):
    """A WebP, which is lossy or lossless."""

    file: IO[bytes]

    @property
    def lossless(self) -> bool:
        """How the (first) picture is stored; metadata may lie before it."""
        self.file.seek(12)  # behind the name of the container
        while len(head := self.file.read(8)) == 8:
            kind, size = head[:4], int.from_bytes(head[4:], "little")
            if kind in (b"VP8L", b"VP8 "):
                return kind == b"VP8L"
            # A frame of an animation holds the picture behind 16 bytes; anything else is passed over.
            self.file.seek(16 if kind == b"ANMF" else size + size % 2, os.SEEK_CUR)
        return False


# --- TIFF -----------------------------------------------------------------------------------------------


@dataclass
class DeepTiff:
    """A TIFF that Pillow cannot hold."""

    name: str
    file: IO[bytes]  # begins with the picture's directory
    tags: tiff.Directories
    layout: tiff.Layout

    @property
    def format(self) -> str:
        return "TIFF"

    @property
    def lossless(self) -> bool:
        return True

    @property
    def size(self) -> tuple[int, int]:
        return self.layout.width, self.layout.height

    @property
    def orientation(self) -> int:
        return self.layout.orientation

    @property
    def depth(self) -> int:
        return self.layout.depth

    @property
    def has_alpha(self) -> bool:
        return self.layout.alpha is not None

    @property
    def has_several(self) -> bool:
        return self.tags.several

    @property
    def compressed(self) -> bool:
        return self.layout.compressed

    @property
    def profile(self) -> bytes | icc.Profile | None:
        return as_bytes(self.tags.get(tiff.ICC)) or None

    @property
    def xmp(self) -> bytes:
        return xmp_packet({"xmp": self.tags.get(tiff.XMP)})

    def decode(self) -> Decoded:
        pixels, alpha = tiff.read_deep(self.file, self.tags, self.layout, self.name)
        notes, top = self.layout.notes, self.layout.top
        if pixels.dtype == np.uint16 and top < 65535 and pixels.max() <= top:
            pixels = scaled(pixels, top)
            notes = [*notes, f"values of 0 to {top} were scaled to 0..65535"]
        return Decoded(pixels, alpha, notes)

    def metadata(self) -> Metadata:
        return tiff.metadata_of(self.file, self.tags)

    def luma_table(self, on_grid: bool, transposed: bool) -> tuple[int, ...] | None:
        return None


class PlainTiff(DeepTiff):
    """A TIFF that Pillow reads; what lies beside the pixels is taken from the directories all the same."""

    def __init__(self, name: str, file: IO[bytes], tags: tiff.Directories, layout: tiff.Layout) -> None:
        super().__init__(name, file, tags, layout)
        with tiff.unknown_to_pillow(name, layout):
            self.image = open_image(file, "TIFF", name)

    @property
    def size(self) -> tuple[int, int]:
        return self.image.size

    @property
    def orientation(self) -> int:
        """Pillow turns a picture by its own directory, but not by that of its page."""
        return 1 if ORIENTATION in self.tags.picture else self.layout.orientation

    @property
    def has_alpha(self) -> bool:
        return super().has_alpha and self.image.has_transparency_data

    @property
    def profile(self) -> bytes | icc.Profile | None:
        return None if self.image.mode in ("CMYK", "LAB") else super().profile  # those have it applied already

    def decode(self) -> Decoded:
        with tiff.unknown_to_pillow(self.name, self.layout), decoding(self.name):
            decoded = decoded_image(self.image)
        if self.layout.bits == 12:
            decoded = replace(decoded, pixels=scaled(decoded.pixels, self.layout.top))
        alpha = decoded.alpha if self.has_alpha else None
        return replace(decoded, alpha=alpha, notes=[*decoded.notes, *self.layout.notes])

    def metadata(self) -> Metadata:
        metadata = super().metadata()
        is_turned = self.layout.orientation != self.orientation  # by Pillow
        return transposed(metadata) if is_turned and self.layout.orientation >= 5 else metadata
