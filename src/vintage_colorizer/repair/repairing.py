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
from vintage_colorizer.repair.filling import WIDEST, WIDEST_BY_HAND, fill, fillable, grown

SHAPE_TOLERANCE = 0.05  # of sides in proportion, which are rounded in small marks


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


def repair(photo: Photo, networks: RepairNetworks, options: RepairOptions, marks: Photo | None = None) -> RepairedPhoto:
    """Repair a photo that was read, turned and cropped before.

    Args:
        photo: the photo.
        networks: that find damage, fill it and undo fading.
        options: which repairs, and which marks.
        marks: instead of the options' own: white where something is to be filled. If they have an alpha channel, only
            what is opaque counts, as white to be filled or black to be left; the rest is as the network finds it.

    Raises:
        InputError: the marks of the options cannot be read.
        OptionError: marks are of another size than the photo, or with an alpha channel, of another shape.
        WeightsError: a network's file is damaged.
        EngineError: a network failed.
    """
    pixels, notes, found = photo.pixels, list(photo.notes), list[Repair]()
    filled = np.zeros(pixels.shape[:2], bool)
    if {"scratches", "dust"} & set(options.only):
        if marks is None and options.marks is not None:
            marks = read_photo(Path(options.marks), max_megapixels=options.max_megapixels)
        kinds = _found(photo, networks, options.only) if marks is None else _marked(photo, networks, options, marks)
        marked = np.logical_or.reduce(list(kinds.values()))
        widest = WIDEST if marks is None else WIDEST_BY_HAND
        filled = fillable(marked, widest)
        found += [kind for kind, marks in kinds.items() if (marks & filled).any()]
        pixels = fill(pixels, filled, networks) if filled.any() else pixels
        if (marked & ~filled).any():
            notes.append(f"a tear wider than {widest} pixels was left as it is")
    if "fade" in options.only:
        fading = Fading.of(pixels, networks)
        if not fading.is_slight(pixels):
            pixels = fading.apply(pixels)
            found.insert(0, "fade")
    notes.append(f"repaired: {', '.join(found)}" if found else "nothing to repair was found")
    repaired = replace(
        photo,
        pixels=pixels,
        notes=tuple(notes),
        repaired=", ".join(found) or photo.repaired,
        marks="" if marks is None else _identity(marks),
    )
    return RepairedPhoto(photo, repaired, filled, tuple(found), options)


def _found(photo: Photo, networks: RepairNetworks, repairs: Sequence[Repair]) -> dict[Repair, Mask]:
    """The damage of the wanted kinds that a network finds, grown."""
    kinds = _by_kind(find_damage(photo.pixels, networks))
    return {kind: grown(marks) for kind, marks in kinds.items() if kind in repairs}


def _marked(photo: Photo, networks: RepairNetworks, options: RepairOptions, marks: Photo) -> dict[Repair, Mask]:
    """The damage that somebody has marked, of whatever kind: all of it is to be filled."""
    size = photo.pixels.shape[:2]
    given = np.asarray(color.luma(marks.pixels) > 0.5)
    if marks.alpha is None:
        _require_size(given.shape == size, options, size)
        return _by_kind(given)
    tall, wide = (own / other for own, other in zip(given.shape, size, strict=True))
    _require_size(abs(tall / wide - 1) < SHAPE_TOLERANCE, options, size)
    known = marks.alpha > color.full_scale(marks.alpha.dtype) / 2
    given, known = (
        cv2.resize(plane.astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST) > 0 for plane in (given, known)
    )
    found = fillable(np.logical_or.reduce(list(_found(photo, networks, options.only).values())))
    return _by_kind(np.where(known, given, found))


def _identity(marks: Photo) -> str:
    alpha = [] if marks.alpha is None else [marks.alpha]
    return (marks.origin or Origin.of_pixels(np.dstack([marks.pixels, *alpha]))).identity


def _require_size(fits: bool, options: RepairOptions, size: tuple[int, ...]) -> None:
    if not fits:
        name = f" {readable_name(options.marks)}" if options.marks else ""
        shown = " x ".join(map(str, size[::-1]))
        raise OptionError(f"The marks{name} are of another size than the photo, {shown}; keep its size.")


def _by_kind(mask: Mask) -> dict[Repair, Mask]:
    scratches, dust = sorted_marks(mask)
    return {"scratches": scratches, "dust": dust}


def fingerprint(identity: str, options: RepairOptions) -> str:
    """What identifies a repaired photo: its source, the networks and the options that shape it."""
    shaping = options.model_dump(include={"only", "format", "quality", "strip"})
    shaping |= {name: value for name in ("rotate", "crop") if (value := getattr(options, name))}
    networks = [row.sha256 for row in catalog.REPAIRS.values()]
    marks = None if options.marks is None else Origin.of_file(Path(options.marks)).identity
    digest = hashlib.sha256(json.dumps([identity, networks, shaping, marks], sort_keys=True).encode()).hexdigest()
    return REPAIRED + digest[:32]
