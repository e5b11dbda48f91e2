"""How good the generator is on held-out photos: figures, sheets, and the choice of the best in a GAN phase."""

from __future__ import annotations

import logging
from typing import Any

from vintage_colorizer.training.feed import Feed
from vintage_colorizer.training.generators import luma_of, store
from vintage_colorizer.training.inflection import build_describer, draw_curves, measure
from vintage_colorizer.training.lessons import Lessons
from vintage_colorizer.training.losses import denormalize
from vintage_colorizer.training.state import State

log = logging.getLogger("vintage_colorizer")


class Judge:
    """Measures the generator of a run, and writes what it finds into the run's folder."""

    def __init__(self, state: State, feed: Feed, lessons: Lessons, fabric: Any) -> None:
        """Load the describer of the distance; MissingError if it cannot be had."""
        self.state, self.feed, self.lessons, self.fabric = state, feed, lessons, fabric
        self.describer = build_describer(state.recipe.inflection.extractor, fabric.device)

    def report(self, name: str, size: int) -> None:
        """Measure the generator as the result of stage `name` so far, at `size` pixels."""
        state, figures = self.state, self._judged(name, size)
        state.figures[name] = figures
        state.run.record(f"{name}/held-out", state.step, figures)
        log.info("%s: %s", name, ", ".join(f"{key} {value:.3g}" for key, value in figures.items()))

    def report_average(self, name: str, size: int) -> None:
        """As `report`, of the averaged weights, if the recipe keeps them."""
        average = self.state.averaged()
        if average is None:
            self.report(name, size)
            return
        with average.inside(self.state.generator.network):
            self.report(name, size)

    def measure(self, name: str, size: int) -> None:
        """One measurement of the GAN phase `name`; the best generator so far is set aside."""
        state, number = self.state, len(self.state.watch.history)
        figures = self._judged(f"{name}-{'after' if number else 'before'}", size)
        state.run.record(f"{name}/held-out", state.step + bool(number), figures)
        if state.watch.see(figures):
            state.set_aside()
        if state.recipe.inflection.keep and state.run.writes:
            store(state.generator, state.run.out / "checkpoints" / f"{name}-{number:03d}.safetensors")

    def keep_best(self, name: str, size: int, share: float) -> None:
        """End the GAN phase with the generator of the inflection point, its sheet and the curves.

        `share` is the part of the data between two measurements.
        """
        state, watch = self.state, self.state.watch
        state.generator.network.load_state_dict(state.best)
        self.report(name, size)
        log.info("%s: best at measurement %d of %d", name, watch.best, len(watch.history) - 1)
        if self.fabric.is_global_zero:
            draw_curves(watch.history, watch.best, share, state.run.out / f"{name}.png")

    def _judged(self, name: str, size: int) -> dict[str, float]:
        """Figures of the generator on the held-out photos, and a sheet of some called `name`."""
        self.state.generator.eval()
        clean = self.feed.validation(size)
        figures: dict[str, float] = self.fabric.broadcast(measure(self.lessons.paint, clean, self.describer))
        shown = clean[: self.state.recipe.run.previews]
        painted = denormalize(self.lessons.paint(luma_of(shown)))
        self.state.run.sheet(name, [luma_of(shown), painted, shown], self.state.step)
        return figures
