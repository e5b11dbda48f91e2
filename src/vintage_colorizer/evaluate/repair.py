"""Figures of repair: how well damage is found, how near a tone curve brings a faded photo, what clean photos suffer."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

TOLERANCE = 2  # pixels by which a mark may be off
AUTO_LEVELS = (1, 99)  # percentiles that go to black and white

Mask = NDArray[np.bool_]
Plane = NDArray[np.float32]


def mask_scores(found: Mask, truth: Mask) -> tuple[float, float]:
    """Precision and recall of marked pixels, H x W, each counted right within TOLERANCE pixels; 1 where none is due."""
    precision = _share(found, _widened(truth))
    recall = _share(truth, _widened(found))
    return precision, recall


def f1(precision: float, recall: float) -> float:
    """The harmonic mean of both."""
    return 2 * precision * recall / max(1e-9, precision + recall)


def auto_levels(luma: Plane) -> Plane:
    """What picture programs do to fading: the darkest and brightest percent become black and white."""
    black, white = np.percentile(luma, AUTO_LEVELS)
    return np.asarray(np.clip((luma - black) / max(1e-3, white - black), 0, 1), np.float32)


def tone_error(luma: Plane, truth: Plane) -> float:
    """Mean difference of luma, in levels of 255."""
    return float(np.abs(luma - truth).mean() * 255)


def _share(of: Mask, inside: Mask) -> float:
    return float((of & inside).sum() / of.sum()) if of.any() else 1.0


def _widened(mask: Mask) -> Mask:
    side = 2 * TOLERANCE + 1
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8)), bool)
