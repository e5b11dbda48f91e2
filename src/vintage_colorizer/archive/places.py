"""Where inputs and results lie: paths of this machine, and URLs that fsspec understands (s3://, gs://, memory://, ...).

Any failure of a file system that is not ours becomes one sentence with the URL in it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path
from typing import Any, TypeAlias

from vintage_colorizer.errors import MissingError, OptionError, OutputError, UnreadableError
from vintage_colorizer.files import atomically

# File systems whose objects appear whole or not at all; in others a result is renamed when it is complete.
OBJECT_STORES = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "oss", "memory"}
PAGED = {"s3", "s3a"}  # asked for names page by page, so that a folder of any size can be listed
PAGE = 1000  # names in an answer


@dataclass(frozen=True)
class Url:
    """A file or folder behind an fsspec URL."""

    text: str

    def __str__(self) -> str:
        """The URL."""
        return self.text

    @property
    def name(self) -> str:
        """What comes after the last slash."""
        return self.text.rpartition("/")[2]

    @property
    def suffix(self) -> str:
        """The name's ending, with its dot."""
        return Path(self.name).suffix

    @property
    def parent(self) -> Url:
        """The folder it lies in."""
        return Url(self.text.rpartition("/")[0])

    @property
    def protocol(self) -> str:
        """Which kind of file system it is in."""
        return self.text.partition("://")[0]

    @property
    def key(self) -> str:
        """The URL without its protocol: bucket and name."""
        return self.text.partition("://")[2]

    def __truediv__(self, part: str | Path) -> Url:
        """Something below it."""
        below = Path(part).as_posix()
        return self if below == "." else Url(f"{self.text}/{below}")


Place: TypeAlias = Path | Url


@dataclass(frozen=True)
class Entry:
    """A file found below a folder."""

    place: Place
    size: int  # bytes
    modified: int  # nanoseconds since 1970, or 0 if the file system does not say


def place(text: str) -> Place:
    """What a name on the command line or in a list stands for."""
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text):
        return Path(text)
    return Path(text.removeprefix("file://")) if text.startswith("file://") else Url(text.rstrip("/"))


def local(where: Place, what: str) -> Path:
    """A place on this machine; OptionError for a URL, where `what` has to be a local file."""
    if isinstance(where, Url):
        raise OptionError(f"is a URL, but {what} must lie in a folder of this machine or a shared one.", str(where))
    return where


def is_folder(where: Place) -> bool:
    """Whether there is a folder, or in an object store anything below that name."""
    if isinstance(where, Path):
        return os.path.isdir(where)
    if where.protocol in PAGED:
        return list_folder(where) is not None
    system, path = open_system(where)
    with _reading(where):
        return bool(system.isdir(path))


def list_folder(url: Url) -> Iterator[Entry] | None:
    """All files below a URL as a stream, or None if that is not a folder.

    S3 has no folders: the first page of names says whether there are any, where other stores tell by themselves.
    """
    if url.protocol not in PAGED:
        return files_below(url) if is_folder(url) else None
    entries = files_below(url)
    with suppress(UnreadableError):  # reading the file of that name will say why
        for first in entries:
            return chain([first], entries)
    return None


def exists(where: Place) -> bool:
    """Whether there is a file or folder."""
    if isinstance(where, Path):
        return os.path.exists(where)
    system, path = open_system(where)
    with _reading(where):
        return bool(system.exists(path))


def describe(url: Url) -> Entry:
    """Size and time of the file at `url`; UnreadableError if there is none."""
    system, path = open_system(url)
    with _reading(url):
        return _entry(url, system.info(path))


def fetch(url: Url, path: Path) -> None:
    """Copy the file at `url` to `path`; UnreadableError if that fails."""
    system, name = open_system(url)
    with _reading(url):
        system.get_file(name, str(path))


def read_bytes(where: Place) -> bytes:
    """All of a file; UnreadableError if that fails."""
    with _reading(where):
        if isinstance(where, Path):
            return where.read_bytes()
        system, path = open_system(where)
        return bytes(system.cat_file(path))


def write_bytes(where: Place, data: bytes) -> None:
    """Write a file so that it appears whole or not at all: one PUT in an object store; OutputError if that fails."""
    if isinstance(where, Path):
        with atomically(where) as file:
            file.write(data)
        return
    system, path = open_system(where)
    with _writing(where):
        if where.protocol in OBJECT_STORES:
            system.pipe_file(path, data)
            return
        folder, _, name = path.rpartition("/")
        system.makedirs(folder, exist_ok=True)
        system.pipe_file(f"{folder}/.{name}.part", data)
        system.mv(f"{folder}/.{name}.part", path)


def remove(where: Place) -> None:
    """Remove a file if it is there."""
    if isinstance(where, Path):
        where.unlink(missing_ok=True)
        return
    system, path = open_system(where)
    with _writing(where):
        if system.exists(path):
            system.rm_file(path)


def files_below(where: Place) -> Iterator[Entry]:
    """Stream all files below a folder; nothing if there is no such folder."""
    if isinstance(where, Path):
        for folder, _, names in os.walk(where):
            for name in names:
                path = Path(folder, name)
                status = path.lstat()
                yield Entry(path, status.st_size, status.st_mtime_ns)
        return
    with _reading(where):
        yield from _objects(where)


def _objects(url: Url) -> Iterator[Entry]:
    """The files below a URL: S3 is asked page by page, others folder by folder."""
    system, path = open_system(url)
    if url.protocol not in PAGED:
        for folder, _, files in system.walk(path, detail=True):
            below = folder.strip("/").removeprefix(path.strip("/")).strip("/")
            yield from (_entry(url / below / name, info) for name, info in files.items())
        return
    bucket, _, prefix = path.partition("/")
    asked = {"Bucket": bucket, "Prefix": prefix and f"{prefix}/", "MaxKeys": PAGE}
    while True:
        answer = system.call_s3("list_objects_v2", **asked)
        for info in answer.get("Contents", ()):
            if not info["Key"].endswith("/"):
                yield _entry(Url(f"{url.protocol}://{bucket}/{info['Key']}"), {"size": info["Size"], **info})
        if not answer.get("IsTruncated"):
            return
        asked["ContinuationToken"] = answer["NextContinuationToken"]


def _entry(url: Url, info: dict[str, Any]) -> Entry:
    """Size and time from what file systems say, in whole seconds: listings and single answers differ in more."""
    for name in ("LastModified", "last_modified", "mtime", "modified", "updated", "created"):
        if when := info.get(name):
            break
    if isinstance(when, str):
        when = datetime.fromisoformat(when.replace("Z", "+00:00"))
    seconds = when.timestamp() if isinstance(when, datetime) else float(when or 0)
    return Entry(url, int(info.get("size") or 0), int(seconds) * 10**9)


def open_system(url: Url) -> tuple[Any, str]:
    """The file system of a URL, and the path in it. Listings are not cached: they may not fit the memory.

    Raises:
        MissingError: a package for it is not installed.
        OptionError: there is no such kind of URL.
    """
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise MissingError("needs fsspec: pip install 'vintage-colorizer[ray]'.", str(url)) from error
    try:
        system, path = url_to_fs(url.text, use_listings_cache=False)
    except ImportError as error:
        raise MissingError(f"needs a package that is not installed ({error}).", str(url)) from error
    except ValueError as error:
        raise OptionError(f"is no URL that can be read ({error}).", str(url)) from error
    return system, str(path)


@contextmanager
def _reading(where: Place) -> Iterator[None]:
    try:
        yield
    except (OptionError, MissingError):
        raise
    except Exception as error:  # file systems of all kinds raise what they like
        raise UnreadableError(f"cannot be read ({_reason(error)}).", str(where)) from error


@contextmanager
def _writing(where: Place) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # likewise
        raise OutputError(f"cannot be written ({_reason(error)}); choose another place with -o.", str(where)) from error


def _reason(error: Exception) -> str:
    text = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return " ".join(str(text).split())[:200]
