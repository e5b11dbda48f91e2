"""Coloring a range of frames: frames in, colored frames out."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
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
from vintage_colorizer.film.kept import kept_chroma, strength_of
from vintage_colorizer.film.plan import Plan, Segment, make_plan, with_look
from vintage_colorizer.film.planes import ChromaPlanes, Plane, shrink_luma
from vintage_colorizer.film.proposed import Colors, KeptColors, kept_colors
from vintage_colorizer.film.reader import FrameReader
from vintage_colorizer.film.repairing import evened, without_dust
from vintage_colorizer.film.scratches import without_lines
from vintage_colorizer.film.source import Source, rgb_of
from vintage_colorizer.film.stability import Moment, calm, fade_extremes
from vintage_colorizer.film.stills import Guidance
from vintage_colorizer.networks.engines import Engine
from vintage_colorizer.networks.inference import Networks
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
    source: Source

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
        return rgb_of(self.picture)

    @property
    def shown(self) -> NDArray[np.uint8]:
        """As RGB, uint8, H x W x 3, as it is shown: upright, with square pixels."""
        return self.source.shown(self.rgb)


def film_frames(source: Path, networks: Networks, options: FilmOptions) -> Iterator[FilmFrame]:
    """Color a film and yield its frames in order, without writing anything."""
    options = with_look(options)
    plan = make_plan(source, networks, options, "ffv1")
    whole = Segment(0, plan.first, len(plan.starts))
    for frame, _ in colored_frames(plan, whole, networks, kept_colors(options.colors)):
        yield frame


def color_segment(
    plan: Plan,
    segment: Segment,
    path: Path,
    networks: Networks,
    tick: Callable[[], None] = lambda: None,
    colors: Path | None = None,
) -> float:
    """Color and encode one segment: a pure function of plan and segment.

    Args:
        plan: of the film.
        segment: of the plan.
        path: file to write.
        networks: loads the one asked for.
        tick: called for every frame.
        colors: folder for what the network says, unless the options name one.

    Returns:
        The mean strength of the segment's color.
    """
    writer = SegmentWriter(path, plan.encoding)
    kept = kept_colors(plan.options.colors or colors)
    try:
        total = 0.0
        for frame, strength in colored_frames(plan, segment, networks, kept):
            planes = (frame.luma, frame.chroma)
            writer.write(*(side_by_side(plan, *planes) if plan.options.shows_both else planes))
            total += strength
            tick()
        writer.close()
    except BaseException:
        writer.abandon()
        raise
    return total / (segment.stop - segment.start)


@dataclass(frozen=True)
class _Seen:
    """A frame or a field on its way to the network; only those of the segment itself keep the frame's full luma."""

    index: int
    luma: Plane | None
    small: Floats
    asked: bool  # whether the network is asked about it; else its color is carried to it from its neighbors
    rows: slice  # those of the frame that this shows: all, or those of one field
    opens: bool  # whether it is the first one of its frame


def colored_frames(
    plan: Plan, segment: Segment, networks: Networks, kept: KeptColors | None = None
) -> Iterator[tuple[FilmFrame, float]]:
    """Color a range of frames; each comes with the mean strength of its color. Shots that are left keep their own."""
    for part, run, leave in plan.runs(segment):
        yield from _left_frames(part, run) if leave else _colored_frames(part, run, networks, kept)


def _left_frames(plan: Plan, segment: Segment) -> Iterator[tuple[FilmFrame, float]]:
    """Frames with the color that they have in the source."""
    encoding, source = plan.encoding, plan.source
    for index, luma, frame in FrameReader(plan, encoding.threads).frames(segment.start, segment.stop):
        deep = to_depth(luma, source.coding.depth, encoding.coding.depth)
        chroma = kept_chroma(frame, source, encoding)
        yield (
            FilmFrame(index, plan.starts[index] * plan.times.base, deep, chroma, encoding, source),
            strength_of(frame),
        )


def _colored_frames(
    plan: Plan, segment: Segment, networks: Networks, kept: KeptColors | None
) -> Iterator[tuple[FilmFrame, float]]:
    """Color a range of frames in one way.

    Decoding, the network, and the filter run ahead of the consumer, each in a thread of its own.
    """
    engine = networks.engine(plan.options)
    guidance = None
    if plan.stills:
        describer = networks.describer(plan.options)
        guidance = Guidance(plan.stills, plan.shots, engine, describer, plan.vividness)
    colors = Colors(engine, plan.vividness, kept)
    moments = _moments(plan, ahead(_seen(plan, segment, engine), 4), engine, guidance, colors)
    calmed = ahead(calm(ahead(moments, 4), plan.stability), 4)
    finisher = _Finisher(plan)
    for index, of_frame in itertools.groupby(calmed, key=lambda one: one[0].index):
        parts = list(of_frame)
        luma = parts[0][0].luma
        if luma is not None:
            strength = sum(color.strength(chroma) for _, chroma in parts) / len(parts)
            yield finisher.frame(index, luma, [(seen.rows, chroma) for seen, chroma in parts]), strength


class _Finisher:
    """Makes frames of luma planes and small chroma."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._makers: dict[tuple[int, ...], ChromaPlanes] = {}  # by the size of luma and of small chroma

    def frame(self, index: int, luma: Plane, parts: Sequence[tuple[slice, Floats]]) -> FilmFrame:
        """A frame; `parts` are the rows that are colored together, all or a field's, and their chroma."""
        plan, encoding = self._plan, self._plan.encoding
        deep = to_depth(luma, plan.source.coding.depth, encoding.coding.depth)
        made = [(rows, self._planes(deep[rows], plan.source.orientation.stored(chroma))) for rows, chroma in parts]
        chroma = made[0][1] if len(made) == 1 else (_woven(made, 0), _woven(made, 1))
        return FilmFrame(index, plan.starts[index] * plan.times.base, deep, chroma, encoding, plan.source)

    def _planes(self, luma: Plane, chroma: Floats) -> tuple[Plane, Plane]:
        size = (*luma.shape, *chroma.shape)
        if size not in self._makers:
            encoding = self._plan.encoding
            self._makers[size] = ChromaPlanes(
                encoding.coding, (luma.shape[0], luma.shape[1]), encoding.halved, (chroma.shape[0], chroma.shape[1])
            )
        return self._makers[size].planes(luma, chroma)


def _woven(parts: Sequence[tuple[slice, tuple[Plane, Plane]]], index: int) -> Plane:
    """One chroma plane of a frame, from those of its fields."""
    fields = [(rows, planes[index]) for rows, planes in parts]
    plane = np.empty((sum(len(field) for _, field in fields), fields[0][1].shape[1]), fields[0][1].dtype)
    for rows, field in fields:
        plane[rows] = field
    return plane


def _seen(plan: Plan, segment: Segment, engine: Engine) -> Iterator[_Seen]:
    """Decode: the frames of a segment and those around it its colors depend on."""
    source = plan.source
    height, width = engine.info.working_size(*source.display_size, plan.render_factor)
    for index, luma in _frames(plan, *plan.reach(segment)):
        kept = luma if segment.start <= index < segment.stop else None
        asked = plan.asks_about(index)
        for place, rows in enumerate(plan.interlacing.parts):
            small = shrink_luma(luma[rows], source.coding, source.orientation, height, width)
            yield _Seen(index, kept, small, asked, rows, place == 0)


def _frames(plan: Plan, start: int, stop: int) -> Iterator[tuple[int, Plane]]:
    """Frames start <= index < stop of the film, repaired if so wanted."""
    reader, repair = FrameReader(plan, plan.encoding.threads), plan.options.repair
    if not repair:
        yield from reader.read(start, stop)
        return
    # Dust is told by both neighbors, so these are read too.
    frames = reader.read(max(0, start - 1), min(len(plan.starts), stop + 1))
    if "flicker" in repair:
        frames = ((index, evened(luma, plan.gains[index], plan.source.coding)) for index, luma in frames)
    if "scratches" in repair:
        frames = ((index, without_lines(luma, plan.scratches[index])) for index, luma in frames)
    if "dust" in repair:
        frames = without_dust(frames, plan.shots, plan.source.coding)
    yield from ((index, luma) for index, luma in frames if start <= index < stop)


def _moments(
    plan: Plan, frames: Iterator[_Seen], engine: Engine, guidance: Guidance | None, colors: Colors
) -> Iterator[Moment[_Seen]]:
    """Ask the network, several frames at a time."""
    shots = set(plan.shots)
    for batch in _batches(frames):
        answers = iter(colors.of([seen.small for seen in batch if seen.asked]))
        for seen in batch:
            own: Floats = np.zeros((*(side // engine.info.stride for side in seen.small.shape), 2), np.float32)
            if seen.asked:
                own = next(answers)
                if guidance is not None:
                    own = guidance.followed(seen.index, seen.small, own)
                own = _adjusted(own, seen.small, plan)
            yield Moment(seen, seen.small, own, seen.opens and seen.index in shots, proposed=seen.asked)
    colors.keep()


def _batches(frames: Iterator[_Seen]) -> Iterator[list[_Seen]]:
    """Frames in groups of as many to ask about as the network takes at once, with those between them."""
    batch: list[_Seen] = []
    for seen in frames:
        batch.append(seen)
        most = max(1, min(MOST_BATCHED, BATCH_PIXELS // seen.small.size))
        if sum(one.asked for one in batch) >= most:
            yield batch
            batch = []
    if batch:
        yield batch


def _adjusted(chroma: Floats, luma: Floats, plan: Plan) -> Floats:
    small = cv2.resize(luma, (chroma.shape[1], chroma.shape[0]), interpolation=cv2.INTER_AREA)
    return fade_extremes(color.adjust(chroma, small, plan.saturation, plan.options.warmth), small)


def side_by_side(plan: Plan, luma: Plane, chroma: tuple[Plane, Plane]) -> tuple[Plane, tuple[Plane, Plane]]:
    """The grey frame on the left, the colored one on the right."""
    grey, _ = plan.encoding.coding.chroma_range
    blue, red = (np.concatenate([np.full_like(plane, grey), plane], axis=1) for plane in chroma)
    return np.concatenate([luma, luma], axis=1), (blue, red)
