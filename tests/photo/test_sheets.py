"""The contact sheet and the visible mark."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from vintage_colorizer.color import Pixels
from vintage_colorizer.photo.sheets import GAP, LABEL_HEIGHT, contact_sheet
from vintage_colorizer.photo.writing import add_mark


def test_contact_sheet_holds_every_picture_under_its_label() -> None:
    colors = ["red", "green", "blue", "yellow"]
    sheet = contact_sheet([(name, Image.new("RGB", (100, 50), name)) for name in colors])
    assert sheet.size == (3 * (100 + GAP) + GAP, 2 * (50 + LABEL_HEIGHT + GAP) + GAP)
    for index, name in enumerate(colors):
        x = GAP + index % 3 * (100 + GAP)
        y = GAP + index // 3 * (50 + LABEL_HEIGHT + GAP)
        assert sheet.getpixel((x + 50, y + LABEL_HEIGHT + 25)) == Image.new("RGB", (1, 1), name).getpixel((0, 0))
        label = np.asarray(sheet.crop((x, y, x + 100, y + LABEL_HEIGHT - 2)))
        assert label.min() < 100  # there is ink


def test_large_pictures_are_shrunk_on_the_sheet() -> None:
    sheet = contact_sheet([("a", Image.new("RGB", (3000, 1500))), ("b", Image.new("RGB", (3000, 1500)))])
    assert sheet.width < 1400


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_mark_changes_only_the_lower_left_corner(dtype: type) -> None:
    pixels: Pixels = np.zeros((200, 300, 3), dtype)
    add_mark(pixels)
    rows, columns = np.nonzero(pixels.any(axis=-1))
    assert len(rows) > 0
    assert rows.min() > 180 and columns.max() < 100


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (5, 5)])
def test_mark_on_tiny_pictures(size: tuple[int, int]) -> None:
    around = np.zeros((size[0] + 2, size[1] + 2, 3), np.uint8)  # what lies around the picture in memory stays
    inside = around[1:-1, 1:-1]
    add_mark(inside)
    assert around.sum() == inside.sum()
    assert inside.any() == (min(size) >= 5)
