"""Filling what is marked as damaged from its surroundings, with their grain laid back on.

OpenCV's inpainting (Telea, "An Image Inpainting Technique Based on the Fast Marching Method", 2004), bettered by a
small network, in tiles around the marks. What is not marked is not touched.
"""

from __future__ import annotations

import cv2
import numpy as np

from vintage_colorizer import color
from vintage_colorizer.color import Floats, Pixels
from vintage_colorizer.networks.repair import RepairNetworks
from vintage_colorizer.repair.defects import Mask, padded, tiles

TILE = 256  # pixels a side that are filled at a time
MARGIN = 40  # pixels around them that are looked at
RADIUS = 3  # pixels around a damaged one that it is filled from
# By the shorter side of a photo, the side of the square by which marks are grown: the edges of damage are soft, and in
# larger scans for more pixels.
EDGES = ((2000, 7), (300, 5), (0, 3))
WIDEST = 16  # pixels: wider marks are left as they are
WIDEST_BY_HAND = 128  # of what somebody asks to be filled
GRAIN_SIDE = 5  # pixels over which a photo is smoothed to see its grain
SEED = 1


def fillable(mask: Mask, widest: int = WIDEST) -> Mask:
    """The marks that are at most so many pixels wide; the others are tears, which cannot be filled from their sides."""
    side = widest + 1
    wide = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((side, side), np.uint8))
    if not wide.any():
        return mask
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    too_wide = np.zeros(count, bool)
    too_wide[np.unique(labels[wide > 0])] = True
    return np.asarray(mask & ~too_wide[labels], bool)


def grown(mask: Mask) -> Mask:
    """The mask of a photo with the soft edges of the damage that it marks."""
    side = next(side for least, side in EDGES if min(mask.shape) >= least)
    return np.asarray(cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8)), bool)


def fill(pixels: Pixels, mask: Mask, networks: RepairNetworks, grain: bool = True) -> Pixels:
    """The photo, H x W or H x W x 3 of any depth, with the pixels of `mask` filled; all others are as they were.

    Raises WeightsError, EngineError.
    """
    filled = pixels.copy()
    height, width = mask.shape
    for rows, columns in tiles(height, width, TILE):
        if mask[rows, columns].any():
            top, left = max(0, rows.start - MARGIN), max(0, columns.start - MARGIN)
            around = slice(top, rows.stop + MARGIN), slice(left, columns.stop + MARGIN)
            inside = slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left)
            marked = mask[rows, columns]
            filled[rows, columns][marked] = _filled(pixels[around], mask[around], networks, grain)[inside][marked]
    return filled


def _filled(pixels: Pixels, mask: Mask, networks: RepairNetworks, grain: bool) -> Pixels:
    """A tile with its marks filled, as float32 planes and back."""
    white = color.full_scale(pixels.dtype)
    planes = [pixels] if pixels.ndim == 2 else list(np.moveaxis(pixels, -1, 0))
    smooth = [_better(inpainted(np.asarray(plane / white, np.float32), mask), mask, networks) for plane in planes]
    rough = _grain(color.luma(pixels), mask) if grain else np.float32(0)
    result = np.stack([np.clip(plane + rough, 0, 1) for plane in smooth], axis=-1) * white
    result = np.rint(result) if np.issubdtype(pixels.dtype, np.integer) else result
    return np.asarray(result[..., 0] if pixels.ndim == 2 else result, pixels.dtype)


def inpainted(plane: Floats, mask: Mask) -> Floats:
    """A plane, H x W in 0..1, with what is marked filled from its surroundings by OpenCV."""
    levels = np.rint(np.clip(plane, 0, 1) * 65535).astype(np.uint16)
    filled = cv2.inpaint(levels, mask.astype(np.uint8), RADIUS, cv2.INPAINT_TELEA).astype(np.float32) / 65535
    return np.where(mask, filled, plane)


def _better(plane: Floats, mask: Mask, networks: RepairNetworks) -> Floats:
    """A plane that was filled simply, filled by the network."""
    height, width = plane.shape
    luma, marks = padded(plane), padded(mask.astype(np.float32))
    return networks.fill(luma, marks)[:height, :width]


def _grain(luma: Floats, mask: Mask) -> Floats:
    """Grain for the marked pixels, taken from sound ones near by; 0 elsewhere.

    What a small blur takes away is grain where a photo is even, and edges elsewhere: these are cut off at three times
    the usual size of the grain.
    """
    rest = luma - cv2.GaussianBlur(luma, (GRAIN_SIDE, GRAIN_SIDE), 0)
    sound = ~cv2.dilate(mask.astype(np.uint8), np.ones((GRAIN_SIDE, GRAIN_SIDE), np.uint8)).astype(bool)
    if not sound.any():
        return np.zeros_like(luma)
    usual = 1.4826 * float(np.median(np.abs(rest[sound])))  # the deviation, for the noise of most of the picture
    rest = np.clip(rest, -3 * usual, 3 * usual)
    grain, left = np.zeros_like(luma), mask.copy()
    random = np.random.default_rng(SEED)
    for dy, dx in random.integers(-MARGIN, MARGIN + 1, (40, 2)):  # pieces of grain are moved whole
        usable = left & np.roll(sound, (dy, dx), (0, 1))
        grain[usable] = np.roll(rest, (dy, dx), (0, 1))[usable]
        left &= ~usable
        if not left.any():
            break
    return grain
