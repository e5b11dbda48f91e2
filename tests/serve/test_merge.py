"""What the page shows (merge.js) is what the library makes (color.py)."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from support.node import run_script
from vintage_colorizer import Colorizer, color
from vintage_colorizer.color import Floats
from vintage_colorizer.options import PhotoOptions
from vintage_colorizer.photo.reading import read_photo
from vintage_colorizer.serve import page
from vintage_colorizer.serve.limits import Task
from vintage_colorizer.serve.proposals import Proposals

SETTINGS = [
    {"vividness": 0.15, "saturation": 1.0, "warmth": 0.0},
    {"vividness": 0.5, "saturation": 1.5, "warmth": 0.4},
    {"vividness": 1.0, "saturation": 3.0, "warmth": -1.0},
    {"vividness": 0.0, "saturation": 0.0, "warmth": 0.0},
]
MATRICES = [(64, 1280), (48, 512), (7, 7), (40, 24), (1, 9), (5, 33), (256, 300)]


def tall() -> NDArray[np.uint8]:
    return np.asarray(skimage.data.rocket()[:, 200:300])


def tiny() -> NDArray[np.uint8]:
    return np.asarray(skimage.data.coffee()[100:124, 100:140])  # smaller than its chroma


PHOTOS = {
    "astronaut": skimage.data.astronaut,
    "coffee": skimage.data.coffee,
    "tall": tall,
    "tiny": tiny,
}


class Merged:
    """A preview of a photo, and what merge.js makes of it."""

    def __init__(self, colorizer: Colorizer, pixels: NDArray[np.uint8], folder: Path, **options: Any) -> None:
        photo = read_photo(pixels)
        settings = colorizer.options.replace(**options)
        self.answer = page.preview(photo, settings, Proposals(colorizer).of(photo, settings, Task()))
        self.picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(self.answer.picture.split(",")[1]))))
        height, width = self.picture.shape[:2]
        rgb = self.picture if self.picture.ndim == 3 else np.repeat(self.picture[..., None], 3, axis=-1)
        (folder / "picture").write_bytes(np.dstack([rgb, np.full((height, width), 255, np.uint8)]).tobytes())
        job = {
            "answer": self.answer.model_dump(),
            "size": {"width": width, "height": height},
            "picture": str(folder / "picture"),
            "merged": str(folder / "merged"),
            "settings": SETTINGS,
            "matrices": MATRICES,
        }
        self.said = run_script("merge.mjs", job, folder)
        raw = np.frombuffer((folder / "merged").read_bytes(), np.uint8)
        self.pictures = raw.reshape(len(SETTINGS), height, width, 4)[..., :3]

    def planes(self, text: str) -> Floats:
        """A plane or several, h x w x C."""
        maps = self.answer.maps
        values = np.frombuffer(base64.b64decode(text), "<i2").reshape(-1, maps.height, maps.width)
        return np.moveaxis(values / np.float32(page.MAP_SCALE), 0, -1).astype(np.float32)

    def expected(self, vividness: float, saturation: float, warmth: float) -> NDArray[np.uint8]:
        """The same by color.py."""
        maps = self.answer.maps
        known = [float(one or 0) for one in maps.vividness]
        stack = np.stack([self.planes(one) for one in maps.chroma])
        to = max(1, int(np.searchsorted(known, vividness)))
        share = (vividness - known[to - 1]) / (known[to] - known[to - 1])
        chroma = (1 - share) * stack[to - 1] + share * stack[to]
        warm = self.planes(maps.midtone) * warmth * np.array(maps.warmth)
        adjusted = (saturation * self.answer.saturation * chroma + warm).astype(np.float32)
        return np.asarray(color.merge(self.picture, adjusted))


@pytest.mark.parametrize("name", PHOTOS)
def test_the_page_merges_as_the_library_does(colorizer: Colorizer, tmp_path: Path, name: str) -> None:
    merged = Merged(colorizer, np.asarray(PHOTOS[name]()), tmp_path)
    for settings, picture in zip(SETTINGS, merged.pictures, strict=True):
        difference = np.abs(merged.expected(**settings).astype(int) - picture)
        assert difference.max() <= 1
        assert (difference > 0).mean() < 0.001
        luma = np.abs(color.luma(picture) - color.luma(merged.picture))
        assert luma.max() <= 1 / 255


def test_what_the_page_shows_is_what_is_saved(colorizer: Colorizer, tmp_path: Path, grey: NDArray[np.uint8]) -> None:
    """Where the server was asked about the vividness, the page has the very chroma of the result."""
    merged = Merged(colorizer, grey, tmp_path)
    result = colorizer.photo(grey, PhotoOptions(threads=1, **SETTINGS[1]))
    exact = color.merge(merged.picture, result.final_chroma)
    assert np.abs(exact.astype(int) - merged.pictures[1]).max() <= 1


@pytest.mark.long
def test_large_maps_are_made_small(colorizer: Colorizer, tmp_path: Path, grey: NDArray[np.uint8]) -> None:
    merged = Merged(colorizer, np.tile(grey, (2, 3)), tmp_path, render_factor=64)
    maps = merged.answer.maps
    assert max(maps.width, maps.height) <= page.MAP_SIDE
    assert np.abs(merged.expected(**SETTINGS[1]).astype(int) - merged.pictures[1]).max() <= 1


def test_the_page_has_the_numbers_of_the_library(colorizer: Colorizer, tmp_path: Path) -> None:
    said = Merged(colorizer, tiny(), tmp_path).said
    assert np.array_equal(np.float32(said["LUMA_WEIGHTS"]), color.LUMA_WEIGHTS)
    assert (said["U_SCALE"], said["V_SCALE"], said["MAP_SCALE"]) == (color.U_SCALE, color.V_SCALE, page.MAP_SCALE)
    for (size, target), matrix in zip(MATRICES, said["matrices"], strict=True):
        assert np.allclose(np.reshape(matrix, (target, size)), color.enlarge_matrix(size, target), atol=2e-4)
