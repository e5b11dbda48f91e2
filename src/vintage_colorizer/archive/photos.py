"""Many inputs: name their results, skip what is done, keep going when one fails.

`PhotoWork` and `RepairWork` are what is done with each, `run` has it done by whoever there is: threads or a cluster.
Nothing here prints; every input ends as one Outcome.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from vintage_colorizer.archive.inputs import Found, Item, Outcome
from vintage_colorizer.archive.names import fitting_name, result_path
from vintage_colorizer.archive.places import Url, describe, exists, fetch, write_bytes
from vintage_colorizer.colorizer import Colorizer
from vintage_colorizer.errors import (
    EngineError,
    InputError,
    MissingError,
    OptionError,
    OutputError,
    OutputExistsError,
    VintageColorizerError,
    WeightsError,
)
from vintage_colorizer.files import readable_name
from vintage_colorizer.networks.catalog import PHOTO_LOOK
from vintage_colorizer.networks.inference import settings_of
from vintage_colorizer.options import JobOptions, PhotoOptions, RepairOptions
from vintage_colorizer.photo.formats import NAMES, output_format
from vintage_colorizer.photo.picture import Header, Origin
from vintage_colorizer.photo.reading import probe
from vintage_colorizer.photo.result import ColorizedPhoto, fingerprint
from vintage_colorizer.repair import sidecar
from vintage_colorizer.repair.repairing import fingerprint as repair_fingerprint
from vintage_colorizer.workers.base import Known, Runner

if TYPE_CHECKING:
    from vintage_colorizer.archive.journal import Journal


log = logging.getLogger("vintage_colorizer")

Chosen = TypeVar("Chosen", PhotoOptions, RepairOptions)
LARGE_PIXELS = 40_000_000  # photos above this are colored one at a time: each needs about 1 GB


class LargePhotos:
    """Lets only one large photo at a time be in memory."""

    def __init__(self) -> None:
        self._alone = threading.Lock()

    @contextmanager
    def room_for(self, header: Header) -> Iterator[None]:
        """Wait, if the photo is large, until no other is under way."""
        with self._alone if header.width * header.height > LARGE_PIXELS else nullcontext():
            yield


class Claims:
    """The results that are being made, so that no two workers write the same at the same time."""

    def __init__(self) -> None:
        self._claimed: set[Path] = set()
        self._lock = threading.Lock()

    @contextmanager
    def claim(self, target: Path) -> Iterator[None]:
        """Keep others from `target`; OutputExistsError if one of them has it."""
        with self._lock:
            if target in self._claimed:
                text = "would be the result of two inputs; color them into different folders."
                raise OutputExistsError(text, target)
            self._claimed.add(target)
        try:
            yield
        finally:
            with self._lock:
                self._claimed.remove(target)


class Work(ABC, Generic[Chosen]):
    """The work on each photo of one run, by threads that share it. Sent to another process, it begins anew there.

    Subclasses say what is made of a photo; here it is found, named, kept from being made twice, and reported.
    """

    addition: ClassVar[str]  # to the name of a result that lies beside its source

    def __init__(self, colorizer: Colorizer, options: Chosen, overwrite: bool = False) -> None:
        """Work as `options` say; with `overwrite`, what is in the way of a result is replaced."""
        self._colorizer = colorizer
        self._options: Chosen = options
        self._overwrite = overwrite
        self._claims, self._large = Claims(), LargePhotos()

    def __reduce__(self) -> tuple[type[Work[Chosen]], tuple[Colorizer, Chosen, bool]]:
        return type(self), (self._colorizer, self._options, self._overwrite)

    @abstractmethod
    def already(self, header: Header) -> str:
        """Why a picture is left out, by its header; empty if it is not."""

    @abstractmethod
    def make(self, source: Path, target: Path) -> Outcome:
        """Write the result of one photo, and say what to report of it."""

    @abstractmethod
    def expected(self, identity: str) -> str:
        """The fingerprint in the result of a file with that size and time."""

    def __call__(self, item: Item) -> Outcome:
        """Work on one input, wherever it and its result lie. Whatever is wrong with them is in the Outcome.

        Raises:
            OptionError, MissingError, WeightsError: every other input would fail in the same way.
        """
        start = time.perf_counter()
        path = str(item.source)
        try:
            outcome = self._work(item)
        except (InputError, OutputError, EngineError) as error:
            log.debug("%s", path, exc_info=True)
            outcome = Outcome.of_error(path, error)
        except MemoryError:
            reason = f"There is not enough memory for {path}; color it alone or on a larger machine."
            outcome = Outcome(path, "failed", reason)
        except (OptionError, MissingError, WeightsError):
            raise
        except Exception as error:  # a fault of ours: it must not end a run over fifty thousand others
            log.debug("%s", path, exc_info=True)
            reason = f"{path} met a fault of this program ({error!r}); run it with --debug and report what is shown."
            outcome = Outcome(path, "failed", reason)
        seconds = 0.0 if outcome.status == "skipped" else round(time.perf_counter() - start, 3)
        return replace(outcome, seconds=seconds)

    def _work(self, item: Item) -> Outcome:
        if isinstance(item.source, Path) and isinstance(item.folder, Path):
            return self._on_file(item.source, item)
        with TemporaryDirectory(prefix="vintage-colorizer-") as scratch:
            source, folder = item.source, item.folder
            if isinstance(source, Url):
                source = Path(scratch, "source", fitting_name(Path(source.name).stem, source.suffix))
                source.parent.mkdir()
            if isinstance(folder, Url):
                folder = Path(scratch, "result")
            local = replace(item, source=source, folder=folder)
            try:
                return self._on_copy(item, source, local)
            except VintageColorizerError as error:
                raise error.about(_original(error.subject, local, item)) from error

    def _on_copy(self, item: Item, source: Path, local: Item) -> Outcome:
        """Work on a copy of what lies behind a URL, and send the result to where it belongs.

        The copy has the time of the original, so that the result's fingerprint is that of the original.
        """
        if isinstance(item.source, Url):
            entry = item.stamp or describe(item.source)
            fetch(item.source, source)
            os.utime(source, ns=(entry.modified, entry.modified))
        if isinstance(item.folder, Url):
            self._fetch_result(source, local, item)
        outcome = self._on_file(source, local)
        output = outcome.output
        if output is not None and isinstance(item.folder, Url):
            there = item.folder / Path(output).name
            if outcome.status == "done":
                write_bytes(there, Path(output).read_bytes())
            output = str(there)
        return replace(outcome, path=str(item.source), output=output)

    def _on_file(self, source: Path, item: Item) -> Outcome:
        path = str(source)
        header = probe(source, max_megapixels=self._options.max_megapixels)
        if reason := self.already(header):
            return Outcome(path, "skipped", reason)
        target = self._target(item, header)
        with self._claims.claim(target):
            if self._is_done(target, source, self._overwrite or item.replaces):
                return Outcome(
                    path,
                    "skipped",
                    "done before",
                    output=str(target),
                    width=header.width,
                    height=header.height,
                    size=target.stat().st_size,
                )
            with self._large.room_for(header):
                outcome = self.make(source, target)
        return replace(outcome, size=target.stat().st_size)

    def _target(self, item: Item, header: Header) -> Path:
        return result_path(item, header, self._options, self.addition)

    def _is_done(self, target: Path, source: Path, overwrite: bool) -> bool:
        """Whether `target` already is this very result; raises OutputExistsError as `is_up_to_date`."""
        if not os.path.exists(target):
            return False
        origin = Origin.of_file(source)
        origin.protect(target)
        return is_up_to_date(target, self.expected(origin.identity), overwrite)

    def _fetch_result(self, source: Path, local: Item, item: Item) -> None:
        """Bring what lies under the result's name, if anything does: it may be the result of an earlier run."""
        try:
            target = self._target(local, probe(source, max_megapixels=self._options.max_megapixels))
        except InputError:
            return  # which the work will report
        there = item.folder / target.name
        if there == item.source:
            text = "is the source itself, which is never overwritten; choose another name."
            raise OutputExistsError(text, str(there))
        if isinstance(there, Url) and exists(there):
            target.parent.mkdir(parents=True, exist_ok=True)
            fetch(there, target)


class PhotoWork(Work[PhotoOptions]):
    """Photos are colored."""

    addition = "-color"

    def already(self, header: Header) -> str:
        """Results of ours are not colored again, but for repaired photos."""
        return "it was colored by Vintage Colorizer before" if header.is_colored else ""

    def make(self, source: Path, target: Path) -> Outcome:
        """Color one photo."""
        result = self._colorizer.photo(source, self._options)
        result.write(target, target.suffix)
        return outcome_of(result, str(source), str(target))

    def expected(self, identity: str) -> str:
        """See `expected_fingerprint`."""
        return expected_fingerprint(identity, self._colorizer, self._options)


class RepairWork(Work[RepairOptions]):
    """Photos are repaired, and not colored."""

    addition = "-repaired"

    def __init__(
        self, colorizer: Colorizer, options: RepairOptions, overwrite: bool = False, sidecar: bool = False
    ) -> None:
        """As `Work`; with `sidecar`, each result gets one that holds its source."""
        super().__init__(colorizer, options, overwrite)
        self._sidecar = sidecar

    def __reduce__(self) -> tuple[type[RepairWork], tuple[Any, ...]]:
        return type(self), (self._colorizer, self._options, self._overwrite, self._sidecar)

    def already(self, header: Header) -> str:
        """Results of ours are not repaired: what was colored is repaired from its source."""
        if header.fingerprint is None:
            return ""
        made = "colored" if header.is_colored else "repaired"
        return f"it was {made} by Vintage Colorizer before"

    def make(self, source: Path, target: Path) -> Outcome:
        """Repair one photo."""
        result = self._colorizer.repair(source, self._options)
        if self._sidecar:  # first, as a result without one would count as done
            sidecar.keep(target, source, result.mask)
        result.write(target, target.suffix)
        height, width = result.mask.shape
        notes = "; ".join(result.warnings)
        return Outcome(str(source), "done", notes, output=str(target), width=width, height=height)

    def expected(self, identity: str) -> str:
        """See `repairing.fingerprint`."""
        return repair_fingerprint(identity, self._options)


def _original(subject: str | None, local: Item, item: Item) -> str | None:
    """What a file of the scratch folder stands for."""
    if subject == readable_name(str(local.source)):
        return str(item.source)
    folder, name = os.path.split(subject or "")
    return str(item.folder / name) if folder == str(local.folder) else subject


def outcome_of(result: ColorizedPhoto, path: str, output: str, seconds: float = 0.0) -> Outcome:
    """What to report of a result that was written."""
    height, width = result.photo.pixels.shape[:2]
    return Outcome(
        path,
        "done",
        "; ".join([*result.warnings, *_format_notes(result, path, output)]),
        output=output,
        width=width,
        height=height,
        seconds=seconds,
        look=result.look,
        network=result.network.name,
        render_factor=result.render_factor,
        chroma=round(result.strength, 4),
        certainty=None if result.certainty is None else round(result.certainty, 3),
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


def expected_fingerprint(identity: str, colorizer: Colorizer, options: PhotoOptions) -> str:
    """The fingerprint in the result of a file with that size and time."""
    look, network = options.look or PHOTO_LOOK, colorizer.engine(options).info
    reference = "" if options.reference is None else Origin.of_file(Path(options.reference)).identity
    return fingerprint(identity, options, look, settings_of(options, look, network), network, reference)


def is_up_to_date(target: Path, wanted: str, overwrite: bool) -> bool:
    """Whether `target` is the result with the fingerprint `wanted`; False where it may be written.

    Raises:
        OutputExistsError: it is something else, and not to be replaced.
    """
    if not os.path.exists(target):
        return False
    if os.path.isdir(target):
        raise OutputExistsError("is a folder, so the result cannot have that name; choose another.", target)
    if _fingerprint_in(target) == wanted:
        return True
    if overwrite:
        return False
    raise OutputExistsError("exists and was made differently; remove it or use --overwrite.", target)


def _fingerprint_in(path: Path) -> str | None:
    try:
        return probe(path, max_megapixels=float("inf")).fingerprint
    except InputError:
        return None


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
        journal: knows what earlier runs did, and notes how the work on each item ended.

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
