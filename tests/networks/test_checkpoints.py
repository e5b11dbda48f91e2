"""Weights files are read without running anything in them, and whatever is not a generator is refused."""

from __future__ import annotations

import json
import os
import pickle
import struct
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.fill_rule import filled, key_table

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

from vintage_colorizer.errors import MissingError, WeightsError  # noqa: E402
from vintage_colorizer.networks import checkpoints  # noqa: E402

pytestmark = pytest.mark.long

SHAPES = key_table("artistic")


def zeros(**changes: Any) -> OrderedDict[str, Any]:
    """An artistic state dict of zeros that costs no memory, with some tensors changed."""
    state = OrderedDict((key, torch.zeros(()).expand(shape)) for key, shape in SHAPES.items())
    for key in SHAPES:
        if key.endswith("num_batches_tracked"):
            state[key] = torch.zeros((), dtype=torch.int64)
    return OrderedDict({**state, **changes})


def saved(path: Path, content: Any, legacy: bool = False) -> Path:
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("wrapped", [False, True])
def test_both_containers_bare_or_with_an_optimizer_are_read(tmp_path: Path, legacy: bool, wrapped: bool) -> None:
    state = zeros()
    optimizer = {"state": {}, "param_groups": [{"lr": slice(None, 0.003, None), "params": [0]}]}
    content = {"model": state, "opt": optimizer} if wrapped else state
    architecture, read = checkpoints.read_checkpoint(saved(tmp_path / "x.pth", content, legacy))
    assert architecture == "artistic"
    assert {key: tuple(value.shape) for key, value in read.items()} == SHAPES


def test_storages_that_lay_on_a_gpu_are_read_on_the_processor(tmp_path: Path) -> None:
    plain = saved(tmp_path / "cpu.pth", zeros(), legacy=True).read_bytes()
    # In a pickle a text is its length and its letters: cpu becomes cuda:0.
    moved = plain.replace(b"X\x03\x00\x00\x00cpu", b"X\x06\x00\x00\x00cuda:0")
    assert moved != plain
    (tmp_path / "gpu.pth").write_bytes(moved)
    _, state = checkpoints.read_checkpoint(tmp_path / "gpu.pth")
    assert {value.device.type for value in state.values()} == {"cpu"}


def test_values_survive(tmp_path: Path) -> None:
    bias = torch.arange(3.0)
    _, state = checkpoints.read_checkpoint(saved(tmp_path / "x.pth", zeros(**{"layers.11.0.bias": bias.half()})))
    assert torch.equal(state["layers.11.0.bias"], bias)


def test_video_has_the_shapes_of_stable() -> None:
    assert checkpoints.expected_shapes("stable") == checkpoints.expected_shapes("video") == key_table("stable")


NOT_WEIGHTS = {
    "empty": (b"", "is empty"),
    "web page": (b"\n<!DOCTYPE html><html><body>404</body></html>", "looks like a web page"),
    "pointer": (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 255144681\n", "LFS pointer"),
    "text": (b"hello, these are no weights", "does not begin like one"),
    "other pickle": (pickle.dumps({"a": 1}), "does not begin like one"),
    "huge header": (struct.pack("<Q", 10**9) + b'{"a":' + b" " * 1000, "does not begin like one"),
}


@pytest.mark.parametrize("name", NOT_WEIGHTS)
def test_what_is_not_weights_is_named(tmp_path: Path, name: str) -> None:
    content, reason = NOT_WEIGHTS[name]
    path = tmp_path / "x.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=reason):
        checkpoints.sniff(path)


def test_a_file_that_is_not_there_is_missing(tmp_path: Path) -> None:
    with pytest.raises(MissingError, match="cannot be read"):
        checkpoints.read_checkpoint(tmp_path / "nothing.pth")


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("percent", [1, 50, 99])
def test_truncated_files_are_refused(tmp_path: Path, legacy: bool, percent: int) -> None:
    data = saved(tmp_path / "x.pth", OrderedDict(a=torch.arange(5000.0), b=torch.ones(3)), legacy).read_bytes()
    (tmp_path / "x.pth").write_bytes(data[: len(data) * percent // 100])
    with pytest.raises(WeightsError, match=r"damaged|not a weights file"):
        checkpoints.read_checkpoint(tmp_path / "x.pth")


class Malicious:
    """Unpickled by a careless reader, this runs a command."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("legacy", [False, True])
def test_malicious_files_are_refused_and_nothing_runs(tmp_path: Path, legacy: bool) -> None:
    marker = tmp_path / "ran"
    path = saved(tmp_path / "x.pth", {"model": zeros(), "opt": Malicious(marker)}, legacy)
    with pytest.raises(WeightsError, match="asks for code to be run"):
        checkpoints.read_checkpoint(path)
    assert not marker.exists()


def test_compressed_archives_are_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.pth", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x/data.pkl", bytes(10_000_000))
    with pytest.raises(WeightsError, match="compressed"):
        checkpoints.read_checkpoint(tmp_path / "x.pth")


def test_other_networks_are_refused_with_the_first_differences(tmp_path: Path) -> None:
    state = zeros(**{"layers.11.0.bias": torch.zeros(4), "extra": torch.zeros(1)})
    del state["layers.1.bias"]
    with pytest.raises(WeightsError, match=r"layers\.11\.0\.bias is 4, not 3, no layers\.1\.bias, unknown extra\."):
        checkpoints.read_checkpoint(saved(tmp_path / "x.pth", state))
    with pytest.raises(WeightsError, match="not a generator of the original"):
        checkpoints.read_checkpoint(saved(tmp_path / "y.pth", {"conv.weight": torch.zeros(3)}))
    with pytest.raises(WeightsError, match="not a table of tensors"):
        checkpoints.read_checkpoint(saved(tmp_path / "z.pth", {"model": [1], "opt": {}}))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_not_numbers_are_refused(tmp_path: Path, value: float) -> None:
    state = zeros(**{"layers.11.0.bias": torch.tensor([0.0, value, 0.0])})
    with pytest.raises(WeightsError, match=r"layers\.11\.0\.bias holds values that are not numbers"):
        checkpoints.read_checkpoint(saved(tmp_path / "x.pth", state))


def test_tensors_of_a_wrong_type_are_refused(tmp_path: Path) -> None:
    state = zeros(**{"layers.11.0.bias": torch.zeros(3, dtype=torch.int32)})
    with pytest.raises(WeightsError, match=r"of type torch\.int32"):
        checkpoints.read_checkpoint(saved(tmp_path / "x.pth", state))


SAFETENSORS = {
    "overlapping": {f"t{i}": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} for i in range(3)},
    "beyond the end": {"t": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}},
    "many": {f"t{i}": {"dtype": "F32", "shape": [0], "data_offsets": [0, 0]} for i in range(100_000)},
}


@pytest.mark.parametrize("name", SAFETENSORS)
def test_crafted_safetensors_are_refused(tmp_path: Path, name: str) -> None:
    header = json.dumps(SAFETENSORS[name]).encode()
    (tmp_path / "x.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + bytes(8))
    with pytest.raises(WeightsError):
        checkpoints.read_checkpoint(tmp_path / "x.safetensors")


def test_the_rule_gives_its_known_weights() -> None:
    """The sum that identifies weights made by the rule."""
    total = sum(float(np.abs(value).sum(dtype=np.float64)) for value in filled(SHAPES).values())
    assert total == pytest.approx(1774328.665559, rel=1e-9)
