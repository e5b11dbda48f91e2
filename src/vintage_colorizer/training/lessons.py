"""What generator and critic learn from in one step: the losses of a recipe, with its weights and its precision."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from vintage_colorizer.networks.architectures.lab import ab_of
from vintage_colorizer.training import losses
from vintage_colorizer.training.feed import Pair
from vintage_colorizer.training.generators import Painter, luma_of
from vintage_colorizer.training.inflection import shrink
from vintage_colorizer.training.launch import mixed_precision
from vintage_colorizer.training.recipe import Gan, Recipe


class Lessons:
    """The losses of a run. Generator and critic are given as Fabric wraps them where they are to learn."""

    def __init__(self, recipe: Recipe, painter: Painter, device: torch.device) -> None:
        """Load the extractor of the feature loss; MissingError if it cannot be had."""
        self.recipe, self.painter, self.device = recipe, painter, device
        self.extractor = losses.build_extractor(recipe.losses.extractor, device)

    def paint(self, luma: Tensor, bright: Tensor | None = None) -> Tensor:
        """What the generator paints of luma [N, 1, H, W], without gradients: normalized RGB [N, 3, H, W]."""
        with torch.no_grad(), self._mixed():
            picture: Tensor = self.painter(luma, luma if bright is None else bright)[0]
        return picture

    def pretraining(self, generator: nn.Module, pair: Pair) -> Tensor:
        """The generator's loss before there is a critic."""
        with self._mixed():
            picture, logits = generator(pair.luma, luma_of(pair.clean), pair.hints)
        how = self.recipe.losses
        truth = self._truth(picture, logits, pair.clean, how.features, how.error, how.bins)
        return truth + self._consistency(generator, picture, pair)

    def adversarial(self, generator: nn.Module, critic: nn.Module, pair: Pair, how: Gan) -> tuple[Tensor, Tensor]:
        """The generator's loss against the critic, and the part of it that is the critic's opinion."""
        with self._mixed():
            picture, logits = generator(pair.luma, luma_of(pair.clean), pair.hints)
            deceit = losses.deceit_loss(critic(picture).float())
        truth = self._truth(picture, logits, pair.clean, how.feature_weight, how.error_weight, how.bin_weight)
        return how.critic_weight * deceit + truth + self._consistency(generator, picture, pair), deceit

    def opinion(self, critic: nn.Module, real: Tensor, fake: Tensor) -> tuple[Tensor, Tensor]:
        """The critic's loss on real and generated RGB, judged in one batch, and the share it gets right."""
        with self._mixed():
            said: Tensor = critic(losses.normalize(torch.cat([real, fake]))).float()
        on_real, on_fake = said[: len(real)], said[len(real) :]
        right = ((on_real > 0).float().mean() + (on_fake < 0).float().mean()) / 2
        return losses.critic_loss(on_real, on_fake), right

    def _mixed(self) -> torch.autocast:
        return mixed_precision(self.recipe.run, self.device)

    def _truth(
        self, picture: Tensor, logits: Tensor | None, clean: Tensor, features: float, error: float, bins: float
    ) -> Tensor:
        """How far a picture is from the photo: the sum of three losses by weight; one of weight 0 costs nothing."""
        how, goal = self.recipe.losses, losses.normalize(self.painter.attainable(clean))
        loss = picture.new_zeros(())
        if features:
            with self._mixed():
                told = losses.feature_loss(self.extractor, picture, goal, how.pixel, how.layers)
            loss = loss + features * told
        if error:
            loss = loss + error * losses.error_loss(picture, goal)
        if bins and logits is not None:
            loss = loss + bins * self._bin_loss(logits, clean)
        return loss

    def _bin_loss(self, logits: Tensor, clean: Tensor) -> Tensor:
        network: Any = self.painter.network
        ab = nn.functional.avg_pool2d(ab_of(clean), network.stride)
        return losses.bin_loss(logits, ab, losses.bin_table(network.bins), network.log_weights)

    def _consistency(self, generator: nn.Module, picture: Tensor, pair: Pair) -> Tensor | float:
        """How far a smaller render, made old in another way, is from this one; 0 if the recipe has no twins."""
        twin, hints = pair.twin, pair.hints
        if twin is None:
            return 0.0
        with self._mixed():
            luma, bright = (shrink(part) for part in (twin, luma_of(pair.clean)))
            if hints is not None:  # as many cells to a side, in proportion
                hints = nn.functional.interpolate(hints, size=hints.shape[-1] * luma.shape[-1] // twin.shape[-1])
            smaller, _ = generator(luma, bright, hints)
        return self.recipe.losses.consistency * losses.consistency_loss(picture, smaller)
