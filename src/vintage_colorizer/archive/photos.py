"""Many inputs: name their results, skip what is done, keep going when one fails.

`color_item` is what is done with each, `run` has it done by whoever there is: threads or a cluster.
Nothing here prints; every input ends as one Outcome.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from vintage_colorizer.archive.inputs import Found, Item, Outcome
from vintage_colorizer.archive.names import fitting_name, result_path
from vintage_colorizer.archive.places import Url, describe, exists, fetch, write_bytes
from vintage_colorizer.colorizer import Colorizer
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
from vintage_colorizer.files import readable_name
from vintage_colorizer.networks.catalog import PHOTO_LOOK
from vintage_colorizer.networks.inference import settings_of
from vintage_colorizer.options import JobOptions, PhotoOptions
from vintage_colorizer.photo.formats import NAMES, output_format
from vintage_colorizer.photo.picture import Header
from vintage_colorizer.photo.reading import probe
from vintage_colorizer.photo.result import ColorizedPhoto, Source, fingerprint
from vintage_colorizer.workers.base import Known, Runner

if TYPE_CHECKING:
    from vintage_colorizer.archive.journal import Journal


log = logging.getLogger("vintage_colorizer")

LARGE_PIXELS = 40_000_000  # photos above this are colored one at a time: each needs about 1 GB


def color_item(item: Item, colorizer: Colorizer, options: PhotoOptions, overwrite: bool = False) -> Outcome:
    """Color one input, wherever it and its result lie. Whatever is wrong with it is in the Outcome.

    Raises:
        OptionError, MissingError, WeightsError: every other input would fail in the same way.
    """
    overwrite = overwrite or item.replaces
    if isinstance(item.source, Path) and isinstance(item.folder, Path):
        return color_file(colorizer, item, options, overwrite)
    try:
        with TemporaryDirectory(prefix="vintage-colorizer-") as scratch:
            return _color_copy(colorizer, item, options, overwrite, Path(scratch))
    except (InputError, OutputError) as error:
        return Outcome(str(item.source), "failed", str(error))


def _color_copy(colorizer: Colorizer, item: Item, options: PhotoOptions, overwrite: bool, scratch: Path) -> Outcome:
    """Color a copy of what lies behind a URL, and send the result to where it belongs.

    The copy has the time of the original, so that the result's fingerprint is that of the original.
    """
    source = item.source
    if isinstance(source, Url):
        source = scratch / "source" / fitting_name(Path(item.source.name).stem, item.source.suffix)
        source.parent.mkdir()
        entry = item.stamp or describe(Url(str(item.source)))
        fetch(Url(str(item.source)), source)
        os.utime(source, ns=(entry.modified, entry.modified))
    remote = isinstance(item.folder, Url)
    local = replace(item, source=source, folder=scratch / "result" if remote else item.folder)
    if remote:
        _fetch_result(local, item, options)
    outcome = color_file(colorizer, local, options, overwrite)
    output = outcome.output
    if output is not None and remote:
        output = str(item.folder / Path(output).name)
        if outcome.status == "done":
            write_bytes(Url(output), Path(str(outcome.output)).read_bytes())
    places = {str(source): str(item.source), str(scratch / "result"): str(item.folder)}
    return replace(outcome, path=str(item.source), output=output, reason=_with_names(outcome.reason, places))


def _fetch_result(local: Item, item: Item, options: PhotoOptions) -> None:
    """Bring what lies under the result's name, if anything does: it may be the result of an earlier run."""
    assert isinstance(local.source, Path)
    try:
        target = result_path(local, probe(local.source, max_megapixels=options.max_megapixels), options)
    except InputError:
        return  # which `color_file` reports
    there = item.folder / target.name
    if there == item.source:
        raise OutputExistsError(f"{there} is the source itself, which is never overwritten; choose another name.")
    if isinstance(there, Url) and exists(there):
        target.parent.mkdir(parents=True, exist_ok=True)
        fetch(there, target)


def _with_names(text: str, names: dict[str, str]) -> str:
    for copy, original in names.items():
        text = text.replace(readable_name(copy), original)
    return text


def color_file(colorizer: Colorizer, item: Item, options: PhotoOptions, overwrite: bool = False) -> Outcome:
    """Color one file. Whatever is wrong with it, or with its result, is in the Outcome.

    Raises:
        OptionError, MissingError, WeightsError: every other file would fail in the same way.
    """
    start = time.perf_counter()
    path = str(item.source)
    assert isinstance(item.source, Path)
    try:
        header = probe(item.source, max_megapixels=options.max_megapixels)
        if header.fingerprint is not None:
            return Outcome(path, "skipped", "it was colored by Vintage Colorizer before")
        target = result_path(item, header, options)
        with _claim(target):
            if _is_done(target, item.source, colorizer, options, overwrite):
                return Outcome(
                    path,
                    "skipped",
                    "done before",
                    output=str(target),
                    width=header.width,
                    height=header.height,
                    size=target.stat().st_size,
                )
            with room_for(header):
                result = colorizer.photo(item.source, options)
                result.write(target, target.suffix)
        return replace(outcome_of(result, path, str(target), start), size=target.stat().st_size)
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
        output=output,
        width=width,
        height=height,
        seconds=_rounded(start),
        look=result.look,
        network=result.network.name,
        render_factor=result.render_factor,
        chroma=round(result.strength, 4),
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


def _is_done(target: Path, source: Path, colorizer: Colorizer, options: PhotoOptions, overwrite: bool) -> bool:
    """Whether `target` already is this very result; raises OutputExistsError as `is_up_to_date`."""
    if not os.path.exists(target):
        return False
    origin = Source.of_file(source)
    origin.protect(target)
    return is_up_to_date(target, expected_fingerprint(origin.identity, colorizer, options), overwrite)


def expected_fingerprint(identity: str, colorizer: Colorizer, options: PhotoOptions) -> str:
    """The fingerprint in the result of a file with that size and time."""
    look, network = options.look or PHOTO_LOOK, colorizer.engine(options).info
    return fingerprint(identity, options, look, settings_of(options, look, network), network)


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


def run(
    found: Iterable[Found],
    work: Callable[[Item], Outcome],
    runner: Runner,
    job: JobOptions,
    journal: Journal | None = None,
) -> Iterator[Outcome]:
    """Have the work done on all items, yielding outcomes as they come.

    Stops early after a failure that would hit all the others too (a full disk), or after any with `fail_fast`:
    what is under way is finished, and no new item begun. The same holds when the consumer stops or is interrupted.

    Args:
        found: taken only as they are needed.
        work: what is done with an item; see `Runner.run`.
        runner: who does it.
        job: whether to stop early.
        journal: knows what earlier runs did, and notes the beginning and the end of the work on each item.

    Raises:
        KeyboardInterrupt: after the outcomes of what was under way; at once when interrupted again.
    """
    stopped = False

    def tasks() -> Iterator[Item | Known[Outcome]]:
        for one in found:
            if stopped:
                return
            if isinstance(one, Outcome):
                yield Known(one)
            else:
                yield one if journal is None else journal.begin(one)

    for outcome in runner.run(tasks(), work, _crashed):
        if journal is not None:
            journal.end(outcome)
        yield outcome
        stopped = stopped or outcome.fatal or (job.fail_fast and outcome.status == "failed")


def _crashed(item: Item) -> Outcome:
    reason = f"{item.source} brought its process down twice, so it is left out; it may be damaged or too large."
    return Outcome(str(item.source), "failed", reason, crashed=True)
