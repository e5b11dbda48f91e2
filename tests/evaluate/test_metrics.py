"""Golden values of the metrics."""

from __future__ import annotations

import math

import numpy as np
import pytest
import skimage.color
from numpy.typing import NDArray

from vintage_colorizer import color
from vintage_colorizer.evaluate.metrics import (
    chroma_change,
    ciede2000,
    color_distribution_consistency,
    colorfulness,
    kernel_pairs,
    lab_of,
    psnr,
    skin_faults,
    skin_like,
    skin_mask,
    tone_angle,
)

# Table 1 of Sharma, Wu and Dalal (2005): two Lab colors, and how different they are. Left out are its two pairs of
# exactly opposite hues, where the formula leaps: the last bit of an arctangent decides, and processors differ in it.
SHARMA = [
    ((50.0, 2.6772, -79.7751), (50.0, 0.0, -82.7485), 2.0425),
    ((50.0, 3.1571, -77.2803), (50.0, 0.0, -82.7485), 2.8615),
    ((50.0, 2.8361, -74.02), (50.0, 0.0, -82.7485), 3.4412),
    ((50.0, -1.3802, -84.2814), (50.0, 0.0, -82.7485), 1.0),
    ((50.0, -1.1848, -84.8006), (50.0, 0.0, -82.7485), 1.0),
    ((50.0, -0.9009, -85.5211), (50.0, 0.0, -82.7485), 1.0),
    ((50.0, 0.0, 0.0), (50.0, -1.0, 2.0), 2.3669),
    ((50.0, -1.0, 2.0), (50.0, 0.0, 0.0), 2.3669),
    ((50.0, 2.49, -0.001), (50.0, -2.49, 0.0009), 7.1792),
    ((50.0, 2.49, -0.001), (50.0, -2.49, 0.0011), 7.2195),
    ((50.0, 2.49, -0.001), (50.0, -2.49, 0.0012), 7.2195),
    ((50.0, -0.001, 2.49), (50.0, 0.0009, -2.49), 4.8045),
    ((50.0, -0.001, 2.49), (50.0, 0.0011, -2.49), 4.7461),
    ((50.0, 2.5, 0.0), (50.0, 0.0, -2.5), 4.3065),
    ((50.0, 2.5, 0.0), (73.0, 25.0, -18.0), 27.1492),
    ((50.0, 2.5, 0.0), (61.0, -5.0, 29.0), 22.8977),
    ((50.0, 2.5, 0.0), (56.0, -27.0, -3.0), 31.903),
    ((50.0, 2.5, 0.0), (58.0, 24.0, 15.0), 19.4535),
    ((50.0, 2.5, 0.0), (50.0, 3.1736, 0.5854), 1.0),
    ((50.0, 2.5, 0.0), (50.0, 3.2972, 0.0), 1.0),
    ((50.0, 2.5, 0.0), (50.0, 1.8634, 0.5757), 1.0),
    ((50.0, 2.5, 0.0), (50.0, 3.2592, 0.335), 1.0),
    ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
    ((63.0109, -31.0961, -5.8663), (62.8187, -29.7946, -4.0864), 1.263),
    ((61.2901, 3.7196, -5.3901), (61.4292, 2.248, -4.962), 1.8731),
    ((35.0831, -44.1164, 3.7933), (35.0232, -40.0716, 1.5901), 1.8645),
    ((22.7233, 20.0904, -46.694), (23.0331, 14.973, -42.5619), 2.0373),
    ((36.4612, 47.858, 18.3852), (36.2715, 50.5065, 21.2231), 1.4146),
    ((90.8027, -2.0831, 1.441), (91.1528, -1.6435, 0.0447), 1.4441),
    ((90.9257, -0.5406, -0.9208), (88.6381, -0.8985, -0.7239), 1.5381),
    ((6.7747, -0.2908, -2.4247), (5.8714, -0.0985, -2.2286), 0.6377),
    ((2.0776, 0.0795, -1.135), (0.9033, -0.0636, -0.5514), 0.9082),
]


def picture(*rgb: int) -> np.ndarray:
    return np.full((4, 6, 3), rgb, dtype=np.uint8)


def test_psnr_of_known_errors() -> None:
    assert psnr(picture(10, 20, 30), picture(10, 20, 30)) == math.inf
    assert psnr(picture(10, 20, 30), picture(11, 21, 31)) == pytest.approx(20 * math.log10(255))
    assert psnr(picture(0, 0, 0), picture(255, 255, 255)) == 0


def test_psnr_refuses_other_sizes() -> None:
    with pytest.raises(ValueError, match="cannot be compared"):
        psnr(picture(0, 0, 0), np.zeros((2, 2, 3), np.uint8))


def test_colorfulness_of_known_pictures() -> None:
    assert colorfulness(picture(90, 90, 90)) == 0
    # One color has no spread: 0.3 x the length of (R - G, (R + G) / 2 - B) = (200, 100).
    assert colorfulness(picture(200, 0, 0)) == pytest.approx(0.3 * math.hypot(200, 100))
    # Red and green halves: R - G is +-200 (signed: mean 0, spread 200), (R + G) / 2 - B is 100.
    halves = np.concatenate([picture(200, 0, 0), picture(0, 200, 0)])
    assert colorfulness(halves) == pytest.approx(200 + 0.3 * 100)


@pytest.mark.parametrize(("one", "other", "difference"), SHARMA)
def test_ciede2000_of_the_published_pairs(one: object, other: object, difference: float) -> None:
    assert float(ciede2000(np.array(one), np.array(other))) == pytest.approx(difference, abs=5.1e-5)
    assert float(ciede2000(np.array(other), np.array(one))) == pytest.approx(difference, abs=5.1e-5)


def test_ciede2000_of_pictures_is_a_plane(astronaut: NDArray[np.uint8]) -> None:
    lab = lab_of(astronaut)
    assert ciede2000(lab, lab).shape == astronaut.shape[:2]
    assert not ciede2000(lab, lab).any()
    expected = skimage.color.deltaE_ciede2000(lab, lab[::-1])
    np.testing.assert_allclose(ciede2000(lab, lab[::-1]), expected, atol=0.01)


def test_lab_is_that_of_another_library(astronaut: NDArray[np.uint8]) -> None:
    np.testing.assert_allclose(lab_of(astronaut), skimage.color.rgb2lab(astronaut), atol=0.01)
    np.testing.assert_allclose(lab_of(picture(255, 255, 255))[0, 0], (100, 0, 0), atol=1e-3)


@pytest.mark.parametrize(
    ("rgb", "expected"),
    [
        ((240, 200, 180), True),  # light skin
        ((190, 130, 100), True),
        ((90, 56, 40), True),  # dark skin: the rule does not look at luma
        ((60, 120, 50), False),  # leaf
        ((110, 160, 220), False),  # sky
        ((128, 128, 128), False),
    ],
)
def test_skin_is_known_by_its_color(rgb: tuple[int, int, int], expected: bool) -> None:
    chroma = color.chroma_of(picture(*rgb))
    assert bool(skin_like(chroma[..., 0], chroma[..., 1]).all()) is expected


def test_sand_and_dry_grass_are_no_skin() -> None:
    colors = np.array([[(225, 175, 150), (90, 56, 40), (200, 170, 110), (190, 160, 60), (128, 126, 124)]], np.uint8)
    assert skin_mask(colors, lab_of(colors)).tolist() == [[True, True, False, False, False]]


def test_skin_tones_are_in_order() -> None:
    light, medium, dark = (
        float(tone_angle(lab_of(picture(*rgb)))[0, 0]) for rgb in ((240, 205, 185), (190, 135, 105), (95, 62, 48))
    )
    assert light > 41 > medium > 10 > dark


def test_skin_left_grey_and_skin_gone_blue() -> None:
    colors = np.array([(60, 15, 18), (60, 2, 3), (60, 4, -20), (60, -15, 10), (60, 20, -5)], float)
    grey, blue = skin_faults(colors)
    assert grey.tolist() == [False, True, False, False, False]
    assert blue.tolist() == [False, False, True, True, False]


def test_equal_features_are_no_distance_apart_and_others_are() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=(300, 8))
    assert abs(kernel_pairs(truth, truth).mean()) < 1e-12
    assert kernel_pairs(truth + 0.5, truth).mean() > 0.1
    # Drawn from the same distribution: the estimate is unbiased, so it averages to zero over many sets.
    same = [kernel_pairs(*rng.normal(size=(2, 40, 8))).sum() / (40 * 39) for _ in range(300)]
    assert abs(np.mean(same)) < 3 * np.std(same) / np.sqrt(300)


def test_kernel_terms_by_hand() -> None:
    x, y = np.array([[1.0, 0], [0, 1]]), np.array([[2.0, 0], [0, 0]])
    # k = (x . y / 2 + 1)^3: x0 and x1, y0 and y1, x0 and y1, x1 and y0 are all orthogonal.
    np.testing.assert_allclose(kernel_pairs(x, y), 0)
    y[1] = (2, 0)
    # k(y0, y1) = (4 / 2 + 1)^3 = 27 and k(x0, y1) = (2 / 2 + 1)^3 = 8; the other two are 1.
    np.testing.assert_allclose(kernel_pairs(x, y), [[0, 1 + 27 - 8 - 1], [1 + 27 - 8 - 1, 0]])


def test_distribution_consistency_of_known_clips() -> None:
    still = [picture(10, 20, 30)] * 6
    assert color_distribution_consistency(still) == 0
    # Red jumps between two levels every frame: steps of 1 differ wholly (ln 2), steps of 2 and 4 not at all.
    blinking = [picture(10 + 50 * (i % 2), 20, 30) for i in range(6)]
    assert color_distribution_consistency(blinking) == pytest.approx(math.log(2) / 3 / 3)
    assert math.isnan(color_distribution_consistency(still[:4]))


def test_change_is_along_the_motion() -> None:
    rng = np.random.default_rng(0)
    wide = rng.normal(size=(20, 40, 2)).astype(np.float32)
    frames = [wide[:, i : i + 30] for i in range(4)]
    back = [np.broadcast_to(np.array([1, 0], np.float32), (20, 30, 2))] * 4
    known = [np.arange(30)[None, :].repeat(20, axis=0) < 29] * 4
    assert chroma_change(frames, back, known) == pytest.approx(0, abs=1e-6)
    shift = np.array([3, 4], np.float32)
    jumping = [one + shift * np.float32(i % 2) for i, one in enumerate(frames)]
    assert chroma_change(jumping, back, known) == pytest.approx(5, rel=1e-4)
    assert math.isnan(chroma_change(frames, back, [np.zeros((20, 30), bool)] * 4))
