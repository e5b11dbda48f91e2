"""HDR films brought to the range of ordinary screens: only their luma counts, so a table is enough.

Light of a PQ film (SMPTE ST 2084) or an HLG film (ITU-R BT.2100, on a screen of 1000 nits) is compressed as ITU-R
BT.2390 does (its EETF: a Hermite spline from the knee on, in PQ). Reference white, 203 nits (BT.2408), is below white.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from vintage_colorizer.film.planes import Coding, Plane

PQ, HLG = 16, 18  # transfer characteristics by their numbers in ITU-T H.273
PEAK = 1000.0  # nits of the brightest light that is told apart
WHITE = 300.0  # nits that become white, so that reference white comes out at 0.85 of full range
GAMMA = 2.4  # of ordinary screens, BT.1886
M1, M2, C1, C2, C3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128  # of ST 2084
A, B, C = 0.17883277, 0.28466892, 0.55991073  # of HLG
SYSTEM_GAMMA = 1.2  # of HLG at 1000 nits

Doubles = NDArray[np.float64]


def tone_mapped(luma: Plane, coding: Coding, transfer: int) -> Plane:
    """A luma plane of an HDR film as the same light looks in an ordinary one, in the same number of bits."""
    return np.asarray(_table(coding, transfer)[luma])


@lru_cache(maxsize=4)
def _table(coding: Coding, transfer: int) -> Plane:
    """The new code of each code."""
    black, white = coding.luma_range
    signal = np.clip((np.arange(2**coding.depth) - black) / (white - black), 0, 1)
    nits = nits_of_pq(signal) if transfer == PQ else nits_of_hlg(signal)
    shown = (np.minimum(compressed(nits), WHITE) / WHITE) ** (1 / GAMMA)
    return np.rint(black + shown * (white - black)).astype(coding.dtype)


def nits_of_pq(signal: Doubles) -> Doubles:
    """Light of a PQ signal, 0..1 to 0..10,000 nits."""
    power = signal ** (1 / M2)
    return np.asarray(10_000 * (np.maximum(power - C1, 0) / (C2 - C3 * power)) ** (1 / M1))


def pq_of_nits(nits: Doubles) -> Doubles:
    """The PQ signal of light in nits."""
    power = (nits / 10_000) ** M1
    return np.asarray(((C1 + C2 * power) / (1 + C3 * power)) ** M2)


def nits_of_hlg(signal: Doubles) -> Doubles:
    """Light of an HLG signal, 0..1, of a grey on a screen of 1000 nits."""
    scene = np.where(signal <= 0.5, signal**2 / 3, (np.exp((signal - C) / A) + B) / 12)
    return np.asarray(PEAK * scene**SYSTEM_GAMMA)


def compressed(nits: Doubles) -> Doubles:
    """Light up to PEAK brought to at most WHITE; what is dark stays as it is (BT.2390, annex 5)."""
    peak = float(pq_of_nits(np.array(PEAK)))
    most = float(pq_of_nits(np.array(WHITE))) / peak
    knee = 1.5 * most - 0.5
    signal = np.minimum(pq_of_nits(nits) / peak, 1)
    t = np.clip((signal - knee) / (1 - knee), 0, 1)
    spline = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee) + (-2 * t**3 + 3 * t**2) * most
    return nits_of_pq(np.where(signal < knee, signal, spline) * peak)
