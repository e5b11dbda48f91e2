"""A quick look at one frame of a film, without looking through all of it."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image
from pydantic import Base64Bytes

from vintage_colorizer.color import Pixels
from vintage_colorizer.errors import UnreadableError
from vintage_colorizer.film.reader import prime
from vintage_colorizer.film.source import (
    Losses,
    Source,
    decode,
    describe,
    film_stream,
    luma_plane,
    open_film,
    rgb_of,
    time_of,
)


@dataclass(frozen=True)
class Glimpse:
    """A frame of a film as it is shown: upright, with square pixels."""

    seconds: float  # its time
    length: float  # of the film in seconds; 0 if the file does not say
    picture: Base64Bytes  # a PNG in grey, or a JPEG in color


def glimpse(path: Path, seconds: float, *, colored: bool = False) -> Glimpse:
    """Look at the frame that is shown at a time; at the last one there is, if the film ends before it.

    Args:
        path: the film.
        seconds: the time.
        colored: whether to look at its color too.

    Raises:
        InputError: the film cannot be read or is of a kind that is not colored.
    """
    with open_film(path) as container:
        stream = film_stream(container, path)
        base, begin = stream.time_base or Fraction(1, 1000), stream.start_time or 0
        wanted = begin + int(seconds / base)
        found, moment = None, None
        for found in _from(container, stream, wanted):
            moment = time_of(found)
            if moment is None or moment >= wanted:
                break
        if found is None:
            raise UnreadableError("has no frame that can be read; it may be damaged.", path)
        source = describe(path, container, stream, found, tone_map=True)
        file = io.BytesIO()
        if colored:
            Image.fromarray(source.shown(rgb_of(found))).save(file, "JPEG", quality=90)
        else:
            Image.fromarray(_shown(found, source)).save(file, "PNG")
        time = 0.0 if moment is None else float((moment - begin) * base)
        return Glimpse(max(0.0, time), _length(container, stream), file.getvalue())


def _from(container: InputContainer, stream: VideoStream, wanted: int) -> Iterator[VideoFrame]:
    """Frames from one at or before a time, where the container can be sought in."""
    if wanted > (stream.start_time or 0):
        with suppress(av.error.FFmpegError):
            prime(container, stream)
            container.seek(wanted, stream=stream)
    yield from decode(container, stream, Losses())


def _length(container: InputContainer, stream: VideoStream) -> float:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return (container.duration or 0) / av.time_base


def _shown(frame: VideoFrame, source: Source) -> Pixels:
    """The luma of a frame in 8 bits, 0 to 255, as it is shown."""
    black, white = source.coding.luma_range
    light = (luma_plane(frame, source).astype(np.float32) - black) * (255 / (white - black))
    return source.shown(np.clip(np.rint(light), 0, 255).astype(np.uint8))
