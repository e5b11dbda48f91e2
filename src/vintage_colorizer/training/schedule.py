"""The order of a run's stages, and the rates and turns within them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from vintage_colorizer.errors import OptionError
from vintage_colorizer.training.recipe import Recipe


@dataclass(frozen=True)
class Stage:
    """One entry of a run's plan."""

    kind: str  # pretrain, generate, critique or gan
    name: str
    settings: Any = None
    cycle: int = 0


def plan(recipe: Recipe) -> list[Stage]:
    """All stages of a run, in order."""
    stages = [Stage("pretrain", f"pretrain-{i + 1}", phase) for i, phase in enumerate(recipe.pretrain)]
    for cycle in range(recipe.repeats + 1 if recipe.adversarial else 0):
        stages.append(Stage("generate", f"generate-{cycle + 1}", recipe.gan, cycle))
        for i, phase in enumerate(recipe.critic.phases):
            if cycle == 0 or not phase.first_cycle_only:
                stages.append(Stage("critique", f"critic-{cycle + 1}.{i + 1}", phase, cycle))
        stages.append(Stage("gan", f"gan-{cycle + 1}", recipe.gan, cycle))
    return stages


def one_cycle(step: int, steps: int, rise: float, constant: bool = False) -> tuple[float, float]:
    """The one-cycle schedule (Smith, 2018): a factor on the highest rate, and Adam's beta1.

    Half a cosine from 1/25 up to 1 over `rise` of the steps (one step at least), then down to 1/250000, as in fastai
    and torch's OneCycleLR; computed from the step alone, so that a run can be resumed at any. `constant` stays up.
    """
    climb = int(steps * rise)
    if step < max(1, climb):
        return _cosine(1 / 25, 1, step / max(1, climb)), _cosine(0.95, 0.85, step / max(1, climb))
    if constant:
        return 1.0, 0.9
    part = (step - max(1, climb)) / max(1, steps - climb)
    return _cosine(1, 1 / 250000, part), _cosine(0.85, 0.95, part)


def _cosine(start: float, end: float, part: float) -> float:
    return end + (start - end) * (1 + math.cos(math.pi * part)) / 2


def spread_rates(rates: Sequence[float]) -> list[float]:
    """Highest rates of the three parameter groups: three as they are, two with their geometric mean between."""
    if len(rates) == 2:
        return [rates[0], math.sqrt(rates[0] * rates[1]), rates[1]]
    if len(rates) == 3:
        return list(rates)
    raise OptionError(f"Recipe: rates are two numbers, lowest and highest, or three, not {len(rates)}.")


def next_turn(turn: str, critic_loss: float, threshold: float) -> str:
    """Who steps next: the generator once, when the critic's loss on the last batch was under the threshold."""
    return "generator" if turn == "critic" and critic_loss < threshold else "critic"


def set_rates(optimizer: torch.optim.Optimizer, rates: Sequence[float], beta1: float) -> None:
    """Give each parameter group its rate, and all of them Adam's beta1."""
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
        group["betas"] = (beta1, group["betas"][1])
