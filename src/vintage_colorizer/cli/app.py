"""The command line: each command is a few lines around the library.

Options come from the classes in options.py. Heavy imports happen inside the commands, so that
`--help` answers at once. Standard output carries results only; everything said goes to standard error.
"""

from __future__ import annotations

import inspect
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import typer

from vintage_colorizer.errors import FAILED, MISSING, USAGE, MissingError, OptionError, VintageColorizerError
from vintage_colorizer.options import (
    BaseOptions,
    EvaluateOptions,
    FilmOptions,
    JobOptions,
    PhotoOptions,
    RepairOptions,
    ServeOptions,
)
from vintage_colorizer.version import __version__

app = typer.Typer(
    name="vintage-colorizer",
    help="Give old black-and-white photos and films their color back. The colors are plausible guesses.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
weights_app = typer.Typer(help="The networks: list, get, check and export them.", no_args_is_help=True)
app.add_typer(weights_app, name="weights")
Command = Callable[..., None]
REPEATED = {  # options that may be given once for each value, and what that is
    "hints": ("--hint", "X,Y=COLOR"),
    "repair": ("--repair", "WHAT"),
    "only": ("--only", "WHAT"),
    "keyframes": ("--keyframe", "TIME=FILE"),
}
KEYWORD = inspect.Parameter.KEYWORD_ONLY
# What all commands have; results go to standard output even when quiet.
COMMON = {
    "quiet": Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors and results.")],
    "debug": Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")],
}


def takes(
    *groups: type[BaseOptions], environment: bool = False, level: int = logging.INFO
) -> Callable[[Command], Command]:
    """Give a command --quiet and --debug, and one option for each field of the groups.

    It receives the validated groups in their place, and `quiet` if it has such a parameter. An error becomes one
    sentence and an exit code, or with --debug a traceback; `level` is that of the log without either. With
    `environment`, an option not given is looked for in the environment variable VINTAGE_COLORIZER_NAME.
    """

    def decorate(command: Command) -> Command:
        own = list(inspect.signature(command, eval_str=True).parameters.values())[len(groups) :]
        asks_for_quiet = any(one.name == "quiet" for one in own)

        def run(*, quiet: bool, debug: bool, **values: Any) -> None:
            chosen = logging.DEBUG if debug else logging.WARNING if quiet else level
            logging.getLogger("vintage_colorizer").setLevel(chosen)
            try:
                built = [group.of(**_given(values, group)) for group in groups]
                command(*built, **values, **({"quiet": quiet} if asks_for_quiet else {}))
            except VintageColorizerError as error:
                if debug:
                    raise
                typer.echo(f"Error: {error}", err=True)
                raise typer.Exit(_exit_code(error)) from None

        fields = [
            _parameter(name, field, environment) for group in groups for name, field in group.model_fields.items()
        ]
        common = [inspect.Parameter(name, KEYWORD, default=False, annotation=kind) for name, kind in COMMON.items()]
        own = [one.replace(kind=KEYWORD) for one in own if one.name not in COMMON]
        run.__signature__ = inspect.Signature([*own, *fields, *common])  # type: ignore[attr-defined]
        run.__doc__, run.__name__ = command.__doc__, command.__name__
        return run

    return decorate


def _given(values: dict[str, Any], group: type[BaseOptions]) -> dict[str, Any]:
    """Take this group's values out of all values; those not given keep the group's defaults."""
    taken = {name: values.pop(name) for name in group.model_fields}
    return {name: value for name, value in taken.items() if value not in (None, False, [])}


def _parameter(name: str, field: Any, environment: bool) -> inspect.Parameter:
    """One command-line option. Values pass as text: the options class validates them."""
    flag, several = field.annotation is bool, get_origin(field.annotation) is tuple
    option = typer.Option(
        REPEATED[name][0] if name in REPEATED else "--" + (field.alias or name).replace("_", "-"),
        help=field.description,
        metavar=None if flag else REPEATED[name][1] if name in REPEATED else _metavar(field.annotation),
        envvar=f"VINTAGE_COLORIZER_{name.upper()}" if environment else None,
    )
    kind = bool if flag else list[str] | None if several else str | None
    default = False if flag else None
    return inspect.Parameter(name, KEYWORD, default=default, annotation=Annotated[kind, option])


def _metavar(annotation: Any) -> str:
    """What stands for the value in the help: the choices, or the kind of value."""
    if annotation in (int, float, str):
        return {int: "N", float: "F", str: "TEXT"}[annotation]
    if get_origin(annotation) is Annotated:
        return _metavar(get_args(annotation)[0])
    choices = [one for one in get_args(annotation) if one not in (type(None), ...)]
    return "|".join(one if isinstance(one, str) else _metavar(one) for one in choices)


@app.callback(invoke_without_command=True)
def common(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    """Answer --version; the commands do the rest."""
    if version:
        typer.echo(f"vintage-colorizer {__version__}")
        raise typer.Exit


@app.command()
@takes(PhotoOptions, JobOptions)
def photo(
    options: PhotoOptions,
    job: JobOptions,
    *,
    paths: Annotated[
        list[str] | None,
        typer.Argument(
            help="Pictures, folders, @LIST (a file of names), URLs such as s3://..., or '-' for standard input.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        str | None,
        typer.Option(
            "-o", "--out", metavar="PLACE", help="File, folder or URL; NAME-color.EXT beside the source by default."
        ),
    ] = None,
    hints_file: Annotated[
        str | None,
        typer.Option(
            "--hints",
            metavar="FILE",
            help="Hints in a file: JSON lines, a PNG layer opaque where you know, or a photo colored with hints.",
        ),
    ] = None,
    try_factors: Annotated[
        str | None, typer.Option("--try", metavar="N,N,...", help="Write one contact sheet of these render factors.")
    ] = None,
    certainty: Annotated[
        Path | None,
        typer.Option(
            "--certainty",
            metavar="FILE",
            help="Write how sure the network is, as a picture: white is sure.",
        ),
    ] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Color a demo picture, demo.jpg, made in this folder.")] = False,
    quiet: bool,
) -> None:
    """Color photos: files, whole folders, or standard input."""
    from vintage_colorizer.archive.places import local, place
    from vintage_colorizer.cli import photo as photo_command
    from vintage_colorizer.cli.console import Console

    console = Console(quiet)
    options = photo_command.with_hints_of(hints_file, options)
    inputs = photo_command.inputs(paths or [], demo, console)
    target = None if out is None else place(out)
    if certainty is not None:
        photo_command.write_certainty(inputs, certainty, options, job, console)
    if try_factors is not None or inputs == [Path("-")]:
        single = None if target is None else local(target, "the result of a single picture")
        photo_command.require_one_format(None if single is None else single.name, options)
        if try_factors is not None:
            photo_command.try_render_factors(inputs, single, try_factors, options, job, console)
        else:
            photo_command.color_stream(single, options, job, console)
    else:
        raise typer.Exit(photo_command.color_photos(inputs, target, options, job, console))


@app.command()
@takes(RepairOptions, JobOptions)
def repair(
    options: RepairOptions,
    job: JobOptions,
    *,
    paths: Annotated[
        list[str],
        typer.Argument(help="Pictures, folders, @LIST (a file of names), URLs such as s3://..., or '-'."),
    ],
    out: Annotated[
        str | None,
        typer.Option(
            "-o", "--out", metavar="PLACE", help="File, folder or URL; NAME-repaired.EXT beside the source by default."
        ),
    ] = None,
    mask: Annotated[
        Path | None, typer.Option("--mask", metavar="FILE", help="Also write where one photo is damaged, as a PNG.")
    ] = None,
    keep: Annotated[
        bool, typer.Option("--sidecar", help="Keep each source, byte for byte, in RESULT.source.zip for --undo.")
    ] = False,
    undo: Annotated[
        bool, typer.Option("--undo", help="Give back the sources of results that were made with --sidecar.")
    ] = False,
    quiet: bool,
) -> None:
    """Repair photos without coloring them: undo fading, fill scratches and dust."""
    from vintage_colorizer.archive.places import local, place
    from vintage_colorizer.cli import repair as repair_command
    from vintage_colorizer.cli.console import Console

    console = Console(quiet)
    inputs = [place(path) for path in paths]
    target = None if out is None else place(out)
    if undo:
        results = [local(one, "a result with its sidecar") for one in inputs]
        repair_command.undo(results, None if target is None else local(target, "a source"), console)
        return
    if mask is not None:
        repair_command.write_mask(inputs, mask, options, job, console)
    if inputs == [Path("-")]:
        single = None if target is None else local(target, "the result of a single picture")
        repair_command.repair_stream(single, options, job, console)
    else:
        raise typer.Exit(repair_command.repair_photos(inputs, target, options, job, keep, console))


@app.command()
@takes()
def hints(
    *, path: Annotated[str, typer.Argument(metavar="FILE", help="A picture that was colored with hints.")]
) -> None:
    """Print the hints a picture was colored with, as JSON lines for --hints."""
    from vintage_colorizer.cli import photo as photo_command

    for line in photo_command.stated_in(Path(path)):
        typer.echo(line)


@app.command()
@takes(FilmOptions, JobOptions)
def film(
    options: FilmOptions,
    job: JobOptions,
    *,
    paths: Annotated[list[str], typer.Argument(help="Films, folders of films, or @LIST (a file of names).")],
    out: Annotated[
        str | None,
        typer.Option(
            "-o", "--out", metavar="PATH", help="File or folder; NAME-color.EXT beside the source by default."
        ),
    ] = None,
    still: Annotated[
        str | None,
        typer.Option("--still", metavar="TIME", help="Only write this frame in color, to correct it for --keyframe."),
    ] = None,
    quiet: bool,
) -> None:
    """Color films; sound, subtitles and times stay as they are. The same command again goes on after a stop."""
    from vintage_colorizer.archive.places import local, place
    from vintage_colorizer.cli import film as film_command
    from vintage_colorizer.cli.console import Console

    console = Console(quiet)
    films = [local(place(path), "a film") for path in paths]
    target = None if out is None else local(place(out), "a film's result")
    if still is not None:
        film_command.write_still(films, target, still, options, console)
        return
    if options.shots is not None and not Path(options.shots).exists():
        film_command.write_shot_list(films, options, console)
        return
    raise typer.Exit(film_command.color_films(films, target, options, job, console))


@app.command()
@takes(ServeOptions, environment=True, level=logging.WARNING)
def serve(options: ServeOptions, *, quiet: bool) -> None:
    """Serve the web page and the HTTP API on this machine."""
    try:
        from vintage_colorizer.serve import app as server
    except ImportError as error:
        raise MissingError('The server needs an extra: pip install "vintage-colorizer[web]".') from error
    from vintage_colorizer.cli.console import Console

    server.serve(options, Console(quiet).say)


@app.command()
@takes()
def train(
    recipe: Annotated[str, typer.Argument(help="A recipe of the package, such as compact-stable, or a file.")],
    *,
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Values of the recipe to change.")
    ] = None,
    data: Annotated[str, typer.Option("--data", metavar="DIR|SHARDS|hf:NAME", help="Color photos to learn from.")],
    out: Annotated[Path, typer.Option("-o", "--out", help="Folder of the run.")],
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run in that folder.")] = False,
) -> None:
    """Train a network on color photos, by a recipe."""
    try:
        from vintage_colorizer.training import nogan
    except ImportError as error:
        raise MissingError(f"Training needs {error.name}: pip install 'vintage-colorizer[train]'.") from error
    typer.echo(nogan.train(recipe, data, out, resume, overrides or []))


@app.command()
@takes(EvaluateOptions)
def evaluate(
    options: EvaluateOptions,
    *,
    data: Annotated[str, typer.Option("--data", metavar="DIR|SHARDS|hf:NAME", help="Photos in color.")],
    quiet: bool,
) -> None:
    """Measure looks and networks: color photos are made grey, colored, and compared with what they were.

    Options that may be given several times also take values with commas between them.
    """
    from vintage_colorizer.cli import evaluate as evaluate_command
    from vintage_colorizer.cli.console import Console

    raise typer.Exit(evaluate_command.run(data, options, Console(quiet)))


@app.command()
@takes()
def notebook(
    name: Annotated[str, typer.Argument(help="photo, hints, film or train.")] = "photo",
    *,
    folder: Annotated[Path, typer.Option("--folder", metavar="DIR", help="Where the notebooks go.")] = Path(
        "vintage-colorizer-notebooks"
    ),
) -> None:
    """Copy the notebooks into a folder and open one in JupyterLab."""
    from vintage_colorizer.cli import notebooks

    raise typer.Exit(notebooks.open_notebook(name, folder))


@app.command()
@takes()
def doctor() -> None:
    """Print versions, devices and networks, for a look at what is installed."""
    from vintage_colorizer.cli import doctor

    for line in doctor.diagnose():
        typer.echo(line)


@weights_app.command("list")
@takes()
def weights_list() -> None:
    """List the networks that can be used."""
    from vintage_colorizer.cli import weights as weights_command

    for line in weights_command.list_networks():
        typer.echo(line)


@weights_app.command("fetch")
@takes()
def weights_fetch(
    *,
    name: Annotated[str, typer.Argument(metavar="artistic|stable|video", help="Which of the original's networks.")],
    quiet: bool,
) -> None:
    """Download one of the original's published networks and convert it; needs the train extra."""
    from vintage_colorizer.cli import weights as weights_command
    from vintage_colorizer.cli.console import Console

    weights_command.fetch_weights(name, Console(quiet))


@weights_app.command("import")
@takes()
def weights_import(
    *,
    file: Annotated[Path, typer.Argument(help="A .pth file of the original.")],
    look: Annotated[
        str | None, typer.Option("--as", metavar="artistic|stable|video", help="Which look it is for, if unknown.")
    ] = None,
    quiet: bool,
) -> None:
    """Convert a weights file of the original; needs the train extra, running it later does not."""
    from vintage_colorizer.cli import weights as weights_command
    from vintage_colorizer.cli.console import Console

    weights_command.import_weights(file, look, Console(quiet))


@weights_app.command("verify")
@takes()
def weights_verify() -> None:
    """Check every network that is here against its hash."""
    from vintage_colorizer.cli import weights as weights_command

    lines, sound = weights_command.verify_weights()
    for line in lines:
        typer.echo(line)
    raise typer.Exit(0 if sound else FAILED)


@weights_app.command("export")
@takes()
def weights_export(
    name: Annotated[str, typer.Argument(metavar="NAME", help="compact, artistic, stable or video.")],
    file: Annotated[Path, typer.Argument(metavar="FILE.onnx", help="Where to write it.")],
) -> None:
    """Write a network as one self-contained ONNX file, for --weights here or for other programs."""
    from vintage_colorizer.networks import weights

    weights.export(name, file)


def main() -> None:
    """Run the command line."""
    # Our matrix products are small: threads inside each would only get in the way of those between photos.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    logging.basicConfig(format="%(message)s")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # file names may hold bytes that are not text
    app()


def _exit_code(error: VintageColorizerError) -> int:
    if isinstance(error, OptionError):
        return USAGE
    return MISSING if isinstance(error, MissingError) else FAILED


if __name__ == "__main__":
    main()
