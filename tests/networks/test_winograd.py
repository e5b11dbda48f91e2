"""Convolutions in tiles are convolutions, at any size, with whatever stands in front of them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

torch = pytest.importorskip("torch")

from torch import Tensor, nn  # noqa: E402
from torch.nn import functional as F  # noqa: E402

from vintage_colorizer.networks.architectures.winograd import CHUNK, Map, convolve, transform, transforms  # noqa: E402

pytestmark = pytest.mark.long


@pytest.fixture(autouse=True)
def fresh_compiler() -> Iterator[None]:
    """Outside of an export `scan` compiles its step for each shape; without this a limit on their number is met."""
    torch.manual_seed(0)
    yield
    torch._dynamo.reset()


def assert_near(ours: Tensor, exact: Tensor) -> None:
    """Equal but for 1,000 roundings at the scale of the largest value: tiles of 4 x 4 cost about 100 in float32."""
    assert float((ours - exact).abs().max()) <= 1000 * 2.0**-24 * float(exact.abs().max())


@pytest.mark.parametrize("seed", range(20))
def test_a_tile_of_one_channel(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    tile, weight = torch.randn(6, 6, generator=generator), torch.randn(3, 3, generator=generator)
    before, after, across = transforms()
    ours = after @ ((before @ tile.flatten()) * (across @ weight.flatten()))
    exact = F.conv2d(tile.double()[None, None], weight.double()[None, None]).flatten()
    # Higham's bound for sums of 36, 9 and 36 products in any order, with or without fused multiply-add: each rounding
    # is at most half a unit in the last place of what is added up in absolute values.
    largest = after.abs() @ ((before.abs() @ tile.flatten().abs()) * (across.abs() @ weight.flatten().abs()))
    roundings = 36 + 9 + 36 + 2  # and the product between, and the constants of `across` themselves
    assert bool(((ours - exact).abs() <= roundings * 2.0**-24 * largest).all())


def test_transforms_are_those_of_the_paper() -> None:
    before, after, across = (matrix.double() for matrix in transforms())
    assert (before.shape, after.shape, across.shape) == ((36, 36), (16, 36), (36, 9))
    assert after[0].tolist() == [1, 1, 1, 1, 1, 0] * 5 + [0] * 6
    assert before[0, :6].tolist() == [16, 0, -20, 0, 4, 0]
    assert across[0].tolist() == [1 / 16] + [0] * 8


@pytest.mark.parametrize(
    ("count", "height", "width", "bias"),
    [(1, 4, 4, False), (3, 12, 20, True), (1, 4 * CHUNK // 16, 64, True), (2, 100, 92, False)],
)
def test_a_map_convolved(count: int, height: int, width: int, bias: bool) -> None:
    conv = nn.Conv2d(5, 7, 3, padding=1, bias=bias)
    planes = torch.randn(count, 5, height, width)
    with torch.inference_mode():
        ours = convolve(Map.of(planes, (count, height, width)), transform(conv))
        assert_near(ours.planes(), F.relu(conv(planes)))
    assert not ours.rows[-1].any()


def test_a_batch_norm_in_front_and_the_channel_of_ones() -> None:
    first, second = nn.Conv2d(4, 6, 3, padding=1), nn.Conv2d(6, 3, 3, padding=1, bias=False)
    norm = nn.BatchNorm2d(6)
    assert norm.running_mean is not None and norm.running_var is not None
    for values in (norm.weight, norm.bias, norm.running_mean):
        nn.init.normal_(values)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    planes = torch.randn(2, 4, 8, 12)
    with torch.inference_mode():
        expected = F.relu(second(norm.eval()(F.relu(first(planes)))))
        middle = convolve(Map.of(planes, (2, 8, 12)), transform(first, ones=True))
        ours = convolve(middle, transform(second, norm)).planes()
    assert_near(middle.planes()[:, -1], torch.ones(2, 8, 12))
    assert_near(ours, expected)
