"""Which inputs there are, where the result of each goes, and what became of it.

Names are streamed from folders, lists and object stores, so that an archive of any size needs little memory.
"""

from __future__ import annotations

import json
import os
import posixpath
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from vintage_colorizer.archive.places import Entry, Place, Url, exists, files_below, is_folder, place
from vintage_colorizer.errors import InputError, OptionError, UnreadableError
from vintage_colorizer.files import file_status
from vintage_colorizer.photo.formats import NAMES, READ_ONLY, output_format

UNREPORTED = ("fatal", "crashed", "size")
LIST_MARK = "@"  # before the name of a list of names
# Endings of pictures that are read: those of the formats results can have, and some more.
PICTURE_SUFFIXES = {"." + name for name in (*NAMES, *READ_ONLY)}


@dataclass(frozen=True)
class Wanted:
    """Which files a search below a folder takes."""

    noun: str
    suffixes: AbstractSet[str]
    check_result: Callable[[Path], object]  # raises OptionError for a result's name that cannot be written


def _check_picture(path: Path) -> object:
    return output_format("JPEG", depth=8, has_alpha=False, wanted=path.suffix)


PICTURES = Wanted("picture", PICTURE_SUFFIXES, _check_picture)


@dataclass(frozen=True)
class Item:
    """One input, and where its result goes."""

    source: Place
    folder: Place  # where the result goes
    name: str | None = None  # a name chosen by the user; None to derive it
    beside: bool = False  # the result lies beside its source, so it needs another name
    unfit: str | None = None  # why this is not even tried
    failed: bool = False  # being unfit is a failure: what was asked for is missing from the results
    stamp: Entry | None = None  # size and time of an object, where the listing told them
    replaces: bool = False  # its result may be replaced: it was made from an earlier state of the source


@dataclass(frozen=True)
class Outcome:
    """What became of one input; the fields of a line in the report."""

    path: str
    status: Literal["done", "skipped", "failed"]
    reason: str = ""
    output: str | None = None
    width: int | None = None
    height: int | None = None
    seconds: float = 0.0
    look: str | None = None
    network: str | None = None
    render_factor: int | None = None
    chroma: float | None = None
    fatal: bool = False  # going on is pointless: the disk is full, say
    crashed: bool = False  # it brought its process down, so it is not tried again
    size: int | None = None  # of the result, in bytes

    def line(self) -> str:
        """As one line of JSON."""
        return json.dumps({name: value for name, value in asdict(self).items() if name not in UNREPORTED})


def unfit_outcome(item: Item) -> Outcome:
    """What to report of an input that is not even tried."""
    return Outcome(str(item.source), "failed" if item.failed else "skipped", item.unfit or "")


def find(paths: Iterable[Place], out: Place | None, wanted: Wanted = PICTURES) -> Iterator[Item]:
    """Stream the inputs below `paths`, folders recursively, with the place of each result.

    Args:
        paths: files, folders, and lists of names: @FILE, see `_listed`.
        out: a file (for a single input file), a folder (which mirrors the tree), or None for
            results beside their sources.
        wanted: what to take from folders; files named are tried whatever they are.

    Raises:
        OptionError: `out` is a file but there may be several inputs, or its format is not known.
        UnreadableError: a list is not there.
    """
    paths = list(paths)
    for path in filter(is_list, paths):
        file_status(str(path)[1:])  # before any work
    if out is not None and not is_result_folder(out, paths):
        wanted.check_result(Path(out.name))  # before any work
        return iter([Item(paths[0], out.parent, name=out.name)])
    return _find(paths, out, wanted)


def _find(paths: list[Place], out: Place | None, wanted: Wanted) -> Iterator[Item]:
    several = sum(map(is_folder, paths)) > 1
    seen: set[str] = set()  # names of single files bound for the one folder, in one case: not all systems tell it
    for path in paths:
        if is_list(path):
            yield from _listed(Path(str(path)[1:]), out)
        elif not is_folder(path):
            taken = out is not None and path.name.casefold() in seen
            seen.add(path.name.casefold())
            unfit = f"{path} has the name of another input; color them into different folders" if taken else None
            yield Item(path, path.parent if out is None else out, beside=out is None, unfit=unfit, failed=taken)
        else:
            name = path.resolve().name if isinstance(path, Path) else path.name
            folder = out / name if out is not None and several else out
            if isinstance(path, Path):
                yield from _walk(path, folder, out, wanted)
            else:
                yield from _walk_objects(path, folder, out, wanted)


def is_list(path: Place) -> bool:
    """Whether this names a list of names (a file whose own name begins so is written ./@FILE)."""
    return isinstance(path, Path) and str(path).startswith(LIST_MARK)


def may_be_several(paths: list[Place]) -> bool:
    """Whether there may be more than one input."""
    return len(paths) > 1 or is_list(paths[0]) or is_folder(paths[0])


def is_result_folder(out: Place, paths: list[Place]) -> bool:
    """Whether `out` stands for a folder of results rather than for the one result.

    OptionError if it is a file, and there may be several inputs.
    """
    if not may_be_several(paths) and not is_folder(out) and out.suffix:
        return False
    if exists(out) and not is_folder(out):
        raise OptionError(f"{out} is a file, but there may be several results; name a folder.")
    return True


def _listed(file: Path, out: Place | None) -> Iterator[Item]:
    """Stream the inputs a text file names, one a line; UnreadableError if it cannot be read.

    A result goes below `out` under the whole name of its source: that of deep/a.jpg to deep/, that of /scans/a.jpg
    to scans/, that of s3://bucket/a.jpg to bucket/.
    """
    try:
        with file.open(encoding="utf-8", errors="surrogateescape") as lines:
            for line in lines:
                if name := line.strip("\r\n"):
                    yield _item_of_list(place(name), out)
    except OSError as error:
        raise UnreadableError(f"The list {file} cannot be read ({error.strerror}).") from error


def _item_of_list(source: Place, out: Place | None) -> Item:
    if out is None:
        return Item(source, source.parent, beside=True)
    key = source.key if isinstance(source, Url) else source.as_posix().removeprefix(source.anchor)
    key = posixpath.normpath(key)
    outside = key.startswith("../")
    unfit = f"{source} leads out of the current folder; write its whole path into the list" if outside else None
    return Item(source, out if outside else out / posixpath.dirname(key or "."), unfit=unfit, failed=outside)


def _walk(root: Path, out: Place | None, skip: Place | None, wanted: Wanted) -> Iterator[Item]:
    """Stream the files below `root`, links to folders not followed; `skip` is the folder of results."""
    skipped = skip.resolve() if isinstance(skip, Path) else None
    pending = [root]
    while pending:
        folder = pending.pop()
        target = folder if out is None else out / folder.relative_to(root)
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    path = Path(entry.path)
                    if not entry.is_dir(follow_symlinks=False):
                        yield Item(path, target, beside=out is None, unfit=_why_unfit(entry, wanted))
                    elif path.resolve() != skipped:
                        pending.append(path)
        except OSError as error:
            yield Item(folder, target, unfit=f"the folder cannot be read ({error.strerror})", failed=True)


def _why_unfit(entry: os.DirEntry[str], wanted: Wanted) -> str | None:
    path = entry.path  # asked by path: an entry's own methods raise on a link that leads in a circle
    if os.path.isdir(path):
        return "a link to a folder is not followed"
    if not entry.name.startswith(".") and not os.path.isfile(path):
        return "not a file but a pipe, socket, device or broken link"
    return _unfit_by_name(entry.name, wanted)


def _unfit_by_name(name: str, wanted: Wanted) -> str | None:
    if name.startswith("."):
        return "hidden"
    return None if Path(name).suffix.lower() in wanted.suffixes else f"not a {wanted.noun} by its name"


def _walk_objects(root: Url, out: Place | None, skip: Place | None, wanted: Wanted) -> Iterator[Item]:
    """Stream the files below a URL; `skip` is the folder of results."""
    try:
        for entry in files_below(root):
            path = entry.place
            assert isinstance(path, Url)
            if isinstance(skip, Url) and path.text.startswith(f"{skip}/"):
                continue
            below = path.parent.text[len(root.text) :].strip("/")
            target = path.parent if out is None else out / below if below else out
            yield Item(path, target, beside=out is None, unfit=_unfit_by_name(path.name, wanted), stamp=entry)
    except InputError as error:
        yield Item(root, out or root, unfit=str(error), failed=True)
