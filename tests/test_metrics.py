"""Golden values of the metrics."""

from __future__ import annotations

import math

import numpy as np
import pytest

from vintage_colorizer.metrics import colorfulness, psnr


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
