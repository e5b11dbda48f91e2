"""Training the networks that repair: damage is made on photos, and they learn to mark or to undo it.

    vintage-colorizer train repair-defects --data photos/ --out runs/defects

The phases of pretraining alone; recipes, photos, schedules, checkpoints and interruption are those of NoGAN training.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import torch
from torch import nn

from vintage_colorizer.errors import EngineError, OptionError
from vintage_colorizer.files import atomically, sha256_of
from vintage_colorizer.networks.architectures.repair import export_repair
from vintage_colorizer.training.average import Average
from vintage_colorizer.training.feed import Feed, make_order
from vintage_colorizer.training.launch import mixed_precision
from vintage_colorizer.training.recipe import Pretrain, Recipe, dump_recipe
from vintage_colorizer.training.repair_lessons import LESSONS
from vintage_colorizer.training.runs import Interrupt, Progress, Run, write_text
from vintage_colorizer.training.schedule import one_cycle, set_rates
from vintage_colorizer.version import __version__

log = logging.getLogger("vintage_colorizer")


class Repairing:
    """A network that repairs, and its training."""

    def __init__(self, recipe: Recipe, data: str, run: Run, fabric: Any) -> None:
        """Build the network, look through the data, and take up the run's last checkpoint."""
        if recipe.adversarial:
            raise OptionError(f"Recipe: the task {recipe.task} has no critic; set adversarial: false.")
        self.recipe, self.run, self.fabric = recipe, run, fabric
        torch.manual_seed(recipe.run.seed)
        self.lesson = LESSONS[recipe.task]
        self.network = self.lesson.network().to(fabric.device)
        if recipe.generator.start not in ("imagenet", "none"):
            _load(self.network, recipe.generator.start)
        self.feed = Feed(recipe, data, run.out, fabric)
        self.stage, self.step = 0, 0
        self.left = run.load()
        self.average = Average(recipe.run.average, self.network.state_dict()) if recipe.run.average else None
        self.interrupt = Interrupt()
        if self.left is not None:
            self._restore(self.left)

    def go(self) -> Path:
        """Train from where the run stands; returns the network file. Interrupted, save and raise KeyboardInterrupt."""
        with self.interrupt:
            for stage, phase in list(enumerate(self.recipe.pretrain))[self.stage :]:
                self._pretrain(phase)
                self.stage, self.step, self.left = stage + 1, 0, None
        if self.average is not None:
            self.network.load_state_dict(self.average.state)
        return self._finish()

    def _pretrain(self, how: Pretrain) -> None:
        order = make_order(self.feed.train, how.epochs, how.batch, self.recipe.run.seed, self.stage)
        optimizer = torch.optim.AdamW(
            self.network.parameters(), betas=(0.9, 0.99), weight_decay=self.recipe.weight_decay
        )
        if self.left is not None:
            optimizer.load_state_dict(self.left["optimizer"])
        network = self.fabric.setup_module(self.network)
        progress = Progress(f"pretrain-{self.stage + 1}", self.step, len(order), self.recipe.run.log_every)
        for shown, goal in self.feed.examples(order, how.size, self.step):
            self.network.train()
            factor, momentum = one_cycle(self.step, len(order), how.rise, how.constant)
            set_rates(optimizer, [factor * how.rates[-1]], momentum)
            with mixed_precision(self.recipe.run, shown.device):
                made = self.lesson.answer(network, shown)
            loss = self.lesson.loss(made, shown, goal)
            if not bool(torch.isfinite(loss)):
                raise EngineError(f"The loss is not a number at step {self.step}; start again with lower rates.")
            optimizer.zero_grad(set_to_none=True)
            self.fabric.backward(loss)
            optimizer.step()
            if self.average is not None:
                self.average.follow(self.network)
            if progress.due(self.step):
                figures = {"loss": loss.item()}
                progress.tell(self.step, order.batch, figures)
                self.run.record(progress.name, self.step + 1, figures)
            self.step += 1
            if self.step % self.recipe.run.judge_every == 0 or self.step == len(order):
                self.judge(how.size)
            if self.step % self.recipe.run.checkpoint_every == 0 or self.interrupt.asked:
                self._save(optimizer)
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

    def _save(self, optimizer: torch.optim.Optimizer) -> None:
        self.run.save(
            {
                "stage": self.stage,
                "step": self.step,
                "network": self.network.state_dict(),
                "optimizer": optimizer.state_dict(),
                "average": self.average and {"state": self.average.state, "steps": self.average.steps},
            }
        )

    def _restore(self, left: dict[str, Any]) -> None:
        self.stage, self.step = left["stage"], left["step"]
        self.network.load_state_dict(left["network"])
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
