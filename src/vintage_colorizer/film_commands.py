"""What the `film` command does between the terminal and the library: names, progress, summary, exit code."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vintage_colorizer import archive, film
from vintage_colorizer.archive import Item, Outcome, Wanted
from vintage_colorizer.colorizer import Colorizer
from vintage_colorizer.commands import (
    PLAIN_PROGRESS_SECONDS,
    Console,
    Tally,
    open_report,
    single_line,
)
from vintage_colorizer.containers import KINDS, kind_of
from vintage_colorizer.encoding import require_settings
from vintage_colorizer.errors import FAILED, INTERRUPTED, DiskFullError, VintageColorizerError
from vintage_colorizer.film_source import SUFFIXES
from vintage_colorizer.film_worker import color_in_worker
from vintage_colorizer.options import ColorOptions, FilmOptions, JobOptions, PhotoOptions


def color_films(paths: list[Path], out: Path | None, options: FilmOptions, job: JobOptions, console: Console) -> int:
    """Color films and folders of films, one after the other; return the exit code."""
    wanted = Wanted("film", frozenset(SUFFIXES), lambda path: kind_of(path, options.codec))
    shared = film.with_look(options).model_dump(include=set(ColorOptions.model_fields))
    Colorizer(PhotoOptions.of(**shared)).engine()  # says what computes; whatever is wrong is said before any work
    if options.codec is not None:
        require_settings(options.codec, options)
    several = len(paths) > 1 or paths[0].is_dir()
    tally = Tally()
    try:
        with open_report(job.report) as report:
            for item in archive.find(paths, out, wanted):
                with film_progress(console, item.source.name) as show:
                    outcome = color_one(item, options, job.overwrite, show)
                report(outcome)
                tally.add(outcome)
                if outcome.status == "done" or (outcome.status == "skipped" and not several):
                    console.say(single_line(outcome))
                if outcome.fatal or (job.fail_fast and outcome.status == "failed"):
                    break
    except KeyboardInterrupt:
        tally.summarize(console, several)
        console.complain("Interrupted. Finished segments are kept; run the same command to go on.")
        return INTERRUPTED
    tally.summarize(console, several)
    return FAILED if tally.failed else 0


def color_one(item: Item, options: FilmOptions, overwrite: bool, report: film.Report) -> Outcome:
    """Color one film. Whatever is wrong with it is in the Outcome; nothing is raised."""
    start = time.perf_counter()
    path = str(item.source)
    if item.unfit:
        return Outcome(path, "skipped", item.unfit)
    try:
        target = result_path(item, options)
        result = color_in_worker(item.source, target, options, overwrite=overwrite, report=report)
    except VintageColorizerError as error:
        seconds = round(time.perf_counter() - start, 3)
        return Outcome(path, "failed", str(error), seconds=seconds, fatal=isinstance(error, DiskFullError))
    if result.skipped:
        return Outcome(path, "skipped", result.skipped, str(target))
    return Outcome(
        path,
        "done",
        "; ".join(result.notes),
        str(target),
        result.width,
        result.height,
        round(time.perf_counter() - start, 3),
        result.look,
        result.network,
        result.render_factor,
        result.chroma,
    )


def result_path(item: Item, options: FilmOptions) -> Path:
    """Where the result of an item goes: the source's container if that can be written, else Matroska."""
    name = item.source.name
    if item.name is not None:
        name, addition = item.name, ""
    else:
        addition = "-color" if item.beside and options.preview is None else ""
        if Path(name).suffix.lower() not in KINDS:
            name += ".mkv"
    addition += "-preview" if options.preview is not None and item.name is None else ""
    ending = Path(name).suffix
    return item.folder / archive.fitting_name(name.removesuffix(ending), addition + ending)


@contextmanager
def film_progress(console: Console, name: str) -> Iterator[film.Report]:
    """Show how far a film is: a bar where the terminal can redraw, else a line from time to time."""
    if console.quiet or not sys.stderr.isatty():
        yield _plain_progress(console, name)
        return
    from rich import progress
    from rich.console import Console as RichConsole

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[facts]}"),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=RichConsole(stderr=True), transient=True) as bar:
        task = bar.add_task("", facts="")
        clock = Clock()

        def show(now: film.Progress) -> None:
            facts = f"{clock.rate(now):.1f} frames/s, {_shots(now)}"
            bar.update(task, description=now.stage, completed=now.done, total=now.total, facts=facts)

        yield show


def _plain_progress(console: Console, name: str) -> film.Report:
    clock = Clock()
    spoken = time.monotonic()

    def show(now: film.Progress) -> None:
        nonlocal spoken
        rate = clock.rate(now)
        if now.stage == "coloring" and now.total and time.monotonic() - spoken > PLAIN_PROGRESS_SECONDS:
            spoken = time.monotonic()
            left = f", {(now.total - now.done) / rate:.0f} s left" if rate else ""
            console.say(f"{name}: {now.done} of {now.total} frames, {rate:.1f} frames/s, {_shots(now)}{left}")

    return show


def _shots(now: film.Progress) -> str:
    return f"{now.shots} shot{'s' if now.shots != 1 else ''}"


class Clock:
    """Frames a second in the present stage; what an earlier run had done does not count."""

    def __init__(self) -> None:
        """Start with the first stage."""
        self._stage, self._start, self._first = "", 0.0, 0

    def rate(self, now: film.Progress) -> float:
        """Frames a second so far, 0 at the beginning of a stage."""
        if now.stage != self._stage:
            self._stage, self._start, self._first = now.stage, time.monotonic(), now.done
        seconds = time.monotonic() - self._start
        return (now.done - self._first) / seconds if seconds > 0.05 else 0.0
