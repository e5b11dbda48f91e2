"""A grey picture to try things on, where there is no photo at hand."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

WIDTH, HEIGHT = 960, 640
SEED = 7

Plane = NDArray[np.float64]


def demo_picture() -> Image.Image:
    """A grey picture: a photo out of scikit-image where that is installed, else a drawn landscape."""
    try:
        from skimage import data
    except ImportError:
        return landscape()
    return Image.fromarray(data.astronaut()).convert("L")


def landscape() -> Image.Image:
    """Draw mountains, woods and a meadow under a cloudy sky; the same each time."""
    random = np.random.default_rng(SEED)
    levels = 255 * _distance(random).clip(0, 1)
    picture = Image.fromarray(levels.astype(np.uint8))
    draw = ImageDraw.Draw(picture)
    for _ in range(900):
        foot = random.uniform(0.56, 0.68)
        _fir(draw, random, foot, height=0.10 + 0.25 * (foot - 0.56))
    for foot in np.linspace(0.64, 1.15, 40_000):
        _blade(draw, random, foot)
    return picture.filter(ImageFilter.GaussianBlur(0.7))


def _distance(random: np.random.Generator) -> Plane:
    """Sky, clouds and mountains."""
    y = np.linspace(0, 1, HEIGHT)[:, None] * np.ones((1, WIDTH))
    clouds = (_noise(HEIGHT, WIDTH, 6, random, stretch=2.5) * 1.2 - 0.1).clip(0, 1)
    sky = 0.50 + 0.35 * y + (0.45 - 0.35 * y) * clouds
    below = y - (0.36 + 0.10 * _noise(1, WIDTH, 7, random))  # how far below the mountains' ridge
    rock = _noise(HEIGHT, WIDTH, 7, random)
    slopes = np.diff(rock, axis=1, append=rock[:, -1:]) * 8
    mountains = 0.45 + 0.5 * slopes + 0.3 * (below < 0.06 + 0.10 * rock)
    return np.where(below > 0, mountains, sky)


def _fir(draw: ImageDraw.ImageDraw, random: np.random.Generator, foot: float, height: float) -> None:
    """A fir whose foot stands at this share of the picture's height, drawn as shrinking rows of branches."""
    x, top = random.uniform(0, WIDTH), (foot - height * random.uniform(0.6, 1)) * HEIGHT
    for y in np.arange(top, foot * HEIGHT, 2).tolist():
        reach = 0.28 * (y - top) * random.uniform(0.5, 1.1) + 1
        draw.line(
            [(x - reach, y + 0.4 * reach), (x, y), (x + reach, y + 0.4 * reach)],
            fill=int(random.integers(25, 75)),
        )


def _blade(draw: ImageDraw.ImageDraw, random: np.random.Generator, foot: float) -> None:
    """A blade of grass; nearer ones (a larger `foot`) are longer."""
    x, y = random.uniform(0, WIDTH), foot * HEIGHT
    length = (4 + 90 * (foot - 0.62)) * random.uniform(0.5, 1.2)
    tip = (x + length * random.normal(0, 0.3), y - length)
    draw.line([(x, y), tip], fill=int(random.normal(125, 28)), width=1 + int(4 * max(0, foot - 0.8)))


def _noise(height: int, width: int, octaves: int, random: np.random.Generator, stretch: float = 1) -> Plane:
    """Fractal noise, height x width, about -1..1: smooth planes, each twice as fine and half as strong."""
    total = np.zeros((height, width))
    for octave in range(octaves):
        cells = 2 ** (octave + 1)
        rows = max(1, min(height, round(cells * stretch)))
        coarse = Image.fromarray(random.uniform(-1, 1, (rows + 1, cells + 1)).astype(np.float32))
        total += np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC)) / 2**octave
    return total
