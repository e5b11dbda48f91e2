"""The notebooks that come with the package: copy them to where they may be changed, and open them."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

from vintage_colorizer.errors import MissingError, OptionError
from vintage_colorizer.files import atomically

INSTALLED = Path(__file__).parents[1] / "notebook_files"
IN_REPOSITORY = Path(__file__).parents[3] / "notebooks"


def sources() -> list[Path]:
    """The notebooks, in the package or, for a package used from its repository, there."""
    return sorted((INSTALLED if INSTALLED.is_dir() else IN_REPOSITORY).glob("*.ipynb"))


def copy_notebooks(folder: Path) -> None:
    """Copy all notebooks into a folder; what is there already is left alone. Raises OutputError."""
    for source in sources():
        target = folder / source.name
        if not target.exists():
            with source.open("rb") as original, atomically(target) as file:
                shutil.copyfileobj(original, file)


def open_notebook(name: str, folder: Path) -> int:
    """Open a notebook in JupyterLab; returns its exit code when that ends.

    Raises:
        OptionError: there is no such notebook.
        MissingError: JupyterLab is not installed.
        OutputError: the folder cannot be written.
    """
    names = [source.stem for source in sources()]
    if name not in names:
        raise OptionError(f"There is no notebook {name!r}; there are: {', '.join(names)}.")
    if importlib.util.find_spec("jupyterlab") is None:
        raise MissingError('Notebooks need an extra: pip install "vintage-colorizer[notebook]".')
    copy_notebooks(folder)
    return subprocess.run([sys.executable, "-m", "jupyterlab", str(folder / f"{name}.ipynb")]).returncode
