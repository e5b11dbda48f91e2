"""What the routes share: one colorizer, few photos at a time, and what a request with a file looks like."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, BinaryIO

from fastapi import APIRouter, Depends, Request
from starlette.exceptions import HTTPException

from vintage_colorizer import errors
from vintage_colorizer.archive.photos import LargePhotos
from vintage_colorizer.colorizer import Colorizer
from vintage_colorizer.errors import InputError, OptionError, VintageColorizerError
from vintage_colorizer.networks.guides import Guide
from vintage_colorizer.options import PhotoOptions, PhotoSettings, ServeOptions
from vintage_colorizer.photo.picture import Photo
from vintage_colorizer.photo.reading import probe, read_photo
from vintage_colorizer.serve.answers import BODY, EVERYWHERE, NETWORK, failures
from vintage_colorizer.serve.limits import MARKS, REFERENCE, Desk, Result, Task, Upload

# What an error of ours means in HTTP; the first class that fits counts.
STATUS: list[tuple[type[VintageColorizerError], int]] = [
    (errors.TooLargeError, 413),
    (errors.UnsupportedError, 415),
    (errors.InputError, 400),
    (errors.OptionError, 422),
    (errors.DiskFullError, 507),
    (errors.OutputError, 422),
    (errors.MissingError, 501),
    (errors.OutOfMemoryError, 503),
    (VintageColorizerError, 500),
]
REPEATED = {"hints", "repair", "only"}  # options that may be given several times
CLIENT_GONE = 499  # nobody reads it
BINARY = {"schema": {"type": "string", "format": "binary"}}


def _photo_body(*fields: str) -> dict[str, Any]:
    """A photo as it is, or a form with a file, and perhaps others. FastAPI must not read it: it would take it all in
    before anybody could refuse it.
    """
    form = {"type": "object", "properties": dict.fromkeys(("file", *fields), BINARY["schema"]), "required": ["file"]}
    kinds = {"image/*": BINARY, "application/octet-stream": BINARY, "multipart/form-data": {"schema": form}}
    return {"requestBody": {"required": True, "content": kinds}}


PHOTO_BODY = _photo_body()
MARKED_BODY = _photo_body(MARKS)
GUIDED_BODY = _photo_body(REFERENCE, MARKS)
FILM_BODY: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"video/*": BINARY, "application/octet-stream": BINARY}}
}


class Service:
    """What all endpoints share: one network in memory, and one desk that bounds the work."""

    def __init__(self, options: ServeOptions) -> None:
        """Load the network."""
        self.options = options
        self.colorizer = Colorizer(threads=1, device=options.device, max_megapixels=options.max_megapixels)
        self.colorizer.engine()
        self._large = LargePhotos()
        self.desk = Desk(options.workers, options.queue, options.timeout)

    def photo_options(self, settings: PhotoSettings) -> PhotoOptions:
        """What a visitor wants, on the owner's machine."""
        return self.colorizer.options.replace(**settings.part(PhotoSettings))

    async def with_file(self, request: Request, work: Callable[[bytes], Result]) -> Result:
        """Receive the one file of a request and do something with it, when its turn comes."""

        def read_and_work(upload: Upload, task: Task) -> Result:
            if upload.reference is not None or upload.marks is not None:
                raise HTTPException(400, "Only one file is read here; leave out the others.")
            return work(upload.file.read())

        return await self._serve(request, read_and_work)

    async def with_photo(
        self, request: Request, work: Callable[[Photo, Task], Result], options: PhotoOptions | None = None
    ) -> Result:
        """Receive the photo of a request and do something with it, prepared if there are options, in its turn."""

        def read_and_work(upload: Upload, task: Task) -> Result:
            if upload.reference is not None:
                raise HTTPException(400, "Nothing is colored here, so a reference says nothing; leave it out.")
            return self._work(
                upload, task, lambda photo, marks: work(self._prepared(photo, options, marks, task), task)
            )

        return await self._serve(request, read_and_work)

    async def with_guided_photo(
        self, request: Request, work: Callable[[Photo, Guide | None, Task], Result], options: PhotoOptions
    ) -> Result:
        """As `with_photo`, with what the reference teaches that may lie beside the photo."""

        def read_and_work(upload: Upload, task: Task) -> Result:
            guide = None if upload.reference is None else self._guide(upload.reference, options)
            return self._work(
                upload, task, lambda photo, marks: work(self._prepared(photo, options, marks, task), guide, task)
            )

        return await self._serve(request, read_and_work)

    async def with_marked_photo(self, request: Request, work: Callable[[Photo, Photo | None, Task], Result]) -> Result:
        """As `with_photo`, with the marks that may lie beside the photo, which is as it was sent."""

        def read_and_work(upload: Upload, task: Task) -> Result:
            return self._work(upload, task, lambda photo, marks: work(photo, marks, task))

        return await self._serve(request, read_and_work)

    async def _serve(self, request: Request, work: Callable[[Upload, Task], Result]) -> Result:
        return await self.desk.serve(request, int(self.options.max_megabytes * 1e6), work)

    def _guide(self, file: BinaryIO, options: PhotoOptions) -> Guide:
        data = file.read()
        try:
            with self._large.room_for(probe(data, max_megapixels=options.max_megapixels)):
                return self.colorizer.guide_of(data, options, identity=hashlib.sha256(data).hexdigest())
        except InputError as error:
            raise error.about("The reference") from None

    def _prepared(self, photo: Photo, options: PhotoOptions | None, marks: Photo | None, task: Task) -> Photo:
        if marks is not None and not (options and options.repair):
            raise HTTPException(400, "Nothing is repaired here, so marks say nothing; leave them out.")
        if options is not None:
            photo = self.colorizer.prepared(photo, options, marks)
            task.check()
        return photo

    def _work(self, upload: Upload, task: Task, work: Callable[[Photo, Photo | None], Result]) -> Result:
        data, limit = upload.file.read(), self.options.max_megapixels
        with self._large.room_for(probe(data, max_megapixels=limit)):
            task.check()
            photo = read_photo(data, max_megapixels=limit)
            marks = None if upload.marks is None else self._marks(upload.marks)
            task.check()
            return work(photo, marks)

    def _marks(self, file: BinaryIO) -> Photo:
        try:
            return read_photo(file, max_megapixels=self.options.max_megapixels)
        except InputError as error:
            raise error.about("The picture of marks") from None


def photo_router(network: tuple[int, ...] = NETWORK) -> APIRouter:
    """For endpoints that take a photo and its settings; `network` are the answers of those that wait for one."""
    answers = failures(*EVERYWHERE, *BODY, *network)
    return APIRouter(prefix="/api", responses=answers, dependencies=[Depends(require_each_once)])


def require_each_once(request: Request) -> None:
    """Raise OptionError for an option given twice, of which FastAPI would take the last."""
    names = [name for name, _ in request.query_params.multi_items()]
    for name in names:
        if names.count(name) > 1 and name not in REPEATED:
            raise OptionError(f"{name.replace('_', '-')} is given twice; give it once.")
