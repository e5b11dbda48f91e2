"""What the routes share: one colorizer, few at a time, and how a route is documented."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, BinaryIO, TypeVar

from fastapi import Request, Response

from vintage_colorizer import errors
from vintage_colorizer.archive.photos import LargePhotos
from vintage_colorizer.colorizer import Colorizer
from vintage_colorizer.errors import OptionError, VintageColorizerError
from vintage_colorizer.options import MACHINE_FIELDS, BaseOptions, PhotoOptions, ServeOptions
from vintage_colorizer.photo.picture import Photo
from vintage_colorizer.photo.reading import probe, read_photo
from vintage_colorizer.serve.limits import Desk, Task

Group = TypeVar("Group", bound=BaseOptions)
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
CLIENT_GONE = 499  # nobody reads it
EXAMPLES = {"look": "artistic", "render_factor": 20, "saturation": 1.2, "warmth": 0.1, "vividness": 0.6, "quality": 90}


class Service:
    """What all endpoints share: one network in memory, and one desk that bounds the work."""

    def __init__(self, options: ServeOptions) -> None:
        """Load the network."""
        self.options = options
        self.colorizer = Colorizer(threads=1, device=options.device, max_megapixels=options.max_megapixels)
        self.colorizer.engine()
        self._large = LargePhotos()
        self.desk = Desk(options.workers, options.queue, options.timeout)

    def options_of(self, query: Iterable[tuple[str, str]], group: type[Group], **defaults: Any) -> Group:
        """The options in a query. Raises OptionError for what is wrong, unknown, given twice or the owner's."""
        values: dict[str, Any] = {}
        for name, value in query:
            if name in MACHINE_FIELDS:
                raise OptionError(f"{name.replace('_', '-')} is for the owner of the server to choose; leave it out.")
            if name in values:
                raise OptionError(f"{name.replace('_', '-')} is given twice; give it once.")
            values[name] = value
        return group.of(**defaults, **values)

    def photo_options(self, query: Iterable[tuple[str, str]]) -> PhotoOptions:
        """The options of a photo in a query."""
        own = self.colorizer.options.model_dump(include=set(MACHINE_FIELDS))
        return self.options_of(query, PhotoOptions, **own)

    async def with_photo(self, request: Request, work: Callable[[Photo, Task], Any]) -> Any:
        """Receive the photo of a request and do something with it, when its turn comes."""
        limit = self.options.max_megapixels

        def read_and_work(file: BinaryIO, task: Task) -> Any:
            data = file.read()
            with self._large.room_for(probe(data, max_megapixels=limit)):
                task.check()
                photo = read_photo(data, max_megapixels=limit)
                task.check()
                return work(photo, task)

        return await self.desk.serve(request, int(self.options.max_megabytes * 1e6), read_and_work)


def documented(answer: str, group: type[BaseOptions], content: dict[str, Any], *more: dict[str, Any]) -> dict[str, Any]:
    """What OpenAPI says of an endpoint that takes a file and a group of options; made of the group itself."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    form = {"schema": {"type": "object", "properties": {"file": {"type": "string", "format": "binary"}}}}
    error = {"example": {"error": "UnreadableError", "message": "The input is damaged."}}
    statuses = dict.fromkeys((400, 408, 413, 415, 422, 503), "See the message.")
    failures = {code: {"description": text, "content": {"application/json": error}} for code, text in statuses.items()}
    return {
        "response_class": Response,
        "responses": {200: {"description": answer, "content": content}, **failures},
        "openapi_extra": {
            "parameters": [*more, *query_parameters(group)],
            "requestBody": {
                "required": True,
                "content": {"application/octet-stream": binary, "multipart/form-data": form},
            },
        },
    }


def query_parameters(group: type[BaseOptions]) -> list[dict[str, Any]]:
    """The options of a group as OpenAPI parameters."""
    fields = group.model_json_schema()["properties"]
    return [
        query_parameter(name, field.pop("description", ""), field, EXAMPLES.get(name))
        for name, field in fields.items()
        if name not in MACHINE_FIELDS
    ]


def query_parameter(name: str, description: str, schema: dict[str, Any], example: Any = None) -> dict[str, Any]:
    """One parameter of a query."""
    schema.pop("title", None)
    given = {"name": name, "in": "query", "description": description, "schema": schema}
    return given if example is None else given | {"example": example}
