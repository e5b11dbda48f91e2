"""What is decided about a film before its first frame is colored."""

from __future__ import annotations

import hashlib
import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from fractions import Fraction
from pathlib import Path

from vintage_colorizer.files import identity
from vintage_colorizer.film.encoding import Encoding
from vintage_colorizer.film.planes import shrink_luma
from vintage_colorizer.film.progress import Progress, Report
from vintage_colorizer.film.scan import Scan, scan
from vintage_colorizer.film.source import FrameReader, Source, luma_plane
from vintage_colorizer.film.stability import REACH
from vintage_colorizer.networks.catalog import FILM_LOOK, LookSettings
from vintage_colorizer.networks.engines import Engine
from vintage_colorizer.networks.inference import (
    Networks,
    choose_render_factor,
    settings_of,
)
from vintage_colorizer.options import FilmOptions, FilmSettings, Look

SEGMENT_SECONDS = 10
SEGMENT_FRAMES = 600


@dataclass(frozen=True)
class Times:
    """When frames are shown, in units of `base` seconds."""

    base: Fraction
    starts: Sequence[int]
    durations: Sequence[int]

    def decode_times(self, delay: int) -> Iterator[int]:
        """The decoding times of packets in file order, for frames that are decoded up to `delay` places early."""
        step = self.durations[0] if self.durations else 1
        yield from (self.starts[0] - step * early for early in range(delay, 0, -1))
        yield from self.starts


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
    identity: str  # of the source file, see `identity`
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
    starts: tuple[int, ...]  # as the result has them: they only increase
    durations: tuple[int, ...]
    notes: tuple[str, ...]

    @property
    def times(self) -> Times:
        """When frames are shown."""
        return Times(Fraction(*self.source.time_base), self.starts, self.durations)

    def reach(self, segment: Segment) -> tuple[int, int]:
        """The range of frames whose colors the segment's depend on: some to either side, in the same shots."""
        first_shot = self.shots[bisect_right(self.shots, segment.start) - 1]
        after_last = bisect_left(self.shots, segment.stop)
        end = self.shots[after_last] if after_last < len(self.shots) else len(self.starts)
        return max(first_shot, segment.start - REACH), min(end, segment.stop + REACH)

    def to_json(self) -> str:
        """As text that `of_json` reads."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        values["source"], values["encoding"] = self.source.values(), self.encoding.values()
        values["options"] = self.options.model_dump()
        values["segments"] = [asdict(one) for one in self.segments]
        return json.dumps(values)

    @classmethod
    def of_json(cls, text: str) -> Plan:
        """Read what `to_json` wrote."""
        values = json.loads(text)
        lists = {name: tuple(value) for name, value in values.items() if isinstance(value, list)}
        lists["segments"] = tuple(Segment(**one) for one in values["segments"])
        parts = {
            "source": Source.of_values(values["source"]),
            "encoding": Encoding.of_values(values["encoding"]),
            "options": FilmOptions.of(**values["options"]),
        }
        return cls(**{**values, **lists, **parts})


def cut(
    starts: tuple[int, ...], durations: tuple[int, ...], base: Fraction, shots: tuple[int, ...]
) -> Iterator[Segment]:
    """Divide a film into segments of at most SEGMENT_SECONDS that begin at shots where they can."""
    longest = int(SEGMENT_SECONDS / base)
    begin, index = 0, 0
    while begin < len(starts):
        limit = bisect_right(starts, starts[begin] + longest - durations[begin], begin)
        limit = max(begin + 1, min(limit, begin + SEGMENT_FRAMES))
        if limit < len(starts):
            last_shot = shots[bisect_right(shots, limit) - 1]
            limit = last_shot if last_shot > begin else limit
        yield Segment(index, begin, limit)
        begin, index = limit, index + 1


def film_fingerprint(path: Path, options: FilmOptions, network: str, threads: int, suffix: str) -> str:
    """32 hexadecimal digits that change with the source, the network, and any option that shapes the film."""
    shaping = options.model_dump(include=FilmSettings.model_fields.keys() - {"no_resume"})
    parts = [identity(path), network, threads, suffix, shaping]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


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


def with_look(options: FilmOptions) -> FilmOptions:
    """The options with the look of films filled in."""
    return options.replace(look=options.look or FILM_LOOK)
