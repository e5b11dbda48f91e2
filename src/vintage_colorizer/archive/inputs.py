"""Which inputs there are, where the result of each goes, and what became of it.

Names are streamed from folders, lists and object stores, so that an archive of any size needs little memory.
"""

from __future__ import annotations

import codecs
import json
import os
import posixpath
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import KW_ONLY, asdict, dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from vintage_colorizer.archive.places import Entry, Place, Url, place
from vintage_colorizer.errors import DiskFullError, InputError, UnreadableError, VintageColorizerError
from vintage_colorizer.photo.formats import NAMES, READ_ONLY, output_format

UNREPORTED = ("fatal", "crashed", "size")
# Endings of pictures that are read: those of the formats results can have, and some more.
# What network drives, Windows and macOS put beside the files, in lower case.
SYSTEM_FOLDERS = ("@eadir", "@recycle", "#recycle", "#snapshot", "$recycle.bin", "__macosx")
SYSTEM_FOLDER = "a hidden folder, or one of the system's own"
RAW_SUFFIXES = {
    *(".3fr", ".arw", ".cr2", ".cr3", ".dng", ".erf", ".iiq", ".mef", ".mos", ".mrw", ".nef", ".nrw", ".orf", ".pef"),
    *(".raf", ".rw2", ".rwl", ".srw", ".x3f"),
}
PICTURE_SUFFIXES = {"." + name for name in (*NAMES, *READ_ONLY)}


@dataclass(frozen=True)
class Wanted:
    """Which files a search below a folder takes."""

    noun: str
    suffixes: AbstractSet[str]
    check_result: Callable[[Path], object]  # raises OptionError for a result's name that cannot be written
    by_content: Callable[[Path], bool] = lambda path: False  # whether a file of another ending is one all the same


def _check_picture(path: Path) -> object:
    return output_format("JPEG", depth=8, has_alpha=False, wanted=path.suffix)


PICTURES = Wanted("picture", PICTURE_SUFFIXES, _check_picture)


@dataclass(frozen=True)
class Item:
    """One input, and where its result goes."""

    source: Place
    folder: Place  # where the result goes
    _: KW_ONLY
    name: str | None = None  # a name chosen by the user; None to derive it
    beside: bool = False  # the result lies beside its source, so it needs another name
    stamp: Entry | None = None  # size and time of an object, where the listing told them
    replaces: bool = False  # its result may be replaced: it was made from an earlier state of the source


@dataclass(frozen=True)
class Outcome:
    """What became of one input; the fields of a line in the report."""

    path: str
    status: Literal["done", "skipped", "failed"]
    reason: str = ""
    _: KW_ONLY
    output: str | None = None
    width: int | None = None
    height: int | None = None
    seconds: float = 0.0
    look: str | None = None
    network: str | None = None
    render_factor: int | None = None
    chroma: float | None = None
    certainty: float | None = None
    fatal: bool = False  # going on is pointless: the disk is full, say
    crashed: bool = False  # it brought its process down, so it is not tried again
    size: int | None = None  # of the result, in bytes

    @classmethod
    def of_error(cls, path: str, error: VintageColorizerError, seconds: float = 0.0) -> Outcome:
        """A failure. The reason names the file, whether the error does or not."""
        reason = str(error) if error.subject is not None else f"{path}: {error}"
        return cls(path, "failed", reason, seconds=seconds, fatal=isinstance(error, DiskFullError))

    def line(self) -> str:
        """As one line of JSON."""
        return json.dumps({name: value for name, value in asdict(self).items() if name not in UNREPORTED})


Found: TypeAlias = Item | Outcome  # an input to work on, or what became of one that is not even tried


def named(source: Place, out: Place | None, taken: set[str]) -> Found:
    """A single file; `taken` are the names of those before it, which share the folder of results.

    They are kept in one case, as not all file systems tell cases apart.
    """
    if out is None:
        return Item(source, source.parent, beside=True)
    if source.name.casefold() in taken:
        reason = f"{source} has the name of another input; color them into different folders"
        return Outcome(str(source), "failed", reason)
    taken.add(source.name.casefold())
    return Item(source, out)


def listed(file: Path, out: Place | None) -> Iterator[Found]:
    """Stream the inputs a text file names, one a line; UnreadableError if it cannot be read.

    It may be one of Windows: UTF-16 or UTF-8 with a mark, names in quotes, backslashes between folders.

    A result goes below `out` under the whole name of its source: that of deep/a.jpg to deep/, that of /scans/a.jpg
    to scans/, that of s3://bucket/a.jpg to bucket/.
    """
    try:
        with file.open("rb") as start:
            encoding = _encoding(start.read(2))
        with file.open(encoding=encoding, errors="surrogateescape") as lines:
            for line in lines:
                if name := line.strip("\r\n"):
                    yield _item_of_list(place(_as_it_is_here(name)), out)
    except OSError as error:
        raise UnreadableError(f"The list {file} cannot be read ({error.strerror}).") from error
    except UnicodeError as error:
        raise UnreadableError(f"The list {file} is damaged ({error}): save it as UTF-8.") from error


def _encoding(head: bytes) -> str:
    """Of a list of names that begins with `head`: UTF-16 by its mark, or by the zeros between its letters."""
    if head in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        return "utf-16"
    if 0 in head:
        return "utf-16-be" if head[0] == 0 else "utf-16-le"
    return "utf-8-sig"


def _as_it_is_here(name: str) -> str:
    """A name of a list without the quotes and backslashes of Windows, unless there is a file of just that name."""
    if ('"' not in name and "\\" not in name) or os.path.lexists(name):
        return name
    bare = name[1:-1] if len(name) > 2 and name[0] == name[-1] == '"' else name
    with_slashes = bare.replace("\\", "/")
    return with_slashes if os.path.lexists(with_slashes) else bare


def _item_of_list(source: Place, out: Place | None) -> Found:
    if out is None:
        return Item(source, source.parent, beside=True)
    key = source.key if isinstance(source, Url) else source.as_posix().removeprefix(source.anchor)
    key = posixpath.normpath(key)
    if key.startswith("../"):
        reason = f"{source} leads out of the current folder; write its whole path into the list"
        return Outcome(str(source), "failed", reason)
    return Item(source, out / posixpath.dirname(key or "."))


def files_in(root: Path, out: Place | None, results: Place | None, wanted: Wanted) -> Iterator[Found]:
    """Stream the files below `root`, links to folders not followed.

    Args:
        root: the folder.
        out: where its tree is mirrored; None for results beside their sources.
        results: the folder of all results, which is passed over.
        wanted: which files.
    """
    passed_over = results.resolve() if isinstance(results, Path) else None
    pending = [root]
    while pending:
        folder = pending.pop()
        target = folder if out is None else out / folder.relative_to(root)
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    path = Path(entry.path)
                    if entry.is_dir(follow_symlinks=False):
                        if is_of_the_system(entry.name):
                            yield Outcome(str(path), "skipped", SYSTEM_FOLDER)
                        elif path.resolve() != passed_over:
                            pending.append(path)
                    elif reason := _why_unfit(entry, wanted):
                        yield Outcome(str(path), "skipped", reason)
                    else:
                        yield Item(path, target, beside=out is None)
        except OSError as error:
            yield Outcome(str(folder), "failed", f"the folder {folder} cannot be read ({error.strerror})")


def _why_unfit(entry: os.DirEntry[str], wanted: Wanted) -> str | None:
    path = entry.path  # asked by path: an entry's own methods raise on a link that leads in a circle
    if os.path.isdir(path):
        return "a link to a folder is not followed"
    if not entry.name.startswith(".") and not os.path.isfile(path):
        return "not a file but a pipe, socket, device or broken link"
    reason = _why_unfit_by_name(entry.name, wanted)
    return None if reason and not entry.name.startswith(".") and wanted.by_content(Path(path)) else reason


def is_of_the_system(folder: str) -> bool:
    """Whether a folder of that name holds thumbnails, deleted files and the like, and no archive."""
    return folder.startswith(".") or folder.casefold() in SYSTEM_FOLDERS


def _why_unfit_by_name(name: str, wanted: Wanted) -> str | None:
    if name.startswith("."):
        return "hidden"
    suffix = Path(name).suffix.lower()
    if suffix in wanted.suffixes:
        return None
    if suffix in RAW_SUFFIXES:
        return "a raw file by its name; export it as 16-bit TIFF or as JPEG"
    return f"not a {wanted.noun} by its name"


def objects_in(
    root: Url, listing: Iterable[Entry], out: Place | None, results: Place | None, wanted: Wanted
) -> Iterator[Found]:
    """Stream the files below a URL from its `listing`; the others as `files_in`."""
    try:
        for entry in listing:
            path = entry.place
            assert isinstance(path, Url)
            if isinstance(results, Url) and path.text.startswith(f"{results}/"):
                continue
            below = path.parent.text[len(root.text) :].strip("/")
            target = path.parent if out is None else out / below if below else out
            if any(map(is_of_the_system, below.split("/"))):
                yield Outcome(str(path), "skipped", SYSTEM_FOLDER)
            elif reason := _why_unfit_by_name(path.name, wanted):
                yield Outcome(str(path), "skipped", reason)
            else:
                yield Item(path, target, beside=out is None, stamp=entry)
    except InputError as error:
        yield Outcome(str(root), "failed", str(error))
