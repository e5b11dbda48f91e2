"""The work on a film, cut into segments that can be done in any order, by anyone, and kept.

A plan holds all that decides a result. A segment is a pure function of the plan and its range of
frames, so one made yesterday, or on another machine, fits beside one made today.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

import av

from vintage_colorizer.errors import MissingError, OutputError, OutputExistsError
from vintage_colorizer.files import locked, readable_name, sha256_of
from vintage_colorizer.film.encoding import place_of
from vintage_colorizer.film.plan import Piece, Plan, Segment
from vintage_colorizer.film.records import of_json, to_json
from vintage_colorizer.film.source import url

LOCK_PATIENCE = 3.0  # seconds for the worker of a run that was just killed to notice


@dataclass(frozen=True)
class Facts:
    """What is kept beside a finished segment."""

    sha256: str  # of its file
    delay: int  # how many places early it decodes frames
    chroma: float  # mean strength of its color


class Workspace:
    """The folder beside a result in which finished segments wait for the rest."""

    def __init__(self, target: Path) -> None:
        """Name the folder; `locked` makes it."""
        self.target = target
        short = target.name.encode()[:200].decode(errors="ignore")
        self.folder = target.with_name(f".{short}.parts")
        self._lock = target.with_name(f".{short}.lock")
        self._finished: dict[int, Facts] = {}  # of segments whose files were hashed by this run

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from the same result.

        Raises:
            OutputExistsError: another process is writing it.
        """
        name = readable_name(self.target)
        with ExitStack() as held:
            try:
                self.target.parent.mkdir(parents=True, exist_ok=True)
                held.enter_context(locked(self._lock, LOCK_PATIENCE))
                self.folder.mkdir(exist_ok=True)
            except TimeoutError:
                raise OutputExistsError("is being written by another process; wait for it.", name) from None
            except OSError as error:
                why = error.strerror or error
                raise OutputError(f"cannot be written ({why}); choose another place with -o.", name) from error
            try:
                yield
            finally:
                with suppress(OSError):
                    self.folder.rmdir()  # if nothing is in it

    def load(self, fingerprint: str, source: Path) -> Plan | None:
        """The plan an earlier run left, if it was for the same source and options; else all but colors is cleared."""
        try:
            plan = self._plan()
        except (OSError, ValueError):
            plan = None
        if plan is not None and plan.fingerprint == fingerprint:
            return replace(plan, source=replace(plan.source, path=str(source)))  # it may have been moved
        self._finished.clear()
        for path in self.folder.iterdir():
            if path.is_file():
                path.unlink()
        return None

    def save(self, plan: Plan) -> None:
        """Keep a plan for later runs."""
        self._write("plan.json", to_json(plan))

    def newest(self) -> Path | None:
        """The file of the last finished segment, if there is one."""
        return max((path.with_suffix(".mkv") for path in self.folder.glob("[0-9]*.json")), default=None)

    def shortage(self) -> str:
        """How much space the rest of the film needs, judged by the finished segments; empty if there is none."""
        sizes = {int(path.stem): path.stat().st_size for path in self.folder.glob("[0-9]*.mkv") if path.stem.isdigit()}
        try:
            plan = self._plan()
            frames = sum(plan.segments[index].stop - plan.segments[index].start for index in sizes)
            size = sum(sizes.values())
            needed = 2 * size * plan.frames / frames - size  # all segments, and all once more when they are joined
        except (OSError, ValueError, IndexError, ZeroDivisionError):
            return ""
        return f"about {needed / 2**20:.0f} MiB are needed, "

    def clear(self) -> None:
        """Remove the folder and all in it."""
        self._finished.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def colors(self) -> Path:
        """The folder for what the network said, unless the options name another; it serves other options too."""
        return self.folder / "colors"

    @property
    def joined(self) -> Path:
        """Where the film is put together before it appears under its name."""
        return self.folder / f"joined{self.target.suffix}"

    def open_path(self, segment: Segment, attempt: str = "") -> Path:
        """Where a segment is written before it is finished; attempts by several machines have names of their own."""
        return self.folder / f"{segment.index:06d}.open{attempt}.mkv"

    def finish(self, segment: Segment, path: Path, chroma: float) -> None:
        """Verify a segment just written to `path` and keep it.

        Raises:
            OutputError: it does not hold every frame once.
        """
        delay = inspect(path, segment)
        _flush_to_disk(path)
        facts = Facts(sha256_of(path), delay, chroma)
        os.replace(path, self._kept_path(segment))
        self._write(f"{segment.index:06d}.json", to_json(facts))
        self._finished[segment.index] = facts

    def finished(self, segment: Segment) -> Facts | None:
        """The facts about a segment if it is here and unharmed, else None; a file is hashed once a run."""
        if segment.index not in self._finished:
            try:
                facts = of_json(Facts, (self.folder / f"{segment.index:06d}.json").read_text())
                if facts.sha256 == sha256_of(self._kept_path(segment)):
                    self._finished[segment.index] = facts
            except (OSError, ValueError, MissingError):
                pass
        return self._finished.get(segment.index)

    def piece(self, segment: Segment, facts: Facts) -> Piece:
        """A finished segment, for joining."""
        return Piece(self._kept_path(segment), segment.start, facts.delay)

    def appear(self) -> None:
        """Give the joined film its name, and clean up."""
        _flush_to_disk(self.joined)
        os.replace(self.joined, self.target)
        self.clear()

    def _plan(self) -> Plan:
        return of_json(Plan, (self.folder / "plan.json").read_text())

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
        order = [place_of(packet) for packet in container.demux(video=0) if packet.size]
    if sorted(order) != list(range(segment.stop - segment.start)):
        raise OutputError(
            "came out wrong: it does not hold every frame once; try another --codec.", readable_name(path)
        )
    return max(place - pts for place, pts in enumerate(order))


def _flush_to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())
