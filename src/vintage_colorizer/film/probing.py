"""Finding all streams of a film, also those that begin after what FFmpeg looks at when it opens a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import av.logging
from av.container import InputContainer

from vintage_colorizer.film.source import open_film

LATE_STARTERS = ("mpeg", "mpegts", "flv")  # formats in which a stream is known when its first packet comes
FIRST_DEPTH = 2**23  # bytes; FFmpeg itself looks at 5 million
DEEPEST = 2**30  # bytes: FFmpeg keeps them in memory


def depth_of(path: Path) -> tuple[int, int]:
    """How many bytes of a film FFmpeg has to look at to know all its streams, and how many begin later than allowed.

    Films of formats in which streams may begin late are read to the end, and not decoded; for all others it is (0, 0).

    Raises:
        InputError: the film cannot be read.
    """
    with open_film(path) as container:
        if container.format.name not in LATE_STARTERS:
            return 0, 0
        known = _known(container)
        begun = _streams_with_packets(container)
        silent = {one.index for one in container.streams} - begun
        wanted = set(range(_count(container))) - silent
    size, depth, enough = path.stat().st_size, FIRST_DEPTH, 0
    while not wanted <= known and enough < min(size, DEEPEST):
        enough, depth = depth, 2 * depth
        with open_film(path, enough) as container:
            known = _known(container)
    return enough, len(wanted - known)


def _known(container: InputContainer) -> set[int]:
    """The indices of streams of which enough is known to copy them, or that nothing can be known of."""
    return {one.index for one in container.streams if one.type != "audio" or _has_rate(one)}


def _has_rate(stream: Any) -> bool:
    return stream.codec_context is None or stream.codec_context.sample_rate > 0


def _streams_with_packets(container: InputContainer) -> set[int]:
    begun = set()
    try:
        for packet in container.demux():
            if packet.size:
                begun.add(packet.stream_index)
    except (av.error.FFmpegError, IndexError):  # a file that ends in the middle; a stream PyAV does not know
        pass
    return begun


def _count(container: Any) -> int:
    """How many streams FFmpeg knows by now; PyAV only tells of those known when the film was opened."""
    level = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)  # else FFmpeg's list of them is not written
    try:
        return int(container.dumps_format().count("Stream #0:"))
    finally:
        av.logging.set_level(level)
