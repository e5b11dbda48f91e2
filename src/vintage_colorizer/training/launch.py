"""One process or many, CPU or GPU, float32 or bfloat16: what Lightning Fabric arranges for the phases."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch

from vintage_colorizer.errors import MissingError, OptionError
from vintage_colorizer.training.recipe import Run

PACKAGES = ("lightning_fabric", "matplotlib", "onnx", "onnxscript", "tensorboard", "timm")
PRECISIONS = ("auto", "32-true", "bf16-mixed")


def launch(how: Run) -> Any:
    """A Fabric, started: `devices` processes on each of `nodes`, joined by distributed data parallel.

    MissingError if a package that training needs is not installed, OptionError if the machine has no such devices.
    """
    _require()
    from lightning_fabric import Fabric

    try:
        many = how.devices * how.nodes > 1
        fabric = Fabric(
            accelerator=how.accelerator,
            devices=how.devices,
            num_nodes=how.nodes,
            strategy="ddp" if many else "auto",
        )
        fabric.launch()
    except (RuntimeError, ValueError) as error:
        raise OptionError(f"Run: these devices cannot be used: {' '.join(str(error).split())}.") from error
    torch.set_float32_matmul_precision("high")
    return fabric


def mixed_precision(how: Run, device: torch.device) -> torch.autocast:
    """A context in which networks compute as `how.precision` says; OptionError if it says nothing known.

    Fabric's own would also round the networks' inputs to bfloat16, which has too few steps for luma.
    """
    if how.precision not in PRECISIONS:
        raise OptionError(f"Run: there is no precision '{how.precision}'; choose one of {', '.join(PRECISIONS)}.")
    bfloat16 = how.precision == "bf16-mixed" or (how.precision == "auto" and device.type == "cuda")
    return torch.autocast(device.type, torch.bfloat16, enabled=bfloat16)


def _require() -> None:
    """MissingError now, rather than after hours, if a part of the extra `train` is not installed."""
    for name in PACKAGES:
        if find_spec(name) is None:
            raise MissingError(f"Training needs {name}; install it with: pip install 'vintage-colorizer[train]'.")
