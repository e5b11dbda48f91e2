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


class Contract(nn.Module):
    """Luma in, chroma out.

    `forward` takes luma [N, 1, H, W] in 0..1, H and W multiples of `multiple`, and, if `has_vividness`,
    vividness [1] in 0..1. It returns chroma [N, 2, H / stride, W / stride], the planes U and V of
    `chroma_of`. `fit` says how a picture is brought to size: "aspect" keeps its proportions, "square"
    stretches it to a square.
    """

    stride: int
    multiple: int
    fit: str
    has_vividness: bool = False

    def forward(self, luma: Tensor, vividness: Tensor | None = None) -> Tensor:
        """Propose chroma for luma."""
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

    def forward(self, luma: Tensor, vividness: Tensor | None = None) -> Tensor:
        """Propose chroma for luma; the network has no vividness."""
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

    N, H and W are dynamic. `metadata` is written as it is, completed by `stride`, `multiple` and `fit`. The file holds
    the weights, unless `tensors` names a safetensors file of the contract's state dict in the same folder: then it
    refers to that, so that a large network is mapped into memory and not copied. `half` stores weights as float16 and
    computes with them in float32 all the same. What is written is `arranged`, if given: the same network with the same
    weights, in operations that suit the runtime better. The file is run with onnxruntime at
    two sizes and compared with `contract` in torch; WeightsError if chroma differs by more than `tolerance`.
    """
    import onnx

    contract = contract.eval()
    model = _trace(arranged.eval() if arranged else contract).model_proto
    own = {"stride": str(contract.stride), "multiple": str(contract.multiple), "fit": contract.fit}
    onnx.helper.set_model_props(model, {**metadata, **own})
    _name_dimensions(model, contract.stride)
    if tensors is not None:
        _refer_to(tensors, model)
    if half:
        _store_half(model)
    path.write_bytes(model.SerializeToString())
    for sides in ((3, 5), (4, 2)):
        error = _difference(contract, path, *(side * contract.multiple for side in sides))
        if not error <= tolerance:
            raise WeightsError(f"The exported network {path} is off by {error:.2g} from torch; do not use it.")


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


def _store_half(model: Any) -> None:
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


def _example(contract: Contract, batch: int, height: int, width: int) -> tuple[Tensor, ...]:
    luma = torch.rand(batch, 1, height, width, generator=torch.Generator().manual_seed(height * width))
    return (luma, torch.full((1,), 0.5)) if contract.has_vividness else (luma,)


def _trace(contract: Contract) -> Any:
    # Sides as multiples of a number, traced before the exporter sees them, keep the arithmetic on sizes
    # simple: the exporter's own tracing takes minutes where this takes seconds.
    sides = {0: Dim("n"), 2: contract.multiple * Dim("h"), 3: contract.multiple * Dim("w")}
    inputs = _example(contract, 2, 5 * contract.multiple, 3 * contract.multiple)
    shapes: list[dict[int, Any]] = [sides, {}]
    program = torch.export.export(contract, inputs, dynamic_shapes=tuple(shapes[: len(inputs)]))
    return torch.onnx.export(
        program,
        input_names=["luma", "vividness"][: len(inputs)],
        output_names=["chroma"],
        opset_version=18,
        dynamo=True,
        verbose=False,
    )


def _name_dimensions(model: Any, stride: int) -> None:
    """Call the dynamic sides n, h, w and, behind a stride, h4, w4: readable in any viewer."""
    suffix = "" if stride == 1 else str(stride)
    for slot, tail in ((model.graph.input[0], ""), (model.graph.output[0], suffix)):
        sides = slot.type.tensor_type.shape.dim
        sides[0].dim_param, sides[2].dim_param, sides[3].dim_param = "n", f"h{tail}", f"w{tail}"


def _difference(contract: Contract, path: Path, height: int, width: int) -> float:
    """The largest difference in chroma between torch and onnxruntime on a random picture of this size."""
    import onnxruntime

    inputs = _example(contract, 1, height, width)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [slot.name for slot in session.get_inputs()]
    (chroma,) = session.run(None, {name: value.numpy() for name, value in zip(names, inputs, strict=True)})
    with torch.inference_mode():
        expected = contract(*inputs)
    return float((torch.from_numpy(chroma) - expected).abs().max())
