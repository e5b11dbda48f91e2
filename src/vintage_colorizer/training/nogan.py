"""NoGAN training, from photos to a network file, in the order of the phases below.

    vintage-colorizer train tiny --data photos/ --out runs/first

1. `pretrain`   the generator alone, with the feature loss, at growing sizes
2. `generate`   it paints photos
3. `critique`   the critic alone learns to tell these from real ones
4. `gan`        both together, for a moment: until the inflection point
   2. to 4. are repeated `repeats` times
5. `finish`     the network file and its card

A run is a list of stages, and stands at a step of a stage. Everything random follows from (seed, stage, step), so a
run that was cut off goes on exactly as it would have. The method is Jason Antic's (DeOldify, 2019).
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from vintage_colorizer.datasets import open_source
from vintage_colorizer.files import atomically
from vintage_colorizer.networks.architectures import build_critic
from vintage_colorizer.networks.architectures.lab import ab_of
from vintage_colorizer.repair.damage import DAMAGES
from vintage_colorizer.training import losses
from vintage_colorizer.training.card import finish
from vintage_colorizer.training.feed import Feed, Order, Pair, make_order
from vintage_colorizer.training.generators import CompactPainter, build_painter, freeze_statistics, luma_of
from vintage_colorizer.training.judging import Judge
from vintage_colorizer.training.launch import launch
from vintage_colorizer.training.lessons import Lessons
from vintage_colorizer.training.recipe import CriticPhase, Gan, Pretrain, Recipe, load_recipe
from vintage_colorizer.training.repairing import Repairing
from vintage_colorizer.training.runs import Interrupt, Progress, Run
from vintage_colorizer.training.schedule import Stage, next_turn, one_cycle, plan, set_rates, spread_rates
from vintage_colorizer.training.state import State

PRIOR_PHOTOS = 2000  # on which the color prior is counted


def train(
    recipe: str | Path, data: str | Path, out: str | Path, resume: bool = False, overrides: Sequence[str] = ()
) -> Path:
    """Train by `recipe` (a name or a file) on the photos at `data`; returns the network file in the folder `out`.

    `data` is a folder of pictures, tar shards (file, folder or pattern) or hf:NAME; `overrides` are key=value.
    `resume` goes on with the run in `out`, if there is one. Raises OptionError, MissingError, InputError,
    OutputError, or EngineError when the loss is no longer a number.
    """
    settings = load_recipe(recipe, overrides)
    fabric = launch(settings.run)
    run = Run(Path(out), settings, resume, writes=fabric.is_global_zero)
    try:
        if settings.task in DAMAGES:
            return Repairing(settings, str(data), run, fabric).go()
        training = NoGan(settings, str(data), run, fabric)
        training.go()
        fabric.barrier()
        return finish(training.generator, settings, run, training.state.figures, str(data))
    finally:
        run.close()


class NoGan:
    """Both networks and the phases of their training."""

    def __init__(self, recipe: Recipe, data: str, run: Run, fabric: Any) -> None:
        """Build the networks, look through the data, and take up the run's last checkpoint."""
        self.recipe, self.run, self.fabric = recipe, run, fabric
        torch.manual_seed(recipe.run.seed)
        self.generator = build_painter(recipe.generator).to(fabric.device).to(memory_format=torch.channels_last)
        self.critic = build_critic(recipe.critic.width).to(fabric.device).to(memory_format=torch.channels_last)
        self.feed = Feed(recipe, data, run.out, fabric)
        self.lessons = Lessons(recipe, self.generator, fabric.device)
        self.state = State(recipe, run, self.generator, self.critic, len(self.feed.train))
        self.judge = Judge(self.state, self.feed, self.lessons, fabric)
        self.interrupt = Interrupt()
        if self.state.restored is None and isinstance(self.generator, CompactPainter):
            self._rebalance(self.generator)

    # ---- The phases --------------------------------------------------------------------------------

    def go(self) -> None:
        """Run all stages from where the run stands; interrupted, save the step and raise KeyboardInterrupt."""
        phases = {
            "pretrain": self.pretrain,
            "generate": self.generate,
            "critique": self.critique,
            "gan": self.gan,
        }
        with self.interrupt:
            for stage in plan(self.recipe)[self.state.stage :]:
                phases[stage.kind](stage)
                self.state.end_stage()

    def pretrain(self, stage: Stage) -> None:
        """The generator alone: feature loss and, for the compact network, cross-entropy over color bins."""
        how: Pretrain = stage.settings
        order = self._order(self.feed.train, how.epochs, how.batch)
        rates = spread_rates(how.rates)
        self.generator.freeze(how.frozen, [rate == 0 for rate in rates])
        optimizer = self.state.optimizer("generator", self.generator.groups(), (0.9, 0.99))
        generator = self.fabric.setup_module(self.generator)
        average = self.state.averaged()
        progress = self._progress(stage, order)
        for pair in self.feed.pairs(order, how.size, self.state.step):
            self._begin_step(learns=self.generator)
            factor, momentum = one_cycle(self.state.step, len(order), how.rise, how.constant)
            set_rates(optimizer, [factor * rate for rate in rates], momentum)
            loss = self.lessons.pretraining(generator, pair)
            self._descend(loss, optimizer)
            if average is not None:
                average.follow(self.generator.network)
            self._end_step(progress, order, {"loss": loss, "rate": rates[-1] * factor})
            if self.state.step % self.recipe.run.judge_every == 0:
                self.judge.report_average(stage.name, how.size)
        if average is not None:
            self.generator.network.load_state_dict(average.state)
        self.judge.report(stage.name, how.size)

    def generate(self, stage: Stage) -> None:
        """Paint a share of the photos for the critic to learn from: 8-bit levels, cut off as the original does."""
        size, folder = stage.settings.size, self._generated(stage)
        numbers = self.feed.for_critic(stage.cycle)[0][self.fabric.global_rank :: self.fabric.world_size]
        self.generator.eval()
        if self.fabric.is_global_zero:
            shutil.rmtree(folder, ignore_errors=True)
        self.fabric.barrier()
        for part in np.array_split(numbers, -(-len(numbers) // stage.settings.batch)):
            painted = self.lessons.paint(luma_of(self.feed.centered(self.feed.source, part, size)))
            levels = (losses.denormalize(painted) * 255).byte().cpu().numpy()
            for number, picture in zip(part, np.moveaxis(levels, 1, -1), strict=True):
                with atomically(folder / f"{number:08d}.png") as file:
                    Image.fromarray(np.ascontiguousarray(picture)).save(file, "png")
        self.fabric.barrier()

    def critique(self, stage: Stage) -> None:
        """The critic alone, as a classifier: half of every batch is generated (0), half real (1)."""
        how: CriticPhase = stage.settings
        painted = open_source(self._generated(stage))
        fakes = self._order(np.arange(len(painted)), how.epochs, how.batch // 2)
        reals = self._order(self.feed.for_critic(stage.cycle)[1], how.epochs, how.batch // 2)
        self.critic.requires_grad_(True)
        optimizer = self.state.optimizer("critic", [list(self.critic.parameters())], (0.9, 0.99))
        critic = self.fabric.setup_module(self.critic)
        progress, first = self._progress(stage, fakes), self.state.step
        shown = zip(
            self.feed.views(painted, fakes, how.size, first, lambda photos: photos),
            self.feed.views(self.feed.source, reals, how.size, first, self.generator.attainable),
            strict=True,
        )
        for fake, real in shown:
            self._begin_step(learns=self.critic)
            factor, momentum = one_cycle(self.state.step, len(fakes), how.rise)
            set_rates(optimizer, [how.rate * factor], momentum)
            loss, right = self.lessons.opinion(critic, real, fake)
            self._descend(loss, optimizer)
            self._end_step(progress, fakes, {"loss": loss, "right": right, "rate": how.rate * factor})

    def gan(self, stage: Stage) -> None:
        """Generator and critic in turns, measured all the while; ends with the best generator seen."""
        how: Gan = stage.settings
        order = self._order(self.feed.train, how.share, how.batch)
        self.generator.freeze(True)
        self.critic.requires_grad_(True)
        for_generator = self.state.optimizer("generator", self.generator.groups(), (0.0, 0.9))
        for_critic = self.state.optimizer("critic", [list(self.critic.parameters())], (0.0, 0.9))
        set_rates(for_generator, [how.rate] * 3, 0.0)
        set_rates(for_critic, [how.rate * how.critic_factor], 0.0)
        generator, critic = (self.fabric.setup_module(network) for network in (self.generator, self.critic))
        every = max(1, round(self.recipe.inflection.every * len(self.feed.train) / order.batch))
        progress = self._progress(stage, order)
        if not self.state.watch.history:
            self.judge.measure(stage.name, how.size)
        for pair in self.feed.pairs(order, how.size, self.state.step):
            figures = (
                self._critic_turn(critic, for_critic, pair, how)
                if self.state.turn == "critic"
                else self._generator_turn(generator, for_generator, pair, how)
            )
            if (self.state.step + 1) % every == 0:
                self.judge.measure(stage.name, how.size)  # before the step ends, so that its checkpoint holds it
            self._end_step(progress, order, figures)
            if self.recipe.inflection.stop and self.state.watch.turned():
                break
        self.judge.keep_best(stage.name, how.size, every * order.batch / len(self.feed.train))

    def _critic_turn(self, critic: nn.Module, optimizer: torch.optim.Optimizer, pair: Pair, how: Gan) -> dict[str, Any]:
        self._begin_step(learns=self.critic, waits=self.generator)
        fake = losses.denormalize(self.lessons.paint(pair.luma, luma_of(pair.clean)))
        loss, right = self.lessons.opinion(critic, self.generator.attainable(pair.clean), fake)
        self._descend(loss, optimizer)
        self.state.turn = next_turn("critic", self._everywhere(loss), how.threshold)
        return {"critic_loss": loss, "right": right}

    def _generator_turn(
        self, generator: nn.Module, optimizer: torch.optim.Optimizer, pair: Pair, how: Gan
    ) -> dict[str, Any]:
        self._begin_step(learns=self.generator, waits=self.critic)
        if how.frozen_statistics:
            freeze_statistics(self.generator)
        loss, deceit = self.lessons.adversarial(generator, self.critic, pair, how)
        self._descend(loss, optimizer)
        self.state.turn = next_turn("generator", 0.0, how.threshold)
        return {"loss": loss, "deceit": deceit}

    # ---- One step ----------------------------------------------------------------------------------

    def _begin_step(self, learns: nn.Module, waits: nn.Module | None = None) -> None:
        """Seed the step; the network that waits is frozen, its dropout, statistics and power iteration too."""
        place = (self.recipe.run.seed, self.state.stage, self.state.step, self.fabric.global_rank)
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1)[0]))
        learns.train()
        if waits is not None:
            waits.eval()
            self.critic.requires_grad_(waits is not self.critic)
        if self.recipe.run.frozen_statistics:
            freeze_statistics(learns)

    def _descend(self, loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
        if not bool(torch.isfinite(loss)):
            raise self.state.diverged("The loss")
        optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        optimizer.step()

    def _end_step(self, progress: Progress, order: Order, figures: dict[str, Any]) -> None:
        """Report, and save, every so often."""
        state = self.state
        if progress.due(state.step):
            numbers = {name: self._everywhere(value) for name, value in figures.items()}
            if self.fabric.is_global_zero:
                progress.tell(state.step, order.batch, numbers)
            self.run.record(progress.name, state.step + 1, numbers)
        state.step += 1
        if state.step % self.recipe.run.checkpoint_every == 0 or self.interrupt.asked:
            state.save()
        if self.interrupt.asked:
            raise KeyboardInterrupt

    def _everywhere(self, figure: Tensor | float) -> float:
        """The mean of a figure over all processes."""
        here = torch.as_tensor(figure, dtype=torch.float32, device=self.fabric.device).detach()
        return float(self.fabric.all_reduce(here, reduce_op="mean"))

    def _progress(self, stage: Stage, order: Order) -> Progress:
        return Progress(stage.name, self.state.step, len(order), self.recipe.run.log_every)

    def _order(self, numbers: Any, epochs: float, batch: int) -> Order:
        return make_order(numbers, epochs, batch, self.recipe.run.seed, self.state.stage)

    def _generated(self, stage: Stage) -> Path:
        return self.run.out / "generated" / f"cycle-{stage.cycle + 1}"

    def _rebalance(self, painter: CompactPainter) -> None:
        """Count how common each color is, unless the generator came with its weights."""
        network = painter.network
        if bool(network.log_weights.any()):
            return
        table = losses.bin_table(network.bins)
        counts = torch.zeros(len(network.bins), device=self.fabric.device)
        for part in np.array_split(self.feed.train[:PRIOR_PHOTOS], -(-len(self.feed.train[:PRIOR_PHOTOS]) // 64)):
            ab = nn.functional.avg_pool2d(ab_of(self.feed.centered(self.feed.source, part, 64)), 4)
            cells, shares = losses.spread(ab, table)
            counts.index_add_(0, cells.flatten(), shares.flatten())
        network.log_weights.copy_(losses.rebalancing(counts, self.recipe.losses.rebalance))
