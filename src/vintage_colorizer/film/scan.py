"""The look at a whole film before the work: its frames' times, its shots, and whether it can be colored at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from av.video.frame import VideoFrame

from vintage_colorizer.errors import UnreadableError, UnsupportedError
from vintage_colorizer.film.shots import ShotDetector
from vintage_colorizer.film.signatures import signature, thumb
from vintage_colorizer.film.source import (
    INTERLACED_SHARE,
    Losses,
    Source,
    decode,
    describe,
    film_stream,
    luma_plane,
    open_film,
    prepare_decoder,
    time_of,
)

Count = Callable[[int, int | None, int], None]  # frames done, frames in all if known, shots so far


@dataclass(frozen=True)
class Scan:
    """What was found."""

    source: Source
    raw_times: tuple[int | None, ...]  # as in the file
    starts: tuple[int, ...]  # when each frame is shown; they only increase
    durations: tuple[int, ...]
    shots: tuple[int, ...]
    signatures: bytes  # of all frames, one after the other, see `signature`
    damaged: bool
    notes: tuple[str, ...]


class _Tally:
    """What is gathered frame by frame."""

    def __init__(self) -> None:
        self.raw_times: list[int | None] = []
        self.starts: list[int] = []
        self.last_duration = 0
        self.interlaced = self.resized = self.retimed = self.corrupt = 0
        self.shots = ShotDetector()
        self.signatures = bytearray()

    @property
    def length(self) -> int:
        """From the first frame to the end of the last one, in the time base."""
        return self.starts[-1] + self.last_duration - self.starts[0]

    def add(self, frame: VideoFrame, source: Source) -> None:
        usual = self.last_duration or usual_duration(source)
        time = time_of(frame)
        earliest = self.starts[-1] + 1 if self.starts else None
        if time is None:
            time = self.starts[-1] + usual if self.starts else 0
        elif earliest is not None and time < earliest:
            time = earliest
            self.retimed += 1
        self.raw_times.append(time_of(frame))
        self.starts.append(time)
        self.last_duration = frame.duration or usual
        self.interlaced += frame.interlaced_frame
        self.corrupt += frame.is_corrupt
        self.resized += (frame.width, frame.height) != (source.width, source.height)
        small = thumb(luma_plane(frame, source))
        self.shots.push(small)
        self.signatures += signature(small, source.coding.depth)


def scan(path: Path, threads: int, seconds: float | None, count: Count) -> Scan:
    """Decode a film once.

    Args:
        path: the film.
        threads: for the decoder.
        seconds: how much of it matters; None for all.
        count: told about progress.

    Raises:
        InputError: it cannot be read, holds no frames, or is of a kind that is not colored.
    """
    losses, tally = Losses(), _Tally()
    source: Source | None = None
    with open_film(path) as container:
        stream = film_stream(container, path)
        prepare_decoder(stream, threads)
        for frame in decode(container, stream, losses):
            source = source or describe(path, container, stream, frame)
            tally.add(frame, source)
            if seconds is not None and tally.length * Fraction(*source.time_base) >= seconds:
                break
            count(len(tally.starts), stream.frames or None, len(tally.shots.starts))
    if source is None:
        why = f" ({losses.reasons[0]})" if losses.reasons else ""
        raise UnreadableError(f"has no frames that can be decoded{why}; it may be damaged.", path)
    if tally.interlaced > INTERLACED_SHARE * len(tally.starts):
        raise UnsupportedError("is interlaced, which is not colored yet; deinterlace it first.", path)
    return _result(source, tally, losses)


def _result(source: Source, tally: _Tally, losses: Losses) -> Scan:
    starts = tally.starts
    last = tally.last_duration or (starts[-1] - starts[-2] if len(starts) > 1 else usual_duration(source))
    durations = [after - before for before, after in pairwise(starts)] + [last]
    notes = []
    if losses.packets:
        notes.append(f"{losses.packets} damaged packets could not be decoded ({losses.reasons[0]})")
    if tally.corrupt:
        notes.append(f"{tally.corrupt} frames are damaged; what could be decoded of them was colored")
    if tally.resized:
        notes.append(f"{tally.resized} frames of another size were scaled to {source.width} x {source.height}")
    if tally.retimed:
        notes.append(f"{tally.retimed} frames had times that went back; they were moved by as little as possible")
    return Scan(
        source,
        tuple(tally.raw_times),
        tuple(starts),
        tuple(durations),
        tuple(tally.shots.finish()),
        bytes(tally.signatures),
        bool(losses.packets or tally.corrupt),
        tuple(notes),
    )


def usual_duration(source: Source) -> int:
    """The duration of a frame at the film's average rate, in its time base; at least 1."""
    ticks = source.rate[1] * source.time_base[1] / (source.rate[0] * source.time_base[0]) if source.rate[0] else 1
    return max(1, round(ticks))
