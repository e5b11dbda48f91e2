"""The embedded network obeys the contract; other files are refused with a clear sentence."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from support.networks import METADATA, tiny_network
from vintage_colorizer.errors import EngineError, MissingError, OptionError, WeightsError
from vintage_colorizer.networks import catalog
from vintage_colorizer.networks.engines import PROVIDERS, NetworkInfo, OnnxEngine, unused_gpu

EMBEDDED = catalog.NETWORKS["compact"]
BROKEN = [("stride", "four"), ("stride", "0"), ("multiple", "0"), ("render_factor", "900"), ("fit", "stretch")]


@pytest.fixture(scope="module")
def engine() -> OnnxEngine:
    return OnnxEngine(EMBEDDED.path, sha256=EMBEDDED.sha256, threads=1)


def test_embedded_network_describes_itself(engine: OnnxEngine) -> None:
    info = engine.info
    assert (info.network, info.stride, info.multiple, info.fit) == ("compact", 4, 32, "aspect")
    assert info.has_vividness
    assert info.sha256 == EMBEDDED.sha256 == hashlib.sha256(EMBEDDED.path.read_bytes()).hexdigest()


@pytest.mark.parametrize("size", [(32, 32), (64, 96), (192, 256)])
def test_chroma_has_the_shape_of_the_contract(engine: OnnxEngine, size: tuple[int, int]) -> None:
    luma = np.random.default_rng(0).random((2, 1, *size), dtype=np.float32)
    chroma = engine.chroma(luma, vividness=0.5)
    assert chroma.shape == (2, 2, size[0] // 4, size[1] // 4)
    assert chroma.dtype == np.float32
    assert np.isfinite(chroma).all()
    assert np.abs(chroma).max() < 0.7


def test_vividness_makes_color_bolder(engine: OnnxEngine, grey: np.ndarray) -> None:
    luma = (grey[::2, ::2] / np.float32(255))[None, None].astype(np.float32)
    strengths = [np.abs(engine.chroma(luma, vividness)).mean() for vividness in (0.0, 0.5, 1.0)]
    assert strengths[0] < strengths[1] < strengths[2]


@pytest.mark.parametrize(
    ("fit", "height", "width", "factor", "expected"),
    [
        ("square", 500, 1000, 10, (160, 160)),
        ("aspect", 500, 1000, 16, (128, 256)),
        ("aspect", 1000, 500, 16, (256, 128)),
        ("aspect", 667, 1000, 16, (172, 256)),
        ("aspect", 10, 20_000, 16, (32, 256)),
        ("aspect", 1, 1, 7, (112, 112)),
    ],
)
def test_working_size(fit: str, height: int, width: int, factor: int, expected: tuple[int, int]) -> None:
    info = NetworkInfo("n", "n", "a", 4, 32, fit, 16, "l", "1", False, "0")
    assert info.working_size(height, width, factor) == expected


def test_other_peoples_networks_run(tmp_path: Path) -> None:
    engine = OnnxEngine(tiny_network(tmp_path / "tiny.onnx"), threads=1)
    luma = np.full((1, 1, 16, 16), 0.5, np.float32)
    assert engine.chroma(luma) == pytest.approx(0.05)
    assert not engine.info.has_vividness


def test_not_a_number_is_an_error_not_a_picture(tmp_path: Path) -> None:
    engine = OnnxEngine(tiny_network(tmp_path / "nan.onnx", factor=float("nan")), threads=1)
    with pytest.raises(EngineError, match="not numbers"):
        engine.chroma(np.ones((1, 1, 16, 16), np.float32))


def test_missing_file() -> None:
    with pytest.raises(MissingError, match=r"nowhere\.onnx cannot be read"):
        OnnxEngine(Path("nowhere.onnx"))


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"\x08\x07garbage"])
def test_files_that_are_no_network(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"bad\.onnx is not a network"):
        OnnxEngine(path)


def test_damaged_embedded_network(tmp_path: Path) -> None:
    path = tmp_path / "compact.onnx"
    data = bytearray(EMBEDDED.path.read_bytes())
    data[5000] ^= 1
    path.write_bytes(data)
    with pytest.raises(WeightsError, match="is damaged"):
        OnnxEngine(path, sha256=EMBEDDED.sha256)


@pytest.mark.parametrize(
    "metadata",
    [{}, *({**METADATA, key: value} for key, value in BROKEN)],
    ids=["none", *(f"{key}-{value}" for key, value in BROKEN)],
)
def test_networks_that_break_the_contract(tmp_path: Path, metadata: dict[str, str]) -> None:
    with pytest.raises(WeightsError, match="is no colorizing network"):
        OnnxEngine(tiny_network(tmp_path / "other.onnx", metadata=metadata))


def test_wrong_output_name(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="must turn 'luma' into 'chroma'"):
        OnnxEngine(tiny_network(tmp_path / "other.onnx", output="logits"))


def test_chroma_of_another_size_is_an_error(tmp_path: Path) -> None:
    path = tiny_network(tmp_path / "other.onnx", metadata={**METADATA, "stride": "2"})  # it keeps the size
    with pytest.raises(EngineError, match="of shape"):
        OnnxEngine(path, threads=1).chroma(np.zeros((1, 1, 16, 16), np.float32))


def test_weights_in_other_files_are_refused(tmp_path: Path) -> None:
    model = onnx.load(tiny_network(tmp_path / "plain.onnx"))
    path = tmp_path / "external.onnx"
    onnx.save(model, path, save_as_external_data=True, location="elsewhere.bin", size_threshold=0)
    with pytest.raises(WeightsError, match="keeps weights in other files"):
        OnnxEngine(path)


def test_a_device_that_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with onnxruntime-gpu and no CUDA: the runtime takes the processor in its place, and so do we, but say so."""
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [*PROVIDERS.values()])
    monkeypatch.setattr(shutil, "which", lambda name: "/usr/bin/nvidia-smi")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the runtime's own
        assert OnnxEngine(EMBEDDED.path).device == "cpu"
        with pytest.raises(OptionError, match="could not start cuda"):
            OnnxEngine(EMBEDDED.path, device="cuda")
    assert "install the CUDA libraries" in str(unused_gpu())


def test_a_device_that_is_not_there() -> None:
    with pytest.raises(OptionError, match="cannot use mps"):
        OnnxEngine(EMBEDDED.path, device="mps")


@pytest.mark.skipif(sys.platform != "linux", reason="needs a limit on address space and /proc")
def test_out_of_memory_says_so() -> None:
    """With little address space left, the runtime's own failure becomes our error; in a process of its own."""
    program = """
import resource, numpy as np
from vintage_colorizer.networks import catalog
from vintage_colorizer.networks.engines import OnnxEngine
from vintage_colorizer.errors import OutOfMemoryError
engine = OnnxEngine(catalog.NETWORKS["compact"].path, threads=1)
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
luma = np.zeros((1, 1, 2048, 2048), np.float32)
resource.setrlimit(resource.RLIMIT_AS, (used + 200_000_000,) * 2)
try:
    engine.chroma(luma, 0.5)
except OutOfMemoryError as error:
    print("caught", error)
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert "caught There is not enough memory for compact" in result.stdout, result.stderr
