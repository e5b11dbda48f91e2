"""Many films: the name of each result, and what became of each; for films what `archive` is for photos."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from vintage_colorizer.archive.inputs import Item, Outcome
from vintage_colorizer.archive.names import fitting_name
from vintage_colorizer.archive.places import local
from vintage_colorizer.errors import VintageColorizerError
from vintage_colorizer.film.containers import KINDS
from vintage_colorizer.film.job import FilmResult
from vintage_colorizer.film.numbered import is_numbered, plain_stem
from vintage_colorizer.options import FilmOptions

ColorFilm = Callable[[Path, Path, FilmOptions], FilmResult]


def color_one(item: Item, options: FilmOptions, color: ColorFilm) -> Outcome:
    """Have one film colored by `color`. Whatever is wrong with it is in the Outcome; nothing is raised."""
    start = time.perf_counter()
    path = str(item.source)
    try:
        target = result_path(item, options)
        result = color(local(item.source, "a film"), target, options)
    except VintageColorizerError as error:
        return Outcome.of_error(path, error, round(time.perf_counter() - start, 3))
    if result.skipped:
        return Outcome(path, "skipped", result.skipped, output=str(target))
    return Outcome(
        path,
        "done",
        "; ".join(result.notes),
        output=str(target),
        width=result.width,
        height=result.height,
        seconds=round(time.perf_counter() - start, 3),
        look=result.look,
        network=result.network,
        render_factor=result.render_factor,
        chroma=result.chroma,
    )


def result_path(item: Item, options: FilmOptions) -> Path:
    """Where the result of an item goes: the source's container if that can be written, else Matroska."""
    name = item.source.name
    if item.name is not None:
        name, addition = item.name, ""
    else:
        addition = "-color" if item.beside else ""
        if options.preview is not None:
            addition = "-preview"
        elif options.is_part:
            addition = "-part"
        if isinstance(item.source, Path) and is_numbered(item.source):
            name = plain_stem(item.source) + ".mkv"
        elif Path(name).suffix.lower() not in KINDS:
            name += ".mkv"
    ending = Path(name).suffix
    return local(item.folder, "a film's result") / fitting_name(name.removesuffix(ending), addition + ending)
