"""What the commands do between the terminal and the library: progress, summary, exit code."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, nullcontext
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from vintage_colorizer.archive import photos as archive
from vintage_colorizer.archive.batch import Batch, Counted, Input
from vintage_colorizer.archive.inputs import Item, Outcome
from vintage_colorizer.archive.places import Place, place
from vintage_colorizer.cli.console import Console, Tally, open_report, single_line
from vintage_colorizer.color import eight_bit
from vintage_colorizer.colorizer import Colorizer
from vintage_colorizer.errors import FAILED, INTERRUPTED, OptionError, UnsupportedError, VintageColorizerError
from vintage_colorizer.files import atomically
from vintage_colorizer.hints import as_hints
from vintage_colorizer.options import Device, JobOptions, PhotoOptions, SavedSettings
from vintage_colorizer.photo.formats import NAMES, output_format
from vintage_colorizer.photo.hint_files import read_hints
from vintage_colorizer.photo.picture import Origin, Photo
from vintage_colorizer.photo.reading import probe
from vintage_colorizer.photo.result import ColorizedPhoto
from vintage_colorizer.photo.sheets import render_factor_sheet
from vintage_colorizer.photo.writing import write_photo
from vintage_colorizer.photo.xmp import Disclosure
from vintage_colorizer.workers import open_runner

if TYPE_CHECKING:
    from vintage_colorizer.archive.journal import Journal
    from vintage_colorizer.repair.repairing import RepairedPhoto


DEMO_FILE = "demo.jpg"


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


def with_hints_of(path: str | None, options: PhotoOptions) -> PhotoOptions:
    """The options with the hints of a file added to those that were given."""
    if path is None:
        return options
    return options.replace(hints=[*read_hints(Path(path)), *options.hints])


def stated_in(path: Path) -> Iterator[str]:
    """The hints a picture was colored with, each as JSON.

    Raises:
        InputError: it cannot be read, or was not colored by Vintage Colorizer.
    """
    header = probe(path)
    if not header.is_colored:
        raise UnsupportedError("was not colored by Vintage Colorizer, so it states no hints.", path)
    for hint in as_hints(header.hints):
        yield json.dumps({name: value for name, value in asdict(hint).items() if value != ""})


def require_one_format(name: str | None, options: SavedSettings) -> None:
    """Raise OptionError when the name of the result says another format than --format."""
    if name is None or options.format is None:
        return
    if NAMES.get(Path(name).suffix[1:].lower(), NAMES[options.format]) != NAMES[options.format]:
        raise OptionError(f"The name {name} and --format {options.format} say different things; give one of them.")


def color_photos(
    paths: list[Place], out: Place | None, options: PhotoOptions, job: JobOptions, console: Console
) -> int:
    """Color files, folders and lists of them; return the exit code."""
    batch = parse_batch(paths, out, options, job)
    several = batch.several or job.ray is not None
    # Several files: a thread for each is faster than several threads for one.
    colorizer = Colorizer(options, threads=1) if several else Colorizer(options)
    if several:
        here = at_home(colorizer.options, job)
        colorizer.engine(here)  # whatever is wrong with it is said before the first file
        if here.reference is not None:
            colorizer.guide(here)
    work = archive.PhotoWork(colorizer, colorizer.options, job.overwrite)
    expected = partial(archive.expected_fingerprint, colorizer=colorizer, options=at_home(colorizer.options, job))
    return work_through(batch, work, expected, options.threads, options.device, job, console)


def parse_batch(paths: list[Place], out: Place | None, options: SavedSettings, job: JobOptions) -> Batch:
    """The inputs of a run and the place of its results; OptionError if they contradict each other or the options."""
    if Path("-") in paths:
        raise OptionError("'-' (standard input) cannot be mixed with files; give it alone.")
    batch = Batch.parse(paths, out, journal=job.ray is not None)
    require_one_format(batch.name, options)
    return batch


def work_through(
    batch: Batch,
    work: Callable[[Item], Outcome],
    expected: Callable[[str], str],
    threads: int | None,
    device: Device,
    job: JobOptions,
    console: Console,
    done: str = "colored",
) -> int:
    """Have the work done on all inputs of a run, with progress, report and summary; return the exit code.

    `expected` gives the fingerprint of the result of a file with that size and time.
    """
    several = batch.several or job.ray is not None
    tally = Tally()
    interrupted = False
    with (
        open_runner(job.ray, threads if several else 1, device) as runner,
        _journal(batch, expected, job) as journal,
        console.progress(several) as progress,
        open_report(job.report) as report,
        closing(Counted(batch.find())) as found,
    ):
        if several:
            console.say(f"Up to {runner.workers} photos at a time.")
        try:
            for outcome in archive.run(found, work, runner, job, journal):
                report(outcome)
                tally.add(outcome)
                if several:
                    progress.total = found.total
                    progress.advance(skipped=outcome.status == "skipped")
                elif outcome.status != "failed":
                    console.say(single_line(outcome))
        except KeyboardInterrupt:
            interrupted = True
    tally.summarize(console, several, done)
    if interrupted:
        console.complain("Interrupted. What is done is kept; run the same command to go on.")
        return INTERRUPTED
    return FAILED if tally.failed else 0


def at_home(options: PhotoOptions, job: JobOptions) -> PhotoOptions:
    """The options for this process: on a cluster, it need not have the device of the others."""
    return options if job.ray is None else options.replace(device="auto")


def _journal(batch: Batch, expected: Callable[[str], str], job: JobOptions) -> AbstractContextManager[Journal | None]:
    """The journal of an archive: there is one with --ray, and in folders behind a URL."""
    if batch.journal is None:
        return nullcontext()
    from vintage_colorizer.archive import journal

    return journal.opened(batch.journal, expected, job.overwrite)


def color_stream(out: Path | None, options: PhotoOptions, job: JobOptions, console: Console) -> None:
    """Color the picture on standard input, to a file or to standard output."""
    require_a_place(out)
    start = time.perf_counter()
    with open_report(job.report) as report:
        try:
            result = Colorizer(options).photo(sys.stdin.buffer)
            write_stream(result, out, job.overwrite)
        except VintageColorizerError as error:
            report(Outcome("-", "failed", str(error)))
            raise
        report(archive.outcome_of(result, "-", str(out or "-"), round(time.perf_counter() - start, 3)))
    for note in result.warnings:
        console.say(f"Note: {note}.")


def require_a_place(out: Path | None) -> None:
    """Raise OptionError when the result of a stream would go to the screen, or to a file of an unknown format."""
    if out is None and sys.stdout.isatty():
        raise OptionError("The result would go to the screen; name a file with -o or redirect the output.")
    if out is not None:
        output_format("JPEG", depth=8, has_alpha=False, wanted=out.suffix)


def write_stream(result: ColorizedPhoto | RepairedPhoto, out: Path | None, overwrite: bool) -> None:
    """Write the result of the picture on standard input."""
    if out is None:
        result.write(sys.stdout.buffer, result.options.format)
    elif not archive.is_up_to_date(out, result.fingerprint, overwrite):
        result.save(out)


def try_render_factors(
    paths: list[Place], out: Path | None, factors: str, options: PhotoOptions, job: JobOptions, console: Console
) -> None:
    """Write one labeled contact sheet of a photo at several render factors, such as '12,20,auto'."""
    source = single(paths, "--try makes a sheet of one photo")
    target = out or source.with_name(f"{source.stem}-try.jpg")
    format = output_format("JPEG", depth=8, has_alpha=False, wanted=target.suffix)
    Origin.of_file(source).protect(target)
    colorizer = Colorizer(options)
    results = colorizer.at_render_factors(colorizer.read(source, options), factors.split(","), options)
    # Like any result, a sheet is known again: made twice it is no stranger, and it is never taken as input.
    disclosure = Disclosure("sheet-" + "-".join(result.fingerprint[:8] for result in results))
    if not archive.is_up_to_date(target, disclosure.fingerprint, job.overwrite):
        pixels = np.asarray(render_factor_sheet(results))
        write_photo(target, pixels, Photo(pixels), format=format, quality=options.quality, disclosure=disclosure)
    console.say(f"Wrote {target}.")


def write_certainty(paths: list[Place], target: Path, options: PhotoOptions, job: JobOptions, console: Console) -> None:
    """Write how sure the network is of the colors of a photo, as a grey picture of its size."""
    source = single(paths, "--certainty is of one photo")
    format = output_format("PNG", depth=8, has_alpha=False, wanted=target.suffix)
    Origin.of_file(source).protect(target)
    colorizer = Colorizer(options)
    photo = colorizer.read(source, options)
    small = Image.fromarray(eight_bit(colorizer.likely(photo, options).certainty))
    pixels = np.asarray(small.resize(photo.pixels.shape[1::-1], Image.Resampling.BICUBIC).convert("RGB"))
    disclosure = Disclosure(f"certainty-{Origin.of_pixels(pixels).identity}")
    if not archive.is_up_to_date(target, disclosure.fingerprint, job.overwrite):
        write_photo(target, pixels, Photo(pixels), format=format, quality=options.quality, disclosure=disclosure)
    console.say(f"Wrote {target}: white is sure, black is guessed.")


def single(paths: list[Place], what: str) -> Path:
    """The one picture of this machine; OptionError if it is anything else."""
    source = paths[0]
    if paths == [Path("-")] or not isinstance(source, Path) or [Input.parse(one).kind for one in paths] != ["file"]:
        raise OptionError(f"{what}; name a single picture of this machine.")
    return source
