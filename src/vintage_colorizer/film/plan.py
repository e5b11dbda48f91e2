"""What is decided about a film before its first frame is colored."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from pydantic import Base64Bytes

from vintage_colorizer.errors import OptionError
from vintage_colorizer.files import sha256_of
from vintage_colorizer.film.encoding import Encoding
from vintage_colorizer.film.fields import WHOLE, Interlacing
from vintage_colorizer.film.guiding import stills_of
from vintage_colorizer.film.numbered import film_identity
from vintage_colorizer.film.planes import shrink_luma
from vintage_colorizer.film.progress import Progress, Report
from vintage_colorizer.film.reader import FrameReader
from vintage_colorizer.film.repairing import even_gains
from vintage_colorizer.film.scan import Scan, scan
from vintage_colorizer.film.scratches import Line
from vintage_colorizer.film.shot_list import ListedShot, Style, first_frames, read_shots, styles_of
from vintage_colorizer.film.source import Source
from vintage_colorizer.film.stability import reach_of
from vintage_colorizer.film.stills import Keyframe, Still
from vintage_colorizer.networks.catalog import FILM_LOOK, LookSettings
from vintage_colorizer.networks.engines import Engine
from vintage_colorizer.networks.inference import (
    Networks,
    choose_render_factor,
    settings_of,
)
from vintage_colorizer.options import FilmOptions, FilmSettings, Look

CARRYING = 0.3  # the stability from which color is carried to every second frame, see docs/explanation/films.md
SEGMENT_SECONDS = 10
SEGMENT_FRAMES = 600
LATER_OPTIONS = (  # not in fingerprints of earlier versions unless they are chosen
    *("field_rate", "keep_interlaced", "start", "stop", "side_by_side", "rate", "hints", "separate_scenes", "repair"),
    *("recolor", "tone_map"),
)


@dataclass(frozen=True)
class Times:
    """When frames are shown, in units of `base` seconds."""

    base: Fraction
    starts: Sequence[int]
    durations: Sequence[int]

    def decode_times(self, first: int, delay: int) -> Iterator[int]:
        """The decoding times of packets in file order, from a frame on, decoded up to `delay` places early."""
        step = self.durations[first]
        yield from (self.starts[first] - step * early for early in range(delay, 0, -1))
        yield from itertools.islice(self.starts, first, None)


@dataclass(frozen=True)
class Piece:
    """An encoded segment: its file, the index of its first frame, and how many places early it decodes frames."""

    path: Path
    start: int
    delay: int


@dataclass(frozen=True)
class Segment:
    """Frames start <= index < stop of a film."""

    index: int
    start: int
    stop: int


@dataclass(frozen=True)
class Plan:
    """All that decides a result: plain values, the same on every machine."""

    fingerprint: str
    identity: str  # of the source file, see `film_identity`
    source: Source
    options: FilmOptions
    look: Look
    network: str
    render_factor: int
    vividness: float | None
    saturation: float
    stability: float
    encoding: Encoding
    shots: tuple[int, ...]  # index of the first frame of each
    segments: tuple[Segment, ...]
    raw_times: tuple[int | None, ...]  # as the file has them, to find frames again
    starts: tuple[int, ...]  # as the result has them: they only increase; below 0 before the part that is wanted
    durations: tuple[int, ...]
    notes: tuple[str, ...]
    signatures: Base64Bytes = b""  # of the frames, see `signature`; empty in a plan of an earlier version
    damaged: bool = False  # whether the scan found damage
    offsets: tuple[int, ...] = (0,)  # to add to the times of all streams, in each part of the file, see `Clock`
    refused: tuple[int, ...] = ()  # streams that were tried and cannot be copied into the result
    interlacing: Interlacing = WHOLE
    stills: tuple[Still, ...] = ()
    gains: tuple[float, ...] = ()  # by which each frame is brightened, where flicker is evened
    scratches: tuple[tuple[Line, ...], ...] = ()  # of each frame, where they are filled
    carries: bool = False  # color is carried along the motion to every second frame of a shot
    styles: tuple[Style, ...] = ()  # how each shot is colored; none if all are colored as the plan says

    @property
    def times(self) -> Times:
        """When frames are shown."""
        return Times(Fraction(*self.source.time_base), self.starts, self.durations)

    @property
    def first(self) -> int:
        """The index of the first frame of the result."""
        return self.segments[0].start

    @property
    def frames(self) -> int:
        """How many frames the result has."""
        return len(self.starts) - self.first

    @property
    def is_cut(self) -> bool:
        """Whether the result is only a part of the film."""
        return self.options.start is not None or self.options.end is not None

    @property
    def shown_shots(self) -> int:
        """How many shots the result has a part of."""
        return len(self.shots) - self.shot_of(self.first)

    @property
    def end(self) -> float | None:
        """The second after which a part leaves out what other streams hold; None to keep everything."""
        if self.options.end is None:
            return None
        return float((self.starts[-1] + self.durations[-1]) * self.times.base)

    def runs(self, segment: Segment) -> Iterator[tuple[Plan, Segment, bool]]:
        """The parts of a segment that are colored in one way, each with a plan for it and whether it is left."""
        if not self.styles:
            yield self, segment, False
            return
        ends = [*self.shots[1:], len(self.starts)]
        shots = [shot for shot, end in enumerate(ends) if self.shots[shot] < segment.stop and end > segment.start]
        for style, group in itertools.groupby(shots, key=self.styles.__getitem__):
            members = list(group)
            start, stop = max(segment.start, self.shots[members[0]]), min(segment.stop, ends[members[-1]])
            plan = replace(
                self, vividness=style.vividness, saturation=style.saturation, stability=style.stability, styles=()
            )
            yield plan, Segment(segment.index, start, stop), style.leave

    def asks_about(self, frame: int) -> bool:
        """Whether the network is asked about a frame; else its color is carried to it from its neighbors."""
        return not self.carries or (frame - self.shots[self.shot_of(frame)]) % 2 == 0

    def shot_of(self, frame: int) -> int:
        """The place, in the list of shots, of the one that a frame is in."""
        return bisect_right(self.shots, frame) - 1

    def leaves(self, shot: int) -> bool:
        """Whether a shot keeps the color that it has in the source."""
        return bool(self.styles) and self.styles[shot].leave

    def reach(self, segment: Segment) -> tuple[int, int]:
        """The range of frames whose colors the segment's depend on: some to either side, in the same shots."""
        first_shot = self.shots[self.shot_of(segment.start)]
        after_last = bisect_left(self.shots, segment.stop)
        end = self.shots[after_last] if after_last < len(self.shots) else len(self.starts)
        reach = reach_of(self.stability)
        return max(first_shot, segment.start - reach), min(end, segment.stop + reach)


def cut(
    starts: tuple[int, ...], durations: tuple[int, ...], base: Fraction, shots: tuple[int, ...], first: int = 0
) -> Iterator[Segment]:
    """Divide a film, from a frame on, into segments of at most SEGMENT_SECONDS that begin at shots where they can."""
    longest = int(SEGMENT_SECONDS / base)
    begin, index = first, 0
    while begin < len(starts):
        limit = bisect_right(starts, starts[begin] + longest - durations[begin], begin)
        limit = max(begin + 1, min(limit, begin + SEGMENT_FRAMES))
        if limit < len(starts):
            last_shot = shots[bisect_right(shots, limit) - 1]
            limit = last_shot if last_shot > begin else limit
        yield Segment(index, begin, limit)
        begin, index = limit, index + 1


def threads_of(options: FilmOptions) -> int:
    """How many threads a film gets: all, unless the options say otherwise."""
    return options.threads or os.cpu_count() or 1


def film_fingerprint(path: Path, options: FilmOptions, network: str, suffix: str) -> str:
    """32 hexadecimal digits that change with the source, the network, and any option that shapes the film."""
    shaping = options.model_dump(include=FilmSettings.model_fields.keys() - {"no_resume"})
    shaping = {name: value for name, value in shaping.items() if value or name not in LATER_OPTIONS}
    parts: list[object] = [film_identity(path), network, threads_of(options), suffix, shaping]
    if options.keyframes:
        parts.append([options.recurring, *(Keyframe.parse(one).identity for one in options.keyframes)])
    if options.shots is not None:
        parts.append(sha256_of(Path(options.shots)))
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


def make_plan(
    source: Path,
    networks: Networks,
    options: FilmOptions,
    codec: str,
    fingerprint: str = "",
    report: Report = lambda progress: None,
) -> Plan:
    """Scan a film and decide everything about its result."""
    threads = threads_of(options)
    found = scan(
        source,
        threads,
        options.end,
        lambda *count: report(Progress("scanning", *count)),
        field_rate=options.field_rate,
        keep_interlaced=options.keep_interlaced,
        frame_rate=options.rate,
        tone_map=options.tone_map,
        scratches="scratches" in options.repair,
    )
    if options.repair and found.interlacing.mode == "keep":
        raise OptionError("Films are repaired by whole frames; leave out --repair or --keep-interlaced.")
    engine = networks.engine(options)
    look = options.look or FILM_LOOK
    settings = settings_of(options, look, engine.info)
    factor = options.render_factor or settings.render_factor
    if factor == "auto":
        factor = _choose_render_factor(found, engine, settings, threads)
    found, listed = _listed(found, options)
    styles = tuple(styles_of(listed, options, engine.info))
    stills, guided = stills_of(found, networks, options, settings, factor, threads, listed)
    found, first = _beginning(found, options.start)
    encoding = Encoding.of(found.source, found.interlacing, codec, options, threads)
    return Plan(
        fingerprint=fingerprint,
        identity=film_identity(source),
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
        segments=tuple(cut(found.starts, found.durations, Fraction(*found.source.time_base), found.shots, first)),
        raw_times=found.raw_times,
        starts=found.starts,
        durations=found.durations,
        notes=(*found.notes, *_repaired(options), *_left(listed), *guided, *encoding.notes(found.source)),
        signatures=found.signatures,
        damaged=found.damaged,
        offsets=found.offsets,
        interlacing=found.interlacing,
        stills=stills,
        gains=tuple(even_gains(found.levels, found.shots)) if "flicker" in options.repair else (),
        scratches=found.scratches,
        carries=found.interlacing.mode != "keep" and all(one.leave or one.stability >= CARRYING for one in styles),
        styles=styles if len(set(styles)) > 1 or any(style.leave for style in styles) else (),
    )


def _listed(found: Scan, options: FilmOptions) -> tuple[Scan, tuple[ListedShot, ...]]:
    """The scan with the shots of the options' list, or those that were found, and what is wanted of each.

    Of those that were found, those in color are left as they are if others are grey.
    """
    base = Fraction(*found.source.time_base)
    if options.shots is not None:
        listed = read_shots(Path(options.shots))
        return replace(found, shots=first_frames(listed, found.starts, base)), listed
    mixed = any(found.colored) and not all(found.colored) and not options.recolor
    times = (float(found.starts[first] * base) for first in found.shots)
    leaves = (mixed and colored for colored in found.colored)
    shots = (ListedShot(start=max(0.0, time), leave=leave) for time, leave in zip(times, leaves, strict=True))
    return found, tuple(shots)


def _left(shots: Sequence[ListedShot]) -> list[str]:
    """A note on shots that are kept as they are."""
    count = sum(shot.leave for shot in shots)
    return [f"{count} of {len(shots)} shots are kept as they are in the source, in color or not"] if count else []


def _repaired(options: FilmOptions) -> list[str]:
    """A note that luma is not the source's, where it is repaired."""
    return [f"repaired: {', '.join(options.repair)}, so luma is not the source's"] if options.repair else []


def _beginning(found: Scan, start: float | None) -> tuple[Scan, int]:
    """The scan with times that count from the first frame at or after second `start`, and that frame's index.

    Raises:
        OptionError: the film ends before.
    """
    if start is None:
        return found, 0
    base = Fraction(*found.source.time_base)
    first = bisect_left(found.starts, start / base)
    if first == len(found.starts):
        length = float((found.starts[-1] + found.durations[-1]) * base)
        raise OptionError(f"The film ends at {length:.2f} seconds, so there is nothing from {start:g} on.")
    shift = found.starts[first]
    moved = (tuple(time - shift for time in times) for times in (found.starts, found.offsets))
    starts, offsets = moved
    return replace(found, starts=starts, offsets=offsets), first


def _choose_render_factor(found: Scan, engine: Engine, settings: LookSettings, threads: int) -> int:
    """The factor `auto` takes for the whole film: the one for the middle frame of its longest shot."""
    ends = [*found.shots[1:], len(found.starts)]
    length, start = max((end - start, start) for start, end in zip(found.shots, ends, strict=True))
    middle = start + length // 2
    source = found.source
    _, luma = next(FrameReader(found, threads).read(middle, middle + 1))
    picture = shrink_luma(luma, source.coding, source.orientation, *source.display_size)
    return choose_render_factor(engine, picture, settings).render_factor


def with_look(options: FilmOptions) -> FilmOptions:
    """The options with the look of films filled in."""
    return options.replace(look=options.look or FILM_LOOK)
