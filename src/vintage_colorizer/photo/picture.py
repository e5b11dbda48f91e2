"""What a picture is to this package: where it came from, what its header says, and what it is once decoded."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from vintage_colorizer.color import Pixels
from vintage_colorizer.errors import OutputExistsError
from vintage_colorizer.files import file_status
from vintage_colorizer.photo.metadata import Metadata

REPAIRED = "repair-"  # fingerprints of photos that were repaired, and not colored, begin with it


@dataclass(frozen=True)
class Origin:
    """Where a photo came from: enough to know it again, and to keep it from being overwritten."""

    identity: str  # size and time of a file, else a hash of the pixels
    path: Path | None = None

    @classmethod
    def of_pixels(cls, pixels: Pixels) -> Origin:
        """Describe a picture that has no file."""
        return cls(hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest())

    @classmethod
    def of_file(cls, path: Path, status: os.stat_result | None = None) -> Origin:
        """Describe a file without reading it, by its `status` where that is known.

        Raises:
            UnreadableError: it is not there.
        """
        status = status or file_status(path)
        return cls(f"{status.st_size}:{status.st_mtime_ns}", path)

    def protect(self, target: Path) -> None:
        """Raise OutputExistsError if `target` is this very source."""
        if self.path is not None and os.path.exists(target) and target.samefile(self.path):
            raise OutputExistsError("is the source itself, which is never overwritten; choose another name.", target)


@dataclass(frozen=True)
class Header:
    """What is known of a picture before it is decoded; width and height are those of the upright picture."""

    format: str  # Pillow's name
    width: int
    height: int
    depth: int  # bits of a sample: 8, 16 or 32 (float)
    has_alpha: bool
    fingerprint: str | None  # of our own results; None for other people's pictures
    hints: str = ""  # stated in our own results, see `Hint`; semicolons between them
    repaired: str = ""  # which repairs were made of our own results; commas between them

    @property
    def is_colored(self) -> bool:
        """Whether it is a result of ours that is not to be colored again: anything but a repaired photo."""
        return self.fingerprint is not None and not self.fingerprint.startswith(REPAIRED)


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
    origin: Origin | None = None  # None for pixels that came from no file
    repaired: str = ""  # which repairs were made of it; commas between them
    marks: str = ""  # the identity of the marks it was repaired by, if somebody gave any

    @property
    def depth(self) -> int:
        """Bits of a sample: 8, 16 or 32 (float)."""
        return 8 * self.pixels.dtype.itemsize
