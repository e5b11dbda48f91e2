"""The networks as torch modules: the original's generators and critic, and our compact network.

    build_generator("artistic")   ResNet-34 encoder, deep decoder (the original)
    build_generator("stable")     ResNet-101 encoder, wide decoder (the original)
    build_generator("video")      the same network as stable, trained for films
    build_generator("compact")    ours
    build_critic()                the original's patch critic

Its modules need torch (the `train` extra) and import nothing else of the package but its errors.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vintage_colorizer.errors import OptionError

if TYPE_CHECKING:
    from torch import nn

    from vintage_colorizer.networks.architectures.contract import Contract

GENERATORS = ("artistic", "stable", "video", "compact")


def build_generator(name: str, pretrained: bool = False) -> nn.Module:
    """Build an untrained generator by name; `pretrained` starts its encoder from ImageNet weights.

    Raises OptionError for a name not in `GENERATORS`.
    """
    if name == "compact":
        from vintage_colorizer.networks.architectures.compact import build_compact

        return build_compact(pretrained)
    if name in GENERATORS:
        from vintage_colorizer.networks.architectures import deoldify

        return deoldify.BUILDERS[name](pretrained)
    raise OptionError(f"there is no generator '{name}'; choose one of {', '.join(GENERATORS)}")


def build_critic(features: int = 256) -> nn.Module:
    """Build the original's critic: RGB [N, 3, H, W], normalized, to logits [N, positions] (above 0: real)."""
    from vintage_colorizer.networks.architectures.critic import Critic

    return Critic(features)


def build_contract(architecture: str) -> Contract:
    """Build the contract wrapper that runs the weights of a network file of this architecture, still empty.

    Raises OptionError for an architecture that is not known.
    """
    import torch

    from vintage_colorizer.networks.architectures.contract import DeoldifyContract
    from vintage_colorizer.networks.architectures.deoldify import Deoldify
    from vintage_colorizer.networks.architectures.fold import fold

    with torch.device("meta"):
        generator = build_generator(architecture)
        if not isinstance(generator, Deoldify):
            raise OptionError(f"The torch engine cannot run {architecture}; leave out --engine.")
        generator = fold(generator)
    return DeoldifyContract(generator).eval()
