"""Films made in code: plain ones with everything a film can hold, and all kinds of broken ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

Luma = NDArray[Any]
Pattern = Callable[[int, int, int], NDArray[np.float64]]


def moving_square(index: int, height: int, width: int) -> NDArray[np.float64]:
    """Light, 0..1, of one frame: a slope with texture, and a square that moves."""
    y, x = np.mgrid[:height, :width]
    light = 0.15 + 0.5 * x / width + 0.1 * np.sin(x * 0.7) * np.cos(y * 0.5)
    left = (3 * index) % max(1, width - width // 4)
    light[height // 4 : height // 2, left : left + width // 4] = 0.85
    return np.asarray(light)


@dataclass
class Recipe:
    """What goes into a film."""

    codec: str = "ffv1"
    size: tuple[int, int] = (64, 96)  # height, width
    frames: int = 12
    pixel_format: str = "yuv420p"
    rate: int = 25
    times: Sequence[int] | None = None  # of frames, in milliseconds; evenly spaced by default
    sounds: Sequence[str] = ()  # codecs
    languages: Sequence[str] = ("eng", "deu")
    subtitles: str | None = None  # codec
    chapters: bool = False
    cover: bool = False
    matrix: int | None = None
    full_range: bool = False
    transfer: int | None = None
    aspect: Fraction = Fraction(1)
    display_matrix: Sequence[int] | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    options: dict[str, str] = field(default_factory=dict)
    pattern: Pattern = moving_square
    sound_start: float = 0.0  # seconds
    sound_bit_rate: int | None = None
    container_options: dict[str, str] = field(default_factory=dict)
    metadata_encoding: str = "utf-8"


def make_film(path: Path, recipe: Recipe | None = None, **changes: Any) -> Path:
    """Write a film; its kind follows from the name."""
    recipe = recipe or Recipe(**changes)
    settings: Any = {"container_options": recipe.container_options, "metadata_encoding": recipe.metadata_encoding}
    with av.open(str(path), "w", **settings) as out:
        out.metadata.update(recipe.metadata)
        stream = _picture_stream(out, recipe)
        sounds = [out.add_stream(codec, rate=48000, layout="mono") for codec in recipe.sounds]
        for sound in sounds if recipe.sound_bit_rate else ():
            sound.bit_rate = recipe.sound_bit_rate
        for sound, language in zip(sounds, recipe.languages, strict=False):
            sound.metadata["language"] = language
        words = None
        if recipe.subtitles:
            words = out.add_mux_stream(recipe.subtitles)
            words.time_base = Fraction(1, 1000)
            words.metadata["language"] = "fra"
        cover = _add_cover(out) if recipe.cover else None
        if recipe.chapters:
            half = recipe.frames * 500 // recipe.rate
            out.set_chapters(
                [
                    {"id": 1, "start": 0, "end": half, "time_base": Fraction(1, 1000), "metadata": {"title": "One"}},
                    {
                        "id": 2,
                        "start": half,
                        "end": 2 * half,
                        "time_base": Fraction(1, 1000),
                        "metadata": {"title": "Two"},
                    },
                ]
            )
        if cover is not None:
            _mux_cover(out, cover)
        for index in range(recipe.frames):
            out.mux(stream.encode(_frame(stream, recipe, index)))
        out.mux(stream.encode(None))
        for sound in sounds:
            _write_sound(out, sound, recipe.sound_start, recipe.frames / recipe.rate)
        if words is not None:
            _write_subtitle(out, words, recipe)
    return path


def grey_film(path: Path, frames: Sequence[Luma]) -> Path:
    """A film of these planes, uint8, 10 a second, without loss."""
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("ffv1", rate=10)
        stream.height, stream.width = frames[0].shape
        stream.pix_fmt = "gray"
        for plane in frames:
            out.mux(stream.encode(av.VideoFrame.from_ndarray(plane, format="gray")))
        out.mux(stream.encode(None))
    return path


def luma_of(path: Path) -> list[Luma]:
    """The luma plane of every frame, read without any of our code."""
    return [plane_of(frame, 0) for frame in frames_of(path)]


def frames_of(path: Path) -> list[av.VideoFrame]:
    """All frames of a film."""
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def plane_of(frame: av.VideoFrame, index: int) -> Luma:
    """A copy of one plane of a frame."""
    plane = frame.planes[index]
    dtype = np.uint16 if frame.format.components[0].bits > 8 else np.uint8
    samples = np.frombuffer(memoryview(plane), dtype).reshape(plane.height, -1)
    return np.array(samples[:, : plane.width])


def _picture_stream(out: Any, recipe: Recipe) -> Any:
    stream = out.add_stream(recipe.codec, rate=recipe.rate)
    stream.height, stream.width = recipe.size
    stream.pix_fmt = recipe.pixel_format
    context = stream.codec_context
    context.options = dict(recipe.options)
    context.sample_aspect_ratio = recipe.aspect
    if recipe.times is not None:
        context.time_base = stream.time_base = Fraction(1, 1000)
    if recipe.matrix is not None:
        context.colorspace = recipe.matrix
    if recipe.full_range:
        context.color_range = 2
    if recipe.transfer is not None:
        context.color_trc = recipe.transfer
    if recipe.display_matrix is not None:
        stream.set_display_matrix(recipe.display_matrix)
    return stream


def _frame(stream: Any, recipe: Recipe, index: int) -> av.VideoFrame:
    frame = av.VideoFrame(stream.width, stream.height, recipe.pixel_format)
    light = recipe.pattern(index, stream.height, stream.width)
    if frame.format.is_rgb or frame.format.has_palette:
        grey = (np.clip(light, 0, 1) * 255 + 0.5).astype(np.uint8)
        made = av.VideoFrame.from_ndarray(np.dstack([grey] * 3), format="rgb24")
        frame = made.reformat(format=recipe.pixel_format)
    else:
        _fill(frame, light, recipe.full_range)
    if recipe.times is not None:
        frame.pts, frame.time_base = recipe.times[index], Fraction(1, 1000)
    else:
        frame.pts, frame.time_base = index, Fraction(1, recipe.rate)
    return frame


def _fill(frame: av.VideoFrame, light: NDArray[np.float64], full_range: bool) -> None:
    depth = frame.format.components[0].bits
    scale = 1 << (depth - 8)
    full = full_range or frame.format.name.startswith("gray")
    black, white = (0, 2**depth - 1) if full else (16 * scale, 235 * scale)
    for index, plane in enumerate(frame.planes):
        rows = np.frombuffer(memoryview(plane), np.uint16 if depth > 8 else np.uint8).reshape(plane.height, -1)
        rows[:, : plane.width] = (black + light * (white - black)).round() if index == 0 else 128 * scale


def _write_sound(out: Any, stream: Any, begin: float, end: float) -> None:
    first = int(48000 * begin)
    samples = np.arange(int(48000 * end) - first)
    tone = (np.sin(samples * 2 * np.pi * 440 / 48000) * 8000).astype(np.int16)
    for start in range(0, len(tone), 1024):
        frame = av.AudioFrame.from_ndarray(tone[None, start : start + 1024], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48000, first + start, Fraction(1, 48000)
        out.mux(stream.encode(frame))
    out.mux(stream.encode(None))


def _write_subtitle(out: Any, stream: Any, recipe: Recipe) -> None:
    text = b"Hello"
    packet = av.Packet(len(text).to_bytes(2, "big") + text if recipe.subtitles == "mov_text" else text)
    packet.pts = packet.dts = 100
    packet.duration, packet.time_base, packet.stream = 200, Fraction(1, 1000), stream
    out.mux(packet)


def _add_cover(out: Any) -> Any:
    from av.stream import Disposition

    cover = out.add_stream("mjpeg", rate=1)
    cover.width = cover.height = 32
    cover.pix_fmt = "yuvj420p"
    cover.disposition = Disposition.attached_pic
    return cover


def _mux_cover(out: Any, cover: Any) -> None:
    frame = av.VideoFrame.from_ndarray(np.full((32, 32, 3), 90, np.uint8), format="rgb24").reformat(format="yuvj420p")
    frame.pts = 0
    out.mux(cover.encode(frame))
    out.mux(cover.encode(None))
