"""Photos to train on in tests: views of scikit-image's color photos."""

from __future__ import annotations

from pathlib import Path

import skimage.data
from PIL import Image

NAMES = ("astronaut", "coffee", "chelsea", "rocket")
SIDE = 112


def write_photos(folder: Path, each: int = 12) -> list[Path]:
    """Write `each` overlapping views of every photo as PNG files into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name in NAMES:
        photo = Image.fromarray(getattr(skimage.data, name)())
        for view in range(each):
            side = min(photo.size) * (4 + view % 3) // 6
            left = (photo.width - side) * view // max(1, each - 1)
            top = (photo.height - side) * (view * 5 % each) // max(1, each - 1)
            path = folder / f"{name}-{view:02d}.png"
            photo.crop((left, top, left + side, top + side)).resize((SIDE, SIDE)).save(path)
            written.append(path)
    return written
