"""Intervals of averages over photos, by the bootstrap (Efron, 1979)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Pair = tuple[Array, Array]  # what is summed over photos, and what that is divided by
COVERAGE = 95  # percent


@dataclass(frozen=True)
class Interval:
    """An estimate and the range in which COVERAGE percent of the resampled estimates lie."""

    value: float
    low: float
    high: float


class Bootstrap:
    """Draws sets of photos again and again, the same ones for every figure and network."""

    def __init__(self, photos: int, resamples: int, seed: int) -> None:
        """Draw `resamples` times as many photos as there are, with repeats."""
        rng = np.random.default_rng(seed)
        even = np.full(photos, 1 / photos)
        self._counts = rng.multinomial(photos, even, size=resamples).astype(np.float64)  # resamples x photos

    def ratio(self, over: Array, under: Array) -> Interval | None:
        """The sum of `over` by the sum of `under`, a number a photo each; None if the latter is 0."""
        if under.sum() == 0:
            return None
        below = self._counts @ under
        drawn = (self._counts @ over)[below > 0] / below[below > 0]
        return _interval(over.sum() / under.sum(), drawn)

    def read_off(self, x: Sequence[Pair], y: Sequence[Pair], at: float) -> Interval | None:
        """The height at `at` of the curve through points, each coordinate a ratio as above, the points in any order.

        None if `at` is not between the ends of the curve.
        """
        found = [_height(*curve, at) for curve in zip(self._totals(x), self._totals(y), strict=True)]
        value, *drawn = found
        known = np.array([one for one in drawn if one is not None])
        return None if value is None or not len(known) else _interval(value, known)

    def _totals(self, pairs: Sequence[Pair]) -> Array:
        """Ratios of sums for each of `pairs`: those of the photos themselves first, then of each resample."""
        counts = np.concatenate([np.ones((1, self._counts.shape[1])), self._counts])
        over, under = (np.stack([counts @ pair[side] for pair in pairs], axis=1) for side in (0, 1))
        return np.asarray(over / np.where(under == 0, np.nan, under))

    def pairs(self, terms: Array) -> Interval:
        """The mean of `terms`, photos x photos, over pairs of different photos; the diagonal must be 0."""
        counts, photos = self._counts, len(terms)
        weight = counts.sum(axis=1) ** 2 - (counts**2).sum(axis=1)
        drawn = np.einsum("rp,rp->r", counts @ terms, counts) / weight
        return _interval(terms.sum() / (photos * (photos - 1)), drawn)


def _height(x: Array, y: Array, at: float) -> float | None:
    """The height of the curve through points x, y at `at`; None outside of it, or where a point is not known."""
    order = np.argsort(x)
    if np.isnan([x, y]).any() or not x[order[0]] <= at <= x[order[-1]]:
        return None
    return float(np.interp(at, x[order], y[order]))


def _interval(value: float, drawn: Array) -> Interval:
    tail = (100 - COVERAGE) / 2
    low, high = np.percentile(drawn, [tail, 100 - tail])
    return Interval(float(value), float(low), float(high))
