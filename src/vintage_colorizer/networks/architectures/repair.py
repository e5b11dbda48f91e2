"""The networks that repair: one marks damaged pixels, one fills them, one finds what undoes fading.

What they say is applied by `vintage_colorizer.repair`: sound pixels stay, and fading is undone by a curve and a field.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import Dim
from torch.nn import functional

KNOTS = 8  # of the tone curve, evenly from black to white
TERMS = 6  # of the field: 1, x, y, x*x, x*y, y*y
THUMB = 64  # side of the thumbnail in which fading is judged
MULTIPLE = 16  # sides of luma that the U-Nets take
WIDTHS = (24, 48, 72, 96)  # channels at a half, a quarter, an eighth and a sixteenth of the size
FILL_WIDTHS = (16, 32, 48, 64)  # of gated convolutions, which have twice as many inside


class Block(nn.Sequential):
    """A convolution, batch norm and ReLU."""

    def __init__(self, channels: int, features: int, stride: int = 1) -> None:
        """From `channels` to `features`."""
        super().__init__(
            nn.Conv2d(channels, features, 3, stride, 1, bias=False), nn.BatchNorm2d(features), nn.ReLU(inplace=True)
        )


class Gated(nn.Module):
    """A gated convolution, which learns where what it sees counts (Yu et al., "Free-Form Image Inpainting", 2019)."""

    def __init__(self, channels: int, features: int, stride: int = 1) -> None:
        """From `channels` to `features`."""
        super().__init__()
        self.both = nn.Conv2d(channels, 2 * features, 3, stride, 1, bias=False)
        self.norm = nn.BatchNorm2d(2 * features)

    def forward(self, maps: Tensor) -> Tensor:
        """One half of the channels gates the other."""
        made, gate = self.norm(self.both(maps)).chunk(2, dim=1)
        return functional.relu(made) * torch.sigmoid(gate)


class UNet(nn.Module):
    """A small U-Net that begins at half the size: planes [N, C, H, W], sides multiples of MULTIPLE, to [N, 1, H, W]."""

    def __init__(self, planes: int, widths: Sequence[int], block: type[Block] | type[Gated]) -> None:
        """Build it with random weights."""
        super().__init__()
        first, *deeper = widths
        self.stem = nn.Sequential(block(4 * planes, first), block(first, first))
        self.down = nn.ModuleList(
            nn.Sequential(block(before, width, 2), block(width, width))
            for before, width in zip(widths[:-1], deeper, strict=True)
        )
        self.narrow = nn.ModuleList(
            nn.Conv2d(deep, width, 1) for deep, width in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.up = nn.ModuleList(block(width, width) for width in widths[-2::-1])
        self.head = nn.Conv2d(first, 4, 3, padding=1)

    def through(self, planes: Tensor) -> Tensor:
        """The one plane it makes."""
        levels = [self.stem(functional.pixel_unshuffle(planes, 2))]
        for down in self.down:
            levels.append(down(levels[-1]))
        deep = levels.pop()
        for narrow, up in zip(self.narrow, self.up, strict=True):
            deep = up(levels.pop() + functional.interpolate(narrow(deep), scale_factor=2.0, mode="nearest"))
        return functional.pixel_shuffle(self.head(deep), 2)


class Defects(UNet):
    """Marks scratches, dust, hairs and creases, with 0.4 million parameters.

    About 9,000 multiplications a pixel, so that a scan of 100 megapixels takes half a minute on two cores.
    """

    def __init__(self) -> None:
        """Build it with random weights."""
        super().__init__(1, WIDTHS, Block)

    def forward(self, luma: Tensor) -> Tensor:
        """Logits for luma [N, 1, H, W] in 0..1: above 0 where a pixel is more likely damaged than not."""
        return self.through(luma - 0.5)


class Fill(UNet):
    """Betters what simple inpainting has put where a photo is damaged; an untrained one leaves it as it is."""

    def __init__(self) -> None:
        """Build it so that it changes nothing."""
        super().__init__(2, FILL_WIDTHS, Gated)
        nn.init.zeros_(self.head.weight)
        assert self.head.bias is not None
        nn.init.zeros_(self.head.bias)

    def forward(self, luma: Tensor, mask: Tensor) -> Tensor:
        """Luma [N, 1, H, W] in 0..1, filled simply where `mask` [N, 1, H, W] is 1, filled better there."""
        return luma + mask * self.through(torch.cat([luma - 0.5, mask], dim=1))


class Fade(nn.Module):
    """Finds what undoes fading: a monotone tone curve and a smooth field of light.

    A thumbnail of luma [N, 1, THUMB, THUMB] in 0..1 to `curve` [N, KNOTS], the new values of levels evenly from 0 to 1,
    which never fall, and `field` [N, TERMS], the logarithm of the gain before the curve as a quadratic polynomial of x
    and y in -1..1. An untrained one leaves pictures as they are.
    """

    level: Tensor

    def __init__(self) -> None:
        """Build it so that it changes nothing."""
        super().__init__()
        self.look = nn.Sequential(Block(1, 16, 2), Block(16, 32, 2), Block(32, 64, 2), Block(64, 64, 2))
        self.tones = nn.Sequential(nn.Linear(64 + 32, 96), nn.ReLU(inplace=True), nn.Linear(96, KNOTS))
        self.light = nn.Sequential(nn.Linear(64 * 16, 64), nn.ReLU(inplace=True), nn.Linear(64, TERMS))
        self.register_buffer("level", torch.linspace(0, 1, 32).view(1, 1, -1), persistent=False)
        for last in (self.tones[-1], self.light[-1]):
            assert isinstance(last, nn.Linear)
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def forward(self, thumb: Tensor) -> tuple[Tensor, Tensor]:
        """The curve and the field."""
        seen = self.look(thumb - 0.5)
        # A soft histogram: how much of the picture is near each of 32 levels.
        near = torch.exp(-(((thumb.flatten(1).unsqueeze(-1) - self.level) * 31) ** 2)).mean(dim=1) * 8
        said = self.tones(torch.cat([seen.mean((2, 3)), near], dim=1))
        start, rises = said[:, :1] * 0.5, functional.softplus(said[:, 1:] * 4 + STILL) / (KNOTS - 1)
        curve = torch.cat([start, start + torch.cumsum(rises, dim=1)], dim=1)
        return curve, self.light(seen.flatten(1)) * 0.5


STILL = 0.541324854612918  # softplus of this is 1: a curve of even rises


def restored(thumb: Tensor, curve: Tensor, field: Tensor) -> Tensor:
    """Luma [N, 1, H, W] after the field and the curve, straight between knots; not clamped, for training."""
    y, x = torch.meshgrid(
        *(torch.linspace(-1, 1, side, device=thumb.device) for side in thumb.shape[2:]), indexing="ij"
    )
    terms = torch.stack([torch.ones_like(x), x, y, x * x, x * y, y * y]).flatten(1)
    lit = thumb.flatten(1) * torch.exp(field @ terms)
    place = lit.clamp(0, 1) * (KNOTS - 1)
    below = place.floor().long().clamp(max=KNOTS - 2)
    low, high = curve.gather(1, below), curve.gather(1, below + 1)
    return (low + (high - low) * (place - below)).view_as(thumb)


class DamageContract(nn.Module):
    """`Defects` as a network file has it: luma to damage in 0..1."""

    def __init__(self, network: Defects) -> None:
        """Wrap `network`."""
        super().__init__()
        self.network = network

    def forward(self, luma: Tensor) -> Tensor:
        """How likely each pixel is damaged, [N, 1, H, W]."""
        return torch.sigmoid(self.network(luma))


class FadeContract(nn.Module):
    """`Fade` as a network file has it: a thumbnail [1, 1, h, w] to a curve [KNOTS] and a field [TERMS]."""

    def __init__(self, network: Fade) -> None:
        """Wrap `network`."""
        super().__init__()
        self.network = network

    def forward(self, thumb: Tensor) -> tuple[Tensor, Tensor]:
        """Both without the batch."""
        curve, field = self.network(thumb)
        return curve[0], field[0]


def export_repair(network: nn.Module, path: Path, metadata: dict[str, str]) -> None:
    """Write `network`, Defects, Fade or Fill, as an ONNX file that obeys its contract, and compare it with torch.

    Raises WeightsError if the file's answers differ.
    """
    import onnx

    from vintage_colorizer.networks.architectures.contract import store_half

    contract, inputs, outputs = _contract(network)
    side = THUMB if isinstance(network, Fade) else 5 * MULTIPLE
    random = torch.Generator().manual_seed(1)
    examples = tuple(torch.rand(1, 1, side, side, generator=random) for _ in inputs)
    free = {} if isinstance(network, Fade) else {2: MULTIPLE * Dim("h"), 3: MULTIPLE * Dim("w")}
    program = torch.export.export(contract, examples, dynamic_shapes=tuple(free for _ in inputs))
    exported = torch.onnx.export(
        program, input_names=inputs, output_names=outputs, opset_version=18, dynamo=True, verbose=False
    )
    assert exported is not None
    model = exported.model_proto
    onnx.helper.set_model_props(model, metadata)
    store_half(model)
    path.write_bytes(model.SerializeToString())
    _require_close(contract, path, dict(zip(inputs, examples, strict=True)))


def _contract(network: nn.Module) -> tuple[nn.Module, list[str], list[str]]:
    """The network as its file has it, and the names of what goes in and comes out."""
    if isinstance(network, Defects):
        return DamageContract(network).eval(), ["luma"], ["damage"]
    if isinstance(network, Fade):
        return FadeContract(network).eval(), ["thumb"], ["curve", "field"]
    return network.eval(), ["luma", "mask"], ["filled"]


def _require_close(contract: nn.Module, path: Path, examples: dict[str, Tensor]) -> None:
    import onnxruntime

    from vintage_colorizer.errors import WeightsError

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = session.run(None, {name: example.numpy() for name, example in examples.items()})
    with torch.inference_mode():
        said = contract(*examples.values())
    for ours, theirs in zip(found, said if isinstance(said, tuple) else (said,), strict=True):
        error = float((torch.from_numpy(ours) - theirs).abs().max())
        if not error <= 0.02:
            raise WeightsError(f"The exported network {path} is off by {error:.2g} from torch; do not use it.")
