"""A critic for networks that fill: it tells filled places from sound ones, and the network learns to deceive it."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

MIDDLE, SPREAD = 0.5, 0.25  # of luma, about


def opinion(critic: nn.Module, real: Tensor, fake: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The critic's loss on sound and filled luma [N, 1, H, W], and the share it gets right; where there are holes."""
    said, weight = _said(critic, torch.cat([real, fake]), torch.cat([mask, mask]))
    truth = torch.zeros_like(said)
    truth[: len(real)] = 1
    loss = functional.binary_cross_entropy_with_logits(said, truth, reduction="none")
    return _mean(loss, weight), _mean(((said > 0) == (truth > 0)).float(), weight)


def deceit(critic: nn.Module, fake: Tensor, mask: Tensor) -> Tensor:
    """How far the critic's logits of filled luma are from calling it sound."""
    said, weight = _said(critic, fake, mask)
    return _mean(functional.binary_cross_entropy_with_logits(said, torch.ones_like(said), reduction="none"), weight)


def _said(critic: nn.Module, luma: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
    """Logits [N, positions], and which positions count: those that see a hole, for elsewhere both are the same."""
    seen = (luma - MIDDLE) / SPREAD
    said: Tensor = critic(torch.cat([seen, mask, seen * mask], dim=1)).float()
    side = round(said.shape[1] ** 0.5)
    return said, functional.adaptive_max_pool2d(mask, (side, said.shape[1] // side)).flatten(1)


def _mean(values: Tensor, weight: Tensor) -> Tensor:
    return (values * weight).sum() / weight.sum().clamp(min=1)


def adam(network: nn.Module, momentum: float = 0.0) -> torch.optim.Optimizer:
    """An optimizer as adversarial training wants it, without momentum, or with one for a critic that learns alone."""
    return torch.optim.AdamW(network.parameters(), betas=(momentum, 0.9 if momentum == 0 else 0.99), weight_decay=0.0)
