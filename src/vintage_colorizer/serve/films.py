"""The films of all visitors: how they arrive, are looked into, are colored one after the other, and go.

Everything lies in one folder under names of our own. It outlives the server: what was begun goes on when a server
begins again there. A reel is removed when its owner says so, or when nobody did anything with it for long enough.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import logging
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

from fastapi import Request
from PIL import Image
from starlette.exceptions import HTTPException

from vintage_colorizer.color import eight_bit
from vintage_colorizer.colorizer import Colorizer
from vintage_colorizer.errors import OptionError, VintageColorizerError
from vintage_colorizer.files import FULL, atomically, locked
from vintage_colorizer.film.glimpse import Glimpse
from vintage_colorizer.film.process import glimpse_in_worker
from vintage_colorizer.film.workspace import Workspace
from vintage_colorizer.networks import weights
from vintage_colorizer.options import FilmOptions, ServeOptions
from vintage_colorizer.photo.picture import Photo
from vintage_colorizer.serve.limits import CLOSE, GivenUp, receive_into
from vintage_colorizer.serve.reels import Container, Job, Reel, ReelRecord, load_reels, new_id

log = logging.getLogger("vintage_colorizer")

MOST_REELS = 32
MOST_OF_A_VISITOR = 8  # reels, and jobs on one of them
SWEEP_SECONDS = 60.0
LONGEST_NAME = 200
LOOKS_AT_ONCE = 2  # processes that look for a frame
NO_ROOM = "The server has too little room for a film."


class Films:
    """All reels and jobs of all visitors, kept in a folder that no other server uses meanwhile."""

    def __init__(self, colorizer: Colorizer, options: ServeOptions) -> None:
        """Take the folder, and go on with what an earlier server left in it.

        Raises:
            OptionError: the folder cannot be used, or another server uses it.
        """
        self._colorizer = colorizer
        self._device = options.device
        self._max_bytes = int(options.max_film_megabytes * 1e6)
        self._keep_seconds = options.keep_hours * 3600
        self._held = ExitStack()
        self._folder = self._held.enter_context(_own_folder(options.films))
        self._coloring = ThreadPoolExecutor(1, thread_name_prefix="film")
        self._looking = ThreadPoolExecutor(LOOKS_AT_ONCE, thread_name_prefix="glimpse")
        self._reels = {reel.record.id: reel for reel in load_reels(self._folder)}
        self._lock = threading.Lock()
        waiting = [job for reel in self._reels.values() for job in reel.jobs.values() if job.is_on_its_way]
        for job in sorted(waiting, key=lambda one: one.record.added):
            self._coloring.submit(self._color, job)

    # --- Arriving ---------------------------------------------------------------------------------------

    def begin(self, request: Request, name: str, size: int | None, *, passing: bool = False) -> Reel:
        """A new reel whose bytes are still to come.

        Raises:
            HTTPException: 413 too large, 503 too many, 507 no room on the disk.
        """
        if size is not None and size > self._max_bytes:
            raise HTTPException(413, f"The film is over the server's limit of {self._max_bytes / 1e6:.0f} MB.", CLOSE)
        with self._lock:
            own = sum(reel.record.owner == request.state.visitor for reel in self._reels.values())
            if own >= MOST_OF_A_VISITOR or len(self._reels) >= MOST_REELS:
                raise _too_many("There are too many films; remove one that is done, or wait.")
            if shutil.disk_usage(self._folder).free < 3 * (size or self._max_bytes):  # the film, segments, result
                raise HTTPException(507, NO_ROOM, CLOSE)
            shown = "".join(character for character in name if character.isprintable())[:LONGEST_NAME]
            record = ReelRecord(new_id(), request.state.visitor, shown or "film", size, passing, time.time())
            reel = Reel(self._folder / record.id, record)
            self._reels[record.id] = reel
        try:
            reel.touch()
        except VintageColorizerError:
            self.remove(reel)
            raise
        return reel

    async def receive(self, reel: Reel, request: Request, offset: int = 0) -> None:
        """Take in the body of a request, which begins at `offset` of the film; what has come stays if it ends early.

        Raises:
            HTTPException: 409 it is not at `offset`, or arrives already; 413 it is too much; 507 the disk is full; or
                as `receive_into`.
        """
        if reel.is_arriving or offset != reel.received:
            raise HTTPException(409, f"The server has {reel.received} bytes of the film; go on from there.", CLOSE)
        size = self._max_bytes if reel.record.size is None else reel.record.size
        reel.is_arriving = True
        try:
            with open(reel.source, "ab") as file:
                await receive_into(file, request, size - offset)
            if reel.record.id not in self._reels:
                raise HTTPException(404, "The film was removed meanwhile.", CLOSE)
            if reel.received > size:
                os.truncate(reel.source, offset)
                raise HTTPException(413, f"More was sent than the {size} bytes of the film.", CLOSE)
            reel.record.size = reel.received if reel.record.size is None else reel.record.size
            reel.touch()
        except OSError as error:
            if error.errno in FULL:
                raise HTTPException(507, NO_ROOM, CLOSE) from error
            raise
        finally:
            reel.is_arriving = False

    # --- Finding ----------------------------------------------------------------------------------------

    def reel(self, request: Request, id: str) -> Reel:
        """A reel of this visitor. Raises HTTPException 404 for all others, whether they exist or not."""
        reel = self._reels.get(id)
        if reel is None or not secrets.compare_digest(reel.record.owner, request.state.visitor):
            raise HTTPException(404, "There is no such film, or no longer.")
        return reel

    def job(self, request: Request, id: str) -> Job:
        """A job of this visitor. Raises as `reel`."""
        for job in self.jobs_of(request):
            if job.record.id == id:
                return job
        raise HTTPException(404, "There is no such film, or no longer.")

    def reels_of(self, request: Request) -> list[Reel]:
        """The reels of this visitor, oldest first."""
        return [reel for reel in list(self._reels.values()) if reel.record.owner == request.state.visitor]

    def jobs_of(self, request: Request) -> list[Job]:
        """The jobs of this visitor, oldest first."""
        jobs = [job for reel in self.reels_of(request) for job in list(reel.jobs.values())]
        return sorted(jobs, key=lambda one: one.record.added)

    # --- Working ----------------------------------------------------------------------------------------

    async def glimpse(self, reel: Reel, seconds: float) -> Glimpse:
        """The frame of a film at a time, in grey.

        Raises:
            HTTPException: 409 the film is not here yet.
            VintageColorizerError: it cannot be read.
        """
        _require_whole(reel)
        return await self._look(reel, reel.source, seconds, False)

    async def picture(self, job: Job) -> Glimpse:
        """A frame of a film that is being colored, in its new colors: the first of the segment finished last.

        Raises:
            HTTPException: 409 there is none yet, or no longer.
        """
        segment = Workspace(job.result).newest()
        if segment is None:
            raise HTTPException(409, "There is no picture of it yet, or no longer.")
        return await self._look(job.reel, segment, 0.0, True)

    async def _look(self, reel: Reel, path: Path, seconds: float, colored: bool) -> Glimpse:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._looking, glimpse_in_worker, path, seconds, colored)
        except VintageColorizerError as error:
            if not path.exists():  # the film was finished, or removed, meanwhile
                raise HTTPException(409, "There is no picture of it any more.") from error
            raise error.about(reel.record.name) from error

    def keep_still(self, reel: Reel, seconds: float, photo: Photo) -> None:
        """Keep a picture in its right colors, which jobs begun later follow in its shot."""
        _require_whole(reel)
        with atomically(reel.keyframe_at(seconds)) as file:
            still = io.BytesIO()
            Image.fromarray(eight_bit(photo.pixels)).save(still, "PNG")
            file.write(still.getvalue())
        reel.touch()

    def start(self, reel: Reel, container: Container, options: FilmOptions) -> Job:
        """Line up a job.

        Raises:
            HTTPException: 409 the film is not here yet, 503 there are too many jobs on it.
        """
        _require_whole(reel)
        stills = tuple(f"{seconds}={path}" for seconds, path in reel.keyframes.items())
        kept = options.replace(keyframes=stills).model_dump(mode="json", exclude_defaults=True, exclude={"device"})
        with self._lock:
            if len(reel.jobs) >= MOST_OF_A_VISITOR:
                raise _too_many("There are too many results of this film; remove one.")
            job = reel.add_job(container, kept)
        self._coloring.submit(self._color, job)
        return job

    def _color(self, job: Job) -> None:
        """Do a job; runs in the thread for films."""
        record = job.record
        try:
            job.task.check()
            record.state = "coloring"
            options = FilmOptions.of(**record.options, device=self._device, colors=str(job.reel.colors))
            result = self._colorizer.film(job.reel.source, job.result, options, progress=job.note)
            job.task.check()
            record.notes, record.state = result.notes, "done"
        except GivenUp:  # removed, or the server ends and the next one goes on
            record.state = "waiting"
        except VintageColorizerError as error:
            names = {str(job.reel.source): job.reel.record.name, str(job.result): job.result_name}
            record.message = str(error.about(names.get(error.subject or "", error.subject)))
            record.state = "failed"
        except BaseException as error:
            log.debug("%s", record.id, exc_info=error)
            record.message, record.state = "Something went wrong in the server; its log says what.", "failed"
        finally:
            self._settle(job)

    def _settle(self, job: Job) -> None:
        """Keep what became of a job, or remove its files if it was removed meanwhile."""
        if job.record.state != "waiting":
            job.record.ended = time.time()
        if job.record.id not in job.reel.jobs:
            shutil.rmtree(job.folder, ignore_errors=True)
        else:
            with contextlib.suppress(VintageColorizerError):  # a full disk; it is known until the server ends
                job.save()
        if job.reel.record.id not in self._reels:
            shutil.rmtree(job.reel.folder, ignore_errors=True)

    # --- Going ------------------------------------------------------------------------------------------

    def remove_job(self, job: Job) -> None:
        """Stop a job and forget it and its files, and with the last one a reel that was sent for it alone."""
        job.reel.remove(job)
        if job.reel.record.passing and not job.reel.jobs:
            self.remove(job.reel)

    def remove(self, reel: Reel) -> None:
        """Forget a reel with all its jobs and files."""
        self._reels.pop(reel.record.id, None)
        busy = any(job.record.state == "coloring" for job in reel.jobs.values())
        for job in list(reel.jobs.values()):
            reel.remove(job)
        if not busy:  # else the thread of that job does it
            shutil.rmtree(reel.folder, ignore_errors=True)

    async def sweep(self) -> None:
        """Now and then, remove what nobody did anything with for long."""
        while True:
            await asyncio.sleep(min(SWEEP_SECONDS, self._keep_seconds))
            for reel in list(self._reels.values()):
                if not reel.is_arriving and time.time() - reel.idle_since > self._keep_seconds:
                    self.remove(reel)

    def close(self) -> None:
        """Stop everything; what was begun waits on the disk for the next server."""
        for reel in list(self._reels.values()):
            for job in reel.jobs.values():
                job.task.give_up()
        self._coloring.shutdown(cancel_futures=True)
        self._looking.shutdown(cancel_futures=True)
        self._held.close()


@asynccontextmanager
async def kept_clean(films: Films) -> AsyncIterator[None]:
    """Sweep while the server runs, and stop the work at its end."""
    sweeping = asyncio.create_task(films.sweep())
    try:
        yield
    finally:
        sweeping.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sweeping
        await asyncio.to_thread(films.close)


@contextlib.contextmanager
def _own_folder(chosen: str | None) -> Iterator[Path]:
    """The folder for films, that only its owner can look into, and that no other server uses meanwhile.

    It is removed at the end if nothing is in it. If none was chosen and the usual one is in use, a temporary one is
    made, which does not outlive the server.
    """
    folder = Path(chosen) if chosen else weights.home() / "films"
    with ExitStack() as held:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)
            held.enter_context(locked(folder.with_name(f"{folder.name}.lock")))
        except (OSError, TimeoutError) as error:
            why = "another server uses it" if isinstance(error, TimeoutError) else error.strerror
            if chosen is not None:
                raise OptionError(
                    f"The folder {folder} cannot hold films ({why}); choose another with --films."
                ) from error
            log.warning("Films will not outlive this server, as %s cannot be used: %s.", folder, why)
            yield Path(held.enter_context(tempfile.TemporaryDirectory(prefix="vintage-colorizer-")))
            return
        yield folder
        with contextlib.suppress(OSError):
            folder.rmdir()


def _require_whole(reel: Reel) -> None:
    if not reel.is_whole:
        raise HTTPException(409, "The film is not here yet; send the rest of it first.")


def _too_many(message: str) -> HTTPException:
    return HTTPException(503, message, {"Retry-After": "60", **CLOSE})
