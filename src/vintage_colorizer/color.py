"""Luma, chroma, and how they become a picture: pure functions on numpy arrays.

Luma Y' = 0.299 R' + 0.587 G' + 0.114 B' comes from the source and is never changed. Chroma,
U = 0.492 (B' - Y') and V = 0.877 (R' - Y'), is what a network proposes, at low resolution.
Pictures are RGB, sRGB-encoded, uint8, uint16 or float32 (0..1), H x W (grey) or H x W x 3.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[Any]  # uint8, uint16 or float32
Floats = NDArray[np.float32]

LUMA_OF_RGB = (0.299, 0.587, 0.114)  # shares of R', G', B'
LUMA_WEIGHTS = np.array(LUMA_OF_RGB, dtype=np.float32)
U_SCALE = 0.492
V_SCALE = 0.877

# The planes of a band stay in the processor's cache: 64 Ki pixels x 4 bytes = 256 KiB each.
BAND_PIXELS = 64 * 1024

# How far the warmest setting moves a mid-grey: 0.1 of full scale toward orange.
WARMTH_SHIFT = 0.1
ORANGE = (-1.0, 0.75)  # the direction of (U, V) along which daylight warms


def full_scale(dtype: np.dtype[Any]) -> float:
    """The value of white in pixels of `dtype`: 255, 65535 or 1."""
    return float(np.iinfo(dtype).max) if np.issubdtype(dtype, np.integer) else 1.0


def luma(pixels: Pixels) -> Floats:
    """Luma of a grey or RGB picture, H x W, float32, 0..1."""
    scale = full_scale(pixels.dtype)
    if pixels.ndim == 2:
        return np.asarray(pixels / np.float32(scale), dtype=np.float32)
    return np.asarray(pixels.astype(np.float32) @ (LUMA_WEIGHTS / np.float32(scale)), dtype=np.float32)


def chroma_of(pixels: Pixels) -> Floats:
    """Chroma (U, V) of an RGB picture, H x W x 2, float32."""
    y = luma(pixels)
    rgb = pixels.astype(np.float32) / np.float32(full_scale(pixels.dtype))
    return np.stack([U_SCALE * (rgb[..., 2] - y), V_SCALE * (rgb[..., 0] - y)], axis=-1, dtype=np.float32)


def resize_matrix(size: int, target: int) -> Floats:
    """Weights, target x size, that resample a line of `size` samples to `target` by bicubic interpolation.

    Keys' cubic convolution (1981) with a = -0.5. When shrinking, the kernel widens, so nothing
    aliases. Samples beyond the ends repeat the end.
    """
    stretch = max(1.0, size / target)
    centers = (np.arange(target) + 0.5) * size / target - 0.5
    reach = int(np.ceil(2 * stretch))
    taps = np.floor(centers)[:, None] + np.arange(-reach, reach + 1)
    weights = _cubic((taps - centers[:, None]) / stretch)
    weights /= weights.sum(axis=1, keepdims=True)
    matrix = np.zeros((target, size))
    columns = np.clip(taps, 0, size - 1).astype(int)
    np.add.at(matrix, (np.arange(target)[:, None], columns), weights)
    return matrix.astype(np.float32)


def enlarge_matrix(size: int, target: int) -> Floats:
    """Weights, target x size, that bring a line of area averages to a larger size and keep those averages.

    Small chroma is made of averages over blocks, not of point samples. Bicubic interpolation B
    blurs it once more; B (A B)^-1, with A the averaging over blocks, undoes that: shrunk again, the
    result is the small line exactly. Measured (benchmarks/chroma_upsampling.py) it lowers the error
    near luma edges by 5 to 9 % against bicubic, and is no worse elsewhere.
    """
    bicubic = resize_matrix(size, target)
    if target <= size:
        return bicubic
    matrix = bicubic @ np.linalg.inv(_average_matrix(target, size) @ bicubic)
    matrix[np.abs(matrix) < 1e-4] = 0  # the inverse reaches far, but what is this small does not show
    return np.asarray(matrix / matrix.sum(axis=1, keepdims=True), dtype=np.float32)


def _average_matrix(size: int, target: int) -> NDArray[np.float64]:
    """Weights, target x size, that average a line of `size` samples over `target` equal stretches."""
    edges = np.arange(size + 1) * target / size
    stretches = np.arange(target)[:, None]
    overlap = np.minimum(edges[1:], stretches + 1) - np.maximum(edges[:-1], stretches)
    return np.asarray(np.clip(overlap, 0, None))


def _cubic(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Keys' kernel with a = -0.5, zero beyond 2."""
    x = np.abs(x)
    near = (1.5 * x - 2.5) * x * x + 1
    far = ((-0.5 * x + 2.5) * x - 4) * x + 2
    return np.where(x <= 1, near, np.where(x < 2, far, 0.0))


class Upsampler:
    """Brings small planes up to a picture's size, a band of rows at a time, so that no full-size plane exists.

    Bicubic that keeps block averages, see `enlarge_matrix`. Of the hand-made methods measured none that
    looks at luma beats it.
    """

    def __init__(self, planes: Floats, height: int, width: int) -> None:
        """Take `planes`, C x h x w, and the size to bring them to."""
        self._rows = enlarge_matrix(planes.shape[1], height)
        self._wide = planes @ enlarge_matrix(planes.shape[2], width).T  # C x h x width

    def band(self, top: int, bottom: int) -> Floats:
        """Rows top..bottom of the full-size planes, C x (bottom - top) x width."""
        weights = self._rows[top:bottom]
        used = np.flatnonzero(weights.any(axis=0))
        near = slice(used[0], used[-1] + 1)
        return np.asarray(weights[:, near] @ self._wide[:, near])


def upsample(chroma: Floats, height: int, width: int) -> Floats:
    """Small chroma, h x w x 2, brought to height x width x 2."""
    planes = Upsampler(np.moveaxis(chroma, -1, 0), height, width).band(0, height)
    return np.moveaxis(planes, 0, -1)


def merge(pixels: Pixels, chroma: Floats, threads: int = 1) -> Pixels:
    """Color a picture: its own luma with this chroma.

    Args:
        pixels: the source, H x W or H x W x 3; of a color one only luma is used.
        chroma: (U, V) at any size, h x w x 2; stretched over the picture.
        threads: how many bands are worked on at a time.

    Returns:
        H x W x 3 of the same type. Its luma is the source's to one level; where a color would
        leave 0..1 its chroma shrinks, along the line of constant luma and hue, until it fits.
    """
    height, width = pixels.shape[:2]
    shifts = Upsampler(_rgb_shifts(chroma), height, width)
    colored = np.empty((height, width, 3), dtype=pixels.dtype)

    def fill(band: tuple[int, int]) -> None:
        rows = slice(*band)
        colored[rows] = _merge_band(pixels[rows], shifts.band(*band))

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(fill, bands(height, width)))
    return colored


def bands(height: int, width: int) -> Iterator[tuple[int, int]]:
    """Row ranges (top, bottom) of about BAND_PIXELS pixels that cover a picture from top to bottom."""
    rows = max(1, BAND_PIXELS // width)
    return ((top, min(top + rows, height)) for top in range(0, height, rows))


def _rgb_shifts(chroma: Floats) -> Floats:
    """What chroma adds to R', G' and B', 3 x h x w; luma-weighted they sum to zero."""
    red, blue = chroma[..., 1] / V_SCALE, chroma[..., 0] / U_SCALE
    green = -(LUMA_WEIGHTS[0] * red + LUMA_WEIGHTS[2] * blue) / LUMA_WEIGHTS[1]
    return np.stack([red, green, blue]).astype(np.float32)


def _merge_band(pixels: Pixels, shifts: Floats) -> Pixels:
    """Add to luma as much of the shifts, 3 x h x w, as fits; in place where it can, for this is most of the work."""
    white = np.float32(full_scale(pixels.dtype))
    y = luma(pixels)
    y *= white
    share = _share_in_gamut(y, shifts, white)
    if np.issubdtype(pixels.dtype, np.integer):
        y += np.float32(0.5)  # rounds: conversion to an integer truncates
    colored = np.empty((*y.shape, 3), dtype=pixels.dtype)
    for channel, shift in enumerate(shifts):
        shift *= share
        shift += y
        colored[..., channel] = shift
    return colored


def _share_in_gamut(y: Floats, shifts: Floats, white: np.float32) -> Floats:
    """The largest factor, up to `white`, by which shifts can be added to y with no channel leaving 0..white."""
    tiny = np.float32(1e-12)  # avoids 0 / 0 where there is no color
    up = np.maximum(np.maximum(shifts[0], shifts[1]), shifts[2])
    up += tiny
    down = np.minimum(np.minimum(shifts[0], shifts[1]), shifts[2])
    np.subtract(tiny, down, out=down)
    np.divide(white - y, up, out=up)
    np.divide(y, down, out=down)
    np.minimum(up, down, out=up)
    return np.asarray(np.minimum(up, white, out=up))


def attainable(chroma: Floats, luma: Floats) -> Floats:
    """Chroma, h x w x 2, shortened to what luma, h x w in 0..1, can hold, as in merging."""
    share = _share_in_gamut(luma, _rgb_shifts(chroma), np.float32(1))
    return np.asarray(chroma * share[..., None], dtype=np.float32)


def adjust(chroma: Floats, luma: Floats, saturation: float = 1.0, warmth: float = 0.0) -> Floats:
    """Apply the two settings that need no network, on small planes.

    Args:
        chroma: h x w x 2.
        luma: of the same h x w, 0..1.
        saturation: chroma is multiplied by it; 0 is grey, 1 leaves it.
        warmth: -1..1; positive moves mid-tones toward orange, negative toward blue, black and white stay.
    """
    midtone = (4 * luma * (1 - luma))[..., None] * np.float32(WARMTH_SHIFT * warmth)
    return np.asarray(np.float32(saturation) * chroma + midtone * np.array(ORANGE, np.float32), dtype=np.float32)


def strength(chroma: Floats) -> float:
    """Mean length of the chroma vector, 0 (grey) to about 0.6."""
    return float(np.hypot(chroma[..., 0], chroma[..., 1]).mean())


def hue_share(chroma: Floats) -> float:
    """Share of all chroma that lies within 15 degrees of the strongest hue, 0..1; 0 for a grey picture."""
    lengths = np.hypot(chroma[..., 0], chroma[..., 1]).ravel()
    if not lengths.any():
        return 0.0
    degrees = np.degrees(np.arctan2(chroma[..., 1], chroma[..., 0])).ravel()
    histogram, _ = np.histogram(degrees, bins=72, range=(-180, 180), weights=lengths)
    window = sum(np.roll(histogram, shift) for shift in range(-3, 3))  # 6 bins of 5 degrees
    return float(np.max(window) / lengths.sum())


def eight_bit(pixels: Pixels) -> NDArray[np.uint8]:
    """The same picture with 256 levels."""
    if pixels.dtype == np.uint8:
        return np.ascontiguousarray(pixels, dtype=np.uint8)
    result = np.empty(pixels.shape, dtype=np.uint8)
    for top, bottom in bands(*pixels.shape[:2]):  # the steps between never exist at full size
        unit = np.clip(pixels[top:bottom] / np.float32(full_scale(pixels.dtype)), 0, 1)
        result[top:bottom] = unit * 255 + np.float32(0.5)
    return result
