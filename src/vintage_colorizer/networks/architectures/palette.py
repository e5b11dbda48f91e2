"""Two parts that a compact network can grow: ways in for hints of color, and a palette of the whole picture.

Both begin with a layer of zeros at their end, so a trained network that gets them is at first the network it was.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

HINT_WIDTH = 64
CHROMA_SCALE = 5.0  # brings chroma to about the size of the features
QUERY_WIDTH = 128


class HintWays(nn.Module):
    """Turns hints into what is added to the features of each stride; no convolution has a bias, so no hint adds 0."""

    def __init__(self, widths: Sequence[int]) -> None:
        """Build for features of `widths` channels, from stride 32 on, each stride half the one before."""
        super().__init__()
        self.read = nn.ModuleList(nn.Conv2d(3, HINT_WIDTH, 3, padding=1, bias=False) for _ in widths)
        self.write = nn.ModuleList(nn.Conv2d(HINT_WIDTH, width, 1, bias=False) for width in widths)
        for weight in self.write.parameters():
            nn.init.zeros_(weight)

    def forward(self, hints: Tensor) -> list[Tensor]:
        """Of hints [N, 3, h, w] at the last stride: what to add [N, width, h', w'] at every stride."""
        sides = [1 << step for step in reversed(range(len(self.read)))]
        return [
            write(functional.relu(read(pool_hints(hints, side))))
            for side, read, write in zip(sides, self.read, self.write, strict=True)
        ]


def pool_hints(hints: Tensor, side: int) -> Tensor:
    """Hints [N, 3, h, w] over cells of `side`: the mean color by sureness, at the greatest sureness of the cell."""
    if side > 1:
        sure = functional.max_pool2d(hints[:, 2:], side)
        mean = functional.avg_pool2d(hints, side)
        hints = torch.cat([mean[:, :2] / mean[:, 2:].clamp(min=1e-6) * sure, sure], dim=1)
    return hints * hints.new_tensor([CHROMA_SCALE, CHROMA_SCALE, 1.0]).view(1, 3, 1, 1)


class Palette(nn.Module):
    """Queries look over the picture at three strides; each pixel mixes the distributions over bins they come to.

    After the color decoder of DDColor (Kang et al., 2023), whose queries stand for colors and not for bins.
    """

    def __init__(self, widths: Sequence[int], queries: int, bins: int) -> None:
        """Build for features of `widths` channels, the last of them those of the pixels."""
        super().__init__()
        self.queries = nn.Parameter(torch.randn(1, queries, QUERY_WIDTH))
        self.looks = nn.ModuleList(Look(width) for width in widths[:-1])
        self.norm = nn.LayerNorm(QUERY_WIDTH)
        self.pixels = nn.Conv2d(widths[-1], QUERY_WIDTH, 1)
        self.colors = nn.Linear(QUERY_WIDTH, bins, bias=False)
        nn.init.zeros_(self.colors.weight)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """What to add to the logits [N, bins, h, w], from features [N, width, h', w'], deep to shallow."""
        queries = self.queries.expand(maps[0].shape[0], -1, -1)  # not len(): the exporter would fix the number
        for look, seen in zip(self.looks, maps, strict=False):
            queries = look(queries, seen)
        queries = self.norm(queries)
        pixels = self.pixels(maps[-1])
        shares = queries @ pixels.flatten(2) * QUERY_WIDTH**-0.5
        mixed: Tensor = self.colors(queries).transpose(1, 2) @ shares
        return mixed.view(*mixed.shape[:2], *pixels.shape[2:])


class Look(nn.Module):
    """One look of the queries at a map: cross-attention, attention among themselves, a small network."""

    heads = 4

    def __init__(self, width: int) -> None:
        """Build for a map of `width` channels."""
        super().__init__()
        self.keys = nn.Conv2d(width, 2 * QUERY_WIDTH, 1)
        self.ask, self.told = nn.Linear(QUERY_WIDTH, QUERY_WIDTH), nn.Linear(QUERY_WIDTH, QUERY_WIDTH)
        self.among, self.agreed = nn.Linear(QUERY_WIDTH, 3 * QUERY_WIDTH), nn.Linear(QUERY_WIDTH, QUERY_WIDTH)
        self.think = nn.Sequential(
            nn.Linear(QUERY_WIDTH, 2 * QUERY_WIDTH), nn.ReLU(), nn.Linear(2 * QUERY_WIDTH, QUERY_WIDTH)
        )
        self.norms = nn.ModuleList(nn.LayerNorm(QUERY_WIDTH) for _ in range(3))

    def forward(self, queries: Tensor, maps: Tensor) -> Tensor:
        """Change queries [N, K, D] by what they find in maps [N, C, h, w]."""
        key, value = self.keys(maps).flatten(2).transpose(1, 2).chunk(2, dim=2)
        queries = queries + self.told(self._attend(self.ask(self.norms[0](queries)), key, value))
        own = self.among(self.norms[1](queries)).chunk(3, dim=2)
        queries = queries + self.agreed(self._attend(*own))
        changed: Tensor = queries + self.think(self.norms[2](queries))
        return changed

    def _attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        query, key, value = (part.view(*part.shape[:2], self.heads, -1).transpose(1, 2) for part in (query, key, value))
        return functional.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
