"""Coloring a range of frames: frames in, colored frames out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from vintage_colorizer import color
from vintage_colorizer.color import Floats
from vintage_colorizer.film.ahead import ahead
from vintage_colorizer.film.encoding import Encoding, SegmentWriter, make_frame, to_depth
from vintage_colorizer.film.plan import Plan, Segment, make_plan, with_look
from vintage_colorizer.film.planes import ChromaPlanes, Plane, shrink_luma
from vintage_colorizer.film.source import FrameReader
from vintage_colorizer.film.stability import Moment, calm, fade_extremes
from vintage_colorizer.networks.engines import Engine
from vintage_colorizer.networks.inference import Networks, propose_batch
from vintage_colorizer.options import FilmOptions

BATCH_PIXELS = 200_000  # of small luma that the network is asked about at once
MOST_BATCHED = 8


@dataclass(frozen=True)
class FilmFrame:
    """A colored frame, in the film's own planes."""

    index: int
    time: Fraction  # seconds
    luma: Plane
    chroma: tuple[Plane, Plane]  # Cb, Cr
    encoding: Encoding

    @property
    def picture(self) -> VideoFrame:
        """As a frame of PyAV's."""
        frame = make_frame(self.encoding, self.luma, self.chroma)
        frame.colorspace = self.encoding.coding.matrix
        frame.color_range = 2 if self.encoding.coding.full_range else 1
        return frame

    @property
    def rgb(self) -> NDArray[np.uint8]:
        """As RGB, uint8, H x W x 3, as stored (not turned upright)."""
        return np.asarray(self.picture.to_ndarray(format="rgb24"), dtype=np.uint8)


def film_frames(source: Path, networks: Networks, options: FilmOptions) -> Iterator[FilmFrame]:
    """Color a film and yield its frames in order, without writing anything."""
    options = with_look(options)
    plan = make_plan(source, networks, options, "ffv1")
    whole = Segment(0, 0, len(plan.starts))
    for frame, _ in colored_frames(plan, whole, networks.engine(options)):
        yield frame


def color_segment(plan: Plan, segment: Segment, path: Path, networks: Networks, tick: Callable[[], None]) -> float:
    """Color and encode one segment: a pure function of plan and segment.

    Args:
        plan: of the film.
        segment: of the plan.
        path: file to write.
        networks: loads the one asked for.
        tick: called for every frame.

    Returns:
        The mean strength of the segment's color.
    """
    writer = SegmentWriter(path, plan.encoding)
    try:
        total = 0.0
        for frame, strength in colored_frames(plan, segment, networks.engine(plan.options)):
            planes = (frame.luma, frame.chroma)
            writer.write(*(side_by_side(plan, *planes) if plan.options.preview is not None else planes))
            total += strength
            tick()
        writer.close()
    except BaseException:
        writer.abandon()
        raise
    return total / (segment.stop - segment.start)


@dataclass(frozen=True)
class _Seen:
    """A frame on its way to the network; only frames of the segment itself keep their full luma."""

    index: int
    luma: Plane | None
    small: Floats
    repeats: bool  # whether it equals the frame before, as far as the network can see


def colored_frames(plan: Plan, segment: Segment, engine: Engine) -> Iterator[tuple[FilmFrame, float]]:
    """Color a range of frames; each comes with the mean strength of its color.

    Decoding, the network, and the filter run ahead of the consumer, each in a thread of its own.
    """
    moments = _moments(plan, ahead(_seen(plan, segment, engine), 4), engine)
    calmed = ahead(calm(ahead(moments, 4), plan.stability), 4)
    source, encoding = plan.source, plan.encoding
    maker: ChromaPlanes | None = None
    for seen, chroma in calmed:
        if seen.luma is None:
            continue
        stored = source.orientation.stored(chroma)
        luma = to_depth(seen.luma, source.coding.depth, encoding.coding.depth)
        maker = maker or ChromaPlanes(encoding.coding, luma.shape, encoding.halved, stored.shape[:2])
        time = plan.starts[seen.index] * plan.times.base
        yield FilmFrame(seen.index, time, luma, maker.planes(luma, stored), encoding), color.strength(chroma)


def _seen(plan: Plan, segment: Segment, engine: Engine) -> Iterator[_Seen]:
    """Decode: the frames of a segment and those around it its colors depend on."""
    source = plan.source
    height, width = engine.info.working_size(*source.display_size, plan.render_factor)
    reader = FrameReader(plan, plan.encoding.threads)
    before: Floats | None = None
    for index, luma in reader.read(*plan.reach(segment)):
        small = shrink_luma(luma, source.coding, source.orientation, height, width)
        repeats = before is not None and np.array_equal(small, before)
        yield _Seen(index, luma if segment.start <= index < segment.stop else None, small, repeats)
        before = small


def _moments(plan: Plan, frames: Iterator[_Seen], engine: Engine) -> Iterator[Moment[_Seen]]:
    """Ask the network, several frames at a time; a frame equal to the one before takes over its chroma."""
    shots = set(plan.shots)
    chroma = np.zeros((1, 1, 2), np.float32)
    for batch in _batches(frames):
        fresh = [seen.small for seen in batch if not seen.repeats]
        answers = iter(propose_batch(engine, np.stack(fresh), plan.vividness) if fresh else ())
        for seen in batch:
            if not seen.repeats:
                chroma = _adjusted(next(answers), seen.small, plan)
            yield Moment(seen, seen.small, chroma, seen.index in shots)


def _batches(frames: Iterator[_Seen]) -> Iterator[list[_Seen]]:
    for first in frames:
        size = max(1, min(MOST_BATCHED, BATCH_PIXELS // first.small.size))
        yield [first, *itertools.islice(frames, size - 1)]


def _adjusted(chroma: Floats, luma: Floats, plan: Plan) -> Floats:
    small = cv2.resize(luma, (chroma.shape[1], chroma.shape[0]), interpolation=cv2.INTER_AREA)
    return fade_extremes(color.adjust(chroma, small, plan.saturation, plan.options.warmth), small)


def side_by_side(plan: Plan, luma: Plane, chroma: tuple[Plane, Plane]) -> tuple[Plane, tuple[Plane, Plane]]:
    """The grey frame on the left, the colored one on the right."""
    grey, _ = plan.encoding.coding.chroma_range
    blue, red = (np.concatenate([np.full_like(plane, grey), plane], axis=1) for plane in chroma)
    return np.concatenate([luma, luma], axis=1), (blue, red)
