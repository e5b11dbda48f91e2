"""The original's way from a photo to a photo, 8 bits and all, to compare ours with. For tests only.

Each step is that of DeOldify's image pipeline: squash to a square, then grey; normalize; network; truncate to 8
bits; stretch back; keep the Y of the photo as it was opened and take U and V of the result.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Bytes = NDArray[np.uint8]

MEAN = np.array([0.485, 0.456, 0.406], np.float32)
STD = np.array([0.229, 0.224, 0.225], np.float32)


class Stages(NamedTuple):
    """The pictures on the way, H x W x 3."""

    square_in: Bytes
    square_out: Bytes
    unprocessed: Bytes
    out: Bytes


def original_path(photo: Bytes, generator: Any, render_factor: int) -> Stages:
    """Color a photo, H x W x 3, with a generator of the original, unfolded, as the original does."""
    side = 16 * render_factor
    image = Image.fromarray(photo).convert("RGB")
    square = image.resize((side, side), Image.Resampling.BILINEAR).convert("LA").convert("RGB")
    square_in = np.asarray(square)
    square_out = paint(square_in, generator)
    stretched = Image.fromarray(square_out).resize(image.size, Image.Resampling.BILINEAR)
    unprocessed = np.asarray(stretched)
    return Stages(square_in, square_out, unprocessed, with_luma_of(photo, unprocessed))


def paint(square: Bytes, generator: Any) -> Bytes:
    """The network's picture, truncated to 8 bits."""
    import torch

    normalized = (square.astype(np.float32) / 255 - MEAN) / STD
    with torch.inference_mode():
        painted = generator(torch.from_numpy(normalized.transpose(2, 0, 1)[None]))[0].numpy().transpose(1, 2, 0)
    return np.asarray(np.clip(painted * STD + MEAN, 0, 1) * 255, dtype=np.uint8)


def with_luma_of(photo: Bytes, colored: Bytes) -> Bytes:
    """The Y of `photo` with the U and V of `colored`, in OpenCV's 8-bit arithmetic."""
    luma, _, _ = _yuv(photo)
    _, u, v = _yuv(colored)
    u, v = u - 128, v - 128
    blue = luma + ((u * 33292 + 8192) >> 14)
    green = luma + ((u * -6472 + v * -9519 + 8192) >> 14)
    red = luma + ((v * 18678 + 8192) >> 14)
    return np.asarray(np.clip(np.stack([red, green, blue], axis=-1), 0, 255), dtype=np.uint8)


def _yuv(rgb: Bytes) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    red, green, blue = (rgb[..., i].astype(np.int64) for i in range(3))
    luma = (4899 * red + 9617 * green + 1868 * blue + 8192) >> 14
    u = ((blue - luma) * 8061 + (128 << 14) + 8192) >> 14
    v = ((red - luma) * 14369 + (128 << 14) + 8192) >> 14
    return luma, np.clip(u, 0, 255), np.clip(v, 0, 255)
