"""Files on disk: names fit for a message, and writing that never leaves half a result."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import secrets
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from vintage_colorizer.errors import DiskFullError, MissingError, OutputError, UnreadableError

if sys.platform != "win32":
    import fcntl

FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
MAX_STEM_BYTES = 200  # of a temporary name, whose limit is 255 on most file systems


def readable_name(path: str | os.PathLike[str]) -> str:
    """A path as one line of valid text: control characters and undecodable bytes are escaped."""
    text = os.fsencode(os.fspath(path)).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@contextlib.contextmanager
def atomically(target: Path) -> Iterator[IO[bytes]]:
    """A new binary file that becomes `target` at the end of the `with`, or vanishes on any failure.

    It is written beside the target as `.NAME.part`, flushed to the disk, then renamed; what a killed process left
    under that name is replaced. Missing parent folders are made. Raises DiskFullError when no space is left,
    OutputError for any other refusal.
    """
    name = readable_name(target)
    with write_errors(name):
        target.parent.mkdir(parents=True, exist_ok=True)
        part, file = _open_part(target)
    try:
        with write_errors(name):
            with file:
                yield file
                file.flush()
                os.fsync(file.fileno())
                if sys.platform != "win32":  # which renames no open file; elsewhere the lock holds until it is done
                    os.replace(part, target)
            if sys.platform == "win32":
                os.replace(part, target)
    except BaseException:  # an interrupt too must leave nothing behind
        with contextlib.suppress(OSError):
            part.unlink()
        raise


def _open_part(target: Path) -> tuple[Path, IO[bytes]]:
    """A new, locked file beside the target; of another name if someone else is writing the same target now."""
    stem = target.name
    while len(os.fsencode(stem)) > MAX_STEM_BYTES:
        stem = stem[:-1]
    part = target.parent / f".{stem}.part"
    _remove_abandoned(part)
    with contextlib.suppress(FileExistsError):
        file = open(part, "xb")  # noqa: SIM115 - closed by the caller
        if _is_ours(part, file):
            return part, file
        file.close()
    part = part.with_name(f"{part.name}-{secrets.token_hex(4)}")
    return part, open(part, "xb")


def _remove_abandoned(part: Path) -> None:
    """Remove a part whose writer is gone: the system takes back the lock of a process that ended."""
    with contextlib.suppress(OSError):  # it is not there, or locked, or there are no locks
        if stat.S_ISREG(part.lstat().st_mode):
            with open(part, "rb") as file:
                _lock(file)
                part.unlink()


def _is_ours(part: Path, file: IO[bytes]) -> bool:
    """Lock a new part; False if someone took it for abandoned in the moment before."""
    try:
        _lock(file)
    except BlockingIOError:
        return False
    except OSError:
        return True  # no locks here, so nothing is ever taken for abandoned
    try:
        return os.path.samestat(os.fstat(file.fileno()), part.stat())
    except FileNotFoundError:
        return False


def _lock(file: IO[bytes]) -> None:
    """Lock a file until it is closed. Raises BlockingIOError if it is locked, OSError where there are no locks."""
    if sys.platform == "win32":
        raise OSError("not used on Windows")
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextlib.contextmanager
def write_errors(name: str) -> Iterator[None]:
    """Turn what the system refuses while `name` is written into DiskFullError or OutputError."""
    try:
        yield
    except OSError as error:
        if error.errno in FULL:
            raise DiskFullError("cannot be written (No space is left): free some space.", name) from error
        reason = error.strerror or str(error)
        raise OutputError(f"cannot be written ({reason}): choose another place with -o.", name) from error


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file, 64 hexadecimal digits.

    Raises:
        MissingError: it cannot be read.
    """
    digest = hashlib.sha256()
    try:
        with open(path, "rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise MissingError(f"cannot be read ({error.strerror}); check the path.", path) from error
    return digest.hexdigest()


def file_status(path: str | os.PathLike[str]) -> os.stat_result:
    """Size, times and kind of a file; raises UnreadableError when it is not there or out of reach."""
    with read_errors(readable_name(path)):
        return os.stat(path)


@contextlib.contextmanager
def read_errors(name: str) -> Iterator[None]:
    """Turn what the system refuses when `name` is opened into UnreadableError."""
    try:
        yield
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadableError(f"cannot be opened ({reason}).", name) from error


def identity(path: Path) -> str:
    """Size and time of a file, by which a changed one is noticed."""
    status = path.stat()
    return f"{status.st_size}:{status.st_mtime_ns}"
