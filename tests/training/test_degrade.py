from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from vintage_colorizer.training.data import draw
from vintage_colorizer.training.degrade import EFFECTS, FILMS, HAND, Dice, augment, color
from vintage_colorizer.training.feed import HANDS
from vintage_colorizer.training.recipe import Augment, Degrade

CPU = torch.device("cpu")
STILL = Augment(flip=0, warp=0, rotate=0, zoom=1, brightness=0, contrast=1, chance=0)
OLD = Degrade(**dict.fromkeys(Degrade.model_fields, 0.6))


def dice(numbers: list[int], epoch: int = 0) -> Dice:
    rows = draw(7, np.full(len(numbers), epoch), np.array(numbers), HANDS * HAND)
    return Dice(torch.from_numpy(rows), CPU)


@pytest.fixture(scope="module")
def photos() -> Tensor:
    ramp = torch.linspace(0, 255, 72)
    photo = torch.stack([ramp.expand(72, 72), ramp.view(-1, 1).expand(72, 72), ramp.flip(0).expand(72, 72)])
    noise = torch.randint(0, 40, (6, 3, 72, 72), generator=torch.Generator().manual_seed(0))
    return (photo * 0.8 + noise).clamp(0, 255) / 255


def test_without_effects_a_photo_is_its_luma(photos: Tensor) -> None:
    clean = photos[..., :64, :64]
    luma = color(clean, dice([*range(6)]), Degrade())
    expected = 0.299 * clean[:, :1] + 0.587 * clean[:, 1:2] + 0.114 * clean[:, 2:]
    torch.testing.assert_close(luma, expected)


def test_without_changes_a_window_is_copied(photos: Tensor) -> None:
    whole = augment(photos, dice([*range(6)]), 72, STILL)
    torch.testing.assert_close(whole, photos, atol=1e-5, rtol=0)


def test_a_photo_is_changed_the_same_way_in_any_batch(photos: Tensor) -> None:
    rolled = dice([10, 11, 12, 13, 14, 15])
    together = augment(photos, rolled.hand(EFFECTS), 64, Augment())
    aged = color(together, rolled, OLD)
    for row in range(6):
        rolled = dice([10 + row])
        alone = augment(photos[row : row + 1], rolled.hand(EFFECTS), 64, Augment())
        torch.testing.assert_close(alone, together[row : row + 1], atol=1e-6, rtol=0)
        torch.testing.assert_close(color(alone, rolled, OLD), aged[row : row + 1], atol=1e-5, rtol=0)


def test_another_epoch_changes_a_photo_differently(photos: Tensor) -> None:
    first, second = (augment(photos, dice([*range(6)], epoch), 64, Augment()) for epoch in (0, 1))
    assert float((first - second).abs().mean()) > 0.02


@pytest.mark.parametrize("effect", Degrade.model_fields)
def test_every_effect_changes_the_photo_and_stays_in_range(effect: str, photos: Tensor) -> None:
    clean = photos[..., :64, :64]
    plain = color(clean, dice([*range(6)]), Degrade())
    aged = color(clean, dice([*range(6)]), Degrade(**{effect: 1.0}))
    assert aged.shape == plain.shape
    assert float(aged.min()) >= 0 and float(aged.max()) <= 1
    changed = (aged - plain).abs().amax(dim=(1, 2, 3)) > 0.01
    assert int(changed.sum()) >= 5  # a view may be free of dust


def test_red_goes_dark_and_blue_goes_light_on_old_film() -> None:
    clean = torch.full((200, 3, 4, 8), 0.2)
    clean[:, 0, :, :4] = 0.8  # red lips on the left
    clean[:, 2, :, 4:] = 0.8  # a blue sky on the right
    seen = color(clean, dice([*range(200)]), Degrade(spectral=1.0))
    difference = seen[..., 4:].mean(dim=(1, 2, 3)) - seen[..., :4].mean(dim=(1, 2, 3))
    grey = color(clean, dice([*range(200)]), Degrade())
    assert float(grey[0, 0, 0, 0]) > float(grey[0, 0, 0, 7])
    assert float((difference > 0).float().mean()) > 0.7
    assert all(sum(film) == pytest.approx(1) for film in FILMS)


def test_flips_happen_as_often_as_asked(photos: Tensor) -> None:
    one = photos[:1].expand(400, -1, -1, -1)
    how = Augment(flip=0.5, warp=0, rotate=0, zoom=1, brightness=0, contrast=1, chance=0)
    flipped = augment(one, dice([*range(400)]), 72, how)
    mirrored = (flipped - photos[:1].flip(3)).abs().amax(dim=(1, 2, 3)) < 1e-4
    assert 150 < int(mirrored.sum()) < 250
