"""Scratches of films: thin bright or dark lines from top to bottom that stay in place for many frames.

A grain of dirt in a projector or camera draws them along the film. They are told from poles and edges of things by
where they are: over nearly all of the height, equally strong, in one place for many frames (as in Joyeux et al.,
"Tracking and MAP reconstruction of line scratches in degraded motion pictures", 2002). Each row is filled from both
sides, with the grain of the picture beside.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from vintage_colorizer.color import Floats
from vintage_colorizer.film.planes import Coding, Plane

BANDS = 24  # of a frame, in each of which a line is looked for
ALONG = 0.85  # share of the bands in which it has to be
WIDEST = 7  # pixels
SIDE = 5  # pixels from the middle of a line to what it is compared with
FAINTEST = 0.012  # of full range: a line differs from both sides by more
STEEPEST = 0.6  # of its own strength: both sides of a line differ from each other by less
EVEN = 0.75  # spread of its strength over the bands, in parts of it, below which it is one line
MOST = 12  # lines of a frame
NEAR = 2  # pixels by which a line may move from frame to frame
AROUND = 8  # frames to either side among which a line has to be seen
SEEN = 0.6  # share of these in which it has to be


@dataclass(frozen=True)
class Line:
    """A scratch in a frame: columns left <= x < right."""

    left: int
    right: int


class LineMeter:
    """Looks for lines in all frames of a film: `push` each, then `finish`."""

    def __init__(self) -> None:
        """Start before the first frame."""
        self._found: list[tuple[Line, ...]] = []

    def push(self, luma: Plane, coding: Coding) -> None:
        """Take the next frame's luma plane."""
        self._found.append(tuple(lines_in(luma, coding)))

    def finish(self, shots: Sequence[int]) -> tuple[tuple[Line, ...], ...]:
        """The scratches of each frame: lines that stay in place within a shot."""
        kept: list[tuple[Line, ...]] = []
        for start, stop in pairwise([*shots, len(self._found)]):
            frames = self._found[start:stop]
            kept += [tuple(line for line in lines if _stays(line, frames, index)) for index, lines in enumerate(frames)]
        return tuple(kept)


def _stays(line: Line, frames: Sequence[Sequence[Line]], index: int) -> bool:
    """Whether a line of a frame is in the same place in most of those around it, in the same shot."""
    around = frames[max(0, index - AROUND) : index + AROUND + 1]
    seen = sum(any(abs(other.left - line.left) <= NEAR for other in lines) for lines in around)
    return len(around) > AROUND and seen >= SEEN * len(around)


def lines_in(luma: Plane, coding: Coding) -> list[Line]:
    """Thin lines from top to bottom of a frame, the strongest first."""
    height, width = luma.shape
    if height < BANDS or width < 4 * SIDE:
        return []
    bands = cv2.resize(luma, (width, BANDS), interpolation=cv2.INTER_AREA).astype(np.float32)
    bands /= np.float32(coding.luma_range[1] - coding.luma_range[0])
    sides = cv2.blur(bands, (3, 1))
    left, right = (np.roll(sides, shift, axis=1) for shift in (SIDE, -SIDE))
    ridge = bands - (left + right) / 2
    ridge[:, : 2 * SIDE] = ridge[:, -2 * SIDE :] = 0
    mean = ridge.mean(axis=0)
    strength = np.abs(mean)
    same_side = (np.sign(ridge) == np.sign(mean)).mean(axis=0)
    step = np.abs((left - right).mean(axis=0))
    is_line = (
        (strength > FAINTEST)
        & (same_side >= ALONG)
        & (step < STEEPEST * strength)
        & (ridge.std(axis=0) < EVEN * strength)
    )
    return _lines(is_line, strength, mean)


def _lines(is_line: np.ndarray, strength: Floats, mean: Floats) -> list[Line]:
    """Columns put together: each line as wide as it has half of its strength."""
    found: list[tuple[float, Line]] = []
    left = np.where(is_line, strength, 0)
    while len(found) < MOST and left.max() > 0:
        middle = int(left.argmax())
        half = np.sign(mean[middle]) * mean > strength[middle] / 2
        begin, end = middle, middle + 1
        while begin > 0 and half[begin - 1]:
            begin -= 1
        while end < len(half) and half[end]:
            end += 1
        if end - begin <= WIDEST:
            found.append((float(strength[middle]), Line(begin - 1, end + 1)))
        left[max(0, middle - SIDE) : middle + SIDE + 1] = 0
    return [line for _, line in sorted(found, key=lambda one: -one[0])]


def without_lines(luma: Plane, lines: Sequence[Line]) -> Plane:
    """Luma whose scratches are filled, row by row, from both sides, with the grain beside them."""
    if not lines:
        return luma
    result = luma.copy()
    width = luma.shape[1]
    most = float(np.iinfo(luma.dtype).max)
    for line in lines:
        begin, end = max(2, line.left), min(width - 2, line.right)
        span = end - begin
        if span <= 0:
            continue
        around = luma[:, max(0, begin - 2 - span) : min(width, end + 2 + span)].astype(np.float32)
        before, after = luma[:, begin - 2 : begin].mean(axis=1), luma[:, end : end + 2].mean(axis=1)
        share = (np.arange(span, dtype=np.float32) + 1) / (span + 1)
        filled = before[:, None] * (1 - share) + after[:, None] * share
        grain = around - cv2.GaussianBlur(around, (0, 0), 1.5)
        result[:, begin:end] = np.clip(np.rint(filled + grain[:, :span]), 0, most)
    return result
