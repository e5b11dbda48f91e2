"""Generators as training sees them: luma in, normalized picture out, whatever the network inside."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from vintage_colorizer.color import LUMA_OF_RGB, U_SCALE, V_SCALE
from vintage_colorizer.errors import MissingError, OptionError, WeightsError
from vintage_colorizer.files import atomically
from vintage_colorizer.networks.architectures import build_generator
from vintage_colorizer.networks.architectures.compact import (
    Compact,
    CompactContract,
    build_compact,
    load_compact,
    read_compact,
)
from vintage_colorizer.networks.architectures.contract import Contract, DeoldifyContract, chroma_of
from vintage_colorizer.training.losses import normalize
from vintage_colorizer.training.recipe import Generator

Parts = list[list[nn.Parameter]]


class Painter(nn.Module):
    """A generator that paints: `network` is what is trained and saved."""

    network: nn.Module

    def forward(self, luma: Tensor, bright: Tensor, hints: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Paint the degraded luma [N, 1, H, W]; `bright` is the clean one. Picture, and logits if there are any."""
        raise NotImplementedError

    def attainable(self, clean: Tensor) -> Tensor:
        """The best this network could paint of clean RGB 0..1 [N, 3, H, W]: what it and the critic are shown."""
        return clean

    def parts(self) -> list[list[nn.Module]]:
        """The modules of the encoder's shallow and deep half, and all others."""
        raise NotImplementedError

    def contract(self) -> Contract:
        """The network behind the contract of network files."""
        raise NotImplementedError

    def groups(self) -> Parts:
        """The parameters of each of `parts`."""
        return [[p for module in part for p in module.parameters()] for part in self.parts()]

    def freeze(self, frozen: bool, fixed: Sequence[bool] = ()) -> None:
        """Keep the encoder's weights as they are, batch norm aside; or train everything but the `fixed` groups."""
        self.requires_grad_(True)
        for group, keep in zip(self.groups(), fixed, strict=False):
            for parameter in group:
                parameter.requires_grad_(not keep)
        for module in [module for part in self.parts()[:-1] for top in part for module in top.modules()]:
            if frozen and not isinstance(module, nn.BatchNorm2d):
                for parameter in module.parameters(recurse=False):
                    parameter.requires_grad_(False)


class CompactPainter(Painter):
    """The compact network: its expected chroma, brought up by bicubic, on the clean luma."""

    def __init__(self, network: Compact, vividness: float) -> None:
        """Paint with `network` at `vividness`."""
        super().__init__()
        self.network: Compact = network
        self.vividness = vividness

    def forward(self, luma: Tensor, bright: Tensor, hints: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Paint; the logits are those over the color bins."""
        logits: Tensor = self.network(luma, hints)
        with torch.autocast(luma.device.type, enabled=False):
            chroma = self.network.chroma(bright.float(), logits.float(), self.vividness)
            return normalize(merge(bright, enlarge(chroma, bright))), logits

    def attainable(self, clean: Tensor) -> Tensor:
        """The photo with chroma no finer than the network's; a critic would else only look at sharpness."""
        chroma = functional.avg_pool2d(chroma_of(clean), self.network.stride)
        return merge(luma_of(clean), enlarge(chroma, clean)).clamp(0, 1)

    def parts(self) -> list[list[nn.Module]]:
        """The encoder is halved behind stride 8."""
        encoder = cast(Any, self.network.encoder)
        shallow = [encoder.conv_stem, encoder.bn1, *encoder.blocks[:3]]
        own = [module for name, module in self.network.named_children() if name != "encoder"]
        return [shallow, [*encoder.blocks[3:]], own]

    def contract(self) -> Contract:
        """The compact contract."""
        return CompactContract(self.network)


class DeoldifyPainter(Painter):
    """The original's networks, which paint the whole picture."""

    def __init__(self, network: nn.Module) -> None:
        """Paint with `network`."""
        super().__init__()
        self.network = network

    def forward(self, luma: Tensor, bright: Tensor, hints: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """Paint; there are no logits, and hints are not seen."""
        picture: Tensor = self.network(normalize(luma.expand(-1, 3, -1, -1)))
        return picture.float(), None

    def parts(self) -> list[list[nn.Module]]:
        """The encoder up to the second stage of the ResNet, its later stages, the rest."""
        encoder, *rest = cast("Sequence[nn.Module]", cast(Any, self.network).layers)
        children = list(encoder.children())
        return [children[:6], children[6:], list(rest)]

    def contract(self) -> Contract:
        """The original's contract."""
        return DeoldifyContract(self.network)


def build_painter(how: Generator) -> Painter:
    """The generator a recipe asks for, with the weights it is to start from.

    MissingError if ImageNet weights cannot be had, WeightsError if a file does not fit.
    """
    pretrained = how.start == "imagenet"
    if how.network != "compact":
        return DeoldifyPainter(_deoldify(how, pretrained))
    network = build_compact(pretrained, how.encoder, how.widths, how.hints, how.palette)
    if how.start not in ("imagenet", "none"):
        load_compact(network, read_compact(_file(how.start)))
    return CompactPainter(network, how.vividness)


def store(painter: Painter, path: Path) -> None:
    """Write the generator's weights as safetensors, which `generator.start` takes; the compact network's in float16."""
    from safetensors.torch import save

    half = isinstance(painter, CompactPainter)
    state = {
        key: (value.half() if half and value.is_floating_point() else value).cpu().contiguous()
        for key, value in painter.network.state_dict().items()
    }
    with atomically(path) as file:
        file.write(save(state))


def _deoldify(how: Generator, pretrained: bool) -> nn.Module:
    from safetensors.torch import load_file

    try:
        network = build_generator(how.network, pretrained)
    except OSError as error:  # what the download raises
        raise MissingError(
            f"The ImageNet weights of {how.network} cannot be fetched; give the override generator.start=none."
        ) from error
    if how.start not in ("imagenet", "none"):
        try:
            network.load_state_dict(load_file(_file(how.start)))
        except RuntimeError as error:
            raise WeightsError(f"{how.start} does not fit {how.network}: {str(error)[:200]}.") from None
    return network


def _file(path: str) -> Path:
    if not Path(path).is_file():
        raise OptionError(f"generator.start={path} is no file; give imagenet, none or a .safetensors file.")
    return Path(path)


def luma_of(rgb: Tensor) -> Tensor:
    """The luma [N, 1, H, W] of RGB [N, 3, H, W]."""
    red, green, blue = torch.chunk(rgb, 3, dim=1)
    return LUMA_OF_RGB[0] * red + LUMA_OF_RGB[1] * green + LUMA_OF_RGB[2] * blue


def merge(luma: Tensor, chroma: Tensor) -> Tensor:
    """RGB [N, 3, H, W] of luma [N, 1, H, W] and chroma [N, 2, H, W]; not clamped."""
    u, v = torch.chunk(chroma, 2, dim=1)
    red, blue = luma + v / V_SCALE, luma + u / U_SCALE
    return torch.cat([red, (luma - LUMA_OF_RGB[0] * red - LUMA_OF_RGB[2] * blue) / LUMA_OF_RGB[1], blue], dim=1)


def enlarge(chroma: Tensor, like: Tensor) -> Tensor:
    """Chroma brought up to the size of `like` by bicubic interpolation."""
    return functional.interpolate(chroma, size=like.shape[2:], mode="bicubic", align_corners=False)


def freeze_statistics(network: nn.Module) -> None:
    """Let batch norm use its stored statistics, and not change them, until `train` is called."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()
