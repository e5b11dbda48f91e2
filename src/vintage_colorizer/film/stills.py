"""Stills: frames of a film that somebody has colored right, and that guide the shots they are of.

A still is kept in the plan as small as a network sees it, so that every segment, on any machine, is guided by the same.
"""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from pydantic import Base64Bytes

from vintage_colorizer import color
from vintage_colorizer.clock import as_seconds
from vintage_colorizer.color import Floats, Pixels
from vintage_colorizer.errors import OptionError, UnreadableError
from vintage_colorizer.files import identity, readable_name
from vintage_colorizer.film.scenes import SAME_SCENE, described_frame
from vintage_colorizer.networks.engines import Engine
from vintage_colorizer.networks.guides import Guide, moved_together, small_chroma
from vintage_colorizer.networks.inference import LITTLE_COLOR, propose_batch, small_luma

SHAPE_TOLERANCE = 0.02  # by which a still's sides may be in another proportion than the film's


@dataclass(frozen=True)
class Keyframe:
    """A still and its time, as the options say them: TIME=FILE."""

    seconds: float
    path: Path

    @classmethod
    def parse(cls, text: str) -> Keyframe:
        """Read `12.5=still.png` or `0:01:30=still.png`; OptionError if it is not that."""
        time, equals, name = text.partition("=")
        seconds = as_seconds(time)
        try:
            if not equals or not name or float(seconds) < 0:
                raise ValueError
        except (TypeError, ValueError):
            raise OptionError(f"{text!r} is no keyframe; say a time and a picture, such as 0:12=still.png.") from None
        return cls(float(seconds), Path(name))

    @property
    def identity(self) -> str:
        """What changes when the keyframe does; UnreadableError if the picture is not there."""
        try:
            return f"{self.seconds}:{identity(self.path)}"
        except OSError as error:
            raise UnreadableError(f"cannot be read ({error.strerror}); check the name.", self.path) from error

    def read(self, height: int, width: int) -> Pixels:
        """The picture, RGB uint8, upright.

        Args:
            height: of the film as it is shown.
            width: of the film as it is shown.

        Raises:
            UnreadableError: it cannot be read.
            OptionError: it has another shape than the film, or no color.
        """
        try:
            with Image.open(self.path) as image:
                pixels = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise UnreadableError("cannot be read as a picture; save the still as PNG or JPEG.", self.path) from error
        shape = pixels.shape[1] / pixels.shape[0] / (width / height)
        if abs(shape - 1) > SHAPE_TOLERANCE:
            raise OptionError(f"The still {readable_name(self.path)} has another shape than the film; do not crop it.")
        if color.strength(small_chroma(pixels, 64, 64)) < LITTLE_COLOR:
            raise OptionError(f"The still {readable_name(self.path)} has no color to follow; color it first.")
        return np.asarray(pixels, np.uint8)


@dataclass(frozen=True)
class Still:
    """A keyframe as a plan holds it."""

    frame: int  # its index in the film
    shots: tuple[int, ...]  # places, in the plan's list, of the shots that it guides
    picture: Base64Bytes  # a PNG of the size at which the network sees the film
    known: bool = True  # its colors are known to be right; else the network proposed them, and they are to return

    @classmethod
    def of(
        cls, pixels: Pixels, frame: int, shots: tuple[int, ...], size: tuple[int, int], *, known: bool = True
    ) -> Still:
        """Keep a picture at `size`, (height, width)."""
        file = io.BytesIO()
        small = Image.fromarray(pixels).resize(size[::-1], Image.Resampling.BOX, reducing_gap=3.0)
        small.save(file, "PNG")
        return cls(frame, shots, file.getvalue(), known)

    @property
    def pixels(self) -> Pixels:
        """RGB uint8, small."""
        with Image.open(io.BytesIO(self.picture)) as image:
            return np.asarray(image.convert("RGB"))


class Guidance:
    """What the stills of a film teach: guides made once, followed frame by frame."""

    def __init__(
        self,
        stills: Sequence[Still],
        shots: Sequence[int],
        engine: Engine,
        describer: Engine,
        vividness: float | None,
    ) -> None:
        """`engine` colors the film at `vividness`, `describer` describes places; `shots` are their first frames."""
        self._shots, self._describer = shots, describer
        self._guides = [(still, self._guide(still, engine, vividness)) for still in stills]

    def followed(self, index: int, luma: Floats, chroma: Floats) -> Floats:
        """The chroma of frame `index`, whose small luma is H x W, as the stills of its shot want it."""
        shot = bisect_right(self._shots, index) - 1
        guides = [(still, guide) for still, guide in self._guides if shot in still.shots]
        if not guides:
            return chroma
        described = described_frame(self._describer, luma)
        # Of several stills, each counts the more the nearer it is in time: exactly its own at its own frame.
        weights = np.array([1 / (abs(index - still.frame) + 0.01) for still, _ in guides])
        results = [guide.followed(chroma, described, same_scene=True)[0] for _, guide in guides]
        return np.asarray(np.average(results, axis=0, weights=weights), np.float32)

    def shows(self, luma: Floats) -> list[int]:
        """The places of the stills, in their list, whose scene a frame shows."""
        described = described_frame(self._describer, luma)
        return [
            place
            for place, (_, guide) in enumerate(self._guides)
            if moved_together(described, guide.described) >= SAME_SCENE
        ]

    def _guide(self, still: Still, engine: Engine, vividness: float | None) -> Guide:
        luma = small_luma(still.pixels, *still.pixels.shape[:2])
        described = described_frame(self._describer, luma)
        chroma = small_chroma(still.pixels, *described.features.shape[:2])
        return Guide.of(described, chroma, propose_batch(engine, luma[None], vividness)[0] if still.known else None)
