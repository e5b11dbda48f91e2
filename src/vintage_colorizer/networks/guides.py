"""Guides: a picture in color whose colors another one of the same scene, person or series is to follow.

The embedded network describes every place of both pictures by features; where they are alike, what the guide has and
the network did not give it is added to the other picture too. A guide that shows something else must do no harm: then
places find each other in disorder, which is measured by going there and back (cycle consistency, as in Dwibedi et
al., "Temporal Cycle-Consistency Learning", 2019).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from PIL import Image

from vintage_colorizer import color
from vintage_colorizer.color import Floats, Pixels
from vintage_colorizer.networks.engines import CELL, Engine

FACTOR = 16  # render factor at which pictures are compared
SHARPNESS = 0.05  # of likeness: places this much less alike than the best count exp(-1)
DISTANCE = 8.0  # in one scene: likeness lost a whole width away from where a place should be, squared
ALIKE = (0.5, 0.8)  # likeness of a place's best match from which it counts, and counts fully
MUTUAL, TOGETHER = 2.0, 2.5  # cells within which a place is found again, and within which it moves with the others
LEAST_MATCHES = 8
LARGEST_ZOOM, LARGEST_TURN = 1.6, np.radians(15)
NEAR = 0.05  # of the width, within which a place that was left is found again
SAME_SCENE = (0.15, 0.35)  # share of places found again from which a guide counts, and counts fully


@dataclass(frozen=True)
class Described:
    """A picture as the network describes its places: h x w x C, each a vector of length 1."""

    features: Floats

    @classmethod
    def of(cls, engine: Engine, luma: Floats) -> Described:
        """Describe luma of a working size, H x W, 0..1; OptionError if the network describes no places."""
        height, width = luma.shape
        stride, multiple = engine.info.stride, engine.info.multiple
        padded = np.pad(luma, ((0, -height % multiple), (0, -width % multiple)), mode="edge")
        features = engine.features(padded[None, None])[0, :, : height // stride, : width // stride]
        return cls(np.ascontiguousarray(np.moveaxis(features, 0, -1)))

    def coarse(self) -> Described:
        """The same half as finely."""
        height, width = self.features.shape[:2]
        even = self.features[: height // 2 * 2, : width // 2 * 2]
        mean = even.reshape(height // 2, 2, width // 2, 2, -1).mean(axis=(1, 3))
        return Described(mean / np.maximum(1e-6, np.linalg.norm(mean, axis=-1, keepdims=True)))

    @cached_property
    def places(self) -> Floats:
        """The features, one place a row."""
        return self.features.reshape(-1, self.features.shape[-1])


@dataclass(frozen=True)
class Guide:
    """What a picture in color teaches: `chroma`, h x w x 2, and `proposed`, what the network gives it, of one size.

    Without `proposed` the other picture takes the guide's chroma as it is, and not only what the network missed.
    """

    described: Described
    chroma: Floats
    proposed: Floats | None = None
    identity: str = ""  # of the picture, where results are to be told apart by it

    @classmethod
    def of(cls, described: Described, chroma: Floats, proposed: Floats | None = None) -> Guide:
        """A guide of its own chroma, and of what was proposed for its luma, both h x w x 2 of any size."""
        size = described.features.shape[:2]
        return cls(described, _shrunk(chroma, size), None if proposed is None else _shrunk(proposed, size))

    def followed(self, chroma: Floats, described: Described, *, same_scene: bool = False) -> tuple[Floats, float]:
        """Chroma that follows this guide, and the share of the picture in which it does.

        Args:
            chroma: h x w x 2, as proposed.
            described: the same picture.
            same_scene: whether it is known to show the same; else that is found out.
        """
        alike = described.places @ self.described.places.T
        best = alike.max(axis=1)
        trust = _ramp(best, *ALIKE)
        size = described.features.shape[:2]
        if not same_scene:
            trust *= _ramp(np.float32(_found_again(alike, size[1])), *SAME_SCENE)
        else:
            alike -= DISTANCE * self._distances(alike, size)
        weights = np.exp((alike - alike.max(axis=1, keepdims=True)) / SHARPNESS)
        weights /= weights.sum(axis=1, keepdims=True)
        if self.proposed is None:
            missing = weights @ self.chroma.reshape(-1, 2) - _shrunk(chroma, size).reshape(-1, 2)
        else:
            missing = weights @ (self.chroma - self.proposed).reshape(-1, 2)
        change = (missing * trust[:, None]).reshape(*size, 2).astype(np.float32)
        enlarged = cv2.resize(change, (chroma.shape[1], chroma.shape[0]), interpolation=cv2.INTER_LINEAR)
        return np.asarray(chroma + enlarged, np.float32), float(trust.mean())

    def _distances(self, alike: Floats, size: tuple[int, int]) -> Floats:
        """How far, in widths and squared, each place of the guide is from where one of the other picture should be.

        That is where it is itself, moved as most of the picture has moved: by the median of all best matches.
        """
        ours, theirs = _grid(*size), _grid(*self.described.features.shape[:2])
        moved = ours + np.median(theirs[alike.argmax(axis=1)] - ours, axis=0)
        away = moved[:, None] - theirs[None]
        return np.asarray((away**2).sum(axis=-1) / size[1] ** 2, np.float32)


def _grid(height: int, width: int) -> Floats:
    """Row and column of each place."""
    rows, columns = np.divmod(np.arange(height * width), width)
    return np.stack([rows, columns], axis=-1).astype(np.float32)


def moved_together(one: Described, other: Described) -> float:
    """The share of a picture's places that another shows too, all of them moved and enlarged in one way.

    Places whose best matches lead back to them are taken, and the movement that most of them agree on (RANSAC, Fischler
    and Bolles, 1981). Of different scenes hardly any agree.
    """
    alike = one.places @ other.places.T
    there, back = alike.argmax(axis=1), alike.argmax(axis=0)
    ours, theirs = _grid(*one.features.shape[:2]), _grid(*other.features.shape[:2])
    mutual = np.linalg.norm(ours[back[there]] - ours, axis=1) <= MUTUAL
    if mutual.sum() < LEAST_MATCHES:
        return 0.0
    cv2.setRNGSeed(1)
    movement, agree = cv2.estimateAffinePartial2D(
        ours[mutual], theirs[there[mutual]], ransacReprojThreshold=TOGETHER, maxIters=3000, confidence=0.999
    )
    if movement is None:
        return 0.0
    zoom, turn = np.hypot(movement[0, 0], movement[1, 0]), np.arctan2(movement[1, 0], movement[0, 0])
    likely = 1 / LARGEST_ZOOM < zoom < LARGEST_ZOOM and abs(turn) < LARGEST_TURN
    return float(agree.sum() / len(ours)) if likely else 0.0


def _shrunk(chroma: Floats, size: tuple[int, int]) -> Floats:
    return np.asarray(cv2.resize(chroma, size[::-1], interpolation=cv2.INTER_AREA), np.float32)


def _found_again(alike: Floats, width: int) -> float:
    """The share of places, of a picture `width` cells wide, whose best match has its own best match near them."""
    there, back = alike.argmax(axis=1), alike.argmax(axis=0)
    begun, ended = np.arange(len(there)), back[there]
    away = np.hypot(begun // width - ended // width, begun % width - ended % width)
    return float((away <= NEAR * width).mean())


def compared_size(engine: Engine, height: int, width: int) -> tuple[int, int]:
    """The size, (height, width), at which a picture of this shape is compared with others."""
    info = engine.info
    longest = CELL * FACTOR
    scale = longest / max(height, width)
    return (
        max(info.multiple, round(height * scale / info.stride) * info.stride),
        max(info.multiple, round(width * scale / info.stride) * info.stride),
    )


def _ramp(value: Floats | np.float32, low: float, high: float) -> Floats:
    """0 up to `low`, 1 from `high` on."""
    return np.asarray(np.clip((value - low) / (high - low), 0, 1), np.float32)


def small_chroma(pixels: Pixels, height: int, width: int) -> Floats:
    """The chroma of a picture shrunk to height x width; all 0 for a grey one."""
    if pixels.ndim == 2:
        return np.zeros((height, width, 2), np.float32)
    small = Image.fromarray(color.eight_bit(pixels)).resize((width, height), Image.Resampling.BOX, reducing_gap=3.0)
    return color.chroma_of(np.asarray(small))
