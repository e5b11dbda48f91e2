"""Reels, the films that visitors send, and the jobs on them: what is kept of each on the disk.

A reel is a folder with a record, the upload and a folder for each job, so that a server that begins again finds them.
"""

from __future__ import annotations

import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from vintage_colorizer.clock import Clock
from vintage_colorizer.files import atomically
from vintage_colorizer.film.progress import Progress
from vintage_colorizer.film.records import of_json, to_json
from vintage_colorizer.serve.limits import Task

Container = Literal["mp4", "mkv", "mov", "webm"]
State = Literal["waiting", "coloring", "done", "failed"]
RECORD = "record.json"  # in the folder of a reel, and of a job


def new_id() -> str:
    """A name that nobody guesses, for a folder too."""
    return secrets.token_hex(16)


@dataclass
class JobRecord:
    """What is kept of a job."""

    id: str
    added: float  # seconds since 1970, as all times that are kept
    container: Container
    options: dict[str, Any]  # those of `FilmOptions` that are not left at their defaults
    state: State = "waiting"
    message: str = ""
    notes: tuple[str, ...] = ()
    ended: float | None = None


@dataclass
class ReelRecord:
    """What is kept of a reel."""

    id: str
    owner: str  # the visitor
    name: str  # for people; never a path
    size: int | None  # bytes; None as long as it is not known
    passing: bool  # sent for one job, and gone with it
    touched: float  # when something was last done with it


@dataclass
class Job:
    """A reel that is colored in some way."""

    reel: Reel
    record: JobRecord
    task: Task = field(default_factory=Task)
    progress: Progress | None = None
    clock: Clock = field(default_factory=Clock)

    @property
    def folder(self) -> Path:
        """Where its files lie."""
        return self.reel.folder / self.record.id

    @property
    def result(self) -> Path:
        """Where the colored film will lie."""
        return self.folder / f"result.{self.record.container}"

    @property
    def result_name(self) -> str:
        """What the colored film is called."""
        return f"{Path(self.reel.record.name).stem or 'film'}-color.{self.record.container}"

    @property
    def is_on_its_way(self) -> bool:
        """Whether it is still to be done."""
        return self.record.state in ("waiting", "coloring")

    def note(self, now: Progress) -> None:
        """Take in how far it is; stops the work if nobody wants it any more."""
        self.task.check()
        self.clock.note(now.done, now.total, now.stage)
        self.progress = now

    def seconds_left(self) -> float | None:
        """How long coloring will take, as far as can be told; the look through the film before says nothing of it."""
        now, left = self.progress, self.clock.seconds_left
        if self.record.state != "coloring" or now is None or now.stage != "coloring" or left is None:
            return None
        return round(left, 1)

    def save(self) -> None:
        """Keep its record."""
        _save(self.folder, self.record)


@dataclass
class Reel:
    """A film that was sent, or is being sent."""

    folder: Path
    record: ReelRecord
    jobs: dict[str, Job] = field(default_factory=dict)
    is_arriving: bool = False  # some request is sending it now

    @property
    def source(self) -> Path:
        """Where the upload lies."""
        return self.folder / "source"

    @property
    def received(self) -> int:
        """How many bytes of it are here."""
        return self.source.stat().st_size if self.source.exists() else 0

    @property
    def is_whole(self) -> bool:
        """Whether all of it is here."""
        return self.record.size is not None and self.received == self.record.size

    @property
    def keyframes(self) -> dict[float, Path]:
        """The stills in their right colors that were given for it, by their seconds."""
        return {float(path.stem.removeprefix("still-")): path for path in sorted(self.folder.glob("still-*.png"))}

    @property
    def colors(self) -> Path:
        """The folder for what networks said of it, for all its jobs."""
        return self.folder / "colors"

    def keyframe_at(self, seconds: float) -> Path:
        """Where the still of a second lies."""
        return self.folder / f"still-{seconds:.3f}.png"

    @property
    def idle_since(self) -> float:
        """When something was last done with it; in the future while a job is on its way."""
        if any(job.is_on_its_way for job in self.jobs.values()):
            return time.time() + 1
        return max([self.record.touched, *(job.record.ended or 0.0 for job in self.jobs.values())])

    def touch(self) -> None:
        """Note that something was done with it, and keep its record."""
        self.record.touched = time.time()
        _save(self.folder, self.record)

    def add_job(self, container: Container, options: dict[str, Any]) -> Job:
        """A new job, kept."""
        job = Job(self, JobRecord(new_id(), time.time(), container, options))
        job.save()
        self.jobs[job.record.id] = job
        return job

    def remove(self, job: Job) -> None:
        """Stop a job and forget it with all its files."""
        job.task.give_up()
        self.jobs.pop(job.record.id, None)
        if job.record.state != "coloring":  # else its own thread does it
            shutil.rmtree(job.folder, ignore_errors=True)


def load_reels(folder: Path) -> Iterator[Reel]:
    """The reels that an earlier server kept; jobs that it was stopped in wait again, and what is damaged is removed."""
    for path in sorted(folder.iterdir()):
        try:
            reel = Reel(path, of_json(ReelRecord, (path / RECORD).read_text(encoding="utf-8")))
        except (OSError, ValueError):
            with suppress(NotADirectoryError):
                shutil.rmtree(path, ignore_errors=True)
            continue
        records = [_load_job(one) for one in path.iterdir() if one.is_dir() and one != reel.colors]
        for record in sorted(filter(None, records), key=lambda one: one.added):
            if record.state == "coloring":
                record.state = "waiting"
            reel.jobs[record.id] = Job(reel, record)
        if reel.record.passing and not reel.jobs:  # its upload broke off, and cannot go on
            shutil.rmtree(path, ignore_errors=True)
        else:
            yield reel


def _load_job(folder: Path) -> JobRecord | None:
    try:
        return of_json(JobRecord, (folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        shutil.rmtree(folder, ignore_errors=True)
        return None


def _save(folder: Path, record: JobRecord | ReelRecord) -> None:
    with atomically(folder / RECORD) as file:
        file.write(to_json(record).encode())
