"""Networks made on the spot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

METADATA = {
    "name": "test",
    "network": "test",
    "architecture": "test",
    "stride": "1",
    "multiple": "16",
    "fit": "square",
    "render_factor": "10",
    "license": "none",
    "version": "1",
}


def tiny_network(path: Path, factor: float = 0.1, metadata: dict[str, str] = METADATA, output: str = "chroma") -> Path:
    """A network file whose chroma is (factor x luma) in both planes."""
    shape: list[str | int | None] = ["n", 1, "h", "w"]
    nodes = [
        helper.make_node("Mul", ["luma", "factor"], ["plane"]),
        helper.make_node("Concat", ["plane", "plane"], [output], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("luma", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(output, TensorProto.FLOAT, ["n", 2, "h", "w"])],
        [numpy_helper.from_array(np.array([factor], np.float32), "factor")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    helper.set_model_props(model, metadata)
    onnx.save(model, path)
    return path
