"""Repair of films: dust that is on one frame only, and brightness that flickers. Luma is changed, so only on request.

Dust is what differs from both neighbors, brought into place along the motion, where these agree with each other; it is
filled from them (as Kokaram, "Motion Picture Restoration", 1998, finds it). Nothing crosses a cut. Flicker is evened by
one factor for each frame, from the levels of the first look.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from vintage_colorizer.color import Floats
from vintage_colorizer.film.planes import Coding, Plane

VIEW_SIDE = 320  # pixels of the longer side of the planes optical flow is computed on
APART = 0.08  # of full range: dust differs from its neighbors by more
GRAINS = 4.0  # and by more than so many times what the neighbors usually differ by
OUTSIDE = -1e3  # light of what is not in the frame
TURN = 0.25  # share of its motion by which a thing may move on otherwise
AROUND = np.ones((5, 5), np.uint8)  # pixels in which a thing may be misplaced by the motion
LARGEST = 0.005  # share of a frame that a speck may have
MOST = 0.03  # share of a frame above which it is no dust but motion that was not followed
REACH = 12  # frames to either side over which brightness is evened
SPREAD = 4.0  # standard deviation of their weights
LARGEST_GAIN = 1.33


def even_gains(levels: Sequence[float], shots: Sequence[int]) -> list[float]:
    """A factor for each frame that evens brightness inside its shot.

    Args:
        levels: the mean light of each frame, above black.
        shots: the first frame of each.
    """
    gains = np.ones(len(levels))
    weights = np.exp(-0.5 * (np.arange(-REACH, REACH + 1) / SPREAD) ** 2)
    for start, stop in zip(shots, [*shots[1:], len(levels)], strict=True):
        light = np.log(np.maximum(1e-3, levels[start:stop]))
        known = np.convolve(np.ones(len(light)), weights, "full")[REACH : REACH + len(light)]
        smooth = np.convolve(light, weights, "full")[REACH : REACH + len(light)] / known
        gains[start:stop] = np.exp(smooth - light)
    return [round(float(gain), 5) for gain in np.clip(gains, 1 / LARGEST_GAIN, LARGEST_GAIN)]


def evened(luma: Plane, gain: float, coding: Coding) -> Plane:
    """Luma brighter or darker by a factor, of the same type."""
    black, white = coding.luma_range
    light = black + (luma.astype(np.float32) - black) * np.float32(gain)
    return np.asarray(np.rint(np.clip(light, 0, max(white, float(luma.max(initial=0))))), luma.dtype)


def without_dust(
    frames: Iterable[tuple[int, Plane]], shots: Sequence[int], coding: Coding
) -> Iterator[tuple[int, Plane]]:
    """Frames in order, each without its dust; those at the ends of a shot, or of `frames`, stay as they are."""
    cleaner = _Cleaner(coding)
    window: deque[tuple[int, Plane]] = deque(maxlen=3)
    for frame in frames:
        window.append(frame)
        if len(window) == 1:
            continue
        index, luma = window[-2]
        whole = len(window) == 3 and len({bisect_right(shots, one) for one, _ in window}) == 1
        yield index, cleaner.clean(window[0][1], luma, window[2][1]) if whole else luma
    if window:
        yield window[-1]


class _Cleaner:
    """Finds and fills dust; keeps no state between frames."""

    def __init__(self, coding: Coding) -> None:
        self._range = float(coding.luma_range[1] - coding.luma_range[0])
        self._search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)

    def clean(self, before: Plane, luma: Plane, after: Plane) -> Plane:
        if min(luma.shape) < 32:
            return luma
        here = luma.astype(np.float32) / self._range
        (past, back), (future, forth) = (self._moved(luma, other) for other in (before, after))
        # Things move on as they moved before; where they seem not to, motion was not followed.
        turn = np.linalg.norm(back + forth, axis=-1)
        steady = turn < 1 + TURN * (np.linalg.norm(back, axis=-1) + np.linalg.norm(forth, axis=-1))
        dust = self._dust(here, past, future) & steady
        if not dust.any():
            return luma
        cleaned = luma.copy()
        cleaned[dust] = np.rint((past[dust] + future[dust]) / 2 * self._range).astype(luma.dtype)
        return cleaned

    def _dust(self, here: Floats, past: Floats, future: Floats) -> NDArray[np.bool_]:
        """Where a frame is brighter or darker than both neighbors all around, and they agree with each other.

        All around, since what is thin is softened when it is moved (Nadenau and Mitra's rank order detector, 1997).
        """
        between = np.where((past < 0) | (future < 0), np.float32(1), np.abs(past - future))
        least = max(APART, GRAINS * float(np.median(between)))
        brightest = cv2.dilate(np.maximum(past, future), AROUND)
        darkest = cv2.erode(np.minimum(past, future), AROUND)
        spikes = ((here > brightest + least) | (here < darkest - least)) & (between < least / 2)
        if not spikes.any() or spikes.mean() > MOST:
            return np.zeros(here.shape, bool)
        _, labels, stats, _ = cv2.connectedComponentsWithStats(spikes.astype(np.uint8), connectivity=8)
        small = stats[:, cv2.CC_STAT_AREA] <= max(4, LARGEST * here.size)
        small[0] = False
        grown = cv2.dilate(small[labels].astype(np.uint8), np.ones((5, 5), np.uint8)).astype(bool)
        # The soft edge of a speck counts as far as its neighbors agree there too.
        return np.asarray(grown & (between < least), bool)

    def _moved(self, luma: Plane, other: Plane) -> tuple[Floats, Floats]:
        """Another frame brought into the place of this one, in 0..1, and the motion there, H x W x 2 pixels."""
        height, width = luma.shape
        scale = min(1.0, VIEW_SIDE / max(height, width))
        size = max(16, round(width * scale)), max(16, round(height * scale))
        flow = self._search.calc(self._view(luma, size), self._view(other, size), None)
        full = cv2.resize(flow, (width, height), interpolation=cv2.INTER_LINEAR)
        full *= np.array([width / size[0], height / size[1]], np.float32)
        x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
        light = other.astype(np.float32) / self._range
        # What comes from outside of the frame is far from everything, so that nothing agrees with it.
        moved = cv2.remap(light, x + full[..., 0], y + full[..., 1], cv2.INTER_LINEAR, borderValue=OUTSIDE)
        return np.asarray(moved, np.float32), np.asarray(full, np.float32)

    def _view(self, luma: Plane, size: tuple[int, int]) -> NDArray[np.uint8]:
        """A small 8-bit view in which specks hardly count for the flow."""
        small = cv2.resize(luma, size, interpolation=cv2.INTER_AREA).astype(np.float32) * (255 / self._range)
        return np.asarray(cv2.medianBlur(np.clip(small, 0, 255).astype(np.uint8), 3), np.uint8)
