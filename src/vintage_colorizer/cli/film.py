"""What the `film` command does between the terminal and the library: names, progress, summary, exit code."""

from __future__ import annotations

import sys
import time
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from PIL import Image

from vintage_colorizer.archive.batch import Batch
from vintage_colorizer.archive.films import color_one
from vintage_colorizer.archive.inputs import Found, Outcome, Wanted
from vintage_colorizer.cli.console import PLAIN_PROGRESS_SECONDS, Console, Tally, open_report, single_line
from vintage_colorizer.cli.photo import at_home
from vintage_colorizer.clock import Clock
from vintage_colorizer.colorizer import Colorizer
from vintage_colorizer.errors import FAILED, INTERRUPTED, OptionError, OutputExistsError
from vintage_colorizer.files import atomically
from vintage_colorizer.film.containers import kind_of
from vintage_colorizer.film.encoding import require_settings
from vintage_colorizer.film.numbered import is_numbered, plain_stem
from vintage_colorizer.film.plan import with_look
from vintage_colorizer.film.process import color_in_worker
from vintage_colorizer.film.progress import Progress, Report
from vintage_colorizer.film.shot_sheet import write_shots
from vintage_colorizer.film.source import SUFFIXES, looks_like_film
from vintage_colorizer.networks.inference import Networks
from vintage_colorizer.options import ColorOptions, FilmOptions, JobOptions, PhotoOptions
from vintage_colorizer.workers import require_ray

STILL_SECONDS = 1.0  # of film that are looked at for a still


def color_films(paths: list[Path], out: Path | None, options: FilmOptions, job: JobOptions, console: Console) -> int:
    """Color films and folders of films; return the exit code."""
    wanted = Wanted("film", frozenset(SUFFIXES), lambda path: kind_of(path, options.codec), looks_like_film)
    batch = Batch.parse(paths, out, wanted)
    shared = with_look(options).part(ColorOptions)
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


def write_still(paths: list[Path], out: Path | None, time: str, options: FilmOptions, console: Console) -> None:
    """Write a frame of a film in color, as a PNG to be corrected and given back as a keyframe."""
    source = _only_film(paths, "--still")
    options = options.replace(start=time)
    start = options.start or 0.0
    stem = plain_stem(source) if is_numbered(source) else source.stem
    target = out or source.with_name(f"{stem}-{start:g}s.png")
    if target.suffix.lower() != ".png":
        raise OptionError(f"A still is written as PNG; call it something like {target.stem}.png.")
    if target.exists():
        raise OutputExistsError("exists; remove it or choose another name with -o.", target)
    frames = Colorizer().frames(source, options, stop=start + STILL_SECONDS)
    with atomically(target) as file:
        Image.fromarray(next(frames).shown).save(file, "PNG")
    console.say(f"Wrote {target}. Correct its colors, then: film {source} --keyframe {start:g}={target}")


def write_shot_list(paths: list[Path], options: FilmOptions, console: Console) -> None:
    """Write the shots of a film, to be edited and given back, with a page of thumbnails."""
    assert options.shots is not None
    target, source = Path(options.shots), _only_film(paths, "--shots")
    if target.suffix.lower() != ".json":
        raise OptionError(f"A list of shots is a JSON file; call it something like {target.stem}.json.")
    with film_progress(console, source.name) as show:
        count = write_shots(source, target, Networks(), options.replace(shots=None), show)
    sheet = target.with_suffix(".html")
    console.say(f"Wrote {count} shots to {target}, and thumbnails to {sheet}. Edit the list, then run this again.")


def _only_film(paths: list[Path], option: str) -> Path:
    """The film that was named; OptionError if it is not one alone."""
    if len(paths) != 1 or paths[0].is_dir():
        raise OptionError(f"{option} is of one film; name a single film.")
    return paths[0]


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
    )
    with progress.Progress(*columns, console=RichConsole(stderr=True), transient=True) as bar:
        task = bar.add_task("", facts="")
        clock = Clock()

        def show(now: Progress) -> None:
            clock.note(now.done, now.total, now.stage)
            bar.update(task, description=now.stage, completed=now.done, total=now.total, facts=_facts(now, clock))

        yield show


def _plain_progress(console: Console, name: str) -> Report:
    clock = Clock()
    spoken = time.monotonic()

    def show(now: Progress) -> None:
        nonlocal spoken
        clock.note(now.done, now.total, now.stage)
        if now.stage == "coloring" and now.total and time.monotonic() - spoken > PLAIN_PROGRESS_SECONDS:
            spoken = time.monotonic()
            console.say(f"{name}: {now.done} of {now.total} frames, {_facts(now, clock)}")

    return show


def _facts(now: Progress, clock: Clock) -> str:
    rate = "" if clock.rate is None else f"{clock.rate:.1f} frames/s, "
    return f"{rate}{now.shots} shot{'s' if now.shots != 1 else ''}{clock.left()}"
