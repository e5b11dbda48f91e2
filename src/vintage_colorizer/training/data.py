"""Photos to learn from, as batches of square windows.

What comes in which batch, and every random number used on it, follows from (seed, epoch, index) alone: the
same for any number of workers and machines, and any step can be taken up again. Photos are looked through
once; corrupt and near-grey ones are left out and counted. What fits is then held decoded on the training
device.
"""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from vintage_colorizer.datasets import Source
from vintage_colorizer.errors import InputError, UnreadableError
from vintage_colorizer.evaluate.metrics import colorfulness
from vintage_colorizer.training.recipe import Data

log = logging.getLogger("vintage_colorizer")
LONGEST = 2  # a photo's longer side is held up to this many times the shorter one, its middle
SURVEY_SIDE = 64  # pixels of the shorter side on which colorfulness is judged
READ_THREADS = 8


def decode(encoded: bytes, side: int) -> NDArray[np.uint8]:
    """Decode a picture to RGB uint8 [H, W, 3], shorter side `side`, upright, at most LONGEST times as long.

    Raises whatever Pillow raises on bytes that are no picture; `broken` lists it.
    """
    with Image.open(io.BytesIO(encoded)) as opened:
        opened.draft("RGB", (2 * side, 2 * side))
        image = ImageOps.exif_transpose(opened).convert("RGB")
    width, height = image.size
    scale = side / min(width, height)
    size = max(side, round(width * scale)), max(side, round(height * scale))
    if size != image.size:
        image = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0)
    pixels = np.asarray(image)
    top, left = (max(0, length - LONGEST * side) // 2 for length in pixels.shape[:2])
    return pixels[top : top + LONGEST * side, left : left + LONGEST * side]


broken = (
    OSError,
    ValueError,
    SyntaxError,
    EOFError,
    Image.DecompressionBombError,
    Image.DecompressionBombWarning,
)


@dataclass(frozen=True)
class Survey:
    """What a look through all photos found."""

    usable: NDArray[np.int64]  # numbers in the source
    corrupt: int
    grey: int


def survey(source: Source, min_colorfulness: float, cache: Path | None = None) -> Survey:
    """Look at every photo once; `cache` keeps the outcome for the next time.

    InputError if nothing usable is left.
    """
    print_of = hashlib.sha256(f"{min_colorfulness} {len(source)}".encode())
    for number in range(len(source)):
        print_of.update(source.label(number).encode())
    fingerprint = print_of.hexdigest()
    verdicts = _cached(cache, fingerprint)
    if verdicts is None:
        with ThreadPoolExecutor(READ_THREADS) as pool:
            found = pool.map(lambda number: _verdict(source, number, min_colorfulness), range(len(source)))
            verdicts = np.fromiter(found, np.int8, len(source))
        if cache is not None:
            np.savez(cache, verdicts=verdicts, fingerprint=fingerprint)
    corrupt, grey = (int((verdicts == code).sum()) for code in (1, 2))
    log.info("%d photos; left out: %d corrupt, %d near grey", len(source) - corrupt - grey, corrupt, grey)
    if corrupt + grey == len(source):
        raise InputError(f"None of the {len(source)} pictures can teach color: {corrupt} corrupt, {grey} near grey.")
    return Survey(np.flatnonzero(verdicts == 0), corrupt, grey)


def _verdict(source: Source, number: int, min_colorfulness: float) -> int:
    """0 usable, 1 corrupt, 2 near grey."""
    try:
        pixels = decode(source.read(number), SURVEY_SIDE)
    except broken as error:
        log.debug("%s left out: %s", source.label(number), error)
        return 1
    return 0 if colorfulness(pixels) >= min_colorfulness else 2


def _cached(cache: Path | None, fingerprint: str) -> NDArray[np.int8] | None:
    if cache is None or not cache.exists():
        return None
    with np.load(cache) as kept:
        return kept["verdicts"] if str(kept["fingerprint"]) == fingerprint else None


def shuffled(numbers: NDArray[np.int64], seed: int, epoch: int) -> NDArray[np.int64]:
    """`numbers` in the order of one epoch."""
    return np.random.default_rng([seed, epoch]).permutation(numbers)


def draw(seed: int, epochs: NDArray[np.int64], numbers: NDArray[np.int64], count: int) -> NDArray[np.float32]:
    """`count` uniform numbers in 0..1 for every photo, [len(numbers), count], from (seed, epoch, number).

    A counter run through the SplitMix64 finalizer (Steele et al., 2014), so that no state is carried along.
    """
    with np.errstate(over="ignore"):
        stream = _mixed(_mixed(np.uint64(seed) + np.uint64(1)) + epochs.astype(np.uint64))
        photo = _mixed(stream + numbers.astype(np.uint64))[:, None]
        bits = _mixed(photo + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    uniform: NDArray[np.float32] = ((bits >> np.uint64(40)).astype(np.float32) + 0.5) / np.float32(2**24)
    return uniform


def _mixed(x: Any) -> Any:
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


class Windows(Protocol):
    """Square uint8 windows [N, 3, side, side] of photos; `places` 0..1 say where along the longer side."""

    def stream(self, wanted: Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]) -> Iterator[Tensor]:
        """One window batch for each (numbers, places) of `wanted`."""


class Held:
    """Photos decoded once and held, one after the other, in one tensor on the training device."""

    def __init__(self, source: Source, numbers: NDArray[np.int64], side: int, device: torch.device) -> None:
        """Decode `numbers` of `source`."""
        with ThreadPoolExecutor(READ_THREADS) as pool:
            photos = list(pool.map(lambda number: decode(source.read(int(number)), side), numbers))
        self.side = side
        self.row = {int(number): row for row, number in enumerate(numbers)}
        self.sizes = np.array([photo.shape[:2] for photo in photos])
        self.starts = np.cumsum([0, *(photo.shape[0] * photo.shape[1] for photo in photos)])
        pixels = torch.empty(int(self.starts[-1]), 3, dtype=torch.uint8)
        for row in range(len(photos)):
            pixels[self.starts[row] : self.starts[row + 1]] = torch.from_numpy(photos[row].reshape(-1, 3).copy())
            photos[row] = np.empty((0, 0, 3), np.uint8)  # frees the copy, so that the set is never in memory twice
        self.pixels = pixels.to(device)

    def stream(self, wanted: Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]) -> Iterator[Tensor]:
        """Cut windows out of the held photos, on their device."""
        steps = torch.arange(self.side, device=self.pixels.device)
        for numbers, places in wanted:
            rows = np.array([self.row[int(number)] for number in numbers])
            heights, widths = self.sizes[rows].T
            corners = self.starts[rows] + corner(heights, self.side, places) * widths
            corners += corner(widths, self.side, places)
            corner_of, width_of = (
                torch.from_numpy(np.ascontiguousarray(column)).to(self.pixels.device).view(-1, 1, 1)
                for column in (corners, widths)
            )
            index = corner_of + steps.view(1, -1, 1) * width_of + steps.view(1, 1, -1)
            yield self.pixels[index].permute(0, 3, 1, 2)


class Streamed:
    """Photos read and decoded again every time, by worker processes ahead of the training."""

    def __init__(self, source: Source, side: int, workers: int, device: torch.device) -> None:
        """Read from `source` with `workers` processes (0: none, in this one)."""
        self.source, self.side, self.workers, self.device = source, side, workers, device

    def __getitem__(self, wanted: tuple[NDArray[np.int64], NDArray[np.float32]]) -> Tensor:
        """One batch of windows."""
        return torch.from_numpy(np.stack([self._window(*photo) for photo in zip(*wanted, strict=True)]))

    def stream(self, wanted: Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]) -> Iterator[Tensor]:
        """Read windows ahead, in order."""
        loader: Any = torch.utils.data.DataLoader(
            self,  # type: ignore[arg-type]
            batch_size=None,
            sampler=_Once(wanted),
            num_workers=self.workers,
            pin_memory=self.device.type == "cuda",
        )
        for window in loader:
            yield window.to(self.device, non_blocking=True)

    def _window(self, number: np.int64, place: np.float32) -> NDArray[np.uint8]:
        try:
            photo = decode(self.source.read(int(number)), self.side)
        except broken as error:
            raise UnreadableError(f"{self.source.label(int(number))} went bad during training: {error}.") from None
        top, left = (int(corner(np.array([s]), self.side, np.array([place]))[0]) for s in photo.shape[:2])
        return np.moveaxis(photo[top : top + self.side, left : left + self.side], -1, 0)


class _Once(torch.utils.data.Sampler[Any]):
    """A sampler that passes on what an iterator gives."""

    def __init__(self, wanted: Iterator[Any]) -> None:
        self.wanted = wanted

    def __iter__(self) -> Iterator[Any]:
        return self.wanted


def corner(lengths: NDArray[Any], side: int, places: NDArray[np.float32]) -> NDArray[np.int64]:
    """Where a window of `side` begins on `lengths` when `places` 0..1 are drawn for it."""
    chosen: NDArray[np.int64] = np.floor(places * (lengths - side + 1)).astype(np.int64)
    return chosen


def hold(source: Source, numbers: NDArray[np.int64], side: int, data: Data, device: torch.device) -> Windows:
    """Photos ready to be cut at `side`: held on `device` if they fit in `data.memory_gb`, else streamed."""
    sample = list(islice(iter(numbers), 32))
    mean = np.mean([decode(source.read(int(number)), side).size for number in sample])
    if mean * len(numbers) <= data.memory_gb * 2**30:
        return Held(source, numbers, side, device)
    return Streamed(source, side, data.workers, device)
