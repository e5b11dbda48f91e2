"""What many tests share: a real grey photo, and one colorizer with the embedded network."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from vintage_colorizer import Colorizer


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
