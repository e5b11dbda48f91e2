"""A critic for networks that fill: it tells filled places from sound ones, and the network learns to deceive it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from vintage_colorizer.training.losses import critic_loss, deceit_loss

MIDDLE, SPREAD = 0.5, 0.25  # of luma, about


def opinion(critic: nn.Module, real: Tensor, fake: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The critic's loss on sound and filled luma [N, 1, H, W], and the share it gets right; where there are holes."""
    said = _said(critic, torch.cat([real, fake]), torch.cat([mask, mask]))  # judged in one batch
    on_real, on_fake = said.chunk(2)
    right = ((on_real > 0).float().mean() + (on_fake < 0).float().mean()) / 2
    return critic_loss(on_real, on_fake), right


def deceit(critic: nn.Module, fake: Tensor, mask: Tensor) -> Tensor:
    """How far the critic's logits of filled luma are from calling it sound."""
    return deceit_loss(_said(critic, fake, mask))


def _said(critic: nn.Module, luma: Tensor, mask: Tensor) -> Tensor:
    """The logits of all places that see a hole, one after the other: elsewhere filled and sound are the same."""
    seen = (luma - MIDDLE) / SPREAD
    said: Tensor = critic(torch.cat([seen, mask, seen * mask], dim=1)).float()
    side = round(said.shape[1] ** 0.5)
    holes = functional.adaptive_max_pool2d(mask, (side, said.shape[1] // side)).flatten(1) > 0
    return said[holes] if bool(holes.any()) else said.flatten()


def adam(network: nn.Module, momentum: float = 0.0) -> torch.optim.Optimizer:
    """An optimizer as adversarial training wants it, without momentum, or with one for a critic that learns alone."""
    return torch.optim.AdamW(network.parameters(), betas=(momentum, 0.9 if momentum == 0 else 0.99), weight_decay=0.0)
