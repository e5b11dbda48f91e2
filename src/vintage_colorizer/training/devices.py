"""One process or many, CPU or GPU, float32 or bfloat16: what Lightning Fabric arranges for the phases."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import torch

from vintage_colorizer.errors import MissingError, OptionError
from vintage_colorizer.training.recipe import Run


def launch(how: Run) -> Any:
    """A Fabric, started: `devices` processes on each of `nodes`, joined by distributed data parallel.

    MissingError if Lightning is not installed, OptionError if the machine has no such devices.
    """
    fabric_class = _fabric_class()
    try:
        many = how.devices * how.nodes > 1
        fabric = fabric_class(
            accelerator=how.accelerator,
            devices=how.devices,
            num_nodes=how.nodes,
            strategy="ddp" if many else "auto",
            precision=_precision(how),
        )
        fabric.launch()
    except (RuntimeError, ValueError) as error:
        raise OptionError(f"Run: these devices cannot be used: {' '.join(str(error).split())}.") from error
    torch.set_float32_matmul_precision("high")
    return fabric


def _precision(how: Run) -> str:
    if how.precision != "auto":
        return how.precision
    gpu = how.accelerator in ("auto", "cuda", "gpu") and torch.cuda.is_available()
    return "bf16-mixed" if gpu else "32-true"


def _fabric_class() -> Any:
    for package in ("lightning_fabric", "lightning.fabric"):
        try:
            return import_module(package).Fabric
        except ImportError:
            continue
    raise MissingError("Training needs Lightning Fabric; install it with: pip install 'vintage-colorizer[train]'.")
