"""Numbers that say how good colored pictures are. Pictures are RGB uint8, H x W x 3, unless something else is said."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vintage_colorizer import color
from vintage_colorizer.color import U_SCALE, V_SCALE, Floats

RGB = NDArray[np.uint8]
Array = NDArray[Any]

SRGB_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
D65 = SRGB_TO_XYZ.sum(axis=1)  # so that white is exactly neutral

# The colors of skin in Cb and Cr of 0..255, whatever their luma (Chai and Ngan, 1999).
SKIN_CB, SKIN_CR = (77, 127), (133, 173)
# Lab hues, in degrees: they keep 86 % of the pixels that rule finds in portraits, and 43 % of those it finds elsewhere,
# which are mostly earth, wood, sand and dry grass.
SKIN_HUE = (25.0, 70.0)
LEAST_SKIN = 10.0  # Lab chroma below which a pixel of a photo is too grey to tell whether it lost its color
GREY_SKIN = 5.0  # Lab chroma below which skin looks grey; twice the least difference that is noticed
BLUE_SKIN = (110.0, 330.0)  # Lab hues, in degrees, from green over blue to violet, which no skin has
# Skin tones by individual typology angle, in degrees: the six classes of Chardon et al. (1991), two by two.
TONES = {"light": (41.0, 90.0), "medium": (10.0, 41.0), "dark": (-90.0, 10.0)}
CDC_STEPS = (1, 2, 4)  # distances in frames


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


def lab_of(picture: RGB) -> Floats:
    """CIE L*, a*, b* under D65, H x W x 3, float32, of an sRGB picture."""
    levels = np.arange(256) / 255
    linear = np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4).astype(np.float32)
    xyz = linear[picture] @ (SRGB_TO_XYZ / D65[:, None]).T.astype(np.float32)
    x, y, z = np.moveaxis(np.where(xyz > 216 / 24389, np.cbrt(xyz), (24389 / 27 * xyz + 16) / 116), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=-1).astype(np.float32)


def ciede2000(one: Array, other: Array) -> Array:
    """Color difference CIEDE2000 between Lab colors, (...) x 3 each; 1 is about the least one that is noticed.

    After Sharma, Wu and Dalal, "The CIEDE2000 color-difference formula: implementation notes" (2005).
    """
    (light1, a1, b1), (light2, a2, b2) = np.moveaxis(one, -1, 0), np.moveaxis(other, -1, 0)
    stretch = 1.5 - 0.5 * _saturating((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2)
    chroma1, chroma2 = np.hypot(stretch * a1, b1), np.hypot(stretch * a2, b2)
    hue1, hue2 = _degrees(stretch * a1, b1), _degrees(stretch * a2, b2)
    has_hue = chroma1 * chroma2 > 0
    turn = np.where(has_hue, hue2 - hue1, 0)
    far = np.abs(turn) > 180
    hue = np.where(has_hue, (hue1 + hue2) / 2, hue1 + hue2)
    hue = np.where(far, np.where(hue < 180, hue + 180, hue - 180), hue)
    turn = np.where(far, turn - np.sign(turn) * 360, turn)
    light, chroma = (light1 + light2) / 2, (chroma1 + chroma2) / 2
    weight = (
        1
        - 0.17 * np.cos(np.radians(hue - 30))
        + 0.24 * np.cos(np.radians(2 * hue))
        + 0.32 * np.cos(np.radians(3 * hue + 6))
        - 0.20 * np.cos(np.radians(4 * hue - 63))
    )
    off = (light - 50) ** 2
    by_light = (light2 - light1) / (1 + 0.015 * off / np.sqrt(20 + off))
    by_chroma = (chroma2 - chroma1) / (1 + 0.045 * chroma)
    by_hue = 2 * np.sqrt(chroma1 * chroma2) * np.sin(np.radians(turn / 2)) / (1 + 0.015 * chroma * weight)
    rotation = -2 * _saturating(chroma) * np.sin(np.radians(60 * np.exp(-(((hue - 275) / 25) ** 2))))
    squared = by_light**2 + by_chroma**2 + by_hue**2 + rotation * by_chroma * by_hue
    return np.asarray(np.sqrt(np.maximum(squared, 0)))


def _saturating(chroma: Array) -> Array:
    """Rises from 0 to 1 around a chroma of 25."""
    power = chroma * chroma * chroma
    power = power * power * chroma
    return np.asarray(np.sqrt(power / (power + 25.0**7)))


def _degrees(a: Array, b: Array) -> Array:
    """Hue, 0..360."""
    return np.asarray(np.degrees(np.arctan2(b, a)) % 360)


def skin_like(u: Any, v: Any) -> Any:
    """Where chroma U, V (arrays or tensors) has a color that skin can have (Chai and Ngan, 1999).

    So have wood, sand and brick. Skin under colored light is missed.
    """
    cb, cr = 128 + 255 * 0.564 / U_SCALE * u, 128 + 255 * 0.713 / V_SCALE * v
    return (cb > SKIN_CB[0]) & (cb < SKIN_CB[1]) & (cr > SKIN_CR[0]) & (cr < SKIN_CR[1])


def skin_mask(picture: RGB, lab: Floats) -> Array:
    """Where a photo has the color of skin, H x W: see `skin_like`, narrowed by its Lab colors' hue and chroma."""
    chroma, hue = color.chroma_of(picture), _degrees(lab[..., 1], lab[..., 2])
    colored = np.hypot(lab[..., 1], lab[..., 2]) >= LEAST_SKIN
    found = skin_like(chroma[..., 0], chroma[..., 1]) & colored & (hue > SKIN_HUE[0]) & (hue < SKIN_HUE[1])
    return np.asarray(found)


def tone_angle(lab: Array) -> Array:
    """Individual typology angle of Lab colors in degrees: above 41 light, below 10 dark skin; shade darkens it."""
    return np.asarray(np.degrees(np.arctan2(lab[..., 0] - 50, np.maximum(lab[..., 2], 1e-6))))


def skin_faults(skin: Array) -> tuple[Array, Array]:
    """Which pixels of `skin` (Lab colors, N x 3, in the colored picture) are left grey, and which are green or blue."""
    grey = np.hypot(skin[..., 1], skin[..., 2]) < GREY_SKIN
    hue = _degrees(skin[..., 1], skin[..., 2])
    return grey, ~grey & (hue > BLUE_SKIN[0]) & (hue < BLUE_SKIN[1])


def kernel_pairs(features: Array, wanted: Array) -> Array:
    """Terms, N x N, whose mean off the diagonal is the squared kernel distance of two sets of features, N x F each.

    Row i of both belongs to the same photo. This is the unbiased estimate for such pairs of the maximum mean
    discrepancy (Gretton et al., "A kernel two-sample test", 2012, eq. 4), with the kernel (x . y / F + 1)^3 of
    the kernel inception distance (Binkowski et al., 2018); with another extractor it is not comparable to that.
    """

    def kernel(x: Array, y: Array) -> Array:
        return np.asarray((x @ y.T / x.shape[1] + 1) ** 3)

    x, y = features.astype(np.float64), wanted.astype(np.float64)
    across = kernel(x, y)
    terms = kernel(x, x) + kernel(y, y) - across - across.T
    np.fill_diagonal(terms, 0)
    return np.asarray(terms)


def color_distribution_consistency(frames: Sequence[RGB]) -> float:
    """CDC of consecutive frames of one shot: how far histograms of color wander; 0 if nothing changes.

    The Jensen-Shannon divergence (natural logarithm) between the histograms of each of R, G, B, 256 bins, of frames
    1, 2 and 4 apart, averaged (Liu et al., "Temporally consistent video colorization with deep feature propagation
    and self-regularization learning", 2021). NaN for fewer than five frames.
    """
    if len(frames) <= max(CDC_STEPS):
        return math.nan
    shares = np.stack(
        [[np.bincount(plane.ravel(), minlength=256) for plane in np.moveaxis(one, -1, 0)] for one in frames]
    )
    shares = shares / shares.sum(axis=-1, keepdims=True)
    return float(np.mean([_divergence(shares[:-step], shares[step:]).mean() for step in CDC_STEPS]))


def _divergence(p: Array, q: Array) -> Array:
    """Jensen-Shannon divergence along the last axis."""
    middle = (p + q) / 2
    return np.asarray((_entropy(middle) - (_entropy(p) + _entropy(q)) / 2).clip(0))


def _entropy(p: Array) -> Array:
    return np.asarray(-(p * np.log(np.where(p > 0, p, 1))).sum(axis=-1))


def chroma_change(chroma: Sequence[Floats], back: Sequence[Floats], known: Sequence[Array]) -> float:
    """Mean length of the change of chroma along the motion, from frame to frame.

    Args:
        chroma: (U, V) of N frames, H x W x 2 each.
        back: H x W x 2, from each pixel of a frame to its place in the frame before (dx, dy); the first is not used.
        known: H x W, where that leads to the same thing; frames where it does nowhere, as after cuts, do not count.

    Returns:
        NaN if it is known nowhere.
    """
    from vintage_colorizer.film.stability import moved  # brings OpenCV, which a training machine may lack

    changes = [
        np.linalg.norm(chroma[i] - moved(chroma[i - 1], back[i]), axis=-1)[known[i]].mean()
        for i in range(1, len(chroma))
        if known[i].any()
    ]
    return float(np.mean(changes)) if changes else math.nan
