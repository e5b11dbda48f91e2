"""Repairing a photo: which repairs are wanted, what was found, what came of it.

photo -> damage marked -> marks filled -> fading undone -> repaired photo, its mask, notes
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np

from vintage_colorizer import color
from vintage_colorizer.color import Pixels
from vintage_colorizer.errors import OptionError
from vintage_colorizer.files import readable_name
from vintage_colorizer.networks import catalog
from vintage_colorizer.networks.repair import RepairNetworks
from vintage_colorizer.options import Repair, RepairOptions
from vintage_colorizer.photo.picture import REPAIRED, Origin, Photo
from vintage_colorizer.photo.reading import read_photo
from vintage_colorizer.photo.saving import Saved
from vintage_colorizer.photo.writing import write_photo
from vintage_colorizer.photo.xmp import Disclosure
from vintage_colorizer.repair.defects import Mask, find_damage, sorted_marks
from vintage_colorizer.repair.fade import Fading
from vintage_colorizer.repair.filling import WIDEST, fill, fillable

GROWN = 3  # side of the square by which marks are grown: damage has soft edges


@dataclass(frozen=True)
class RepairedPhoto(Saved):
    """A photo, and the same repaired.

    mask: H x W, True where pixels were filled. found: the repairs that were made, in words.
    """

    source: Photo
    photo: Photo  # repaired
    mask: Mask
    found: tuple[Repair, ...]
    options: RepairOptions

    @cached_property
    def origin(self) -> Origin:
        """Where the photo came from."""
        return self.source.origin or Origin.of_pixels(self.source.pixels)

    @property
    def pixels(self) -> Pixels:
        """The repaired picture, H x W (grey) or H x W x 3 RGB, of the source's own depth."""
        return self.photo.pixels

    @property
    def warnings(self) -> tuple[str, ...]:
        """Notes from reading and repairing."""
        return self.photo.notes

    @property
    def fingerprint(self) -> str:
        """What identifies this result: source, networks and the options that shape it."""
        return fingerprint(self.origin.identity, self.options)

    @property
    def wanted_format(self) -> str | None:
        """The format asked for in the options, if any is."""
        return self.options.format

    def encode(self, target: Path | BinaryIO, format: str) -> None:
        """Write the picture in a format that holds it; see `write`."""
        pixels = self.pixels
        write_photo(
            target,
            pixels if pixels.ndim == 3 else np.stack([pixels] * 3, axis=-1),
            self.photo,
            format=format,
            quality=self.options.quality,
            strip=self.options.strip,
            disclosure=Disclosure(self.fingerprint, repaired=self.photo.repaired),
        )


def repair(photo: Photo, networks: RepairNetworks, options: RepairOptions) -> RepairedPhoto:
    """Repair a photo that was read before.

    Raises:
        InputError: the marks of the options cannot be read.
        OptionError: they are of another size than the photo.
        WeightsError: a network's file is damaged.
        EngineError: a network failed.
    """
    pixels, notes, found = photo.pixels, list(photo.notes), list[Repair]()
    filled = np.zeros(pixels.shape[:2], bool)
    if {"scratches", "dust"} & set(options.only):
        kinds = _found(photo, networks, options.only) if options.marks is None else _given(photo, options)
        marked = np.logical_or.reduce(list(kinds.values()))
        filled = fillable(marked)
        found += [kind for kind, marks in kinds.items() if (marks & filled).any()]
        pixels = fill(pixels, filled) if filled.any() else pixels
        if (marked & ~filled).any():
            notes.append(f"a tear wider than {WIDEST} pixels was left as it is")
    if "fade" in options.only:
        fading = Fading.of(pixels, networks)
        if not fading.is_slight(pixels):
            pixels = fading.apply(pixels)
            found.insert(0, "fade")
    notes.append(f"repaired: {', '.join(found)}" if found else "nothing to repair was found")
    repaired = replace(photo, pixels=pixels, notes=tuple(notes), repaired=", ".join(found) or photo.repaired)
    return RepairedPhoto(photo, repaired, filled, tuple(found), options)


def _found(photo: Photo, networks: RepairNetworks, repairs: Sequence[Repair]) -> dict[Repair, Mask]:
    """The damage of the wanted kinds that a network finds, grown."""
    square = np.ones((GROWN, GROWN), np.uint8)
    kinds = _by_kind(find_damage(photo.pixels, networks))
    return {
        kind: np.asarray(cv2.dilate(marks.astype(np.uint8), square), bool)
        for kind, marks in kinds.items()
        if kind in repairs
    }


def _given(photo: Photo, options: RepairOptions) -> dict[Repair, Mask]:
    """The damage that somebody has marked, of whatever kind: all of it is to be filled."""
    path = Path(options.marks or "")
    marks = read_photo(path, max_megapixels=options.max_megapixels).pixels
    if marks.shape[:2] != photo.pixels.shape[:2]:
        size = " x ".join(str(side) for side in photo.pixels.shape[1::-1])
        raise OptionError(f"The marks {readable_name(path)} are of another size than the photo, {size}; keep its size.")
    return _by_kind(np.asarray(color.luma(marks) > 0.5))


def _by_kind(mask: Mask) -> dict[Repair, Mask]:
    scratches, dust = sorted_marks(mask)
    return {"scratches": scratches, "dust": dust}


def fingerprint(identity: str, options: RepairOptions) -> str:
    """What identifies a repaired photo: its source, the networks and the options that shape it."""
    shaping = options.model_dump(include={"only", "format", "quality", "strip"})
    networks = [row.sha256 for row in catalog.REPAIRS.values()]
    marks = None if options.marks is None else Origin.of_file(Path(options.marks)).identity
    digest = hashlib.sha256(json.dumps([identity, networks, shaping, marks], sort_keys=True).encode()).hexdigest()
    return REPAIRED + digest[:32]
