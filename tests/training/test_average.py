"""The moving average of weights."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from vintage_colorizer.training.average import Average


def test_follows_fast_at_first_and_then_by_its_decay() -> None:
    network = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(network.weight)
    average = Average(0.5, network.state_dict())
    nn.init.ones_(network.weight)
    average.follow(network)
    assert float(average.state["weight"]) == pytest.approx(1 - 2 / 11)
    average = Average(0.5, average.state, steps=1000)
    average.follow(network)
    assert float(average.state["weight"]) == pytest.approx(1 - 1 / 11)


def test_inside_gives_the_weights_back() -> None:
    network = nn.BatchNorm1d(2)
    average = Average(0.9, network.state_dict())
    nn.init.constant_(network.weight, 3.0)
    with average.inside(network):
        assert torch.equal(network.weight, torch.ones(2))
    assert torch.equal(network.weight, torch.full((2,), 3.0))
