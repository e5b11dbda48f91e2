"""The work on a film, cut into segments that can be done in any order, by anyone, and kept.

A plan holds all that decides a result. A segment is a pure function of the plan and its range of
frames, so one made yesterday, or on another machine, fits beside one made today.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
from filelock import FileLock, Timeout

from vintage_colorizer.errors import OutputError, OutputExistsError
from vintage_colorizer.files import readable_name
from vintage_colorizer.film.plan import Piece, Plan, Segment
from vintage_colorizer.film.source import url

LOCK_PATIENCE = 3.0  # seconds for the worker of a run that was just killed to notice


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
            raise OutputExistsError("is being written by another process; wait for it.", name) from None
        except OSError as error:
            name = readable_name(self.target)
            raise OutputError(f"cannot be written ({error.strerror}); choose another place with -o.", name) from error
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
            "came out wrong: it does not hold every frame once; try another --codec.", readable_name(path)
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
