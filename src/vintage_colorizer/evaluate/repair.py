"""Figures of repair: how well damage is found, how near a tone curve brings a faded photo, what clean photos suffer."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.random import default_rng
from numpy.typing import NDArray

from vintage_colorizer import color
from vintage_colorizer.datasets import Source
from vintage_colorizer.errors import InputError
from vintage_colorizer.networks.repair import RepairNetworks
from vintage_colorizer.photo.reading import read_photo
from vintage_colorizer.repair.damage import damaged, faded
from vintage_colorizer.repair.defects import find_damage
from vintage_colorizer.repair.fade import Fading
from vintage_colorizer.repair.filling import fill, grown, inpainted

TOLERANCE = 2  # pixels by which a mark may be off
AUTO_LEVELS = (1, 99)  # percentiles that go to black and white

MOST_PHOTOS = 200  # that are measured unless told otherwise
SSIM_SIGMA = 1.5  # of Wang et al. (2004)

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


# --- All of it on a set of photos -----------------------------------------------------------------------


@dataclass
class Repairs:
    """Figures gathered photo by photo; `figures` are their means."""

    sums: dict[str, list[float]] = field(default_factory=dict)
    pixels: int = 0
    seconds: float = 0.0

    def add(self, **figures: float) -> None:
        """Take in figures of one photo."""
        for name, value in figures.items():
            self.sums.setdefault(name, []).append(value)

    @property
    def figures(self) -> dict[str, float]:
        """The means, and what follows from them."""
        means = {name: float(np.mean(values)) for name, values in self.sums.items()}
        if "precision" in means:
            means["f1"] = f1(means["precision"], means["recall"])
        if self.pixels:
            means["seconds_a_megapixel"] = self.seconds / self.pixels * 1e6
        return means


def measure_repair(
    source: Source, networks: RepairNetworks, limit: int | None, seed: int, tick: Callable[[], object] = lambda: None
) -> dict[str, float]:
    """Damage and fade photos in code, repair them, and compare with what they were.

    Args:
        source: photos without damage.
        networks: that repair.
        limit: only the first so many of them; MOST_PHOTOS by default.
        seed: of the damage.
        tick: called for every photo.

    Returns:
        precision, recall and f1 of marked pixels within TOLERANCE; filled, grainy and telea, the PSNR in the damage as
        filled here without and with grain, and by OpenCV alone; fade and levels, the mean error of luma in levels of
        255 after our curve and after auto-levels; flagged and ssim, what clean photos suffer; seconds_a_megapixel.
    """
    repairs = Repairs()
    for number in range(min(len(source), limit or MOST_PHOTOS)):
        try:
            luma = color.luma(read_photo(source.read(number)).pixels)
        except InputError:
            continue
        _measure_defects(repairs, luma, networks, seed, number)
        found, was = faded(luma, default_rng([seed, number, 1]), clean_share=0.0)
        restored = Fading.of(found, networks).apply(found)
        repairs.add(fade=tone_error(restored, was), levels=tone_error(auto_levels(found), was))
        tick()
    return repairs.figures


def _measure_defects(repairs: Repairs, luma: Plane, networks: RepairNetworks, seed: int, number: int) -> None:
    found, truth = damaged(luma, default_rng([seed, number]), clean_share=0.0)
    begin = time.perf_counter()
    marked = find_damage(found, networks)
    repairs.seconds += time.perf_counter() - begin
    repairs.pixels += luma.size
    where = truth > 0
    precision, recall = mask_scores(marked, where)
    repairs.add(precision=precision, recall=recall)
    if where.any():
        mask = grown(where)
        plain, grainy = (fill(found, mask, networks, grain=grain) for grain in (False, True))
        for name, picture in (("filled", plain), ("grainy", grainy), ("telea", inpainted(found, mask))):
            repairs.add(**{name: _psnr(picture[where], luma[where])})
    clean_marks = find_damage(luma, networks)
    repairs.add(flagged=float(clean_marks.mean()), ssim=ssim(fill(luma, clean_marks, networks), luma))


def ssim(one: Plane, other: Plane) -> float:
    """Structural similarity of two luma planes, 0..1 (Wang et al., "Image Quality Assessment", 2004)."""

    def smooth(plane: Plane) -> Plane:
        return np.asarray(cv2.GaussianBlur(plane, (0, 0), SSIM_SIGMA), np.float32)

    mean_one, mean_other = smooth(one), smooth(other)
    both = smooth(one * other) - mean_one * mean_other
    spread = smooth(one * one) - mean_one**2 + smooth(other * other) - mean_other**2
    likeness = (2 * mean_one * mean_other + 1e-4) * (2 * both + 9e-4)
    return float((likeness / ((mean_one**2 + mean_other**2 + 1e-4) * (spread + 9e-4))).mean())


def _psnr(one: Plane, other: Plane) -> float:
    return float(-10 * np.log10(max(1e-10, np.mean((one - other) ** 2))))
