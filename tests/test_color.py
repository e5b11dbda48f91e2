"""Luma is kept, colors stay in gamut, and the maths has known values."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vintage_colorizer import color
from vintage_colorizer.color import Floats, Pixels

DEPTHS: list[type] = [np.uint8, np.uint16, np.float32]


def random_pixels(seed: int, shape: tuple[int, ...], dtype: type) -> Pixels:
    values = np.random.default_rng(seed).random(shape)
    scale = color.full_scale(np.dtype(dtype))
    return (values * scale + (0.5 if scale > 1 else 0)).astype(dtype)


def random_chroma(seed: int, shape: tuple[int, int], reach: float) -> Floats:
    return np.random.default_rng(seed).uniform(-reach, reach, (*shape, 2)).astype(np.float32)


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    size=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    small=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    channels=st.sampled_from([(), (3,)]),
    dtype=st.sampled_from(DEPTHS),
    reach=st.floats(0, 2),
)
def test_merge_keeps_luma_to_one_level(
    seed: int, size: tuple[int, int], small: tuple[int, int], channels: tuple[int, ...], dtype: type, reach: float
) -> None:
    pixels = random_pixels(seed, size + channels, dtype)
    colored = color.merge(pixels, random_chroma(seed, small, reach))
    assert colored.shape == (*size, 3)
    assert colored.dtype == dtype
    level = 1 / color.full_scale(np.dtype(dtype)) if dtype != np.float32 else 1e-5
    assert np.abs(color.luma(colored) - color.luma(pixels)).max() <= level
    if dtype == np.float32:
        assert colored.min() >= -1e-6 and colored.max() <= 1 + 1e-6


def test_merge_gives_back_the_color_whose_chroma_it_gets() -> None:
    truth = random_pixels(1, (20, 30, 3), np.uint8)
    colored = color.merge(truth, color.chroma_of(truth))
    assert np.abs(colored.astype(int) - truth).max() <= 1


def test_merge_without_chroma_is_grey() -> None:
    grey = random_pixels(2, (9, 7), np.uint16)
    colored = color.merge(grey, np.zeros((3, 3, 2), np.float32))
    assert (colored == grey[..., None]).all()


def test_out_of_gamut_color_loses_chroma_but_keeps_its_hue() -> None:
    red = np.array([[[0.0, 0.877 * 0.9]]], dtype=np.float32)  # R' - Y' = 0.9, too much for Y' = 0.5
    colored = color.merge(np.full((1, 1), 0.5, np.float32), red)
    assert colored[0, 0, 0] == pytest.approx(1.0)
    result = color.chroma_of(colored)[0, 0]
    assert result[0] == pytest.approx(0, abs=1e-6)
    assert result[1] == pytest.approx(0.877 * 0.5)


@pytest.mark.parametrize(
    ("rgb", "luma", "chroma"),
    [
        ((255, 255, 255), 1.0, (0.0, 0.0)),
        ((255, 0, 0), 0.299, (-0.492 * 0.299, 0.877 * 0.701)),
        ((0, 0, 255), 0.114, (0.492 * 0.886, -0.877 * 0.114)),
    ],
)
def test_known_luma_and_chroma(rgb: tuple[int, int, int], luma: float, chroma: tuple[float, float]) -> None:
    pixel = np.array([[rgb]], dtype=np.uint8)
    assert color.luma(pixel)[0, 0] == pytest.approx(luma, abs=1e-6)
    assert color.chroma_of(pixel)[0, 0] == pytest.approx(chroma, abs=1e-6)


@pytest.mark.parametrize(("size", "target"), [(5, 5), (4, 16), (1, 7), (16, 4), (7, 1), (64, 1001)])
def test_resize_matrix_keeps_constants(size: int, target: int) -> None:
    matrix = color.resize_matrix(size, target)
    assert matrix.shape == (target, size)
    assert np.allclose(matrix.sum(axis=1), 1, atol=1e-5)


def test_resize_matrix_has_the_known_bicubic_weights() -> None:
    # Sample 8 of 16 lies at 3.75 of 8: Keys' kernel (a = -0.5) at distances 1.75, 0.75, 0.25 and 1.25.
    known = [-0.0234375, 0.2265625, 0.8671875, -0.0703125]
    assert color.resize_matrix(8, 16)[8, 2:6] == pytest.approx(known, abs=1e-6)


def test_resize_matrix_reproduces_a_line_between_samples() -> None:
    line = np.arange(10, dtype=np.float32)
    enlarged = color.resize_matrix(10, 40) @ line
    assert enlarged[8:32] == pytest.approx((np.arange(40)[8:32] + 0.5) / 4 - 0.5, abs=1e-5)


@pytest.mark.parametrize(("size", "target"), [(4, 16), (5, 33), (64, 1001), (1, 9), (7, 7), (9, 4)])
def test_enlarging_keeps_block_averages(size: int, target: int) -> None:
    line = np.random.default_rng(6).random(size)
    enlarged = color.enlarge_matrix(size, target) @ line
    assert enlarged.shape == (target,)
    if target > size:
        fine = np.repeat(enlarged, size)  # size * target samples: both grids divide it
        assert fine.reshape(size, target).mean(axis=1) == pytest.approx(line, abs=2e-3)


def test_bands_cover_every_row_once() -> None:
    rows = [row for top, bottom in color.bands(1000, 5000) for row in range(top, bottom)]
    assert rows == list(range(1000))


def test_banded_upsampling_equals_the_whole() -> None:
    planes = np.random.default_rng(3).random((2, 9, 11), dtype=np.float32)
    upsampler = color.Upsampler(planes, 100, 60)
    whole = upsampler.band(0, 100)
    pieces = np.concatenate([upsampler.band(top, top + 10) for top in range(0, 100, 10)], axis=1)
    assert np.allclose(whole, pieces, atol=1e-6)


def test_adjust() -> None:
    chroma = random_chroma(4, (5, 6), 0.3)
    luma = np.full((5, 6), 0.5, np.float32)
    assert np.array_equal(color.adjust(chroma, luma), chroma)
    assert not color.adjust(chroma, luma, saturation=0).any()
    warmed = color.adjust(chroma, luma, warmth=1) - chroma
    assert (warmed[..., 0] < 0).all() and (warmed[..., 1] > 0).all()
    assert not (color.adjust(chroma, np.ones((5, 6), np.float32), warmth=1) - chroma).any()


def test_strength_and_hue_share() -> None:
    grey = np.zeros((8, 8, 2), np.float32)
    assert color.strength(grey) == 0 and color.hue_share(grey) == 0
    orange = grey + np.array([-0.1, 0.2], np.float32)
    assert color.strength(orange) == pytest.approx(np.hypot(0.1, 0.2))
    assert color.hue_share(orange) == pytest.approx(1)
    assert color.hue_share(random_chroma(5, (50, 50), 0.3)) < 0.25
