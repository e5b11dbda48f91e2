"""Where one shot ends and the next begins."""

from __future__ import annotations

from collections import deque

import cv2
import numpy as np

from vintage_colorizer.color import Floats
from vintage_colorizer.film.planes import Plane

THUMB = (64, 36)  # width and height of the pictures shots are told apart by
SHIFT = (8, 4)  # how far a thumb may move from frame to frame and still be the same picture
FLAT = 3.0  # standard deviation, of 255 levels, below which a thumb shows nothing: black, white, a fade
ALIKE = 0.35  # two thumbs less unlike than this show the same scene
UNLIKE = 0.45  # neighbors more unlike than this may be a cut
GLANCE = 6  # frames on either side of a cut that are compared, so that a flash is no cut


class ShotDetector:
    """Finds the first frame of each shot, from luma alone: `push` every frame, then `finish`.

    Two pictures are compared by their greatest normalized correlation over small shifts, so neither a
    change of brightness nor a pan makes them unlike. A cut is where no picture just before
    resembles any just after; hence a flash is none. A fade through black (or white) counts once, where the
    new picture appears.
    """

    def __init__(self) -> None:
        """Start before the first frame."""
        self.starts = [0]
        self._count = 0
        self._before: deque[Floats] = deque(maxlen=GLANCE)  # not flat, of the current shot
        self._ahead: deque[tuple[int, Floats, bool]] = deque()  # frames not yet judged: index, thumb, is flat
        self._last: tuple[Floats, bool] | None = None

    def push(self, luma: Plane) -> None:
        """Take the next frame's luma plane, of any size and depth."""
        thumb = cv2.resize(luma, THUMB, interpolation=cv2.INTER_AREA).astype(np.float32)
        if luma.dtype != np.uint8:
            thumb *= np.float32(255 / max(1.0, float(thumb.max())))
        self._ahead.append((self._count, thumb, float(thumb.std()) < FLAT))
        self._count += 1
        if len(self._ahead) > GLANCE:
            self._judge()

    def finish(self) -> list[int]:
        """Judge the last frames; return the indices of the first frames of all shots."""
        while self._ahead:
            self._judge()
        return self.starts

    def _judge(self) -> None:
        index, thumb, flat = self._ahead[0]
        if self._last is not None and not flat and self._before and self._is_candidate(thumb):
            after = [one for _, one, empty in list(self._ahead)[:GLANCE] if not empty]
            if not any(unlikeness(old, new) < ALIKE for old in self._before for new in after):
                self.starts.append(index)
                self._before.clear()
        if not flat:
            self._before.append(thumb)
        self._last = (thumb, flat)
        self._ahead.popleft()

    def _is_candidate(self, thumb: Floats) -> bool:
        assert self._last is not None
        last, was_flat = self._last
        return was_flat or unlikeness(last, thumb) > UNLIKE


def unlikeness(one: Floats, other: Floats) -> float:
    """0 for the same picture, however bright and a little shifted; 1 and more for unrelated ones."""
    x, y = SHIFT
    inner = one[y:-y, x:-x]
    if inner.std() < FLAT:
        return 1.0
    return 1.0 - float(cv2.matchTemplate(other, inner, cv2.TM_CCOEFF_NORMED).max())
