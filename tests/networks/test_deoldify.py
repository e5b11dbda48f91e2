"""The original's networks: names, shapes and outputs are those of the reference, and folding changes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from support.fill_rule import DATA, filled, key_table

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

from torch import nn  # noqa: E402

from vintage_colorizer.errors import OptionError  # noqa: E402
from vintage_colorizer.networks.architectures import build_critic, build_generator  # noqa: E402
from vintage_colorizer.networks.architectures.fold import fold  # noqa: E402
from vintage_colorizer.networks.architectures.layers import SelfAttention  # noqa: E402
from vintage_colorizer.networks.architectures.tiled import TiledDeoldify  # noqa: E402

pytestmark = pytest.mark.long

TOLERANCE = 5e-5


@pytest.fixture(scope="module")
def reference() -> Any:
    """Inputs, every fourth value of the outputs, and statistics of the layers, all from the original."""
    with np.load(DATA / "deoldify_reference.npz") as arrays:
        return dict(arrays)


def built(name: str) -> Any:
    """A network with the weights of the rule."""
    with torch.device("meta"):
        network = build_critic() if name == "critic" else build_generator(name)
    weights = {key: torch.from_numpy(np.asarray(value)) for key, value in filled(key_table(name)).items()}
    network.load_state_dict(weights, assign=True)
    return network.eval()


@pytest.fixture(scope="module")
def artistic() -> Any:
    return built("artistic")


@pytest.mark.parametrize(
    ("name", "table"), [("artistic", "artistic"), ("stable", "stable"), ("video", "stable"), ("critic", "critic")]
)
def test_every_key_and_shape_is_the_original_s(name: str, table: str) -> None:
    with torch.device("meta"):
        network = build_critic() if name == "critic" else build_generator(name)
    assert [(key, tuple(value.shape)) for key, value in network.state_dict().items()] == list(key_table(table).items())


@pytest.mark.parametrize("size", ["64x80", "96x96"])
def test_artistic_paints_what_the_original_paints(artistic: Any, reference: Any, size: str) -> None:
    with torch.inference_mode():
        painted = artistic(torch.from_numpy(reference[f"x_{size}"])).numpy()
    assert np.abs(painted[..., ::4, ::4] - reference[f"artistic_{size}"]).max() <= TOLERANCE


def test_each_layer_of_artistic_gives_the_original_s_statistics(artistic: Any, reference: Any) -> None:
    seen: dict[int, tuple[float, float, float]] = {}

    def note(index: int) -> Any:
        def hook(module: nn.Module, inputs: Any, output: Any) -> None:
            seen[index] = (float(output.mean()), float(output.std()), float(output.abs().max()))

        return hook

    hooks = [layer.register_forward_hook(note(i)) for i, layer in enumerate(artistic.layers)]
    with torch.inference_mode():
        artistic(torch.from_numpy(reference["x_64x80"]))
    for hook in hooks:
        hook.remove()
    expected = reference["artistic_stages_64x80"]
    assert set(range(1, 9)) | {10, 11} <= set(seen)
    for index, statistics in seen.items():
        np.testing.assert_allclose(statistics, expected[index], rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["stable", "critic"])
def test_stable_and_the_critic_give_what_the_original_gives(reference: Any, name: str) -> None:
    network = built(name)
    for size in ("64x80", "96x96"):
        with torch.inference_mode():
            output = network(torch.from_numpy(reference[f"x_{size}"])).numpy()
        sample = output if name == "critic" else output[..., ::4, ::4]
        assert np.abs(sample - reference[f"{name}_{size}"]).max() <= TOLERANCE


@pytest.mark.slow
def test_gradients_reach_every_parameter_of_a_generator_and_are_finite() -> None:
    torch.manual_seed(0)
    network = build_generator("artistic")
    network(torch.randn(2, 3, 32, 32)).square().mean().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in network.parameters())


def test_gradients_reach_every_parameter_of_the_critic_and_are_finite() -> None:
    torch.manual_seed(0)
    critic = build_critic(features=8)
    logits = critic(torch.randn(2, 3, 64, 64))
    assert logits.shape == (2, 1)
    logits.mean().backward()
    assert all(p.grad is not None and bool(p.grad.isfinite().all()) for p in critic.parameters())


@pytest.mark.parametrize(("height", "width"), [(96, 96), (64, 80), (16, 48), (176, 32)])
def test_folding_changes_nothing(artistic: Any, height: int, width: int) -> None:
    folded = fold(built_copy(artistic))
    grey = torch.randn(1, 1, height, width, generator=torch.Generator().manual_seed(1)).repeat(1, 3, 1, 1)
    with torch.inference_mode():
        assert float((folded(grey) - artistic(grey)).abs().max()) <= 1e-4


@pytest.mark.parametrize("shape", [(1, 96, 96), (1, 64, 80), (1, 16, 48), (2, 176, 32)])
def test_tiles_change_nothing(artistic: Any, shape: tuple[int, int, int]) -> None:
    count, height, width = shape
    tiled = TiledDeoldify(fold(built_copy(artistic))).eval()
    grey = torch.randn(count, 1, height, width, generator=torch.Generator().manual_seed(1)).repeat(1, 3, 1, 1)
    with torch.inference_mode():
        assert float((tiled(grey) - artistic(grey)).abs().max()) <= 1e-4
    torch._dynamo.reset()  # `scan` compiles for each shape when it is not exported


def built_copy(network: Any) -> Any:
    with torch.device("meta"):
        copy = build_generator("artistic")
    copy.load_state_dict({key: value.clone() for key, value in network.state_dict().items()}, assign=True)
    return copy.eval()


def test_folded_networks_hold_plain_weights_only(artistic: Any) -> None:
    keys = fold(built_copy(artistic)).state_dict()
    assert not [key for key in keys if key.endswith(("_orig", "_u", "_v", "_g"))]


@pytest.mark.parametrize("blocks", [3, 16, 40])
def test_attention_in_blocks_is_attention(blocks: int) -> None:
    torch.manual_seed(0)
    attention = SelfAttention(16).eval().double()
    attention.gamma.data.fill_(0.7)
    x = torch.randn(2, 16, 7, 6, dtype=torch.float64)
    with torch.inference_mode():
        whole = attention(x)
        attention.blocks = blocks
        assert torch.allclose(attention(x), whole, rtol=1e-9)


def test_unknown_generators_are_named() -> None:
    with pytest.raises(OptionError, match="artistic, stable, video, compact"):
        build_generator("vivid")
