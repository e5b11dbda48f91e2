"""Recipes: every number of a training run in one small YAML file, checked before anything starts.

    recipe = load_recipe("tiny", ["gan.rate=1e-5", "pretrain.0.size=96"])

Recipes are found by name in the package or by path. The fields below are the whole vocabulary; a value not
written in a file has the default given here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vintage_colorizer.errors import OptionError


class Section(BaseModel):
    """A part of a recipe: checked, and not changed any more."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Generator(Section):
    """The network that learns to color."""

    network: str = "compact"  # a name of architectures.GENERATORS
    encoder: str = "tf_efficientnet_lite0"  # compact only
    widths: tuple[int, ...] = (192, 128, 96)  # compact only: the decoder's channels
    hints: bool = False  # compact only: it takes hints of color, and is trained with those of the section hints
    palette: int = Field(0, ge=0, le=256)  # compact only: queries of the palette; 0: it has none
    start: str = "imagenet"  # imagenet, none, or a .safetensors file of the whole generator
    vividness: float = Field(0.5, ge=0, le=1)  # compact only: where feature loss and critic see its pictures


class Data(Section):
    """Which photos, and how they are held."""

    validation: str | None = None  # photos to choose with; without it, a share of the data is held out
    held_out: float = Field(0.1, ge=0.001, le=0.5)
    min_colorfulness: float = Field(6.0, ge=0, le=100)  # Hasler-Suesstrunk; below it a photo is near grey
    margin: float = Field(1.125, ge=1, le=2)  # short side held / training size
    memory_gb: float = Field(8.0, ge=0, le=4096)  # held decoded on the device up to this, read again beyond
    workers: int = Field(4, ge=0, le=256)  # processes that read what does not fit


class Augment(Section):
    """Changes to the photo before it is made old; each range is drawn uniformly, each chance is 0..1."""

    flip: float = Field(0.5, ge=0, le=1)
    warp: float = Field(0.25, ge=0, le=0.5)
    rotate: float = Field(10.0, ge=0, le=45)  # degrees
    zoom: float = Field(1.2, ge=1, le=4)  # largest
    brightness: float = Field(0.25, ge=0, le=0.49)  # logit(0.5 +- this) is added in logit space
    contrast: float = Field(2.0, ge=1, le=8)  # factor up to this, or down to its inverse, in logit space
    chance: float = Field(0.75, ge=0, le=1)  # of each of warp, rotate, zoom, brightness, contrast


class Degrade(Section):
    """How a color photo is made into an old one: the chance of each effect, at a random strength."""

    spectral: float = Field(0.0, ge=0, le=1)  # film that sees little or no red
    blur: float = Field(0.0, ge=0, le=1)
    fading: float = Field(0.0, ge=0, le=1)
    vignette: float = Field(0.0, ge=0, le=1)
    scratches: float = Field(0.0, ge=0, le=1)
    dust: float = Field(0.0, ge=0, le=1)
    grain: float = Field(0.0, ge=0, le=1)
    noise: float = Field(0.0, ge=0, le=1)  # the original's: single pixels off by up to 30 levels
    jpeg: float = Field(0.0, ge=0, le=1)


class Hints(Section):
    """What colors the generator is told in training; see hints.py."""

    none: float = Field(0.4, ge=0, le=1)  # share of views without any
    stop: float = Field(0.125, ge=0.02, le=1)  # the number of points is geometric with this chance
    jitter: float = Field(0.01, ge=0, le=0.5)  # deviation of a sure hint's chroma; unsure ones are off by more
    impossible: float = Field(0.15, ge=0, le=1)  # of the views with hints: a region, and its hint, get another color
    displaced: float = Field(0.1, ge=0, le=1)  # of the views with hints: many, moved as motion moves them in films


class Losses(Section):
    """What the generator is told apart from the critic's opinion."""

    extractor: str = "tf_efficientnet_lite0"  # or vgg16_bn (timm must be able to fetch it), or none
    pixel: float = Field(1.0, ge=0, le=1e4)  # L1 of normalized pictures
    layers: tuple[Annotated[float, Field(ge=0, le=1e4)], ...] = (20.0, 70.0, 10.0)  # L1 of features, shallow to deep
    features: float = Field(1.0, ge=0, le=1e4)  # weight of pixel and layers together in pretraining
    bins: float = Field(0.0, ge=0, le=1e4)  # compact only: cross-entropy over the color bins
    error: float = Field(0.0, ge=0, le=1e4)  # log of each picture's squared error, so a PSNR
    consistency: float = Field(0.0, ge=0, le=1e4)  # a smaller render, made old in another way, gives the same chroma
    rebalance: float = Field(0.5, ge=0, le=1)  # 0: colors weigh by how common they are, 1: all the same


class Pretrain(Section):
    """One phase of generator pretraining with the feature loss."""

    size: int = Field(64, ge=32, le=1024)
    batch: int = Field(32, ge=1, le=4096)
    epochs: float = Field(1.0, ge=0, le=1e4)  # may be a part of one
    rates: tuple[Annotated[float, Field(ge=0, le=1)], ...] = (
        1e-4,
        1e-3,
    )  # lowest and highest, or three; 0: fixed
    rise: float = Field(0.3, ge=0, le=1)  # part of the one-cycle schedule that climbs
    constant: bool = False  # the rate stays where it has climbed to, for runs whose end is open
    frozen: bool = False  # the encoder keeps its weights, batch norm aside


class CriticPhase(Section):
    """One phase of critic pretraining on generated and real pictures."""

    size: int = Field(128, ge=32, le=1024)
    batch: int = Field(16, ge=2, le=4096)
    epochs: float = Field(1.0, ge=0, le=1e4)
    rate: float = Field(1e-4, ge=0, le=1)
    rise: float = Field(0.3, ge=0, le=1)
    first_cycle_only: bool = False


class Critic(Section):
    """The network that tells generated from real, and its pretraining."""

    width: int = Field(256, ge=4, le=1024)  # channels of the first layer
    share: float = Field(0.085, ge=0, le=1)  # of the photos are generated, as many others are the real ones
    augment: Augment = Augment(zoom=2.0, brightness=0.1, contrast=1.25, warp=0.2)
    phases: tuple[CriticPhase, ...] = ()


class Gan(Section):
    """The short phase in which generator and critic train together."""

    size: int = Field(192, ge=32, le=1024)
    batch: int = Field(8, ge=1, le=4096)
    share: float = Field(0.03, ge=0, le=100)  # of the photos, counting both networks' batches
    rate: float = Field(1e-5, ge=0, le=1)
    critic_factor: float = Field(5.0, ge=0, le=1e3)  # the critic's rate / the generator's
    threshold: float = Field(0.65, ge=0, le=100)  # the critic trains until its loss is below
    critic_weight: float = Field(1.0, ge=0, le=1e4)
    feature_weight: float = Field(1.5, ge=0, le=1e4)
    bin_weight: float = Field(0.0, ge=0, le=1e4)  # compact only: keeps its distribution honest
    error_weight: float = Field(0.0, ge=0, le=1e4)  # as losses.error: holds each picture near its photo
    frozen_statistics: bool = False  # the generator's batch norm keeps its statistics, as small batches spoil them


class Inflection(Section):
    """When the GAN phase has given what it can give; see inflection.py."""

    every: float = Field(0.001, ge=1e-6, le=100)  # of the photos between two measurements
    photos: int = Field(64, ge=2, le=10000)  # held-out photos measured
    extractor: str = "tf_efficientnet_lite2"  # not the one of the loss, which the generator has learned to please
    patience: int = Field(8, ge=1, le=1000)  # measurements without a better one before stopping
    orange: float = Field(4.0, ge=0, le=180)  # Lab units that skin may be more orange than in the photos
    disagreement: float = Field(2.0, ge=1, le=100)  # how much renders at two sizes may come to differ, as a factor
    stop: bool = True  # False measures on to the end, and still keeps the best
    keep: bool = False  # every generator measured stays in checkpoints/, to choose by eye; 10 MB each, or 100 to 800


class Run(Section):
    """How the machine is used."""

    seed: int = 42
    precision: str = "auto"  # auto (bfloat16 on a GPU), 32-true or bf16-mixed
    accelerator: str = "auto"
    devices: int = Field(1, ge=1, le=4096)
    nodes: int = Field(1, ge=1, le=4096)
    checkpoint_every: int = Field(200, ge=1, le=10**9)  # steps
    log_every: int = Field(20, ge=1, le=10**9)  # steps
    judge_every: int = Field(1000, ge=1, le=10**9)  # steps of pretraining between looks at held-out photos
    previews: int = Field(8, ge=0, le=64)  # held-out photos on each sheet
    frozen_statistics: bool = False  # batch norm always uses its stored statistics
    average: float = Field(0.0, ge=0, le=1)  # of pretraining: decay of the moving average of the weights; 0: not kept


class Recipe(Section):
    """A whole training run."""

    name: str
    look: str = "stable"
    render_factor: int = Field(16, ge=2, le=64)
    task: str = "color"  # a name of degrade.TASKS, or of repair.damage.DAMAGES for a network that repairs
    repeats: int = Field(0, ge=0, le=100)  # NoGAN cycles after the first
    adversarial: bool = True  # False stops after pretraining
    weight_decay: float = Field(1e-3, ge=0, le=1)
    generator: Generator = Generator()
    data: Data = Data()
    augment: Augment = Augment()
    degrade: Degrade = Degrade()
    hints: Hints = Hints()
    losses: Losses = Losses()
    pretrain: tuple[Pretrain, ...] = ()
    critic: Critic = Critic()
    gan: Gan = Gan()
    inflection: Inflection = Inflection()
    run: Run = Run()


def recipe_names() -> list[str]:
    """The recipes that come with the package."""
    return sorted(entry.name.removesuffix(".yaml") for entry in _shelf().iterdir() if entry.name.endswith(".yaml"))


def load_recipe(recipe: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe by name or path and apply `overrides`, each `dotted.key=value` with a YAML value.

    OptionError names the file and the field that is wrong.
    """
    path = _find(recipe)
    try:
        tree = yaml.load(path.read_text(encoding="utf-8"), Loader=_Loader)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise OptionError(f"The recipe {recipe} cannot be read: {' '.join(str(error).split())}.") from None
    if not isinstance(tree, dict):
        raise OptionError(f"The recipe {recipe} is not a mapping of names to values; see the recipes of the package.")
    for override in overrides:
        _override(tree, override)
    try:
        return Recipe.model_validate_json(json.dumps(tree, default=str))  # as JSON, where a list may be a tuple
    except ValidationError as error:
        raise OptionError(_sentence(error)) from None


def dump_recipe(recipe: Recipe) -> str:
    """The recipe as YAML with every value written out; `load_recipe` reads it back equal."""
    text: str = yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False)
    return text


class _Loader(yaml.SafeLoader):
    """Reads 1e-4 and 1.5e4 as numbers too, which YAML 1.1 takes for text: it wants a point and a sign."""


_EXPONENT = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)[eE][-+]?\d+$")
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", _EXPONENT, list("-+.0123456789"))


def _shelf() -> Any:
    return files("vintage_colorizer.training") / "recipes"


def _find(recipe: str | Path) -> Any:
    if Path(recipe).is_file():
        return Path(recipe)
    if str(recipe) in recipe_names():
        return _shelf() / f"{recipe}.yaml"
    raise OptionError(f"There is no recipe '{recipe}'; give a file or one of {', '.join(recipe_names())}.")


def _override(tree: dict[str, Any], override: str) -> None:
    key, equals, value = override.partition("=")
    if not equals:
        raise OptionError(f"'{override}' is not an override; write key=value, as in gan.rate=1e-5.")
    *parents, last = key.split(".")
    place: Any = tree
    try:
        for parent in parents:
            place = place[int(parent)] if isinstance(place, list) else place.setdefault(parent, {})
        place[int(last) if isinstance(place, list) else last] = yaml.load(value, Loader=_Loader)
    except (AttributeError, IndexError, TypeError, ValueError, yaml.YAMLError):
        raise OptionError(f"The override '{override}' names nothing in the recipe.") from None


def _sentence(error: ValidationError) -> str:
    """The first problem of a recipe in one sentence."""
    problem = error.errors()[0]
    place = ".".join(map(str, problem["loc"]))
    if problem["type"] == "extra_forbidden":
        return f"Recipe: there is no field {place}; known are {', '.join(_fields_at(problem['loc'][:-1]))}."
    if problem["type"] == "missing":
        return f"Recipe: {place} is missing."
    message = str(problem["msg"])
    return f"Recipe: {place} cannot be {problem['input']!r}: {message[0].lower()}{message[1:].removesuffix('.')}."


def _fields_at(place: tuple[str | int, ...]) -> list[str]:
    """The fields of the section at `place`."""
    kind: Any = Recipe
    for step in place:
        kind = kind.model_fields[step].annotation if isinstance(step, str) else get_args(kind)[0]
    return list(kind.model_fields)
