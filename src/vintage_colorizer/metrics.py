"""Numbers that say how good a colored picture is. All take RGB uint8, H x W x 3."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

RGB = NDArray[np.uint8]


def psnr(picture: RGB, truth: RGB) -> float:
    """Peak signal-to-noise ratio over all RGB values of one picture, in dB; infinite if equal.

    For a set of pictures take the mean of the pictures' values.

    Raises:
        ValueError: the sizes differ.
    """
    if picture.shape != truth.shape:
        raise ValueError(f"Pictures of {picture.shape} and {truth.shape} cannot be compared.")
    error = np.mean((picture.astype(np.float64) - truth) ** 2)
    return math.inf if error == 0 else float(10 * np.log10(255**2 / error))


def colorfulness(picture: RGB) -> float:
    """Colorfulness after Hasler and Suesstrunk (2003), 0 for grey, about 40 for an average photo.

    The differences red - green and (red + green) / 2 - blue keep their sign, as in the paper;
    variants that take absolute values give other numbers.
    """
    red, green, blue = np.moveaxis(picture.astype(np.float64), -1, 0)
    red_green = red - green
    yellow_blue = (red + green) / 2 - blue
    spread = math.hypot(red_green.std(), yellow_blue.std())
    center = math.hypot(red_green.mean(), yellow_blue.mean())
    return spread + 0.3 * center
