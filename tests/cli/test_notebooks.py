"""Every notebook runs from the first cell to the last, and `vintage-colorizer notebook` finds them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from vintage_colorizer.cli import notebooks
from vintage_colorizer.errors import OptionError

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]


def run(name: str, folder: Path) -> list[Any]:
    """Run every cell of a notebook in a real kernel, in a folder of its own; the contents of all that is put out.

    This asks and waits in turn. A client that listens and sends at the same time, as nbclient does for widgets that
    hold output, can miss the reply of a cell: jupyter/nbclient issue 312.
    """
    for module in ("ipykernel", "ipywidgets"):
        pytest.importorskip(module)
    manager = pytest.importorskip("jupyter_client.manager")
    notebook = json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))
    put_out: list[Any] = []
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with manager.run_kernel(cwd=str(folder), env=environment) as kernel:
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                done = kernel.execute_interactive(
                    "".join(cell["source"]), timeout=280, output_hook=lambda message: put_out.append(message["content"])
                )["content"]
                assert done["status"] == "ok", "\n".join(done["traceback"])
    assert [one["text"] for one in put_out if one.get("name") == "stderr"] == []
    return put_out


def pictures(put_out: list[Any]) -> int:
    return sum("image/png" in one.get("data", {}) for one in put_out)


def test_photo(tmp_path: Path) -> None:
    assert pictures(run("photo", tmp_path)) >= 2
    assert (tmp_path / "colored.png").stat().st_size > 10_000


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
    hidden = "import sys; sys.modules['jupyterlab'] = None; from vintage_colorizer.cli.app import main; main()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", hidden, "notebook", "--folder", str(tmp_path / "x")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert not (tmp_path / "x").exists() and done.returncode == 3
    assert 'pip install "vintage-colorizer[notebook]"' in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
