"""What many tests share: a real grey photo, and one colorizer with the embedded network."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from support.clusters import s3_server
from support.fill_rule import filled, key_table
from vintage_colorizer import Colorizer
from vintage_colorizer.film.job import FilmResult, color_film
from vintage_colorizer.networks import weights
from vintage_colorizer.options import FilmOptions
from vintage_colorizer.workers import require_ray

# Whoever starts the tests in the background may have told them to ignore Ctrl-C; some are about it.
signal.signal(signal.SIGINT, signal.default_int_handler)


MARKED = {"local_ray": "ray", "object_store": "s3", "browser": "browser"}  # by what they need


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need something to be started, so that they can be left out."""
    for item in items:
        for fixture in MARKED.keys() & set(getattr(item, "fixturenames", ())):
            item.add_marker(MARKED[fixture])


@pytest.fixture(scope="session")
def astronaut() -> NDArray[np.uint8]:
    """A color photo, 512 x 512 x 3, uint8 (NASA, public domain)."""
    return np.asarray(skimage.data.astronaut(), dtype=np.uint8)


@pytest.fixture(scope="session")
def grey(astronaut: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The same photo in grey, 512 x 512, uint8."""
    return np.asarray(Image.fromarray(astronaut).convert("L"))


@pytest.fixture
def photo_file(tmp_path: Path, grey: NDArray[np.uint8]) -> Path:
    """The grey photo as a JPEG file in a folder of its own."""
    path = tmp_path / "photo.jpg"
    Image.fromarray(grey).save(path, quality=95)
    return path


@pytest.fixture(scope="session")
def colorizer() -> Colorizer:
    """A colorizer with the embedded network, loaded once for all tests."""
    return Colorizer(threads=1)


@pytest.fixture(scope="session")
def artistic_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A full artistic generator of the original, as the original saves it, with weights made by rule."""
    torch = pytest.importorskip("torch")
    state = {key: torch.from_numpy(np.asarray(value)) for key, value in filled(key_table("artistic")).items()}
    path = tmp_path_factory.mktemp("published") / "ColorizeArtistic_gen.pth"
    torch.save({"model": state, "opt": {}}, path, _use_new_zipfile_serialization=False)
    return path


@pytest.fixture(scope="session")
def imported_store(artistic_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of networks with that generator imported: about a minute of work, so for slow tests only."""
    store = tmp_path_factory.mktemp("store")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("VINTAGE_COLORIZER_HOME", str(store))
        line = weights.import_file(artistic_file)
    assert line.startswith("artistic: imported ColorizeArtistic_gen.pth, not a published file")
    return store


@pytest.fixture
def store(imported_store: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The store with the imported generator, in use."""
    monkeypatch.setenv("VINTAGE_COLORIZER_HOME", str(imported_store))
    return imported_store


@pytest.fixture(scope="session")
def object_store() -> Iterator[None]:
    """An S3 server on this machine, for all tests."""
    pytest.importorskip("moto")
    with s3_server():
        yield


@pytest.fixture(scope="session")
def local_ray(object_store: None) -> Iterator[None]:
    """A local Ray with two processors that this process is connected to, for all tests; it can reach the S3 server."""
    pytest.importorskip("ray")
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path)  # the workers import what the tests can
    with require_ray().started("local", 2):
        yield


@pytest.fixture
def color(colorizer: Colorizer, tmp_path: Path) -> Any:
    """Color a film in this process, to a lossless one unless told otherwise."""

    def run(source: Path, name: str = "out.mkv", **settings: Any) -> tuple[Path, FilmResult]:
        given = {"codec": "ffv1" if name.endswith("mkv") else None, "threads": 1, "render_factor": 7, **settings}
        options = FilmOptions.of(**given)
        target = tmp_path / "results" / name
        return target, color_film(
            source, target, colorizer.networks, options, overwrite=False, report=lambda progress: None
        )

    return run
