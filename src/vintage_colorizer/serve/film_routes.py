"""The endpoints for films. A film is sent once, in parts if need be, and colored as often as its owner likes."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, Field
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse
from starlette.types import Message, Receive, Scope, Send

from vintage_colorizer.options import FilmOptions, FilmSettings
from vintage_colorizer.serve.answers import BODY, EVERYWHERE, failures
from vintage_colorizer.serve.films import Films
from vintage_colorizer.serve.reels import Container, Job, Reel, State
from vintage_colorizer.serve.service import BINARY, FILM_BODY, PHOTO_BODY, Service, require_each_once

TYPES: dict[Container, str] = {
    "mp4": "video/mp4",
    "mkv": "video/x-matroska",
    "mov": "video/quicktime",
    "webm": "video/webm",
}


class SeenReel(BaseModel):
    """What the owner of a film is told of it."""

    id: str
    name: str
    size: int | None = Field(description="Bytes; null as long as that is not known.")
    received: int = Field(description="How many of its bytes are here; send the rest from there.")
    keyframes: list[float] = Field(description="Seconds of the stills that were given in their right colors.")

    @classmethod
    def of(cls, reel: Reel) -> SeenReel:
        """What is told of this one."""
        record = reel.record
        keyframes = list(reel.keyframes)
        return cls(id=record.id, name=record.name, size=record.size, received=reel.received, keyframes=keyframes)


class SeenJob(BaseModel):
    """What the owner of a film is told of a job on it."""

    id: str
    film: str = Field(description="The id of the film.")
    name: str
    options: dict[str, Any] = Field(description="The options that were given for it.")
    state: State
    stage: str | None = Field(examples=["coloring"])
    frames_done: int
    frames: int | None
    seconds_left: float | None
    message: str
    notes: list[str]
    result: str | None = Field(description="Where the colored film is, once it is done.")
    result_name: str | None

    @classmethod
    def of(cls, job: Job) -> SeenJob:
        """What is told of this one."""
        now, record = job.progress, job.record
        done = record.state == "done"
        return cls(
            id=record.id,
            film=job.reel.record.id,
            name=job.reel.record.name,
            options={name: value for name, value in record.options.items() if name in FilmSettings.model_fields},
            state=record.state,
            stage=now.stage if now and record.state == "coloring" else None,
            frames_done=now.done if now else 0,
            frames=now.total if now else None,
            seconds_left=job.seconds_left(),
            message=record.message,
            notes=list(record.notes),
            result=f"api/jobs/{record.id}/result" if done else None,
            result_name=job.result_name if done else None,
        )


class JobQuery(FilmSettings):
    """What a film is to become."""

    container: Container = Field("mp4", description="The kind of file of the result.")


class StilledQuery(JobQuery):
    """What a film is to become that may have stills in their right colors."""

    recurring: bool = Field(False, description="Let these stills guide other shots of the same scene too.")


class FilmQuery(JobQuery):
    """What a film is to become that is sent with the request."""

    name: str = Field("film", description="What the film is called; only shown.", examples=["reel.mp4"])


class SentFilm(FileResponse):
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
STILL: dict[str, Any] = {
    "description": "The frame, grey, as it is shown.",
    "content": {"image/png": BINARY},
    "headers": {
        "X-Seconds": {"description": "The time of the frame.", "schema": {"type": "number"}},
        "X-Length": {"description": "Seconds of the film; 0 if it does not say.", "schema": {"type": "number"}},
    },
}
PICTURE: dict[str, Any] = {"description": "A frame in color, as it is shown.", "content": {"image/jpeg": BINARY}}
Seconds = Annotated[float, Query(ge=0, le=1e6, description="Seconds from the beginning of the film.")]


ONCE = [Depends(require_each_once)]


def routes(service: Service, films: Films) -> APIRouter:
    """The endpoints for films."""
    router = APIRouter(prefix="/api", responses=failures(*EVERYWHERE))
    _add_sending(router, service, films)
    _add_desk(router, service, films)
    _add_jobs(router, films)
    return router


def _options_of(service: Service, query: JobQuery, **more: Any) -> FilmOptions:
    return FilmOptions.of(device=service.options.device, **query.part(FilmSettings), **more)


def _add_sending(router: APIRouter, service: Service, films: Films) -> None:
    """How films come, and go."""

    @router.post("/film", status_code=202, responses=failures(*BODY, 507), dependencies=ONCE, openapi_extra=FILM_BODY)
    async def film(request: Request, query: Annotated[FilmQuery, Query()]) -> SeenJob:
        """Color a film: send the file as the body; the answer is a job to ask about."""
        options = _options_of(service, query)
        declared = request.headers.get("content-length")
        reel = films.begin(request, query.name, None if declared is None else int(declared), passing=True)
        try:
            await films.receive(reel, request)
            return SeenJob.of(films.start(reel, query.container, options))
        except BaseException:
            films.remove(reel)
            raise

    @router.post("/films", status_code=201, responses=failures(413, 422, 507), dependencies=ONCE)
    async def begin(
        request: Request,
        name: Annotated[str, Query(description="What the film is called; only shown.", examples=["reel.mp4"])],
        size: Annotated[int, Query(ge=1, description="Its bytes.", examples=[5_000_000])],
    ) -> SeenReel:
        """Announce a film, to be sent in parts."""
        return SeenReel.of(films.begin(request, name, size))

    @router.get("/films")
    async def all_films(request: Request) -> list[SeenReel]:
        """Your films; whose they are is known by the cookie."""
        return [SeenReel.of(reel) for reel in films.reels_of(request) if not reel.record.passing]

    @router.get("/films/{id}", responses=failures(404))
    async def one_film(request: Request, id: str) -> SeenReel:
        """How much of a film is here."""
        return SeenReel.of(films.reel(request, id))

    @router.patch("/films/{id}", responses=failures(*BODY, 404, 409, 507), dependencies=ONCE, openapi_extra=FILM_BODY)
    async def send(
        request: Request,
        id: str,
        offset: Annotated[int, Query(ge=0, description="Where in the film the body begins: what is here already.")],
    ) -> SeenReel:
        """Send a part of a film as the body. If it breaks off, ask how much is here, and go on from there."""
        reel = films.reel(request, id)
        await films.receive(reel, request, offset)
        return SeenReel.of(reel)

    @router.delete("/films/{id}", status_code=204, responses=failures(404))
    async def remove_film(request: Request, id: str) -> None:
        """Remove a film with all its jobs and results."""
        films.remove(films.reel(request, id))


def _add_desk(router: APIRouter, service: Service, films: Films) -> None:
    """What is done with a film that is here."""

    @router.get(
        "/films/{id}/still",
        response_class=Response,
        responses={200: STILL, **failures(400, 404, 409, 422)},
        dependencies=ONCE,
    )
    async def still(request: Request, id: str, at: Seconds = 0.0) -> Response:
        """A frame of a film, grey: a photo to try settings on."""
        seen = await films.glimpse(films.reel(request, id), at)
        headers = {"X-Seconds": f"{seen.seconds:.3f}", "X-Length": f"{seen.length:.3f}"}
        return Response(seen.picture, media_type="image/png", headers=headers)

    @router.put(
        "/films/{id}/keyframes", responses=failures(*BODY, 404, 409), dependencies=ONCE, openapi_extra=PHOTO_BODY
    )
    async def keep_keyframe(request: Request, id: str, at: Seconds) -> SeenReel:
        """Give a still of a film in its right colors; jobs begun later follow it in its shot."""
        reel = films.reel(request, id)
        await service.with_photo(request, lambda photo, task: films.keep_still(reel, at, photo))
        return SeenReel.of(reel)

    @router.delete("/films/{id}/keyframes", status_code=204, responses=failures(404))
    async def remove_keyframes(request: Request, id: str) -> None:
        """Remove all these stills."""
        for path in films.reel(request, id).keyframes.values():
            path.unlink(missing_ok=True)

    @router.post("/films/{id}/jobs", status_code=202, responses=failures(404, 409, 422), dependencies=ONCE)
    async def start(request: Request, id: str, query: Annotated[StilledQuery, Query()]) -> SeenJob:
        """Color a film, or a part of it."""
        options = _options_of(service, query, recurring=query.recurring)
        return SeenJob.of(films.start(films.reel(request, id), query.container, options))


def _add_jobs(router: APIRouter, films: Films) -> None:
    """What becomes of jobs."""

    @router.get("/jobs")
    async def all_jobs(request: Request) -> list[SeenJob]:
        """Your jobs; whose they are is known by the cookie."""
        return [SeenJob.of(job) for job in films.jobs_of(request)]

    @router.get("/jobs/{id}", responses=failures(404))
    async def one_job(request: Request, id: str) -> SeenJob:
        """How far a film is."""
        return SeenJob.of(films.job(request, id))

    @router.get("/jobs/{id}/picture", response_class=Response, responses={200: PICTURE, **failures(404, 409)})
    async def picture(request: Request, id: str) -> Response:
        """A frame of a film that is being colored, in its new colors."""
        seen = await films.picture(films.job(request, id))
        return Response(seen.picture, media_type="image/jpeg")

    @router.get("/jobs/{id}/result", response_class=Response, responses=FILM_ANSWERS)
    async def result(request: Request, id: str) -> Response:
        """The colored film."""
        job = films.job(request, id)
        if job.record.state != "done":
            raise HTTPException(409, job.record.message or "The film is not done yet.")
        if "," in request.headers.get("range", ""):
            raise HTTPException(416, "Ask for one range at a time.")
        return SentFilm(job.result, media_type=TYPES[job.record.container], filename=job.result_name)

    @router.delete("/jobs/{id}", status_code=204, responses=failures(404))
    async def remove(request: Request, id: str) -> None:
        """Stop a job, or remove one that is done, with all its files."""
        films.remove_job(films.job(request, id))
