"""The main path of films: scan, plan, color segment by segment, join.

    film -> scan (times, shots) -> plan -> segments -> film
    a segment: luma planes -> small luma -> engine -> small chroma -> calm -> chroma planes -> encoder

Luma planes go to the encoder as they came from the decoder. Everything here runs in one process;
`film_worker` puts a process of its own around it, as codecs can crash.
"""

from __future__ import annotations

import itertools
import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import av
import cv2
import numpy as np
from av.video.frame import VideoFrame
from numpy.typing import NDArray

from vintage_colorizer import color
from vintage_colorizer.ahead import ahead
from vintage_colorizer.color import Floats
from vintage_colorizer.containers import comment_of, join, kind_of
from vintage_colorizer.encoding import Encoding, SegmentWriter, make_frame, to_depth
from vintage_colorizer.errors import DiskFullError, InputError, OutputError, OutputExistsError, UnreadableError
from vintage_colorizer.files import FULL, readable_name
from vintage_colorizer.film_source import FrameReader, luma_plane, open_film, reason
from vintage_colorizer.networks.catalog import FILM_LOOK, LookSettings
from vintage_colorizer.networks.engines import Engine
from vintage_colorizer.networks.inference import (
    LITTLE_COLOR,
    LITTLE_COLOR_NOTE,
    Networks,
    choose_render_factor,
    propose_batch,
    settings_of,
)
from vintage_colorizer.options import FilmOptions
from vintage_colorizer.planes import ChromaPlanes, Plane, shrink_luma
from vintage_colorizer.scan import Scan, scan
from vintage_colorizer.segments import Plan, Segment, Workspace, cut, film_fingerprint, identity
from vintage_colorizer.stability import Moment, calm, fade_extremes

BATCH_PIXELS = 200_000  # of small luma that the network is asked about at once
MOST_BATCHED = 8
HEARTBEAT = 0.2  # seconds between reports
MARK = "Colorized by Vintage Colorizer: the colors are plausible, not historical fact."


@dataclass(frozen=True)
class Progress:
    """How far a film is."""

    stage: Literal["scanning", "coloring", "joining"]
    done: int  # frames
    total: int | None
    shots: int


Report = Callable[[Progress], None]


def throttled(report: Report) -> Report:
    """Report a few times a second, each stage's beginning, and the end."""
    spoken, stage = 0.0, ""

    def sometimes(progress: Progress) -> None:
        nonlocal spoken, stage
        now = time.monotonic()
        if now - spoken >= HEARTBEAT or progress.stage != stage or progress.done == progress.total:
            spoken, stage = now, progress.stage
            report(progress)

    return sometimes


Frames = Callable[[int], None]  # told how many more frames are done


@dataclass(frozen=True)
class FilmResult:
    """What became of a film."""

    path: str
    skipped: str  # why nothing was done; empty if it was
    width: int = 0
    height: int = 0
    frames: int = 0
    shots: int = 0
    resumed: int = 0  # frames an earlier run had done
    look: str = ""
    network: str = ""
    render_factor: int = 0
    chroma: float = 0.0  # mean strength of the color, 0 to about 0.6
    notes: tuple[str, ...] = ()


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


def color_in_turn(
    plan: Plan, segments: Sequence[Segment], workspace: Workspace, networks: Networks, frames: Frames
) -> None:
    """Color and keep segments of a film, one after the other."""
    for segment in segments:
        path = workspace.open_path(segment)
        made = color_segment(plan, segment, path, networks, lambda: frames(1))
        workspace.finish(segment, path, made)


ColorSegments = Callable[[Plan, Sequence[Segment], Workspace, Networks, Frames], None]


def color_film(
    source: Path,
    target: Path,
    networks: Networks,
    options: FilmOptions,
    *,
    overwrite: bool,
    report: Report,
    color_segments: ColorSegments = color_in_turn,
) -> FilmResult:
    """Color a film, going on where an earlier run of the same was stopped.

    Args:
        source: the film.
        target: the result.
        networks: loads the one asked for.
        options: how.
        overwrite: replace a target that is something else.
        report: told how far it is.
        color_segments: colors the segments that are missing, here or elsewhere.

    Raises:
        InputError: the source cannot be read or is of a kind that is not colored.
        OutputExistsError: the target is something else, or being written by another process.
        DiskFullError: no space is left; finished segments are kept.
        OutputError: the result cannot be written.
        OptionError: the container cannot hold the codec, or an option is wrong.
        EngineError: the network failed.
    """
    options = with_look(options)
    _, codec = kind_of(target, options.codec)
    threads = options.threads or os.cpu_count() or 1
    with open_film(source) as container:
        if MARK in comment_of(container):
            return FilmResult(str(target), "it was colored by Vintage Colorizer before")
    network = networks.engine(options).info.sha256
    fingerprint = film_fingerprint(source, options, network, threads, target.suffix.lower())
    workspace = Workspace(target)
    with workspace.locked(), disk_errors(workspace):
        if _is_done(source, target, fingerprint, overwrite):
            return FilmResult(str(target), "done before")
        if options.no_resume:
            workspace.clear()
            workspace.folder.mkdir()
        plan = workspace.load(fingerprint, source)
        if plan is None:
            plan = make_plan(source, networks, options, codec, fingerprint, threads, report)
            workspace.save(plan)
        return _work(plan, workspace, networks, report, color_segments)


def with_look(options: FilmOptions) -> FilmOptions:
    """The options with the look of films filled in."""
    return options.replace(look=options.look or FILM_LOOK)


def make_plan(
    source: Path, networks: Networks, options: FilmOptions, codec: str, fingerprint: str, threads: int, report: Report
) -> Plan:
    """Scan a film and decide everything about its result."""
    found = scan(source, threads, options.preview, lambda *count: report(Progress("scanning", *count)))
    engine = networks.engine(options)
    look = options.look or FILM_LOOK
    settings = settings_of(options, look, engine.info)
    factor = options.render_factor or settings.render_factor
    if factor == "auto":
        factor = _choose_render_factor(found, engine, settings, threads)
    encoding = Encoding.of(found.source, codec, options, threads)
    return Plan(
        fingerprint=fingerprint,
        identity=identity(source),
        source=found.source,
        options=options,
        look=look,
        network=engine.info.name,
        render_factor=factor,
        vividness=settings.vividness,
        saturation=options.saturation * settings.saturation,
        stability=settings.stability if options.stability is None else options.stability,
        encoding=encoding,
        shots=found.shots,
        segments=tuple(cut(found.starts, found.durations, Fraction(*found.source.time_base), found.shots)),
        raw_times=found.raw_times,
        starts=found.starts,
        durations=found.durations,
        notes=(*found.notes, *encoding.notes(found.source)),
    )


def _choose_render_factor(found: Scan, engine: Engine, settings: LookSettings, threads: int) -> int:
    """The factor `auto` takes for the whole film: the one for the middle frame of its longest shot."""
    ends = [*found.shots[1:], len(found.starts)]
    length, start = max((end - start, start) for start, end in zip(found.shots, ends, strict=True))
    middle = start + length // 2
    _, frame = next(FrameReader(found.source, found.raw_times, threads).read(middle, middle + 1))
    source = found.source
    picture = shrink_luma(luma_plane(frame, source), source.coding, source.orientation, *source.display_size)
    _, factor = choose_render_factor(engine, picture, settings)
    return factor


def _work(
    plan: Plan, workspace: Workspace, networks: Networks, report: Report, color_segments: ColorSegments
) -> FilmResult:
    """Color what is missing, join all, and let the film appear."""
    total = len(plan.starts)
    missing = [segment for segment in plan.segments if workspace.finished(segment) is None]
    resumed = done = total - sum(segment.stop - segment.start for segment in missing)

    def frames(more: int) -> None:
        nonlocal done
        done += more
        report(Progress("coloring", done, total, len(plan.shots)))

    frames(0)
    color_segments(plan, missing, workspace, networks, frames)
    facts = [known for segment in plan.segments if (known := workspace.finished(segment)) is not None]
    if len(facts) < len(plan.segments):
        raise OutputError(f"{readable_name(workspace.target)} came out damaged; is the disk sound?")
    if identity(Path(plan.source.path)) != plan.identity:
        raise UnreadableError(f"{plan.source.path} changed while it was colored; run the same command again.")
    report(Progress("joining", done, total, len(plan.shots)))
    pieces = [workspace.piece(segment, known) for segment, known in zip(plan.segments, facts, strict=True)]
    kind, _ = kind_of(workspace.target, plan.encoding.codec)
    comment = f"{MARK} Look {plan.look}, network {plan.network}. Fingerprint {plan.fingerprint}."
    end = None if plan.options.preview is None else float((plan.starts[-1] + plan.durations[-1]) * plan.times.base)
    notes = join(workspace.joined, kind, plan.source, plan.encoding, plan.times, pieces, comment, end)
    workspace.appear()
    chroma = (
        sum(known["chroma"] * (one.stop - one.start) for known, one in zip(facts, plan.segments, strict=True)) / total
    )
    return _result(plan, workspace.target, resumed, chroma, notes)


def _result(plan: Plan, target: Path, resumed: int, chroma: float, notes: list[str]) -> FilmResult:
    doubts = [LITTLE_COLOR_NOTE] if chroma < LITTLE_COLOR else []
    return FilmResult(
        path=str(target),
        skipped="",
        width=plan.source.width,
        height=plan.source.height,
        frames=len(plan.starts),
        shots=len(plan.shots),
        resumed=resumed,
        look=plan.look,
        network=plan.network,
        render_factor=plan.render_factor,
        chroma=round(chroma, 4),
        notes=(*plan.notes, *notes, *doubts),
    )


def film_frames(source: Path, networks: Networks, options: FilmOptions) -> Iterator[FilmFrame]:
    """Color a film and yield its frames in order, without writing anything."""
    options = with_look(options)
    threads = options.threads or os.cpu_count() or 1
    plan = make_plan(source, networks, options, "ffv1", "", threads, lambda progress: None)
    whole = Segment(0, 0, len(plan.starts))
    for frame, _ in colored_frames(plan, whole, networks.engine(options)):
        yield frame


def color_segment(
    plan: Plan, segment: Segment, path: Path, networks: Networks, tick: Callable[[], None]
) -> dict[str, Any]:
    """Color and encode one segment: a pure function of plan and segment.

    Args:
        plan: of the film.
        segment: of the plan.
        path: file to write.
        networks: loads the one asked for.
        tick: called for every frame.

    Returns:
        Facts to keep with the segment: the mean strength of its color.
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
    return {"chroma": total / (segment.stop - segment.start)}


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
    reader = FrameReader(source, plan.raw_times, plan.encoding.threads)
    before: Floats | None = None
    for index, frame in reader.read(*plan.reach(segment)):
        luma = luma_plane(frame, source)
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


def _is_done(source: Path, target: Path, fingerprint: str, overwrite: bool) -> bool:
    """Whether `target` already is this very result.

    Raises:
        OutputExistsError: it is something else, and not to be replaced, or it is the source itself.
    """
    if not target.exists():
        return False
    name = readable_name(target)
    if target.samefile(source):
        raise OutputExistsError(f"{name} is the source itself, which is never overwritten; choose another name.")
    if target.is_dir():
        raise OutputExistsError(f"{name} is a folder, so the result cannot have that name; choose another.")
    try:
        with open_film(target) as container:
            comment = comment_of(container)
    except InputError:
        comment = ""
    if fingerprint in comment:
        return True
    if overwrite:
        return False
    raise OutputExistsError(f"{name} exists and was made differently; remove it or use --overwrite.")


@contextmanager
def disk_errors(workspace: Workspace) -> Iterator[None]:
    """Turn failures to write into errors of ours."""
    try:
        yield
    except (av.error.FFmpegError, OSError) as error:
        name = readable_name(workspace.target)
        if error.errno in FULL:
            free = shutil.disk_usage(workspace.target.parent).free / 2**20
            space = f"{workspace.shortage()}{free:.0f} MiB are free"
            raise DiskFullError(
                f"No space is left to write {name} ({space}); free some and run the same command to go on."
            ) from error
        raise OutputError(f"{name} cannot be written ({reason(error)}); choose another place with -o.") from error
