"""The original's three generators: U-Nets on a ResNet encoder, self-attention in the middle of the decoder.

One definition; `artistic` (ResNet-34, deep decoder) and `stable` and `video` (ResNet-101, wide decoder) only differ in
its parameters. The names of parameters are those of the published files (Antic, DeOldify, 2019).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn

from vintage_colorizer.networks.architectures.layers import SelfAttention, Upsampler, conv_unit, spectral_conv

# One row a decoder block: channels of the upsampled map, and of its convolutions.
Plan = Sequence[tuple[int, tuple[int, ...]]]

HALO = 2  # rows of the half-size map that two 3x3 convolutions and the blur reach over, rounded up
SKIPS = (2, 4, 5, 6)  # the encoder's children whose maps the decoder sees: stem, stages 1, 2, 3


def artistic(pretrained: bool = False) -> Deoldify:
    """ResNet-34 with the deep decoder: two convolutions a block, 1.5 times as wide as what comes in."""
    return Deoldify("resnet34", (512, 256, 128, 64, 64), _deep_plan(512, (256, 128, 64, 64), 1.5), pretrained)


def stable(pretrained: bool = False) -> Deoldify:
    """ResNet-101 with the wide decoder: one convolution a block, of twice 256 channels."""
    return Deoldify("resnet101", (2048, 1024, 512, 256, 64), _wide_plan(4, 2), pretrained)


def video(pretrained: bool = False) -> Deoldify:
    """The network of `stable`; its published weights are trained for films."""
    return stable(pretrained)


class DecoderBlock(nn.Module):
    """Brings a map to twice its size, joins it with the encoder's map of that size, and convolves."""

    def __init__(self, inputs: int, skip: int, up: int, widths: tuple[int, ...], attention: bool) -> None:
        """`up` channels from below and `skip` from the encoder; one or two convolutions of `widths`."""
        super().__init__()
        self.shuf = Upsampler(inputs, up)
        self.bn = nn.BatchNorm2d(skip)
        self.names = ("conv",) if len(widths) == 1 else tuple(f"conv{i + 1}" for i in range(len(widths)))
        channels = up + skip
        for name, width in zip(self.names, widths, strict=True):
            self.add_module(name, conv_unit(channels, width))
            channels = width
        if attention:
            self.last_unit.append(SelfAttention(channels))

    @property
    def last_unit(self) -> nn.Sequential:
        """The last convolution with what belongs to it."""
        return cast(nn.Sequential, self.get_submodule(self.names[-1]))

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """[N, inputs, h, w] and the encoder's [N, skip, H, W] to [N, widths[-1], H, W]."""
        # The original resizes to the skip's size by nearest neighbor. As h = ceil(H / 2), that is this crop.
        up = self.shuf(x)[:, :, : skip.shape[2], : skip.shape[3]]
        x = F.relu(torch.cat([up, self.bn(skip)], dim=1))
        for name in self.names:
            x = self.get_submodule(name)(x)
        return x


class Residual(nn.Module):
    """Two 3x3 convolutions with ReLU, added to what came in."""

    def __init__(self, channels: int) -> None:
        """A block on [N, channels, H, W]."""
        super().__init__()
        units = (nn.Sequential(spectral_conv(channels, channels, bias=True), nn.ReLU()) for _ in range(2))
        self.layers = nn.Sequential(*units)

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, H, W] to the same."""
        residual: Tensor = self.layers(x)
        return residual + x


class Deoldify(nn.Module):
    """A generator: [N, 3, H, W], ImageNet-normalized and gray, to [N, 3, H, W] in normalized color, -3 to 3.

    H and W are even, in practice multiples of 16.
    """

    def __init__(self, encoder: str, channels: Sequence[int], plan: Plan, pretrained: bool = False) -> None:
        """`channels` are those of the torchvision `encoder`'s maps, deepest first; `plan` is the decoder."""
        super().__init__()
        self.strips = 1
        bottom, *skips = channels
        middle = nn.Sequential(conv_unit(bottom, 2 * bottom), conv_unit(2 * bottom, bottom))
        blocks: list[nn.Module] = []
        inputs = bottom
        for i, (skip, (up, widths)) in enumerate(zip(skips, plan, strict=True)):
            blocks.append(DecoderBlock(inputs, skip, up, widths, attention=i == 1))
            inputs = widths[-1]
        self.layers = nn.ModuleList(
            [
                _encoder(encoder, pretrained),
                nn.BatchNorm2d(bottom),
                nn.ReLU(),
                middle,
                *blocks,
                Upsampler(inputs, inputs, weight_normed=True),
                nn.Identity(),  # where the original joins the input
                Residual(inputs + 3),
                nn.Sequential(spectral_conv(inputs + 3, 3, kernel=1, bias=True)),
            ]
        )

    def forward(self, x: Tensor) -> Tensor:
        """Paint a normalized gray picture."""
        deep, skips = encode(self.layers[0], x)
        for layer in self.layers[1:4]:
            deep = layer(deep)
        for block, skip in zip(self.layers[4:8], reversed(skips), strict=True):
            deep = block(deep, skip)
        return self.paint(deep, x)

    def paint(self, deep: Tensor, x: Tensor) -> Tensor:
        """The tail at full size: the decoder's map [N, C, H/2, W/2] and the input [N, 3, H, W] to color.

        In `strips`, each computed with a halo of rows that is cut off again: at full size a map is big.
        """
        strips = min(self.strips, deep.shape[2] // HALO)  # none thinner than its halo
        step, last = deep.shape[2] // strips, strips - 1
        painted = []
        for i in range(strips):
            above, below = HALO if i else 0, HALO if i < last else 0
            top, bottom = i * step - above, (i + 1) * step + below
            strip = self._paint(deep[:, :, top:bottom], x[:, :, 2 * top : 2 * bottom])
            painted.append(strip[:, :, 2 * above : 2 * (above + step)])
        return torch.cat(painted, dim=2)

    def _paint(self, deep: Tensor, x: Tensor) -> Tensor:
        full = torch.cat([self.layers[8](deep), x], dim=1)
        return 6 * torch.sigmoid(self.layers[11](self.layers[10](full))) - 3


def encode(encoder: nn.Module, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    """The encoder's last map and the four that the decoder sees, largest first."""
    skips = []
    for i, child in enumerate(encoder.children()):
        x = child(x)
        if i in SKIPS:
            skips.append(x)
    return x, skips


def _encoder(name: str, pretrained: bool) -> nn.Sequential:
    """A torchvision ResNet without its pooling and classifier."""
    resnet = getattr(torchvision.models, name)(weights="IMAGENET1K_V1" if pretrained else None)
    return nn.Sequential(*list(resnet.children())[:-2])


def _deep_plan(bottom: int, skips: Sequence[int], factor: float) -> Plan:
    plan, inputs = [], bottom
    for i, skip in enumerate(skips):
        joined = inputs // 2 + skip
        width = int((joined // 2 if i == len(skips) - 1 else joined) * factor)
        plan.append((inputs // 2, (width, width)))
        inputs = width
    return plan


def _wide_plan(blocks: int, factor: int) -> Plan:
    width = 256 * factor
    return [(width, (width,))] * (blocks - 1) + [(width // 2, (width // 2,))]


BUILDERS = {"artistic": artistic, "stable": stable, "video": video}
