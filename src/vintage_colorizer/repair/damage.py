"""Making damage: scratches, hairs, dust, cracks, creases, rimmed spots and fading, on one photo at a time.

`DAMAGES` lists what can be repaired: a task is a function that takes luma and returns what to show and what to say.

Each kind is drawn as a cover in 0..1 at twice the size and brought down, so that it has soft edges as a scanner sees
them. Counts follow what studies of scanned film found on empty frames: much dust, few long marks (Ivanova et al.,
"Simulating analogue film damage to analyse and improve artefact restoration on high-resolution scans", 2023). Some
photos are left clean but get wires, whiskers, letters, stars or snow: thin things that belong to a picture.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from vintage_colorizer.repair.filling import grown, inpainted

Plane = NDArray[np.float32]
VISIBLE = 0.1  # of luma: what is changed by less is not called damaged
FINER = 2  # covers are drawn so many times larger
CLEAN = 0.4  # share of photos without damage
HARD = 0.8  # share of these with thin things that belong there


def damaged(luma: Plane, random: Generator, clean_share: float = CLEAN) -> tuple[Plane, Plane]:
    """Damage a photo, or leave it clean.

    Args:
        luma: H x W, 0..1.
        random: every number is drawn from it.
        clean_share: how often a photo is left clean.

    Returns:
        The photo as it is found, and where it is damaged, 0 or 1, both H x W.
    """
    _, found, mask = _damaged(luma, random, clean_share)
    return found, mask


def _damaged(luma: Plane, random: Generator, clean_share: float) -> tuple[Plane, Plane, Plane]:
    """As `damaged`, and before both the photo without damage, as sharp as it is found but without its grain."""
    clean = found = luma
    if random.random() >= clean_share:
        for _ in range(1 + random.poisson(1.5)):
            found = _draw(found, _pick(random, KINDS), random, strength=(0.4, 1.0))
    elif random.random() < HARD:
        clean = found = _draw(luma, _pick(random, THINGS), random, strength=(0.3, 1.0))
    softness = random.uniform(0.0, 0.9)
    clean, found = (_softened(plane, softness) for plane in (clean, found))
    mask = (np.abs(found - clean) > VISIBLE).astype(np.float32)
    grain = random.normal(0, random.uniform(0, 0.02), luma.shape).astype(np.float32)
    return clean, np.clip(found + grain, 0, 1), mask


def _pick(random: Generator, kinds: dict[str, tuple[float, Kind]]) -> Kind:
    """One of `kinds`, each as often as it weighs."""
    weights = np.array([weight for weight, _ in kinds.values()])
    return list(kinds.values())[random.choice(len(weights), p=weights / weights.sum())][1]


def _draw(luma: Plane, kind: Kind, random: Generator, strength: tuple[float, float]) -> Plane:
    """Draw one kind over a photo, white more often than black."""
    height, width = luma.shape
    canvas = np.zeros((height * FINER, width * FINER), np.uint8)
    kind(canvas, random)
    cover = cv2.resize(canvas, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    tone = random.uniform(0.75, 1.0) if random.random() < 0.7 else random.uniform(0.0, 0.2)
    return np.asarray(luma + (tone - luma) * cover * random.uniform(*strength), np.float32)


def _softened(plane: Plane, sigma: float) -> Plane:
    return plane if sigma < 0.2 else np.asarray(cv2.GaussianBlur(plane, (0, 0), sigma), np.float32)


# ---- Damage ------------------------------------------------------------------------------------------------------


def _place(canvas: NDArray[np.uint8], random: Generator) -> NDArray[np.float64]:
    """A point (x, y), now and then a little outside."""
    height, width = canvas.shape
    return np.array([random.uniform(-0.1, 1.1) * width, random.uniform(-0.1, 1.1) * height])


def _stroke(
    canvas: NDArray[np.uint8], points: NDArray[np.float64], widths: NDArray[np.float64], value: int = 255
) -> None:
    """A line through points, as wide between two as the first of them says."""
    whole = np.round(points * 8).astype(np.int32)  # three bits of a pixel's fraction
    for first, second, width in zip(whole[:-1], whole[1:], widths, strict=False):
        cv2.line(canvas, first.tolist(), second.tolist(), value, max(1, round(width)), cv2.LINE_AA, 3)


def _walk(
    start: NDArray[np.float64],
    angle: float,
    steps: int,
    length: float,
    turn: float,
    random: Generator,
    wind: float = 0.0,
) -> NDArray[np.float64]:
    """Points of a path that turns by `turn` radians a step, and by `wind` always the same way."""
    angles = angle + np.cumsum(random.normal(wind, turn, steps))
    moves = np.stack([np.cos(angles), np.sin(angles)], axis=1) * length
    return np.vstack([start, start + np.cumsum(moves, axis=0)])


def _scratches(canvas: NDArray[np.uint8], random: Generator) -> None:
    """Thin, nearly straight, often broken; many of them run along a film."""
    upright = random.random() < 0.5
    for _ in range(1 + random.poisson(2)):
        angle = np.pi / 2 + random.normal(0, 0.03) if upright else random.uniform(0, 2 * np.pi)
        steps = int(random.integers(8, 60))
        points = _walk(_place(canvas, random), angle, steps, random.uniform(2, 12), 0.02 if upright else 0.06, random)
        kept = random.random(steps) < random.choice([1.0, 0.9, 0.6])
        widths = np.full(steps, random.uniform(1, 3.5))
        for index in np.flatnonzero(kept):
            _stroke(canvas, points[index : index + 2], widths[index:])


def _hairs(canvas: NDArray[np.uint8], random: Generator) -> None:
    """Curled threads of even width."""
    for _ in range(1 + random.poisson(0.7)):
        steps = int(random.integers(10, 50))
        wind = random.normal(0, 0.08)
        points = _walk(
            _place(canvas, random), random.uniform(0, 2 * np.pi), steps, random.uniform(2, 6), 0.15, random, wind
        )
        _stroke(canvas, points, np.full(steps, random.uniform(1.5, 4)))


def _cracks(canvas: NDArray[np.uint8], random: Generator) -> None:
    """Jagged, of uneven width, with branches: where the layer has come off."""
    start, angle = _place(canvas, random), random.uniform(0, 2 * np.pi)
    for _ in range(1 + random.poisson(1)):
        steps = int(random.integers(6, 30))
        points = _walk(start, angle, steps, random.uniform(3, 10), 0.35, random)
        widths = random.uniform(1, 3) * np.exp(random.normal(0, 0.5, steps))
        widths[random.random(steps) < 0.1] *= 3
        _stroke(canvas, points, np.minimum(widths, 14))
        start, angle = points[random.integers(len(points))], angle + random.normal(0, 1)


def _dust(canvas: NDArray[np.uint8], random: Generator) -> None:
    """Specks: small blots of any shape."""
    for _ in range(1 + random.poisson(random.choice([3, 12, 30]))):
        radius = min(12.0, random.lognormal(0.7, 0.6))
        _blot(canvas, _place(canvas, random), radius, random)


def _blot(
    canvas: NDArray[np.uint8], middle: NDArray[np.float64], radius: float, random: Generator, value: int = 255
) -> None:
    corners = int(random.integers(5, 12))
    angles = np.sort(random.uniform(0, 2 * np.pi, corners))
    reach = radius * random.uniform(0.5, 1.4, corners)
    stretch = np.array([1.0, random.uniform(0.4, 1.0)])
    points = middle + np.stack([np.cos(angles), np.sin(angles)], axis=1) * reach[:, None] * stretch
    cv2.fillPoly(canvas, [np.round(points * 8).astype(np.int32)], value, cv2.LINE_AA, 3)


def _crease(canvas: NDArray[np.uint8], random: Generator) -> None:
    """A fold from edge to edge, whose layer has broken off in places."""
    height, width = canvas.shape
    angle = random.choice([0.0, np.pi / 2]) + random.normal(0, 0.3)
    middle = np.array([random.uniform(0.1, 0.9) * width, random.uniform(0.1, 0.9) * height])
    reach = 1.5 * max(height, width)
    start = middle - reach / 2 * np.array([np.cos(angle), np.sin(angle)])
    points = _walk(start, angle, 120, reach / 120, 0.02, random)
    widths = np.clip(random.lognormal(0.6, 0.5, 120), 1, 9)
    present = random.random(120) < random.uniform(0.5, 1)
    for index in np.flatnonzero(present):
        _stroke(canvas, points[index : index + 2], widths[index:])


def _spot(canvas: NDArray[np.uint8], random: Generator) -> None:
    """The rim that a drop leaves."""
    middle, radius = _place(canvas, random), random.uniform(6, 60)
    angles = np.linspace(0, 2 * np.pi, 60)
    waves = np.ones(60)
    for number in range(2, 6):
        waves += random.normal(0, 0.06) * np.sin(number * angles + random.uniform(0, 2 * np.pi))
    points = middle + np.stack([np.cos(angles), np.sin(angles)], axis=1) * (radius * waves)[:, None]
    _stroke(canvas, points, np.full(60, random.uniform(1, 4)))


# ---- What is thin and belongs to the picture ---------------------------------------------------------------------


def _wires(canvas: NDArray[np.uint8], random: Generator) -> None:
    """Lines from edge to edge that sag, in groups."""
    height, width = canvas.shape
    x = np.linspace(-0.1, 1.1, 30)
    slope, sag = random.normal(0, 0.3), random.uniform(-0.2, 0.2)
    top, gap, thick = random.uniform(-0.2, 1.1), random.uniform(0.03, 0.2), random.uniform(1, 4)
    for line in range(random.integers(1, 5)):
        y = top + line * gap + slope * x + sag * x * (1 - x)
        _stroke(canvas, np.stack([x * width, y * height], axis=1), np.full(30, thick))


def _whiskers(canvas: NDArray[np.uint8], random: Generator) -> None:
    """Lines that spread from one place and taper."""
    start, angle = _place(canvas, random), random.uniform(0, 2 * np.pi)
    bend = random.normal(0, 0.02)
    for _ in range(random.integers(3, 12)):
        points = _walk(start + random.normal(0, 4, 2), angle + random.normal(0, 0.3), 20, 4, 0.01, random, bend)
        _stroke(canvas, points, np.linspace(random.uniform(1.5, 3), 1, 20))


def _letters(canvas: NDArray[np.uint8], random: Generator) -> None:
    """A line of writing."""
    text = "".join(random.choice(list("ABCDEFGHIKLMNOPRSTUVWabcdefghiklmnoprstu 0123456789"), 12))
    scale = random.uniform(0.4, 2)
    at = _place(canvas, random).astype(int).tolist()
    cv2.putText(canvas, text, at, int(random.integers(0, 8)), scale, 255, int(random.integers(1, 4)), cv2.LINE_AA)


def _stars(canvas: NDArray[np.uint8], random: Generator) -> None:
    """Many round points: stars, snow, lights."""
    radius = random.uniform(1, 3.5)
    for _ in range(random.integers(10, 80)):
        at = np.round(_place(canvas, random) * 8).astype(int).tolist()
        cv2.circle(canvas, at, round(radius * random.uniform(0.6, 1.4) * 8), 255, -1, cv2.LINE_AA, 3)


def _bars(canvas: NDArray[np.uint8], random: Generator) -> None:
    """Even lines side by side: a fence, blinds, the stripes of a dress."""
    height, width = canvas.shape
    gap, thick, angle = random.uniform(6, 30), random.uniform(1, 5), random.uniform(0, np.pi)
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    middle, reach = np.array([width, height]) / 2, float(np.hypot(width, height))
    first = random.integers(-20, 10)
    for line in range(first, first + random.integers(4, 30)):
        at = middle + across * gap * line
        _stroke(canvas, np.stack([at - along * reach, at + along * reach]), np.array([thick]))


Kind = Callable[[NDArray[np.uint8], Generator], None]
KINDS: dict[str, tuple[float, Kind]] = {
    "scratches": (3, _scratches),
    "hairs": (1.5, _hairs),
    "cracks": (2.5, _cracks),
    "dust": (3, _dust),
    "crease": (1, _crease),
    "spot": (0.5, _spot),
}
THINGS: dict[str, tuple[float, Kind]] = {
    "wires": (2, _wires),
    "whiskers": (2, _whiskers),
    "letters": (2, _letters),
    "stars": (1.5, _stars),
    "bars": (2, _bars),
}


# ---- Fading ------------------------------------------------------------------------------------------------------


def faded(luma: Plane, random: Generator, clean_share: float = CLEAN) -> tuple[Plane, Plane]:
    """Fade a photo, or leave it as it is: tones lose their range and shape, light falls off, a veil lies over a part.

    Args:
        luma: H x W, 0..1.
        random: every number is drawn from it.
        clean_share: how often a photo is left as it is.

    Returns:
        The photo as it is found, and as it was, both H x W, 0..1.
    """
    if random.random() < clean_share:
        return luma, luma
    y, x = np.meshgrid(*(np.linspace(-1, 1, side) for side in luma.shape), indexing="ij")
    found = luma.astype(np.float64) ** np.exp(random.normal(0, 0.2))
    black, white = random.uniform(0, 0.4), random.uniform(0.5, 1)
    found = black + (max(white, black + 0.2) - black) * found
    if random.random() < 0.5:
        away = (x - random.uniform(-0.3, 0.3)) ** 2 + (y - random.uniform(-0.3, 0.3)) ** 2
        found *= 1 - random.uniform(0.05, 0.5) * away / 2
    if random.random() < 0.4:  # one side has faded more
        angle, much = random.uniform(0, 2 * np.pi), random.uniform(0, 0.35)
        found *= np.exp(much * (x * np.cos(angle) + y * np.sin(angle)))
    return np.clip(found, 0, 1).astype(np.float32), luma


# ---- Holes -------------------------------------------------------------------------------------------------------


def holed(luma: Plane, random: Generator) -> tuple[Plane, Plane]:
    """Damage a photo, and take out what is damaged. Faint edges of damage stay, as they do where a network marks it.

    Args:
        luma: H x W, 0..1.
        random: every number is drawn from it.

    Returns:
        Luma with the pieces filled simply, and where they are, 2 x H x W; and the photo without damage, H x W.
    """
    clean, found, marks = _damaged(luma, random, clean_share=0.0)
    mask = grown(marks > 0)
    return np.stack([inpainted(found, mask), mask.astype(np.float32)]), clean


DAMAGES: dict[str, Callable[[Plane, Generator], tuple[Plane, Plane]]] = {
    "defects": damaged,
    "fade": faded,
    "fill": holed,
}
