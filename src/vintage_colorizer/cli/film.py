"""What the `film` command does between the terminal and the library: names, progress, summary, exit code."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from vintage_colorizer.archive.batch import Batch
from vintage_colorizer.archive.films import color_one
from vintage_colorizer.archive.inputs import Found, Outcome, Wanted
from vintage_colorizer.cli.console import PLAIN_PROGRESS_SECONDS, Console, Tally, open_report, single_line
from vintage_colorizer.cli.photo import at_home
from vintage_colorizer.errors import FAILED, INTERRUPTED
from vintage_colorizer.film.containers import kind_of
from vintage_colorizer.film.encoding import require_settings
from vintage_colorizer.film.plan import with_look
from vintage_colorizer.film.process import color_in_worker
from vintage_colorizer.film.progress import Progress, Report
from vintage_colorizer.film.source import SUFFIXES
from vintage_colorizer.networks.inference import Networks
from vintage_colorizer.options import ColorOptions, FilmOptions, JobOptions, PhotoOptions
from vintage_colorizer.workers import require_ray


def color_films(paths: list[Path], out: Path | None, options: FilmOptions, job: JobOptions, console: Console) -> int:
    """Color films and folders of films; return the exit code."""
    batch = Batch.parse(paths, out, Wanted("film", frozenset(SUFFIXES), lambda path: kind_of(path, options.codec)))
    shared = with_look(options).model_dump(include=set(ColorOptions.model_fields))
    Networks().engine(
        at_home(PhotoOptions.of(**shared), job)
    )  # says what computes; whatever is wrong is said before any work
    if options.codec is not None:
        require_settings(options.codec, options)
    tally = Tally()
    color = _one_by_one if job.ray is None else _by_ray
    outcomes = color(batch.find(), options, job, console)
    try:
        with open_report(job.report) as report, closing(outcomes):
            for outcome in outcomes:
                report(outcome)
                tally.add(outcome)
                if outcome.status == "done" or (outcome.status == "skipped" and not batch.several):
                    console.say(single_line(outcome))
                if outcome.fatal or (job.fail_fast and outcome.status == "failed"):
                    break
    except KeyboardInterrupt:
        tally.summarize(console, batch.several)
        console.complain("Interrupted. Finished segments are kept; run the same command to go on.")
        return INTERRUPTED
    tally.summarize(console, batch.several)
    return FAILED if tally.failed else 0


def _one_by_one(
    found: Iterable[Found], options: FilmOptions, job: JobOptions, console: Console
) -> Generator[Outcome, None, None]:
    """Color films one after the other, each in a process of its own."""
    for one in found:
        if isinstance(one, Outcome):
            yield one
            continue
        with film_progress(console, one.source.name) as show:
            outcome = color_one(one, options, partial(color_in_worker, overwrite=job.overwrite, report=show))
        yield outcome


def _by_ray(
    found: Iterable[Found], options: FilmOptions, job: JobOptions, console: Console
) -> Generator[Outcome, None, None]:
    """Color films on a cluster, segment by segment, several at a time."""
    assert job.ray is not None
    ray_runner = require_ray()
    from vintage_colorizer.archive import films_on_ray as ray_films

    with ray_runner.started(job.ray), film_progress(console, "films") as show:
        yield from ray_films.outcomes(found, options, job.overwrite, show)


@contextmanager
def film_progress(console: Console, name: str) -> Iterator[Report]:
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

        def show(now: Progress) -> None:
            facts = f"{clock.rate(now):.1f} frames/s, {_shots(now)}"
            bar.update(task, description=now.stage, completed=now.done, total=now.total, facts=facts)

        yield show


def _plain_progress(console: Console, name: str) -> Report:
    clock = Clock()
    spoken = time.monotonic()

    def show(now: Progress) -> None:
        nonlocal spoken
        rate = clock.rate(now)
        if now.stage == "coloring" and now.total and time.monotonic() - spoken > PLAIN_PROGRESS_SECONDS:
            spoken = time.monotonic()
            left = f", {(now.total - now.done) / rate:.0f} s left" if rate else ""
            console.say(f"{name}: {now.done} of {now.total} frames, {rate:.1f} frames/s, {_shots(now)}{left}")

    return show


def _shots(now: Progress) -> str:
    return f"{now.shots} shot{'s' if now.shots != 1 else ''}"


class Clock:
    """Frames a second in the present stage; what an earlier run had done does not count."""

    def __init__(self) -> None:
        """Start with the first stage."""
        self._stage, self._start, self._first = "", 0.0, 0

    def rate(self, now: Progress) -> float:
        """Frames a second so far, 0 at the beginning of a stage."""
        if now.stage != self._stage:
            self._stage, self._start, self._first = now.stage, time.monotonic(), now.done
        seconds = time.monotonic() - self._start
        return (now.done - self._first) / seconds if seconds > 0.05 else 0.0
