"""The moving average of a network's weights, which is better than any of them while the rate is high."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class Average:
    """An exponential moving average of all weights and statistics; a mean of few steps at first."""

    def __init__(self, decay: float, state: Mapping[str, Tensor], steps: int = 0) -> None:
        """Begin with `state`, the average after `steps` steps."""
        self.decay, self.steps = decay, steps
        self.state = {key: value.detach().clone() for key, value in state.items()}

    @torch.no_grad()
    def follow(self, network: nn.Module) -> None:
        """Take in the weights of one more step."""
        self.steps += 1
        new = 1 - min(self.decay, (1 + self.steps) / (10 + self.steps))
        for key, value in network.state_dict().items():
            if value.is_floating_point():
                self.state[key].lerp_(value, new)
            else:
                self.state[key].copy_(value)

    @contextmanager
    def inside(self, network: nn.Module) -> Iterator[None]:
        """`network` with the averaged weights; its own come back at the end."""
        own = {key: value.detach().clone() for key, value in network.state_dict().items()}
        network.load_state_dict(self.state)
        try:
            yield
        finally:
            network.load_state_dict(own)
