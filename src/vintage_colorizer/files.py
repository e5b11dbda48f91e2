"""Files on disk: names fit for a message, and writing that never leaves half a result."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from vintage_colorizer.errors import DiskFullError, OutputError

FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
MAX_STEM_BYTES = 200  # of a temporary name, whose limit is 255 on most file systems


def readable_name(path: str | os.PathLike[str]) -> str:
    """A path as one line of valid text: control characters and undecodable bytes are escaped."""
    text = os.fsencode(os.fspath(path)).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@contextlib.contextmanager
def atomically(target: Path) -> Iterator[IO[bytes]]:
    """A new binary file that becomes `target` at the end of the `with`, or vanishes on any failure.

    It is written beside the target as `.NAME.part-XXXX`, flushed to the disk, then renamed. Missing parent
    folders are made. Raises DiskFullError when no space is left, OutputError for any other refusal.
    """
    name = readable_name(target)
    with write_errors(name):
        target.parent.mkdir(parents=True, exist_ok=True)
        part = _part_path(target)
        file = open(part, "xb")  # noqa: SIM115 - closed below, before it is renamed
    try:
        with write_errors(name):
            with file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, target)
    except BaseException:  # an interrupt too must leave nothing behind
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def _part_path(target: Path) -> Path:
    stem = target.name
    while len(os.fsencode(stem)) > MAX_STEM_BYTES:
        stem = stem[:-1]
    return target.parent / f".{stem}.part-{secrets.token_hex(4)}"


@contextlib.contextmanager
def write_errors(name: str) -> Iterator[None]:
    """Turn what the system refuses while `name` is written into DiskFullError or OutputError."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise DiskFullError(f"No space is left to write {name}: free some space.") from error
        reason = error.strerror or str(error)
        raise OutputError(f"{name} cannot be written ({reason}): choose another place with -o.") from error
