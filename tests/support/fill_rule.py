"""Weights made from the names of parameters alone, so that two implementations of a network can be compared.

For a key, bits come from PCG64 seeded with the first 8 bytes of the key's SHA-256; `uniform` is in [0, 1), `noise` has
mean 0 and variance 1. What a key gets depends on its last part; spectrally normalized weights are built so that
their stored vectors u and v see exactly the singular value they should. All is computed in float64.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Shapes = Mapping[str, tuple[int, ...]]
Doubles = NDArray[np.float64]

DATA = Path(__file__).parents[1] / "data"


def key_table(name: str) -> dict[str, tuple[int, ...]]:
    """Keys and shapes of one of the original's files: artistic, stable or critic."""
    rows = (line.split() for line in (DATA / f"deoldify_keys_{name}.txt").read_text().splitlines())
    return {key: () if shape == "scalar" else tuple(map(int, shape.split("x"))) for key, shape in rows}


def filled(shapes: Shapes) -> dict[str, NDArray[np.float32] | NDArray[np.int64]]:
    """The weights of a network by the rule."""
    return {key: _fill(key, shape, shapes) for key, shape in shapes.items()}


def _fill(key: str, shape: tuple[int, ...], shapes: Shapes) -> NDArray[np.float32] | NDArray[np.int64]:
    if key.endswith("num_batches_tracked"):
        return np.zeros(shape, np.int64)
    return _values(key, shape, shapes).astype(np.float32).reshape(shape)


def _values(key: str, shape: tuple[int, ...], shapes: Shapes) -> Doubles:
    parent, _, leaf = key.rpartition(".")
    size = math.prod(shape)
    if leaf == "gamma":
        return np.full(size, 0.3)
    if leaf == "running_mean":
        return 0.1 * noise(key, size)
    if leaf == "running_var":
        return 0.5 + uniform(key, size)
    if leaf == "bias":
        return 0.05 * noise(key, size)
    if leaf == "weight_g":
        return math.sqrt(2) * (0.8 + 0.4 * uniform(key, size))
    if leaf == "weight_orig":
        return _spectral(parent, shape)
    if leaf == "weight_u" or (leaf == "weight_v" and f"{parent}.weight_g" not in shapes):
        return _unit(key, size)
    if leaf == "weight_v":
        return noise(key, size)
    if len(shape) == 1:
        ends_branch = parent[:-1].endswith("bn") and parent[-1] in "23" and f"{parent[:-1]}3.weight" not in shapes
        ends_branch |= parent.endswith("bn3")
        low, span = (0.15, 0.2) if ends_branch else (0.8, 0.4)
        return low + span * uniform(key, size)
    return noise(key, size) * _scale(parent, shape)


def uniform(key: str, size: int) -> Doubles:
    """Doubles in [0, 1), determined by the key."""
    seed = int.from_bytes(hashlib.sha256(key.encode()).digest()[:8], "little")
    return np.asarray(np.random.PCG64(seed).random_raw(size) >> np.uint64(11), dtype=np.float64) * 2.0**-53


def noise(key: str, size: int) -> Doubles:
    """Doubles of mean 0 and variance 1, determined by the key."""
    return (2 * uniform(key, size) - 1) * math.sqrt(3)


def _unit(key: str, size: int) -> Doubles:
    vector = noise(key, size)
    return vector / math.sqrt(math.fsum(vector * vector))


def _scale(parent: str, shape: tuple[int, ...]) -> float:
    gain = 0.25 if parent.endswith(("query", "key")) else 0.15 if shape[0] == 3 else 1.0
    return gain * math.sqrt(2 * shape[0] / math.prod(shape))


def _spectral(parent: str, shape: tuple[int, ...]) -> Doubles:
    """A matrix M with u.M.v = 1, times a singular value drawn from 0.6..1.8."""
    rows, columns = shape[0], math.prod(shape) // shape[0]
    u, v = _unit(f"{parent}.weight_u", rows), _unit(f"{parent}.weight_v", columns)
    matrix = noise(f"{parent}.weight_orig", rows * columns).reshape(rows, columns) * _scale(parent, shape)
    matrix += float(np.float32(1 - u @ matrix @ v)) * np.outer(u, v)
    return np.asarray(matrix.ravel() * (0.6 + 1.2 * uniform(f"{parent}.sigma", 1)[0]))
