"""Every notebook runs from the first cell to the last, and `vintage-colorizer notebook` finds them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import skimage.data
from PIL import Image

from support.bad_films import make_film
from vintage_colorizer.cli import notebooks
from vintage_colorizer.errors import OptionError
from vintage_colorizer.photo.reading import probe

pytestmark = pytest.mark.long

ROOT = Path(__file__).parents[2]


def notebook(name: str) -> Any:
    return json.loads((ROOT / "notebooks" / f"{name}.ipynb").read_text(encoding="utf-8"))


def run(name: str, folder: Path, changes: Mapping[str, str] = {}) -> list[Any]:
    """Run every cell of a notebook in a real kernel, in a folder of its own; the contents of all that is put out.

    This asks and waits in turn. A client that listens and sends at the same time, as nbclient does for widgets that
    hold output, can miss the reply of a cell: jupyter/nbclient issue 312.
    """
    for module in ("ipykernel", "ipywidgets"):
        pytest.importorskip(module)
    manager = pytest.importorskip("jupyter_client.manager")
    put_out: list[Any] = []
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    with manager.run_kernel(cwd=str(folder), env=environment) as kernel:
        for cell in notebook(name)["cells"]:
            if cell["cell_type"] == "code":
                code = "".join(cell["source"])
                for old, new in changes.items():
                    code = code.replace(old, new)
                done = kernel.execute_interactive(
                    code, timeout=280, output_hook=lambda message: put_out.append(message["content"])
                )["content"]
                assert done["status"] == "ok", "\n".join(done["traceback"])
    assert [one["text"] for one in put_out if one.get("name") == "stderr"] == []
    return put_out


def pictures(put_out: list[Any]) -> int:
    return sum("image/png" in one.get("data", {}) for one in put_out)


def test_photo(tmp_path: Path) -> None:
    assert pictures(run("photo", tmp_path)) >= 2
    assert (tmp_path / "colored.png").stat().st_size > 10_000


def test_hints(tmp_path: Path) -> None:
    put_out = run("hints", tmp_path)
    assert pictures(put_out) == 3
    assert any("%" in one.get("data", {}).get("text/plain", "") for one in put_out)
    assert probe(tmp_path / "colored.png").hints == "0.5,0.9=#000080"


def test_film(tmp_path: Path) -> None:
    run("film", tmp_path)
    assert (tmp_path / "demo-pan-color.mp4").stat().st_size > 5_000


def named(name: str, settings: dict[str, str]) -> dict[str, str]:
    """What a person changes in a notebook before running it."""
    code = "".join("".join(cell["source"]) for cell in notebook(name)["cells"])
    assert all(old in code for old in settings)
    return settings


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("film", {}),
        ("film", {'film = ""': 'film = "reel.mp4"'}),
        ("photo", {}),
        ("photo", {"photo = demo_picture()": 'photo = "grandma.jpg"'}),
        ("hints", {"photo = demo_picture()": 'photo = "grandma.jpg"'}),
        pytest.param("train", {}, marks=pytest.mark.slow),
    ],
)
def test_files_of_the_user_are_never_written_over(name: str, changes: dict[str, str], tmp_path: Path) -> None:
    make_film(tmp_path / "reel.mp4", codec="libx264")
    color_photo = skimage.data.astronaut()
    for own in ("grandma.jpg", "colored.png", "photos/1.jpg"):
        (tmp_path / own).parent.mkdir(exist_ok=True)
        Image.fromarray(color_photo).save(tmp_path / own)
    for number in range(2, 9):
        shutil.copy(tmp_path / "photos" / "1.jpg", tmp_path / "photos" / f"{number}.jpg")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    run(name, tmp_path, named(name, changes))
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert {path: after.get(path) for path in before} == before
    assert len(after) > len(before)


def test_a_film_of_the_user_stops_the_film_notebook(tmp_path: Path) -> None:
    (tmp_path / "demo-pan-color.mp4").write_bytes(b"precious")
    with pytest.raises(AssertionError, match="exists and was made differently"):
        run("film", tmp_path)
    assert (tmp_path / "demo-pan-color.mp4").read_bytes() == b"precious"


@pytest.mark.slow
def test_train(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    pytest.importorskip("lightning_fabric")
    assert pictures(run("train", tmp_path)) == 1
    assert list((tmp_path / "run").glob("*.onnx"))


def test_no_notebook_carries_results() -> None:
    assert [path.stem for path in notebooks.sources()] == ["film", "hints", "photo", "train"]
    for path in notebooks.sources():
        assert '"image/png"' not in path.read_text(encoding="utf-8")


def test_copies_are_made_once_and_never_replaced(tmp_path: Path) -> None:
    notebooks.copy_notebooks(tmp_path / "mine")
    mine = tmp_path / "mine" / "photo.ipynb"
    mine.write_text("changed")
    notebooks.copy_notebooks(tmp_path / "mine")
    assert mine.read_text() == "changed" and len(list((tmp_path / "mine").iterdir())) == 4


def test_an_unknown_notebook_is_named(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="there are: film, hints, photo, train"):
        notebooks.open_notebook("phto", tmp_path)


def test_the_command_says_what_is_missing(tmp_path: Path) -> None:
    hidden = "import sys; sys.modules['jupyterlab'] = None; from vintage_colorizer.cli.app import main; main()"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    command = [sys.executable, "-c", hidden, "notebook", "--folder", str(tmp_path / "x")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert not (tmp_path / "x").exists() and done.returncode == 3
    assert 'pip install "vintage-colorizer[notebook]"' in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1
