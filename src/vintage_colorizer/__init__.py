"""Give old black-and-white photos and films their color back.

from vintage_colorizer import Colorizer

colorizer = Colorizer()
colorizer.photo("grandma.jpg", look="artistic").save("grandma-color.jpg")
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from vintage_colorizer.version import __version__

if TYPE_CHECKING:
    from vintage_colorizer.colorizer import Colorizer
    from vintage_colorizer.errors import VintageColorizerError
    from vintage_colorizer.film.job import FilmResult
    from vintage_colorizer.options import FilmOptions, PhotoOptions, RepairOptions
    from vintage_colorizer.photo.result import ColorizedPhoto
    from vintage_colorizer.repair.repairing import RepairedPhoto

# ONNX Runtime, from 1.32 on, and Ray report their use to their makers unless told not to before they are loaded.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

__all__ = [
    "ColorizedPhoto",
    "Colorizer",
    "FilmOptions",
    "FilmResult",
    "PhotoOptions",
    "RepairOptions",
    "RepairedPhoto",
    "VintageColorizerError",
    "__version__",
]

_HOMES = {
    "ColorizedPhoto": "photo.result",
    "Colorizer": "colorizer",
    "FilmOptions": "options",
    "FilmResult": "film.job",
    "PhotoOptions": "options",
    "RepairOptions": "options",
    "RepairedPhoto": "repair.repairing",
    "VintageColorizerError": "errors",
}


def __getattr__(name: str) -> Any:
    """Import a public name on first use, so that `vintage-colorizer --help` need not load numpy and the rest."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
