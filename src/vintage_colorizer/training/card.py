"""The end of a run: the network file, its check and its card."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import torch

from vintage_colorizer.files import sha256_of
from vintage_colorizer.networks.architectures.contract import export_onnx
from vintage_colorizer.training.generators import CompactPainter, Painter, store
from vintage_colorizer.training.recipe import Recipe, dump_recipe
from vintage_colorizer.training.runs import Run, write_text
from vintage_colorizer.version import __version__

log = logging.getLogger("vintage_colorizer")
Figures = Mapping[str, Mapping[str, float]]


def finish(painter: Painter, recipe: Recipe, run: Run, figures: Figures, data: str) -> Path:
    """Write `network.safetensors`, `network.onnx` and `card.md` into the run's folder; returns the ONNX file.

    The ONNX file is run and compared with torch: WeightsError if they differ.
    """
    path = run.out / "network.onnx"
    if not run.writes:
        return path
    painter = painter.cpu().eval()
    store(painter, run.out / "network.safetensors")
    part = path.with_suffix(".part.onnx")
    export_onnx(painter.contract(), part, metadata(painter, recipe), half=isinstance(painter, CompactPainter))
    part.replace(path)
    write_text(run.out / "card.md", card(painter, recipe, figures, data, sha256_of(path)))
    log.info("%s is ready; use it with: vintage-colorizer photo --weights %s", path, path)
    return path


def metadata(painter: Painter, recipe: Recipe) -> dict[str, str]:
    """What the contract of network files wants to know."""
    about = {
        "name": recipe.name,
        "network": "compact" if isinstance(painter, CompactPainter) else "deoldify",
        "look": recipe.look,
        "architecture": recipe.generator.network,
        "render_factor": str(recipe.render_factor),
        "license": "depends on the photos it was trained on; see its card",
        "recipe": recipe.name,
        "version": __version__,
    }
    if painter.contract().has_vividness:
        about["vividness"] = str(recipe.generator.vividness)
    return about


def card(painter: Painter, recipe: Recipe, figures: Figures, data: str, digest: str) -> str:
    """The model card in Markdown: what the network is, what it learned from, how well it does, what to mind."""
    parameters = sum(parameter.numel() for parameter in painter.network.parameters()) / 1e6
    names = sorted({name for row in figures.values() for name in row})
    table = [
        "| after | " + " | ".join(names) + " |",
        "|---|" + "---|" * len(names),
        *(
            f"| {stage} | " + " | ".join(f"{row[name]:.4g}" if name in row else "" for name in names) + " |"
            for stage, row in figures.items()
        ),
    ]
    return "\n".join(
        [
            f"# {recipe.name}",
            "",
            f"Gives grey photos plausible color. Network `{recipe.generator.network}`, {parameters:.1f} million",
            f"parameters, trained with Vintage Colorizer {__version__} and torch {torch.__version__}.",
            f"SHA-256 of `network.onnx`: `{digest}`.",
            "",
            "## Data",
            f"Photos: `{Path(data).name or data}`. Whoever passes the network on must name their terms here.",
            "",
            "## Figures on held-out photos",
            "",
            *table,
            "",
            "`psnr` in dB of RGB, `psnr_grey` the same for the grey picture; `colorfulness` as a share of the",
            f"photos'; `distance` a squared kernel distance on {recipe.inflection.extractor} (not FID); `orange` the",
            "shift of skin towards orange in Lab; `disagreement` of renders at two sizes.",
            "",
            "## Limits",
            "Colors are guesses, not historical fact. What is rare in the data is colored worst, which can include",
            "skin tones, clothing and places that it shows seldom.",
            "",
            "## Recipe",
            "```yaml",
            dump_recipe(recipe).rstrip(),
            "```",
            "",
        ]
    )
