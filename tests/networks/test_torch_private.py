"""The names of torch and timm that may change without notice are there, and do what they are needed for."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
timm = pytest.importorskip("timm")

from torch import Tensor, nn  # noqa: E402

from vintage_colorizer.networks.architectures.compact import Compact, EvenConv2d  # noqa: E402
from vintage_colorizer.networks.architectures.deoldify import BUILDERS  # noqa: E402
from vintage_colorizer.networks.architectures.torch_private import scan  # noqa: E402


def test_scan_carries_and_stacks() -> None:
    def step(carry: Tensor, one: Tensor) -> tuple[Tensor, Tensor]:
        return carry + one, 2 * one

    total, doubled = scan(step, torch.zeros(2), torch.arange(6.0).view(3, 2))
    assert total.tolist() == [6, 9]
    assert doubled.tolist() == [[0, 2], [4, 6], [8, 10]]


def test_convolutions_padded_by_shape_are_found_and_replaced() -> None:
    from timm.layers.conv2d_same import Conv2dSame

    plain = timm.create_model("tf_efficientnet_lite0", features_only=True)
    found = [one for one in plain.modules() if isinstance(one, Conv2dSame)]
    fixed = [one for one in Compact("tf_efficientnet_lite0").modules() if isinstance(one, nn.Conv2d)]
    assert len(found) == sum(isinstance(one, EvenConv2d) for one in fixed) > 0
    assert not any(isinstance(one, Conv2dSame) for one in fixed)


def test_all_batch_norms_are_of_the_public_kind() -> None:
    """Training tells them by `nn.BatchNorm2d`."""
    for network in (Compact("tf_efficientnet_lite0"), BUILDERS["artistic"]()):
        norms = [one for one in network.modules() if "BatchNorm" in type(one).__name__]
        assert norms and all(isinstance(one, nn.BatchNorm2d) for one in norms)
