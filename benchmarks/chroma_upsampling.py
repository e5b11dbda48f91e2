"""How well small chroma comes back to full size, by method, near strong luma edges and elsewhere.

Photos whose chroma is true (PNG, halved first), their chroma shrunk by 4, 8 and 16 and brought
back. Figures are mean absolute errors of chroma in levels of 255, and their ratio to bilinear's.

    python benchmarks/chroma_upsampling.py
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from photos_at_hand import color_photos
from vintage_colorizer import color
from vintage_colorizer.color import Floats

EDGE_SHARE = 0.07  # the strongest luma edges: this share of all pixels
EDGE_REACH = 3  # pixels around them that count as near

Method = Callable[[Floats, int, int, Floats], Floats]


def resized(interpolation: int) -> Method:
    """Plain interpolation by OpenCV."""
    return lambda chroma, height, width, luma: cv2.resize(chroma, (width, height), interpolation=interpolation)


def guided(chroma: Floats, height: int, width: int, luma: Floats) -> Floats:
    """Fast guided filter (He and Sun, 2015): local lines from luma to chroma, fitted small, applied large."""
    small = cv2.resize(luma, chroma.shape[1::-1], interpolation=cv2.INTER_AREA)
    mean = cv2.blur(small, (5, 5))
    variance = cv2.blur(small * small, (5, 5)) - mean * mean
    planes = []
    for plane in np.moveaxis(chroma, -1, 0):
        center = cv2.blur(plane, (5, 5))
        slope = (cv2.blur(small * plane, (5, 5)) - mean * center) / (variance + 1e-3)
        offset = center - slope * mean
        slope, offset = (cv2.resize(one, (width, height), interpolation=cv2.INTER_LINEAR) for one in (slope, offset))
        planes.append(slope * luma + offset)
    return np.stack(planes, axis=-1)


METHODS: dict[str, Method] = {
    "bilinear": resized(cv2.INTER_LINEAR),
    "bicubic, a = -0.75": resized(cv2.INTER_CUBIC),
    "lanczos": resized(cv2.INTER_LANCZOS4),
    "guided filter": guided,
    "bicubic, a = -0.5": lambda chroma, height, width, luma: np.einsum(
        "yh,hwc,xw->yxc",
        color.resize_matrix(chroma.shape[0], height),
        chroma,
        color.resize_matrix(chroma.shape[1], width),
        optimize=True,
    ),
    "ours (color.upsample)": lambda chroma, height, width, luma: color.upsample(chroma, height, width),
}


def errors(photo: np.ndarray, factor: int, method: Method) -> tuple[float, float]:
    """Mean absolute error of chroma near strong luma edges, and elsewhere."""
    truth, luma = color.chroma_of(photo), color.luma(photo)
    height, width = luma.shape
    small = cv2.resize(truth, (width // factor, height // factor), interpolation=cv2.INTER_AREA)
    error = np.abs(method(small, height, width, luma) - truth).mean(axis=-1) * 255
    gradient = np.hypot(cv2.Sobel(luma, cv2.CV_32F, 1, 0), cv2.Sobel(luma, cv2.CV_32F, 0, 1))
    edges = (gradient >= np.quantile(gradient, 1 - EDGE_SHARE)).astype(np.uint8)
    near = cv2.dilate(edges, np.ones((2 * EDGE_REACH + 1,) * 2, np.uint8)).astype(bool)
    return float(error[near].mean()), float(error[~near].mean())


def main() -> None:
    """Print the table."""
    photos = [cv2.resize(one, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA) for one in color_photos("*.png")]
    print(f"{len(photos)} photos; mean chroma error in levels of 255 near edges / elsewhere (ratio to bilinear)")
    for factor in (4, 8, 16):
        base = np.mean([errors(photo, factor, METHODS["bilinear"]) for photo in photos], axis=0)
        for name, method in METHODS.items():
            near, far = np.mean([errors(photo, factor, method) for photo in photos], axis=0)
            print(f"x{factor:<3} {name:22} {near:6.3f} / {far:6.3f}   ({near / base[0]:.3f} / {far / base[1]:.3f})")


if __name__ == "__main__":
    main()
