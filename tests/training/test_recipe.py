from __future__ import annotations

from pathlib import Path

import pytest

from vintage_colorizer.errors import OptionError
from vintage_colorizer.training.recipe import Recipe, dump_recipe, load_recipe, recipe_names


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_loads_and_survives_being_written_out(name: str, tmp_path: Path) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    written = tmp_path / "recipe.yaml"
    written.write_text(dump_recipe(recipe), encoding="utf-8")
    assert load_recipe(written) == recipe


@pytest.mark.parametrize(
    ("name", "repeats", "rate", "batch", "feature_weight"),
    [("artistic", 5, 1e-5, 9, 2.0), ("stable", 3, 2e-5, 5, 1.5), ("video", 0, 5e-6, 5, 1.5)],
)
def test_the_originals_numbers(name: str, repeats: int, rate: float, batch: int, feature_weight: float) -> None:
    recipe = load_recipe(name)
    gan = recipe.gan
    assert (recipe.repeats, gan.rate, gan.batch, gan.feature_weight) == (repeats, rate, batch, feature_weight)
    assert (gan.size, gan.threshold, gan.critic_factor, gan.critic_weight) == (192, 0.65, 5.0, 1.0)
    assert (recipe.critic.width, recipe.critic.share, recipe.weight_decay) == (256, 0.085, 1e-3)
    assert recipe.losses.extractor == "vgg16_bn"
    assert recipe.losses.layers == (20.0, 70.0, 10.0)
    assert recipe.inflection.every == 0.001


def test_overrides_reach_any_value() -> None:
    recipe = load_recipe("tiny", ["gan.rate=1e-6", "pretrain.0.size=96", "data.validation=some.tar"])
    assert recipe.gan.rate == 1e-6
    assert recipe.pretrain[0].size == 96
    assert recipe.data.validation == "some.tar"


@pytest.mark.parametrize("text", ["1e-6", "1.0e-6", "0.1E-5", ".000001"])
def test_numbers_with_an_exponent_are_numbers(text: str) -> None:
    assert load_recipe("tiny", [f"gan.rate={text}"]).gan.rate == pytest.approx(1e-6)


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("gan.rate", "write key=value"),
        ("gan.speed=1", r"no field gan\.speed; known are size, batch, share"),
        ("pretrain.0.speed=1", r"no field pretrain\.0\.speed; known are size, batch, epochs"),
        ("gan.rate=fast", r"gan\.rate cannot be 'fast': .*valid number"),
        ("gan.size=10", r"gan\.size cannot be 10: .*greater than or equal to 32"),
        ("gan=3", r"gan cannot be 3: .*object"),
        ("pretrain.9.size=64", "names nothing"),
        ("pretrain=64", r"pretrain cannot be 64: .*array"),
        ("name.first=a", "names nothing"),
        ("repeats=true", r"repeats cannot be True: .*valid integer"),
        ("pretrain.0.rates=[1e-4, 2]", r"pretrain\.0\.rates\.1 cannot be 2"),
        ("augment.flip=.nan", r"augment\.flip cannot be nan"),
    ],
)
def test_a_wrong_override_is_named(override: str, says: str) -> None:
    with pytest.raises(OptionError, match=says):
        load_recipe("tiny", [override])


def test_an_unknown_recipe_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="tiny"):
        load_recipe("nothing")


@pytest.mark.parametrize("text", ["[1, 2]", "name: [", "", "look: stable"])
def test_a_file_that_is_no_recipe_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(OptionError):
        load_recipe(path)


def test_defaults_are_within_their_own_limits(tmp_path: Path) -> None:
    path = tmp_path / "bare.yaml"
    path.write_text(dump_recipe(Recipe(name="bare")), encoding="utf-8")
    assert load_recipe(path) == Recipe(name="bare")
