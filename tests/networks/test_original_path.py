"""With the same weights, our photos are the original's, but for what we do better on purpose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from support.fill_rule import DATA, filled, key_table
from support.original_path import Bytes, Stages, original_path, with_luma_of
from vintage_colorizer import Colorizer, color
from vintage_colorizer.networks.inference import propose

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

pytestmark = pytest.mark.long

RENDER_FACTOR = 10


@pytest.fixture(scope="module")
def reference() -> Any:
    """Pixels of the original's own pictures of the astronaut: every 4th of the square ones, every 8th of the full."""
    with np.load(DATA / "deoldify_astronaut.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def generator() -> Any:
    from vintage_colorizer.networks.architectures import build_generator

    with torch.device("meta"):
        network = build_generator("artistic")
    weights = {key: torch.from_numpy(np.asarray(value)) for key, value in filled(key_table("artistic")).items()}
    network.load_state_dict(weights, assign=True)
    return network.eval()


@pytest.fixture(scope="module")
def stages(grey: Bytes, generator: Any) -> Stages:
    return original_path(np.stack([grey] * 3, axis=-1), generator, RENDER_FACTOR)


def differs(ours: Bytes, theirs: Bytes) -> tuple[int, float]:
    """The largest difference, and the share of values that differ."""
    difference = np.abs(ours.astype(int) - theirs.astype(int))
    return int(difference.max()), float((difference > 0).mean())


def test_the_reference_path_is_the_original_s(stages: Stages, reference: Any) -> None:
    assert np.array_equal(stages.square_in[..., 0], reference["square_in"])
    most, share = differs(stages.square_out[::4, ::4], reference["square_out"])
    assert most <= 1 and share < 0.001
    for ours, theirs in ((stages.unprocessed, reference["unprocessed"]), (stages.out, reference["out"])):
        most, share = differs(ours[::8, ::8], theirs)
        assert most <= 4 and share < 0.001


def test_the_reference_path_keeps_the_luma_of_color_photos(astronaut: Bytes, generator: Any, reference: Any) -> None:
    most, share = differs(original_path(astronaut, generator, RENDER_FACTOR).out[::8, ::8], reference["out_from_color"])
    assert most <= 4 and share < 0.001


def test_the_exchange_of_luma_is_exact(grey: Bytes, reference: Any) -> None:
    photo = np.stack([grey[::8, ::8]] * 3, axis=-1)
    assert np.array_equal(with_luma_of(photo, reference["unprocessed"]), reference["out"])


@pytest.mark.slow
def test_ours_agrees_with_it(store: Path, grey: Bytes, stages: Stages) -> None:
    """In chroma within 3 of 255 for 99 % of pixels whose color exists; here with the original's bilinear stretching."""
    engine = Colorizer(network="deoldify", look="artistic", threads=2).engine()
    small = propose(engine, grey, RENDER_FACTOR, None).chroma
    assert np.abs(small - color.chroma_of(stages.square_out)).max() * 255 < 1
    planes = [
        Image.fromarray(plane).resize(grey.shape[::-1], Image.Resampling.BILINEAR)
        for plane in np.moveaxis(small, -1, 0)
    ]
    ours = color.merge(grey, np.stack([np.asarray(plane) for plane in planes], axis=-1))
    distance = np.abs(color.chroma_of(ours) - color.chroma_of(stages.out)).max(axis=-1) * 255
    assert (distance[exists(grey, stages.unprocessed)] <= 3).mean() >= 0.99


def exists(grey: Bytes, colored: Bytes) -> NDArray[np.bool_]:
    """Where the chroma of `colored` with the luma of `grey` is a color that 8-bit RGB can show."""
    u, v = np.moveaxis(color.chroma_of(colored), -1, 0) * 255
    red, blue = grey + v / color.V_SCALE, grey + u / color.U_SCALE
    green = (grey - 0.299 * red - 0.114 * blue) / 0.587
    channels = np.stack([red, green, blue])
    return np.asarray((channels.min(axis=0) >= 1) & (channels.max(axis=0) <= 254))
