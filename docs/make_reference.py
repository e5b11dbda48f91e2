"""Write the option tables of the reference from the options themselves.

python docs/make_reference.py

A table stands between the lines `<!-- table: NAME -->` and `<!-- end -->`, where NAME is a class of options or a
command of the command line.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import typer.main
from pydantic.fields import FieldInfo

from vintage_colorizer import options
from vintage_colorizer.cli.app import app
from vintage_colorizer.options import BaseOptions

REFERENCE = Path(__file__).parent / "reference"
PAGES = ("command-line.md", "options.md")
TAKEN: dict[str, tuple[type[BaseOptions], ...]] = {
    "photo": (options.PhotoOptions, options.JobOptions),
    "repair": (options.RepairOptions, options.JobOptions),
    "film": (options.FilmOptions, options.JobOptions),
    "serve": (options.ServeOptions,),
    "evaluate": (options.EvaluateOptions,),
}  # the options behind each command


def main() -> None:
    """Bring every table up to date."""
    for name in PAGES:
        path = REFERENCE / name
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")


def filled(text: str) -> str:
    """A page with its tables made anew."""
    marked = re.compile(r"(<!-- table: ([^>]+) -->\n).*?(<!-- end -->)", re.DOTALL)
    return marked.sub(lambda found: f"{found[1]}\n{table(found[2])}\n{found[3]}", text)


def table(name: str) -> str:
    """The table of a class of options, or of a command."""
    kind = getattr(options, name, None)
    head, rows = (
        (("name", "type or choices", "range", "default", "meaning"), fields(kind))
        if kind is not None
        else (("option", "meaning", "range", "default"), parameters(name))
    )
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in lines)


def fields(kind: type[BaseOptions]) -> Iterator[tuple[str, ...]]:
    """A row for each field of a class of options."""
    for name, field in kind.model_fields.items():
        yield f"`{name}`", _kind(field.annotation), _range(field), _default(field), str(field.description)


def parameters(name: str) -> Iterator[tuple[str, ...]]:
    """A row for each argument and option of a command."""
    command: Any = typer.main.get_command(app)
    for word in name.split():
        command = command.commands[word]
    known = {key: field for kind in TAKEN.get(name, ()) for key, field in kind.model_fields.items()}
    for parameter in command.params:
        field = known.get(parameter.name)
        words = (
            ", ".join(f"`{word}`" for word in sorted(parameter.opts, key=len)) if parameter.opts[0][0] == "-" else ""
        )
        flag = getattr(parameter, "is_flag", False)
        value = "" if flag else str(parameter.metavar or parameter.name.upper()).replace("|", "\\|")
        shown = " ".join(filter(None, (words, f"`{value}`" if value else "")))
        yield shown, parameter.help, *(("", "") if field is None or flag else (_range(field), _default(field)))


def _kind(annotation: Any) -> str:
    names = {int: "whole number", float: "number", str: "text", bool: "yes or no"}
    if annotation in names:
        return names[annotation]
    parts = [f"`{part}`" if isinstance(part, str) else _kind(part) for part in get_args(annotation) if _says(part)]
    return ", ".join(dict.fromkeys(parts))


def _says(part: Any) -> bool:
    """Whether a part of an annotation is a type or a choice, and not None or a limit."""
    return (
        part is not type(None)
        and part is not ...
        and not isinstance(part, FieldInfo)
        and not callable(getattr(part, "func", None))
    )


def _range(field: FieldInfo) -> str:
    limits = list(_limits(field))
    found = {key: getattr(one, key) for one in limits for key in ("ge", "gt", "le") if hasattr(one, key)}
    low = f"above {_number(found['gt'])}" if "gt" in found else _number(found["ge"]) if "ge" in found else ""
    if "le" in found:
        return f"{low} to {_number(found['le'])}"
    return f"from {low}" if "ge" in found else low


def _limits(field: FieldInfo) -> Iterator[Any]:
    """The limits of a field, and of the types it is made of."""
    yield from field.metadata
    waiting = list(get_args(field.annotation))
    while waiting:
        part = waiting.pop()
        yield from getattr(part, "metadata", []) if isinstance(part, FieldInfo) else []
        waiting += get_args(part)


def _number(value: float) -> str:
    return f"{value:,.15g}" if value >= 10_000 else f"{value:g}"


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is None or value is False or value == ():
        return ""
    if isinstance(value, tuple):
        return ", ".join(f"`{one}`" for one in value)
    return _number(value) if isinstance(value, int | float) else f"`{value}`"


if __name__ == "__main__":
    main()
