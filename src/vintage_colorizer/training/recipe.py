"""Recipes: every number of a training run in one small YAML file, checked before anything starts.

    recipe = load_recipe("tiny", ["gan.rate=1e-5", "pretrain.0.size=96"])

Recipes are found by name in the package or by path. The fields below are the whole vocabulary; a value not
written in a file has the default given here.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import yaml

from vintage_colorizer.errors import OptionError

T = TypeVar("T")


def _within(default: Any, low: float, high: float) -> Any:
    """A field whose number, or numbers, must lie in low..high."""
    return field(default=default, metadata={"low": low, "high": high})


@dataclass(frozen=True)
class Generator:
    """The network that learns to color."""

    network: str = "compact"  # a name of architectures.GENERATORS
    encoder: str = "tf_efficientnet_lite0"  # compact only
    widths: tuple[int, ...] = (192, 128, 96)  # compact only: the decoder's channels
    hints: bool = False  # compact only: it takes hints of color, and is trained with those of the section hints
    palette: int = _within(0, 0, 256)  # compact only: queries of the palette; 0: it has none
    start: str = "imagenet"  # imagenet, none, or a .safetensors file of the whole generator
    vividness: float = _within(0.5, 0, 1)  # compact only: where feature loss and critic see its pictures


@dataclass(frozen=True)
class Data:
    """Which photos, and how they are held."""

    validation: str | None = None  # photos to choose with; without it, a share of the data is held out
    held_out: float = _within(0.1, 0.001, 0.5)
    min_colorfulness: float = _within(6.0, 0, 100)  # Hasler-Suesstrunk; below it a photo is near grey
    margin: float = _within(1.125, 1, 2)  # short side held / training size
    memory_gb: float = _within(8.0, 0, 4096)  # held decoded on the device up to this, read again beyond
    workers: int = _within(4, 0, 256)  # processes that read what does not fit


@dataclass(frozen=True)
class Augment:
    """Changes to the photo before it is made old; each range is drawn uniformly, each chance is 0..1."""

    flip: float = _within(0.5, 0, 1)
    warp: float = _within(0.25, 0, 0.5)
    rotate: float = _within(10.0, 0, 45)  # degrees
    zoom: float = _within(1.2, 1, 4)  # largest
    brightness: float = _within(0.25, 0, 0.49)  # logit(0.5 +- this) is added in logit space
    contrast: float = _within(2.0, 1, 8)  # factor up to this, or down to its inverse, in logit space
    chance: float = _within(0.75, 0, 1)  # of each of warp, rotate, zoom, brightness, contrast


@dataclass(frozen=True)
class Degrade:
    """How a color photo is made into an old one: the chance of each effect, at a random strength."""

    spectral: float = _within(0.0, 0, 1)  # film that sees little or no red
    blur: float = _within(0.0, 0, 1)
    fading: float = _within(0.0, 0, 1)
    vignette: float = _within(0.0, 0, 1)
    scratches: float = _within(0.0, 0, 1)
    dust: float = _within(0.0, 0, 1)
    grain: float = _within(0.0, 0, 1)
    noise: float = _within(0.0, 0, 1)  # the original's: single pixels off by up to 30 levels
    jpeg: float = _within(0.0, 0, 1)


@dataclass(frozen=True)
class Hints:
    """What colors the generator is told in training; see hints.py."""

    none: float = _within(0.4, 0, 1)  # share of views without any
    stop: float = _within(0.125, 0.02, 1)  # the number of points is geometric with this chance
    jitter: float = _within(0.01, 0, 0.5)  # deviation of a sure hint's chroma; unsure ones are off by more
    impossible: float = _within(0.15, 0, 1)  # of the views with hints: a region, and its hint, get another color
    displaced: float = _within(0.1, 0, 1)  # of the views with hints: many, moved as motion moves them in films


@dataclass(frozen=True)
class Losses:
    """What the generator is told apart from the critic's opinion."""

    extractor: str = "tf_efficientnet_lite0"  # or vgg16_bn (timm must be able to fetch it), or none
    pixel: float = _within(1.0, 0, 1e4)  # L1 of normalized pictures
    layers: tuple[float, ...] = _within((20.0, 70.0, 10.0), 0, 1e4)  # L1 of features, shallow to deep
    features: float = _within(1.0, 0, 1e4)  # weight of pixel and layers together in pretraining
    bins: float = _within(0.0, 0, 1e4)  # compact only: cross-entropy over the color bins
    error: float = _within(0.0, 0, 1e4)  # log of each picture's squared error, so a PSNR
    consistency: float = _within(0.0, 0, 1e4)  # a smaller render, made old in another way, gives the same chroma
    rebalance: float = _within(0.5, 0, 1)  # 0: colors weigh by how common they are, 1: all the same


@dataclass(frozen=True)
class Pretrain:
    """One phase of generator pretraining with the feature loss."""

    size: int = _within(64, 32, 1024)
    batch: int = _within(32, 1, 4096)
    epochs: float = _within(1.0, 0, 1e4)  # may be a part of one
    rates: tuple[float, ...] = _within((1e-4, 1e-3), 0, 1)  # lowest and highest, or of each of the 3 groups; 0: fixed
    rise: float = _within(0.3, 0, 1)  # part of the one-cycle schedule that climbs
    constant: bool = False  # the rate stays where it has climbed to, for runs whose end is open
    frozen: bool = False  # the encoder keeps its weights, batch norm aside


@dataclass(frozen=True)
class CriticPhase:
    """One phase of critic pretraining on generated and real pictures."""

    size: int = _within(128, 32, 1024)
    batch: int = _within(16, 2, 4096)
    epochs: float = _within(1.0, 0, 1e4)
    rate: float = _within(1e-4, 0, 1)
    rise: float = _within(0.3, 0, 1)
    first_cycle_only: bool = False


@dataclass(frozen=True)
class Critic:
    """The network that tells generated from real, and its pretraining."""

    width: int = _within(256, 4, 1024)  # channels of the first layer
    share: float = _within(0.085, 0, 1)  # of the photos are generated, as many others are the real ones
    augment: Augment = field(default_factory=lambda: Augment(zoom=2.0, brightness=0.1, contrast=1.25, warp=0.2))
    phases: tuple[CriticPhase, ...] = ()


@dataclass(frozen=True)
class Gan:
    """The short phase in which generator and critic train together."""

    size: int = _within(192, 32, 1024)
    batch: int = _within(8, 1, 4096)
    share: float = _within(0.03, 0, 100)  # of the photos, counting both networks' batches
    rate: float = _within(1e-5, 0, 1)
    critic_factor: float = _within(5.0, 0, 1e3)  # the critic's rate / the generator's
    threshold: float = _within(0.65, 0, 100)  # the critic trains until its loss is below
    critic_weight: float = _within(1.0, 0, 1e4)
    feature_weight: float = _within(1.5, 0, 1e4)
    bin_weight: float = _within(0.0, 0, 1e4)  # compact only: keeps its distribution honest
    error_weight: float = _within(0.0, 0, 1e4)  # as losses.error: holds each picture near its photo
    frozen_statistics: bool = False  # the generator's batch norm keeps its statistics, as small batches spoil them


@dataclass(frozen=True)
class Inflection:
    """When the GAN phase has given what it can give; see inflection.py."""

    every: float = _within(0.001, 1e-6, 100)  # of the photos between two measurements
    photos: int = _within(64, 2, 10000)  # held-out photos measured
    extractor: str = "tf_efficientnet_lite2"  # not the one of the loss, which the generator has learned to please
    patience: int = _within(8, 1, 1000)  # measurements without a better one before stopping
    orange: float = _within(4.0, 0, 180)  # Lab units that skin may be more orange than in the photos
    disagreement: float = _within(2.0, 1, 100)  # how much renders at two sizes may come to differ, as a factor
    stop: bool = True  # False measures on to the end, and still keeps the best
    keep: bool = False  # every generator measured stays in checkpoints/, to choose by eye; 10 MB each, or 100 to 800


@dataclass(frozen=True)
class Run:
    """How the machine is used."""

    seed: int = 42
    precision: str = "auto"  # auto (bfloat16 on a GPU), 32-true or bf16-mixed
    accelerator: str = "auto"
    devices: int = _within(1, 1, 4096)
    nodes: int = _within(1, 1, 4096)
    checkpoint_every: int = _within(200, 1, 10**9)  # steps
    log_every: int = _within(20, 1, 10**9)  # steps
    judge_every: int = _within(1000, 1, 10**9)  # steps of pretraining between looks at held-out photos
    previews: int = _within(8, 0, 64)  # held-out photos on each sheet
    frozen_statistics: bool = False  # batch norm always uses its stored statistics
    average: float = _within(0.0, 0, 1)  # of pretraining: decay of the moving average of the weights; 0: not kept


@dataclass(frozen=True)
class Recipe:
    """A whole training run."""

    name: str
    look: str = "stable"
    render_factor: int = _within(16, 2, 64)
    task: str = "color"  # a name of degrade.TASKS
    repeats: int = _within(0, 0, 100)  # NoGAN cycles after the first
    adversarial: bool = True  # False stops after pretraining
    weight_decay: float = _within(1e-3, 0, 1)
    generator: Generator = field(default_factory=Generator)
    data: Data = field(default_factory=Data)
    augment: Augment = field(default_factory=Augment)
    degrade: Degrade = field(default_factory=Degrade)
    hints: Hints = field(default_factory=Hints)
    losses: Losses = field(default_factory=Losses)
    pretrain: tuple[Pretrain, ...] = ()
    critic: Critic = field(default_factory=Critic)
    gan: Gan = field(default_factory=Gan)
    inflection: Inflection = field(default_factory=Inflection)
    run: Run = field(default_factory=Run)


def recipe_names() -> list[str]:
    """The recipes that come with the package."""
    return sorted(entry.name.removesuffix(".yaml") for entry in _shelf().iterdir() if entry.name.endswith(".yaml"))


def load_recipe(recipe: str | Path, overrides: Sequence[str] = ()) -> Recipe:
    """Read a recipe by name or path and apply `overrides`, each `dotted.key=value` with a YAML value.

    OptionError names the file and the field that is wrong.
    """
    path = _find(recipe)
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise OptionError(f"The recipe {recipe} cannot be read: {' '.join(str(error).split())}.") from None
    if not isinstance(tree, dict):
        raise OptionError(f"The recipe {recipe} is not a mapping of names to values; see the recipes of the package.")
    for override in overrides:
        _override(tree, override)
    return _build(Recipe, tree, "")


def dump_recipe(recipe: Recipe) -> str:
    """The recipe as YAML with every value written out; `load_recipe` reads it back equal."""
    text: str = yaml.safe_dump(_plain(dataclasses.asdict(recipe)), sort_keys=False)
    return text


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
        raise OptionError(f"'{override}' is no override; write key=value, as in gan.rate=1e-5.")
    *parents, last = key.split(".")
    place: Any = tree
    try:
        for parent in parents:
            place = place[int(parent)] if isinstance(place, list) else place.setdefault(parent, {})
        place[int(last) if isinstance(place, list) else last] = yaml.safe_load(value)
    except (AttributeError, IndexError, TypeError, ValueError, yaml.YAMLError):
        raise OptionError(f"The override '{override}' names nothing in the recipe.") from None


def _build(kind: type[T], tree: Any, path: str) -> T:
    if not isinstance(tree, dict):
        raise OptionError(f"Recipe: {path.rstrip('.')} must be a mapping of names to values, not {tree!r}.")
    hints = typing.get_type_hints(kind)
    fields = {entry.name: entry for entry in dataclasses.fields(kind)}  # type: ignore[arg-type]
    unknown = [name for name in tree if name not in fields]
    if unknown:
        raise OptionError(f"Recipe: there is no field {path}{unknown[0]}; known are {', '.join(fields)}.")
    values = {name: _value(hints[name], value, path + name) for name, value in tree.items()}
    for name, value in values.items():
        _check_range(value, fields[name].metadata, path + name)
    try:
        return kind(**values)
    except TypeError:
        raise OptionError("Recipe: it needs a name.") from None


def _value(hint: Any, value: Any, path: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return _build(typing.cast("type[Any]", hint), value, f"{path}.")
    if typing.get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise OptionError(f"Recipe: {path} must be a list, not {value!r}.")
        inner = typing.get_args(hint)[0]
        return tuple(_value(inner, entry, f"{path}.{number}") for number, entry in enumerate(value))
    if isinstance(hint, types.UnionType):
        return None if value is None else _value(typing.get_args(hint)[0], value, path)
    return _scalar(hint, value, path)


def _scalar(hint: Any, value: Any, path: str) -> Any:
    if hint is float and isinstance(value, int | float | str) and not isinstance(value, bool):
        try:
            return float(value)  # YAML reads 1e-4, without a point, as text
        except ValueError:
            pass
    elif type(value) is hint:
        return value
    raise OptionError(f"Recipe: {path} must be a {hint.__name__}, not {value!r}.")


def _check_range(value: Any, limits: Any, path: str) -> None:
    if not limits:
        return
    for number in value if isinstance(value, tuple) else (value,):
        if not limits["low"] <= number <= limits["high"]:
            raise OptionError(f"Recipe: {path} must be in {limits['low']}..{limits['high']}, not {number}.")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return [_plain(entry) for entry in value] if isinstance(value, list | tuple) else value
