"""Every notebook runs from the first cell to the last, and `vintage-colorizer notebook` finds them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vintage_colorizer import notebooks
from vintage_colorizer.errors import OptionError

ROOT = Path(__file__).parent.parent


RUN = """
import sys, nbclient, nbformat
notebook = nbformat.read(sys.argv[1], as_version=4)
nbclient.NotebookClient(notebook, timeout=250).execute()
nbformat.write(notebook, "done.ipynb")
"""


def run(name: str, folder: Path) -> Any:
    """Run a notebook in a folder of its own; the cells with what they put out."""
    nbformat = pytest.importorskip("nbformat")
    for module in ("nbclient", "ipykernel", "ipywidgets"):
        pytest.importorskip(module)
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", RUN, str(ROOT / "notebooks" / f"{name}.ipynb")]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    return nbformat.read(folder / "done.ipynb", as_version=4).cells


def pictures(cells: Any) -> int:
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return sum("image/png" in output.get("data", {}) for output in outputs)


@pytest.mark.slow
def test_photo(tmp_path: Path) -> None:
    assert pictures(run("photo", tmp_path)) >= 2
    assert (tmp_path / "colored.png").stat().st_size > 10_000


@pytest.mark.slow
def test_film(tmp_path: Path) -> None:
    run("film", tmp_path)
    assert (tmp_path / "reel-color.mp4").stat().st_size > 5_000


@pytest.mark.slow
def test_train(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("lightning_fabric")
    assert pictures(run("train", tmp_path)) == 1
    assert list((tmp_path / "run").glob("*.onnx"))


def test_no_notebook_carries_results() -> None:
    assert [path.stem for path in notebooks.sources()] == ["film", "photo", "train"]
    for path in notebooks.sources():
        assert '"image/png"' not in path.read_text(encoding="utf-8")


def test_copies_are_made_once_and_never_replaced(tmp_path: Path) -> None:
    notebooks.copy_notebooks(tmp_path / "mine")
    mine = tmp_path / "mine" / "photo.ipynb"
    mine.write_text("changed")
    notebooks.copy_notebooks(tmp_path / "mine")
    assert mine.read_text() == "changed" and len(list((tmp_path / "mine").iterdir())) == 3


def test_an_unknown_notebook_is_named(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="there are: film, photo, train"):
        notebooks.open_notebook("phto", tmp_path)


def test_the_command_says_what_is_missing(tmp_path: Path) -> None:
    hidden = "import sys; sys.modules['jupyterlab'] = None; from vintage_colorizer.cli import main; main()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", hidden, "notebook", "--folder", str(tmp_path / "x")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert not (tmp_path / "x").exists() and done.returncode != 0
