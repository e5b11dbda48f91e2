"""From a film's luma plane to what a network sees, and from its chroma to a film's chroma planes.

A film is not converted to RGB. Its luma plane is kept as it was decoded; only the two chroma
planes Cb and Cr are made, in the film's own matrix, range and depth. Codes: with limited range
luma runs from 16 to 235 and chroma from 16 to 240 (times 4 at 10 bit), with full range from 0 to
255 (ITU-R BT.601, BT.709, BT.2020; ITU-T H.273).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from vintage_colorizer.color import BAND_PIXELS, LUMA_WEIGHTS, U_SCALE, V_SCALE, Floats, enlarge_matrix

Sample = TypeVar("Sample", bound=np.generic)
Plane = NDArray[Any]  # samples as stored: uint8, or uint16 above 8 bit

# Luma weights of red and blue for each matrix, by its number in ITU-T H.273.
MATRICES: dict[int, tuple[float, float]] = {
    1: (0.2126, 0.0722),  # BT.709
    4: (0.30, 0.11),  # FCC
    5: (0.299, 0.114),  # BT.601, 625 lines
    6: (0.299, 0.114),  # BT.601, 525 lines
    7: (0.212, 0.087),  # SMPTE 240M
    9: (0.2627, 0.0593),  # BT.2020
}
BT601, BT709 = 6, 1


@dataclass(frozen=True)
class Coding:
    """How numbers in a film's planes stand for light."""

    matrix: int
    full_range: bool
    depth: int  # bits, 8 to 16

    @property
    def luma_range(self) -> tuple[int, int]:
        """The codes of black and of white."""
        return (0, 2**self.depth - 1) if self.full_range else (16 << self.depth - 8, 235 << self.depth - 8)

    @property
    def chroma_range(self) -> tuple[int, int]:
        """The code of grey, and the distance between the codes of -0.5 and 0.5."""
        return 1 << self.depth - 1, 2**self.depth - 1 if self.full_range else 224 << self.depth - 8

    @property
    def dtype(self) -> np.dtype[np.uint8] | np.dtype[np.uint16]:
        """The type of a sample."""
        return np.dtype(np.uint8) if self.depth == 8 else np.dtype(np.uint16)


@dataclass(frozen=True)
class Orientation:
    """How stored pixels are turned to stand upright: transposed first, then flipped."""

    transpose: bool = False
    flip_x: bool = False
    flip_y: bool = False

    @classmethod
    def of_matrix(cls, matrix: tuple[int, ...] | None) -> Orientation:
        """Read a display matrix, nine numbers row by row: a pixel (x, y) is shown at (a x + c y, b x + d y)."""
        if matrix is None:
            return cls()
        a, b, _, c, d = matrix[:5]
        if abs(a) + abs(d) >= abs(b) + abs(c):
            return cls(False, a < 0, d < 0)
        return cls(True, c < 0, b < 0)

    def upright(self, picture: NDArray[Sample]) -> NDArray[Sample]:
        """Turn an array H x W (x C) upright."""
        turned = np.swapaxes(picture, 0, 1) if self.transpose else picture
        return np.ascontiguousarray(turned[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1])

    def stored(self, picture: NDArray[Sample]) -> NDArray[Sample]:
        """Undo `upright`."""
        flipped = picture[:: -1 if self.flip_y else 1, :: -1 if self.flip_x else 1]
        return np.ascontiguousarray(np.swapaxes(flipped, 0, 1) if self.transpose else flipped)


def shrink_luma(plane: Plane, coding: Coding, orientation: Orientation, height: int, width: int) -> Floats:
    """What a network sees of a luma plane: upright, height x width, float32, 0..1."""
    size = (height, width) if orientation.transpose else (width, height)  # OpenCV says width first
    enlarges = size[0] > plane.shape[1] or size[1] > plane.shape[0]
    small = cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR if enlarges else cv2.INTER_AREA)
    black, white = coding.luma_range
    light = (small.astype(np.float32) - black) / np.float32(white - black)
    return orientation.upright(np.clip(light, 0, 1))


class ChromaPlanes:
    """Makes the chroma planes of a film's frames. Built once for many frames of one size."""

    def __init__(
        self, coding: Coding, size: tuple[int, int], halved: tuple[bool, bool], small: tuple[int, int]
    ) -> None:
        """Prepare.

        Args:
            coding: of the film.
            size: height and width of the luma plane.
            halved: whether the chroma planes have half the (height, width), as both in 4:2:0.
            small: height and width of the chroma that will be given, as stored.
        """
        self.coding, self.size, self.halved = coding, size, halved
        self.shape = tuple(-(-side // 2) if half else side for side, half in zip(size, halved, strict=True))
        self._rows = _sampling(small[0], size[0], halved[0], on_left=False)
        self._columns = _sampling(small[1], size[1], halved[1], on_left=True).T
        self._shifts = _shift_matrix(coding.matrix)

    def planes(self, luma: Plane, chroma: Floats) -> tuple[Plane, Plane]:
        """The planes (Cb, Cr) of one frame.

        Args:
            luma: the frame's luma plane.
            chroma: (U, V), h x w x 2, as stored (not turned upright).

        Returns:
            Codes in the film's own range and depth. Where a luma sample would leave the gamut, chroma is
            shortened until all samples it belongs to fit.
        """
        dtype = self.coding.dtype
        result = np.empty((2, *self.shape), dtype)
        wide = np.moveaxis(chroma @ self._shifts.T, -1, 0) @ self._columns  # (R - Y, B - Y), 2 x h x width
        low, high = self._luma_bounds(luma)
        step = max(1, BAND_PIXELS // 4 // self.shape[1])
        for top in range(0, self.shape[0], step):
            band = slice(top, top + step)
            weights = self._rows[band]
            used = np.flatnonzero(weights.any(axis=0))
            near = slice(used[0], used[-1] + 1)
            self._fill(result[:, band], np.matmul(weights[:, near], wide[:, near]), low[band], high[band])
        return result[0], result[1]

    def _fill(self, out: Plane, shifts: Floats, low: Plane, high: Plane) -> None:
        """Write the codes of one band, given its color differences and the least and greatest luma of each sample."""
        red_weight, blue_weight = MATRICES[self.coding.matrix]
        red, blue = shifts
        green = (red * np.float32(red_weight) + blue * np.float32(blue_weight)) * np.float32(
            -1 / (1 - red_weight - blue_weight)
        )
        black, white = self.coding.luma_range
        tiny, scale = np.float32(1e-9), np.float32(white - black)
        up = np.maximum(np.maximum(red, green), blue)
        down = np.minimum(np.minimum(red, green), blue)
        room_up = (np.float32(white) - high) / ((up + tiny) * scale)
        room_down = (low - np.float32(black)) / ((tiny - down) * scale)
        share = np.clip(np.minimum(room_up, room_down), 0, 1)
        grey, distance = self.coding.chroma_range
        for plane, shift, weight in ((out[0], blue, blue_weight), (out[1], red, red_weight)):
            code = shift * share
            code *= np.float32(distance / (2 - 2 * weight))
            code += np.float32(grey + 0.5)  # rounds: conversion to an integer truncates
            np.copyto(plane, np.clip(code, 0, 2**self.coding.depth - 1), casting="unsafe")

    def _luma_bounds(self, luma: Plane) -> tuple[Plane, Plane]:
        """The least and the greatest of the luma samples each chroma sample stands for."""
        low = high = luma
        for axis, half in enumerate(self.halved):
            if half:
                low, high = _pairs(np.minimum, low, axis), _pairs(np.maximum, high, axis)
        return low, high


def _pairs(choose: np.ufunc, plane: Plane, axis: int) -> Plane:
    """Reduce pairs of neighbors along an axis; a last one without a partner stays."""
    first, second = (plane[0::2], plane[1::2]) if axis == 0 else (plane[:, 0::2], plane[:, 1::2])
    if first.shape == second.shape:
        return np.asarray(choose(first, second))
    result: Plane = first.copy()
    shorter = result[: second.shape[0], : second.shape[1]]
    choose(shorter, second, out=shorter)
    return result


def _sampling(small: int, side: int, halved: bool, on_left: bool) -> Floats:
    """Weights that bring a line of `small` values to the chroma samples along a side of the luma plane.

    Where chroma is halved, a sample lies between two luma samples or, `on_left`, on the left one of them.
    """
    full = enlarge_matrix(small, side)
    if not halved:
        return full
    even = full[0::2]
    odd = np.concatenate([full[1::2], full[-1:]])[: len(even)]
    if not on_left:
        return np.asarray((even + odd) / 2)
    before = np.concatenate([full[:1], odd[:-1]])
    return np.asarray((before + 2 * even + odd) / 4)


def _shift_matrix(matrix: int) -> Floats:
    """From (U, V), which are differences to BT.601 luma, to (R' - Y', B' - Y') for the luma of this matrix."""
    red_weight, blue_weight = MATRICES[matrix]
    weights = np.array([red_weight, 1 - red_weight - blue_weight, blue_weight])
    red, blue = np.array([0, 1 / V_SCALE]), np.array([1 / U_SCALE, 0])  # R' - Y', B' - Y' from (U, V)
    green = -(LUMA_WEIGHTS[0] * red + LUMA_WEIGHTS[2] * blue) / LUMA_WEIGHTS[1]
    luma_change = weights @ np.stack([red, green, blue])  # of the color's luma in this matrix against BT.601
    return np.stack([red - luma_change, blue - luma_change]).astype(np.float32)
