"""Patchiness on pictures made for it: what a person would call clouds scores badly, what is even does not."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from vintage_colorizer.evaluate.metrics import lab_of
from vintage_colorizer.evaluate.patches import Regions

Picture = NDArray[np.uint8]
WALL, COAT, OTHER = (180, 170, 150), (150, 60, 60), (70, 80, 130)


def scene(coat: tuple[int, int, int] = COAT, lower: tuple[int, int, int] | None = None) -> Picture:
    """A coat before a wall, 120 x 160; its lower half may have another color."""
    picture = np.full((120, 160, 3), WALL, np.uint8)
    picture[20:100, 40:120] = coat
    picture[60:100, 40:120] = coat if lower is None else lower
    return picture


def patchiness(picture: Picture, truth: Picture) -> float:
    figures = Regions(lab_of(truth)).figures(lab_of(picture))
    return figures["patches"] / figures["even"]


def test_the_truth_and_grey_have_no_patches() -> None:
    grey = np.repeat(np.full((120, 160, 1), 128, np.uint8), 3, axis=2)
    assert patchiness(scene(), scene()) == 0
    assert patchiness(grey, scene()) == pytest.approx(0, abs=1e-3)


def test_a_coat_of_another_color_is_even() -> None:
    assert patchiness(scene(OTHER), scene()) == pytest.approx(0, abs=0.01)


def test_a_coat_half_colored_is_not() -> None:
    half = patchiness(scene(lower=(95, 95, 95)), scene())
    lab = lab_of(scene(lower=(95, 95, 95)))
    deviation = np.linalg.norm(lab[40, 80, 1:] - lab[80, 80, 1:]) / 2  # of two halves from their middle
    share = 80 * 80 / (120 * 160)
    assert half == pytest.approx(deviation * share, rel=0.1)
    assert half > 5


def test_colors_that_really_differ_may_differ() -> None:
    assert patchiness(scene(lower=OTHER), scene(lower=OTHER)) == 0
    assert patchiness(scene(lower=WALL), scene(lower=OTHER)) == pytest.approx(0, abs=0.01)


def test_clouds_on_a_wall_count_more_the_stronger_they_are() -> None:
    rows, columns = np.mgrid[:120, :160]
    cloud = np.exp(-(((rows - 30) / 20) ** 2 + ((columns - 20) / 15) ** 2))[..., None]
    found = [
        patchiness(np.clip(scene() + strength * cloud * [1, -0.5, -1], 0, 255).astype(np.uint8), scene())
        for strength in (0, 10, 20, 40)
    ]
    assert found == sorted(found) and found[-1] > 3 * found[1] > 0


def test_size_hardly_matters(astronaut: Picture) -> None:
    clouded = astronaut.copy()
    clouded[:256, :, 0] = np.clip(clouded[:256, :, 0] * 1.2, 0, 255)
    whole = patchiness(clouded, astronaut)
    half = patchiness(clouded[::2, ::2], astronaut[::2, ::2])
    assert whole > 0.5 and half == pytest.approx(whole, rel=0.3)


def test_a_photo_without_even_regions_has_none(astronaut: Picture) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
    assert Regions(lab_of(noise)).figures(lab_of(noise))["even"] == 0
