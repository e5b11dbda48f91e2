"""What the `evaluate` command does between the terminal and the library: progress, table, reports, exit code."""

from __future__ import annotations

from pathlib import Path

import typer
from rich import box
from rich.console import Console as RichConsole
from rich.table import Table

from vintage_colorizer.cli.console import Console
from vintage_colorizer.datasets import Source, open_source
from vintage_colorizer.errors import FAILED, INTERRUPTED, OptionError
from vintage_colorizer.evaluate.measures import Measure
from vintage_colorizer.evaluate.report import formatted, heading, tables, write_report
from vintage_colorizer.evaluate.run import Evaluation, Rows, evaluate, tasks
from vintage_colorizer.networks.repair import RepairNetworks
from vintage_colorizer.options import EvaluateOptions


def run(data: str, options: EvaluateOptions, console: Console) -> int:
    """Evaluate, print the tables, write the reports; return the exit code."""
    for report in options.report:
        if Path(report).suffix.lower() not in (".json", ".html"):
            raise OptionError(f"The report {report} must end in .json or .html.")
    source = open_source(data)
    if options.repair:
        return run_repair(source, options, console)
    todo = tasks(source, options)
    with console.progress(True) as progress:
        progress.total = len(todo)
        evaluation = evaluate(source, todo, options, progress.advance)
    evaluation.protocol = {"data": data, **evaluation.protocol}
    for one in evaluation.left_out:
        console.complain(f"{'Failed' if one.failed else 'Left out'}: {one.label}: {one.reason}")
    print_tables(evaluation)
    for report in options.report:
        write_report(evaluation, source, Path(report))
        console.say(f"Wrote {report}.")
    if evaluation.interrupted:
        console.complain(f"Interrupted; these are the figures of {len(evaluation.records)} photos.")
        return INTERRUPTED
    return FAILED if any(one.failed for one in evaluation.left_out) else 0


def run_repair(source: Source, options: EvaluateOptions, console: Console) -> int:
    """Measure repair and print its figures; return the exit code."""
    from vintage_colorizer.evaluate.repair import MOST_PHOTOS, measure_repair

    with console.progress(True) as progress:
        progress.total = min(len(source), options.limit or MOST_PHOTOS)
        networks = RepairNetworks(options.threads)
        figures = measure_repair(source, networks, options.limit, options.seed, progress.advance)
    for name, value in figures.items():
        typer.echo(f"{name}: {value:.4g}")
    return 0


def print_tables(evaluation: Evaluation) -> None:
    """Print the protocol and the figures on standard output, never cut to the width of the terminal."""
    out = RichConsole(width=1000, highlight=False, markup=False, emoji=False, soft_wrap=True)
    for name, text in evaluation.protocol.items():
        out.print(f"{name}: {text}")
    for measures, rows in tables(evaluation):
        out.print(_table(measures, rows))


def _table(measures: list[Measure], rows: Rows) -> Table:
    table = Table("", box=box.SIMPLE_HEAD)
    for one in measures:
        table.add_column(heading(one), justify="right", no_wrap=True)
    for name, row in rows.items():
        table.add_row(name, *(formatted(row.get(one.name), one) for one in measures))
    return table
