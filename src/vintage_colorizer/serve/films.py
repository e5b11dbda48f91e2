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
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send

from vintage_colorizer.clock import Clock
from vintage_colorizer.colorizer import Colorizer
from vintage_colorizer.errors import VintageColorizerError
from vintage_colorizer.files import FULL
from vintage_colorizer.film.job import FilmResult
from vintage_colorizer.film.progress import Progress
from vintage_colorizer.options import FilmOptions, FilmSettings
from vintage_colorizer.serve.answers import BODY, EVERYWHERE, failures
from vintage_colorizer.serve.limits import CLOSE, Task, receive_into
from vintage_colorizer.serve.service import BINARY, FILM_BODY, Service, require_each_once

log = logging.getLogger("vintage_colorizer")

Container = Literal["mp4", "mkv", "mov", "webm"]
TYPES: dict[Container, str] = {
    "mp4": "video/mp4",
    "mkv": "video/x-matroska",
    "mov": "video/quicktime",
    "webm": "video/webm",
}
MOST_JOBS = 32
MOST_JOBS_OF_A_VISITOR = 8
SWEEP_SECONDS = 60.0
LONGEST_NAME = 200
NO_ROOM = "The server has too little room for a film."
State = Literal["waiting", "coloring", "done", "failed"]


class Seen(BaseModel):
    """What the owner of a film is told of it."""

    id: str
    name: str
    state: State
    stage: str | None = Field(examples=["coloring"])
    frames_done: int
    frames: int | None
    seconds_left: float | None
    message: str
    notes: list[str]
    result: str | None = Field(description="Where the colored film is, once it is done.")
    result_name: str | None


@dataclass
class Job:
    """A film on its way."""

    owner: str
    name: str  # of the upload, for people; never a path
    container: Container
    options: FilmOptions
    folder: Path
    id: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    task: Task = field(default_factory=Task)
    state: State = "waiting"
    progress: Progress | None = None
    clock: Clock = field(default_factory=Clock)
    message: str = ""
    notes: tuple[str, ...] = ()
    received: bool = False  # all of its upload; nobody sees it before
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
        self.clock.note(now.done, now.total, now.stage)
        self.progress = now

    def seconds_left(self) -> float | None:
        """How long coloring will take, as far as can be told; the look through the film before says nothing of it."""
        now = self.progress
        left = self.clock.seconds_left
        if self.state != "coloring" or now is None or now.stage != "coloring" or left is None:
            return None
        return round(left, 1)

    def seen(self) -> Seen:
        """What its owner is told."""
        now = self.progress
        done = self.state == "done"
        return Seen(
            id=self.id,
            name=self.name,
            state=self.state,
            stage=now.stage if now and self.state == "coloring" else None,
            frames_done=now.done if now else 0,
            frames=now.total if now else None,
            seconds_left=self.seconds_left(),
            message=self.message,
            notes=list(self.notes),
            result=f"api/jobs/{self.id}/result" if done else None,
            result_name=self.result_name if done else None,
        )


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

    async def add(self, request: Request, name: str, container: Container, options: FilmOptions) -> Job:
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
        except BaseException as error:
            self.remove(job)
            if isinstance(error, OSError) and error.errno in FULL:
                raise HTTPException(507, NO_ROOM, CLOSE) from error
            raise
        job.received = True
        self._pool.submit(self._color, job)
        return job

    def _admit(self, job: Job, max_bytes: int) -> None:
        with self._lock:
            own = sum(one.owner == job.owner for one in self._jobs.values())
            if own >= MOST_JOBS_OF_A_VISITOR or len(self._jobs) >= MOST_JOBS:
                message = "There are too many films; remove one that is done, or wait."
                raise HTTPException(503, message, {"Retry-After": "60", **CLOSE})
            if shutil.disk_usage(self._folder).free < 3 * max_bytes:  # the film, its segments, its result
                raise HTTPException(507, NO_ROOM, CLOSE)
            self._jobs[job.id] = job

    def find(self, request: Request, id: str) -> Job:
        """A job of this visitor. Raises HTTPException 404 for all others, whether they exist or not."""
        job = self._jobs.get(id)
        if job is None or not job.received or not secrets.compare_digest(job.owner, request.state.visitor):
            raise HTTPException(404, "There is no such film, or no longer.")
        return job

    def of(self, request: Request) -> list[Job]:
        """The jobs of this visitor, oldest first."""
        return [job for job in list(self._jobs.values()) if job.received and job.owner == request.state.visitor]

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


class FilmQuery(FilmSettings):
    """What a film is to become."""

    name: str = Field("film", description="What the film is called; only shown.", examples=["reel.mp4"])
    container: Container = Field("mp4", description="The kind of file of the result.")


class Film(FileResponse):
    """A colored film, or a part of it; what its file cannot give is refused in the one form of errors."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""

        async def send_film(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400:
                size = Headers(raw=message["headers"]).get("content-range", "").rpartition("/")[2]
                told = {"Content-Range": f"bytes */{size}"} if size else None
                raise HTTPException(message["status"], "The film has no such range.", told)
            await send(message)

        method = "HEAD" if scope.get("head") else scope["method"]  # of a head, nothing is read from the disk
        await super().__call__({**scope, "method": method}, receive, send_film)


FILM = {"content": dict.fromkeys(TYPES.values(), BINARY)}
FILM_ANSWERS: dict[int | str, dict[str, Any]] = {
    200: FILM | {"description": "The colored film."},
    206: FILM | {"description": "The range asked for."},
    **failures(400, 404, 409, 416),
}


def routes(service: Service, jobs: Jobs) -> APIRouter:
    """The endpoints for films."""
    router = APIRouter(prefix="/api", responses=failures(*EVERYWHERE))

    @router.post(
        "/film",
        status_code=202,
        responses=failures(*BODY, 507),
        dependencies=[Depends(require_each_once)],
        openapi_extra=FILM_BODY,
    )
    async def film(request: Request, query: Annotated[FilmQuery, Query()]) -> Seen:
        """Color a film: send the file as the body; the answer is a job to ask about."""
        name = "".join(character for character in query.name if character.isprintable())[:LONGEST_NAME]
        options = FilmOptions.of(device=service.options.device, **query.part(FilmSettings))
        job = await jobs.add(request, name or "film", query.container, options)
        return job.seen()

    @router.get("/jobs")
    async def all_jobs(request: Request) -> list[Seen]:
        """Your films; whose they are is known by the cookie."""
        return [job.seen() for job in jobs.of(request)]

    @router.get("/jobs/{id}", responses=failures(404))
    async def one_job(request: Request, id: str) -> Seen:
        """How far a film is."""
        return jobs.find(request, id).seen()

    @router.get("/jobs/{id}/result", response_class=Response, responses=FILM_ANSWERS)
    async def result(request: Request, id: str) -> Response:
        """The colored film."""
        job = jobs.find(request, id)
        if job.state != "done":
            raise HTTPException(409, job.message or "The film is not done yet.")
        if "," in request.headers.get("range", ""):
            raise HTTPException(416, "Ask for one range at a time.")
        return Film(job.result, media_type=TYPES[job.container], filename=job.result_name)

    @router.delete("/jobs/{id}", status_code=204, responses=failures(404))
    async def remove(request: Request, id: str) -> None:
        """Stop a film, or remove one that is done, with all its files."""
        jobs.remove(jobs.find(request, id))

    return router
