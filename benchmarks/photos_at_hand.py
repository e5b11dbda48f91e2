"""Color photos that installed packages carry, for measuring; nothing is downloaded."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image

NAMES = ("astronaut.png", "chelsea.png", "coffee.png", "rocket.jpg")  # the photographs among scikit-image's pictures


def color_photos(pattern: str = "*") -> list[np.ndarray]:
    """RGB uint8 arrays of scikit-image's color photographs whose file names match."""
    folder = Path(skimage.data.__file__).parent
    paths = [folder / name for name in NAMES if (folder / name).match(pattern)]
    return [np.asarray(Image.open(path).convert("RGB")) for path in paths]
