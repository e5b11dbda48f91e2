"""Hints to train with: golden values, and what holds for all of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from vintage_colorizer.networks.architectures.contract import chroma_of
from vintage_colorizer.training.data import draw
from vintage_colorizer.training.degrade import HAND, Dice
from vintage_colorizer.training.hints import HINT_HANDS, give_hints
from vintage_colorizer.training.recipe import Hints

pytestmark = pytest.mark.long


def dice(count: int) -> Dice:
    numbers = np.arange(count)
    return Dice(torch.from_numpy(draw(7, 0 * numbers, numbers, HINT_HANDS * HAND)), torch.device("cpu"))


def views(count: int) -> Tensor:
    """Pictures of 16 even squares, none of them grey."""
    made = torch.Generator().manual_seed(3)
    squares = 0.3 + 0.4 * torch.rand(count, 3, 4, 4, generator=made)
    return functional.interpolate(squares, scale_factor=16.0)


def test_golden_hints() -> None:
    clean, hints = give_hints(views(8), dice(8), Hints(none=0.0, impossible=0.5, displaced=0.3))
    assert (hints[:, 2] > 0).sum((1, 2)).tolist() == [103, 61, 76, 19, 6, 12, 107, 57]
    assert float(hints.double().sum()) == pytest.approx(351.432, rel=1e-4)
    assert float(clean.double().mean()) == pytest.approx(0.491314, rel=1e-5)


def test_shares_of_views_and_points() -> None:
    clean = views(2000)
    recolored, hints = give_hints(clean, dice(2000), Hints(displaced=0.0))
    hinted = (hints[:, 2] > 0).flatten(1).any(1)
    changed = (recolored != clean).flatten(1).any(1)
    assert float(hinted.float().mean()) == pytest.approx(0.6, abs=0.04)
    assert float(changed[hinted].float().mean()) == pytest.approx(0.15, abs=0.04)
    assert not changed[~hinted].any()


def test_sure_hints_without_jitter_tell_the_truth_even_of_impossible_colors() -> None:
    how = Hints(none=0.0, jitter=0.0, impossible=1.0, displaced=0.0)
    clean, hints = give_hints(views(64), dice(64), how)
    truth = functional.avg_pool2d(chroma_of(clean), 4)
    sure = hints[:, 2:] == 1
    off = ((hints[:, :2] - truth).abs() * sure).amax(1, keepdim=True)[sure]
    assert float(off.median()) < 1e-4  # patches over an edge hold a mean of both sides


def test_impossible_colors_keep_luma_and_stay_in_gamut() -> None:
    before = views(64)
    after, _ = give_hints(before, dice(64), Hints(none=0.0, impossible=1.0))
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    assert float(((after - before) * weights).sum(1).abs().max()) < 1e-5
    assert float(after.min()) >= -1e-6 and float(after.max()) <= 1 + 1e-6
    shares = (after != before).any(1).float().mean((1, 2))
    assert float(shares.min()) > 0 and float(shares.median()) < 0.2  # a region, not the picture


def test_a_photo_gets_the_same_hints_in_any_batch() -> None:
    clean, all_dice = views(6), dice(6)
    together = give_hints(clean, all_dice, Hints())
    alone = give_hints(clean[4:5], Dice(all_dice.rows[4:5], torch.device("cpu")), Hints())
    for whole, one in zip(together, alone, strict=True):
        torch.testing.assert_close(whole[4:5], one)


def test_sureness_lies_within_its_range() -> None:
    _, hints = give_hints(views(64), dice(64), Hints())
    assert float(hints[:, 2].min()) == 0 and float(hints[:, 2].max()) == 1
    assert not hints[:, :2][(hints[:, 2:] == 0).expand(-1, 2, -1, -1)].any()
