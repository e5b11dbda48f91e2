"""Where a run stands, and all that the rest of it depends on: what a checkpoint holds."""

from __future__ import annotations

import logging
from typing import Any

import torch
from torch import Tensor, nn

from vintage_colorizer.errors import EngineError, OptionError
from vintage_colorizer.training.average import Average
from vintage_colorizer.training.generators import Painter
from vintage_colorizer.training.inflection import Watch
from vintage_colorizer.training.recipe import Recipe
from vintage_colorizer.training.runs import Run

log = logging.getLogger("vintage_colorizer")


class State:
    """A run at a step of a stage, both counted from 0: networks, optimizers, averages and measurements."""

    def __init__(self, recipe: Recipe, run: Run, generator: Painter, critic: nn.Module, photos: int) -> None:
        """Begin, or take up the run's last checkpoint; OptionError if that was trained on another number of photos."""
        self.recipe, self.run, self.generator, self.critic, self.photos = recipe, run, generator, critic, photos
        self.stage, self.step, self.turn = 0, 0, "critic"
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        self.watch = Watch(recipe.inflection)
        self.average: Average | None = None
        self.best: dict[str, Tensor] = {}
        self.figures: dict[str, dict[str, float]] = {}
        self.restored = run.load()
        if self.restored is not None:
            self._restore(self.restored)

    def end_stage(self) -> None:
        """Stand before the first step of the next stage."""
        self.stage, self.step, self.turn = self.stage + 1, 0, "critic"
        self.optimizers, self.best, self.restored = {}, {}, None
        self.watch = Watch(self.recipe.inflection)
        self.save()

    def optimizer(
        self, name: str, groups: list[list[nn.Parameter]], betas: tuple[float, float]
    ) -> torch.optim.Optimizer:
        """Adam with decoupled weight decay, as it was left if the run was cut off in this stage."""
        optimizer = torch.optim.AdamW(
            [{"params": group} for group in groups], betas=betas, weight_decay=self.recipe.weight_decay
        )
        if self.restored is not None and name in self.restored["optimizers"]:
            optimizer.load_state_dict(self.restored["optimizers"][name])
        self.optimizers[name] = optimizer
        return optimizer

    def averaged(self) -> Average | None:
        """The moving average of the generator's weights, if the recipe keeps one."""
        if self.average is None and self.recipe.run.average:
            self.average = Average(self.recipe.run.average, self.generator.network.state_dict())
        return self.average

    def set_aside(self) -> None:
        """Keep the generator as it is now as the best one of this stage."""
        self.best = {key: value.detach().cpu().clone() for key, value in self.generator.network.state_dict().items()}

    def diverged(self, what: str) -> EngineError:
        """The error for `what` that is not a number any more."""
        return EngineError(
            f"{what} is not a number at step {self.step} of stage {self.stage + 1}; the last good state is "
            f"{self.run.checkpoint}, start again with lower rates."
        )

    def save(self) -> None:
        """Write a checkpoint. EngineError, and the last good one stays, if a weight is no longer a number."""
        for network in (self.generator, self.critic):
            if not all(bool(torch.isfinite(weight).all()) for weight in network.parameters()):
                raise self.diverged("A weight")
        self.run.save(
            {
                "stage": self.stage,
                "step": self.step,
                "turn": self.turn,
                "generator": self.generator.network.state_dict(),
                "critic": self.critic.state_dict(),
                "optimizers": {name: optimizer.state_dict() for name, optimizer in self.optimizers.items()},
                "average": self.average and {"state": self.average.state, "steps": self.average.steps},
                "watch": {"history": self.watch.history, "best": self.watch.best},
                "best": self.best,
                "figures": self.figures,
                "photos": self.photos,
            }
        )

    def _restore(self, left: dict[str, Any]) -> None:
        if left["photos"] != self.photos:
            raise OptionError(f"{self.run.out} was begun with other photos; resume it with the same ones.")
        self.stage, self.step, self.turn = left["stage"], left["step"], left["turn"]
        self.generator.network.load_state_dict(left["generator"])
        self.critic.load_state_dict(left["critic"])
        if left.get("average"):
            self.average = Average(self.recipe.run.average, **left["average"])
        self.watch = Watch(self.recipe.inflection, **left["watch"])
        self.best, self.figures = left["best"], left["figures"]
        log.info("Resuming at stage %d, step %d", self.stage + 1, self.step)
