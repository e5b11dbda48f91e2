"""What each network that repairs learns: how it is asked, what counts as an error, how it is judged."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from vintage_colorizer.evaluate.repair import auto_levels, f1, mask_scores, tone_error
from vintage_colorizer.networks.architectures.repair import Defects, Fade, Fill, restored
from vintage_colorizer.training.losses import NEAR_ENOUGH

DAMAGED_WEIGHT = 3.0  # of a damaged pixel against a sound one


@dataclass(frozen=True)
class Lesson:
    """One task. Shown planes and goals are as `repair.damage.DAMAGES` makes them, [N, 1 or 2, H, W]."""

    network: Callable[[], nn.Module]
    answer: Callable[[Any, Tensor], Tensor]  # of a network, to what it is shown: [N, 1, H, W], as the goal
    loss: Callable[[Tensor, Tensor, Tensor], Tensor]  # of answer, shown and goal
    figures: Callable[[Tensor, Tensor, Tensor], dict[str, float]]  # of the same


def _marked(network: nn.Module, luma: Tensor) -> Tensor:
    likely: Tensor = torch.sigmoid(network(luma).float())
    return likely


def _mark_loss(likely: Tensor, _: Tensor, goal: Tensor) -> Tensor:
    """Weighted cross-entropy and half of what is missing in the overlap (Dice)."""
    weights = 1 + (DAMAGED_WEIGHT - 1) * goal
    overlap = (2 * (likely * goal).sum() + 1) / (likely.sum() + goal.sum() + 1)
    return functional.binary_cross_entropy(likely, goal, weights) + 0.5 * (1 - overlap)


def _marks(likely: Tensor, _: Tensor, goal: Tensor) -> dict[str, float]:
    """Scores of marked pixels over all photos, and the share marked on those without damage."""
    found, truth = (plane[:, 0].cpu().numpy() > 0.5 for plane in (likely, goal))
    precision, recall = mask_scores(np.hstack(list(found)), np.hstack(list(truth)))
    clean = ~truth.any(axis=(1, 2))
    harm = float(found[clean].mean()) if clean.any() else 0.0
    return {"f1": f1(precision, recall), "precision": precision, "recall": recall, "harm": harm}


def _unfaded(network: nn.Module, luma: Tensor) -> Tensor:
    return restored(luma, *(part.float() for part in network(luma))).clamp(0, 1)


def _tone_loss(shown: Tensor, _: Tensor, goal: Tensor) -> Tensor:
    return (shown - goal).abs().mean()


def _tones(shown: Tensor, luma: Tensor, goal: Tensor) -> dict[str, float]:
    """Errors of luma in levels: restored, by auto-levels, and on photos that had not faded."""
    pictures, found, truth = (plane[:, 0].cpu().numpy() for plane in (shown, luma, goal))
    leveled = np.stack([auto_levels(one) for one in found])
    same = np.array([np.array_equal(one, other) for one, other in zip(found, truth, strict=True)])
    figures = {}
    for name, which in (("error", ~same), ("harm", same)):
        if which.any():
            figures[name] = tone_error(pictures[which], truth[which])
            figures[f"levels_{name}"] = tone_error(leveled[which], truth[which])
    return figures


def _filled(network: nn.Module, shown: Tensor) -> Tensor:
    filled: Tensor = network(shown[:, :1], shown[:, 1:]).float()
    return filled


def _hole_error(filled: Tensor, shown: Tensor, goal: Tensor) -> Tensor:
    """The mean squared error in the holes of each photo, [N]; 0 where there are none."""
    mask = shown[:, 1:]
    return ((filled - goal) ** 2 * mask).sum((1, 2, 3)) / mask.sum((1, 2, 3)).clamp(min=1)


def _fill_loss(filled: Tensor, shown: Tensor, goal: Tensor) -> Tensor:
    """The log of each photo's error: every photo counts alike, as in a mean of PSNRs."""
    return (_hole_error(filled, shown, goal) + NEAR_ENOUGH).log().mean()


def _holes(filled: Tensor, shown: Tensor, goal: Tensor) -> dict[str, float]:
    """Mean PSNR in the holes, and texture as a share of what was there: by the network, and by simple filling."""
    mask = shown[:, 1:]
    holey = mask.amax((1, 2, 3)) > 0
    figures = {}
    for name, picture in (("", filled), ("simple_", shown[:, :1])):
        error = _hole_error(picture, shown, goal)[holey].clamp(min=1e-6)
        figures[f"{name}psnr"] = float((-10 * error.log10()).mean())
        figures[f"{name}texture"] = float((_steps(picture) * mask).sum() / (_steps(goal) * mask).sum().clamp(min=1e-6))
    return figures


def _steps(picture: Tensor) -> Tensor:
    """How much each pixel differs from the ones to its right and below."""
    right = functional.pad(picture.diff(dim=3).abs(), (0, 1))
    return right + functional.pad(picture.diff(dim=2).abs(), (0, 0, 0, 1))


LESSONS: dict[str, Lesson] = {
    "defects": Lesson(Defects, _marked, _mark_loss, _marks),
    "fade": Lesson(Fade, _unfaded, _tone_loss, _tones),
    "fill": Lesson(Fill, _filled, _fill_loss, _holes),
}
