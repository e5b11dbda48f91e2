"""The contract of a network file as a torch module, and its export to ONNX.

A contract wraps a network so that what goes in is luma and what comes out is chroma; normalizing,
clamping and the change of color space are inside. The ONNX file and the torch engine both run this module.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.export import Dim

from vintage_colorizer.color import LUMA_OF_RGB, U_SCALE, V_SCALE
from vintage_colorizer.errors import WeightsError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
HALF_TOLERANCE = 1 / 255  # of chroma, for weights stored as float16: folded batch norms are rounded after training


class Contract(nn.Module):
    """Luma in, chroma out.

    `forward` takes luma [N, 1, H, W] in 0..1, H and W multiples of `multiple`; if `has_vividness`, vividness [1] in
    0..1; and if `has_hints`, hints [N, 3, H / stride, W / stride]: U and V times how sure a hint is, 0..1, and how
    sure it is; where there is none all three are 0. It returns chroma [N, 2, H / stride, W / stride], the planes U and
    V of `chroma_of`. `bins` [bins, 2], if there are any, are the Lab colors a, b over which the posterior is a
    distribution. `fit` says how a picture is brought to size: "aspect" keeps its proportions, "square" stretches it to
    a square.
    """

    stride: int
    multiple: int
    fit: str
    has_vividness: bool = False
    has_hints: bool = False
    bins: Tensor | None = None

    def forward(self, luma: Tensor, vividness: Tensor | None = None, hints: Tensor | None = None) -> Tensor:
        """Propose chroma for luma."""
        raise NotImplementedError

    def complete(self, luma: Tensor, vividness: Tensor | None, hints: Tensor | None) -> tuple[Tensor, ...]:
        """Chroma as above; how likely each of `bins` is, [N, bins, H / stride, W / stride]; features of that size.

        The features of a place are a vector of length 1; of two places, their product is how much they are alike.
        """
        raise NotImplementedError


class DeoldifyContract(Contract):
    """A generator of the original behind the contract.

    The generator sees luma three times, normalized as ImageNet pictures are, and paints RGB in that scale.
    """

    mean: Tensor
    std: Tensor

    stride = 1
    multiple = 16
    fit = "square"

    def __init__(self, generator: nn.Module) -> None:
        """Wrap `generator`: normalized RGB [N, 3, H, W] to normalized RGB of the same size."""
        super().__init__()
        self.generator = generator
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, luma: Tensor, vividness: Tensor | None = None, hints: Tensor | None = None) -> Tensor:
        """Propose chroma for luma; the network has neither vividness nor hints."""
        painted = self.generator((luma - self.mean) / self.std)
        return chroma_of((painted * self.std + self.mean).clamp(0.0, 1.0))


def chroma_of(rgb: Tensor) -> Tensor:
    """The chroma [N, 2, H, W] of RGB [N, 3, H, W] in 0..1: U = 0.492 (B' - Y') and V = 0.877 (R' - Y')."""
    red, green, blue = rgb[:, 0:1], rgb[:, 1:2], rgb[:, 2:3]
    luma = LUMA_OF_RGB[0] * red + LUMA_OF_RGB[1] * green + LUMA_OF_RGB[2] * blue
    return torch.cat([U_SCALE * (blue - luma), V_SCALE * (red - luma)], dim=1)


def export_onnx(
    contract: Contract,
    path: Path,
    metadata: Mapping[str, str],
    tensors: Path | None = None,
    tolerance: float = 1e-3,
    half: bool = False,
    arranged: Contract | None = None,
) -> None:
    """Write `contract` as an ONNX file that obeys the contract of network files.

    N, H and W are dynamic. `metadata` is written as it is, completed by what the contract says of itself. The file
    holds the weights, unless `tensors` names a safetensors file of the contract's state dict in the same folder: then
    it refers to that, so that a large network is mapped into memory and not copied. `half` stores weights as float16
    and computes with them in float32 all the same. What is written is `arranged`, if given: the same network with the
    same weights, in operations that suit the runtime better. The file is run with onnxruntime at two sizes and compared
    with `contract` in torch; WeightsError if an output differs by more than `tolerance`.
    """
    import onnx

    contract = contract.eval()
    model = _trace(arranged.eval() if arranged else contract).model_proto
    own = {"stride": str(contract.stride), "multiple": str(contract.multiple), "fit": contract.fit}
    if contract.bins is not None:
        own["bins"] = json.dumps(contract.bins.tolist())
    onnx.helper.set_model_props(model, {**metadata, **own})
    _name_dimensions(model, contract.stride)
    if tensors is not None:
        _refer_to(tensors, model)
    path.write_bytes(model.SerializeToString())
    _require_close(contract, path, tolerance)
    if half:
        store_half(model)
        path.write_bytes(model.SerializeToString())
        _require_close(contract, path, HALF_TOLERANCE)


def _refer_to(tensors: Path, model: Any) -> None:
    """Replace weights in `model` by their places in a safetensors file (8 bytes of length, JSON, then the data)."""
    from onnx import TensorProto

    with open(tensors, "rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    for initializer in model.graph.initializer:
        if initializer.name in header:
            start, end = header[initializer.name]["data_offsets"]
            initializer.ClearField("raw_data")
            initializer.data_location = TensorProto.EXTERNAL
            for key, value in (("location", tensors.name), ("offset", 8 + length + start), ("length", end - start)):
                initializer.external_data.add(key=key, value=str(value))


def store_half(model: Any) -> None:
    """Store float32 weights as float16, each widened once by a Cast, which runtimes fold away as they load."""
    import onnx

    for weight in list(model.graph.initializer):
        values = onnx.numpy_helper.to_array(weight)
        if values.dtype == np.float32 and values.size > 1:
            stored = onnx.numpy_helper.from_array(values.astype(np.float16), f"{weight.name}.half")
            widen = onnx.helper.make_node("Cast", [stored.name], [weight.name], to=onnx.TensorProto.FLOAT)
            model.graph.initializer.remove(weight)
            model.graph.initializer.append(stored)
            model.graph.node.insert(0, widen)


class _Complete(nn.Module):
    """A contract that gives all its outputs at once."""

    def __init__(self, contract: Contract) -> None:
        super().__init__()
        self.contract = contract

    def forward(self, luma: Tensor, vividness: Tensor | None = None, hints: Tensor | None = None) -> tuple[Tensor, ...]:
        return self.contract.complete(luma, vividness, hints)


def _complete(contract: Contract) -> nn.Module:
    """What is exported. A contract without a posterior is not wrapped: its weights keep their names."""
    return contract if contract.bins is None else _Complete(contract)


def _example(contract: Contract, batch: int, height: int, width: int) -> dict[str, Tensor]:
    random = torch.Generator().manual_seed(height * width)
    inputs = {"luma": torch.rand(batch, 1, height, width, generator=random)}
    if contract.has_vividness:
        inputs["vividness"] = torch.full((1,), 0.5)
    if contract.has_hints:
        cells = height // contract.stride, width // contract.stride
        sure = (torch.rand(batch, 1, *cells, generator=random) > 0.99).float()
        inputs["hints"] = torch.cat([(torch.rand(batch, 2, *cells, generator=random) - 0.5) * sure, sure], dim=1)
    return inputs


def _trace(contract: Contract) -> Any:
    # Sides as multiples of a number, traced before the exporter sees them, keep the arithmetic on sizes
    # simple: the exporter's own tracing takes minutes where this takes seconds.
    count, height, width = Dim("n"), Dim("h"), Dim("w")
    inputs = _example(contract, 2, 5 * contract.multiple, 3 * contract.multiple)
    cells = contract.multiple // contract.stride
    shapes: dict[str, dict[int, Any]] = {
        "luma": {0: count, 2: contract.multiple * height, 3: contract.multiple * width},
        "vividness": {},
        "hints": {0: count, 2: cells * height, 3: cells * width},
    }
    dynamic = {name: shapes[name] for name in inputs}
    program = torch.export.export(_complete(contract), (), kwargs=inputs, dynamic_shapes=dynamic)
    return torch.onnx.export(
        program,
        input_names=list(inputs),
        output_names=["chroma"] if contract.bins is None else ["chroma", "posterior", "features"],
        opset_version=18,
        dynamo=True,
        verbose=False,
    )


def _name_dimensions(model: Any, stride: int) -> None:
    """Call the dynamic sides n, h, w and, behind a stride, h4, w4: readable in any viewer."""
    suffix = "" if stride == 1 else str(stride)
    for slot in (*model.graph.input, *model.graph.output):
        sides = slot.type.tensor_type.shape.dim
        tail = "" if slot.name == "luma" else suffix
        if len(sides) == 4:
            sides[0].dim_param, sides[2].dim_param, sides[3].dim_param = "n", f"h{tail}", f"w{tail}"


def _require_close(contract: Contract, path: Path, tolerance: float) -> None:
    for sides in ((3, 5), (4, 2)):
        error = _difference(contract, path, *(side * contract.multiple for side in sides))
        if not error <= tolerance:
            raise WeightsError(f"The exported network {path} is off by {error:.2g} from torch; do not use it.")


def _difference(contract: Contract, path: Path, height: int, width: int) -> float:
    """The largest difference of an output between torch and onnxruntime on a random picture of this size."""
    import onnxruntime

    inputs = _example(contract, 1, height, width)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = session.run(None, {name: value.numpy() for name, value in inputs.items()})
    with torch.inference_mode():
        expected = _complete(contract)(**inputs)
    pairs = zip(found, expected if isinstance(expected, tuple) else (expected,), strict=True)
    return max(float((torch.from_numpy(ours) - theirs).abs().max()) for ours, theirs in pairs)
