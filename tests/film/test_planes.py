from __future__ import annotations

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vintage_colorizer import color
from vintage_colorizer.film.planes import BT601, BT709, MATRICES, ChromaPlanes, Coding, Orientation, shrink_luma

COLORS = [(180, 60, 50), (40, 120, 60), (60, 70, 170), (200, 180, 90), (128, 128, 128), (90, 40, 110)]
CODINGS = [Coding(matrix, full, depth) for matrix in (BT601, BT709, 9) for full in (False, True) for depth in (8, 10)]


def coded(rgb: tuple[int, int, int], coding: Coding) -> float:
    """The luma code of a color, unrounded, from the definition."""
    red, blue = MATRICES[coding.matrix]
    light = np.dot([red, 1 - red - blue, blue], np.array(rgb) / 255)
    black, white = coding.luma_range
    return float(black + light * (white - black))


@pytest.mark.parametrize("coding", CODINGS, ids=str)
@pytest.mark.parametrize("rgb", COLORS)
def test_known_colors_come_back(coding: Coding, rgb: tuple[int, int, int]) -> None:
    luma = np.full((16, 16), round(coded(rgb, coding)), coding.dtype)
    chroma = color.chroma_of(np.full((4, 4, 3), rgb, np.uint8))
    maker = ChromaPlanes(coding, (16, 16), (True, True), (4, 4))
    blue, red = maker.planes(luma, chroma)
    shown = decoded(luma, blue, red, coding)
    exact = rgb_of(luma[:1, :1], blue[:1, :1], red[:1, :1], coding).ravel() * 255
    assert np.abs(exact - rgb).max() <= (2 if coding.depth == 8 else 0.5)
    assert np.abs(shown.astype(int) - rgb).max() <= 3  # the scaler rounds as well


def decoded(luma: np.ndarray, blue: np.ndarray, red: np.ndarray, coding: Coding) -> np.ndarray:
    """RGB of planes, by FFmpeg's scaler."""
    frame = av.VideoFrame(luma.shape[1], luma.shape[0], "yuv420p" if coding.depth == 8 else "yuv420p10le")
    for plane, samples in zip(frame.planes, (luma, blue, red), strict=True):
        np.frombuffer(memoryview(plane), samples.dtype).reshape(plane.height, -1)[:, : plane.width] = samples
    ranges = {False: "MPEG", True: "JPEG"}
    shown = frame.reformat(
        format="rgb24", src_colorspace=coding.matrix, src_color_range=ranges[coding.full_range], dst_color_range="JPEG"
    )
    return shown.to_ndarray()


@given(
    st.tuples(st.integers(1, 40), st.integers(1, 40)),
    st.sampled_from(CODINGS),
    st.booleans(),
    st.booleans(),
    st.integers(0, 2**32 - 1),
)
@settings(max_examples=60, deadline=None)
def test_no_luma_sample_leaves_the_gamut(
    size: tuple[int, int], coding: Coding, half_rows: bool, half_columns: bool, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    black, white = coding.luma_range
    luma = rng.integers(black, white + 1, size).astype(coding.dtype)
    chroma = rng.uniform(-0.6, 0.6, (3, 5, 2)).astype(np.float32)
    halved = (half_rows, half_columns)
    planes = ChromaPlanes(coding, size, halved, (3, 5)).planes(luma, chroma)
    blue, red = (
        np.repeat(np.repeat(plane, 1 + half_rows, 0), 1 + half_columns, 1)[: size[0], : size[1]] for plane in planes
    )
    shown = rgb_of(luma, blue, red, coding)
    step = 1.5 / (coding.chroma_range[1]) * 2
    assert shown.min() >= -step and shown.max() <= 1 + step


def rgb_of(luma: np.ndarray, blue: np.ndarray, red: np.ndarray, coding: Coding) -> np.ndarray:
    red_weight, blue_weight = MATRICES[coding.matrix]
    black, white = coding.luma_range
    grey, distance = coding.chroma_range
    y = (luma.astype(float) - black) / (white - black)
    r = y + (red.astype(float) - grey) / distance * 2 * (1 - red_weight)
    b = y + (blue.astype(float) - grey) / distance * 2 * (1 - blue_weight)
    g = (y - red_weight * r - blue_weight * b) / (1 - red_weight - blue_weight)
    return np.stack([r, g, b])


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        (None, Orientation()),
        ((65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30), Orientation()),
        ((-65536, 0, 0, 0, -65536, 0, 0, 0, 1 << 30), Orientation(False, True, True)),
        ((-65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30), Orientation(False, True, False)),
        ((0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30), Orientation(True, True, False)),
        ((0, -65536, 0, 65536, 0, 0, 0, 0, 1 << 30), Orientation(True, False, True)),
    ],
)
def test_orientation(matrix: tuple[int, ...] | None, expected: Orientation) -> None:
    found = Orientation.of_matrix(matrix)
    assert found == expected
    picture = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert np.array_equal(found.stored(found.upright(picture)), picture)


def test_a_quarter_turn_clockwise() -> None:
    turn = Orientation.of_matrix((0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30))
    picture = np.array([[1, 2], [3, 4]], np.float32)
    assert np.array_equal(turn.upright(picture), np.rot90(picture, -1))


@pytest.mark.parametrize("coding", CODINGS, ids=str)
def test_the_network_sees_light(coding: Coding) -> None:
    black, white = coding.luma_range
    ramp = np.linspace(black, white, 64).round().astype(coding.dtype)
    seen = shrink_luma(np.tile(ramp, (32, 1)), coding, Orientation(), 16, 32)
    assert seen.shape == (16, 32)
    assert seen[0, 0] == pytest.approx(0.5 / 63, abs=0.005) and seen[0, -1] == pytest.approx(62.5 / 63, abs=0.005)
