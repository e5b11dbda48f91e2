"""Which colors a network holds likely at a place, how sure it is, and where it would help most to be told one.

A network that takes hints gives each cell of a picture a posterior over colors. Its modes are the suggestions for a
place; where its entropy is high over a whole object, a hint says most. How often the color of a cell is right at an
entropy was measured (research/calibrate_certainty.py): that is its certainty.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from vintage_colorizer import color
from vintage_colorizer.color import Floats
from vintage_colorizer.errors import OptionError
from vintage_colorizer.hints import Hint, place_of
from vintage_colorizer.networks.engines import Engine
from vintage_colorizer.networks.inference import ask_posterior, entropy_of

MOST_COLORS = 5
LEAST_SHARE = 0.03  # of a color that is suggested
SAME_COLOR = 16.0  # distance in Lab a, b of what counts as one color
MOST_PLACES = 8
APART = 0.15  # of the longer side, between places
SAME_LIGHT = 0.1  # difference of luma up to which a neighbor is taken to be of the same thing
SAME_THING = 0.35  # of the longer side: how far what is as bright is taken to be of the same thing
# Of the embedded network: at this entropy, in parts of the greatest there can be, this share of cells is within
# CIEDE2000 10 of the truth. Measured on photos it never saw; see docs/explanation/evaluation.md.
ENTROPIES = (0.21, 0.368, 0.426, 0.458, 0.483, 0.505, 0.527, 0.551, 0.58, 0.634)
RIGHT = (0.956, 0.783, 0.754, 0.727, 0.696, 0.643, 0.601, 0.577, 0.527, 0.391)
BLUR = 0.04  # of the longer side: single cells that are unsure say little


@dataclass(frozen=True)
class Suggestion:
    """A color that is likely at a place."""

    color: str  # #rrggbb, at the luma of the place
    share: float  # 0..1, how likely it is


@dataclass(frozen=True)
class Place:
    """A place of a picture, as in `Hint`, and what is likely there, the likeliest first."""

    x: float
    y: float
    colors: tuple[Suggestion, ...]


@dataclass(frozen=True)
class Likely:
    """What a network holds likely all over a picture."""

    posterior: Floats  # bins x h x w
    luma: Floats  # h x w
    bins: Floats  # bins x 2: Lab a and b

    @classmethod
    def of(cls, engine: Engine, luma: Floats, hints: Sequence[Hint]) -> Likely:
        """Ask a network about small luma of its working size.

        Raises:
            OptionError: it does not say how likely colors are.
            EngineError: it failed.
        """
        posterior = ask_posterior(engine, luma, hints)
        small = cv2.resize(luma, posterior.shape[:0:-1], interpolation=cv2.INTER_AREA)
        return cls(posterior, np.asarray(small, np.float32), np.array(engine.info.bins, np.float32))

    @property
    def entropy(self) -> Floats:
        """Of the posterior, h x w; see `entropy_of`."""
        return entropy_of(self.posterior)

    @property
    def certainty(self) -> Floats:
        """How often a color guessed as surely as this one is right, within CIEDE2000 10 of the truth: h x w, 0..1."""
        return certainty_of(self.entropy)

    def places(self, x: float | None, y: float | None) -> list[Place]:
        """The place asked for, or those where a hint would help most.

        Raises:
            OptionError: the place lies outside the picture, or is half a place.
        """
        if x is None and y is None:
            return self.unsure()
        if x is None or y is None:
            raise OptionError("A place needs both x and y.")
        return [self.at(x, y)]

    def at(self, x: float, y: float) -> Place:
        """The likeliest colors of a place."""
        cells = place_of(Hint(x, y, "none"), *self.luma.shape)
        left = self.posterior[:, cells].mean(axis=1)
        luma = float(self.luma[cells].mean())
        found: list[Suggestion] = []
        for _ in range(MOST_COLORS):
            best = _fullest(self.bins, left)
            near = np.hypot(*(self.bins - best).T) < SAME_COLOR
            share = float(left[near].sum())
            if share < LEAST_SHARE:
                break
            found.append(Suggestion(_swatch(np.average(self.bins[near], axis=0, weights=left[near]), luma), share))
            left = np.where(near, 0, left)
        return Place(x, y, tuple(sorted(_distinct(found), key=lambda one: -one.share)))

    def unsure(self) -> list[Place]:
        """Up to `MOST_PLACES` places at which a hint would help most, the most helpful first."""
        height, width = self.luma.shape
        longer = max(height, width)
        doubt = cv2.GaussianBlur(self.entropy, (0, 0), BLUR * longer)
        rows, columns = np.mgrid[:height, :width]
        places = []
        for _ in range(MOST_PLACES):
            row, column = np.unravel_index(int(np.argmax(doubt)), doubt.shape)
            if doubt[row, column] <= 0:
                break
            places.append(self.at((column + 0.5) / width, (row + 0.5) / height))
            away = np.hypot(rows - row, columns - column) / longer
            unlike = (self.luma - self.luma[row, column]) / SAME_LIGHT
            same_thing = np.exp(-(unlike**2 + (away / SAME_THING) ** 2) / 2)
            doubt = np.where(away < APART, 0, doubt * (1 - same_thing))
        return places


def certainty_of(entropy: Floats) -> Floats:
    """How often a color guessed at such entropies of the embedded network is right; see `Likely.certainty`."""
    return np.asarray(np.interp(entropy, ENTROPIES, RIGHT), np.float32)


def _fullest(bins: Floats, left: Floats) -> Floats:
    """The color with most of what is left near it."""
    near = np.hypot(*np.moveaxis(bins[:, None] - bins[None], -1, 0)) < SAME_COLOR / 2
    return np.asarray(bins[int(np.argmax(near @ left))])


def _swatch(ab: Floats, luma: float) -> str:
    """The color with this a and b of Lab, as it looks where the picture has this luma."""
    grey = np.full((1, 1, 3), luma, np.float32)
    lab = cv2.cvtColor(grey, cv2.COLOR_RGB2LAB)
    lab[0, 0, 1:] = ab
    wanted = np.clip(cv2.cvtColor(lab, cv2.COLOR_LAB2RGB), 0, 1)
    shown = color.merge(grey[..., 0], color.chroma_of(wanted))
    return "#" + color.eight_bit(shown).tobytes().hex()


def _distinct(found: list[Suggestion]) -> list[Suggestion]:
    """Without colors that look the same where the luma can hold little color; their shares go to the likelier one."""
    shares: dict[str, float] = {}
    for one in found:
        shares[one.color] = shares.get(one.color, 0) + one.share
    return [Suggestion(name, share) for name, share in shares.items()]
