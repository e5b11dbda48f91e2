"""The folder of a run: resolved recipe, checkpoints, logs, sheets of pictures.

RUN/recipe.yaml        the recipe as it was run, every value written out
RUN/last.pt            the newest checkpoint; replaced in one piece, so that there always is a good one
RUN/log.jsonl          losses, rates and figures, a line each
RUN/tensorboard/       the same for TensorBoard, with the sheets
RUN/sheets/            held-out photos: grey, painted, truth
RUN/generated/         what the critic learns to tell from real
RUN/checkpoints/       the generator of every measurement, if the recipe has inflection.keep
RUN/network.onnx       the finished network, with its card
"""

from __future__ import annotations

import errno
import json
import logging
import signal
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vintage_colorizer.clock import Clock
from vintage_colorizer.errors import InputError, OptionError, OutputError, OutputExistsError
from vintage_colorizer.files import atomically
from vintage_colorizer.training.recipe import Recipe, dump_recipe, load_recipe

log = logging.getLogger("vintage_colorizer")


class Run:
    """One run's folder. Only the process of rank 0 writes."""

    def __init__(self, out: Path, recipe: Recipe, resume: bool, writes: bool) -> None:
        """Open `out` for a new run, or to resume one.

        OutputExistsError if a run is there and `resume` is off; OptionError if it was run with another recipe.
        """
        self.out, self.writes = out, writes
        self.checkpoint = out / "last.pt"
        self.log_file = out / "log.jsonl"
        self.board: Any = None
        text = dump_recipe(recipe)
        if self.checkpoint.exists() and not resume:
            raise OutputExistsError(f"{out} holds a run already; resume it or give another folder.")
        if self.checkpoint.exists() and load_recipe(out / "recipe.yaml") != recipe:
            raise OptionError(f"{out} was begun with another recipe, see its recipe.yaml; give another folder.")
        if writes:
            write_text(out / "recipe.yaml", text)

    def save(self, state: Mapping[str, Any]) -> None:
        """Write a checkpoint; the old one stays until the new one is complete.

        DiskFullError, or OutputError, if it cannot be written.
        """
        if self.writes:
            with atomically(self.checkpoint) as file:
                _write_checkpoint(state, file)

    def load(self) -> dict[str, Any] | None:
        """The newest checkpoint, on the CPU; None if there is none."""
        if not self.checkpoint.exists():
            return None
        try:
            state: dict[str, Any] = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        except Exception as error:  # a damaged archive raises nearly anything
            raise InputError(f"The checkpoint {self.checkpoint} is damaged; delete it to start over.") from error
        return state

    def record(self, tag: str, step: int, figures: Mapping[str, float]) -> None:
        """Add a line to the log, and to TensorBoard."""
        if not self.writes:
            return
        line = {"tag": tag, "step": step, **{name: round(float(x), 6) for name, x in figures.items()}}
        try:
            with self.log_file.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise OutputError(f"{self.log_file} cannot be written: {error.strerror}.") from error
        for name, value in figures.items():
            self._tensorboard().add_scalar(f"{tag}/{name}", value, step)

    def sheet(self, name: str, rows: list[Tensor], step: int = 0) -> None:
        """Save pictures as a sheet: each of `rows` is RGB [N, 3, H, W] in 0..1, or grey [N, 1, H, W]."""
        if not self.writes or not len(rows[0]):
            return
        strips = [torch.cat(list(row.expand(-1, 3, -1, -1)), dim=2) for row in rows]
        sheet = (torch.cat(strips, dim=1).clamp(0, 1) * 255).round().byte().cpu()
        with atomically(self.out / "sheets" / f"{name}.png") as file:
            Image.fromarray(np.moveaxis(sheet.numpy(), 0, -1)).save(file, "png")
        self._tensorboard().add_image(name, sheet, step)

    def close(self) -> None:
        """Finish the log."""
        if self.board is not None:
            self.board.close()
            self.board = None

    def _tensorboard(self) -> Any:
        if self.board is None:
            from torch.utils.tensorboard.writer import SummaryWriter

            self.board = SummaryWriter(str(self.out / "tensorboard"))
        return self.board


class Progress:
    """Says how far a stage is and how long it will take, every `every` steps."""

    def __init__(self, name: str, first: int, steps: int, every: int) -> None:
        """Begin stage `name` at step `first` of `steps`."""
        self.name, self.steps, self.every = name, steps, every
        self.clock = Clock()
        self.clock.note(first, steps)

    def due(self, step: int) -> bool:
        """True if `step`, counted from 0, is to be reported."""
        return (step + 1) % self.every == 0 or step + 1 == self.steps

    def tell(self, step: int, batch: int, figures: Mapping[str, float]) -> None:
        """Report `step` to the log."""
        self.clock.note(step + 1, self.steps)
        numbers = ", ".join(f"{name} {value:.4g}" for name, value in figures.items())
        rate = "" if self.clock.rate is None else f", {self.clock.rate * batch:.0f} photos/s{self.clock.left()}"
        log.info("%s: step %d of %d, %s%s", self.name, step + 1, self.steps, numbers, rate)


class Interrupt:
    """Between entering and leaving, the first Ctrl-C or SIGTERM only sets `asked`; a second Ctrl-C interrupts."""

    def __init__(self) -> None:
        """Nothing is asked yet."""
        self.asked = False
        self.before: dict[int, Any] = {}

    def __enter__(self) -> None:
        """Take the signals, if this is the thread that gets them."""
        if threading.current_thread() is threading.main_thread():
            self.before = {number: signal.signal(number, self._ask) for number in (signal.SIGINT, signal.SIGTERM)}

    def __exit__(self, *_: object) -> None:
        """Give the signals back."""
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def _ask(self, *_: object) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        log.info("The run stops after this step and can be resumed.")


def write_text(path: Path, text: str) -> None:
    """Write a text file in one piece."""
    with atomically(path) as file:
        file.write(text.encode())


def _write_checkpoint(state: Mapping[str, Any], file: IO[bytes]) -> None:
    try:
        torch.save(dict(state), file)
    except RuntimeError as error:  # torch's own words for a write that failed
        raise OSError(errno.ENOSPC, str(error)) from error
