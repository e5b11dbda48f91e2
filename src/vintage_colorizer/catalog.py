"""Which network file and which defaults stand behind a look.

To replace a network, change its row in NETWORKS; to retune a look, change its row in LOOKS.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vintage_colorizer.options import Look

EMBEDDED = Path(__file__).parent / "networks"


@dataclass(frozen=True)
class NetworkFile:
    """A network that is shipped in the package."""

    file: str
    sha256: str
    license: str
    about: str

    @property
    def path(self) -> Path:
        """Where the file lies."""
        return EMBEDDED / self.file


@dataclass(frozen=True)
class LookSettings:
    """What a look means with a network; `None` leaves it to the network."""

    render_factor: int
    vividness: float | None
    saturation: float = 1.0
    stability: float = 0.6  # of films: how much their color is averaged over time


NETWORKS: dict[str, NetworkFile] = {
    "compact": NetworkFile(
        file="compact.onnx",
        sha256="80979b0460168bafa4f0edc8d601565f0f04626cd5ce0a90c25a7be19f1dcbae",
        license="see WEIGHTS-LICENSE.md",
        about="EfficientNet-Lite0 encoder, 4.9 million parameters, embedded in the package",
    ),
}

LOOKS: dict[tuple[str, Look], LookSettings] = {
    ("compact", "artistic"): LookSettings(render_factor=16, vividness=0.75, stability=0.3),
    ("compact", "stable"): LookSettings(render_factor=16, vividness=0.4),
    ("compact", "video"): LookSettings(render_factor=16, vividness=0.2, stability=0.8),
}
