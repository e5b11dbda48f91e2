"""Filling what is marked as damaged from its surroundings, with their grain laid back on.

OpenCV's inpainting (Telea, "An Image Inpainting Technique Based on the Fast Marching Method", 2004), in tiles around
the marks. What is not marked is not touched.
"""

from __future__ import annotations

import cv2
import numpy as np

from vintage_colorizer import color
from vintage_colorizer.color import Floats, Pixels
from vintage_colorizer.repair.defects import Mask, tiles

TILE = 256  # pixels a side that are filled at a time
MARGIN = 40  # pixels around them that are looked at
RADIUS = 3  # pixels around a damaged one that it is filled from
WIDEST = 16  # pixels: wider marks are left as they are
GRAIN_SIDE = 5  # pixels over which a photo is smoothed to see its grain
SEED = 1


def fillable(mask: Mask) -> Mask:
    """The marks that are at most WIDEST pixels wide; the others are tears, which cannot be filled from their sides."""
    side = WIDEST + 1
    wide = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, np.ones((side, side), np.uint8))
    if not wide.any():
        return mask
    count, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    too_wide = np.zeros(count, bool)
    too_wide[np.unique(labels[wide > 0])] = True
    return np.asarray(mask & ~too_wide[labels], bool)


def fill(pixels: Pixels, mask: Mask) -> Pixels:
    """The photo, H x W or H x W x 3 of any depth, with the pixels of `mask` filled; all others are as they were."""
    filled = pixels.copy()
    height, width = mask.shape
    for rows, columns in tiles(height, width, TILE):
        if mask[rows, columns].any():
            top, left = max(0, rows.start - MARGIN), max(0, columns.start - MARGIN)
            around = slice(top, rows.stop + MARGIN), slice(left, columns.stop + MARGIN)
            inside = slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left)
            marked = mask[rows, columns]
            filled[rows, columns][marked] = _filled(pixels[around], mask[around])[inside][marked]
    return filled


def _filled(pixels: Pixels, mask: Mask) -> Pixels:
    """A tile with its marks filled, as float32 planes and back."""
    white = color.full_scale(pixels.dtype)
    planes = [pixels] if pixels.ndim == 2 else list(np.moveaxis(pixels, -1, 0))
    marks = mask.astype(np.uint8)
    smooth = [cv2.inpaint(_sixteen_bit(plane, white), marks, RADIUS, cv2.INPAINT_TELEA) / 65535 for plane in planes]
    grain = _grain(color.luma(pixels), mask)
    result = np.stack([np.clip(plane + grain, 0, 1) for plane in smooth], axis=-1) * white
    result = np.rint(result) if np.issubdtype(pixels.dtype, np.integer) else result
    return np.asarray(result[..., 0] if pixels.ndim == 2 else result, pixels.dtype)


def _sixteen_bit(plane: Pixels, white: float) -> Pixels:
    return np.rint(np.clip(plane / white, 0, 1) * 65535).astype(np.uint16)


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
