"""Interlaced films: whether frames are made of two fields, in which order, and what undoes it.

Flags in files are often wrong, so the picture decides: where two fields show different moments, lines next to each
other differ more than lines two apart (a comb). Fields are put together again by FFmpeg's filters: bwdif (Bob Weaver,
after Weston's three-field filter) for video, fieldmatch for film that was spread over fields (telecine).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any, Literal

import av
import cv2
import numpy as np
from av.filter import Graph
from av.video.frame import VideoFrame

from vintage_colorizer.color import Floats
from vintage_colorizer.film.planes import Plane
from vintage_colorizer.film.source import Source, time_of

BLOCK = (16, 32)  # rows and columns of the blocks in which a comb is looked for
COMB = 1.5  # how much more neighboring lines differ than those two apart
SLIGHT_COMB = 1.05  # the same over most of a frame, and its square for how much more lines do so than columns
BUSY = 0.1  # share of the blocks in which neighboring lines differ, from which most of a frame can be judged
LEAST = 5  # of 255 levels: mean difference of neighboring lines below which there is no comb
COMBED_BLOCKS = 0.01  # share of a combed frame's blocks
COMBED_FRAMES = {True: 0.02, False: 0.1}  # share in an interlaced film, by whether it says that it is one
COARSE = (8, 4)  # columns and rows that are averaged before fields are compared
CYCLE = 5  # frames a telecine makes of four
TWO_PHASES = 0.8  # share of the combed frames that stand in two places side by side of such a cycle
TELECINE_RATE = (29.5, 30.5)  # frames a second
SETTLING = 4  # frames after which a filter that began in the middle gives what it gives from the beginning

Mode = Literal["whole", "frames", "fields", "film", "keep"]
NOTES: dict[Mode, str] = {
    "frames": "it is interlaced; each pair of fields became one frame (--field-rate keeps all movement, "
    "--keep-interlaced the fields themselves)",
    "fields": "it is interlaced; each field became a frame",
    "film": "it was made from film by telecine; the film's own frames were put together again, four from five",
    "keep": "it is interlaced; its fields were colored apart and stay as they are",
}


@dataclass(frozen=True)
class Interlacing:
    """What is done about fields; plain values, so that it can be sent and stored."""

    mode: Mode = "whole"
    top_first: bool = True

    @property
    def drops(self) -> bool:
        """Whether some frames of the file are no frames of the film."""
        return self.mode == "film"

    @property
    def settling(self) -> int:
        """How many frames to begin early, see `SETTLING`."""
        return SETTLING if self.filters else 0

    @property
    def parts(self) -> list[slice]:
        """The rows of a frame that are colored together: all, or those of each field in the order of their times."""
        if self.mode != "keep":
            return [slice(None)]
        return [slice(0, None, 2), slice(1, None, 2)][:: 1 if self.top_first else -1]

    @property
    def filters(self) -> list[tuple[str, str]]:
        """FFmpeg's filters that make whole frames, with their settings."""
        order = "tff" if self.top_first else "bff"
        if self.mode in ("frames", "fields"):
            return [("bwdif", f"mode=send_{self.mode[:-1]}:parity={order}:deint=all")]
        if self.mode == "film":
            return [
                ("fieldmatch", f"order={order}:mode=pc_n:combmatch=full"),
                ("bwdif", f"mode=send_frame:parity={order}:deint=interlaced"),
            ]
        return []

    def adapted(self, source: Source) -> Source:
        """The film with the rate and the time base that its whole frames have."""
        faster = {"fields": Fraction(2), "film": Fraction(CYCLE - 1, CYCLE)}.get(self.mode, Fraction(1))
        rate = Fraction(*source.rate) * faster
        base = self.base(Fraction(*source.time_base))
        return replace(source, rate=(rate.numerator, rate.denominator), time_base=(base.numerator, base.denominator))

    def base(self, time_base: Fraction) -> Fraction:
        """The time base of whole frames, by that of the stream."""
        return time_base / 2 if self.mode == "fields" else time_base


WHOLE = Interlacing()


class CombMeter:
    """Looks for combs: `push` every frame's luma, then ask for the `verdict`."""

    def __init__(self) -> None:
        """Start before the first frame."""
        self._combed: list[bool] = []
        self._before: tuple[Floats, Floats] | None = None
        self._unlike = np.zeros(2)  # how far the fields are from those before, if the top or the bottom one comes first

    def push(self, luma: Plane, depth: int) -> None:
        """Take the next frame's luma plane."""
        small = luma if depth == 8 else (luma >> (depth - 8)).astype(np.uint8)
        self._combed.append(is_combed(small))
        if self._combed[-1]:
            fields = _coarse(small[0::2]), _coarse(small[1::2])
            if self._before is not None and self._before[0].shape == fields[0].shape:
                self._unlike += [
                    np.abs(self._before[1] - fields[0]).mean(),
                    np.abs(self._before[0] - fields[1]).mean(),
                ]
            self._before = fields
        else:
            self._before = None

    def verdict(self, flagged: bool, rate: float, *, keep: bool, field_rate: bool) -> Interlacing:
        """What to do with the film.

        Args:
            flagged: whether it says that it is interlaced.
            rate: frames a second.
            keep: whether its fields are to stay as they are.
            field_rate: whether each field is to become a frame.
        """
        if np.mean(self._combed or [False]) < COMBED_FRAMES[flagged]:
            return WHOLE
        top_first = bool(self._unlike[0] <= self._unlike[1])
        if keep:
            return Interlacing("keep", top_first)
        if TELECINE_RATE[0] < rate < TELECINE_RATE[1] and is_telecined(self._combed):
            return Interlacing("film", top_first)
        return Interlacing("fields" if field_rate else "frames", top_first)


def is_combed(luma: Plane) -> bool:
    """Whether a frame, uint8, H x W, shows two moments in its even and odd lines.

    Some blocks are clearly combed where something moves before a smooth background; or most of them are a little where
    the camera moves over a texture. There, columns tell how lines would differ without a comb: grain that was sharpened
    differs from line to line as much as from column to column.
    """
    size = luma.shape[1] // BLOCK[1], luma.shape[0] // BLOCK[0]
    if not all(size):
        return False
    near, lines = _differences(luma, size)
    if np.mean((near >= LEAST) & (lines > COMB)) >= COMBED_BLOCKS:
        return True
    busy = near >= LEAST
    if busy.mean() < BUSY:
        return False
    _, columns = _differences(np.ascontiguousarray(luma.T), size[::-1])
    slightly = (lines > SLIGHT_COMB) & (lines > SLIGHT_COMB**2 * columns.T)
    return bool(slightly[busy].mean() > 0.5)


def _differences(luma: Plane, size: tuple[int, int]) -> tuple[Floats, Floats]:
    """By block: how much neighboring lines differ, of 255 levels, and how much more than lines two apart."""
    near, far = (cv2.absdiff(luma[step:], luma[:-step]).astype(np.float32) for step in (1, 2))
    near, far = (cv2.resize(one, size, interpolation=cv2.INTER_AREA) for one in (near, far))
    return near, near / np.maximum(far, 1)


def is_telecined(combed: Sequence[bool]) -> bool:
    """Whether frames are combed in the rhythm of a 3:2 pulldown: two of five, side by side."""
    window = 5 * CYCLE
    votes = []
    for start in range(0, len(combed) - window + 1, window):
        phases = np.reshape(combed[start : start + window], (-1, CYCLE)).sum(axis=0)
        if phases.sum() >= CYCLE:
            votes.append(bool(np.max(phases + np.roll(phases, 1)) >= TWO_PHASES * np.sum(phases)))
    return sum(votes) > len(votes) / 2


def whole_frames(frames: Iterable[VideoFrame], how: Interlacing, base: Fraction) -> Iterator[VideoFrame]:
    """Put fields together.

    Args:
        frames: as decoded.
        how: as found.
        base: the time base in which the frames that come out tell their times, see `Interlacing.adapted`.
    """
    if not how.filters:
        yield from frames
        return
    graph: Any = None
    for frame in frames:
        frame.pts = time_of(frame)
        if graph is None:
            graph, shape = _graph(frame, how), (frame.width, frame.height, frame.format.name)
        if (frame.width, frame.height, frame.format.name) != shape:
            frame = frame.reformat(*shape)
        graph.push(frame)
        yield from _pulled(graph, base)
    if graph is not None:
        graph.push(None)
        yield from _pulled(graph, base)


def decimated(frames: Iterable[VideoFrame]) -> Iterator[VideoFrame]:
    """Leave out of every five frames the one most like the one before it."""
    cycle: list[VideoFrame] = []
    unlike: list[float] = []
    before: Floats | None = None
    for frame in frames:
        small = _coarse(frame.to_ndarray(format="gray"))
        cycle.append(frame)
        unlike.append(np.inf if before is None else float(np.abs(small - before).mean()))
        before = small
        if len(cycle) == CYCLE:
            del cycle[int(np.argmin(unlike))]
            yield from cycle
            cycle, unlike = [], []
    yield from cycle


def evenly(starts: Sequence[int]) -> list[int]:
    """Times of frames of which every fifth was left out, spread evenly within each four."""
    four = CYCLE - 1
    spread = list(starts)
    step = 0.0
    for begin in range(0, len(starts), four):
        if begin + four < len(starts):
            step = (starts[begin + four] - starts[begin]) / four
        for index in range(begin + 1, min(begin + four, len(starts))) if step else ():
            spread[index] = starts[begin] + round((index - begin) * step)
    return spread


def _coarse(field: Plane) -> Floats:
    size = max(1, field.shape[1] // COARSE[0]), max(1, field.shape[0] // COARSE[1])
    return np.asarray(cv2.resize(field, size, interpolation=cv2.INTER_AREA), np.float32)


def _graph(frame: VideoFrame, how: Interlacing) -> Graph:
    graph = Graph()
    chain: list[Any] = [
        graph.add_buffer(
            width=frame.width, height=frame.height, format=frame.format, time_base=frame.time_base or Fraction(1, 1000)
        )
    ]
    for name, settings in (*how.filters, ("buffersink", None)):
        chain.append(graph.add(name, settings))
        chain[-2].link_to(chain[-1])
    graph.configure()
    return graph


def _pulled(graph: Any, base: Fraction) -> Iterator[VideoFrame]:
    while True:
        try:
            frame = graph.pull()
        except (av.error.BlockingIOError, av.error.EOFError):
            return
        if frame.pts is not None:
            frame.pts, frame.time_base = round(frame.pts * frame.time_base / base), base
        yield frame
