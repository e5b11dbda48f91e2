"""One timeline for a film, whatever the clocks in its file do.

Recordings that were joined, cut or damaged tell the time anew in the middle, leap ahead, or begin before zero; old
containers tell times in the order of decoding. Here a file is divided into parts that each have a clock of their own,
all its streams are moved together so that each part follows the one before, and the times of frames are put in order.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf
from typing import Any

from av.format import Flags
from av.stream import Disposition

LEAP = 10.0  # seconds a clock is ahead of all streams when it has leapt; as in FFmpeg's own tools
LEAP_ELSEWHERE = 30 * 3600.0  # the same in containers whose clocks do not do that: a film may hold a still for long
BACK = 0.1  # seconds decoding times may go back in the same part
PRIMING = 0.1  # seconds sound may begin before zero: what encoders put there is cut by players
LATE = 10.0  # seconds after which a broadcast's clock no longer counts from the beginning of the film
REORDERED = 16  # places a frame may be displayed before or after its turn in decoding


@dataclass
class _Span:
    """The times of one stream in one part, in seconds."""

    first: float  # decoding time
    last: float
    end: float
    lowest: float  # presentation time


class Clock:
    """Divides a file into parts with a clock of their own, told about every packet in file order.

    Whether a clock was set is told by decoding times: they went back, or are far ahead of those of every stream. A
    picture that stands still while the sound goes on is no leap.
    """

    def __init__(self, container: Any) -> None:
        """Begin before the first packet."""
        self.streams = [one for one in container.streams if _is_steady(one)]
        self.broadcast = bool(container.format.flags & Flags.ts_discont.value)
        self._leap = LEAP if self.broadcast else LEAP_ELSEWHERE
        self._parts: list[dict[int, _Span]] = [{}]
        self._now: dict[int, int] = {}  # the part each stream is in

    def part(self, packet: Any) -> int:
        """The part of the file a packet belongs to; subtitles and the like go with picture and sound."""
        index: int = packet.stream_index
        if packet.dts is None:  # the first packets of a stream whose frames are reordered, say
            return self._now.get(index, len(self._parts) - 1)
        at = float(packet.dts * packet.time_base)
        if not _is_steady(packet.stream):
            return self._nearest(at)
        part = self._part_at(index, at)
        shown = at if packet.pts is None else float(packet.pts * packet.time_base)
        if packet.is_discard:  # an edit list hides it
            shown = inf
        end = at + float((packet.duration or 0) * packet.time_base)
        span = self._parts[part].setdefault(index, _Span(at, at, end, shown))
        span.last, span.end, span.lowest = at, max(span.end, end), min(span.lowest, shown)
        self._now[index] = part
        return part

    def offsets(self) -> list[float]:
        """The seconds to add in each part, so that none begins before all streams of the parts before have ended."""
        offsets = [0.0]
        ends = {index: span.end for index, span in self._parts[0].items()}
        for part in self._parts[1:]:
            gaps = [ends[index] - span.first for index, span in part.items() if index in ends]
            offsets.append(max(gaps, default=0.0))
            ends.update((index, span.end + offsets[-1]) for index, span in part.items())
        return offsets

    def first(self) -> float:
        """When the first stream begins, in seconds, the offsets not counted; infinity before any packet."""
        return min((span.lowest for span in self._parts[0].values()), default=inf)

    def _part_at(self, index: int, at: float) -> int:
        """The part in which a stream goes on at this time; a new one if there is none."""
        newest = len(self._parts) - 1
        if index not in self._now:
            self._now[index] = newest
            return newest
        here = self._now[index]
        parts: list[int] = [*range(here, newest + 1), *range(here - 1, -1, -1)]
        for part in parts:
            if self._goes_on(self._parts[part], index, at):
                return part
        self._parts.append({})
        return newest + 1

    def _goes_on(self, spans: dict[int, _Span], index: int, at: float) -> bool:
        own = spans.get(index)
        if own is not None and at - own.last < -BACK:
            return False
        return any(abs(at - span.last) <= self._leap for span in spans.values())

    def _nearest(self, at: float) -> int:
        """The newest part in whose time this is, for streams with packets far between."""
        for part in range(len(self._parts) - 1, -1, -1):
            if any(abs(at - span.last) <= LEAP for span in self._parts[part].values()):
                return part
        return len(self._parts) - 1


def _is_steady(stream: Any) -> bool:
    """Whether a stream has packets all the time."""
    return stream.type in ("video", "audio") and not stream.disposition & Disposition.attached_pic


def shift_of(film: float, all_streams: float, broadcast: bool) -> float:
    """The seconds to add to all times so that nothing begins before zero.

    Args:
        film: when the first frame is shown, in seconds.
        all_streams: when the first of all streams begins.
        broadcast: whether the container's clock may begin anywhere, at a time of the day, say.
    """
    first = min(film, all_streams)
    if first < -PRIMING or film < 0 or (broadcast and first > LATE):
        return -first
    return 0.0


def in_order(times: Sequence[int | None], usual: int) -> tuple[list[int], int]:
    """Times that only increase, and how many of them had to be made up.

    Args:
        times: of frames in the order they are shown, as the file tells them.
        usual: the duration of a frame.

    Times in the order of decoding are sorted. Of all others the longest series that increases is kept; the rest are
    spread evenly between their neighbors.
    """
    told = _filled(times, usual)
    if all(one < other for one, other in pairwise(told)):
        return told, 0
    told = _sorted_nearby(told)
    kept = _increasing(told)
    result: list[int] = []
    for place in kept:
        if not result:  # frames before the first one that is kept
            result = [told[place] - usual * early for early in range(place, 0, -1)]
        elif (missing := place - len(result)) > 0:
            step = (told[place] - result[-1]) / (missing + 1)
            before = result[-1]
            result += [before + round(step * more) for more in range(1, missing + 1)]
        result.append(told[place])
    result += [result[-1] + usual * more for more in range(1, len(told) - len(result) + 1)]
    for index in range(1, len(result)):
        result[index] = max(result[index], result[index - 1] + 1)
    return result, len(told) - len(kept)


def _filled(times: Sequence[int | None], usual: int) -> list[int]:
    told: list[int] = []
    for time in times:
        told.append(time if time is not None else told[-1] + usual if told else 0)
    return told


def _sorted_nearby(times: list[int]) -> list[int]:
    """The times sorted, if that moves none of them farther than decoders reorder frames; else as they are."""
    order = sorted(range(len(times)), key=times.__getitem__)
    moved = max(abs(old - new) for new, old in enumerate(order))
    return [times[index] for index in order] if moved <= REORDERED else times


def _increasing(times: list[int]) -> list[int]:
    """The places of the longest subsequence that strictly increases (patience sorting)."""
    tails: list[int] = []  # the least last time of a series of each length
    places: list[int] = []
    before: list[int] = []
    for place, time in enumerate(times):
        length = bisect_left(tails, time)
        before.append(places[length - 1] if length else -1)
        if length == len(tails) or time < tails[length]:  # of two equal times the first is kept
            tails[length : length + 1] = [time]
            places[length : length + 1] = [place]
    series = []
    place = places[-1]
    while place >= 0:
        series.append(place)
        place = before[place]
    return series[::-1]
