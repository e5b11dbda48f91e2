"""The look at a whole film before the work: its frames' times, its shots, and whether it can be colored at all."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vintage_colorizer.errors import OptionError, UnreadableError
from vintage_colorizer.film.fields import (
    NOTES,
    WHOLE,
    CombMeter,
    Interlacing,
    decimated,
    evenly,
    whole_frames,
)
from vintage_colorizer.film.kept import is_colored
from vintage_colorizer.film.numbered import is_numbered
from vintage_colorizer.film.probing import depth_of
from vintage_colorizer.film.scratches import Line, LineMeter
from vintage_colorizer.film.shots import ShotDetector
from vintage_colorizer.film.signatures import signature, thumb
from vintage_colorizer.film.source import (
    HDR_TRANSFERS,
    Losses,
    Source,
    decode,
    describe,
    film_stream,
    has_captions,
    is_transparent,
    luma_plane,
    open_film,
    prepare_decoder,
    time_of,
)
from vintage_colorizer.film.timeline import Clock, in_order, shift_of

GLANCED = 4  # of so many frames, one is looked at for color
FLAGGED_SHARE = 0.1  # of the frames, above which a film says that it is interlaced
Count = Callable[[int, int | None, int], None]  # frames done, frames in all if known, shots so far


@dataclass(frozen=True)
class Scan:
    """What was found."""

    source: Source
    raw_times: tuple[int | None, ...]  # as in the file
    starts: tuple[int, ...]  # when each frame is shown; they only increase
    durations: tuple[int, ...]
    offsets: tuple[int, ...]  # to add to the times of all streams, in each part of the file, see `Clock`
    shots: tuple[int, ...]
    signatures: bytes  # of all frames, one after the other, see `signature`
    damaged: bool
    notes: tuple[str, ...]
    interlacing: Interlacing = WHOLE
    colored: tuple[bool, ...] = ()  # whether each shot is in color already
    scratches: tuple[tuple[Line, ...], ...] = ()  # of each frame, where they were looked for
    levels: tuple[float, ...] = ()  # the mean light of each frame above black, of full range


class _Tally:
    """What is gathered frame by frame."""

    def __init__(self, lines: bool) -> None:
        self.lines = LineMeter() if lines else None
        self.raw_times: list[int | None] = []
        self.parts: list[int] = []  # of the file, see `Clock`
        self.length = 0  # of the frames so far, in the time base
        self.last_duration = 0
        self.interlaced = self.resized = self.corrupt = self.captioned = 0
        self.transparent = False
        self.shots = ShotDetector()
        self.combs = CombMeter()
        self.signatures = bytearray()
        self.levels: list[float] = []
        self.colored: dict[int, bool] = {}  # of some frames

    def add(self, frame: VideoFrame, source: Source) -> None:
        if len(self.raw_times) % GLANCED == 0:
            self.colored[len(self.raw_times)] = is_colored(frame)
        usual = self.last_duration or usual_duration(source)
        time, before = time_of(frame), self.raw_times[-1] if self.raw_times else None
        part = frame.opaque[0] if isinstance(frame.opaque, tuple) else max(self.parts, default=0)
        if time is not None and before is not None and part == self.parts[-1] and time > before:
            self.length += time - before
        elif self.raw_times:
            self.length += usual
        self.raw_times.append(time)
        self.parts.append(part)
        self.last_duration = frame.duration or usual
        self.interlaced += frame.interlaced_frame
        self.corrupt += frame.is_corrupt
        self.captioned += has_captions(frame)
        self.transparent = self.transparent or is_transparent(frame)
        self.resized += (frame.width, frame.height) != (source.width, source.height)
        luma = luma_plane(frame, source)
        self.combs.push(luma, source.coding.depth)
        if self.lines is not None:
            self.lines.push(luma, source.coding)
        small = thumb(luma)
        self.shots.push(small)
        self.signatures += signature(small, source.coding.depth)
        black, white = source.coding.luma_range
        self.levels.append((float(small.mean()) - black) / (white - black))


def scan(
    path: Path,
    threads: int,
    seconds: float | None,
    count: Count,
    *,
    field_rate: bool = False,
    keep_interlaced: bool = False,
    frame_rate: float | None = None,
    tone_map: bool = False,
    scratches: bool = False,
) -> Scan:
    """Decode a film once; twice if it is interlaced.

    Args:
        path: the film.
        threads: for the decoder.
        seconds: how much of it matters; None for all.
        count: told about progress.
        field_rate: whether each field of an interlaced film is to become a frame.
        keep_interlaced: whether its fields are to stay as they are.
        frame_rate: frames a second, where they are numbered files.
        tone_map: whether an HDR film is brought to ordinary range, and not refused.
        scratches: whether to look for them.

    Raises:
        OptionError: numbered frames lack a rate, or a film is given one.
        InputError: it cannot be read, holds no frames, or is of a kind that is not colored.
    """
    depth, too_late = depth_of(path)
    look = _Look(path, threads, seconds, depth, _checked_rate(path, frame_rate), tone_map, scratches)
    found, tally = look.through(WHOLE, count)
    rate = found.source.rate[0] / found.source.rate[1]
    flagged = tally.interlaced > FLAGGED_SHARE * len(tally.parts)
    how = tally.combs.verdict(flagged, rate, keep=keep_interlaced, field_rate=field_rate)
    if how.filters:
        found, _ = look.through(how, count)
    notes = [NOTES[how.mode]] if how.mode != "whole" else []
    if too_late:
        notes.append(f"{too_late} streams were left out, as they begin too late in the file")
    return replace(found, interlacing=how, notes=(*found.notes, *notes))


def _checked_rate(path: Path, rate: float | None) -> Fraction | None:
    """The rate of numbered frames; OptionError where there is none, or where a film has its own."""
    if is_numbered(path):
        if rate is None:
            raise OptionError("Numbered frames have no rate of their own; give --rate, such as 18.")
        return Fraction(rate).limit_denominator(1001)
    if rate is not None:
        raise OptionError("--rate is for numbered frames, such as reel_%04d.dpx; a film keeps its own.")
    return None


@dataclass(frozen=True)
class _Look:
    """A look through a film."""

    path: Path
    threads: int
    seconds: float | None
    depth: int  # see `depth_of`
    frame_rate: Fraction | None  # of numbered frames
    tone_map: bool
    scratches: bool

    def through(self, how: Interlacing, count: Count) -> tuple[Scan, _Tally]:
        """Decode the film, put fields together, and gather what is to be known."""
        losses, tally = Losses(), _Tally(self.scratches)
        source: Source | None = None
        with open_film(self.path, self.depth, self.frame_rate) as container:
            stream = film_stream(container, self.path)
            prepare_decoder(stream, self.threads)
            clock = Clock(container)
            for frame in self._frames(container, stream, losses, clock, how):
                if source is None:
                    found = describe(self.path, container, stream, frame, self.depth, tone_map=self.tone_map)
                    source = how.adapted(found)
                tally.add(frame, source)
                length = (tally.length + tally.last_duration) * Fraction(*source.time_base)
                if self.seconds is not None and length >= self.seconds:
                    break
                count(len(tally.parts), stream.frames or None, len(tally.shots.starts))
        if source is None:
            why = f" ({losses.reasons[0]})" if losses.reasons else ""
            raise UnreadableError(f"has no frames that can be decoded{why}; it may be damaged.", self.path)
        return _result(source, tally, clock, losses, how), tally

    def _frames(
        self, container: InputContainer, stream: VideoStream, losses: Losses, clock: Clock, how: Interlacing
    ) -> Iterator[VideoFrame]:
        base = how.base(stream.time_base or Fraction(1, 1000))
        frames = whole_frames(decode(container, stream, losses, clock), how, base)
        return decimated(frames) if how.drops else frames


def _result(source: Source, tally: _Tally, clock: Clock, losses: Losses, how: Interlacing) -> Scan:
    usual = usual_duration(source)
    offsets, starts, notes = _placed(source, tally, clock, usual)
    starts = evenly(starts) if how.drops else starts
    last = tally.last_duration or (starts[-1] - starts[-2] if len(starts) > 1 else usual)
    durations = [after - before for before, after in pairwise(starts)] + [last]
    if losses.packets:
        notes.append(f"{losses.packets} damaged packets could not be decoded ({losses.reasons[0]})")
    if tally.corrupt:
        notes.append(f"{tally.corrupt} frames are damaged; what could be decoded of them was colored")
    if tally.resized:
        notes.append(f"{tally.resized} frames of another size were scaled to {source.width} x {source.height}")
    if tally.captioned:
        notes.append(
            f"closed captions in {tally.captioned} frames were left out; a program such as CCExtractor saves them"
        )
    if source.tone:
        notes.append(f"its light was brought from HDR ({HDR_TRANSFERS[source.tone]}) to the range of ordinary screens")
    if tally.transparent:
        notes.append("the transparency of the picture was left out")
    shots = tally.shots.finish()
    return Scan(
        source,
        tuple(tally.raw_times),
        tuple(starts),
        tuple(durations),
        tuple(offsets),
        tuple(shots),
        bytes(tally.signatures),
        bool(losses.packets or tally.corrupt),
        tuple(notes),
        colored=tuple(not source.tone and one for one in _colored_shots(tally.colored, shots)),
        scratches=() if tally.lines is None else tally.lines.finish(shots),
        levels=tuple(tally.levels),
    )


def _colored_shots(frames: Mapping[int, bool], shots: Sequence[int]) -> Iterator[bool]:
    """Whether each shot is in color, by most of its frames that were looked at."""
    votes = [[0, 0] for _ in shots]
    for index, colored in frames.items():
        votes[bisect_right(shots, index) - 1][colored] += 1
    yield from (yes > no for no, yes in votes)


def _placed(source: Source, tally: _Tally, clock: Clock, usual: int) -> tuple[list[int], list[int], list[str]]:
    """The offsets of all parts, when each frame is shown, and notes on what was moved."""
    base = Fraction(*source.time_base)
    offsets = [round(seconds / base) for seconds in clock.offsets()]
    told = [
        None if time is None else time + offsets[part] for time, part in zip(tally.raw_times, tally.parts, strict=True)
    ]
    starts, made_up = in_order(told, usual)
    notes = []
    if len(offsets) > 1:
        breaks = "once" if len(offsets) == 2 else f"{len(offsets) - 1} times"
        notes.append(f"its clock was set anew {breaks}; all streams were put on one timeline")
    shift = round(shift_of(float(starts[0] * base), clock.first(), clock.broadcast) / base)
    if shift:
        notes.append(f"all streams were moved by {float(shift * base):+.3f} seconds, so that the film begins at 0")
    if made_up:
        notes.append(f"{made_up} frames had times out of order; they were spread between their neighbors")
    return [one + shift for one in offsets], [one + shift for one in starts], notes


def usual_duration(source: Source) -> int:
    """The duration of a frame at the film's average rate, in its time base; at least 1."""
    ticks = source.rate[1] * source.time_base[1] / (source.rate[0] * source.time_base[0]) if source.rate[0] else 1
    return max(1, round(ticks))
