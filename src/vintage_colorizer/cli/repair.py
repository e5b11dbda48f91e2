"""What the `repair` command does between the terminal and the library."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

from vintage_colorizer.archive.photos import RepairWork
from vintage_colorizer.archive.places import Place, Url
from vintage_colorizer.cli.console import Console
from vintage_colorizer.cli.photo import parse_batch, require_a_place, single, work_through, write_stream
from vintage_colorizer.colorizer import Colorizer
from vintage_colorizer.errors import OptionError, OutputExistsError
from vintage_colorizer.files import atomically
from vintage_colorizer.options import JobOptions, RepairOptions
from vintage_colorizer.photo.picture import Origin
from vintage_colorizer.photo.reading import read_photo
from vintage_colorizer.repair import sidecar
from vintage_colorizer.repair.repairing import fingerprint


def repair_photos(
    paths: list[Place], out: Place | None, options: RepairOptions, job: JobOptions, keep: bool, console: Console
) -> int:
    """Repair files, folders and lists of them; return the exit code. With `keep`, sources are kept beside results."""
    if keep and any(isinstance(one, Url) for one in (paths if out is None else [out])):
        raise OptionError("--sidecar needs results on this machine; name a folder of it with -o.")
    batch = parse_batch(paths, out, options, job)
    several = batch.several or job.ray is not None
    colorizer = Colorizer(threads=1 if several else options.threads)
    work = RepairWork(colorizer, options, job.overwrite, keep)
    expected = partial(fingerprint, options=options)
    return work_through(batch, work, expected, options.threads, "auto", job, console, "repaired")


def repair_stream(out: Path | None, options: RepairOptions, job: JobOptions, console: Console) -> None:
    """Repair the picture on standard input, to a file or to standard output."""
    require_a_place(out)
    result = Colorizer(threads=options.threads).repair(sys.stdin.buffer, options)
    write_stream(result, out, job.overwrite)
    for note in result.warnings:
        console.say(f"Note: {note}.")


def write_mask(paths: list[Place], target: Path, options: RepairOptions, job: JobOptions, console: Console) -> None:
    """Write where a photo would be filled, as a PNG of its size: white is damaged."""
    source = single(paths, "--mask is of one photo")
    Origin.of_file(source).protect(target)
    photo = read_photo(source, max_megapixels=options.max_megapixels)
    picture = sidecar.mask_picture(Colorizer(threads=options.threads).repaired(photo, options).mask)
    if target.exists() and not job.overwrite and target.read_bytes() != picture:
        raise OutputExistsError("exists and was made differently; remove it or use --overwrite.", target)
    with atomically(target) as file:
        file.write(picture)
    console.say(f"Wrote {target}: white is damaged.")


def undo(results: list[Path], out: Path | None, console: Console) -> None:
    """Give back the sources of results, to a folder, a file, or beside the results."""
    for result in results:
        console.say(f"Wrote {sidecar.undo(result, out)}, the source of {result}.")
