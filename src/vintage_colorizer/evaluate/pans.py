"""Slow pans over photos: short clips whose true color and motion are known exactly.

A window moves over the photo by whole pixels, so no frame is interpolated. Each frame is colored on its own, as a
film is, but nothing is calmed over time: what is measured is the network.
"""

from __future__ import annotations

import numpy as np

from vintage_colorizer import color
from vintage_colorizer.color import Floats
from vintage_colorizer.colorizer import Colorizer
from vintage_colorizer.evaluate import metrics
from vintage_colorizer.evaluate.metrics import RGB
from vintage_colorizer.film.stability import fade_extremes
from vintage_colorizer.options import PhotoOptions
from vintage_colorizer.photo.picture import Photo

FRAMES = 12
WINDOW = 0.8  # of the photo's sides
DIRECTIONS = ((0, 1), (1, 0), (1, 1), (0, -1), (-1, 0), (-1, -1), (1, -1), (-1, 1))


class Pan:
    """A clip made of one photo."""

    def __init__(self, truth: RGB, number: int) -> None:
        """Move over `truth`; `number` decides which way."""
        height, width = (int(WINDOW * side) for side in truth.shape[:2])
        room = truth.shape[0] - height, truth.shape[1] - width
        step = max(1, min(room) // (FRAMES - 1))
        way = DIRECTIONS[number % len(DIRECTIONS)]
        self._shift = way[0] * step, way[1] * step
        count = min(FRAMES, min(room) // step + 1)
        starts = [0 if move >= 0 else space for move, space in zip(way, room, strict=True)]
        corners = [(starts[0] + i * self._shift[0], starts[1] + i * self._shift[1]) for i in range(count)]
        self._frames = [np.ascontiguousarray(truth[y : y + height, x : x + width]) for y, x in corners]
        self._lumas = [(color.luma(one) * 255 + np.float32(0.5)).astype(np.uint8) for one in self._frames]

    def still(self, colored: bool) -> dict[str, float]:
        """Figures of the true clip, or of the grey one."""
        chroma = [color.chroma_of(one) * np.float32(colored) for one in self._frames]
        grey = [np.repeat(one[..., None], 3, axis=-1) for one in self._lumas]
        return self._figures(chroma, self._frames if colored else grey)

    def colored(self, colorizer: Colorizer, options: PhotoOptions) -> dict[str, float]:
        """Figures of the clip colored frame by frame."""
        chroma, frames = [], []
        for luma in self._lumas:
            result = colorizer.color(Photo(luma), options)
            small = fade_extremes(result.final_chroma, result.luma)
            chroma.append(color.upsample(small, *luma.shape))
            frames.append(color.merge(luma, small))
        return self._figures(chroma, frames)

    def _figures(self, chroma: list[Floats], frames: list[RGB]) -> dict[str, float]:
        """Change along the motion, mean chroma (lengths both), and CDC."""
        height, width = self._lumas[0].shape
        y, x = np.mgrid[:height, :width]
        down, right = self._shift
        known = (y + down >= 0) & (y + down < height) & (x + right >= 0) & (x + right < width)
        back = np.broadcast_to(np.array([right, down], np.float32), (height, width, 2))
        return {
            "clips": 1.0,
            "change": metrics.chroma_change(chroma, [back] * len(chroma), [known] * len(chroma)),
            "strength": float(np.mean([color.strength(one) for one in chroma])),
            "cdc": metrics.color_distribution_consistency(frames),
        }
