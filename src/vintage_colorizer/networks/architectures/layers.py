"""Layers that the original's generators and critic share.

The names of parameters and buffers are those of the original's published files, which is why normalizations are
the old style ones that keep `weight_orig`, `weight_u`, `weight_v` and `weight_g` beside the convolution.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import spectral_norm


def spectral_conv(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, bias: bool = False) -> nn.Module:
    """A convolution with spectral normalization (Miyato et al. 2018) that keeps the size at stride 1."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=(kernel - 1) // 2, bias=bias)
    return spectral_norm(_initialized(conv))


def conv_unit(inputs: int, outputs: int) -> nn.Sequential:
    """3x3 convolution, ReLU, batch norm: in this order."""
    return nn.Sequential(spectral_conv(inputs, outputs), nn.ReLU(), nn.BatchNorm2d(outputs))


class SelfAttention(nn.Module):
    """Self-attention over all positions of a map (SAGAN, Zhang et al. 2019), added with a learned weight `gamma`.

    As in the original, the scores are not scaled and it is `key` that plays the query's part: position j
    gets the values weighted by softmax over i of query_i . key_j. With `blocks` > 1 that many groups of
    positions j are worked off one after the other: the same result in a fraction of the memory.
    """

    def __init__(self, channels: int) -> None:
        """Attention on [N, channels, H, W]; starts as the identity."""
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1))
        self.query = _projection(channels, channels // 8)
        self.key = _projection(channels, channels // 8)
        self.value = _projection(channels, channels)
        self.blocks = 1

    def forward(self, x: Tensor) -> Tensor:
        """Attend: [N, C, H, W] to the same."""
        flat = x.flatten(2)
        query, key, value = self.query(flat).transpose(1, 2), self.key(flat), self.value(flat)
        size = (flat.shape[2] + self.blocks - 1) // self.blocks
        key = F.pad(key, (0, size * self.blocks - flat.shape[2]))  # blocks of one size; what is padded is cut off
        parts = [key[:, :, i * size : (i + 1) * size] for i in range(self.blocks)]
        attended = torch.cat([value @ torch.softmax(query @ part, dim=1) for part in parts], dim=2)
        attended = attended[:, :, : flat.shape[2]]
        return (self.gamma * attended + flat).view_as(x)


class Upsampler(nn.Module):
    """1x1 convolution, ReLU, pixel shuffle to twice the size, and a 2x2 mean against checkerboards.

    Shi et al. 2016, with the initialization and the blur of Aitken et al. 2017 and Sugawara et al. 2018.
    """

    def __init__(self, inputs: int, outputs: int, weight_normed: bool = False) -> None:
        """Spectral norm and batch norm, or, `weight_normed`, weight norm and a bias."""
        super().__init__()
        if weight_normed:
            self.conv = nn.Sequential(WeightNormConv(inputs, 4 * outputs), nn.ReLU())
        else:
            conv = nn.Conv2d(inputs, 4 * outputs, 1, bias=False)
            _initialize_shuffle(conv.weight)
            self.conv = nn.Sequential(spectral_norm(conv), nn.BatchNorm2d(4 * outputs), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """[N, inputs, H, W] to [N, outputs, 2H, 2W]."""
        x = F.pixel_shuffle(self.conv(x), 2)
        blurred: Tensor = F.avg_pool2d(F.pad(x, (1, 0, 1, 0), mode="replicate"), 2, stride=1)
        return blurred


class WeightNormConv(nn.Module):
    """1x1 convolution with bias whose filters have a learned length (Salimans and Kingma 2016)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        """Filters start at the same length they would have without the norm."""
        super().__init__()
        direction = torch.empty(outputs, inputs, 1, 1)
        _initialize_shuffle(direction)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.weight_g = nn.Parameter(direction.norm(dim=1, keepdim=True))
        self.weight_v = nn.Parameter(direction)

    @property
    def weight(self) -> Tensor:
        """The effective filters [outputs, inputs, 1, 1]."""
        return self.weight_g * F.normalize(self.weight_v, dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """[N, inputs, H, W] to [N, outputs, H, W]."""
        return F.conv2d(x, self.weight, self.bias)


def _projection(inputs: int, outputs: int) -> nn.Module:
    return spectral_norm(_initialized(nn.Conv1d(inputs, outputs, 1, bias=False)))


def _initialized(conv: nn.Conv1d | nn.Conv2d) -> nn.Conv1d | nn.Conv2d:
    nn.init.kaiming_normal_(conv.weight)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)
    return conv


@torch.no_grad()
def _initialize_shuffle(weight: Tensor) -> None:
    """ICNR: the four filters that become one 2x2 square start equal, so the upsampled map starts smooth."""
    outputs, inputs = weight.shape[:2]
    quarter = nn.init.kaiming_normal_(torch.empty(outputs // 4, inputs, 1, 1, device=weight.device))
    weight.copy_(quarter.repeat_interleave(4, dim=0))
