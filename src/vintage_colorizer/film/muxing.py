"""Putting the result together: encoded segments, the source's times, and everything else the source holds.

Sound, subtitles, chapters, cover art, attachments and metadata are copied. What the new container
cannot hold is converted, else left out; either is said in a note.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import av
from av.container import InputContainer, OutputContainer
from av.stream import Disposition

from vintage_colorizer.errors import OutputError
from vintage_colorizer.files import readable_name
from vintage_colorizer.film.containers import MKV, WEBM, Kind, kind_of
from vintage_colorizer.film.encoding import Encoding, place_of
from vintage_colorizer.film.passengers import Boarding, Convert, comment_of, kept, passengers_of
from vintage_colorizer.film.plan import Piece, Plan, Times
from vintage_colorizer.film.source import Source, film_stream, open_film, url
from vintage_colorizer.film.timeline import PRIMING, Clock


class Timed(NamedTuple):
    """A packet of the result, when it is decoded, and the stream of the source that it is of."""

    time: float
    packet: Any
    stream: int


class _RefusedError(Exception):
    """The container took no packet of a stream of the source."""

    def __init__(self, index: int, why: str) -> None:
        super().__init__(why)
        self.index = index


def join(target: Path, plan: Plan, pieces: Sequence[Piece], comment: str) -> list[str]:
    """Write the finished film; return notes on what was converted or left out.

    A stream whose packets the container refuses is converted, and if that does not help left out: no sound and no
    subtitle may cost the film.

    Args:
        target: file to write; its name says of which kind.
        plan: of the film; the other streams of its source are copied.
        pieces: in order.
        comment: added to the metadata.

    Raises:
        OutputError: the container refuses the picture.
    """
    refused, dropped = set(plan.refused), set[int]()
    while True:
        boarding = Boarding(refused, dropped, [])
        try:
            _write(target, plan, pieces, comment, boarding)
            return boarding.notes
        except _RefusedError as error:
            with open_film(Path(plan.source.path), plan.source.depth) as original:
                film = film_stream(original, Path(plan.source.path)).index
                others = {one.index for one in original.streams} - {film}
            if error.index in others and error.index not in refused:
                refused.add(error.index)
            elif error.index in others - dropped:
                dropped.add(error.index)
            elif others - dropped:  # it is not known whose fault it is
                dropped |= others
            else:
                name = readable_name(target)
                raise OutputError(f"cannot hold the picture ({error}); use .mkv.", name) from error


def _write(target: Path, plan: Plan, pieces: Sequence[Piece], comment: str, boarding: Boarding) -> None:
    """Write the finished film, once."""
    kind, _ = kind_of(target, plan.encoding.codec)
    source, encoding = plan.source, plan.encoding
    with ExitStack() as stack:
        original = stack.enter_context(open_film(Path(source.path), source.depth))
        first = stack.enter_context(av.open(url(pieces[0].path)))
        options = dict(kind.options) | _clock_options(kind, source, original)
        out = av.open(url(target), "w", format=kind.format, container_options=options)
        stack.callback(_close, out)
        film = film_stream(original, Path(source.path))
        stream = _picture_stream(out, first.streams.video[0], source, encoding)
        if source.aspect != (1, 1) and kind in (MKV, WEBM) and encoding.codec not in ("h264", "h265"):
            shape = f"{source.aspect[0]}:{source.aspect[1]}"
            boarding.notes.append(
                f"pixels appear square instead of {shape}, as {encoding.codec} cannot say so here; use h264"
            )
        stream.metadata.update(kept(film.metadata))
        stream.disposition = film.disposition
        passengers = passengers_of(original, out, kind, film.index, boarding)
        out.metadata.update(kept(original.metadata, but={"comment"}))
        out.metadata["comment"] = "\n".join(filter(None, [comment_of(original), comment]))
        if chapters := [_readable_chapter(one) for one in original.chapters() if not plan.is_cut]:
            out.set_chapters(chapters)
        packets = heapq.merge(
            _video(pieces, plan.times, stream, film.index),
            _others(original, passengers, plan),
            key=lambda timed: timed.time,
        )
        for _, packet, index in packets:
            _mux(out, packet, index)


def _mux(out: OutputContainer, packet: Any, index: int) -> None:
    try:
        out.mux(packet)
    except ValueError as error:
        raise _RefusedError(index, str(error)) from error


def _close(out: OutputContainer) -> None:
    """Finish the file; what it refuses only then may be of any stream."""
    try:
        out.close()
    except ValueError as error:
        raise _RefusedError(-1, str(error)) from error


def _clock_options(kind: Kind, source: Source, original: InputContainer) -> dict[str, str]:
    """Options that keep a QuickTime file's times exact, and the names of metadata that only QuickTime has."""
    if kind.format not in ("mp4", "mov"):
        return {}
    ticks = source.time_base[1] // source.time_base[0]
    options = {"movie_timescale": str(ticks)} if 1000 <= ticks < 2**31 else {}  # by default it rounds to milliseconds
    if kind.format == "mov" and any(name.startswith("com.") for name in original.metadata):
        options["movflags"] = "faststart+use_metadata_tags"
    return options


def _readable_chapter(chapter: Any) -> Any:
    return {**chapter, "metadata": kept(chapter["metadata"])}


def _picture_stream(out: OutputContainer, template: Any, source: Source, encoding: Encoding) -> Any:
    stream: Any = out.add_stream_from_template(template, opaque=True)
    stream.time_base = Fraction(*source.time_base)
    context = stream.codec_context
    context.sample_aspect_ratio = Fraction(*source.aspect)
    context.colorspace = encoding.coding.matrix
    context.color_range = 2 if encoding.coding.full_range else 1
    context.color_primaries, context.color_trc = encoding.primaries, encoding.transfer
    if encoding.codec == "h265" and out.format.name in ("mp4", "mov"):
        context.codec_tag = "hvc1"  # what Apple's players ask for
    if source.display_matrix is not None:
        stream.set_display_matrix(source.display_matrix)
    return stream


def _video(pieces: Sequence[Piece], times: Times, stream: Any, film: int) -> Iterator[Timed]:
    """The packets of all pieces, with the film's own times."""
    delay = max(piece.delay for piece in pieces)
    decode_times = times.decode_times(pieces[0].start, delay)
    for piece in pieces:
        with av.open(url(piece.path)) as container:
            packets: Iterator[Any] = container.demux(video=0)
            for packet in packets:
                if packet.size == 0:
                    continue
                index = piece.start + place_of(packet)
                packet.time_base = times.base
                packet.pts, packet.dts, packet.duration = (
                    times.starts[index],
                    next(decode_times),
                    times.durations[index],
                )
                packet.stream = stream
                yield Timed(float(packet.dts * times.base), packet, film)


def _others(original: InputContainer, passengers: dict[int, Convert], plan: Plan) -> Iterator[Timed]:
    """The packets of all other streams, on the film's timeline, in the order of their times."""
    if not passengers:
        return
    now, clock = 0.0, Clock(original)
    base, last_part, last = plan.times.base, len(plan.offsets) - 1, dict[int, int]()
    wanted = [one for one in original.streams if one.index in passengers or one in clock.streams]
    packets = original.demux(wanted)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, IndexError, av.error.FFmpegError):  # a file that ends in the middle
            return
        offset = plan.offsets[min(clock.part(packet), last_part)] if packet.size else 0
        index = packet.stream.index  # the packet's own is 0 at the end, where a decoder is told to finish
        if index not in passengers:
            continue
        if packet.dts is None and packet.size:
            if not packet.stream.disposition & Disposition.attached_pic:
                continue
            packet.pts = packet.dts = 0
        elif packet.dts is not None and packet.size:
            _move(packet, round(offset * base / packet.time_base), last)
            now = max(now, float(packet.dts * packet.time_base))
        if packet.size and (_is_trimmed(packet) or _is_outside(packet, now, plan)):
            continue
        yield from (Timed(now, made, index) for made in passengers[index](packet))


def _is_outside(packet: Any, now: float, plan: Plan) -> bool:
    """Whether a packet is of another part of the film than is wanted; cover art has no time."""
    if packet.stream.disposition & Disposition.attached_pic:
        return False
    begins_early = plan.options.start is not None and packet.pts is not None and packet.pts < 0
    return begins_early or (plan.end is not None and now > plan.end)


def _is_trimmed(packet: Any) -> bool:
    """Whether an edit list hides a packet, and it is not one of the few that a decoder begins with."""
    return bool(packet.is_discard and packet.pts is not None and packet.pts * packet.time_base < -PRIMING)


def _move(packet: Any, ticks: int, last: dict[int, int]) -> None:
    """Move a packet's times; its decoding time comes after that of the one before, as containers ask for."""
    dts = packet.dts + ticks
    dts = max(dts, last.get(packet.stream_index, dts - 1) + 1)
    last[packet.stream_index] = dts
    packet.pts = dts if packet.pts is None else max(packet.pts + ticks, dts)
    packet.dts = dts
