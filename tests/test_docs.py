"""The documentation names everything there is, and what it tells people to type works."""

import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main
from PIL import Image

import vintage_colorizer
from vintage_colorizer import errors
from vintage_colorizer.archive.inputs import Outcome
from vintage_colorizer.cli.app import app
from vintage_colorizer.networks import catalog
from vintage_colorizer.networks.inference import AUTO_STEPS
from vintage_colorizer.options import FilmOptions, JobOptions, Look, PhotoOptions

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference"


def page(name: str) -> str:
    return (REFERENCE / name).read_text(encoding="utf-8")


def commands(command: Any = None, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every command of the command line, with its full name."""
    command = command or typer.main.get_command(app)
    yield name, command
    for child in getattr(command, "commands", {}).values():
        yield from commands(child, f"{name} {child.name}".strip())


def option_names() -> list[tuple[str, str]]:
    return [(name, flag) for name, command in commands() for one in command.params for flag in one.opts if "-" in flag]


def examples() -> list[str]:
    """Every command line in a code block of the documentation."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    blocks = [block for path in pages for block in re.findall(r"```\n(.*?)```", path.read_text("utf-8"), re.DOTALL)]
    lines = [line for block in blocks for line in block.splitlines() if "vintage-colorizer " in line]
    return [line for line in lines if "PATH" not in line]  # those with PATH are patterns, not examples


@pytest.mark.parametrize("name", [name for name, command in commands() if name and not hasattr(command, "commands")])
def test_every_command_is_in_the_reference_and_has_help(name: str) -> None:
    assert f"## `{name}`" in page("command-line.md")
    assert dict(commands())[name].help


@pytest.mark.parametrize(("name", "flag"), option_names())
def test_every_option_is_in_the_reference(name: str, flag: str) -> None:
    assert re.search(rf"`[^`\n]*(?<![\w-]){flag}(?![\w-])", page("command-line.md")), f"{flag} of {name or 'all'}"


@pytest.mark.parametrize("name", [*PhotoOptions.model_fields, *FilmOptions.model_fields, *JobOptions.model_fields])
def test_every_option_of_the_library_is_in_the_reference(name: str) -> None:
    assert f"`{name}`" in page("options.md")


@pytest.mark.parametrize("name", ["command-line.md", "options.md"])
def test_the_tables_of_options_are_those_of_the_code(name: str) -> None:
    """If not: python docs/make_reference.py."""
    maker = runpy.run_path(str(ROOT / "docs" / "make_reference.py"))
    assert maker["filled"](page(name)) == page(name)
    assert "<!-- table: " in page(name)


@pytest.mark.parametrize("name", [name for name in vintage_colorizer.__all__ if name != "__version__"])
def test_every_public_name_is_in_the_reference(name: str) -> None:
    assert name in page("python.md")


@pytest.mark.parametrize("name", [name for name, value in vars(errors).items() if isinstance(value, type)])
def test_every_error_is_in_the_reference(name: str) -> None:
    assert name in page("errors.md")


def test_every_field_of_the_report_is_in_the_reference() -> None:
    for field in json.loads(Outcome("a.jpg", "done").line()):
        assert f"`{field}`" in page("report.md")


@pytest.mark.parametrize(("network", "look"), catalog.LOOKS)
def test_the_table_of_looks_is_that_of_the_catalog(network: str, look: Look) -> None:
    settings = catalog.LOOKS[network, look]
    vividness = "none" if settings.vividness is None else settings.vividness
    assert f"| `{network}` | `{look}` | {settings.render_factor} | {vividness} |" in page("options.md")


def test_the_sizes_that_auto_compares_are_the_documented_ones() -> None:
    default = catalog.LOOKS["compact", "stable"].render_factor
    *most, last = [round(step * default) for step in AUTO_STEPS]
    text = (ROOT / "docs" / "how-to" / "looks.md").read_text(encoding="utf-8")
    assert f"({', '.join(map(str, most))} and {last} with" in text


def test_readme_has_two_set_up_commands() -> None:
    set_up = (ROOT / "README.md").read_text(encoding="utf-8").split("## Set up")[1].split("\n## ")[0]
    assert re.findall(r"```\n(.*?)\n```", set_up) == ["python3 start.py photo grandma.jpg", "python3 start.py test"]


@pytest.mark.parametrize("line", examples())
def test_options_in_examples_exist(line: str) -> None:
    words = shlex.split(line.split("vintage-colorizer ", 1)[1].split(" > ")[0].split("|")[0].split("; then")[0])
    known = {flag for _, flag in option_names()} | {"--help", "-"}
    flags = {word for word in words[: words.index("--") if "--" in words else None] if word.startswith("-")}
    assert flags - known == set() or all(re.fullmatch(r"-0?\.\d+", flag) for flag in flags - known)


def test_the_demo_runs(tmp_path: Path) -> None:
    arguments = [sys.executable, "-m", "vintage_colorizer", "photo", "--demo"]
    environment = os.environ | {"PYTHONPATH": str(ROOT / "src")}
    done = subprocess.run(arguments, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "demo.jpg" in done.stderr and "demo-color.jpg" in done.stderr
    with Image.open(tmp_path / "demo.jpg") as grey, Image.open(tmp_path / "demo-color.jpg") as colored:
        assert (grey.mode, colored.mode, grey.size) == ("L", "RGB", colored.size)
