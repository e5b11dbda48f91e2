"""Finding scratches and dust: a network marks pixels, tile by tile at the photo's own size and at smaller ones."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

from vintage_colorizer import color
from vintage_colorizer.color import Floats, Pixels
from vintage_colorizer.networks.repair import MULTIPLE, RepairNetworks

Mask: TypeAlias = "NDArray[np.bool_]"
TILE = 1024  # pixels a side that are marked at a time
MARGIN = 48  # pixels around them that are looked at too
SURE = 0.95  # how likely some pixel of a mark must be damaged
LIKELY = 0.4  # how likely all of its pixels must be
SCALES = (1, 2, 4)  # how many times smaller it is looked at: large scans have wide scratches
LEAST_SIDE = 400  # pixels of the shorter side at a smaller scale, below which that shows nothing new
LONG = 3.0  # length over width from which a mark is a scratch


def find_damage(pixels: Pixels, networks: RepairNetworks) -> Mask:
    """Where a photo, H x W or H x W x 3, is scratched or dusty, H x W."""
    height, width = pixels.shape[:2]
    likely = np.zeros((height, width), np.uint8)  # in levels of 255: a float for each pixel of a large scan is too much
    for scale in SCALES:
        if scale > 1 and min(height, width) < LEAST_SIDE * scale:
            break
        for rows, columns in tiles(height, width, TILE * scale):
            seen = np.rint(255 * _likely(pixels, rows, columns, scale, networks)).astype(np.uint8)
            np.maximum(likely[rows, columns], seen, out=likely[rows, columns])
    return with_a_sure_pixel(likely > 255 * LIKELY, likely > 255 * SURE)


def with_a_sure_pixel(mask: Mask, sure: Mask) -> Mask:
    """The marks of a mask that have a pixel that is sure: the hysteresis of Canny's edges (1986)."""
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    kept = np.zeros(count, bool)
    kept[np.unique(labels[sure])] = True
    kept[0] = False
    return np.asarray(kept[labels], bool)


def _likely(pixels: Pixels, rows: slice, columns: slice, scale: int, networks: RepairNetworks) -> Floats:
    """How likely each pixel of a tile is damaged, as seen `scale` times smaller."""
    margin = MARGIN * scale
    top, left = max(0, rows.start - margin), max(0, columns.start - margin)
    seen = color.luma(pixels[top : rows.stop + margin, left : columns.stop + margin])
    small = seen if scale == 1 else _shrunk(seen, scale)
    likely = networks.damage(padded(small))[: small.shape[0], : small.shape[1]]
    if scale > 1:
        likely = cv2.resize(likely, seen.shape[::-1], interpolation=cv2.INTER_LINEAR).astype(np.float32)
    return likely[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left]


def _shrunk(plane: Floats, scale: int) -> Floats:
    size = max(1, plane.shape[1] // scale), max(1, plane.shape[0] // scale)
    return np.asarray(cv2.resize(plane, size, interpolation=cv2.INTER_AREA), np.float32)


def padded(plane: Floats) -> Floats:
    """The plane, continued by its edges to sides the network takes."""
    height, width = plane.shape
    return np.pad(plane, ((0, -height % MULTIPLE), (0, -width % MULTIPLE)), mode="edge")


def tiles(height: int, width: int, side: int) -> Iterator[tuple[slice, slice]]:
    """Rows and columns of squares of `side` that cover a picture."""
    for top in range(0, height, side):
        for left in range(0, width, side):
            yield slice(top, min(top + side, height)), slice(left, min(left + side, width))


def sorted_marks(mask: Mask) -> tuple[Mask, Mask]:
    """The marks of `mask` that are scratches, being long, and those that are dust; both H x W."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    extent = np.hypot(stats[:, cv2.CC_STAT_WIDTH], stats[:, cv2.CC_STAT_HEIGHT])
    # As wide as its area over its length: a thin diagonal or curl is long too.
    is_long = extent**2 >= LONG * np.maximum(1, stats[:, cv2.CC_STAT_AREA])
    is_long &= extent >= 8
    is_long[0] = False
    scratches = is_long[labels]
    return scratches, mask & ~scratches
