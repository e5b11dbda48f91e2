"""The command `doctor`."""

from __future__ import annotations

import os
import platform
from importlib import metadata

from vintage_colorizer.cli.weights import list_networks
from vintage_colorizer.colorizer import Colorizer
from vintage_colorizer.errors import VintageColorizerError
from vintage_colorizer.networks.engines import describe_hardware, unused_gpu
from vintage_colorizer.version import __version__

PACKAGES = ("numpy", "onnxruntime", "onnxruntime-gpu", "opencv-python-headless", "pillow", "av", "pillow-heif", "torch")


def diagnose() -> list[str]:
    """Lines on this installation: versions, devices, networks."""
    import onnxruntime

    lines = [f"vintage-colorizer {__version__}", f"Python {platform.python_version()} on {platform.platform()}"]
    for package in PACKAGES:
        try:
            lines.append(f"{package} {metadata.version(package)}")
        except metadata.PackageNotFoundError:
            lines.append(f"{package} not installed")
    lines.append(f"ONNX Runtime can use: {', '.join(onnxruntime.get_available_providers())}")
    lines.append(f"Processor threads: {os.cpu_count()}")
    try:
        lines.append(f"network compact: ready, {describe_hardware(Colorizer().engine())}")
    except VintageColorizerError as error:
        lines.append(f"network compact: {error}")
    lines += [f"network {line}" for line in list_networks()[1:]]
    if both_runtimes():
        lines.append(
            "Warning: onnxruntime and onnxruntime-gpu overwrite each other's files; uninstall both, then install one."
        )
    if warning := unused_gpu():
        lines.append(f"Warning: {warning}")
    return lines


def both_runtimes() -> bool:
    """Whether the two builds of ONNX Runtime are installed, of which the one installed last is used."""
    names = {str(one.metadata["Name"]).lower() for one in metadata.distributions()}
    return {"onnxruntime", "onnxruntime-gpu"} <= names
