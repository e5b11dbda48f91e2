"""What the networks are told: feature loss, cross-entropy over color bins, and the critic's two sides.

Pictures here are RGB [N, 3, H, W] normalized with ImageNet's mean and deviation, as the critic sees them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from vintage_colorizer.errors import MissingError, OptionError
from vintage_colorizer.networks.architectures.compact import CELL
from vintage_colorizer.networks.architectures.contract import IMAGENET_MEAN, IMAGENET_STD, chroma_of
from vintage_colorizer.networks.architectures.lite import LITE_PACKAGES, build_lite

VGG_FEATURES = (22, 32, 42)  # the ReLUs before the last three max-pools of VGG-16 with batch norm
LITE_FEATURES = (1, 2, 3)  # the stages at strides 4, 8 and 16
EXTRACTORS = ("vgg16_bn", *LITE_PACKAGES)
REACH = 110  # Lab a and b of sRGB lie within +-REACH
NEAR_ENOUGH = 1e-3  # squared error, of RGB in 0..1, that is hardly seen: 30 dB
SURE = 8.0  # no color weighs more than this many average ones


def normalize(rgb: Tensor) -> Tensor:
    """RGB in 0..1 to ImageNet's scale."""
    return (rgb - _planes(IMAGENET_MEAN, rgb)) / _planes(IMAGENET_STD, rgb)


def denormalize(picture: Tensor) -> Tensor:
    """ImageNet's scale back to RGB, clamped to 0..1."""
    return (picture * _planes(IMAGENET_STD, picture) + _planes(IMAGENET_MEAN, picture)).clamp(0, 1)


def _planes(values: Sequence[float], like: Tensor) -> Tensor:
    return torch.tensor(values, device=like.device).view(1, 3, 1, 1)


class Extractor(nn.Module):
    """A frozen ImageNet network that turns normalized pictures into three feature maps."""

    def __init__(self, name: str) -> None:
        """Load `name`, one of EXTRACTORS; MissingError if its weights cannot be had."""
        super().__init__()
        if name not in EXTRACTORS:
            raise OptionError(f"There is no extractor '{name}'; choose one of {', '.join(EXTRACTORS)} or none.")
        self.own_scale = name in LITE_PACKAGES
        lite = {"features_only": True, "out_indices": LITE_FEATURES}
        self.network = build_lite(name, **lite) if self.own_scale else _vgg()
        self.requires_grad_(False)

    def train(self, mode: bool = True) -> Extractor:
        """Stay in evaluation mode, whatever is asked."""
        return super().train(False)

    def forward(self, pictures: Tensor) -> list[Tensor]:
        """Three feature maps, shallow to deep."""
        if self.own_scale:  # EfficientNet-Lite expects -1..1
            rgb = pictures * _planes(IMAGENET_STD, pictures) + _planes(IMAGENET_MEAN, pictures)
            pictures = 2 * rgb - 1
        return cast("list[Tensor]", self.network(pictures))


def _vgg() -> nn.Module:
    import timm

    try:
        vgg: Any = timm.create_model("vgg16_bn", pretrained=True)
    except Exception as error:  # whatever timm and its download raise: no network, no such file, a bad hash
        raise MissingError(
            "The weights of vgg16_bn cannot be fetched; give the override losses.extractor=tf_efficientnet_lite0."
        ) from error
    return _Taps(vgg.features[: VGG_FEATURES[-1] + 1])


class _Taps(nn.Module):
    """A sequence of layers that gives the outputs of VGG_FEATURES."""

    def __init__(self, layers: nn.Sequential) -> None:
        super().__init__()
        self.layers = layers

    def forward(self, maps: Tensor) -> list[Tensor]:
        taps = []
        for number, layer in enumerate(self.layers):
            maps = layer(maps)
            if number in VGG_FEATURES:
                taps.append(maps.clone())  # the next layer may work in place
        return taps


def feature_loss(
    extractor: Extractor | None, painted: Tensor, clean: Tensor, pixel: float, layers: Sequence[float]
) -> Tensor:
    """Johnson et al.'s perceptual loss (2016) with L1: `pixel` x pictures + `layers` x features, each a mean."""
    loss = pixel * functional.l1_loss(painted, clean)
    if extractor is not None:
        with torch.no_grad():
            wanted = extractor(clean)
        for weight, got, want in zip(layers, extractor(painted), wanted, strict=True):
            loss = loss + weight * functional.l1_loss(got, want)
    return loss


def consistency_loss(picture: Tensor, smaller: Tensor) -> Tensor:
    """Mean difference of the chroma of two renders of the same photo, compared at the size of the smaller."""
    red_green_blue = (part * _planes(IMAGENET_STD, part) for part in (picture, smaller))
    chroma, again = (chroma_of(part) for part in red_green_blue)
    shrunk = functional.interpolate(chroma, size=again.shape[2:], mode="bilinear", antialias=True)
    return functional.l1_loss(again, shrunk)


def bin_table(bins: Tensor) -> Tensor:
    """For every cell of the grid over a, b [23, 23] the number of its color bin, or of the nearest one."""
    axis = torch.arange(-REACH, REACH + 1, CELL, device=bins.device, dtype=bins.dtype)
    cells = torch.cartesian_prod(axis, axis)
    return torch.cdist(cells, bins).argmin(dim=1).view(len(axis), len(axis))


def spread(ab: Tensor, table: Tensor) -> tuple[Tensor, Tensor]:
    """The four bins [N, 4, h, w] around each color a, b [N, 2, h, w], and their bilinear shares."""
    place = ((ab + REACH) / CELL).clamp(0, table.shape[0] - 1.001)
    low = place.floor().long()
    a, b = torch.chunk(place - low, 2, dim=1)
    shares = torch.cat([(1 - a) * (1 - b), (1 - a) * b, a * (1 - b), a * b], dim=1)
    i, j = torch.chunk(low, 2, dim=1)
    cells = torch.cat([table[i, j], table[i, j + 1], table[i + 1, j], table[i + 1, j + 1]], dim=1)
    return cells, shares


def bin_loss(logits: Tensor, ab: Tensor, table: Tensor, log_weights: Tensor) -> Tensor:
    """Cross-entropy of logits [N, bins, h, w] with the spread colors a, b, each bin weighed by exp(log_weights)."""
    cells, shares = spread(ab, table)
    likely = functional.log_softmax(logits.float(), dim=1).gather(1, cells)
    return -(shares * log_weights.exp()[cells] * likely).sum(dim=1).mean()


def error_loss(painted: Tensor, clean: Tensor) -> Tensor:
    """Mean over photos of the log of the mean squared error in RGB: every photo counts alike, as in a mean of PSNRs."""
    squared = ((painted - clean) * _planes(IMAGENET_STD, clean)) ** 2
    return (squared.mean((1, 2, 3)) + NEAR_ENOUGH).log().mean()


def rebalancing(counts: Tensor, mix: float) -> Tensor:
    """Log weights that make rare colors count: 1 / ((1 - mix) p + mix / bins), of mean 1 under p, at most SURE.

    `counts` [bins] is how often each bin occurs (Zhang et al., 2016).
    """
    p = counts.double() / counts.sum()
    weights = 1 / ((1 - mix) * p + mix / len(p)).clamp(min=1e-12)
    return (weights / (p * weights).sum()).clamp(max=SURE).log().float()


def critic_loss(real: Tensor, generated: Tensor) -> Tensor:
    """Mean of the binary cross-entropies of the logits: real ones are to be 1, generated ones 0."""
    ones = functional.binary_cross_entropy_with_logits(real, torch.ones_like(real))
    zeros = functional.binary_cross_entropy_with_logits(generated, torch.zeros_like(generated))
    return (ones + zeros) / 2


def deceit_loss(generated: Tensor) -> Tensor:
    """How far the critic's logits of generated pictures are from calling them real."""
    return functional.binary_cross_entropy_with_logits(generated, torch.ones_like(generated))


def build_extractor(name: str, device: Any) -> Extractor | None:
    """The extractor of that name on `device`; None for 'none'."""
    return None if name == "none" else Extractor(name).to(device)
