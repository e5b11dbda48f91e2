"""The contract as a torch module: the same color in the exported file as in torch, at any size."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

from vintage_colorizer import color
from vintage_colorizer.errors import OptionError, WeightsError
from vintage_colorizer.networks.engines import OnnxEngine, TorchEngine

torch = pytest.importorskip("torch")

from torch import nn  # noqa: E402

from vintage_colorizer.networks.architectures.compact import CompactContract, build_compact, color_bins  # noqa: E402
from vintage_colorizer.networks.architectures.contract import Contract, DeoldifyContract, chroma_of, export_onnx  # noqa: E402

pytestmark = pytest.mark.long

METADATA = {
    "name": "tiny",
    "network": "tiny",
    "architecture": "tiny",
    "render_factor": "10",
    "license": "none",
    "version": "1",
}


class Painter(nn.Module):
    """A generator of two layers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.down, self.up = nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.Conv2d(8, 12, 1)

    def forward(self, x: Any) -> Any:
        return nn.functional.pixel_shuffle(self.up(torch.relu(self.down(x))), 2)


class Vivid(Contract):
    """A contract with vividness and a stride."""

    stride, multiple, fit, has_vividness = 4, 32, "aspect", True

    def forward(self, luma: Any, vividness: Any = None, hints: Any = None) -> Any:
        small = nn.functional.avg_pool2d(luma, 4)
        return torch.cat([small * vividness, -small * vividness], dim=1)


def luma(height: int, width: int, count: int = 1) -> color.Floats:
    return np.random.default_rng(0).random((count, 1, height, width), dtype=np.float32)


def test_chroma_is_that_of_the_product() -> None:
    rgb = np.random.default_rng(0).random((5, 6, 3), dtype=np.float32)
    ours = chroma_of(torch.from_numpy(rgb.transpose(2, 0, 1)[None]))[0].numpy().transpose(1, 2, 0)
    np.testing.assert_allclose(ours, color.chroma_of(rgb), atol=1e-6)


def test_a_generator_that_returns_its_input_paints_no_color() -> None:
    chroma = DeoldifyContract(nn.Identity())(torch.from_numpy(luma(32, 48)))
    assert chroma.shape == (1, 2, 32, 48)
    assert float(chroma.abs().max()) < 1e-6


def test_an_exported_file_gives_torch_s_color_at_any_size(tmp_path: Path) -> None:
    contract = DeoldifyContract(Painter()).eval()
    export_onnx(contract, tmp_path / "x.onnx", METADATA)
    engine = OnnxEngine(tmp_path / "x.onnx", threads=1)
    assert (engine.info.stride, engine.info.multiple, engine.info.fit) == (1, 16, "square")
    for shape in ((112, 112), (32, 176)):
        planes = luma(*shape, count=3)
        with torch.inference_mode():
            expected = contract(torch.from_numpy(planes)).numpy()
        np.testing.assert_allclose(engine.chroma(planes), expected, atol=1e-5)


def test_the_file_is_self_contained_and_names_its_sides(tmp_path: Path) -> None:
    export_onnx(Vivid(), tmp_path / "x.onnx", METADATA)
    model = onnx.load(tmp_path / "x.onnx")
    sides = {
        value.name: [side.dim_param or side.dim_value for side in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert sides == {"luma": ["n", 1, "h", "w"], "vividness": [1], "chroma": ["n", 2, "h4", "w4"]}
    assert not [one for one in model.graph.initializer if one.external_data]
    engine = OnnxEngine(tmp_path / "x.onnx", threads=1)
    assert engine.info.has_vividness
    assert engine.chroma(luma(64, 96), 0.5).shape == (1, 2, 16, 24)


def test_weights_may_stay_in_a_safetensors_file_beside_it(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    contract = DeoldifyContract(Painter()).eval()
    safetensors.save_file(contract.state_dict(), tmp_path / "x.safetensors")
    export_onnx(contract, tmp_path / "x.onnx", METADATA, tensors=tmp_path / "x.safetensors")
    export_onnx(contract, tmp_path / "alone.onnx", METADATA)
    with pytest.raises(WeightsError, match="weights in other files"):
        OnnxEngine(tmp_path / "x.onnx")
    known = hashlib.sha256((tmp_path / "x.onnx").read_bytes()).hexdigest()
    linked = OnnxEngine(tmp_path / "x.onnx", sha256=known, tensors=tmp_path / "x.safetensors", threads=1)
    alone = OnnxEngine(tmp_path / "alone.onnx", threads=1)
    assert np.array_equal(linked.chroma(luma(48, 32)), alone.chroma(luma(48, 32)))


def test_a_file_that_is_off_is_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="off by"):
        export_onnx(Vivid(), tmp_path / "x.onnx", METADATA, tolerance=-1)


def test_the_torch_engine_refuses_what_it_cannot_run(tmp_path: Path) -> None:
    safetensors = pytest.importorskip("safetensors.torch")
    path = tmp_path / "x.safetensors"
    path.write_bytes(b"no weights")
    with pytest.raises(WeightsError, match="does not hold the weights"):
        TorchEngine(path)
    safetensors.save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(WeightsError, match="metadata"):
        TorchEngine(path)
    more = {"stride": "1", "multiple": "16", "fit": "square"}
    safetensors.save_file({"a": torch.zeros(1)}, path, {**METADATA, **more, "architecture": "artistic"})
    with pytest.raises(WeightsError, match="does not hold the weights"):
        TorchEngine(path)
    safetensors.save_file({"a": torch.zeros(1)}, path, {**METADATA, **more})
    with pytest.raises(OptionError, match="no generator 'tiny'"):
        TorchEngine(path)


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory) -> tuple[CompactContract, OnnxEngine]:
    """A compact network with random weights that takes hints, in torch and as a file."""
    torch.manual_seed(0)
    network = build_compact(widths=(16, 16, 16), hints=True, palette=8)
    assert network.hints is not None and network.palette is not None
    for weight in (*network.hints.write.parameters(), network.palette.colors.weight):
        nn.init.normal_(weight)
    contract = CompactContract(network).eval()
    path = tmp_path_factory.mktemp("network") / "x.onnx"
    export_onnx(contract, path, METADATA)
    return contract, OnnxEngine(path, threads=1)


def test_hints_and_posterior_are_found_by_name(listening: tuple[CompactContract, OnnxEngine]) -> None:
    contract, engine = listening
    assert engine.info.has_hints and engine.info.has_vividness
    assert engine.info.bins == tuple(map(tuple, color_bins().tolist()))
    planes = luma(64, 96, count=2)
    posterior = engine.posterior(planes)
    assert posterior.shape == (2, len(engine.info.bins), 16, 24)
    np.testing.assert_allclose(posterior.sum(axis=1), 1, atol=1e-4)
    with torch.inference_mode():
        chroma, likely, features = contract.complete(torch.from_numpy(planes), None, None)
    np.testing.assert_allclose(engine.chroma(planes), chroma.numpy(), atol=1e-3)
    np.testing.assert_allclose(posterior, likely.numpy(), atol=1e-3)
    np.testing.assert_allclose(engine.features(planes), features.numpy(), atol=1e-2)
    np.testing.assert_allclose(np.linalg.norm(features, axis=1), 1, atol=1e-3)


def test_a_hint_changes_the_color_and_no_hint_is_zeros(listening: tuple[CompactContract, OnnxEngine]) -> None:
    _, engine = listening
    planes = luma(64, 96)
    none = np.zeros((1, 3, 16, 24), np.float32)
    hints = none.copy()
    hints[0, :, 8, 12] = 0.2, -0.1, 1
    assert np.array_equal(engine.chroma(planes, 0.5, none), engine.chroma(planes, 0.5))
    assert np.abs(engine.chroma(planes, 0.5, hints) - engine.chroma(planes, 0.5)).max() > 1e-3
    assert np.abs(engine.posterior(planes, hints) - engine.posterior(planes)).max() > 1e-4


def test_a_network_that_cannot_listen_says_so(tmp_path: Path) -> None:
    export_onnx(Vivid(), tmp_path / "x.onnx", METADATA)
    engine = OnnxEngine(tmp_path / "x.onnx", threads=1)
    with pytest.raises(OptionError, match="takes no hints"):
        engine.chroma(luma(64, 96), 0.5, np.zeros((1, 3, 16, 24), np.float32))
    with pytest.raises(OptionError, match="how likely"):
        engine.posterior(luma(64, 96))
