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

import logging
import math
import shutil
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from vintage_colorizer.datasets import open_source
from vintage_colorizer.errors import EngineError, OptionError
from vintage_colorizer.files import atomically
from vintage_colorizer.networks.architectures import build_critic
from vintage_colorizer.networks.architectures.lab import ab_of
from vintage_colorizer.training import losses
from vintage_colorizer.training.average import Average
from vintage_colorizer.training.card import finish
from vintage_colorizer.training.feed import Feed, Order, Pair, make_order
from vintage_colorizer.training.generators import CompactPainter, build_painter, luma_of, store
from vintage_colorizer.training.inflection import Watch, build_describer, draw_curves, measure, shrink
from vintage_colorizer.training.launch import launch, mixed_precision
from vintage_colorizer.training.recipe import CriticPhase, Gan, Pretrain, Recipe, load_recipe
from vintage_colorizer.training.runs import Clock, Interrupt, Run

log = logging.getLogger("vintage_colorizer")
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
    training = NoGan(settings, str(data), run, fabric)
    try:
        training.go()
        fabric.barrier()
        return finish(training.generator, settings, run, training.figures, str(data))
    finally:
        run.close()


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

    Half a cosine from 1/25 up to 1 over `rise` of the steps (one step at least), then down to 1/250000;
    or it stays, if `constant`.
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


class NoGan:
    """Both networks, where the run stands, and the phases."""

    def __init__(self, recipe: Recipe, data: str, run: Run, fabric: Any) -> None:
        """Build the networks, look through the data, and take up the run's last checkpoint."""
        self.recipe, self.run, self.fabric = recipe, run, fabric
        torch.manual_seed(recipe.run.seed)
        self.generator = build_painter(recipe.generator).to(fabric.device).to(memory_format=torch.channels_last)
        self.critic = build_critic(recipe.critic.width).to(fabric.device).to(memory_format=torch.channels_last)
        self.extractor = losses.build_extractor(recipe.losses.extractor, fabric.device)
        self.judge = build_describer(recipe.inflection.extractor, fabric.device)
        self.feed = Feed(recipe, data, run.out, fabric)
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        self.stage, self.step, self.turn = 0, 0, "critic"
        self.watch = Watch(recipe.inflection)
        self.average: Average | None = None
        self.best: dict[str, Tensor] = {}
        self.figures: dict[str, dict[str, float]] = {}
        self.interrupt = Interrupt()
        self.restored = run.load()
        if self.restored is not None:
            self._restore(self.restored)
        elif isinstance(self.generator, CompactPainter):
            self._rebalance(self.generator)
        if recipe.run.average and self.average is None:
            self.average = Average(recipe.run.average, self.generator.network.state_dict())

    # ---- The phases --------------------------------------------------------------------------------

    def go(self) -> None:
        """Run all stages from where the run stands; interrupted, save the step and raise KeyboardInterrupt."""
        phases = {
            "pretrain": self.pretrain,
            "generate": self.generate,
            "critique": self.critique,
            "gan": self.gan,
        }
        stages = plan(self.recipe)
        with self.interrupt:
            while self.stage < len(stages):
                stage = stages[self.stage]
                phases[stage.kind](stage)
                self.stage, self.step, self.turn = self.stage + 1, 0, "critic"
                self.optimizers, self.best, self.restored = {}, {}, None
                self.watch = Watch(self.recipe.inflection)
                self.save()

    def pretrain(self, stage: Stage) -> None:
        """The generator alone: feature loss and, for the compact network, cross-entropy over color bins."""
        how: Pretrain = stage.settings
        order = self._order(self.feed.train, how.epochs, how.batch)
        rates = spread_rates(how.rates)
        self.generator.freeze(how.frozen, [rate == 0 for rate in rates])
        optimizer = self._optimizer("generator", self.generator.groups(), (0.9, 0.99))
        generator = self.fabric.setup_module(self.generator)
        clock = Clock(stage.name, self.step, len(order), self.recipe.run.log_every)
        for luma, clean, twin, hints in self.feed.pairs(order, how.size, self.step):
            self._begin_step(learns=self.generator)
            factor, momentum = one_cycle(self.step, len(order), how.rise, how.constant)
            set_rates(optimizer, [factor * rate for rate in rates], momentum)
            with self._mixed():
                picture, logits = generator(luma, luma_of(clean), hints)
            wanted = self.recipe.losses
            loss = self._truth_loss(picture, logits, clean, wanted.features, wanted.error, wanted.bins)
            loss = loss + self._consistency_loss(generator, picture, clean, twin, hints)
            self._descend(loss, optimizer)
            if self.average is not None:
                self.average.follow(self.generator.network)
            self._end_step(clock, order, {"loss": loss, "rate": rates[-1] * factor})
            if self.step % self.recipe.run.judge_every == 0:
                self._report_average(stage, how.size)
        if self.average is not None:
            self.generator.network.load_state_dict(self.average.state)
        self._report(stage, how.size)

    def generate(self, stage: Stage) -> None:
        """Paint a share of the photos for the critic to learn from: 8-bit levels, cut off as the original does."""
        size, folder = stage.settings.size, self._generated(stage)
        numbers = self.feed.for_critic(stage.cycle)[0][self.fabric.global_rank :: self.fabric.world_size]
        self.generator.eval()
        if self.fabric.is_global_zero:
            shutil.rmtree(folder, ignore_errors=True)
        self.fabric.barrier()
        for part in np.array_split(numbers, -(-len(numbers) // stage.settings.batch)):
            painted = self._paint(luma_of(self.feed.centered(self.feed.source, part, size)))
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
        optimizer = self._optimizer("critic", [list(self.critic.parameters())], (0.9, 0.99))
        critic = self.fabric.setup_module(self.critic)
        clock = Clock(stage.name, self.step, len(fakes), self.recipe.run.log_every)
        shown = zip(
            self.feed.views(painted, fakes, how.size, self.step, lambda photos: photos),
            self.feed.views(self.feed.source, reals, how.size, self.step, self.generator.attainable),
            strict=True,
        )
        for fake, real in shown:
            self._begin_step(learns=self.critic)
            factor, momentum = one_cycle(self.step, len(fakes), how.rise)
            set_rates(optimizer, [how.rate * factor], momentum)
            loss, right = self._opinion(critic, real, fake)
            self._descend(loss, optimizer)
            self._end_step(clock, fakes, {"loss": loss, "right": right, "rate": how.rate * factor})

    def gan(self, stage: Stage) -> None:
        """Generator and critic in turns, measured all the while; ends with the best generator seen."""
        how: Gan = stage.settings
        order = self._order(self.feed.train, how.share, how.batch)
        self.generator.freeze(True)
        self.critic.requires_grad_(True)
        for_generator = self._optimizer("generator", self.generator.groups(), (0.0, 0.9))
        for_critic = self._optimizer("critic", [list(self.critic.parameters())], (0.0, 0.9))
        set_rates(for_generator, [how.rate] * 3, 0.0)
        set_rates(for_critic, [how.rate * how.critic_factor], 0.0)
        generator, critic = (self.fabric.setup_module(net) for net in (self.generator, self.critic))
        every = max(1, round(self.recipe.inflection.every * len(self.feed.train) / order.batch))
        clock = Clock(stage.name, self.step, len(order), self.recipe.run.log_every)
        if not self.watch.history:
            self._measure(stage)
        for pair in self.feed.pairs(order, how.size, self.step):
            figures = (
                self._critic_turn(critic, for_critic, pair, how)
                if self.turn == "critic"
                else self._generator_turn(generator, for_generator, pair, how)
            )
            if (self.step + 1) % every == 0:
                self._measure(stage)  # before the step ends, so that its checkpoint holds the measurement
            self._end_step(clock, order, figures)
            if self.recipe.inflection.stop and self.watch.turned():
                break
        self._keep_best(stage, every * order.batch / len(self.feed.train))

    def _critic_turn(self, critic: nn.Module, optimizer: torch.optim.Optimizer, pair: Pair, how: Gan) -> dict[str, Any]:
        self._begin_step(learns=self.critic, waits=self.generator)
        fake = losses.denormalize(self._paint(pair.luma, luma_of(pair.clean)))
        loss, right = self._opinion(critic, self.generator.attainable(pair.clean), fake)
        self._descend(loss, optimizer)
        self.turn = next_turn(self.turn, self._everywhere(loss), how.threshold)
        return {"critic_loss": loss, "right": right}

    def _generator_turn(
        self, generator: nn.Module, optimizer: torch.optim.Optimizer, pair: Pair, how: Gan
    ) -> dict[str, Any]:
        luma, clean, twin, hints = pair
        self._begin_step(learns=self.generator, waits=self.critic)
        if how.frozen_statistics:
            freeze_statistics(self.generator)
        with self._mixed():
            picture, logits = generator(luma, luma_of(clean), hints)
            deceit = losses.deceit_loss(self.critic(picture).float())
        truth = self._truth_loss(picture, logits, clean, how.feature_weight, how.error_weight, how.bin_weight)
        loss = how.critic_weight * deceit + truth + self._consistency_loss(generator, picture, clean, twin, hints)
        self._descend(loss, optimizer)
        self.turn = next_turn(self.turn, 0.0, how.threshold)
        return {"loss": loss, "deceit": deceit}

    # ---- One step ----------------------------------------------------------------------------------

    def _begin_step(self, learns: nn.Module, waits: nn.Module | None = None) -> None:
        """Seed the step; the network that waits is frozen, its dropout, statistics and power iteration too."""
        place = (self.recipe.run.seed, self.stage, self.step, self.fabric.global_rank)
        torch.manual_seed(int(np.random.SeedSequence(place).generate_state(1)[0]))
        learns.train()
        if waits is not None:
            waits.eval()
            self.critic.requires_grad_(waits is not self.critic)
        if self.recipe.run.frozen_statistics:
            freeze_statistics(learns)

    def _mixed(self) -> torch.autocast:
        return mixed_precision(self.recipe.run, self.fabric.device)

    def _descend(self, loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
        if not bool(torch.isfinite(loss)):
            raise self._diverged("The loss")
        optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        optimizer.step()

    def _diverged(self, what: str) -> EngineError:
        return EngineError(
            f"{what} is not a number at step {self.step} of stage {self.stage + 1}; the last good state is "
            f"{self.run.checkpoint}, start again with lower rates."
        )

    def _end_step(self, clock: Clock, order: Order, figures: dict[str, Any]) -> None:
        """Report, and save, every so often."""
        if clock.due(self.step):
            numbers = {name: self._everywhere(value) for name, value in figures.items()}
            if self.fabric.is_global_zero:
                clock.tell(self.step, order.batch, numbers)
            self.run.record(clock.name, self.step + 1, numbers)
        self.step += 1
        if self.step % self.recipe.run.checkpoint_every == 0 or self.interrupt.asked:
            self.save()
        if self.interrupt.asked:
            raise KeyboardInterrupt

    def _everywhere(self, figure: Tensor | float) -> float:
        """The mean of a figure over all processes."""
        here = torch.as_tensor(figure, dtype=torch.float32, device=self.fabric.device).detach()
        return float(self.fabric.all_reduce(here, reduce_op="mean"))

    def _opinion(self, critic: nn.Module, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """The critic's loss on real and generated RGB, judged in one batch, and the share it gets right."""
        with self._mixed():
            said: Tensor = critic(losses.normalize(torch.cat([real, fake]))).float()
        on_real, on_fake = said[: len(real)], said[len(real) :]
        right = ((on_real > 0).float().mean() + (on_fake < 0).float().mean()) / 2
        return losses.critic_loss(on_real, on_fake), right

    def _truth_loss(
        self, picture: Tensor, logits: Tensor | None, clean: Tensor, features: float, error: float, bins: float
    ) -> Tensor:
        """How far a picture is from the photo: the sum of three losses by weight; one of weight 0 costs nothing."""
        loss = picture.new_zeros(())
        if features:
            loss = loss + features * self._feature_loss(picture, clean)
        if error:
            goal = losses.normalize(self.generator.attainable(clean))
            loss = loss + error * losses.error_loss(picture, goal)
        if bins and logits is not None:
            loss = loss + bins * self._bin_loss(logits, clean)
        return loss

    def _consistency_loss(
        self, generator: nn.Module, picture: Tensor, clean: Tensor, twin: Tensor | None, hints: Tensor | None
    ) -> Tensor | float:
        """How far a smaller render, made old in another way, is from this one; 0 if the recipe has no twins."""
        if twin is None:
            return 0.0
        with self._mixed():
            luma, bright = (shrink(part) for part in (twin, luma_of(clean)))
            if hints is not None:  # as many cells to a side, in proportion
                hints = nn.functional.interpolate(hints, size=hints.shape[-1] * luma.shape[-1] // twin.shape[-1])
            smaller, _ = generator(luma, bright, hints)
        return self.recipe.losses.consistency * losses.consistency_loss(picture, smaller)

    def _feature_loss(self, picture: Tensor, clean: Tensor) -> Tensor:
        how, goal = self.recipe.losses, losses.normalize(self.generator.attainable(clean))
        with self._mixed():
            return losses.feature_loss(self.extractor, picture, goal, how.pixel, how.layers)

    def _bin_loss(self, logits: Tensor, clean: Tensor) -> Tensor:
        network: Any = self.generator.network
        ab = nn.functional.avg_pool2d(ab_of(clean), network.stride)
        return losses.bin_loss(logits, ab, losses.bin_table(network.bins), network.log_weights)

    def _paint(self, luma: Tensor, bright: Tensor | None = None) -> Tensor:
        with torch.no_grad(), self._mixed():
            picture: Tensor = self.generator(luma, luma if bright is None else bright)[0]
        return picture

    # ---- Judging -----------------------------------------------------------------------------------

    def _judged(self, name: str, size: int) -> dict[str, float]:
        """Figures of the generator on the held-out photos, and a sheet of some called `name`."""
        self.generator.eval()
        clean = self.feed.validation(size)
        figures: dict[str, float] = self.fabric.broadcast(measure(self._paint, clean, self.judge))
        shown = clean[: self.recipe.run.previews]
        painted = losses.denormalize(self._paint(luma_of(shown)))
        self.run.sheet(name, [luma_of(shown), painted, shown], self.step)
        return figures

    def _report(self, stage: Stage, size: int) -> None:
        self.figures[stage.name] = self._judged(stage.name, size)
        self.run.record(f"{stage.name}/held-out", self.step, self.figures[stage.name])
        log.info("%s: %s", stage.name, ", ".join(f"{k} {v:.3g}" for k, v in self.figures[stage.name].items()))

    def _report_average(self, stage: Stage, size: int) -> None:
        """As `_report`, of the averaged weights, if they are kept."""
        with self.average.inside(self.generator.network) if self.average else nullcontext():
            self._report(stage, size)

    def _measure(self, stage: Stage) -> None:
        """One measurement of the GAN phase; the best generator so far is set aside."""
        number = len(self.watch.history)
        figures = self._judged(f"{stage.name}-{'after' if number else 'before'}", stage.settings.size)
        self.run.record(f"{stage.name}/held-out", self.step + bool(number), figures)
        if self.watch.see(figures):
            self.best = {k: v.detach().cpu().clone() for k, v in self.generator.network.state_dict().items()}
        if self.recipe.inflection.keep and self.run.writes:
            store(self.generator, self.run.out / "checkpoints" / f"{stage.name}-{number:03d}.safetensors")

    def _keep_best(self, stage: Stage, share: float) -> None:
        """End the GAN phase with the generator of the inflection point, its sheet and the curves."""
        self.generator.network.load_state_dict(self.best)
        self._report(stage, stage.settings.size)
        log.info("%s: best at measurement %d of %d", stage.name, self.watch.best, len(self.watch.history) - 1)
        if self.fabric.is_global_zero and find_spec("matplotlib"):
            draw_curves(self.watch.history, self.watch.best, share, self.run.out / f"{stage.name}.png")

    # ---- The state ---------------------------------------------------------------------------------

    def save(self) -> None:
        """Write a checkpoint with everything that the rest of the run depends on.

        EngineError, and the last good one stays, if a weight is no longer a number.
        """
        for network in (self.generator, self.critic):
            if not all(bool(torch.isfinite(weight).all()) for weight in network.parameters()):
                raise self._diverged("A weight")
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
                "photos": len(self.feed.train),
            }
        )

    def _restore(self, state: dict[str, Any]) -> None:
        if state["photos"] != len(self.feed.train):
            raise OptionError(f"{self.run.out} was begun with other photos; resume it with the same ones.")
        self.stage, self.step, self.turn = state["stage"], state["step"], state["turn"]
        self.generator.network.load_state_dict(state["generator"])
        self.critic.load_state_dict(state["critic"])
        if state.get("average"):
            self.average = Average(self.recipe.run.average, **state["average"])
        self.watch = Watch(self.recipe.inflection, **state["watch"])
        self.best, self.figures = state["best"], state["figures"]
        log.info("Resuming at stage %d, step %d", self.stage + 1, self.step)

    def _optimizer(
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

    def _order(self, numbers: Any, epochs: float, batch: int) -> Order:
        return make_order(numbers, epochs, batch, self.recipe.run.seed, self.stage)

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


def freeze_statistics(network: nn.Module) -> None:
    """Let batch norm use its stored statistics, and not change them, until `train` is called."""
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.eval()


def set_rates(optimizer: torch.optim.Optimizer, rates: Sequence[float], beta1: float) -> None:
    """Give each parameter group its rate, and all of them Adam's beta1."""
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        group["lr"] = rate
        group["betas"] = (beta1, group["betas"][1])
