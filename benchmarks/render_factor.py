"""Is `auto` at least as good as the look's own render factor? On color photos of at least 500 pixels.

python benchmarks/render_factor.py [FOLDER ...]    # more color photos than those of scikit-image
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import Image

from photos_at_hand import color_photos
from vintage_colorizer import Colorizer, color
from vintage_colorizer.evaluate.metrics import colorfulness, psnr

FACTORS: tuple[int | Literal["auto"], ...] = (10, 12, 16, 20, 24, "auto")
SIDE = 1000  # pixels of the longer side at which results are compared


def photos(folders: list[str]) -> list[np.ndarray]:
    """RGB arrays with a longer side of 500 to 1000 pixels."""
    paths = [path for folder in folders for path in sorted(Path(folder).rglob("*")) if path.suffix in (".jpg", ".png")]
    found = color_photos() + [np.asarray(Image.open(path).convert("RGB").resize(_fit(path))) for path in paths]
    return [one for one in found if max(one.shape) >= 500]


def _fit(path: Path) -> tuple[int, int]:
    with Image.open(path) as image:
        scale = min(1.0, SIDE / max(image.size))
        return round(image.width * scale), round(image.height * scale)


def main() -> None:
    """Print mean PSNR (gain over the grey picture) and colorfulness for every render factor and look."""
    truths = photos(sys.argv[1:])
    greys = [(color.luma(truth) * 255 + 0.5).astype(np.uint8) for truth in truths]
    base = [psnr(np.repeat(grey[..., None], 3, axis=-1), truth) for grey, truth in zip(greys, truths, strict=True)]
    true_color = np.mean([colorfulness(truth) for truth in truths])
    print(f"{len(truths)} photos; grey: {np.mean(base):.2f} dB; truth: colorfulness {true_color:.1f}")
    colorizer = Colorizer()
    for look in ("artistic", "stable", "video"):
        for factor in FACTORS:
            results = [colorizer.photo(grey, look=look, render_factor=factor) for grey in greys]
            pixels = [np.asarray(result.image) for result in results]
            gains = [psnr(one, truth) - grey for one, truth, grey in zip(pixels, truths, base, strict=True)]
            colors = np.mean([colorfulness(one) for one in pixels])
            gain = f"{np.mean(gains):+.3f} dB  worst {min(gains):+.2f}"
            print(f"{look:9} {factor!s:>5}  {gain}  colorfulness {colors:.1f}", flush=True)


if __name__ == "__main__":
    main()
