"""Reading ranges of a film that was scanned, so that they look as they did then."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from vintage_colorizer.errors import UnreadableError
from vintage_colorizer.film.fields import Interlacing, whole_frames
from vintage_colorizer.film.planes import Plane
from vintage_colorizer.film.signatures import agrees
from vintage_colorizer.film.source import (
    Losses,
    Source,
    decode,
    decoded,
    film_stream,
    luma_plane,
    open_film,
    prepare_decoder,
    time_of,
)

ROUGHLY = 100  # frames to go back further where seeking went too far


class Scanned(Protocol):
    """What a scan found that it takes to read frames again: a `Scan`, or a `Plan` made from one."""

    @property
    def source(self) -> Source:
        """The film."""

    @property
    def raw_times(self) -> Sequence[int | None]:
        """The times of its frames, see `time_of`."""

    @property
    def signatures(self) -> bytes:
        """Of its frames, see `signature`; empty if none were kept."""

    @property
    def damaged(self) -> bool:
        """Whether it found damage."""

    @property
    def interlacing(self) -> Interlacing:
        """What is done about fields."""


class FrameReader:
    """Reads ranges of a film that was scanned; what it reads looks as it did then."""

    def __init__(self, film: Scanned, threads: int) -> None:
        """`threads` are the decoder's."""
        self._film, self._source, self._threads = film, film.source, threads
        self._path = Path(film.source.path)
        self._times = times = film.raw_times
        known = [time for time in times if time is not None]
        self._index = dict(zip(times, range(len(times)), strict=True)) if len(set(known)) == len(times) else None

    def read(self, start: int, stop: int) -> Iterator[tuple[int, Plane]]:
        """Yield (index, luma plane) for start <= index < stop. Raises as `frames`."""
        yield from ((index, luma) for index, luma, _ in self.frames(start, stop))

    def frames(self, start: int, stop: int) -> Iterator[tuple[int, Plane, VideoFrame]]:
        """Yield (index, luma plane, frame) for start <= index < stop.

        Raises:
            UnreadableError: a frame that was there before is not there any more, or looks different.
        """
        expected = start
        why = ""
        # Some containers are sought in only roughly; and decoding from some frame on can give other frames,
        # or other pictures, than decoding from the beginning.
        for first in dict.fromkeys((start, max(0, start - ROUGHLY), 0)):
            why = "was lost while it was read; has the file changed?"
            for index, frame in self._from(first):
                if index < expected:
                    continue
                if index > expected:
                    break
                luma = luma_plane(frame, self._source)
                if not self._agrees(index, luma, first):
                    why = "is decoded differently each time; it may be damaged, so try again with --threads 1."
                    break
                yield index, luma, frame
                expected += 1
                if expected == stop:
                    return
        raise UnreadableError(f"has a frame ({expected}) that {why}", self._path)

    def _agrees(self, index: int, luma: Plane, first: int) -> bool:
        """Whether a frame decoded from `first` on looks as it did in the scan.

        What is made of damaged packets varies from time to time, so from the beginning it is taken as it comes.
        """
        if self._film.damaged and first == 0:
            return True
        return agrees(self._film.signatures, index, luma, self._source.coding.depth)

    def _from(self, start: int) -> Iterator[tuple[int, VideoFrame]]:
        """Frames from one near `start` at which decoding can begin; none if there is no way."""
        how = self._film.interlacing
        start = max(0, start - how.settling)
        time, base = self._times[start], Fraction(*self._source.time_base)
        with open_film(self._path, self._source.depth, Fraction(*self._source.rate)) as container:
            stream = film_stream(container, self._path)
            prepare_decoder(stream, self._threads)
            frames = decode(container, stream, Losses())
            if start == 0 and not how.drops:
                yield from enumerate(whole_frames(frames, how, base))
                return
            if self._index is None or time is None or stream.time_base is None:
                return
            if start:
                try:
                    prime(container, stream)
                    container.seek(int(time * base / stream.time_base), stream=stream)
                except av.error.FFmpegError:
                    return
                frames = _from_key(frames)
            unsettled = how.settling if start else 0
            for frame in itertools.islice(whole_frames(frames, how, base), unsettled, None):
                index = self._index.get(time_of(frame))
                if index is not None:
                    yield index, frame
                elif not how.drops:
                    return


def _from_key(frames: Iterator[VideoFrame]) -> Iterator[VideoFrame]:
    """The frames if the first of them can be decoded without others before it, else none."""
    first = next(frames, None)
    if first is not None and first.key_frame:
        yield first
        yield from frames


def prime(container: InputContainer, stream: VideoStream) -> None:
    """Decode the first packet, which can hold what later frames need, such as the version of x264."""
    for packet in container.demux(stream):
        decoded(packet, stream, Losses())
        return
