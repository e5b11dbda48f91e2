"""Files on disk: names fit for a message, and writing that never leaves half a result."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from vintage_colorizer.errors import DiskFullError, MissingError, OutputError, UnreadableError

FULL = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT)
MAX_STEM_BYTES = 200  # of a temporary name, whose limit is 255 on most file systems


def readable_name(path: str | os.PathLike[str]) -> str:
    """A path as one line of valid text: control characters and undecodable bytes are escaped."""
    text = os.fsencode(os.fspath(path)).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


@contextlib.contextmanager
def locked(path: Path, patience: float = 0.0) -> Iterator[None]:
    """Hold a lock that a file stands for; the file is removed with it, and the system frees that of a killed process.

    Raises:
        TimeoutError: another process, or another thread, held it for all of `patience` seconds.
        OSError: the file cannot be made.
    """
    from filelock import FileLock  # slow to import

    lock = FileLock(path)
    lock.acquire(timeout=patience)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # Windows removes no open file; there, `release` does it
            path.unlink()
        lock.release()


@contextlib.contextmanager
def atomically(target: Path) -> Iterator[IO[bytes]]:
    """A new binary file that becomes `target` at the end of the `with`, or vanishes on any failure.

    It is written beside the target as `.NAME.part`, flushed to the disk, then renamed; what a killed process left
    under that name is replaced. Missing parent folders are made. Raises DiskFullError when no space is left,
    OutputError for any other refusal.
    """
    name = readable_name(target)
    with contextlib.ExitStack() as held:
        with write_errors(name):
            target.parent.mkdir(parents=True, exist_ok=True)
            part = held.enter_context(_own_part(target))
            file = open(part, "xb")  # noqa: SIM115 - closed below
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


@contextlib.contextmanager
def _own_part(target: Path) -> Iterator[Path]:
    """A free name beside the target; another one if someone else is writing the same target now."""
    stem = target.name
    while len(os.fsencode(stem)) > MAX_STEM_BYTES:
        stem = stem[:-1]
    part = target.parent / f".{stem}.part"
    with contextlib.ExitStack() as held:
        try:
            held.enter_context(locked(part.with_name(f"{part.name}.lock")))
            part.unlink(missing_ok=True)  # its writer is gone
        except (OSError, NotImplementedError):  # at work, not to be removed, or there are no locks here
            part = part.with_name(f"{part.name}-{secrets.token_hex(4)}")
        yield part


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


def free_name(path: str | os.PathLike[str]) -> Path:
    """`path` if nothing is there, else the first of `NAME-2`, `NAME-3`, ... that is free."""
    wanted = Path(path)
    candidates = (wanted.with_stem(f"{wanted.stem}-{number}") for number in itertools.count(2))
    return wanted if not os.path.lexists(wanted) else next(one for one in candidates if not os.path.lexists(one))


def identity(path: Path) -> str:
    """Size and time of a file, by which a changed one is noticed."""
    status = path.stat()
    return f"{status.st_size}:{status.st_mtime_ns}"
