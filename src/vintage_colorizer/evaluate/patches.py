"""Patchiness: color that varies where the photo's own is even, as in a coat that is half red and half grey.

PSNR hardly sees clouds of wrong color on a wall, since each of them is small and pale. Here a photo is divided into
regions of even color, by its own colors, and what counts is how much more a picture's color varies within them. An
even wrong color costs nothing: that is for other figures to see.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from vintage_colorizer.color import Floats

Labels = NDArray[np.int32]
LARGEST = 256  # pixels of the longer side at which regions are found; larger photos are reduced
SMOOTH = 1.0  # deviation in pixels of the blur before: chroma in JPEG files is noisy
STEP = 1.5  # Lab units from pixel to pixel above which color is not even
LEAST = 0.004  # of the photo: smaller regions are left out
EVEN = 4.0  # Lab units: the deviation above which a region's true color is not even after all, as in a sky at dusk


class Regions:
    """The regions of even color of one photo."""

    def __init__(self, lab: Floats) -> None:
        """Find them in the photo's Lab colors, H x W x 3."""
        plane = _small(lab)
        flat = _changes(cv2.GaussianBlur(plane, (0, 0), SMOOTH)) < STEP
        count, labels = cv2.connectedComponents(flat.astype(np.uint8), connectivity=4)
        self._labels, self._count = labels, count
        self._sizes = np.bincount(labels.ravel(), minlength=count).astype(np.float64)
        self._true = self._variances(plane)
        self._kept = (self._sizes >= LEAST * labels.size) & (self._true <= EVEN**2)
        self._kept[0] = False  # where color changes

    def figures(self, lab: Floats) -> dict[str, float]:
        """Of a picture's Lab colors: `patches`, a sum over pixels in Lab units, and `even`, the number of these pixels.

        Also `patch_chroma`, the sum of the picture's Lab chroma over them.
        """
        plane = _small(lab)
        excess = np.sqrt(np.maximum(self._variances(plane) - self._true, 0))
        inside = self._kept[self._labels]
        return {
            "patches": float((excess * self._sizes)[self._kept].sum()),
            "even": float(self._sizes[self._kept].sum()),
            "patch_chroma": float(np.linalg.norm(plane, axis=-1)[inside].sum()),
        }

    def _variances(self, plane: Floats) -> NDArray[np.float64]:
        """The variance of a, b within each region: the mean squared distance from the region's mean color."""
        total = np.zeros(self._count)
        for values in np.moveaxis(plane.astype(np.float64), -1, 0):
            mean = np.bincount(self._labels.ravel(), values.ravel(), self._count) / np.maximum(self._sizes, 1)
            squares = np.bincount(self._labels.ravel(), (values**2).ravel(), self._count) / np.maximum(self._sizes, 1)
            total += squares - mean**2
        return total


def _small(lab: Floats) -> Floats:
    """Lab a and b, reduced to LARGEST, H x W x 2."""
    plane = np.ascontiguousarray(lab[..., 1:])
    scale = LARGEST / max(plane.shape[:2])
    if scale >= 1:
        return plane
    return np.asarray(cv2.resize(plane, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), dtype=np.float32)


def _changes(plane: Floats) -> Floats:
    """How far each pixel's color is from its neighbors', the steepest way, H x W."""
    down = np.linalg.norm(np.diff(plane, axis=0, append=plane[-1:]), axis=-1)
    right = np.linalg.norm(np.diff(plane, axis=1, append=plane[:, -1:]), axis=-1)
    return np.asarray(np.maximum(down, right), dtype=np.float32)
