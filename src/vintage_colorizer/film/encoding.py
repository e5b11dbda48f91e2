"""Encoding colored frames, a segment at a time: codecs, pixel formats, and the writer of a segment file."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.frame import VideoFrame

from vintage_colorizer.errors import OptionError
from vintage_colorizer.film.fields import Interlacing
from vintage_colorizer.film.planes import Coding, Plane
from vintage_colorizer.film.source import Source, url
from vintage_colorizer.options import FilmOptions

TICK = Fraction(1, 1000)  # a segment file's time base, in which frame n is at n: times are kept elsewhere


@dataclass(frozen=True)
class Codec:
    """How we use an encoder of FFmpeg's."""

    encoder: str
    depths: tuple[int, ...]
    crf: int | None = None  # our default; None for a codec that has no such thing
    presets: bool = False
    settings: tuple[tuple[str, str], ...] = ()
    chroma: str = "420"
    odd_chroma: str = "420"  # what it needs where a side is odd
    threads: str = "FRAME"
    interlaced: bool = False  # whether it can hold fields
    least: tuple[int, int] = (1, 1)  # width and height
    segments: str = "matroska"  # the format of segment files


CODECS: dict[str, Codec] = {
    # cpu-independent: without it, bytes depend on the processor, and on memory that was never written.
    "h264": Codec(
        "libx264",
        (8, 10),
        18,
        presets=True,
        settings=(("x264-params", "cpu-independent=1"),),
        odd_chroma="444",
        interlaced=True,
    ),
    "h265": Codec(
        "libx265", (8, 10, 12), 20, presets=True, settings=(("x265-params", "log-level=error"),), odd_chroma="444"
    ),
    "vp9": Codec("libvpx-vp9", (8, 10, 12), 24, settings=(("b", "0"), ("cpu-used", "4"), ("row-mt", "1"))),
    "av1": Codec("libsvtav1", (8, 10), 26, settings=(("preset", "8"),)),
    "ffv1": Codec(
        "ffv1", (8, 9, 10, 12, 14, 16), settings=(("level", "3"), ("slicecrc", "1")), threads="SLICE", interlaced=True
    ),
    "prores": Codec("prores_ks", (10,), chroma="422", odd_chroma="422", threads="SLICE", interlaced=True),
    "dnxhr": Codec(
        "dnxhd",
        (10,),
        settings=(("profile", "dnxhr_hqx"),),
        chroma="422",
        odd_chroma="422",
        threads="SLICE",
        least=(256, 120),
        segments="mov",  # Matroska has no name for it
    ),
}


def require_settings(codec: str, options: FilmOptions) -> None:
    """Check that a codec has the settings that were given.

    Raises:
        OptionError: it has not.
    """
    kind = CODECS[codec]
    if options.crf is not None and kind.crf is None:
        raise OptionError(f"{codec} has no crf; leave --crf out or choose another --codec.")
    if options.preset is not None and not kind.presets:
        raise OptionError(f"{codec} has no presets; leave --preset out or choose h264 or h265.")


@dataclass(frozen=True)
class Encoding:
    """All that decides an encoder's output besides the frames; plain values, so that it can be sent and stored."""

    codec: str
    width: int
    height: int
    chroma: str  # 420, 422 or 444
    coding: Coding  # of the result; only the depth can differ from the source's
    primaries: int
    transfer: int
    aspect: tuple[int, int]
    rate: tuple[int, int]
    crf: int | None
    preset: str | None
    threads: int
    fields: str = ""  # "tt" or "bb": interlaced, with the top or the bottom field first

    @classmethod
    def of(cls, source: Source, how: Interlacing, codec: str, options: FilmOptions, threads: int) -> Encoding:
        """Decide how to encode a film.

        Raises:
            OptionError: the codec has no such setting, or cannot hold fields.
        """
        require_settings(codec, options)
        kind = CODECS[codec]
        if how.mode == "keep" and not kind.interlaced:
            able = ", ".join(name for name, one in CODECS.items() if one.interlaced)
            raise OptionError(f"{codec} cannot hold interlaced films; choose --codec {able}.")
        depth = min((one for one in kind.depths if one >= source.coding.depth), default=kind.depths[-1])
        width = source.width * (2 if options.shows_both else 1)
        if width < kind.least[0] or source.height < kind.least[1]:
            least = f"{kind.least[0]} x {kind.least[1]}"
            raise OptionError(f"{codec} holds films of {least} or more; choose another --codec.")
        odd = source.width % 2 or source.height % 2
        chroma = kind.odd_chroma if odd else kind.chroma
        if how.mode == "keep" and source.height % 4 and chroma == "420":
            chroma = "444"  # the chroma of each field needs whole lines
        return cls(
            codec=codec,
            width=width,
            height=source.height,
            chroma=chroma,
            coding=Coding(source.coding.matrix, source.coding.full_range, depth),
            primaries=source.primaries,
            transfer=source.transfer,
            aspect=source.aspect,
            rate=source.rate,
            crf=kind.crf if options.crf is None else options.crf,
            preset=options.preset,
            threads=threads,
            fields=("tt" if how.top_first else "bb") if how.mode == "keep" else "",
        )

    @property
    def halved(self) -> tuple[bool, bool]:
        """Whether chroma planes have half the (height, width)."""
        return self.chroma == "420", self.chroma in ("420", "422")

    @property
    def pixel_format(self) -> str:
        """FFmpeg's name for the planes."""
        return f"yuv{self.chroma}p" + (f"{self.coding.depth}le" if self.coding.depth > 8 else "")

    def notes(self, source: Source) -> list[str]:
        """What a user should know of it."""
        notes = []
        if self.chroma == "444":
            what = "lines of its fields are" if self.fields else "size is"
            notes.append(
                f"the {what} odd ({source.width} x {source.height}), so the result is {self.codec} with 4:4:4 chroma"
            )
        if self.coding.depth < source.coding.depth:
            notes.append(
                f"{self.codec} holds {self.coding.depth} bit, so luma was rounded; use --codec ffv1 to keep all"
            )
        return notes


def make_frame(encoding: Encoding, luma: Plane, chroma: tuple[Plane, Plane]) -> VideoFrame:
    """A frame of these planes; luma is copied as it is, or moved to the encoding's depth."""
    frame = VideoFrame(luma.shape[1], luma.shape[0], encoding.pixel_format)
    _copy(luma, frame, 0)
    for index, plane in enumerate(chroma, start=1):
        _copy(plane, frame, index)
    return frame


def _copy(samples: Plane, frame: VideoFrame, index: int) -> None:
    plane = frame.planes[index]
    rows = np.frombuffer(memoryview(plane), samples.dtype).reshape(plane.height, -1)
    rows[:, : plane.width] = samples


def to_depth(luma: Plane, old: int, new: int) -> Plane:
    """The same luma with another number of bits; without loss if there are more of them."""
    if new == old:
        return luma
    if new > old:
        return np.asarray(luma.astype(np.uint16) << (new - old), np.uint16)
    rounded = luma.astype(np.uint32) + (1 << (old - new - 1)) >> (old - new)
    return np.asarray(np.minimum(rounded, 2**new - 1)).astype(np.uint8 if new == 8 else np.uint16)


def place_of(packet: Any) -> int:
    """Which frame of its segment file a packet holds; -1 if it does not say."""
    return -1 if packet.pts is None else round(packet.pts * packet.time_base / TICK)


class SegmentWriter:
    """Encodes frames into a small file in which frame n has the time n."""

    def __init__(self, path: Path, encoding: Encoding) -> None:
        """Open the file and the encoder."""
        self.frames = 0
        self._encoding = encoding
        codec = CODECS[encoding.codec]
        self._file = av.open(url(path), "w", format=codec.segments, container_options={"fflags": "+bitexact"})
        stream: Any = self._file.add_stream(codec.encoder, rate=_plausible_rate(encoding.rate))
        stream.width, stream.height = encoding.width, encoding.height
        stream.pix_fmt = encoding.pixel_format
        context = stream.codec_context
        context.time_base = 1 / _plausible_rate(encoding.rate)
        context.sample_aspect_ratio = Fraction(*encoding.aspect)
        context.colorspace = encoding.coding.matrix
        context.color_range = 2 if encoding.coding.full_range else 1
        context.color_primaries, context.color_trc = encoding.primaries, encoding.transfer
        context.thread_count, context.thread_type = encoding.threads, codec.threads
        context.options = dict(codec.settings)
        if encoding.fields:
            context.options |= {"field_order": encoding.fields, "flags": "+ilme+ildct"}
        if encoding.crf is not None:
            context.options["crf"] = str(encoding.crf)
        if encoding.preset is not None:
            context.options["preset"] = encoding.preset
        stream.time_base = TICK
        self._stream = stream

    def write(self, luma: Plane, chroma: tuple[Plane, Plane]) -> None:
        """Encode the next frame."""
        frame = make_frame(self._encoding, luma, chroma)
        frame.pts, frame.time_base = self.frames, self._stream.codec_context.time_base
        self.frames += 1
        self._mux(self._stream.encode(frame))

    def close(self) -> None:
        """Encode what the encoder still holds and finish the file."""
        if self.frames:
            self._mux(self._stream.encode(None))
        self._file.close()

    def abandon(self) -> None:
        """Close the file, finished or not; errors in doing so do not matter."""
        try:
            self._file.close()
        except (av.error.FFmpegError, OSError):
            pass

    def _mux(self, packets: list[Any]) -> None:
        for packet in packets:
            packet.time_base = TICK
            packet.duration = 1
            self._file.mux(packet)


def _plausible_rate(rate: tuple[int, int]) -> Fraction:
    """The frame rate an encoder plans with; files with odd times give absurd ones."""
    return min(max(Fraction(*rate), Fraction(1)), Fraction(240)).limit_denominator(1001)
