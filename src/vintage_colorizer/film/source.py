"""Reading films: what may be opened, what it holds, and its frames with their times.

FFmpeg's libraries (PyAV) do the work. A film is only ever opened as a local file, by a demuxer from a
list that has no playlists in it, so that no file can make us read another one or reach the network.
"""

from __future__ import annotations

import math
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import cv2
import numpy as np
from av.container import InputContainer
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from vintage_colorizer.errors import InputError, UnreadableError, UnsupportedError
from vintage_colorizer.film.numbered import is_numbered, numbers_of
from vintage_colorizer.film.planes import BT601, BT709, MATRICES, Coding, Orientation, Plane
from vintage_colorizer.film.timeline import Clock
from vintage_colorizer.film.tone import HLG, PQ, tone_mapped

SUFFIXES = [
    ".mp4",
    ".m4v",
    ".mov",
    ".mkv",
    ".webm",
    ".avi",
    ".ts",
    ".m2ts",
    ".mts",
    ".mpg",
    ".mpeg",
    ".vob",
    ".gif",
    ".wmv",
    ".asf",
    ".flv",
    ".ogv",
    ".3gp",
    ".mxf",
    ".dv",
    ".nut",
    ".y4m",
]
# How films of other endings begin: MPEG program and video streams, Matroska, ASF, FLV, MXF.
BEGINNINGS = (
    *(b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3", b"\x1aE\xdf\xa3", b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),
    *(b"FLV\x01", b"\x06\x0e\x2b\x34\x02\x05\x01\x01"),
)
QUICKTIME = (b"isom", b"iso2", b"iso4", b"iso5", b"iso6", b"mp41", b"mp42", b"avc1", b"qt  ", b"M4V ", b"3gp4", b"3gp5")
TS_PACKETS = ((0, 188), (4, 192))  # where the first packet of a transport stream begins, and how long it is
DEMUXERS = (
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpegts,mpeg,mpegvideo,gif,asf,flv,ogg,mxf,dv,nut,yuv4mpegpipe,"
    "h264,hevc,m4v,ivf,apng,rm,swf"
)
PLAYLISTS = (b"#EXTM3U", b"ffconcat", b"<MPD", b"<SmoothStreamingMedia", b"[playlist]", b"<smil", b"<ASX", b"RTSPtext")
SAFE = {"protocol_whitelist": "file", "format_whitelist": DEMUXERS}

HDR_TRANSFERS = {PQ: "PQ", HLG: "HLG"}
PLAIN = 1  # the number of BT.709 among primaries and transfers
UNSPECIFIED = 2
LARGEST_SIDE = 16384
LONGEST_LOOK = 10**12  # microseconds
RAW_PLANAR = ("yuv4", "yuvj4", "yuva4", "gray", "nv12", "nv16", "nv21", "nv24", "p010", "p210", "p410", "p012", "p016")


@dataclass(frozen=True)
class Source:
    """What is known of a film's picture after its first frame; plain values only, so that it can be sent and stored."""

    path: str
    container: str
    codec: str
    width: int
    height: int
    pixel_format: str
    coding: Coding
    primaries: int
    transfer: int
    aspect: tuple[int, int]  # of a sample, width : height
    display_matrix: tuple[int, ...] | None
    rate: tuple[int, int]
    time_base: tuple[int, int]
    depth: int = 0  # bytes in which all streams have begun; 0 for what FFmpeg looks at by itself
    tone: int = 0  # the transfer of an HDR film whose luma is brought to ordinary range; 0 where it is not

    @property
    def orientation(self) -> Orientation:
        """How the pixels are turned to stand upright."""
        return Orientation.of_matrix(self.display_matrix)

    @property
    def display_size(self) -> tuple[int, int]:
        """Height and width as shown: upright, with square pixels."""
        height, width = self.height, max(1, round(self.width * self.aspect[0] / self.aspect[1]))
        return (width, height) if self.orientation.transpose else (height, width)

    def shown(self, picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Stored 8-bit pixels, H x W or H x W x 3, as they are shown: upright, with square pixels."""
        upright = self.orientation.upright(picture)
        height, width = self.display_size
        if upright.shape[:2] == (height, width):
            return upright
        return np.asarray(cv2.resize(upright, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


@dataclass
class Losses:
    """What could not be decoded."""

    packets: int = 0
    reasons: list[str] = field(default_factory=list)

    def add(self, error: Exception) -> None:
        """Count one damaged packet."""
        self.packets += 1
        if not self.reasons:
            self.reasons.append(reason(error))


def open_film(path: Path, depth: int = 0, rate: Fraction | None = None) -> InputContainer:
    """Open a local film file, or numbered frames, safely.

    Args:
        path: the film; see `numbered` for names with a number.
        depth: bytes to look for streams in, see `depth_of`; 0 for FFmpeg's own choice.
        rate: frames a second, where they are numbered files.

    Raises:
        InputError: there is no such file, or it is no regular file.
        UnreadableError: it is empty, damaged or no film.
        UnsupportedError: a playlist, or a format that is not read.
    """
    if is_numbered(path):
        numbers = {"start_number": str(numbers_of(path)[0]), "framerate": str(rate or 25)}
        return _opened(path, {"protocol_whitelist": "file", "pattern_type": "sequence"} | numbers, "image2")
    _require_film(path)
    deeper = {"probesize": str(depth), "analyzeduration": str(LONGEST_LOOK)} if depth else {}
    return _opened(path, SAFE | deeper)


def _opened(path: Path, options: dict[str, str], format: str | None = None) -> InputContainer:
    try:
        return av.open(url(path), format=format, options=options, metadata_errors="surrogateescape")
    except av.error.FFmpegError as error:
        raise UnreadableError(f"cannot be read as a film ({reason(error)}); it may be damaged.", path) from error


def looks_like_film(path: Path) -> bool:
    """Whether a file begins as films do, whatever its name: camcorders call them .MOD, .VRO and the like."""
    try:
        with path.open("rb") as file:
            head = file.read(3 * TS_PACKETS[1][1])
    except OSError:
        return False
    if head.startswith(BEGINNINGS) or (head[:4] == b"RIFF" and head[8:12] == b"AVI "):
        return True
    if head[4:8] == b"ftyp":
        return head[8:12] in QUICKTIME
    return any(head[at::size][:3] == b"GGG" for at, size in TS_PACKETS)


def url(path: Path) -> str:
    """The name under which FFmpeg opens exactly this file, whatever its name looks like."""
    return f"file:{os.path.abspath(path)}"


def _require_film(path: Path) -> None:
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise InputError("is not a file but a folder, pipe, device or socket; name a film.", path)
        with path.open("rb") as file:
            head = file.read(4096)
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror}); check the name.", path) from error
    if not head:
        raise UnreadableError("is empty; there is no film in it.", path)
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if any(start[:200].lower().startswith(mark.lower()) for mark in PLAYLISTS) or b"<MPD" in head:
        raise UnsupportedError("is a playlist that points at other files, which are never followed; name a film.", path)
    if start[:100].lower().startswith((b"<!doctype", b"<html", b"<?xml")):
        raise UnreadableError("is not a film (it looks like a web page); check where it came from.", path)


def film_stream(container: InputContainer, path: Path) -> VideoStream:
    """The stream that is the film: the first moving picture that is not cover art.

    Raises:
        UnreadableError: there is none, or no decoder for it.
    """
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            if stream.codec_context is None:
                raise UnsupportedError("has a picture in a codec that is not read; convert it to H.264.", path)
            return stream
    others = " and ".join(sorted({stream.type for stream in container.streams}))
    raise UnreadableError(f"has no frames{f', only {others}' if others else ''}; name a film.", path)


def describe(
    path: Path,
    container: InputContainer,
    stream: VideoStream,
    frame: VideoFrame,
    depth: int = 0,
    *,
    tone_map: bool = False,
) -> Source:
    """Say what a film is, from its first frame; with `tone_map`, an HDR one as it is once it is mapped.

    Raises:
        UnsupportedError: HDR, a matrix that is not luma and chroma in the usual sense, or too large.
    """
    hdr = frame.color_trc in HDR_TRANSFERS
    if hdr and not tone_map:
        kind = HDR_TRANSFERS[frame.color_trc]
        raise UnsupportedError(f"is HDR ({kind}); color it with --tone-map, or convert it to SDR (BT.709).", path)
    if max(frame.width, frame.height) > LARGEST_SIDE:
        raise UnsupportedError(
            f"is {frame.width} x {frame.height}; films up to {LARGEST_SIDE} pixels a side are read.", path
        )
    aspect = stream.sample_aspect_ratio or Fraction(1)
    rate = stream.average_rate or stream.guessed_rate or Fraction(25)
    base = stream.time_base or Fraction(1, 1000)
    return Source(
        path=str(path),
        container=container.format.name,
        codec=stream.codec_context.codec.canonical_name,
        width=frame.width,
        height=frame.height,
        pixel_format=frame.format.name,
        coding=replace(_coding(path, frame), matrix=BT709) if hdr else _coding(path, frame),
        primaries=PLAIN if hdr else frame.color_primaries or UNSPECIFIED,
        transfer=PLAIN if hdr else frame.color_trc or UNSPECIFIED,
        aspect=(aspect.numerator, aspect.denominator) if aspect > 0 else (1, 1),
        display_matrix=_display_matrix(frame),
        rate=(rate.numerator, rate.denominator),
        time_base=(base.numerator, base.denominator),
        depth=depth,
        tone=frame.color_trc if hdr else 0,
    )


def _coding(path: Path, frame: VideoFrame) -> Coding:
    usual = BT601 if frame.height <= 576 else BT709
    if is_converted(frame):
        bits = max(component.bits for component in frame.format.components)
        return Coding(usual, full_range=bits > 8, depth=min(16, max(8, bits)))
    matrix = int(frame.colorspace)
    if matrix in (UNSPECIFIED, 0, 3):
        matrix = usual
    if matrix not in MATRICES:
        raise UnsupportedError(
            f"has colors coded in an unusual way (matrix {matrix}); convert it to BT.709 first.", path
        )
    name = frame.format.name
    full = frame.color_range == 2 or name.startswith(("yuvj", "gray"))
    return Coding(matrix, full, max(8, frame.format.components[0].bits))


def _display_matrix(frame: VideoFrame) -> tuple[int, ...] | None:
    try:
        data = frame.side_data.get("DISPLAYMATRIX")
    except ValueError:  # PyAV does not know all kinds of side data; it finds the angle alone among any
        matrix = _rotation_matrix(frame.rotation)
    else:
        if data is None:
            return None
        matrix = tuple(int(value) for value in np.frombuffer(bytes(cast(Any, data)), dtype=np.int32))
    return None if Orientation.of_matrix(matrix) == Orientation() else matrix


def _rotation_matrix(degrees: int) -> tuple[int, ...]:
    """The display matrix that turns a picture counterclockwise, in the fixed-point numbers of FFmpeg."""
    angle = math.radians(-degrees)
    cosine, sine = (round(65536 * function(angle)) for function in (math.cos, math.sin))
    return (cosine, -sine, 0, sine, cosine, 0, 0, 0, 1 << 30)


def has_captions(frame: VideoFrame) -> bool:
    """Whether closed captions (CEA-608 or 708, as ATSC A/53 has them) come with a frame."""
    try:
        return "A53_CC" in frame.side_data
    except ValueError:  # side data that PyAV does not know
        return False


def is_transparent(frame: VideoFrame) -> bool:
    """Whether any of a frame can be seen through."""
    if not any(component.is_alpha for component in frame.format.components):
        return False
    return bool(frame.to_ndarray(format="rgba")[..., 3].min() < 255)


def is_converted(frame: VideoFrame) -> bool:
    """Whether a frame holds no luma plane of its own (RGB, palette), so that luma has to be computed."""
    format = frame.format
    return (
        format.is_rgb or format.has_palette or not format.name.startswith((*RAW_PLANAR, "yuyv", "uyvy", "yvyu", "y2"))
    )


def luma_plane(frame: VideoFrame, source: Source) -> Plane:
    """The luma samples of a frame, height x width; a view into the frame wherever that is possible.

    A frame of another size than the film's first one is scaled to it; of an HDR film, luma is mapped to ordinary range.
    """
    luma = _luma_samples(frame, source)
    return tone_mapped(luma, source.coding, source.tone) if source.tone else luma


def _luma_samples(frame: VideoFrame, source: Source) -> Plane:
    if (frame.width, frame.height, frame.format.name) != (source.width, source.height, source.pixel_format):
        frame = frame.reformat(source.width, source.height, source.pixel_format)
    if is_converted(frame):
        return _luma_of_rgb(frame, source.coding)
    name = frame.format.name
    if not name.startswith(RAW_PLANAR):
        frame = frame.reformat(format="yuv422p")  # the same samples, sorted into planes
    plane = frame.planes[0]
    samples = np.frombuffer(memoryview(plane), np.uint8).reshape(plane.height, abs(plane.line_size))
    if source.coding.depth > 8:
        wide = samples.view(">u2" if name.endswith("be") else "<u2")[:, : plane.width]
        shift = 16 - source.coding.depth if name.startswith(("p0", "p2", "p4")) else 0
        return np.asarray(wide >> shift if shift else wide, np.uint16)
    return np.asarray(samples[:, : plane.width])


def _luma_of_rgb(frame: VideoFrame, coding: Coding) -> Plane:
    red_weight, blue_weight = MATRICES[coding.matrix]
    weights = np.array([red_weight, 1 - red_weight - blue_weight, blue_weight], dtype=np.float32)
    black, white = coding.luma_range
    most, format = (255, "rgb24") if coding.depth == 8 else (65535, "rgb48le")
    light = frame.to_ndarray(format=format).astype(np.float32) @ (weights * np.float32((white - black) / most))
    return np.asarray(light + np.float32(black + 0.5)).astype(coding.dtype)


def rgb_of(frame: VideoFrame) -> NDArray[np.uint8]:
    """A frame as RGB, uint8, H x W x 3, as stored."""
    return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def time_of(frame: VideoFrame) -> int | None:
    """A frame's time in the stream's time base; None if the file does not say."""
    return frame.pts if frame.pts is not None else frame.dts


def decode(
    container: InputContainer, stream: VideoStream, losses: Losses, clock: Clock | None = None
) -> Iterator[VideoFrame]:
    """Yield the frames of the film from where the container stands; damaged packets are counted and left out.

    With a clock, which is told about all packets, a frame's `opaque` is a tuple: the part of the file it is in.
    """
    stream.codec_context.copy_opaque = clock is not None
    packets = container.demux(stream if clock is None else clock.streams)
    while True:
        try:
            packet = next(packets)
        except (StopIteration, IndexError):  # PyAV raises the latter at the end if streams began that it does not know
            return
        except av.error.FFmpegError as error:  # the file ends in the middle
            losses.add(error)
            yield from decoded(None, stream, losses)
            return
        if clock is not None and packet.size:
            packet.opaque = (clock.part(packet),)
        if packet.stream is stream:
            yield from decoded(packet, stream, losses)


def decoded(packet: Any, stream: VideoStream, losses: Losses) -> list[VideoFrame]:
    """The frames that a packet, or None for the last ones, brings forth; damage is counted."""
    try:
        return stream.codec_context.decode(packet) if packet is None else packet.decode()
    except av.error.EOFError:
        return []
    except (av.error.FFmpegError, ValueError) as error:
        losses.add(error)
        return []


def prepare_decoder(stream: VideoStream, threads: int) -> None:
    """Let a decoder use several threads; only what it makes of damaged packets depends on them."""
    stream.codec_context.thread_count = min(threads, 4)
    stream.codec_context.thread_type = "AUTO"


def reason(error: Exception) -> str:
    """FFmpeg's own reason in a few words."""
    return str(getattr(error, "strerror", None) or error).strip().rstrip(".").lower()
