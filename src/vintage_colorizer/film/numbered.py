"""Numbered frames as a film: reel_%04d.dpx stands for reel_0001.dpx, reel_0002.dpx and so on.

Scanners of film write such files (DPX, TIFF, PNG). They have no rate of their own, and none of them may be missing.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from vintage_colorizer.errors import InputError
from vintage_colorizer.files import identity

NUMBER = re.compile(r"%(0?)(\d*)d")
MOST_MISSING = 5  # that are named


def is_numbered(path: Path) -> bool:
    """Whether a name stands for numbered frames, and not for a file of that very name."""
    return NUMBER.search(path.name) is not None and not path.exists()


def plain_stem(path: Path) -> str:
    """What a film of numbered frames is called: their name without the number, or the folder's."""
    return NUMBER.sub("", path.stem).strip("_-. ") or path.absolute().parent.name or "film"


def numbers_of(path: Path) -> range:
    """The numbers of the frames that are there.

    Raises:
        InputError: there are no such files, or some of them are missing.
    """
    found = sorted(number for number, _ in _frames(path))
    if not found:
        raise InputError("stands for numbered frames, of which there are none; check the name.", path)
    missing = sorted(set(range(found[0], found[-1])) - set(found))
    if missing:
        named = ", ".join(str(number) for number in missing[:MOST_MISSING])
        more = f" and {len(missing) - MOST_MISSING} more" if len(missing) > MOST_MISSING else ""
        raise InputError(f"lacks the frames {named}{more}; find them, or number the others anew.", path)
    return range(found[0], found[-1] + 1)


def film_identity(path: Path) -> str:
    """What changes when a film does: size and time of its file, or of all its frames."""
    if not is_numbered(path):
        return identity(path)
    frames = sorted((number, identity(Path(entry))) for number, entry in _frames(path))
    return hashlib.sha256(repr(frames).encode()).hexdigest()


def _frames(path: Path) -> Iterator[tuple[int, os.DirEntry[str]]]:
    """Number and file of each frame."""
    match = NUMBER.search(path.name)
    assert match is not None
    zeros, width = match.group(1), int(match.group(2) or 1)
    digits = rf"(\d{{{width},}})" if zeros else r"(\d+)"
    names = re.compile(re.escape(path.name[: match.start()]) + digits + re.escape(path.name[match.end() :]))
    try:
        with os.scandir(path.parent) as entries:
            for entry in entries:
                found = names.fullmatch(entry.name)
                if found and path.name.replace(match.group(), match.group() % int(found.group(1))) == entry.name:
                    yield int(found.group(1)), entry
    except OSError as error:
        raise InputError(f"cannot be read ({error.strerror}); check the name.", path) from error
