"""How often a color is right that is guessed so surely: the knots of networks/suggestions.py, and a table to test them.

    python research/calibrate_certainty.py PHOTOS COUNT

Each cell of each photo (4 x 4 pixels at the network's working size) has an entropy, and the color of the default look
there is within CIEDE2000 10 of the truth or not. Even photos give the knots: the share that is right in ten groups of
equal size, made monotone. Odd photos test them: cells are grouped by certainty, and what is right is counted.
"""

from __future__ import annotations

import sys

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage.color import deltaE_ciede2000

from vintage_colorizer import Colorizer, color
from vintage_colorizer.color import Floats, Pixels
from vintage_colorizer.datasets import open_source
from vintage_colorizer.options import PhotoOptions
from vintage_colorizer.photo.picture import Photo
from vintage_colorizer.photo.reading import read_photo

GROUPS = 10
CLOSE = 10.0  # CIEDE2000
Measured = tuple[Floats, NDArray[np.bool_]]


def main() -> None:
    """Print the knots and the table."""
    colorizer = Colorizer(threads=2)
    source = open_source(sys.argv[1])
    count = min(len(source), int(sys.argv[2]))
    cells = [measured(colorizer, read_photo(source.read(number)).pixels) for number in range(count)]
    knots, shares = fitted(*joined(cells[::2]))
    print("ENTROPIES =", tuple(round(float(one), 3) for one in knots))
    print("RIGHT =", tuple(round(float(one), 3) for one in shares))
    entropy, right = joined(cells[1::2])
    certainty = np.interp(entropy, knots, shares)
    for low in np.arange(0, 1, 0.1):
        chosen = (certainty >= low) & (certainty < low + 0.1)
        if chosen.mean() > 0.002:
            said, true = certainty[chosen].mean(), right[chosen].mean()
            print(f"| {low:.1f} to {low + 0.1:.1f} | {chosen.mean():.1%} | {said:.1%} | {true:.1%} |")


def measured(colorizer: Colorizer, pixels: Pixels) -> Measured:
    """For each cell of a photo the entropy of its posterior, and whether its color came out right."""
    options = PhotoOptions.of()
    grey = Photo(color.eight_bit(color.luma(pixels)))
    entropy = colorizer.likely(grey, options).entropy
    truth, guessed = (lab(one, entropy.shape) for one in (pixels, colorizer.color(grey, options).pixels))
    return entropy, np.asarray(deltaE_ciede2000(truth, guessed) < CLOSE)


def lab(pixels: Pixels, shape: tuple[int, ...]) -> Floats:
    """A picture at the size of the cells, in Lab."""
    small = cv2.resize(pixels.astype(np.float32) / 255, shape[::-1], interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.cvtColor(small, cv2.COLOR_RGB2LAB))


def joined(cells: list[Measured]) -> Measured:
    """The cells of several photos in two rows."""
    return np.concatenate([one.ravel() for one, _ in cells]), np.concatenate([one.ravel() for _, one in cells])


def fitted(entropy: Floats, right: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """The mean entropy of each group, and how much of it is right, never rising."""
    groups = np.array_split(np.argsort(entropy), GROUPS)
    shares = np.minimum.accumulate([right[group].mean() for group in groups])
    return np.array([entropy[group].mean() for group in groups]), shares


if __name__ == "__main__":
    main()
