"""Scenes: shots that show the same place again, after something else was shown in between.

Each shot is told by its middle frame. Frames that are alike as a whole are compared place by place, see `Guide`; the
longest shot of a scene then gives its colors to the others.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

import cv2
import numpy as np

from vintage_colorizer.color import Floats
from vintage_colorizer.errors import OptionError
from vintage_colorizer.film.planes import shrink_luma
from vintage_colorizer.film.reader import FrameReader
from vintage_colorizer.film.scan import Scan
from vintage_colorizer.networks.engines import Engine
from vintage_colorizer.networks.guides import Described, compared_size, moved_together

ALIKE = 0.6  # likeness of two frames as a whole below which they are not compared; it is 0.8 in one scene
SAME_SCENE = 0.045  # share of places that move together from which two shots are of one scene: 0.06 in one, 0.02 in two


@dataclass(frozen=True)
class Scene:
    """A scene that returns."""

    frame: int  # the middle of its longest shot
    others: tuple[int, ...]  # places, in the list of all, of its other shots


class Frames:
    """The frames of a film that was scanned, as the network sees them."""

    def __init__(self, found: Scan, size: tuple[int, int], threads: int) -> None:
        """Frames of `size`, (height, width)."""
        self.found, self.size = found, size
        self._reader = FrameReader(found, threads)

    def at(self, seconds: float) -> int:
        """The index of the frame shown at a time; OptionError behind the film's end."""
        found = self.found
        base = Fraction(*found.source.time_base)
        if seconds >= float((found.starts[-1] + found.durations[-1]) * base):
            raise OptionError(f"At {seconds:g} seconds the film is over, so nothing can be said of that time.")
        return max(0, bisect_right(found.starts, seconds / base) - 1)

    def shot(self, frame: int) -> int:
        """The place of a frame's shot in the list of all."""
        return bisect_right(self.found.shots, frame) - 1

    @property
    def middles(self) -> list[int]:
        """The middle frame of each shot."""
        starts = self.found.shots
        return [(start + end) // 2 for start, end in zip(starts, [*starts[1:], len(self.found.starts)], strict=True)]

    def luma(self, frame: int) -> Floats:
        """The small luma of a frame."""
        source = self.found.source
        _, plane = next(self._reader.read(frame, frame + 1))
        return shrink_luma(plane, source.coding, source.orientation, *self.size)


def returning_scenes(frames: Frames, describer: Engine, but: Collection[int] = ()) -> Iterator[Scene]:
    """The scenes of a film that return, without the shots `but`."""
    starts = frames.found.shots
    lengths = np.diff([*starts, len(frames.found.starts)])
    middles = frames.middles
    shots = [shot for shot in range(len(starts)) if shot not in but]
    whole, held = {}, {}
    for shot in shots:  # of which a film can have thousands, so what describes them is held in half precision
        shown = described_frame(describer, frames.luma(middles[shot]))
        whole[shot], held[shot] = _whole(shown), shown.features.astype(np.float16)
    left = sorted(shots, key=lambda shot: -lengths[shot])
    while left:
        longest, *rest = left
        main = Described(held[longest].astype(np.float32))
        others = [
            shot
            for shot in rest
            if float(whole[longest] @ whole[shot]) >= ALIKE
            and moved_together(Described(held[shot].astype(np.float32)), main) >= SAME_SCENE
        ]
        if others:
            yield Scene(middles[longest], tuple(sorted(others)))
        left = [shot for shot in rest if shot not in others]


def grouped_scenes(frames: Frames, groups: Sequence[int | None], but: Collection[int] = ()) -> Iterator[Scene]:
    """The scenes that somebody named by giving shots one number, without the shots `but`."""
    lengths = np.diff([*frames.found.shots, len(frames.found.starts)])
    middles = frames.middles
    for number in sorted({one for one in groups if one is not None}):
        shots = [shot for shot, group in enumerate(groups) if group == number and shot not in but]
        if len(shots) > 1:
            longest = max(shots, key=lambda shot: int(lengths[shot]))
            yield Scene(middles[longest], tuple(shot for shot in shots if shot != longest))


def described_frame(describer: Engine, luma: Floats) -> Described:
    """The places of a frame, half as finely as a photo's: many frames are to be compared."""
    height, width = compared_size(describer, *luma.shape)
    if luma.shape != (height, width):
        luma = np.asarray(cv2.resize(luma, (width, height), interpolation=cv2.INTER_AREA), np.float32)
    return Described.of(describer, luma).coarse()


def _whole(one: Described) -> Floats:
    """What describes a frame as a whole: the mean of its places, of length 1."""
    mean = one.places.mean(axis=0)
    return np.asarray(mean / np.linalg.norm(mean), np.float32)
