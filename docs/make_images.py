"""Make the pictures of the documentation, from public-domain photos that come with scikit-image.

python docs/make_images.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from skimage import data

from vintage_colorizer import Colorizer, color
from vintage_colorizer.color import eight_bit
from vintage_colorizer.photo.sheets import contact_sheet
from vintage_colorizer.repair.damage import damaged, faded

IMAGES = Path(__file__).parent / "images"
HEIGHT = 384  # pixels
GAP = 8
SEED, DAMAGES = 20, 3  # of the print that is repaired: how it is damaged, and how many times over
TILE = 300, 240  # pixels of a picture on the sheet of looks


def main() -> None:
    """Write every picture."""
    IMAGES.mkdir(exist_ok=True)
    # Eileen Collins, photographed by NASA in 1992; public domain.
    before_and_after(Image.fromarray(data.astronaut()), "astronaut.jpg")
    # DSCOVR on a Falcon 9 before its launch in 2015, photographed by SpaceX; public domain.
    before_and_after(Image.fromarray(data.rocket()), "rocket.jpg")
    hinted(Image.fromarray(data.astronaut()), ["0.15,0.75=#d0662a", "0.55,0.72=#d0662a"], "hints.jpg")
    repaired(Image.fromarray(data.astronaut()), "repair.jpg")
    # Beside them a cat by Stefan van der Walt and a cup of coffee by Rachel Michetti, both CC0.
    looks([Image.fromarray(photo()) for photo in (data.astronaut, data.chelsea, data.coffee, data.rocket)], "looks.jpg")


def before_and_after(original: Image.Image, name: str) -> None:
    """Write one picture: the original in grey, and beside it what our own tool makes of that, as it is by default."""
    grey = original.convert("L")
    beside([grey.convert("RGB"), Colorizer().photo(grey).image], name)


def hinted(original: Image.Image, hints: list[str], name: str) -> None:
    """Write one picture: what our own tool makes of the original in grey, and beside it the same with hints."""
    grey = original.convert("L")
    beside([Colorizer().photo(grey).image, Colorizer().photo(grey, hints=hints).image], name)


def repaired(original: Image.Image, name: str) -> None:
    """Write one picture: a print faded and damaged in code, the marks found, the same repaired, and colored."""
    random = np.random.default_rng(SEED)
    found, _ = faded(color.luma(np.asarray(original)), random, clean_share=0.0)
    for _ in range(DAMAGES):
        found, _ = damaged(found, random, clean_share=0.0)
    print_ = np.rint(found * 255).astype(np.uint8)
    result = Colorizer().repair(print_)
    colored = Colorizer().photo(print_, repair="all").image
    pictures = [Image.fromarray(one).convert("RGB") for one in (print_, eight_bit(result.mask * 1.0), result.pixels)]
    beside([*pictures, colored], name)


def beside(pictures: list[Image.Image], name: str) -> None:
    """Write pictures of one size beside each other."""
    original = pictures[0]
    width = round(original.width * HEIGHT / original.height)
    row = Image.new("RGB", (len(pictures) * (width + GAP) - GAP, HEIGHT), "white")
    for index, one in enumerate(pictures):
        row.paste(one.resize((width, HEIGHT), Image.Resampling.LANCZOS), (index * (width + GAP), 0))
    row.save(IMAGES / name, quality=88, optimize=True)


def looks(originals: list[Image.Image], name: str) -> None:
    """Write a sheet with a row for each photo: grey, colored in the three looks, and as it was."""
    tiles = []
    for original in originals:
        grey = original.convert("L")
        tiles.append(("grey", grey.convert("RGB")))
        for look in ("artistic", "stable", "video"):
            tiles.append((look, Colorizer().photo(grey, look=look).image))
        tiles.append(("truth", original))
    sheet = contact_sheet([(label, ImageOps.fit(image, TILE)) for label, image in tiles], columns=5)
    sheet.save(IMAGES / name, quality=85, optimize=True)


if __name__ == "__main__":
    main()
