"""Make the pictures of the documentation, from public-domain photos that come with scikit-image.

python docs/make_images.py
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image
from skimage import data

from vintage_colorizer import Colorizer

IMAGES = Path(__file__).parent / "images"
HEIGHT = 384  # pixels
GAP = 8


def main() -> None:
    """Write every picture."""
    IMAGES.mkdir(exist_ok=True)
    # Eileen Collins, photographed by NASA in 1992; public domain.
    before_and_after(Image.fromarray(data.astronaut()), "astronaut.jpg")
    # DSCOVR on a Falcon 9 before its launch in 2015, photographed by SpaceX; public domain.
    before_and_after(Image.fromarray(data.rocket()), "rocket.jpg")


def before_and_after(original: Image.Image, name: str) -> None:
    """Write one picture: the original in grey, and beside it what our own tool makes of that, as it is by default."""
    grey = original.convert("L")
    halves = [grey.convert("RGB"), Colorizer().photo(grey).image]
    width = round(original.width * HEIGHT / original.height)
    pair = Image.new("RGB", (2 * width + GAP, HEIGHT), "white")
    for index, half in enumerate(halves):
        pair.paste(half.resize((width, HEIGHT), Image.Resampling.LANCZOS), (index * (width + GAP), 0))
    pair.save(IMAGES / name, quality=88, optimize=True)


if __name__ == "__main__":
    main()
