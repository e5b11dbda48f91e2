"""Training the networks that repair: damage is made on photos, and they learn to mark or to undo it.

    vintage-colorizer train repair-defects --data photos/ --out runs/defects

Pretraining, and for networks that fill, where `adversarial` is set, a critic's pretraining and a phase in which both
learn in turns. Recipes, photos, schedules, checkpoints and interruption are those of NoGAN training.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from vintage_colorizer.errors import EngineError, OptionError
from vintage_colorizer.files import atomically, sha256_of
from vintage_colorizer.networks.architectures import build_critic
from vintage_colorizer.networks.architectures.repair import export_repair
from vintage_colorizer.training.adversary import adam, deceit, opinion
from vintage_colorizer.training.average import Average
from vintage_colorizer.training.feed import Feed, make_order
from vintage_colorizer.training.generators import freeze_statistics
from vintage_colorizer.training.launch import mixed_precision
from vintage_colorizer.training.recipe import CriticPhase, Gan, Pretrain, Recipe, dump_recipe
from vintage_colorizer.training.repair_lessons import LESSONS
from vintage_colorizer.training.runs import Interrupt, Progress, Run, write_text
from vintage_colorizer.training.schedule import next_turn, one_cycle, set_rates
from vintage_colorizer.version import __version__

log = logging.getLogger("vintage_colorizer")


Figures = dict[str, float]
Learn = Callable[[Tensor, Tensor, int], Figures]  # of what is shown, the goal, and how many steps there are


class Repairing:
    """A network that repairs, and its training."""

    def __init__(self, recipe: Recipe, data: str, run: Run, fabric: Any) -> None:
        """Build the network, look through the data, and take up the run's last checkpoint."""
        if recipe.adversarial and recipe.task != "fill":
            raise OptionError(f"Recipe: the task {recipe.task} has no critic; set adversarial: false.")
        self.recipe, self.run, self.fabric = recipe, run, fabric
        torch.manual_seed(recipe.run.seed)
        self.lesson = LESSONS[recipe.task]
        self.network = self.lesson.network().to(fabric.device)
        if recipe.generator.start not in ("imagenet", "none"):
            _load(self.network, recipe.generator.start)
        self.critic = build_critic(recipe.critic.width).to(fabric.device) if recipe.adversarial else None
        self.feed = Feed(recipe, data, run.out, fabric)
        self.stage, self.step, self.turn = 0, 0, "critic"
        self.optimizers: dict[str, torch.optim.Optimizer] = {}
        self.left = run.load()
        self.average = Average(recipe.run.average, self.network.state_dict()) if recipe.run.average else None
        self.interrupt = Interrupt()
        if self.left is not None:
            self._restore(self.left)

    def go(self) -> Path:
        """Train from where the run stands; returns the network file. Interrupted, save and raise KeyboardInterrupt."""
        phases: list[Callable[[], None]] = [partial(self._pretrain, how) for how in self.recipe.pretrain]
        if self.critic is not None:
            phases += [partial(self._critique, self.critic, how) for how in self.recipe.critic.phases]
            phases.append(partial(self._gan, self.critic, self.recipe.gan))
        with self.interrupt:
            for stage, phase in list(enumerate(phases))[self.stage :]:
                phase()
                self.stage, self.step, self.left, self.optimizers = stage + 1, 0, None, {}
        return self._finish()

    def _pretrain(self, how: Pretrain) -> None:
        """The network alone."""
        optimizer = torch.optim.AdamW(
            self.network.parameters(), betas=(0.9, 0.99), weight_decay=self.recipe.weight_decay
        )
        self._prepare(network=optimizer)
        network = self.fabric.setup_module(self.network)

        def learn(shown: Tensor, goal: Tensor, steps: int) -> Figures:
            self.network.train()
            factor, momentum = one_cycle(self.step, steps, how.rise, how.constant)
            set_rates(optimizer, [factor * how.rates[-1]], momentum)
            loss = self.lesson.loss(self._answer(network, shown), shown, goal)
            self._descend(loss, optimizer)
            self._follow()
            return {"loss": loss.item()}

        self._work_through(f"pretrain-{self.stage + 1}", how.size, how.batch, how.epochs, learn)
        if self.average is not None:
            self.network.load_state_dict(self.average.state)

    def _critique(self, critic: nn.Module, how: CriticPhase) -> None:
        """The critic alone."""
        optimizer = adam(critic, momentum=0.9)
        self._prepare(critic=optimizer)
        wrapped = self.fabric.setup_module(critic)

        def learn(shown: Tensor, goal: Tensor, steps: int) -> Figures:
            factor, momentum = one_cycle(self.step, steps, how.rise)
            set_rates(optimizer, [how.rate * factor], momentum)
            return self._criticize(wrapped, optimizer, shown, goal)

        self._work_through(f"critic-{self.stage + 1}", how.size, how.batch, how.epochs, learn)

    def _gan(self, critic: nn.Module, how: Gan) -> None:
        """Both in turns: the critic until its loss is low, then the network once."""
        for_network, for_critic = adam(self.network), adam(critic)
        self._prepare(network=for_network, critic=for_critic)
        set_rates(for_network, [how.rate], 0.0)
        set_rates(for_critic, [how.rate * how.critic_factor], 0.0)
        network, wrapped = self.fabric.setup_module(self.network), self.fabric.setup_module(critic)

        def learn(shown: Tensor, goal: Tensor, steps: int) -> Figures:
            if self.turn == "critic":
                figures = self._criticize(wrapped, for_critic, shown, goal)
                self.turn = next_turn("critic", figures["critic_loss"], how.threshold)
                return figures
            self.network.train()
            if how.frozen_statistics:
                freeze_statistics(self.network)
            made = self._answer(network, shown)
            tricked = deceit(critic.eval().requires_grad_(False), made, shown[:, 1:])
            loss = how.critic_weight * tricked + how.error_weight * self.lesson.loss(made, shown, goal)
            self._descend(loss, for_network)
            self._follow()
            self.turn = next_turn("generator", 0.0, how.threshold)
            return {"loss": loss.item(), "deceit": tricked.item()}

        self._work_through(f"gan-{self.stage + 1}", how.size, how.batch, how.share, learn)
        if self.average is not None:
            self.network.load_state_dict(self.average.state)

    def _criticize(self, critic: nn.Module, optimizer: torch.optim.Optimizer, shown: Tensor, goal: Tensor) -> Figures:
        critic.train().requires_grad_(True)
        with torch.no_grad():
            made = self._answer(self.network.eval(), shown)
        luma, mask = shown[:, :1], shown[:, 1:]
        with mixed_precision(self.recipe.run, shown.device):
            loss, right = opinion(critic, torch.where(mask > 0, goal, luma), made, mask)  # both alike around the holes
        self._descend(loss, optimizer)
        return {"critic_loss": loss.item(), "right": right.item()}

    def _answer(self, network: nn.Module, shown: Tensor) -> Tensor:
        with mixed_precision(self.recipe.run, shown.device):
            return self.lesson.answer(network, shown)

    def _descend(self, loss: Tensor, optimizer: torch.optim.Optimizer) -> None:
        if not bool(torch.isfinite(loss)):
            raise EngineError(f"The loss is not a number at step {self.step}; start again with lower rates.")
        optimizer.zero_grad(set_to_none=True)
        self.fabric.backward(loss)
        optimizer.step()

    def _follow(self) -> None:
        if self.average is not None:
            self.average.follow(self.network)

    def _prepare(self, **optimizers: torch.optim.Optimizer) -> None:
        """Take up the optimizers of a stage, as they were left if they were."""
        self.optimizers = optimizers
        for name, state in (self.left or {}).get("optimizers", {}).items():
            optimizers[name].load_state_dict(state)

    def _work_through(self, name: str, size: int, batch: int, epochs: float, learn: Learn) -> None:
        """Learn from batch after batch; report, judge and save every so often."""
        order = make_order(self.feed.train, epochs, batch, self.recipe.run.seed, self.stage)
        progress = Progress(name, self.step, len(order), self.recipe.run.log_every)
        for shown, goal in self.feed.examples(order, size, self.step):
            torch.manual_seed(self.recipe.run.seed + self.step)  # for the critic's dropout
            figures = learn(shown, goal, len(order))
            if progress.due(self.step):
                progress.tell(self.step, order.batch, figures)
                self.run.record(progress.name, self.step + 1, figures)
            self.step += 1
            if self.step % self.recipe.run.judge_every == 0 or self.step == len(order):
                self.judge(size)
            if self.step % self.recipe.run.checkpoint_every == 0 or self.interrupt.asked:
                self._save()
            if self.interrupt.asked:
                raise KeyboardInterrupt

    @torch.no_grad()
    def judge(self, size: int) -> dict[str, float]:
        """Measure the network, averaged if the recipe keeps an average, on the held-out photos."""
        shown, goal = self.feed.damaged_validation(size)
        state = self.network.state_dict() if self.average is None else self.average.state
        network = self.lesson.network().to(shown.device)
        network.load_state_dict(state)
        made = self.lesson.answer(network.eval(), shown)
        figures = self.lesson.figures(made, shown, goal)
        log.info("held-out photos: %s", ", ".join(f"{name} {value:.4g}" for name, value in figures.items()))
        self.run.record("held-out", self.step, figures)
        few = self.recipe.run.previews
        self.run.sheet(f"pretrain-{self.stage + 1}", [shown[:few, :1], made[:few], goal[:few]], self.step)
        return figures

    def _save(self) -> None:
        self.run.save(
            {
                "stage": self.stage,
                "step": self.step,
                "turn": self.turn,
                "network": self.network.state_dict(),
                "critic": self.critic and self.critic.state_dict(),
                "optimizers": {name: one.state_dict() for name, one in self.optimizers.items()},
                "average": self.average and {"state": self.average.state, "steps": self.average.steps},
            }
        )

    def _restore(self, left: dict[str, Any]) -> None:
        self.stage, self.step, self.turn = left["stage"], left["step"], left["turn"]
        self.network.load_state_dict(left["network"])
        if self.critic is not None:
            self.critic.load_state_dict(left["critic"])
        if left["average"]:
            self.average = Average(self.recipe.run.average, **left["average"])
        log.info("Resuming at stage %d, step %d", self.stage + 1, self.step)

    def _finish(self) -> Path:
        """Write `network.safetensors`, `network.onnx` and `card.md` into the run's folder; returns the ONNX file."""
        from safetensors.torch import save

        path = self.run.out / "network.onnx"
        if not self.run.writes:
            return path
        network = self.network.cpu().eval()
        with atomically(self.run.out / "network.safetensors") as file:
            file.write(save({key: value.contiguous() for key, value in network.state_dict().items()}))
        about = {"name": self.recipe.name, "task": self.recipe.task, "version": __version__}
        part = path.with_suffix(".part.onnx")
        export_repair(network, part, about | {"license": "depends on the photos it was trained on; see its card"})
        part.replace(path)
        write_text(self.run.out / "card.md", _card(network, self.recipe, sha256_of(path)))
        log.info("%s is ready", path)
        return path


def _load(network: nn.Module, file: str) -> None:
    from safetensors.torch import load_file

    try:
        network.load_state_dict(load_file(file))
    except (OSError, RuntimeError) as error:
        raise OptionError(f"generator.start={file} does not fit: {str(error)[:200]}.") from None


def _card(network: nn.Module, recipe: Recipe, digest: str) -> str:
    parameters = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    return "\n".join(
        [
            f"# {recipe.name}",
            "",
            f"Repairs photos ({recipe.task}); {parameters:.2f} million parameters, trained with Vintage Colorizer",
            f"{__version__} and torch {torch.__version__}. SHA-256 of `network.onnx`: `{digest}`.",
            "",
            "## Recipe",
            "```yaml",
            dump_recipe(recipe).rstrip(),
            "```",
            "",
        ]
    )
