from __future__ import annotations

import numpy as np
import pytest

from vintage_colorizer.spread import MOST, Labels, spread

CHANGE = np.array([[0.2, -0.1]], np.float32)


def stated(height: int, width: int, row: int, column: int) -> Labels:
    labels = np.full((height, width), -1)
    labels[row, column] = 0
    return labels


@pytest.mark.parametrize("edge", ["luma", "chroma"])
@pytest.mark.parametrize("side", [24, 64, 3 * MOST])
def test_a_change_fills_its_half_and_stays_there(edge: str, side: int) -> None:
    left = np.arange(side) < side // 2
    luma, chroma = np.full((side, side), 0.5, np.float32), np.zeros((side, side, 2), np.float32)
    if edge == "luma":
        luma[:, left] = 0.1
    else:
        chroma[:, left] = 0.1
    changed = spread(stated(side, side, side // 2, side // 4), CHANGE, chroma, luma)[..., 0] / CHANGE[0, 0]
    assert changed.shape == (side, side)
    assert changed[:, : side // 2 - 4].min() > 0.15  # the corners are three quarters of a side away
    assert changed[side // 2, : side // 2 - 4].min() > 0.6 and changed[side // 2, side // 4] > 0.8
    assert np.abs(changed[:, side // 2 + 4 :]).max() < 0.03


def test_each_cell_takes_the_nearest_change() -> None:
    labels = stated(32, 32, 16, 2)
    labels[16, 29] = 1
    flat = np.full((32, 32), 0.5, np.float32)
    changed = spread(labels, np.array([[0.2, 0], [-0.2, 0]], np.float32), np.zeros((32, 32, 2), np.float32), flat)[
        ..., 0
    ]
    assert (changed[:, :14] > 0).all() and (changed[:, 18:] < 0).all()


def test_no_label_gets_lost_on_a_coarser_grid() -> None:
    shape = (40, 8 * MOST)
    changed = spread(
        stated(*shape, 39, 8 * MOST - 1), CHANGE, np.zeros((*shape, 2), np.float32), np.ones(shape, np.float32)
    )
    assert changed[39, -1, 0] > 0.8 * CHANGE[0, 0]


def test_without_labels_nothing_changes() -> None:
    luma = np.random.default_rng(0).random((9, 7), np.float32)
    changed = spread(np.full((9, 7), -1), CHANGE, np.zeros((9, 7, 2), np.float32), luma)
    assert not changed.any()
