"""What the commands do between the terminal and the library: progress, summary, exit code."""

from __future__ import annotations

import os
import platform
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import typer

from vintage_colorizer.archive import photos as archive
from vintage_colorizer.archive.inputs import Item, Outcome, find, is_result_folder, may_be_several
from vintage_colorizer.archive.places import Place, Url, is_folder, place
from vintage_colorizer.colorizer import Colorizer
from vintage_colorizer.errors import FAILED, INTERRUPTED, OptionError, OutputError, VintageColorizerError
from vintage_colorizer.files import atomically, readable_name
from vintage_colorizer.networks import weights
from vintage_colorizer.networks.engines import describe_hardware, unused_gpu
from vintage_colorizer.options import JobOptions, PhotoOptions
from vintage_colorizer.photo.formats import NAMES, output_format
from vintage_colorizer.photo.metadata import Disclosure
from vintage_colorizer.photo.picture import Photo
from vintage_colorizer.photo.reading import read_photo
from vintage_colorizer.photo.result import ColorizedPhoto, Source
from vintage_colorizer.photo.sheets import render_factor_sheet
from vintage_colorizer.photo.writing import write_photo
from vintage_colorizer.version import __version__
from vintage_colorizer.workers import open_runner

if TYPE_CHECKING:
    from rich.progress import Progress

    from vintage_colorizer.archive.journal import Journal


DEMO_FILE = "demo.jpg"
PACKAGES = ("numpy", "onnxruntime", "onnxruntime-gpu", "opencv-python-headless", "pillow", "pillow-heif", "torch")
PLAIN_PROGRESS_SECONDS = 10  # between lines of progress where the terminal cannot redraw, a log say


class Console:
    """Says things on standard error, unless quiet; errors always."""

    def __init__(self, quiet: bool = False) -> None:
        """`quiet` leaves only errors."""
        self.quiet = quiet

    def say(self, text: str) -> None:
        """Print a line of information."""
        if not self.quiet:
            typer.echo(readable_name(text), err=True)

    def complain(self, text: str) -> None:
        """Print a line about a failure, even when quiet."""
        typer.secho(readable_name(text), err=True, fg="red")

    @contextmanager
    def progress(self, several: bool) -> Iterator[FileProgress]:
        """Show progress over several files: a bar, or a line now and then where the terminal cannot redraw."""
        if self.quiet or not several or not sys.stderr.isatty():
            yield FileProgress(self)
            return
        from rich import progress  # slow to import, and not needed for a single photo
        from rich.console import Console as RichConsole

        columns = (
            progress.BarColumn(),
            progress.MofNCompleteColumn(),
            progress.TextColumn("{task.fields[rate]}"),
            progress.TimeRemainingColumn(),
        )
        with progress.Progress(*columns, console=RichConsole(stderr=True), transient=True) as bar:
            yield FileProgress(self, bar)


class FileProgress:
    """Counts files done; the total arrives while work is under way."""

    def __init__(self, console: Console, bar: Progress | None = None) -> None:
        """Draw on `bar`, or print lines on `console` from time to time if there is none."""
        self._console, self._bar = console, bar
        self._task = bar.add_task("coloring", total=None, rate="") if bar else None
        self._start = self._last_line = time.monotonic()
        self.total: int | None = None
        self.done = 0

    def count_ahead(self, items: Iterable[Item]) -> None:
        """Count the inputs in the background, so that the time left can be told."""

        def count() -> None:
            total = 0
            for total, _ in enumerate(items, start=1):  # noqa: B007 - the last index is the count
                pass
            self.total = total

        threading.Thread(target=count, name="count", daemon=True).start()

    def advance(self) -> None:
        """One more file is done."""
        self.done += 1
        seconds = time.monotonic() - self._start
        if self._bar is not None and self._task is not None:
            rate = f"{self.done / seconds:.1f}/s"
            self._bar.update(self._task, completed=self.done, total=self.total, rate=rate)
        elif time.monotonic() - self._last_line > PLAIN_PROGRESS_SECONDS:
            self._last_line = time.monotonic()
            left = f", {(self.total - self.done) * seconds / self.done:.0f} s left" if self.total else ""
            self._console.say(f"{self.done} of {self.total or 'many'} files{left}")


def inputs(names: list[str], demo: bool, console: Console) -> list[Place]:
    """The paths given, or the demo picture, which is put into the current folder unless it is there."""
    if "" in names:  # as a path it would stand for the current folder
        raise OptionError("One of the names is empty; is a variable in your command not set?")
    if bool(names) == demo:
        raise OptionError("Name at least one picture or folder, or use --demo alone to try without one.")
    if not demo:
        return [place(name) for name in names]
    picture = Path(DEMO_FILE)
    if not picture.exists():
        from vintage_colorizer.demo import demo_picture

        with atomically(picture) as file:
            demo_picture().save(file, "JPEG", quality=95)
        console.say(f"Wrote {picture}, a grey picture to try things on.")
    return [picture]


def require_one_format(out: Place | None, options: PhotoOptions) -> None:
    """Raise OptionError when the name of the result says another format than --format."""
    if out is None or options.format is None or is_folder(out):
        return
    if NAMES.get(out.suffix[1:].lower(), NAMES[options.format]) != NAMES[options.format]:
        raise OptionError(f"The name {out} and --format {options.format} say different things; give one of them.")


def color_photos(
    paths: list[Place], out: Place | None, options: PhotoOptions, job: JobOptions, console: Console
) -> int:
    """Color files, folders and lists of them; return the exit code."""
    if Path("-") in paths:
        raise OptionError("'-' (standard input) cannot be mixed with files; give it alone.")
    if job.ray is not None and (out is None or not is_result_folder(out, paths)):
        raise OptionError("With --ray, name a folder for the results and their journal with -o.")
    several = may_be_several(paths) or job.ray is not None
    # Several files: a thread for each is faster than several threads for one.
    colorizer = Colorizer(options, threads=1) if several else Colorizer(options)
    if several:
        colorizer.engine(at_home(colorizer.options, job))  # whatever is wrong with it is said before the first file
    work = partial(archive.color_item, colorizer=colorizer, options=colorizer.options, overwrite=job.overwrite)
    tally = Tally()
    interrupted = False
    with (
        open_runner(job.ray, options.threads if several else 1, options.device) as runner,
        _journal(paths, out, colorizer, job) as journal,
        console.progress(several) as progress,
        open_report(job.report) as report,
    ):
        if several:
            console.say(f"Up to {runner.workers} photos at a time.")
            progress.count_ahead(find(paths, out))
        try:
            for outcome in archive.run(find(paths, out), work, runner, job, journal):
                report(outcome)
                tally.add(outcome)
                if several:
                    progress.advance()
                elif outcome.status != "failed":
                    console.say(single_line(outcome))
        except KeyboardInterrupt:
            interrupted = True
    tally.summarize(console, several)
    if interrupted:
        console.complain("Interrupted. What is done is kept; run the same command to go on.")
        return INTERRUPTED
    return FAILED if tally.failed else 0


def at_home(options: PhotoOptions, job: JobOptions) -> PhotoOptions:
    """The options for this process: on a cluster, it need not have the device of the others."""
    return options if job.ray is None else options.replace(device="auto")


def _journal(
    paths: list[Place], out: Place | None, colorizer: Colorizer, job: JobOptions
) -> AbstractContextManager[Journal | None]:
    """The journal of an archive: there is one with --ray, and in folders behind a URL."""
    if out is None or not (job.ray or isinstance(out, Url)) or not is_result_folder(out, paths):
        return nullcontext()
    from vintage_colorizer.archive import journal

    here = at_home(colorizer.options, job)
    expected = partial(archive.expected_fingerprint, colorizer=colorizer, options=here)
    return journal.opened(out, expected, job.overwrite)


class Tally:
    """What came of a run."""

    def __init__(self) -> None:
        """Start with nothing done."""
        self.done = self.skipped = self.noted = 0
        self.failed: list[Outcome] = []

    def add(self, outcome: Outcome) -> None:
        """Count one outcome."""
        self.done += outcome.status == "done"
        self.skipped += outcome.status == "skipped"
        self.noted += outcome.status == "done" and bool(outcome.reason)
        if outcome.status == "failed":
            self.failed.append(outcome)

    def summarize(self, console: Console, several: bool) -> None:
        """Name every failure with its reason, and the numbers."""
        for outcome in self.failed:
            named = outcome.path in outcome.reason
            console.complain(f"Failed: {outcome.reason}" if named else f"Failed: {outcome.path}: {outcome.reason}")
        if several:
            noted = f" ({self.noted} with notes, see --report)" if self.noted else ""
            console.say(f"{self.done} colored{noted}, {self.skipped} skipped, {len(self.failed)} failed.")


def color_stream(out: Path | None, options: PhotoOptions, job: JobOptions, console: Console) -> None:
    """Color the picture on standard input, to a file or to standard output."""
    if out is None and sys.stdout.isatty():
        raise OptionError("The result would go to the screen; name a file with -o or redirect the output.")
    if out is not None:
        output_format("JPEG", depth=8, has_alpha=False, wanted=out.suffix)  # refuses an unknown one before any work
    start = time.perf_counter()
    with open_report(job.report) as report:
        try:
            result = Colorizer(options).photo(sys.stdin.buffer)
            _write_stream(result, out, job.overwrite)
        except VintageColorizerError as error:
            report(Outcome("-", "failed", str(error)))
            raise
        report(archive.outcome_of(result, "-", str(out or "-"), start))
    for note in result.warnings:
        console.say(f"Note: {note}.")


def _write_stream(result: ColorizedPhoto, out: Path | None, overwrite: bool) -> None:
    if out is None:
        result.write(sys.stdout.buffer, result.options.format)
    elif not archive.is_up_to_date(out, result.fingerprint, overwrite):
        result.save(out)


def try_render_factors(
    paths: list[Place], out: Path | None, factors: str, options: PhotoOptions, job: JobOptions, console: Console
) -> None:
    """Write one labeled contact sheet of a photo at several render factors, such as '12,20,auto'."""
    source = paths[0]
    if paths == [Path("-")] or not isinstance(source, Path) or may_be_several(paths):
        raise OptionError("--try makes a sheet of one photo; name a single picture of this machine.")
    target = out or source.with_name(f"{source.stem}-try.jpg")
    format = output_format("JPEG", depth=8, has_alpha=False, wanted=target.suffix)
    Source.of_file(source).protect(target)
    photo = read_photo(source, max_megapixels=options.max_megapixels)
    results = Colorizer(options).at_render_factors(photo, factors.split(","), options)
    # Like any result, a sheet is known again: made twice it is no stranger, and it is never taken as input.
    disclosure = Disclosure("sheet-" + "-".join(result.fingerprint[:8] for result in results))
    if not archive.is_up_to_date(target, disclosure.fingerprint, job.overwrite):
        pixels = np.asarray(render_factor_sheet(results))
        write_photo(target, pixels, Photo(pixels), format=format, quality=options.quality, disclosure=disclosure)
    console.say(f"Wrote {target}.")


def diagnose() -> list[str]:
    """Lines on this installation: versions, devices, networks."""
    import onnxruntime

    lines = [f"vintage-colorizer {__version__}", f"Python {platform.python_version()} on {platform.platform()}"]
    for package in (
        "numpy",
        "onnxruntime",
        "onnxruntime-gpu",
        "opencv-python-headless",
        "pillow",
        "av",
        "pillow-heif",
        "torch",
    ):
        try:
            lines.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            lines.append(f"{package} not installed")
    lines.append(f"ONNX Runtime can use: {', '.join(onnxruntime.get_available_providers())}")
    lines.append(f"Processor threads: {os.cpu_count()}")
    try:
        lines.append(f"network compact: ready, {describe_hardware(Colorizer().engine())}")
    except VintageColorizerError as error:
        lines.append(f"network compact: {error}")
    lines += [f"network {line}" for line in list_networks()[1:]]
    if warning := unused_gpu():
        lines.append(f"Warning: {warning}")
    return lines


def list_networks() -> list[str]:
    """One line for each network: whether it is ready, and where it is from or how to get it."""
    return [f"{name:18} {'ready' if ready else 'missing':8} {remark}" for name, ready, remark in weights.listing()]


def fetch_weights(look: str, console: Console) -> None:
    """Download and convert a network of the original, with a bar for the download."""
    from rich import progress
    from rich.console import Console as RichConsole

    columns = (progress.BarColumn(), progress.DownloadColumn(), progress.TransferSpeedColumn())
    quiet = console.quiet or not sys.stderr.isatty()
    with progress.Progress(*columns, console=RichConsole(stderr=True), transient=True, disable=quiet) as bar:
        task = bar.add_task(look, total=None)
        line = weights.fetch(look, lambda done, total: bar.update(task, completed=done, total=total))
    console.say(line)


def import_weights(file: Path, look: str | None, console: Console) -> None:
    """Convert a weights file of the original."""
    console.say(f"Converting {file}; this takes about a minute.")
    console.say(weights.import_file(file, look))


def verify_weights() -> tuple[list[str], bool]:
    """One line for each network that is here, and whether all are sound."""
    found = list(weights.verify())
    lines = [f"{name:18} {'sound' if sound else 'DAMAGED':8} {remark}" for name, sound, remark in found]
    return lines, all(sound for _, sound, _ in found)


def single_line(outcome: Outcome) -> str:
    """What became of an input, in a line."""
    text = f"Wrote {outcome.output}" if outcome.status == "done" else f"Skipped {outcome.path}"
    return f"{text} ({outcome.reason})." if outcome.reason else f"{text}."


@contextmanager
def open_report(path: str | None) -> Iterator[Callable[[Outcome], None]]:
    """A function that appends outcomes to the report, line by line; to nothing if there is none."""
    if path is None:
        yield lambda outcome: None
        return
    if Path(path).suffix[1:].lower() in NAMES:
        raise OptionError(f"The report {path} has the name of a picture; call it something like report.jsonl.")
    try:
        file = open(path, "a", encoding="utf-8")  # noqa: SIM115 - closed by the with below
    except OSError as error:
        raise OutputError(f"The report {path} cannot be written ({error.strerror}); choose another place.") from error
    with file:
        yield lambda outcome: print(outcome.line(), file=file, flush=True)
