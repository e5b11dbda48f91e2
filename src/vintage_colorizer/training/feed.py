"""What the phases are fed: orders of photos, windows of them changed and made old, held-out photos to judge on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vintage_colorizer.datasets import Source, open_source
from vintage_colorizer.errors import InputError, OptionError
from vintage_colorizer.repair.damage import DAMAGES
from vintage_colorizer.training.data import Windows, draw, hold, shuffled, survey
from vintage_colorizer.training.degrade import EFFECTS, HAND, TASKS, Dice, augment, color
from vintage_colorizer.training.generators import luma_of
from vintage_colorizer.training.hints import HINT_HANDS, give_hints
from vintage_colorizer.training.recipe import Recipe

log = logging.getLogger("vintage_colorizer")
HELD_OUT = 2**31  # the "epoch" whose order decides which photos are held out, and which the critic sees
EPOCHS = 10_000  # epochs that one stage can have at most
HANDS = 2 * EFFECTS + 2  # of dice: two ways of making a photo old, its augmentation, and where it is cut


@dataclass(frozen=True)
class Order:
    """Which photo comes when: `numbers` in the source and `epochs`, both [steps, batch]."""

    numbers: NDArray[np.int64]
    epochs: NDArray[np.int64]

    def __len__(self) -> int:
        """How many steps there are."""
        return len(self.numbers)

    @property
    def batch(self) -> int:
        """How many photos there are in a step."""
        return int(self.numbers.shape[1])


class Pair(NamedTuple):
    """A batch to learn from, all in 0..1."""

    luma: Tensor  # degraded, [N, 1, size, size]
    clean: Tensor  # RGB [N, 3, size, size]
    twin: Tensor | None  # luma degraded in another way, if the recipe asks for consistency
    hints: Tensor | None = None  # as in the contract, if the recipe asks for them


def make_order(numbers: NDArray[np.int64], epochs: float, batch: int, seed: int, stage: int) -> Order:
    """Order `epochs` passes over `numbers` in batches; the last part of a batch is dropped.

    With fewer photos than a batch, the batch is all of them.
    """
    if batch > len(numbers):
        log.warning("%d photos are less than a batch of %d; each batch is all of them", len(numbers), batch)
        batch = len(numbers)
    steps = max(1, int(epochs * len(numbers)) // batch)
    passes = range(stage * EPOCHS, stage * EPOCHS + -(-steps * batch // len(numbers)))
    picked = np.concatenate([shuffled(numbers, seed, epoch) for epoch in passes])
    counted = np.repeat(np.array(passes), len(numbers))
    shape = (steps, batch)
    return Order(picked[: steps * batch].reshape(shape), counted[: steps * batch].reshape(shape))


class Feed:
    """The photos of a run, split into those to learn from and those to judge on."""

    def __init__(self, recipe: Recipe, data: str, out: Path, fabric: Any) -> None:
        """Look through `data`; InputError if there is too little to learn from."""
        known = (*TASKS, *DAMAGES)
        if recipe.task not in known:
            raise OptionError(f"There is no task '{recipe.task}'; known are {', '.join(known)}.")
        self.recipe, self.fabric, self.seed = recipe, fabric, recipe.run.seed
        self.source, usable = self._open(data, out / "photos.npz")
        if recipe.data.validation is not None:
            self.judges, judging = self._open(recipe.data.validation, out / "validation.npz")
            self.train = usable
            self.held_out = shuffled(judging, self.seed, HELD_OUT)
        else:
            mixed = shuffled(usable, self.seed, HELD_OUT)
            count = max(1, round(recipe.data.held_out * len(usable)))
            self.judges, self.held_out, self.train = self.source, mixed[:count], np.sort(mixed[count:])
        if not len(self.train):
            raise InputError(f"{data} has too few photos: none is left to learn from when one is held out.")
        self._held: tuple[int, Windows] | None = None
        self._validation: dict[int, Tensor] = {}

    def _open(self, data: str, cache: Path) -> tuple[Source, NDArray[np.int64]]:
        source = open_source(data)
        found = None
        if self.fabric.is_global_zero:
            found = survey(source, self.recipe.data.min_colorfulness, cache)
        return source, self.fabric.broadcast(found).usable

    def pairs(self, order: Order, size: int, start: int) -> Iterator[Pair]:
        """From step `start` on: what to learn from."""
        task, windows = TASKS[self.recipe.task], self._windows(round(size * self.recipe.data.margin))
        for photos, dice in self._rolled(windows, order, start):
            clean = augment(photos, dice.hand(EFFECTS), size, self.recipe.augment)
            twin = task(clean, dice.hands(EFFECTS + 1), self.recipe.degrade) if self.recipe.losses.consistency else None
            luma, hints = task(clean, dice, self.recipe.degrade), None
            if self.recipe.generator.hints:
                clean, hints = give_hints(clean, dice.hands(HANDS), self.recipe.hints)
            yield Pair(luma, clean, twin, hints)

    def examples(self, order: Order, size: int, start: int) -> Iterator[tuple[Tensor, Tensor]]:
        """From step `start` on: damaged luma [N, 1 or 2, size, size], and what is to be made of it."""
        for photos, dice in self._rolled(self._windows(round(size * self.recipe.data.margin)), order, start):
            clean = augment(photos, dice.hand(EFFECTS), size, self.recipe.augment)
            luma = color(clean, dice, self.recipe.degrade)
            yield damage_batch(self.recipe.task, luma, dice.hand(EFFECTS + 1).rows.numpy())

    def views(
        self, source: Source, order: Order, size: int, start: int, prepare: Callable[[Tensor], Tensor]
    ) -> Iterator[Tensor]:
        """From step `start` on: what the critic is shown of `source`, RGB [N, 3, size, size] in 0..1.

        `prepare` is applied to whole photos, before they are augmented.
        """
        windows = hold(source, np.unique(order.numbers), size, self.recipe.data, self.fabric.device)
        for photos, dice in self._rolled(windows, order, start):
            yield augment(prepare(photos), dice.hand(EFFECTS), size, self.recipe.critic.augment)

    def damaged_validation(self, size: int) -> tuple[Tensor, Tensor]:
        """The held-out photos, each damaged in a way of its own: as `examples`."""
        luma = luma_of(self.validation(size))
        rows = draw(self.seed, np.full(len(luma), HELD_OUT), np.arange(len(luma)), HAND)
        return damage_batch(self.recipe.task, luma, rows)

    def _rolled(self, windows: Windows, order: Order, start: int) -> Iterator[tuple[Tensor, Dice]]:
        """This process's part of each batch, cut out but not changed, and its dice."""
        mine = self._mine(order)
        hands = HANDS + (HINT_HANDS if self.recipe.generator.hints else 0)
        rolled: list[NDArray[np.float32]] = []

        def wanted() -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
            for step in range(start, len(order)):
                numbers, epochs = order.numbers[step, mine], order.epochs[step, mine]
                rolled.append(draw(self.seed, epochs, numbers, hands * HAND))
                yield numbers, rolled[-1][:, HANDS * HAND - 1]

        for window in windows.stream(wanted()):
            yield window.float() / 255, Dice(torch.from_numpy(rolled.pop(0)), window.device)

    def centered(self, source: Source, numbers: NDArray[np.int64], size: int) -> Tensor:
        """The middles of photos, unchanged: RGB [N, 3, size, size] in 0..1."""
        windows = hold(source, numbers, size, self.recipe.data, self.fabric.device)
        (middle,) = windows.stream(iter([(numbers, np.full(len(numbers), 0.5, np.float32))]))
        return middle.float() / 255

    def validation(self, size: int) -> Tensor:
        """The held-out photos that runs are judged on."""
        if size not in self._validation:
            numbers = self.held_out[: self.recipe.inflection.photos]
            self._validation = {size: self.centered(self.judges, numbers, size)}
        return self._validation[size]

    def for_critic(self, cycle: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Photos to be painted for the critic in a cycle, and as many others to be shown as they are."""
        mixed = shuffled(self.train, self.seed, HELD_OUT + 1 + cycle)
        count = max(1, round(self.recipe.critic.share * len(mixed)))
        others = mixed[count : 2 * count]
        return mixed[:count], others if len(others) == count else mixed[-count:]

    def _mine(self, order: Order) -> slice:
        part, rest = divmod(order.batch, self.fabric.world_size)
        if rest or not part:
            raise OptionError(
                f"A batch of {order.batch} cannot be shared by {self.fabric.world_size} processes; "
                "override the batch with a multiple."
            )
        return slice(self.fabric.global_rank * part, (self.fabric.global_rank + 1) * part)

    def _windows(self, side: int) -> Windows:
        """All photos to learn from, held as long as the size does not change."""
        if self._held is None or self._held[0] != side:
            self._held = None  # free the old ones first
            self._held = (side, hold(self.source, self.train, side, self.recipe.data, self.fabric.device))
        return self._held[1]


def damage_batch(task: str, luma: Tensor, rows: NDArray[np.float32]) -> tuple[Tensor, Tensor]:
    """Damage luma [N, 1, H, W], each photo by the random numbers of its row; see `DAMAGES`."""
    made = [
        DAMAGES[task](photo[0].numpy(), np.random.default_rng((row * 2**24).astype(np.int64)))
        for photo, row in zip(luma.cpu(), rows, strict=True)
    ]
    size = made[0][1].shape
    found, goal = (torch.from_numpy(np.stack(planes)).view(len(made), -1, *size) for planes in zip(*made, strict=True))
    return found.to(luma.device), goal.to(luma.device)
