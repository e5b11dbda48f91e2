"""The command `weights`."""

from __future__ import annotations

import sys
from pathlib import Path

from vintage_colorizer.cli.console import Console
from vintage_colorizer.clock import Clock
from vintage_colorizer.networks import weights


def list_networks() -> list[str]:
    """One line for each network: whether it is ready, and where it is from or how to get it."""
    return [f"{name:18} {'ready' if ready else 'missing':8} {remark}" for name, ready, remark in weights.listing()]


def fetch_weights(look: str, console: Console) -> None:
    """Download and convert a network of the original, with a bar for the download."""
    from rich import progress
    from rich.console import Console as RichConsole

    columns = (progress.BarColumn(), progress.DownloadColumn(), progress.TextColumn("{task.fields[rate]}"))
    quiet = console.quiet or not sys.stderr.isatty()
    with progress.Progress(*columns, console=RichConsole(stderr=True), transient=True, disable=quiet) as bar:
        task = bar.add_task(look, total=None, rate="")
        clock = Clock()

        def show(done: int, total: int) -> None:
            clock.note(done, total)
            rate = "" if clock.rate is None else f"{clock.rate / 1e6:.1f} MB/s{clock.left()}"
            bar.update(task, completed=done, total=total, rate=rate)

        line = weights.fetch(look, show)
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
