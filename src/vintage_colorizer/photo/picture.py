"""What a picture is to this package: what its header says, and what it is once decoded."""

from __future__ import annotations

from dataclasses import dataclass, field

from vintage_colorizer.color import Pixels
from vintage_colorizer.photo.metadata import Metadata


@dataclass(frozen=True)
class Header:
    """What is known of a picture before it is decoded; width and height are those of the upright picture."""

    format: str  # Pillow's name
    width: int
    height: int
    depth: int  # bits of a sample: 8, 16 or 32 (float)
    has_alpha: bool
    fingerprint: str | None  # of our own results; None for other people's pictures


@dataclass(frozen=True)
class Photo:
    """A decoded picture: upright, sRGB, RGB order.

    pixels: H x W (grey) or H x W x 3, uint8, uint16 or float32 in 0..1. alpha: H x W of the same type,
    bit-identical to the source's, or None. notes: clauses for the report.
    """

    pixels: Pixels
    alpha: Pixels | None = None
    format: str = "PNG"
    metadata: Metadata = field(default_factory=Metadata)
    notes: tuple[str, ...] = ()
    luma_table: tuple[int, ...] | None = None  # quantization of a JPEG, where it still fits the pixels
    lossless: bool = True  # of a WebP
    compressed: bool = True  # of a TIFF

    @property
    def depth(self) -> int:
        """Bits of a sample: 8, 16 or 32 (float)."""
        return 8 * self.pixels.dtype.itemsize
