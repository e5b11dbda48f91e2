"""Films over HTTP: an upload becomes a job, jobs are done one after the other, results wait for their owner.

Everything lies in one temporary folder under names of our own, and is removed when its owner says so, when its
time is over, or when the server ends. A job can only be seen by the visitor (the cookie) who made it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse

from vintage_colorizer.colorizer import Colorizer
from vintage_colorizer.errors import OptionError, VintageColorizerError
from vintage_colorizer.film.job import FilmResult
from vintage_colorizer.film.progress import Progress
from vintage_colorizer.options import FilmOptions
from vintage_colorizer.serve.limits import CLOSE, Task, receive_into
from vintage_colorizer.serve.service import Service, documented, query_parameter

log = logging.getLogger("vintage_colorizer")

TYPES = {"mp4": "video/mp4", "mkv": "video/x-matroska", "mov": "video/quicktime", "webm": "video/webm"}
MOST_JOBS = 32
MOST_JOBS_OF_A_VISITOR = 8
SWEEP_SECONDS = 60.0
LONGEST_NAME = 200
State = Literal["waiting", "coloring", "done", "failed"]


@dataclass
class Job:
    """A film on its way."""

    owner: str
    name: str  # of the upload, for people; never a path
    container: str
    options: FilmOptions
    folder: Path
    id: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    task: Task = field(default_factory=Task)
    state: State = "waiting"
    progress: Progress | None = None
    stage_start: tuple[float, int] = (0.0, 0)  # when the present stage began, and at which frame
    message: str = ""
    notes: tuple[str, ...] = ()
    ended: float | None = None

    @property
    def source(self) -> Path:
        """Where the upload lies."""
        return self.folder / "source"

    @property
    def result(self) -> Path:
        """Where the colored film will lie."""
        return self.folder / f"result.{self.container}"

    @property
    def result_name(self) -> str:
        """What the colored film is called."""
        return f"{Path(self.name).stem or 'film'}-color.{self.container}"

    def note(self, now: Progress) -> None:
        """Take in how far it is; stops the work if nobody wants it any more."""
        self.task.check()
        if self.progress is None or now.stage != self.progress.stage:
            self.stage_start = time.monotonic(), now.done
        self.progress = now

    def seconds_left(self) -> float | None:
        """How long coloring will take, as far as can be told; the look through the film before says nothing of it."""
        now = self.progress
        start, first = self.stage_start
        if self.state != "coloring" or now is None or now.stage != "coloring" or not now.total or now.done <= first:
            return None
        return round((now.total - now.done) * (time.monotonic() - start) / (now.done - first), 1)

    def seen(self) -> dict[str, Any]:
        """What its owner is told."""
        now = self.progress
        done = self.state == "done"
        return {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "stage": now.stage if now and self.state == "coloring" else None,
            "frames_done": now.done if now else 0,
            "frames": now.total if now else None,
            "seconds_left": self.seconds_left(),
            "message": self.message,
            "notes": self.notes,
            "result": f"api/jobs/{self.id}/result" if done else None,
            "result_name": self.result_name if done else None,
        }


class Jobs:
    """All films of all visitors."""

    def __init__(self, colorizer: Colorizer, max_bytes: int, keep_seconds: float) -> None:
        """Start with none, in a new folder only we can read."""
        self._colorizer = colorizer
        self._max_bytes = max_bytes
        self._keep_seconds = keep_seconds
        self._folder = Path(tempfile.mkdtemp(prefix="vintage-colorizer-"))
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="film")
        self._jobs: dict[str, Job] = {}
        self._lock = threading.Lock()

    async def add(self, request: Request, name: str, container: str, options: FilmOptions) -> Job:
        """Receive a film and line it up.

        Raises:
            HTTPException: 503 too many jobs, 507 no room on the disk; or as `receive_into`.
        """
        job = Job(request.state.visitor, name, container, options, self._folder / secrets.token_hex(16))
        declared = int(request.headers.get("content-length", self._max_bytes))
        self._admit(job, min(declared, self._max_bytes))
        try:
            job.folder.mkdir()
            with open(job.source, "wb") as file:
                await receive_into(file, request, self._max_bytes)
        except BaseException:
            self.remove(job)
            raise
        self._pool.submit(self._color, job)
        return job

    def _admit(self, job: Job, max_bytes: int) -> None:
        with self._lock:
            own = sum(one.owner == job.owner for one in self._jobs.values())
            if own >= MOST_JOBS_OF_A_VISITOR or len(self._jobs) >= MOST_JOBS:
                message = "There are too many films; remove one that is done, or wait."
                raise HTTPException(503, message, {"Retry-After": "60", **CLOSE})
            if shutil.disk_usage(self._folder).free < 3 * max_bytes:  # the film, its segments, its result
                raise HTTPException(507, "The server has too little room for a film.", CLOSE)
            self._jobs[job.id] = job

    def find(self, request: Request, id: str) -> Job:
        """A job of this visitor. Raises HTTPException 404 for all others, whether they exist or not."""
        job = self._jobs.get(id)
        if job is None or not secrets.compare_digest(job.owner, request.state.visitor):
            raise HTTPException(404, "There is no such film, or no longer.")
        return job

    def of(self, request: Request) -> list[Job]:
        """The jobs of this visitor, oldest first."""
        return [job for job in list(self._jobs.values()) if job.owner == request.state.visitor]

    def remove(self, job: Job) -> None:
        """Stop a job and forget it and its files."""
        job.task.give_up()
        self._jobs.pop(job.id, None)
        if job.state != "coloring":  # else its own thread does it
            shutil.rmtree(job.folder, ignore_errors=True)

    def _color(self, job: Job) -> None:
        """Do a job; runs in the thread for films."""
        try:
            job.task.check()
            job.state = "coloring"
            result: FilmResult = self._colorizer.film(job.source, job.result, job.options, progress=job.note)
            job.task.check()
            job.notes, job.state = result.notes, "done"
        except VintageColorizerError as error:
            names = {str(job.source): job.name, str(job.result): job.result_name}
            job.message = str(error.about(names.get(error.subject or "", error.subject)))
            job.state = "failed"
        except BaseException as error:
            log.debug("%s", job.id, exc_info=error)
            job.message, job.state = "Something went wrong in the server; its log says what.", "failed"
        finally:
            job.ended = time.monotonic()
            if job.id not in self._jobs:
                shutil.rmtree(job.folder, ignore_errors=True)

    async def sweep(self) -> None:
        """Now and then, remove what nobody fetched in time."""
        while True:
            await asyncio.sleep(min(SWEEP_SECONDS, self._keep_seconds))
            for job in list(self._jobs.values()):
                if job.ended is not None and time.monotonic() - job.ended > self._keep_seconds:
                    self.remove(job)

    def close(self) -> None:
        """Stop everything and remove all files."""
        for job in list(self._jobs.values()):
            job.task.give_up()
        self._pool.shutdown(cancel_futures=True)
        shutil.rmtree(self._folder, ignore_errors=True)


@asynccontextmanager
async def kept_clean(jobs: Jobs) -> AsyncIterator[None]:
    """Sweep while the server runs; leave nothing behind."""
    sweeping = asyncio.create_task(jobs.sweep())
    try:
        yield
    finally:
        sweeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sweeping
        await asyncio.to_thread(jobs.close)


EXAMPLE = {
    "id": "Zk3v...",
    "name": "reel.mp4",
    "state": "coloring",
    "stage": "coloring",
    "frames_done": 310,
    "frames": 1500,
    "seconds_left": 41.5,
    "message": "",
    "notes": [],
    "result": None,
    "result_name": None,
}
SEEN: dict[int | str, dict[str, Any]] = {200: {"content": {"application/json": {"example": EXAMPLE}}}}


def add_films(app: FastAPI, service: Service, jobs: Jobs) -> None:
    """Add the endpoints for films."""
    name = query_parameter("name", "What the film is called; only shown.", {"type": "string"}, "reel.mp4")
    kinds = {"type": "string", "enum": list(TYPES), "default": "mp4"}
    container = query_parameter("container", "The kind of file of the result.", kinds)
    described = documented("The job.", FilmOptions, SEEN[200]["content"], name, container)
    del described["openapi_extra"]["requestBody"]["content"]["multipart/form-data"]

    @app.post("/api/film", status_code=202, **described)
    async def film(request: Request) -> Any:
        """Color a film: send the file as the body; the answer is a job to ask about."""
        job = await jobs.add(request, *film_options(request, service))
        return JSONResponse(job.seen(), 202)

    @app.get("/api/jobs")
    async def all_jobs(request: Request) -> list[dict[str, Any]]:
        """Your films; whose they are is known by the cookie."""
        return [job.seen() for job in jobs.of(request)]

    @app.get("/api/jobs/{id}", responses=SEEN)
    async def one_job(request: Request, id: str) -> dict[str, Any]:
        """How far a film is."""
        return jobs.find(request, id).seen()

    @app.get("/api/jobs/{id}/result", response_class=Response)
    async def result(request: Request, id: str) -> Response:
        """The colored film."""
        job = jobs.find(request, id)
        if job.state != "done":
            raise HTTPException(409, job.message or "The film is not done yet.")
        if "," in request.headers.get("range", ""):
            raise HTTPException(416, "Ask for one range at a time.")
        return FileResponse(job.result, media_type=TYPES[job.container], filename=job.result_name)

    @app.delete("/api/jobs/{id}", status_code=204)
    async def remove(request: Request, id: str) -> None:
        """Stop a film, or remove one that is done, with all its files."""
        jobs.remove(jobs.find(request, id))


def film_options(request: Request, service: Service) -> tuple[str, str, FilmOptions]:
    """Name, container and options in a query, all checked."""
    values = {"name": "film", "container": "mp4"}
    rest = []
    for key, value in request.query_params.multi_items():
        if key in values:
            values[key] = value
        else:
            rest.append((key, value))
    if values["container"] not in TYPES:
        raise OptionError(f"container cannot be {values['container'][:20]!r}; it can be {', '.join(TYPES)}.")
    shown = "".join(character for character in values["name"] if character.isprintable())[:LONGEST_NAME]
    options = service.options_of(rest, FilmOptions, device=service.options.device)
    return shown or "film", values["container"], options
