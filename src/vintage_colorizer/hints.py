"""Hints: what somebody knows of the colors in a photo, said as places and colors.

A hint is a place in the upright picture, a color, and where it matters how large the place is and who said so. As text,
for the command line, HTTP and fingerprints: `X,Y[,RADIUS][@TIME]=COLOR[ (WHO)]`, such as `0.42,0.63=navy`,
`0.1,0.9,0.05=none (Aunt May)` or, in a film, `0.42,0.63@0:12=navy`. The color's luma does not count: a picture keeps
its own.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import ImageColor

from vintage_colorizer import color
from vintage_colorizer.clock import as_seconds
from vintage_colorizer.color import Floats
from vintage_colorizer.errors import OptionError
from vintage_colorizer.spread import spread

MOST = 500  # hints for a picture
POINT = 0.012  # of the longer side: the radius of a hint that says none
LARGEST_RADIUS = 0.5
LONGEST_NAME = 200
SEPARATORS = set(";()")  # that the name of a person cannot hold, for the sake of hints as text
TEXT = re.compile(
    r"\s*([^,=@]+),([^,=@]+)(?:,([^,=@]+))?(?:@([^=]+))?=\s*((?:rgb|rgba|hsl|hsv)\([^)]*\)|[^()]+?)\s*(?:\((.*)\))?\s*",
    re.DOTALL,
)

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Hint:
    """A place and its color.

    Args:
        x: from the left edge (0) to the right one (1) of the upright picture.
        y: from the top (0) to the bottom (1).
        color: `#rrggbb`, a name of CSS, or `none` for what has no color; kept as `#rrggbb` or `none`.
        radius: of the place, in parts of the picture's longer side; 0 for a point.
        by: who said so.
        time: in a film, in seconds; None in a photo.

    Raises:
        OptionError: the place lies outside the picture, the color is not known, or the radius or name is too large.
    """

    x: float
    y: float
    color: str
    radius: float = 0.0
    by: str = ""
    time: float | None = None

    def __post_init__(self) -> None:
        """Check everything, and bring the color into its one form."""
        if not (0 <= self.x <= 1 and 0 <= self.y <= 1):
            raise OptionError(f"The hint at {self.x:g},{self.y:g} lies outside the picture; x and y go from 0 to 1.")
        if not 0 <= self.radius <= LARGEST_RADIUS:
            raise OptionError(f"The hint's radius {self.radius:g} is not between 0 and {LARGEST_RADIUS:g}.")
        if self.time is not None and not 0 <= self.time < math.inf:
            raise OptionError(f"The hint's time {self.time:g} is not one of a film.")
        if len(self.by) > LONGEST_NAME or not self.by.isprintable() or SEPARATORS & set(self.by):
            raise OptionError(f"The name beside a hint must be a line of at most {LONGEST_NAME} letters without ; ( ).")
        object.__setattr__(self, "color", _color(self.color))

    @classmethod
    def parse(cls, text: str) -> Hint:
        """Read a hint as text, such as `0.42,0.63=navy`.

        Raises:
            OptionError: it is not one.
        """
        found = TEXT.fullmatch(text)
        try:
            if found is None:
                raise ValueError
            x, y, radius = (float(number) if number else 0.0 for number in found.groups()[:3])
            time = None if found[4] is None else float(as_seconds(found[4]))
        except ValueError:
            raise OptionError(f"{text!r} is no hint; say a place and a color, such as 0.42,0.63=navy.") from None
        return cls(x, y, found[5], radius, (found[6] or "").strip(), time)

    def __str__(self) -> str:
        """The hint as text."""
        radius = f",{_plain(self.radius)}" if self.radius else ""
        by = f" ({self.by})" if self.by else ""
        time = "" if self.time is None else f"@{_plain(self.time)}"
        return f"{_plain(self.x)},{_plain(self.y)}{radius}{time}={self.color}{by}"

    @property
    def chroma(self) -> tuple[float, float]:
        """U and V of the color."""
        if self.color == "none":
            return 0.0, 0.0
        pixel = np.array([[ImageColor.getrgb(self.color)[:3]]], dtype=np.uint8)
        u, v = color.chroma_of(pixel)[0, 0]
        return float(u), float(v)


def as_hints(given: Iterable[Hint | str] | str) -> tuple[Hint, ...]:
    """Hints given as objects or as text; in one text, semicolons separate several.

    Raises:
        OptionError: one of them is wrong, or there are too many.
    """
    parts = (given,) if isinstance(given, str) else given
    texts = (one if isinstance(one, Hint) else one.split(";") for one in parts)
    flat = [hint for one in texts for hint in ([one] if isinstance(one, Hint) else one)]
    if len(flat) > MOST:
        raise OptionError(f"There are {len(flat)} hints; a picture takes {MOST} at most.")
    return tuple(one if isinstance(one, Hint) else Hint.parse(one) for one in flat if not isinstance(one, str) or one)


def require_times(hints: Sequence[Hint], *, wanted: bool) -> None:
    """Raise OptionError unless hints have times, as in films, or have none, as in photos."""
    for hint in hints:
        if (hint.time is not None) != wanted:
            why = "says no time; write X,Y@TIME=COLOR" if wanted else "says a time, which a photo has not"
            raise OptionError(f"The hint {hint} {why}.")


def painted(hints: Sequence[Hint], luma: Floats) -> Floats:
    """What a network is told of a picture whose small luma is h x w: U and V where there is a hint, as far as the
    luma can hold them, and 1 as how sure it is; 3 x h x w.
    """
    grid = np.zeros((3, *luma.shape), np.float32)
    for hint in hints:
        place = place_of(hint, *luma.shape)
        grid[:2, place] = _target(hint, place, luma)[:, None]
        grid[2, place] = 1
    return grid


def obeyed(chroma: Floats, luma: Floats, hints: Sequence[Hint]) -> Floats:
    """Chroma in which every hint has its color, as far as the luma can hold it.

    What is missing is added at the hint's place, and to the thing that it is on: see `spread`.

    Args:
        chroma: h x w x 2, small, as it is to be merged.
        luma: h x w, of the same size.
        hints: of the picture; where two overlap, the later one counts.
    """
    if not hints:
        return chroma
    owner = np.full(luma.shape, -1)
    for index, hint in enumerate(hints):
        owner[place_of(hint, *luma.shape)] = index
    seen = [index for index in range(len(hints)) if (owner == index).any()]
    targets, missing = (np.zeros((len(hints), 2), np.float32) for _ in range(2))
    for index in seen:
        targets[index] = _target(hints[index], owner == index, luma)
        missing[index] = targets[index] - chroma[owner == index].mean(axis=0)
    result = chroma + spread(owner, missing, chroma.astype(np.float32), luma)
    result[owner >= 0] = targets[owner[owner >= 0]]
    return np.asarray(result, np.float32)


def _target(hint: Hint, place: Mask, luma: Floats) -> Floats:
    """The chroma, (U, V), that a hint can have in its place."""
    chroma = np.array([[hint.chroma]], np.float32)
    return np.asarray(color.attainable(chroma, np.full((1, 1), luma[place].mean(), np.float32))[0, 0])


def _distances(hint: Hint, height: int, width: int) -> Floats:
    """How far the middle of each cell is from a hint's place, in parts of the longer side."""
    longer = max(height, width)
    down = (np.arange(height) + 0.5 - hint.y * height) / longer
    across = (np.arange(width) + 0.5 - hint.x * width) / longer
    return np.hypot(down[:, None], across).astype(np.float32)


def place_of(hint: Hint, height: int, width: int) -> Mask:
    """The cells of a hint in a grid over the picture, one at least."""
    mask = _distances(hint, height, width) <= max(hint.radius, POINT)
    mask[min(height - 1, int(hint.y * height)), min(width - 1, int(hint.x * width))] = True
    return mask


def _color(text: str) -> str:
    try:
        name = text.strip().lower()
        if name == "none":
            return name
        red, green, blue = ImageColor.getrgb(name)[:3]
    except (ValueError, AttributeError):
        raise OptionError(f"{text!r} is no color; use #rrggbb, a name such as navy, or none for grey.") from None
    return f"#{red:02x}{green:02x}{blue:02x}"


def _plain(number: float) -> str:
    return f"{number:.6f}".rstrip("0").rstrip(".")
