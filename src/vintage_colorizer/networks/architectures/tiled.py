"""The original's generators, folded, arranged for ONNX Runtime: the large convolutions in tiles (see winograd)."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vintage_colorizer.networks.architectures.deoldify import DecoderBlock, Deoldify, Residual, encode
from vintage_colorizer.networks.architectures.layers import Upsampler
from vintage_colorizer.networks.architectures.torch_private import scan
from vintage_colorizer.networks.architectures.winograd import (
    SIDE,
    TILE,
    Map,
    convolve,
    convolve_tiles,
    span,
    tiles,
    transform,
    transforms,
)

STRIP = 32  # rows of the picture that the tail works on at a time


class TiledDeoldify(nn.Module):
    """A folded generator that computes the same in another way; it shares the weights of the one it is made from.

    The last two decoder blocks and the tail hold most of the work. The tail never has a map at full size: it is worked
    off in strips, each with what it needs of its neighbors.
    """

    def __init__(self, folded: Deoldify) -> None:
        """Arrange a generator that went through `fold`."""
        super().__init__()
        self.layers = folded.layers

    def forward(self, x: Tensor) -> Tensor:
        """Paint a normalized gray picture."""
        deep, skips = encode(self.layers[0], x)
        for layer in self.layers[1:4]:
            deep = layer(deep)
        third, second, first, stem = reversed(skips)
        deep = self.layers[5](self.layers[4](deep, third), second)
        quarter = _block(cast(DecoderBlock, self.layers[6]), deep, first, _size(x, 4))
        half = _block(cast(DecoderBlock, self.layers[7]), quarter.planes()[:, :-1], stem, _size(x, 2))
        return self.paint_tiles(half, x)

    def paint_tiles(self, deep: Map, x: Tensor) -> Tensor:
        """The tail at full size: the decoder's map of H/2 x W/2 and the input [N, 3, H, W] to color."""
        count, _, height, width = x.shape
        picture = Map.of(x, _size(x, 1))
        strips = _strips(deep, picture)
        inner, home = _inner_tiles(width), _home(width)
        residual = cast(Residual, self.layers[10])
        first, second = (cast(nn.Conv2d, unit.get_submodule("0")) for unit in residual.layers)
        filters, filters_again = transform(first, ones=True), transform(second)
        shuffle = _by_corner(cast(nn.Conv2d, cast(Upsampler, self.layers[8]).conv[0]))
        final = _matrix(cast(nn.Conv2d, cast(nn.Sequential, self.layers[11])[0]))

        before, after, _ = transforms()

        def step(carry: Tensor, index: tuple[Tensor, Tensor, Tensor, Tensor]) -> tuple[Tensor, Tensor]:
            half, blur, same, again = index
            shuffled = F.relu(deep.rows.index_select(0, half) @ shuffle.T).view(-1, shuffle.shape[0] // 4)
            corners = shuffled.index_select(0, blur).view(4, -1)
            blurred = (torch.full((1, 4), 0.25) @ corners).view(-1, shuffled.shape[1])
            joined = torch.cat([blurred, picture.rows.index_select(0, same)], dim=1)
            once = convolve_tiles(joined, inner, filters, before, after)
            twice = convolve_tiles(once, again, filters_again, before, after)
            return carry.clone(), twice @ final[:, :-1].T + (joined @ final.T).index_select(0, home)

        _, painted = scan(step, torch.zeros(1), strips)
        squares = painted.view(count, -1, TILE, TILE, STRIP // TILE, tiles(width), 3)
        upright = squares.permute(0, 6, 1, 4, 2, 5, 3).reshape(count, 3, -1, width)[:, :, :height]
        return 6 * torch.sigmoid(upright) - 3


def _block(block: DecoderBlock, x: Tensor, skip: Tensor, size: tuple[int, int, int]) -> Map:
    """What a decoder block without attention does, as a map with a last channel of ones."""
    joined = Map.of(F.relu(torch.cat([block.shuf(x), block.bn(skip)], dim=1)), size)
    norm = None
    for name in block.names:
        conv, _, following = cast(nn.Sequential, block.get_submodule(name))
        joined = convolve(joined, transform(cast(nn.Conv2d, conv), norm, ones=True))
        norm = following
    return joined


def _strips(deep: Map, picture: Map) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """What the steps of each strip read, as rows: of `deep`, to blur, of `picture`, and of the first convolution.

    The second convolution reaches one row beyond a strip, the first one two, the blur three above. Of each, the last is
    a row of zeros for what comes next.
    """
    count, height, width = picture.size
    each = (height + STRIP - 1) // STRIP
    image = span(count, 2, 0).expand(-1, each).reshape(-1, 1, 1, 1)
    top = STRIP * span(each, 2, 1).expand(count, -1).reshape(-1, 1, 1, 1)
    halved = (top // 2 - 2 + span(STRIP // 2 + 3, 4, 1)).clamp(0, height // 2 - 1)
    half = deep.index(image, halved, span(width // 2, 4, 2)).flatten(1)
    same = picture.index(image, top - 2 + span(STRIP + 4, 4, 2), span(width, 4, 3)).flatten(1)
    blur, again = _corners(top, height, width), _again(top, height, width)
    return _and(half, deep.outside), blur, _and(same, picture.outside), again


def _corners(top: Tensor, height: int, width: int) -> Tensor:
    """The rows of a shuffled strip whose mean is the blur: four a pixel, those at the upper and left edge repeated."""
    corner, y, x = span(4, 4, 1), top - 2 + span(STRIP + 4, 4, 2), span(width, 4, 3)
    above, left = (y - corner // 2).clamp(min=0), (x - corner % 2).clamp(min=0)
    pixel = ((above // 2 - top // 2 + 2) * (width // 2) + left // 2) * 4 + above % 2 * 2 + left % 2
    zero = (STRIP // 2 + 3) * (width // 2) * 4
    blur = torch.where((y >= 0) & (y < height), pixel, zero).flatten(2)
    return _and(blur, zero).flatten(1)


def _inner_tiles(width: int) -> Tensor:
    """The rows of a strip that the first convolution's tiles see, and one tile more that is zero."""
    y = TILE * span(STRIP // TILE + 1, 4, 2) + span(SIDE, 4, 0)
    x = TILE * span(tiles(width), 4, 3) + span(SIDE, 4, 1) - 1
    inside = (y < STRIP + 4) & (x >= 0) & (x < width)
    zero = (STRIP + 4) * width
    index = torch.where(inside, y * width + x, zero).flatten(0, 1).flatten(1)
    return _and(index, zero).flatten()


def _again(top: Tensor, height: int, width: int) -> Tensor:
    """The rows of the first convolution's result in a strip that the second one's tiles see."""
    y = TILE * span(STRIP // TILE, 5, 3) + span(SIDE, 5, 1)
    x = TILE * span(tiles(width), 5, 4) + span(SIDE, 5, 2) - 1
    first = (STRIP // TILE + 1) * tiles(width)
    place = (y % TILE * TILE + x % TILE) * (first + 1) + y // TILE * tiles(width) + x // TILE
    row = top.unsqueeze(4) - 1 + y
    inside = (row >= 0) & (row < height) & (x >= 0) & (x < width)
    return torch.where(inside, place, first).flatten(1)


def _home(width: int) -> Tensor:
    """The rows of a strip in the order of the second convolution's result."""
    y = TILE * span(STRIP // TILE, 4, 2) + span(TILE, 4, 0) + 2
    return (y * width + TILE * span(tiles(width), 4, 3) + span(TILE, 4, 1)).flatten()


def _and(index: Tensor, row: int) -> Tensor:
    """The index with one more row along its last axis."""
    return torch.cat([index, row + torch.zeros_like(index[..., :1])], dim=-1)


def _by_corner(conv: nn.Conv2d) -> Tensor:
    """A shuffle's 1x1 convolution as a matrix with bias, the channels of one corner of the 2x2 square together."""
    matrix = _matrix(conv)
    return matrix.view(-1, 4, matrix.shape[1]).transpose(0, 1).flatten(0, 1)


def _matrix(conv: nn.Conv2d) -> Tensor:
    """A 1x1 convolution as a matrix whose last column is the bias."""
    assert conv.bias is not None
    return torch.cat([conv.weight[:, :, 0, 0], conv.bias.unsqueeze(1)], dim=1)


def _size(x: Tensor, stride: int) -> tuple[int, int, int]:
    """N, H, W of the maps at a stride. Taken from the input they stay simple, which export needs to be quick."""
    return x.shape[0], x.shape[2] // stride, x.shape[3] // stride
