"""3x3 convolutions with a quarter of the multiplications: Winograd's minimal filtering.

Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks" (CVPR 2016), F(4x4, 3x3): each tile of 4x4 results
comes from 6x6 inputs. Tile and filter are brought to 36 values each, these are multiplied one by one, summed over the
channels (36 products of matrices, where a plain convolution multiplies 144 times), and the sums are brought back. The
transforms are exact but for rounding, which they amplify: in float32 a result is off by some 1e-6 of the largest one.

It is written for ONNX Runtime, which has no such convolution: a map is rows of channels, so that each step is a copy of
whole rows or one large product. In torch itself the plain convolution is as fast.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vintage_colorizer.networks.architectures.torch_private import scan

TILE = 4  # results on a tile's side
SIDE = TILE + 2  # inputs on a tile's side
CHUNK = 512  # tiles at a time: what is in the making stays within some tens of MB
POINTS = (0, 1, -1, 2, -2)  # where the polynomials behind the transforms are evaluated, and at infinity


@dataclass(frozen=True)
class Map:
    """N maps of H x W pixels, multiples of 4, as `rows` [R, C]; the last row is zero, as is everything outside.

    With a `chunk` the rows lie as `convolve` leaves them: chunks of that many tiles, in each the first pixels of all
    tiles, the second pixels, and so on. Without one they lie as in a picture.
    """

    rows: Tensor
    size: tuple[int, int, int]
    chunk: int = 0

    @classmethod
    def of(cls, planes: Tensor, size: tuple[int, int, int]) -> Map:
        """The map of planes [N, C, H, W], with a last channel of ones added; `size` is their N, H, W."""
        planes = torch.cat([planes, torch.ones_like(planes[:, :1])], dim=1)
        return cls(F.pad(planes.permute(0, 2, 3, 1).flatten(0, 2), (0, 0, 0, 1)), size)

    @property
    def outside(self) -> int:
        """The row that is zero."""
        return self.rows.shape[0] - 1

    def index(self, image: Tensor, y: Tensor, x: Tensor) -> Tensor:
        """The rows of pixels, or of `outside`; the arguments broadcast."""
        _, height, width = self.size
        place = (image * height + y) * width + x
        if self.chunk:
            tile = (image * tiles(height) + y // TILE) * tiles(width) + x // TILE
            first = tile // self.chunk * (TILE * TILE * self.chunk) + tile % self.chunk
            place = first + (y % TILE * TILE + x % TILE) * self.chunk
        inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
        return torch.where(inside, place, self.outside)

    def planes(self) -> Tensor:
        """Back to [N, C, H, W]."""
        count, height, width = self.size
        pixels = self.index(span(count, 3, 0), span(height, 3, 1), span(width, 3, 2))
        picked = self.rows.index_select(0, pixels.flatten())
        return picked.view(count, height, width, -1).permute(0, 3, 1, 2)


def convolve(source: Map, filters: Tensor) -> Map:
    """A 3x3 convolution of a map, zero padded, and ReLU; `filters` [36, C, K] are those of `transform`."""
    count, height, width = source.size
    y = TILE * span(tiles(height), 5, 3) + span(SIDE, 5, 0) - 1
    x = TILE * span(tiles(width), 5, 4) + span(SIDE, 5, 1) - 1
    index = source.index(span(count, 5, 2), y, x).flatten(0, 1).flatten(1)
    total = index.shape[1]
    chunks = total // CHUNK + 1  # one tile more at least, all outside: it makes the result's rows of zeros
    beyond = source.outside + torch.zeros(SIDE * SIDE, chunks * CHUNK - total, dtype=torch.int64)
    index = torch.cat([index, beyond], dim=1).view(SIDE * SIDE, chunks, CHUNK).transpose(0, 1).flatten(1)

    before, after, _ = transforms()

    def step(carry: Tensor, index: Tensor) -> tuple[Tensor, Tensor]:
        return carry.clone(), convolve_tiles(source.rows, index, filters, before, after)

    _, rows = scan(step, torch.zeros(1), index)
    return Map(rows.flatten(0, 1), source.size, CHUNK)


def convolve_tiles(rows: Tensor, index: Tensor, filters: Tensor, before: Tensor, after: Tensor) -> Tensor:
    """Convolution and ReLU of T tiles: `index` [36 T] names the rows of their inputs; gives [16 T, K].

    `before` and `after` are the first two of `transforms`.
    """
    _, inputs, outputs = filters.shape
    tile = rows.index_select(0, index).view(SIDE * SIDE, -1)
    product = (before @ tile).view(SIDE * SIDE, -1, inputs) @ filters
    return F.relu(after @ product.view(SIDE * SIDE, -1)).view(-1, outputs)


def transform(conv: nn.Conv2d, norm: nn.Module | None = None, ones: bool = False) -> Tensor:
    """The filters [36, C + 1, K] of a 3x3 convolution, or, with `ones`, [36, C + 1, K + 1].

    The last channel of the input is one in the picture and zero outside. It carries the bias, and the shift
    of a batch norm `norm` in front of the convolution; with `ones` it is handed on as the last channel of the result.
    """
    weight = conv.weight
    constant = weight.new_zeros(weight.shape[0], 1, 3, 3)
    if isinstance(norm, nn.BatchNorm2d):
        scale, shift = affine(norm)
        constant = (weight * shift.view(1, -1, 1, 1)).sum(dim=1, keepdim=True)
        weight = weight * scale.view(1, -1, 1, 1)
    if conv.bias is not None:
        constant = constant + F.pad(conv.bias.view(-1, 1, 1, 1), (1, 1, 1, 1))
    weight = torch.cat([weight, constant], dim=1)
    if ones:
        same = F.pad(weight.new_ones(1, 1, 1, 1), (1, 1, 1, 1, conv.in_channels, 0))
        weight = torch.cat([weight, same], dim=0)
    outputs, inputs = weight.shape[:2]
    return (transforms()[2] @ weight.permute(2, 3, 1, 0).reshape(9, -1)).view(SIDE * SIDE, inputs, outputs)


def affine(norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Scale and shift of a batch norm at inference."""
    assert norm.running_var is not None and norm.running_mean is not None
    scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
    return scale, norm.bias - norm.running_mean * scale


def transforms() -> tuple[Tensor, Tensor, Tensor]:
    """The matrices for flattened squares: of the inputs [36, 36], of the results [16, 36], of the filters [36, 9]."""
    inputs, results, filters = [], [], []
    for point in POINTS:
        others = [other for other in POINTS if other != point]
        inputs.append([*_with_roots(others), 0])
        results.append([point**power for power in range(TILE)])
        filters.append([point**power / math.prod(point - other for other in others) for power in range(3)])
    inputs.append(_with_roots(POINTS))
    results.append([0] * (TILE - 1) + [1])
    filters.append([0, 0, 1])
    one_dimension = (torch.tensor(matrix, dtype=torch.float32) for matrix in (inputs, results, filters))
    before, after, across = (torch.kron(matrix, matrix) for matrix in one_dimension)
    return before, after.T.contiguous(), across


def _with_roots(roots: tuple[int, ...] | list[int]) -> list[int]:
    """The coefficients, lowest power first, of the polynomial with these roots."""
    coefficients = [1]
    for root in roots:
        coefficients = [a - root * b for a, b in zip([0, *coefficients], [*coefficients, 0], strict=True)]
    return coefficients


def span(length: int, dimensions: int, axis: int) -> Tensor:
    """0, 1, 2, ... along one of several axes, ready to broadcast."""
    return torch.arange(length).view([-1 if i == axis else 1 for i in range(dimensions)])


def tiles(length: int) -> int:
    """How many tiles a side has."""
    return length // TILE
