"""Putting the result together: encoded segments, the source's times, and everything else the source holds.

Sound, subtitles, chapters, cover art, attachments and metadata are copied. What the new container
cannot hold is converted, else left out; either is said in a note.
"""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer, OutputContainer
from av.stream import Disposition

from vintage_colorizer.errors import OutputError
from vintage_colorizer.files import readable_name
from vintage_colorizer.film.containers import MKV, WEBM, Kind, kind_of
from vintage_colorizer.film.encoding import Encoding
from vintage_colorizer.film.plan import Piece, Plan, Times
from vintage_colorizer.film.source import Source, film_stream, open_film, url

OF_THE_FILE = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration"}  # not of the film
TEXT_SUBTITLES = {"subrip", "srt", "ass", "ssa", "mov_text", "webvtt", "text"}
IMAGE_TYPES = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}


LAYOUTS = {1: "mono", 2: "stereo", 3: "2.1", 4: "quad", 5: "5.0", 6: "5.1", 8: "7.1"}  # by number of channels
AUDIO_BIT_RATE = 96_000  # a channel
GAP_SECONDS = 0.1  # of missing sound that is filled with silence


def join(target: Path, plan: Plan, pieces: Sequence[Piece], comment: str) -> list[str]:
    """Write the finished film; return notes on what was converted or left out.

    Args:
        target: file to write; its name says of which kind.
        plan: of the film; the other streams of its source are copied.
        pieces: in order.
        comment: added to the metadata.

    Raises:
        OutputError: the container refuses the result.
    """
    kind, _ = kind_of(target, plan.encoding.codec)
    source, encoding, end = plan.source, plan.encoding, plan.end
    notes: list[str] = []
    with ExitStack() as stack:
        original = stack.enter_context(open_film(Path(source.path)))
        first = stack.enter_context(av.open(url(pieces[0].path)))
        out = stack.enter_context(av.open(url(target), "w", format=kind.format, container_options=dict(kind.options)))
        film = film_stream(original, Path(source.path))
        stream = _picture_stream(out, first.streams.video[0], source, encoding)
        if source.aspect != (1, 1) and kind in (MKV, WEBM) and encoding.codec not in ("h264", "h265"):
            shape = f"{source.aspect[0]}:{source.aspect[1]}"
            notes.append(f"pixels appear square instead of {shape}, as {encoding.codec} cannot say so here; use h264")
        stream.metadata.update(_kept(film.metadata))
        stream.disposition = film.disposition
        passengers = _passengers(original, out, kind, film.index, notes)
        out.metadata.update(_kept(original.metadata, but={"comment"}))
        out.metadata["comment"] = "\n".join(filter(None, [comment_of(original), comment]))
        if chapters := [one for one in original.chapters() if end is None]:
            out.set_chapters(chapters)
        packets = heapq.merge(
            _video(pieces, plan.times, stream), _others(original, passengers, end), key=lambda timed: timed[0]
        )
        try:
            for _, packet in packets:
                out.mux(packet)
        except ValueError as error:
            raise OutputError(
                f"cannot hold what the source holds ({error}); use .mkv.", readable_name(target)
            ) from error
    return notes


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


def _video(pieces: Iterable[Piece], times: Times, stream: Any) -> Iterator[tuple[float, Any]]:
    """The packets of all pieces, with the film's own times."""
    delay = max(piece.delay for piece in pieces)
    decode_times = times.decode_times(delay)
    for piece in pieces:
        with av.open(url(piece.path)) as container:
            packets: Iterator[Any] = container.demux(video=0)
            for packet in packets:
                if packet.size == 0:
                    continue
                index = piece.start + packet.pts
                packet.time_base = times.base
                packet.pts, packet.dts, packet.duration = (
                    times.starts[index],
                    next(decode_times),
                    times.durations[index],
                )
                packet.stream = stream
                yield float(packet.dts * times.base), packet


Convert = Callable[[Any], list[Any]]


def _passengers(
    original: InputContainer, out: OutputContainer, kind: Kind, film: int, notes: list[str]
) -> dict[int, Convert]:
    """A stream in the result for every stream of the source but the film; each with what makes its packets."""
    passengers: dict[int, Convert] = {}
    for stream in original.streams:
        if stream.index == film:
            continue
        if original.format.name.startswith("mov") and stream.type == "data":
            continue  # time code and chapter titles, which are written anew from the metadata
        convert = _board(stream, out, kind, notes)
        if convert is not None:
            passengers[stream.index] = convert
        elif stream.type != "attachment" or not kind.attachments:
            notes.append(f"left out: {_title(stream)}, which a {kind.format} file cannot hold")
    return passengers


def _board(stream: Any, out: OutputContainer, kind: Kind, notes: list[str]) -> Convert | None:
    """Add a stream to the result, if it can be; return what turns its packets into the result's."""
    name = stream.codec_context.codec.canonical_name if stream.codec_context is not None else None
    if stream.type == "attachment" and kind.attachments:
        out.add_attachment(stream.name or "attachment", stream.mimetype or "application/octet-stream", stream.data)
        return None
    if stream.type == "video" and stream.disposition & Disposition.attached_pic and name in IMAGE_TYPES:
        return _cover(stream, out, kind, name)
    if stream.type == "audio" and name is not None:
        if kind.audio is None or name in kind.audio:
            return _copied(stream, out)
        notes.append(
            f"{_title(stream)} was re-encoded as {kind.audio_fallback}, as a {kind.format} file cannot hold {name}"
        )
        return _audio_converter(stream, out, kind.audio_fallback)
    if stream.type == "subtitle" and name is not None:
        if name in kind.subtitles:
            return _copied(stream, out)
        if name in TEXT_SUBTITLES:
            notes.append(f"{_title(stream)} became plain text, as a {kind.format} file cannot hold {name}")
            return _text_converter(stream, out, kind.text_subtitles)
    return None


def _copied(stream: Any, out: OutputContainer) -> Convert | None:
    try:
        copy: Any = out.add_stream_from_template(stream, opaque=True)
    except ValueError:
        return None
    _describe_like(copy, stream)

    def convert(packet: Any) -> list[Any]:
        packet.stream = copy
        return [packet] if packet.size else []

    return convert


def _describe_like(copy: Any, stream: Any) -> None:
    copy.metadata.update(_kept(stream.metadata))
    copy.disposition = stream.disposition


def _cover(stream: Any, out: OutputContainer, kind: Kind, name: str) -> Convert | None:
    if kind.attachments:
        with open_film(Path(stream.container.name.removeprefix("file:"))) as again:
            data = next((bytes(one) for one in again.demux(again.streams[stream.index]) if one.size), b"")
        out.add_attachment(*IMAGE_TYPES[name], data)
        return lambda packet: []
    return _copied(stream, out) if kind.format == "mp4" else None


def _audio_converter(stream: Any, out: OutputContainer, codec: str) -> Convert:
    """Decode and encode sound; where some is missing, silence keeps the rest in its place."""
    context = stream.codec_context
    rate = 48000 if codec == "libopus" else min(context.sample_rate, 96000)
    layout = LAYOUTS.get(context.layout.nb_channels, "stereo")
    encoder: Any = out.add_stream(codec, rate=rate, layout=layout)
    if codec != "flac":
        encoder.bit_rate = AUDIO_BIT_RATE * encoder.layout.nb_channels
    _describe_like(encoder, stream)
    resampler = av.AudioResampler(format=encoder.format, layout=layout, rate=rate)
    sound = _Sound(encoder, rate)

    def convert(packet: Any) -> list[Any]:
        try:
            frames = packet.decode()
        except av.error.FFmpegError:  # a damaged packet becomes silence
            frames = []
        made = [one for frame in frames for resampled in resampler.resample(frame) for one in sound.add(resampled)]
        return made + (sound.finish() if packet.size == 0 else [])

    return convert


class _Sound:
    """Feeds an audio encoder frames of the size it wants, with times that follow from the samples before."""

    def __init__(self, encoder: Any, rate: int) -> None:
        self._encoder, self._rate = encoder, rate
        self._fifo = av.AudioFifo()
        self._origin: int | None = None  # time of the first sample, in samples
        self._taken = self._given = 0  # samples

    def add(self, frame: Any) -> list[Any]:
        if frame.pts is not None:
            time = round(frame.pts * frame.time_base * self._rate)
            self._origin = time if self._origin is None else self._origin
            missing = time - self._origin - self._taken
            if missing > GAP_SECONDS * self._rate:
                self._take(_silence_like(frame, missing))
        self._take(frame)
        return self._encode(partial=False)

    def finish(self) -> list[Any]:
        return [*self._encode(partial=True), *self._encoder.encode(None)]

    def _take(self, frame: Any) -> None:
        frame.pts = None
        self._fifo.write(frame)
        self._taken += frame.samples

    def _encode(self, partial: bool) -> list[Any]:
        packets = []
        for frame in self._fifo.read_many(self._encoder.codec_context.frame_size or 1024, partial=partial):
            frame.pts = (self._origin or 0) + self._given
            frame.time_base = Fraction(1, self._rate)
            self._given += frame.samples
            packets += self._encoder.encode(frame)
        return packets


def _silence_like(frame: Any, samples: int) -> Any:
    silence = av.AudioFrame(format=frame.format.name, layout=frame.layout.name, samples=samples)
    for plane in silence.planes:
        plane.update(bytes(plane.buffer_size))
    silence.sample_rate = frame.sample_rate
    return silence


def _text_converter(stream: Any, out: OutputContainer, codec: str) -> Convert:
    """Turn text subtitles of any kind into plain text."""
    written: Any = out.add_mux_stream(codec)
    written.time_base = stream.time_base
    _describe_like(written, stream)

    def convert(packet: Any) -> list[Any]:
        if not packet.size:
            return []
        text = _plain_text(packet).encode()
        made = av.Packet(len(text).to_bytes(2, "big") + text if codec == "mov_text" else text)
        made.pts = made.dts = packet.pts
        made.duration, made.time_base, made.stream = packet.duration, packet.time_base, written
        return [made]

    return convert


def _plain_text(packet: Any) -> str:
    events = [event.dialogue.decode(errors="replace") for event in packet.decode()]
    text = "\n".join(events).replace("\\N", "\n").replace("\\n", "\n").replace("\\h", " ")
    return re.sub(r"\{[^}]*\}", "", text)


def _others(original: InputContainer, passengers: dict[int, Convert], end: float | None) -> Iterator[tuple[float, Any]]:
    """The packets of all other streams, in the order of their times."""
    if not passengers:
        return
    clock = 0.0
    packets = original.demux([stream for stream in original.streams if stream.index in passengers])
    while True:
        try:
            packet = next(packets)
        except (StopIteration, av.error.FFmpegError):  # a file that ends in the middle
            return
        if packet.dts is not None:
            clock = max(clock, float(packet.dts * packet.time_base))
        if end is not None and clock > end and packet.size:
            continue
        if packet.dts is None and packet.size:
            if not packet.stream.disposition & Disposition.attached_pic:
                continue
            packet.pts = packet.dts = 0
        yield from ((clock, made) for made in passengers[packet.stream.index](packet))


def _kept(metadata: dict[str, str], but: AbstractSet[str] = frozenset()) -> dict[str, str]:
    return {name: value for name, value in metadata.items() if name.lower() not in OF_THE_FILE | but}


def comment_of(container: InputContainer) -> str:
    """The comment in a film's metadata, whatever the case of its name; empty if there is none."""
    return next((value for name, value in container.metadata.items() if name.lower() == "comment"), "")


def _title(stream: Any) -> str:
    language = stream.metadata.get("language")
    name = stream.codec_context.name if stream.codec_context is not None else "of an unknown codec"
    kind = {"video": "a second picture", "audio": "sound", "subtitle": "subtitles"}.get(stream.type, stream.type)
    return f"{kind} {stream.index} ({name}{', ' + language if language and language != 'und' else ''})"
