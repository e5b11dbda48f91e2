"""The work on a film, cut into segments that can be done in any order, by anyone, and kept.

A plan holds all that decides a result. A segment is a pure function of the plan and its range of
frames, so one made yesterday, or on another machine, fits beside one made today.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from filelock import FileLock, Timeout

from vintage_colorizer.containers import Piece, Times
from vintage_colorizer.encoding import Encoding
from vintage_colorizer.errors import OutputError, OutputExistsError
from vintage_colorizer.files import readable_name
from vintage_colorizer.film_source import Source, url
from vintage_colorizer.options import FilmOptions, Look
from vintage_colorizer.stability import REACH

SEGMENT_SECONDS = 10
SEGMENT_FRAMES = 600
LOCK_PATIENCE = 3.0  # seconds for the worker of a run that was just killed to notice


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


def identity(path: Path) -> str:
    """Size and time of a file, by which a changed one is noticed."""
    status = path.stat()
    return f"{status.st_size}:{status.st_mtime_ns}"


def film_fingerprint(path: Path, options: FilmOptions, network: str, threads: int, suffix: str) -> str:
    """32 hexadecimal digits that change with the source, the network, and any option that shapes the film."""
    shaping = options.model_dump(exclude={"weights", "engine", "device", "threads", "no_resume"})
    parts = [identity(path), network, threads, suffix, shaping]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]


class Workspace:
    """The folder beside a result in which finished segments wait for the rest."""

    def __init__(self, target: Path) -> None:
        """Name the folder; `locked` makes it."""
        self.target = target
        short = target.name.encode()[:200].decode(errors="ignore")
        self.folder = target.with_name(f".{short}.parts")
        self._lock = target.with_name(f".{short}.lock")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from the same result.

        Raises:
            OutputExistsError: another process is writing it.
        """
        lock = FileLock(self._lock)
        try:
            self.target.parent.mkdir(parents=True, exist_ok=True)
            lock.acquire(timeout=LOCK_PATIENCE)
        except Timeout:
            name = readable_name(self.target)
            raise OutputExistsError(f"{name} is being written by another process; wait for it.") from None
        except OSError as error:
            name = readable_name(self.target)
            raise OutputError(f"{name} cannot be written ({error.strerror}); choose another place with -o.") from error
        try:
            self.folder.mkdir(exist_ok=True)
            yield
        finally:
            with suppress(OSError):
                self.folder.rmdir()  # if nothing is in it
            self._lock.unlink(missing_ok=True)
            lock.release()

    def load(self, fingerprint: str, source: Path) -> Plan | None:
        """The plan an earlier run left, if it was for the same source and options; else everything is cleared."""
        try:
            plan = Plan.of_json((self.folder / "plan.json").read_text())
        except (OSError, ValueError, KeyError, TypeError):
            plan = None
        if plan is not None and plan.fingerprint == fingerprint:
            return replace(plan, source=replace(plan.source, path=str(source)))  # it may have been moved
        self.clear()
        self.folder.mkdir()
        return None

    def save(self, plan: Plan) -> None:
        """Keep a plan for later runs."""
        self._write("plan.json", plan.to_json())

    def shortage(self) -> str:
        """How much space the rest of the film needs, judged by the finished segments; empty if there is none."""
        sizes = {int(path.stem): path.stat().st_size for path in self.folder.glob("[0-9]*.mkv") if path.stem.isdigit()}
        try:
            plan = Plan.of_json((self.folder / "plan.json").read_text())
            frames = sum(plan.segments[index].stop - plan.segments[index].start for index in sizes)
            size = sum(sizes.values())
            needed = 2 * size * len(plan.starts) / frames - size  # all segments, and all once more when they are joined
        except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
            return ""
        return f"about {needed / 2**20:.0f} MiB are needed, "

    def clear(self) -> None:
        """Remove the folder and all in it."""
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def joined(self) -> Path:
        """Where the film is put together before it appears under its name."""
        return self.folder / f"joined{self.target.suffix}"

    def open_path(self, segment: Segment, attempt: str = "") -> Path:
        """Where a segment is written before it is finished; attempts by several machines have names of their own."""
        return self.folder / f"{segment.index:06d}.open{attempt}.mkv"

    def finish(self, segment: Segment, path: Path, facts: dict[str, Any]) -> None:
        """Verify a segment just written to `path` and keep it.

        Raises:
            OutputError: it does not hold every frame once.
        """
        delay = inspect(path, segment)
        _flush_to_disk(path)
        kept = {"sha256": _sha256(path), "delay": delay, **facts}
        os.replace(path, self._kept_path(segment))
        self._write(f"{segment.index:06d}.json", json.dumps(kept))

    def finished(self, segment: Segment) -> dict[str, Any] | None:
        """The facts about a segment if it is here and unharmed, else None."""
        try:
            facts: dict[str, Any] = json.loads((self.folder / f"{segment.index:06d}.json").read_text())
            return facts if facts["sha256"] == _sha256(self._kept_path(segment)) else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def piece(self, segment: Segment, facts: dict[str, Any]) -> Piece:
        """A finished segment, for joining."""
        return Piece(self._kept_path(segment), segment.start, facts["delay"])

    def appear(self) -> None:
        """Give the joined film its name, and clean up."""
        _flush_to_disk(self.joined)
        os.replace(self.joined, self.target)
        self.clear()

    def _kept_path(self, segment: Segment) -> Path:
        return self.folder / f"{segment.index:06d}.mkv"

    def _write(self, name: str, text: str) -> None:
        path = self.folder / f"{name}.new"
        path.write_text(text)
        _flush_to_disk(path)
        os.replace(path, self.folder / name)


def inspect(path: Path, segment: Segment) -> int:
    """Check that a segment file holds every frame once; return how many places early it decodes frames.

    Raises:
        OutputError: it does not.
    """
    with av.open(url(path)) as container:
        times = [packet.pts for packet in container.demux(video=0) if packet.size]
    order = [-1 if pts is None else pts for pts in times]
    if sorted(order) != list(range(segment.stop - segment.start)):
        raise OutputError(
            f"{readable_name(path)} came out wrong: it does not hold every frame once; try another --codec."
        )
    return max(place - pts for place, pts in enumerate(order))


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _flush_to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
