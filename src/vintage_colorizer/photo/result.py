"""A colored photo: its pixels when asked for, its fingerprint, and how it is saved."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from vintage_colorizer import color
from vintage_colorizer.color import Floats, Pixels, eight_bit
from vintage_colorizer.hints import as_hints, obeyed
from vintage_colorizer.networks import catalog
from vintage_colorizer.networks.catalog import REPAIRS, LookSettings
from vintage_colorizer.networks.engines import NetworkInfo
from vintage_colorizer.networks.inference import LITTLE_COLOR, LITTLE_COLOR_NOTE
from vintage_colorizer.networks.suggestions import certainty_of
from vintage_colorizer.options import Look, PhotoOptions, PhotoSettings
from vintage_colorizer.photo.picture import Origin, Photo
from vintage_colorizer.photo.saving import Saved
from vintage_colorizer.photo.writing import write_photo
from vintage_colorizer.photo.xmp import Disclosure

ONE_HUE = 0.995  # share of all chroma within 15 degrees of one hue; 1 in 70 true photos has more


@dataclass(frozen=True)
class ColorizedPhoto(Saved):
    """A photo and the chroma proposed for it; pixels are made when asked for.

    `adjust` is instant: the network's answer is kept as it came.
    """

    photo: Photo
    chroma: Floats  # h x w x 2, small, as the network gave it
    luma: Floats  # h x w, of the same size
    options: PhotoOptions
    look: Look
    settings: LookSettings
    network: NetworkInfo
    render_factor: int
    notes: tuple[str, ...]
    reference: str = ""  # the identity of the picture whose colors were followed
    entropy: Floats | None = None  # h x w: how unsure the network was; None if it did not say

    @cached_property
    def origin(self) -> Origin:
        """Where the photo came from."""
        return self.photo.origin or Origin.of_pixels(self.photo.pixels)

    @property
    def final_chroma(self) -> Floats:
        """Small chroma after saturation and warmth, in which every hint has its color."""
        saturation = self.options.saturation * self.settings.saturation
        adjusted = color.adjust(self.chroma, self.luma, saturation, self.options.warmth)
        return obeyed(adjusted, self.luma, as_hints(self.options.hints))

    @property
    def pixels(self) -> Pixels:
        """The colored picture, H x W x 3 RGB, of the source's own depth."""
        threads = self.options.threads or os.cpu_count() or 1
        return color.merge(self.photo.pixels, self.final_chroma, threads)

    @property
    def image(self) -> Image.Image:
        """The colored picture as an 8-bit RGB Pillow image, without the alpha channel."""
        return Image.fromarray(eight_bit(self.pixels))

    @property
    def strength(self) -> float:
        """Mean chroma of the result, 0 (grey) to about 0.6."""
        return color.strength(self.final_chroma)

    @property
    def certainty(self) -> float | None:
        """How much of what the embedded network proposed is likely near the truth, 0..1; None for other networks.

        It is the mean of the calibrated map of `Colorizer.certainty`, before hints and references.
        """
        if self.entropy is None or self.network.sha256 != catalog.NETWORKS["compact"].sha256:
            return None
        return float(certainty_of(self.entropy).mean())

    @property
    def warnings(self) -> tuple[str, ...]:
        """Notes from reading and coloring, and what makes the result doubtful."""
        chroma = self.final_chroma
        doubts = []
        if color.strength(chroma) < LITTLE_COLOR:
            doubts.append(LITTLE_COLOR_NOTE)
        elif color.hue_share(chroma) > ONE_HUE:
            doubts.append("one hue covers nearly everything: try another render factor")
        return (*self.photo.notes, *self.notes, *doubts)

    @property
    def fingerprint(self) -> str:
        """What identifies this result: source, network and the options that shape it."""
        identity = self.origin.identity + self.photo.marks
        return fingerprint(identity, self.options, self.look, self.settings, self.network, self.reference)

    def adjust(self, *, saturation: float | None = None, warmth: float | None = None) -> ColorizedPhoto:
        """Return a copy with another saturation or warmth, without asking the network again."""
        given = {"saturation": saturation, "warmth": warmth}
        options = self.options.replace(**{name: value for name, value in given.items() if value is not None})
        return dataclasses.replace(self, options=options)

    @property
    def wanted_format(self) -> str | None:
        """The format asked for in the options, if any is."""
        return self.options.format

    def encode(self, target: Path | BinaryIO, format: str) -> None:
        """Write the picture in a format that holds it; see `write`."""
        pixels = self.pixels
        if self.options.mark:
            from vintage_colorizer.photo.writing import add_mark

            add_mark(pixels)
        write_photo(
            target,
            pixels,
            self.photo,
            format=format,
            quality=self.options.quality,
            strip=self.options.strip,
            disclosure=Disclosure(
                self.fingerprint,
                look=self.look,
                network=self.network.name,
                hints="; ".join(self.options.hints),
                repaired=self.photo.repaired,
            ),
        )


def fingerprint(
    identity: str, options: PhotoOptions, look: str, settings: LookSettings, network: NetworkInfo, reference: str
) -> str:
    """32 hexadecimal digits that change when the source, the network or an option that shapes the picture does.

    `reference` is the identity of the picture whose colors are followed, or empty.
    """
    shaping = options.model_dump(include=PhotoSettings.model_fields.keys() - {"look"})
    for later in ("hints", "repair", "rotate", "crop"):  # results without any are those of versions that had none
        if not shaping[later]:
            del shaping[later]
    parts: list[object] = [identity, look, dataclasses.asdict(settings), network.sha256, shaping]
    if reference:
        parts.append(reference)
    if options.repair:
        parts += [row.sha256 for row in REPAIRS.values()]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
