"""The limits of the server: how a body is received, and how much work is taken on."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import IO, Any, BinaryIO, TypeVar, cast

from starlette.datastructures import Headers, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from vintage_colorizer.serve.answers import RETRY_SECONDS

Result = TypeVar("Result")

IN_MEMORY = 2**20  # bytes of a body above which it waits for its turn on the disk
GRACE_SECONDS = 10.0  # in which a client need not have sent anything
SLOWEST = 32 * 1024  # bytes a second it must send on average after that
LINGER_SECONDS = 2.0  # for which the rest of a body is swallowed after an answer that did not wait for it
REFERENCE = "reference"  # the field of a form with a picture whose colors are to be followed
MARKS = "marks"  # the one with a picture of what is to be filled, or left
FORMS = ("multipart/form-data",)
# application/x-www-form-urlencoded is not among them: curl and wget call every file that, unless told otherwise.
REFUSED_TYPES = ("text/", "application/json")
CLOSE = {"Connection": "close"}  # what is left of a body after a refusal is never read


# --- Bodies ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Upload:
    """The files of a request."""

    file: BinaryIO
    reference: BinaryIO | None = None  # a picture whose colors the file is to follow
    marks: BinaryIO | None = None  # a picture of what is to be filled, or left

    def close(self) -> None:
        """Let go of them."""
        for one in (self.file, self.reference, self.marks):
            if one is not None:
                one.close()


async def receive_files(request: Request, max_bytes: int) -> Upload:
    """What a request carries: a file as its raw body, or a form with one, and perhaps `reference` and `marks`.

    Raises:
        HTTPException: 400 no or too many files, 408 too slow, 413 over `max_bytes`, 415 not a file.
        ClientDisconnect: nobody waits for the answer any more.
    """
    kind = request.headers.get("content-type", "").lower()
    if kind.startswith(REFUSED_TYPES):
        raise HTTPException(415, f"Send the file itself or a form with one file, not {kind.split(';')[0]}.", CLOSE)
    guarded = Request(request.scope, _guarded(request, max_bytes))
    if kind.startswith(FORMS):
        return await _files_of_form(guarded)
    file: Any = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - closed by its consumer
    try:
        async for chunk in guarded.stream():
            file.write(chunk)
        return Upload(_rewound(file))
    except BaseException:
        file.close()
        raise


async def receive_into(file: IO[bytes], request: Request, max_bytes: int) -> None:
    """Write the raw body of a request to where a file stands. Raises as `receive_files`."""
    kind = request.headers.get("content-type", "").lower()
    if kind.startswith((*REFUSED_TYPES, *FORMS)):
        raise HTTPException(415, f"Send the file itself, not {kind.split(';')[0]}.", CLOSE)
    async for chunk in Request(request.scope, _guarded(request, max_bytes)).stream():
        file.write(chunk)
    if file.tell() == 0:
        raise HTTPException(400, "The file is empty; send one with something in it.", CLOSE)


async def _files_of_form(request: Request) -> Upload:
    form = await request.form(max_files=3, max_fields=0)
    sent = [(name, value.file) for name, value in form.multi_items() if isinstance(value, UploadFile)]
    files = [file for name, file in sent if name not in (REFERENCE, MARKS)]
    beside = {name: [file for field, file in sent if field == name] for name in (REFERENCE, MARKS)}
    if len(files) != 1 or any(len(found) > 1 for found in beside.values()):
        message = (
            f"The form has {len(files)} files; send exactly one, and a {REFERENCE} and {MARKS} beside it if you like."
        )
        raise HTTPException(400, message, CLOSE)
    return Upload(_rewound(files[0]), **{name: _rewound(found[0]) for name, found in beside.items() if found})


def _rewound(file: IO[bytes]) -> BinaryIO:
    empty = file.tell() == 0 and not file.read(1)
    file.seek(0)
    if empty:
        file.close()
        raise HTTPException(400, "The file is empty; send one with something in it.", CLOSE)
    return cast("BinaryIO", file)


def _guarded(request: Request, max_bytes: int) -> Receive:
    """The request's `receive`, which refuses what is too large or too slow while it arrives."""
    receive = request.receive
    start, received = time.monotonic(), 0
    declared = request.headers.get("content-length", "0")
    too_large = HTTPException(413, f"The file is over the server's limit of {max_bytes / 1e6:.0f} MB.", CLOSE)

    async def guarded() -> Message:
        nonlocal received
        if int(declared) > max_bytes + IN_MEMORY:  # a form is a little larger than its file
            raise too_large
        patience = GRACE_SECONDS + received / SLOWEST - (time.monotonic() - start)
        try:
            message = await asyncio.wait_for(receive(), max(patience, 0.001))
        except TimeoutError:
            raise HTTPException(408, "The file arrives too slowly; try again on a better connection.", CLOSE) from None
        received += len(message.get("body", b""))
        if received > max_bytes + IN_MEMORY:
            raise too_large
        return message

    return guarded


class Lingering:
    """The layer of the application (ASGI) that lets a client hear an answer while it is still sending.

    Were the connection closed with the answer, what arrives after it would break it, and client or proxy could lose
    the answer they have not read yet. So the rest of the body is swallowed for a moment between answer and end.
    """

    def __init__(self, app: ASGIApp) -> None:
        """Stand before `app`."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        ended = scope["type"] != "http" or not {"content-length", "transfer-encoding"} & set(Headers(scope=scope))

        async def watched() -> Message:
            nonlocal ended
            message = await receive()
            ended = not message.get("more_body", False)
            return message

        async def swallow() -> None:
            while not ended:
                await watched()

        async def linger(message: Message) -> None:
            last = message["type"] == "http.response.body" and not message.get("more_body", False)
            if ended or not last:
                await send(message)
                return
            await send({**message, "more_body": True})
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(swallow(), LINGER_SECONDS)
            await send({"type": "http.response.body"})

        await self._app(scope, watched, linger)


# --- Work -----------------------------------------------------------------------------------------------


class Task:
    """One photo's stay in the server; `check` is called between the steps of the work."""

    def __init__(self) -> None:
        """Nobody has lost interest yet."""
        self._given_up = threading.Event()

    def give_up(self) -> None:
        """Nobody waits for the result any more."""
        self._given_up.set()

    def check(self) -> None:
        """Raise GivenUp if nobody waits any more."""
        if self._given_up.is_set():
            raise GivenUp


class GivenUp(Exception):
    """The work was stopped because nobody waits for it."""


class Desk:
    """Takes on a bounded amount of work and does it on a few threads.

    A seat is held from before a body is received until the work on it has really ended, so memory, disk
    and threads are bounded by the number of seats.
    """

    def __init__(self, workers: int | None, queue: int, timeout: float) -> None:
        """Work with `workers` threads, let `queue` more requests wait, give up after `timeout` seconds."""
        self.workers = workers or os.cpu_count() or 1
        self._seats = self.workers + queue
        self._timeout = timeout
        self._pool = ThreadPoolExecutor(self.workers, thread_name_prefix="photo")
        self.taken = 0

    async def serve(self, request: Request, max_bytes: int, work: Callable[[Upload, Task], Result]) -> Result:
        """Receive the files of a request and do `work` on it, unless the client goes away meanwhile.

        Raises:
            HTTPException: 503 no seat is free or the work takes too long; or as `receive_files`.
            ClientDisconnect: nobody waits for the answer any more.
        """
        if self.taken >= self._seats:
            raise self._busy("Too many photos are waiting; try again soon.")
        self.taken += 1
        try:
            upload = await receive_files(request, max_bytes)
        except BaseException:
            self.taken -= 1
            raise
        task = Task()
        future = self._pool.submit(_run, work, upload, task)
        result = asyncio.wrap_future(future)
        result.add_done_callback(lambda _: self._leave(upload, result))
        try:
            return await self._until_gone(request, result)
        finally:
            task.give_up()
            future.cancel()  # if it has not begun

    async def _until_gone(self, request: Request, result: asyncio.Future[Result]) -> Result:
        """The result, unless the client goes away or it takes too long."""
        gone = asyncio.ensure_future(_gone(request))
        try:
            both: set[asyncio.Future[Any]] = {result, gone}
            await asyncio.wait(both, timeout=self._timeout, return_when=asyncio.FIRST_COMPLETED)
        finally:
            gone.cancel()
        if result.done():
            return result.result()
        if gone.done():
            raise ClientDisconnect
        raise self._busy("The photo takes too long; try a smaller one, or again later.")

    def _leave(self, upload: Upload, result: asyncio.Future[Any]) -> None:
        upload.close()
        self.taken -= 1
        if not result.cancelled():
            result.exception()  # seen, so that nothing complains when nobody waits for it

    def _busy(self, message: str) -> HTTPException:
        return HTTPException(503, message, {"Retry-After": str(RETRY_SECONDS), **CLOSE})

    def close(self) -> None:
        """Begin nothing more."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def _run(work: Callable[[Upload, Task], Result], upload: Upload, task: Task) -> Result:
    task.check()
    return work(upload, task)


async def _gone(request: Request) -> None:
    """Return when the client has closed the connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
