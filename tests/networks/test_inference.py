"""How a network is asked about a picture: at once, or a panorama in squares."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from vintage_colorizer import color
from vintage_colorizer.networks import catalog
from vintage_colorizer.networks.engines import OnnxEngine
from vintage_colorizer.networks.inference import propose, propose_batch, small_luma

SIDE = 192


@pytest.fixture(scope="module")
def engine() -> OnnxEngine:
    embedded = catalog.NETWORKS["compact"]
    return OnnxEngine(embedded.path, sha256=embedded.sha256, threads=1)


@pytest.fixture(scope="module")
def panorama() -> NDArray[np.uint8]:
    """Six photos side by side."""
    photos = [skimage.data.astronaut(), skimage.data.coffee(), skimage.data.chelsea()]
    squares = [np.asarray(Image.fromarray(photo[: min(photo.shape[:2]), : min(photo.shape[:2])])) for photo in photos]
    small = [np.asarray(Image.fromarray(square).resize((SIDE, SIDE))) for square in squares]
    return np.concatenate([*small, *[one[:, ::-1] for one in small]], axis=1)


def distance(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float(np.square(one - other).mean())


def test_a_panorama_is_seen_in_squares(engine: OnnxEngine, panorama: NDArray[np.uint8]) -> None:
    """Each photo of a row gets the colors that it has alone; seen at once it would not."""
    grey = np.rint(255 * color.luma(panorama)).astype(np.uint8)
    alone = np.concatenate([propose(engine, one, 12, 0.0).chroma for one in np.split(grey, 6, axis=1)], axis=1)
    in_squares = propose(engine, grey, 12, 0.0).chroma
    assert in_squares.shape == alone.shape == (48, 288, 2)
    height, width = engine.info.working_size(grey.shape[0], grey.shape[1], 12)
    at_once = propose_batch(engine, small_luma(grey, height, width)[None], 0.0)[0]
    assert distance(in_squares, alone) < 0.5 * distance(color.upsample(at_once, 48, 288), alone)


def test_squares_fade_into_each_other(engine: OnnxEngine, panorama: NDArray[np.uint8]) -> None:
    """On one photo mirrored again and again, no column differs from the one before it more than in the photo."""
    one = np.rint(255 * color.luma(panorama[:, :SIDE])).astype(np.uint8)
    steps = np.abs(np.diff(propose(engine, one, 12, 0.0).chroma, axis=1)).mean(axis=(0, 2))
    chroma = propose(engine, np.concatenate([one, one[:, ::-1]] * 3, axis=1), 12, 0.0).chroma
    assert np.abs(np.diff(chroma, axis=1)).mean(axis=(0, 2)).max() < 1.5 * steps.max()


def test_a_tall_picture_is_seen_upright(engine: OnnxEngine, panorama: NDArray[np.uint8]) -> None:
    grey = np.rint(255 * color.luma(panorama)).astype(np.uint8)
    tower = np.concatenate(np.split(grey, 6, axis=1), axis=0)
    alone = np.concatenate([propose(engine, one, 12, 0.0).chroma for one in np.split(grey, 6, axis=1)], axis=0)
    chroma = propose(engine, tower, 12, 0.0).chroma
    assert chroma.shape == alone.shape == (288, 48, 2)
    assert distance(chroma, alone) < 0.5 * float(np.square(alone).mean())


@pytest.mark.parametrize("aspect", [1, 4, 41])
def test_other_pictures_are_seen_at_once(engine: OnnxEngine, aspect: int) -> None:
    grey = np.random.default_rng(aspect).integers(0, 256, (24, 24 * aspect), dtype=np.uint8)
    height, width = engine.info.working_size(grey.shape[0], grey.shape[1], 8)
    expected = propose_batch(engine, small_luma(grey, height, width)[None], None)[0]
    np.testing.assert_array_equal(propose(engine, grey, 8, None).chroma, expected)
