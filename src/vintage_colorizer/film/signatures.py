"""What a frame looked like when the film was scanned, in 48 bytes, so that a frame read again can be checked.

A decoder that begins in the middle of a film can make another picture of the same bytes: it has not seen what
came before, say x264's message about its version, without which old 4:4:4 films decode to garbage. Nothing in
FFmpeg reports that, so every frame is compared with the first look at it.
"""

from __future__ import annotations

import cv2
import numpy as np

from vintage_colorizer.film.planes import Plane
from vintage_colorizer.film.shots import THUMB

GRID = (8, 6)  # columns and rows of tiles whose mean luma is kept, a byte each
LENGTH = GRID[0] * GRID[1]
TOLERANCE = 2  # of 255 levels: processors may round differently, and no one sees less


def thumb(luma: Plane) -> Plane:
    """A small picture of a luma plane; a thumb's thumb is itself."""
    return np.asarray(cv2.resize(luma, THUMB, interpolation=cv2.INTER_AREA))


def signature(luma: Plane, depth: int) -> bytes:
    """The mean luma of each tile of a frame, row by row.

    Args:
        luma: height x width, of any size; a thumb will do.
        depth: bits of its samples.
    """
    tiles = cv2.resize(thumb(luma), GRID, interpolation=cv2.INTER_AREA)
    return np.asarray(tiles >> (depth - 8)).astype(np.uint8).tobytes()


def agrees(signatures: bytes, index: int, luma: Plane, depth: int) -> bool:
    """Whether frame `index` looks as it did; where no signatures were kept, any frame does."""
    kept = signatures[LENGTH * index : LENGTH * (index + 1)]
    if not kept:
        return True
    now, before = (np.frombuffer(one, np.uint8).astype(int) for one in (signature(luma, depth), kept))
    return bool(np.abs(now - before).max() <= TOLERANCE)
