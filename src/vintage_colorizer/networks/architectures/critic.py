"""The original's critic: says for overlapping patches of a picture whether they look real or generated."""

from __future__ import annotations

from torch import nn
from torch.nn.utils import spectral_norm

from vintage_colorizer.networks.architectures.layers import SelfAttention, spectral_conv


class Critic(nn.Sequential):
    """RGB [N, 3, H, W], ImageNet-normalized, to logits [N, positions]; above 0 means real.

    Each halving of the size doubles the channels; 192 x 192 gives 9 x 9 logits. H and W are 64 at least.
    """

    def __init__(self, features: int = 256, rounds: int = 3, dropout: float = 0.15) -> None:
        """`features` channels after the first layer, doubled in each of `rounds`."""
        layers: list[nn.Module] = [_unit(3, features, kernel=4, stride=2), nn.Dropout2d(dropout / 2)]
        for i in range(rounds):
            halve = _unit(features, 2 * features, kernel=4, stride=2)
            if i == 0:
                halve.append(SelfAttention(2 * features))
            layers += [_unit(features, features), nn.Dropout2d(dropout), halve]
            features *= 2
        score = nn.Conv2d(features, 1, 4, bias=False)
        layers += [_unit(features, features), nn.Sequential(spectral_norm(score)), nn.Flatten()]
        super().__init__(*layers)


def _unit(inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(spectral_conv(inputs, outputs, kernel, stride, bias=True), nn.LeakyReLU(0.2))
