"""Which network file and which defaults stand behind a look.

To replace a network, change its row in NETWORKS; to retune a look, change its row in LOOKS.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from vintage_colorizer.options import Look

EMBEDDED = Path(__file__).parent
PHOTO_LOOK: Look = "stable"  # where nothing is asked for
FILM_LOOK: Look = "video"


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
class Remote:
    """A file on the web: what it must be, and where it may be."""

    file: str
    bytes: int
    sha256: str
    mirrors: tuple[str, ...]


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
        sha256="6aa976d26234362de403839ccf6a630104752f4ee3c360d546403e3a23a94d26",
        license="see WEIGHTS-LICENSE.md",
        about="EfficientNet-Lite0 encoder, 5.7 million parameters, embedded in the package",
    ),
}

# Networks that repair, by task.
REPAIRS: dict[str, NetworkFile] = {
    "damage": NetworkFile(
        file="repair-defects.onnx",
        sha256="d270eec5278911d3f4723b1c1b4cfa75d11733e21deadb230ce023b3a0bf1ee5",
        license="see WEIGHTS-LICENSE.md",
        about="marks scratches and dust, 0.35 million parameters, embedded in the package",
    ),
    "fill": NetworkFile(
        file="repair-fill.onnx",
        sha256="b6e6c04973673e74ba5355a3ccc9dacb22bb5133a0212dbf03c6ae306c459a4e",
        license="see WEIGHTS-LICENSE.md",
        about="fills what is marked, 0.30 million parameters, embedded in the package",
    ),
    "fade": NetworkFile(
        file="repair-fade.onnx",
        sha256="7691f33ed293c8e32758df4ad26e87b4adc89ea1f64af3d0c952530d94539060",
        license="see WEIGHTS-LICENSE.md",
        about="finds what undoes fading, 0.14 million parameters, embedded in the package",
    ),
}

# What the authors of DeOldify published. Sizes and hashes are attested by several independent projects; that the
# mirrors still serve the files is unverified, which is why every download is checked.
_DEEPAI = "https://data.deepai.org/deoldify"
_HUGGING_FACE = "https://huggingface.co/spensercai/DeOldify/resolve/main"

ORIGINALS: dict[Look, Remote] = {
    "artistic": Remote(
        file="ColorizeArtistic_gen.pth",
        bytes=255_144_681,
        sha256="3f750246fa220529323b85a8905f9b49c0e5d427099185334d048fb5b5e22477",
        mirrors=(f"{_DEEPAI}/ColorizeArtistic_gen.pth", f"{_HUGGING_FACE}/ColorizeArtistic_gen.pth"),
    ),
    "stable": Remote(
        file="ColorizeStable_gen.pth",
        bytes=874_066_230,
        sha256="ca9cd7f43fb8b222c9a70f7b292e305a000694b0ff9d2ae4a6747b1a2e1ee5af",
        mirrors=(f"{_HUGGING_FACE}/ColorizeStable_gen.pth",),
    ),
    "video": Remote(
        file="ColorizeVideo_gen.pth",
        bytes=874_066_230,
        sha256="e3d98bb6a222354c79f95485c2f078a89dc724e9183662506d9e0f5aafac83ad",
        mirrors=(f"{_DEEPAI}/ColorizeVideo_gen.pth", f"{_HUGGING_FACE}/ColorizeVideo_gen.pth"),
    ),
}

# Files of networks that take hints, and color better without: compact-4 has learned them too briefly. With ten true
# hints `spread` brings 3.0 dB on validation photos, and 2.7 dB where the network answers first.
TOLD_NO_HINTS = {NETWORKS["compact"].sha256}

LOOKS: dict[tuple[str, Look], LookSettings] = {
    ("compact", "artistic"): LookSettings(render_factor=16, vividness=0.7, stability=0.3),
    ("compact", "stable"): LookSettings(render_factor=16, vividness=0.3),
    ("compact", "video"): LookSettings(render_factor=16, vividness=0.1, stability=0.8),
    ("deoldify", "artistic"): LookSettings(render_factor=35, vividness=None, stability=0.3),
    ("deoldify", "stable"): LookSettings(render_factor=35, vividness=None),
    ("deoldify", "video"): LookSettings(render_factor=21, vividness=None, stability=0.8),
}
