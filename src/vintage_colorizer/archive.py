"""Many inputs: find them, name their results, skip what is done, keep going when one fails.

Names are streamed from the file system to a few workers, so a folder of any size needs little
memory. Nothing here prints; every input ends as one Outcome.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from collections.abc import Set as AbstractSet
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from vintage_colorizer.colorizer import DEFAULT_LOOK, ColorizedPhoto, Colorizer, Source, fingerprint, settings_of
from vintage_colorizer.encoders import NAMES, SUFFIXES
from vintage_colorizer.errors import (
    DiskFullError,
    EngineError,
    InputError,
    MissingError,
    OptionError,
    OutputError,
    OutputExistsError,
    WeightsError,
)
from vintage_colorizer.options import JobOptions, PhotoOptions
from vintage_colorizer.photos import Header, output_format, probe

log = logging.getLogger("vintage_colorizer")

LARGE_PIXELS = 40_000_000  # photos above this are colored one at a time: each needs about 1 GB
LONGEST_NAME = 255  # bytes, on all common file systems
# Endings of pictures that are read: those of the formats results can have, and some more.
PICTURE_SUFFIXES = {"." + name for name in NAMES} | {".bmp", ".dib", ".gif", ".ppm", ".pgm", ".pbm", ".pnm"}


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

    source: Path
    folder: Path  # where the result goes
    name: str | None = None  # a name chosen by the user; None to derive it
    beside: bool = False  # the result lies beside its source, so it needs another name
    unfit: str | None = None  # why this is not even tried
    failed: bool = False  # being unfit is a failure: what was asked for is missing from the results


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

    def line(self) -> str:
        """As one line of JSON."""
        fields = asdict(self)
        del fields["fatal"]
        return json.dumps(fields)


def find(paths: Iterable[Path], out: Path | None, wanted: Wanted = PICTURES) -> Iterator[Item]:
    """Stream the inputs below `paths`, folders recursively, with the place of each result.

    Args:
        paths: files and folders.
        out: a file (for a single input file), a folder (which mirrors the tree), or None for
            results beside their sources.
        wanted: what to take from folders; files named are tried whatever they are.

    Raises:
        OptionError: `out` is a file but there may be several inputs, or its format is not known.
    """
    paths = list(paths)
    if out is not None and not _is_folder(out, paths):
        wanted.check_result(out)  # before any work
        return iter([Item(paths[0], out.parent, name=out.name)])
    return _find(paths, out, wanted)


def _find(paths: list[Path], out: Path | None, wanted: Wanted) -> Iterator[Item]:
    several = sum(map(os.path.isdir, paths)) > 1
    seen: set[str] = set()  # names of single files bound for the one folder, in one case: not all systems tell it
    for path in paths:
        if not os.path.isdir(path):
            taken = out is not None and path.name.casefold() in seen
            seen.add(path.name.casefold())
            unfit = f"{path} has the name of another input; color them into different folders" if taken else None
            yield Item(path, path.parent if out is None else out, beside=out is None, unfit=unfit, failed=taken)
        else:
            folder = out / path.resolve().name if out is not None and several else out
            yield from _walk(path, folder, out, wanted)


def _is_folder(out: Path, paths: list[Path]) -> bool:
    """Whether `out` stands for a folder of results rather than for the one result."""
    single = len(paths) == 1 and not os.path.isdir(paths[0])
    if single and not os.path.isdir(out) and out.suffix:
        return False
    if os.path.exists(out) and not os.path.isdir(out):
        raise OptionError(f"{out} is a file, but there may be several results; name a folder.")
    return True


def _walk(root: Path, out: Path | None, skip: Path | None, wanted: Wanted) -> Iterator[Item]:
    """Stream the files below `root`, links to folders not followed; `skip` is the folder of results."""
    skipped = skip.resolve() if skip is not None else None
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
    if entry.name.startswith("."):
        return "hidden"
    if not os.path.isfile(path):
        return "not a file but a pipe, socket, device or broken link"
    if Path(entry.name).suffix.lower() not in wanted.suffixes:
        return f"not a {wanted.noun} by its name"
    return None


def color_file(colorizer: Colorizer, item: Item, options: PhotoOptions, overwrite: bool = False) -> Outcome:
    """Color one file. Whatever is wrong with it, or with its result, is in the Outcome.

    Raises:
        OptionError, MissingError, WeightsError: every other file would fail in the same way.
    """
    start = time.perf_counter()
    path = str(item.source)
    if item.unfit:
        return Outcome(path, "failed" if item.failed else "skipped", item.unfit)
    try:
        header = probe(item.source, max_megapixels=options.max_megapixels)
        if header.fingerprint is not None:
            return Outcome(path, "skipped", "it was colored by Vintage Colorizer before")
        target = result_path(item, header, options)
        with _claim(target):
            if _is_done(target, item.source, colorizer, options, overwrite):
                return Outcome(path, "skipped", "done before", str(target), header.width, header.height)
            with room_for(header):
                result = colorizer.photo(item.source, options)
                result.write(target, target.suffix)
        return outcome_of(result, path, str(target), start)
    except (InputError, OutputError, EngineError) as error:
        log.debug("%s", path, exc_info=True)
        return Outcome(path, "failed", str(error), seconds=_rounded(start), fatal=isinstance(error, DiskFullError))
    except MemoryError:
        reason = f"There is not enough memory for {path}; color it alone or on a larger machine."
        return Outcome(path, "failed", reason, seconds=_rounded(start))
    except (OptionError, MissingError, WeightsError):
        raise
    except Exception as error:  # a fault of ours: it must not end a run over fifty thousand others
        log.debug("%s", path, exc_info=True)
        reason = f"{path} met a fault of this program ({error!r}); run it with --debug and report what is shown."
        return Outcome(path, "failed", reason, seconds=_rounded(start))


def outcome_of(result: ColorizedPhoto, path: str, output: str, start: float) -> Outcome:
    """What to report of a result that was written; `start` is the reading of time.perf_counter at its beginning."""
    height, width = result.photo.pixels.shape[:2]
    return Outcome(
        path,
        "done",
        "; ".join([*result.warnings, *_format_notes(result, path, output)]),
        output,
        width,
        height,
        _rounded(start),
        result.look,
        result.network.name,
        result.render_factor,
        round(result.strength, 4),
    )


def _format_notes(result: ColorizedPhoto, path: str, output: str) -> list[str]:
    """What a name does not tell: another format inside, or a result of another kind than its source."""
    photo, notes = result.photo, []
    if NAMES.get(Path(path).suffix[1:].lower(), photo.format) != photo.format:
        notes.append(f"by its content the source is {photo.format}")
    best = output_format(photo.format, photo.depth, photo.alpha is not None)
    if best != photo.format and best == NAMES.get(Path(output).suffix[1:].lower()):
        notes.append(f"written as {best}, since {photo.format} cannot hold the result")
    return notes


def _rounded(start: float) -> float:
    return round(time.perf_counter() - start, 3)


def result_path(item: Item, header: Header, options: PhotoOptions) -> Path:
    """Where the result of an item goes.

    The source's name, with `-color` if it lies beside the source. If the format changes, the new
    ending is added to the whole name, so that the results of a.gif and a.png never collide.
    """
    if item.name is not None:
        return item.folder / item.name
    name = item.source.name
    ending = item.source.suffix
    format = output_format(header.format, header.depth, header.has_alpha, options.format)
    stem, addition = name.removesuffix(ending), "-color" if item.beside else ""
    if NAMES.get(ending[1:].lower()) != format:
        stem, ending = name, SUFFIXES[format]
    return item.folder / fitting_name(stem, addition + ending)


def fitting_name(stem: str, tail: str) -> str:
    """The name stem + tail; a stem too long for file systems is cut and told apart by a hash."""
    raw = os.fsencode(stem)
    room = LONGEST_NAME - len(os.fsencode(tail))
    if len(raw) <= room:
        return stem + tail
    mark = "~" + hashlib.sha256(raw).hexdigest()[:8]
    cut = raw[: room - len(mark)].decode(errors="ignore")
    return cut + mark + tail


def _is_done(target: Path, source: Path, colorizer: Colorizer, options: PhotoOptions, overwrite: bool) -> bool:
    """Whether `target` already is this very result; raises OutputExistsError as `is_up_to_date`."""
    if not os.path.exists(target):
        return False
    origin = Source.of_file(source)
    origin.protect(target)
    look, network = options.look or DEFAULT_LOOK, colorizer.engine(options).info
    wanted = fingerprint(origin.identity, options, look, settings_of(options, look, network), network)
    return is_up_to_date(target, wanted, overwrite)


def is_up_to_date(target: Path, wanted: str, overwrite: bool) -> bool:
    """Whether `target` is the result with the fingerprint `wanted`; False where it may be written.

    Raises:
        OutputExistsError: it is something else, and not to be replaced.
    """
    if not os.path.exists(target):
        return False
    if os.path.isdir(target):
        raise OutputExistsError(f"{target} is a folder, so the result cannot have that name; choose another.")
    if _fingerprint_in(target) == wanted:
        return True
    if overwrite:
        return False
    raise OutputExistsError(f"{target} exists and was made differently; remove it or use --overwrite.")


def _fingerprint_in(path: Path) -> str | None:
    try:
        return probe(path, max_megapixels=float("inf")).fingerprint
    except InputError:
        return None


_claimed: set[Path] = set()
_claims = threading.Lock()
_large_photo = threading.Lock()


@contextmanager
def _claim(target: Path) -> Iterator[None]:
    """Keep two workers from writing results of the same name at the same time."""
    with _claims:
        if target in _claimed:
            raise OutputExistsError(f"{target} would be the result of two inputs; color them into different folders.")
        _claimed.add(target)
    try:
        yield
    finally:
        with _claims:
            _claimed.remove(target)


@contextmanager
def room_for(header: Header) -> Iterator[None]:
    """Let only one large photo be in memory at a time."""
    if header.width * header.height <= LARGE_PIXELS:
        yield
    else:
        with _large_photo:
            yield


def run(items: Iterable[Item], work: Callable[[Item], Outcome], workers: int, job: JobOptions) -> Iterator[Outcome]:
    """Do the work on all items with a few threads, yielding outcomes as they come.

    Only a handful of items are taken ahead of the work. Stops early after a failure that would
    hit all the others too (a full disk), or after any with `fail_fast`. When the consumer stops
    or is interrupted, running items are finished and no new one is begun.

    Raises:
        KeyboardInterrupt: after the outcomes of what was under way; at once when interrupted again.
    """
    pool = ThreadPoolExecutor(workers, thread_name_prefix="photo")
    running: set[Future[Outcome]] = set()
    waiting = iter(items)
    interrupted = False
    try:
        while True:
            while len(running) < 2 * workers and (item := next(waiting, None)) is not None:
                running.add(pool.submit(work, item))
            if not running:
                break
            try:
                finished, running = wait(running, return_when=FIRST_COMPLETED)
            except KeyboardInterrupt:
                if interrupted:
                    raise
                interrupted, waiting = True, iter(())
                running = {future for future in running if not future.cancel()}
                continue
            for outcome in (future.result() for future in finished):
                yield outcome
                if outcome.fatal or (job.fail_fast and outcome.status == "failed"):
                    waiting = iter(())
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
    if interrupted:
        raise KeyboardInterrupt
