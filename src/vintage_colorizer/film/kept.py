"""Shots that are in color already, among grey ones: noticed, and kept as they are."""

from __future__ import annotations

import numpy as np
from av.video.frame import VideoFrame

from vintage_colorizer import color
from vintage_colorizer.color import Pixels
from vintage_colorizer.film.encoding import Encoding
from vintage_colorizer.film.planes import Plane
from vintage_colorizer.film.source import Source, is_converted

THUMB = (64, 36)  # width and height
LIGHTS = 10  # steps of luma; toned and tinted frames have one color in each
# Spread of chroma, in steps of luma, from which a frame is in color, and in parts of its mean chroma. On 150 validation
# photos through H.264 it is above 0.019 in nine of ten; toned sepia it is below 0.015, tinted below 0.021.
COLORED, OF_STRENGTH = 0.018, 0.13
BT601 = (5, 6)  # FFmpeg's numbers of matrices that swscale knows as one


def is_colored(frame: VideoFrame) -> bool:
    """Whether a frame is in color: toned and tinted ones, whose color follows from their luma, are not."""
    small = _thumb(frame)
    chroma = color.chroma_of(small)
    steps = np.minimum((color.luma(small) * LIGHTS).astype(int), LIGHTS - 1).ravel()
    counts = np.maximum(1, np.bincount(steps, minlength=LIGHTS))
    planes = [chroma[..., plane].ravel() for plane in (0, 1)]
    rests = [plane - (np.bincount(steps, plane, minlength=LIGHTS) / counts)[steps] for plane in planes]
    spread = float(np.sqrt(sum((rest**2).mean() for rest in rests)))
    return spread > max(COLORED, OF_STRENGTH * color.strength(chroma))


def strength_of(frame: VideoFrame) -> float:
    """The mean strength of a frame's own color."""
    return color.strength(color.chroma_of(_thumb(frame)))


def _thumb(frame: VideoFrame) -> Pixels:
    return np.asarray(frame.reformat(*THUMB, format="rgb24", interpolation="AREA").to_ndarray(), np.uint8)


def kept_chroma(frame: VideoFrame, source: Source, encoding: Encoding) -> tuple[Plane, Plane]:
    """The chroma planes of a frame as the result holds them: its own samples where the result has as many."""
    matrix = encoding.coding.matrix
    told = {}
    if is_converted(frame):  # of RGB, or the like
        told = {
            "dst_colorspace": 5 if matrix in BT601 else matrix,
            "dst_color_range": 2 if encoding.coding.full_range else 1,
        }
    there = frame.reformat(source.width, source.height, encoding.pixel_format, **told)
    return _plane(there, 1, encoding), _plane(there, 2, encoding)


def _plane(frame: VideoFrame, index: int, encoding: Encoding) -> Plane:
    plane, dtype = frame.planes[index], encoding.coding.dtype
    rows = np.frombuffer(memoryview(plane), dtype).reshape(plane.height, -1)
    return np.asarray(rows[:, : plane.width]).copy()  # the frame may go
