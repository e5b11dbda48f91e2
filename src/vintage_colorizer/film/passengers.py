"""What a film holds besides its picture, and how each of it gets into the result.

A stream is copied if the new container can hold it: that is tried before the work. Else it is converted, else left out;
either is said in a note.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Collection
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer, OutputContainer
from av.stream import Disposition

from vintage_colorizer.film.containers import Kind
from vintage_colorizer.film.sound import sound_converter
from vintage_colorizer.film.source import film_stream, open_film

OF_THE_FILE = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration"}  # not of the film
TEXT_SUBTITLES = {"subrip", "srt", "ass", "ssa", "mov_text", "webvtt", "text"}
IMAGE_TYPES = {"mjpeg": ("cover.jpg", "image/jpeg"), "png": ("cover.png", "image/png")}
TRIED_PACKETS = 4  # of each stream, and so many of the file
TRIED_IN_ALL = 4000

Convert = Callable[[Any], list[Any]]


def refused_streams(path: Path, depth: int, kind: Kind) -> tuple[int, ...]:
    """The streams of a film that a container cannot take as they are: tried with their first packets, in memory.

    Raises:
        InputError: the film cannot be read.
    """
    with open_film(path, depth) as original:
        film = film_stream(original, path).index
        trials = {one.index: _Trial(one, kind) for one in original.streams if one.index != film and _to_copy(one, kind)}
        if not trials:
            return ()
        try:
            for count, packet in enumerate(original.demux([original.streams[index] for index in trials])):
                if count == TRIED_IN_ALL or all(trial.done for trial in trials.values()):
                    break
                trials[packet.stream.index].take(packet)
        except (av.error.FFmpegError, IndexError):  # a file that ends in the middle
            pass
        return tuple(index for index, trial in trials.items() if not trial.succeeds())


class _Trial:
    """Writes the first packets of one stream, copied, into memory."""

    def __init__(self, stream: Any, kind: Kind) -> None:
        self._taken, self._failed = 0, False
        self._out = av.open(io.BytesIO(), "w", format=kind.format)
        self._convert = _copied(stream, self._out)
        self._failed = self._convert is None

    @property
    def done(self) -> bool:
        return self._failed or self._taken == TRIED_PACKETS

    def take(self, packet: Any) -> None:
        if self.done or self._convert is None or not packet.size or packet.dts is None:
            return
        self._taken += 1
        self._attempt(lambda: self._out.mux(self._convert(packet)) if self._convert else None)

    def succeeds(self) -> bool:
        if not self._failed and not self._taken:
            self._attempt(self._out.start_encoding)  # a header is all there is to try
        self._attempt(self._out.close)
        return not self._failed

    def _attempt(self, action: Callable[[], object]) -> None:
        try:
            action()
        except (av.error.FFmpegError, ValueError):
            self._failed = True


def _to_copy(stream: Any, kind: Kind) -> bool:
    """Whether a stream is of a kind that is copied into such a container, as far as its codec tells."""
    name = _codec(stream)
    if stream.type == "audio":
        return name is not None and (kind.audio is None or name in kind.audio)
    if stream.type == "subtitle":
        return name in kind.subtitles
    return stream.type == "data" and kind.data and "timecode" not in stream.metadata


def _codec(stream: Any) -> str | None:
    return stream.codec_context.codec.canonical_name if stream.codec_context is not None else None


@dataclass(frozen=True)
class Boarding:
    """What is known of streams before they are added to a result."""

    refused: Collection[int]  # cannot be copied
    dropped: Collection[int]  # cannot be converted either
    notes: list[str]  # is added to


def passengers_of(
    original: InputContainer, out: OutputContainer, kind: Kind, film: int, boarding: Boarding
) -> dict[int, Convert]:
    """A stream in the result for every stream of the source but the film; each with what makes its packets."""
    passengers: dict[int, Convert] = {}
    for stream in original.streams:
        if stream.index == film or _is_written_anew(stream, original):
            continue
        convert = None if stream.index in boarding.dropped else _board(stream, out, kind, boarding)
        if convert is not None:
            passengers[stream.index] = convert
        elif stream.type != "attachment" or not kind.attachments:
            boarding.notes.append(f"left out: {_title(stream)}{_why_not(stream, kind)}")
    return passengers


def _is_written_anew(stream: Any, original: InputContainer) -> bool:
    """Whether it holds the time code or the titles of chapters, which come from the metadata."""
    chapters = stream.name == "bin_data" and original.chapters() if stream.type == "data" else False
    return stream.type == "data" and ("timecode" in stream.metadata or bool(chapters))


def _why_not(stream: Any, kind: Kind) -> str:
    if stream.type == "video" and not stream.disposition & Disposition.attached_pic:
        return ", as only the first picture is colored"
    return f", which a {kind.format} file cannot hold"


def _board(stream: Any, out: OutputContainer, kind: Kind, boarding: Boarding) -> Convert | None:
    """Add a stream to the result, if it can be; return what turns its packets into the result's."""
    name = _codec(stream)
    if stream.type == "attachment" and kind.attachments:
        out.add_attachment(stream.name or "attachment", stream.mimetype or "application/octet-stream", stream.data)
        return None
    if stream.type == "video" and stream.disposition & Disposition.attached_pic and name in IMAGE_TYPES:
        return _cover(stream, out, kind, name)
    if _to_copy(stream, kind) and stream.index not in boarding.refused:
        copied = _copied(stream, out)
        if copied is not None:
            return copied
    if stream.type == "audio" and name is not None:
        return _converted_sound(stream, out, kind, boarding.notes)
    if stream.type == "subtitle" and name in TEXT_SUBTITLES:
        boarding.notes.append(f"{_title(stream)} became plain text, as a {kind.format} file cannot hold {name}")
        return _text_converter(stream, out, kind.text_subtitles)
    return None


def _converted_sound(stream: Any, out: OutputContainer, kind: Kind, notes: list[str]) -> Convert | None:
    try:
        encoder, convert = sound_converter(stream, out, kind.audio_fallback)
    except ValueError:
        return None
    _describe_like(encoder, stream)
    why = f"as a {kind.format} file cannot hold {_codec(stream)}"
    notes.append(f"{_title(stream)} was re-encoded as {kind.audio_fallback}, {why}")
    return convert


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
    copy.metadata.update(kept(stream.metadata))
    copy.disposition = stream.disposition


def _cover(stream: Any, out: OutputContainer, kind: Kind, name: str) -> Convert | None:
    if kind.attachments:
        with open_film(Path(stream.container.name.removeprefix("file:"))) as again:
            data = next((bytes(one) for one in again.demux(again.streams[stream.index]) if one.size), b"")
        out.add_attachment(*IMAGE_TYPES[name], data)
        return lambda packet: []
    return _copied(stream, out) if kind.format == "mp4" else None


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


def kept(metadata: dict[str, str], but: AbstractSet[str] = frozenset()) -> dict[str, str]:
    """The metadata that a result takes over."""
    return {
        readable(name): readable(value) for name, value in metadata.items() if name.lower() not in OF_THE_FILE | but
    }


def readable(text: str) -> str:
    """Metadata that old programs wrote in the code page of Windows, where it is not UTF-8."""
    data = text.encode("utf-8", "surrogateescape")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def comment_of(container: InputContainer) -> str:
    """The comment in a film's metadata, whatever the case of its name; empty if there is none."""
    return next((readable(value) for name, value in container.metadata.items() if name.lower() == "comment"), "")


def _title(stream: Any) -> str:
    language = readable(stream.metadata.get("language", ""))
    name = stream.codec_context.name if stream.codec_context is not None else getattr(stream, "name", None)
    name = name or "of an unknown codec"
    kind = {"video": "a second picture", "audio": "sound", "subtitle": "subtitles"}.get(stream.type, stream.type)
    return f"{kind} {stream.index} ({name}{', ' + language if language and language != 'und' else ''})"
