"""Downloading one large file: resumed where it broke off, checked by size and hash, by one process at a time."""

from __future__ import annotations

import http.client
import logging
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vintage_colorizer.errors import MissingError, OutputError
from vintage_colorizer.files import sha256_of
from vintage_colorizer.networks.catalog import Remote

log = logging.getLogger("vintage_colorizer")

ATTEMPTS = 3  # a mirror, each going on where the last one broke off
TIMEOUT_SECONDS = 30.0
BLOCK = 1 << 18
LOOPBACK = ("127.0.0.1", "::1", "localhost")

Progress = Callable[[int, int], None]  # bytes done, bytes in all


def download(remote: Remote, folder: Path, progress: Progress = lambda done, total: None) -> Path:
    """Bring a file into `folder`, unless it is there already; returns its path.

    It grows as NAME.part, which a later call goes on with, and gets its name when size and hash are right.
    Only https is used (plain http to this machine itself), also behind redirects. A second process waits.

    Raises:
        MissingError: no mirror gave the file; the message says how else to get it.
        OutputError: the folder cannot be written.
    """
    target = folder / remote.file
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _locked(folder / f"{remote.file}.lock"):
            if target.is_file() and sha256_of(target) == remote.sha256:
                return target
            return _from_mirrors(remote, target, progress)
    except OSError as error:
        raise OutputError(
            f"{target} cannot be written ({error.strerror or error}); free space or permit it."
        ) from error


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    from filelock import FileLock

    with FileLock(path):
        yield


def _from_mirrors(remote: Remote, target: Path, progress: Progress) -> Path:
    part = target.with_name(target.name + ".part")
    reason = "no mirror is known"
    for url in [url for url in remote.mirrors for _ in range(ATTEMPTS)]:
        try:
            _fetch(url, part, remote, progress)
            os.replace(part, target)
            return target
        except _Failure as failure:
            reason = f"{urllib.parse.urlsplit(url).hostname}: {failure}"
            log.info("download failed: %s", reason)
    raise MissingError(
        f"{remote.file} could not be downloaded ({reason}); get it another way "
        f"({remote.bytes:,} bytes, SHA-256 {remote.sha256}) and run 'vintage-colorizer weights import {remote.file}'."
    )


class _Failure(Exception):
    """One attempt failed; another one or another mirror may not."""


def _fetch(url: str, part: Path, remote: Remote, progress: Progress) -> None:
    """One attempt to complete `part` from `url`."""
    start = part.stat().st_size if part.exists() else 0
    if start > remote.bytes:
        part.unlink()
        start = 0
    if start < remote.bytes:
        _receive(url, part, start, remote, progress)
    if part.stat().st_size != remote.bytes:
        raise _Failure("the connection broke off")
    if sha256_of(part) != remote.sha256:
        part.unlink()
        raise _Failure("the file there has another SHA-256")


def _receive(url: str, part: Path, start: int, remote: Remote, progress: Progress) -> None:
    """Append what is missing to `part`; start over where a server cannot resume."""
    try:
        response = _open(url, start)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _Failure(str(getattr(error, "reason", error)) or type(error).__name__) from error
    with response:
        resumed = response.status == http.HTTPStatus.PARTIAL_CONTENT
        if resumed and not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            raise _Failure("the server resumes at the wrong place")
        done = start if resumed else 0
        length = response.headers.get("Content-Length")
        if length is not None and done + int(length) != remote.bytes:
            raise _Failure(f"the file there has {done + int(length):,} bytes, not {remote.bytes:,}")
        with open(part, "ab" if resumed else "wb") as file:
            for block in _blocks(response, remote.bytes - done):
                file.write(block)
                done += len(block)
                progress(done, remote.bytes)


def _blocks(response: Any, left: int) -> Iterator[bytes]:
    """What the server sends, but no more than `left` bytes."""
    while left > 0:
        try:
            block = response.read(min(BLOCK, left))
        except (OSError, http.client.HTTPException) as error:
            raise _Failure("the connection broke off") from error
        if not block:
            return
        left -= len(block)
        yield block


def _open(url: str, start: int) -> Any:
    _allow(url)
    headers = {"User-Agent": "vintage-colorizer", "Accept-Encoding": "identity"}
    if start:
        headers["Range"] = f"bytes={start}-"
    opener = urllib.request.build_opener(_SafeRedirects())
    return opener.open(urllib.request.Request(url, headers=headers), timeout=TIMEOUT_SECONDS)


class _SafeRedirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects, but not from https to something unencrypted."""

    def redirect_request(self, *args: Any) -> urllib.request.Request | None:
        """Check where it leads; the address is the last argument."""
        _allow(args[-1])
        return super().redirect_request(*args)


def _allow(url: str) -> None:
    parts = urllib.parse.urlsplit(url)
    if parts.scheme != "https" and not (parts.scheme == "http" and parts.hostname in LOOPBACK):
        raise ValueError("it leads to an unencrypted address")
