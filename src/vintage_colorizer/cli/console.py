"""What is said on the terminal and in the report."""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from vintage_colorizer.archive.inputs import Outcome
from vintage_colorizer.clock import Clock
from vintage_colorizer.errors import OptionError, OutputError
from vintage_colorizer.files import readable_name
from vintage_colorizer.photo.formats import NAMES

if TYPE_CHECKING:
    from rich.progress import Progress


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
        )
        with progress.Progress(*columns, console=RichConsole(stderr=True), transient=True) as bar:
            yield FileProgress(self, bar)


class FileProgress:
    """Counts files done; `total` arrives while work is under way."""

    def __init__(self, console: Console, bar: Progress | None = None) -> None:
        """Draw on `bar`, or print lines on `console` from time to time if there is none."""
        self._console, self._bar = console, bar
        self._task = bar.add_task("coloring", total=None, rate="") if bar else None
        self._clock = Clock()
        self._clock.note(0)
        self._last_line = time.monotonic()
        self.total: int | None = None
        self.done = self.skipped = 0

    def advance(self, skipped: bool = False) -> None:
        """One more file is done; one that was skipped says nothing of how long the others take."""
        self.done += 1
        self.skipped += skipped
        clock = self._clock
        clock.note(self.done - self.skipped, None if self.total is None else self.total - self.skipped)
        if self._bar is not None and self._task is not None:
            rate = "" if clock.rate is None else f"{clock.rate:.1f}/s{clock.left()}"
            self._bar.update(self._task, completed=self.done, total=self.total, rate=rate)
        elif time.monotonic() - self._last_line > PLAIN_PROGRESS_SECONDS:
            self._last_line = time.monotonic()
            self._console.say(f"{self.done} of {self.total or 'many'} files{clock.left()}")


class Tally:
    """What came of a run."""

    def __init__(self) -> None:
        """Start with nothing done."""
        self.done = self.noted = 0
        self.failed: list[Outcome] = []
        self.skipped: Counter[str] = Counter()  # by their reason
        self.examples: dict[str, str] = {}  # the first input skipped for each

    def add(self, outcome: Outcome) -> None:
        """Count one outcome."""
        self.done += outcome.status == "done"
        self.noted += outcome.status == "done" and bool(outcome.reason)
        if outcome.status == "skipped":
            self.skipped[outcome.reason] += 1
            self.examples.setdefault(outcome.reason, outcome.path)
        if outcome.status == "failed":
            self.failed.append(outcome)

    def summarize(self, console: Console, several: bool, done: str = "colored") -> None:
        """Name every failure with its reason, why others were skipped, and the numbers."""
        for outcome in self.failed:
            console.complain(f"Failed: {outcome.reason}")
        if several:
            for reason, count in self.skipped.items():
                example = self.examples[reason]
                console.say(f"Skipped {example if count == 1 else f'{count}, such as {example}'}: {reason}.")
            noted = f" ({self.noted} with notes, see --report)" if self.noted else ""
            console.say(f"{self.done} {done}{noted}, {self.skipped.total()} skipped, {len(self.failed)} failed.")


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
