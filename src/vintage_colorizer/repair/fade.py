"""Undoing fading: one monotone tone curve and one smooth field of light, applied at full depth.

A small network looks at a thumbnail and says both; nothing else is changed, so nothing can be invented.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from vintage_colorizer import color
from vintage_colorizer.color import Floats, Pixels
from vintage_colorizer.networks.repair import THUMB, RepairNetworks

LEVELS = 4096  # of the curve as a table
SLIGHT = 0.03  # of full scale: a photo that would change by less on average is left as it is
ROOM = 3.0  # the field brightens and darkens at most by this factor


@dataclass(frozen=True)
class Fading:
    """What undoes the fading of one photo."""

    curve: Floats  # new values, 0..1, of levels evenly from 0 to 1; they never fall
    field: Floats  # 1, x, y, x*x, x*y, y*y of the logarithm of the gain before the curve, x and y in -1..1

    @classmethod
    def of(cls, pixels: Pixels, networks: RepairNetworks) -> Fading:
        """Look at a photo, H x W or H x W x 3."""
        curve, field = networks.fade(thumbnail(pixels))
        return cls(np.maximum.accumulate(np.clip(curve, 0, 1)), field)

    def is_slight(self, pixels: Pixels) -> bool:
        """Whether a photo would change so little that it had better be left as it is."""
        small = thumbnail(pixels)
        return float(np.abs(self.apply(small) - small).mean()) < SLIGHT

    def apply(self, pixels: Pixels) -> Pixels:
        """The photo, H x W or H x W x 3 of any depth, without its fading; of the same type."""
        height, width = pixels.shape[:2]
        table, white = smooth(self.curve, LEVELS), np.float32(color.full_scale(pixels.dtype))
        levels = np.linspace(0, 1, LEVELS, dtype=np.float32)
        result = np.empty_like(pixels)
        for top, bottom in color.bands(height, width):
            gain = self._gain(top, bottom, height, width)
            band = pixels[top:bottom] / white * (gain if pixels.ndim == 2 else gain[..., None])
            new = np.interp(band, levels, table) * white
            result[top:bottom] = np.rint(new) if np.issubdtype(pixels.dtype, np.integer) else new
        return result

    def _gain(self, top: int, bottom: int, height: int, width: int) -> Floats:
        """The field over rows top..bottom."""
        y = ((np.arange(top, bottom, dtype=np.float32) + 0.5) / height * 2 - 1)[:, None]
        x = ((np.arange(width, dtype=np.float32) + 0.5) / width * 2 - 1)[None, :]
        one, by_x, by_y, xx, xy, yy = (np.float32(term) for term in self.field)
        return np.clip(np.exp(one + by_x * x + by_y * y + xx * x * x + xy * x * y + yy * y * y), 1 / ROOM, ROOM)


def thumbnail(pixels: Pixels) -> Floats:
    """Luma of a photo, THUMB x THUMB, 0..1; fading does not depend on the photo's shape."""
    small = cv2.resize(pixels, (THUMB, THUMB), interpolation=cv2.INTER_AREA)
    return np.clip(color.luma(small), 0, 1)


def smooth(knots: Floats, count: int) -> Floats:
    """A curve through even knots at `count` even places, that never falls where they never fall.

    Cubic Hermite pieces with the slopes of Fritsch and Carlson, "Monotone Piecewise Cubic Interpolation" (1980).
    """
    rises = np.diff(knots.astype(np.float64))
    slopes = np.concatenate([[rises[0]], (rises[:-1] + rises[1:]) / 2, [rises[-1]]])
    # A slope of at most three times the lesser rise beside it keeps a piece from turning.
    least = np.minimum(np.concatenate([[rises[0]], rises]), np.concatenate([rises, [rises[-1]]]))
    slopes = np.clip(slopes, 0, 3 * np.maximum(least, 0))
    place = np.linspace(0, len(knots) - 1, count)
    below = np.minimum(place.astype(int), len(knots) - 2)
    t = place - below
    start, end = knots[below], knots[below + 1]
    bend = t * t * (3 - 2 * t)
    curve = start + (end - start) * bend + slopes[below] * t * (1 - t) ** 2 - slopes[below + 1] * t * t * (1 - t)
    return np.asarray(curve, np.float32)
