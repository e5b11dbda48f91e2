"""How well is the end of the GAN phase found? Judges finished runs against an oracle that saw everything.

    vintage-colorizer train compact-artistic ... inflection.stop=false inflection.keep=true   # one or more runs
    python benchmarks/inflection_point.py RUN [RUN ...]

The rule of `training.inflection` is replayed on the figures that a run logged. The oracle looks at every
generator kept, with other held-out photos, at a larger size and with another extractor: its choice is the one of least
kernel distance. Printed for each run: where the rule stops and what it keeps, against the oracle's choice, against
the step that was best in the first run, against never stopping and never starting. Curves go to RUN/oracle.png.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vintage_colorizer import metrics
from vintage_colorizer.extractor import Extractor
from vintage_colorizer.sources import open_source
from vintage_colorizer.training.data import decode, shuffled, survey
from vintage_colorizer.training.feed import HELD_OUT
from vintage_colorizer.training.generators import build_painter, luma_of
from vintage_colorizer.training.inflection import Watch, draw_curves, measure
from vintage_colorizer.training.losses import denormalize
from vintage_colorizer.training.recipe import Generator, Recipe, load_recipe

SIDE = 96  # pixels at which the oracle looks
PHOTOS = 128  # that it looks at
CHUNK = 32

Rows = list[dict[str, float]]


def main() -> None:
    """Judge every run named."""
    runs = [Path(name) for name in sys.argv[1:]]
    fixed = None
    for run in runs:
        recipe = load_recipe(run / "recipe.yaml")
        logged, seen = history(run), oracle(run, recipe)
        steps = [int(row["step"]) for row in logged[: len(seen)]]
        best = int(np.argmin([row["kernel"] for row in seen]))
        fixed = steps[best] if fixed is None else fixed
        kept, stopped = replay(logged, recipe)
        at_fixed = int(np.argmin([abs(step - fixed) for step in steps]))
        print(f"\n{run.name}: {len(seen)} measurements, {steps[-1]} steps")
        print(f"the rule stops at step {steps[stopped]}, {steps[kept] - steps[best]:+d} steps from the oracle's choice")
        print(f"{'':14}{'step':>6}{'kernel':>9}{'psnr':>8}{'color %':>9}{'orange':>8}")
        for name, number in {
            "before": 0,
            "rule": kept,
            "oracle": best,
            "fixed step": at_fixed,
            "never stopping": len(seen) - 1,
        }.items():
            row = seen[number]
            print(
                f"{name:14}{steps[number]:6d}{row['kernel']:9.2f}{row['psnr']:8.2f}"
                f"{100 * row['colorfulness']:9.1f}{row['orange']:8.2f}"
            )
        both = [{**ours, **theirs} for ours, theirs in zip(logged, named(seen), strict=False)]
        draw_curves(both, kept, recipe.inflection.every, run / "oracle.png")


def named(seen: Rows) -> Rows:
    """The oracle's figures under names of their own."""
    return [{f"oracle: {name}": value for name, value in row.items() if name != "psnr_grey"} for row in seen]


def history(run: Path) -> Rows:
    """What the run measured on its own held-out photos, in order; a last line tells of the generator kept."""
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    rows: dict[int, dict[str, float]] = {}
    for line in lines:
        if line.pop("tag") == "gan-1/held-out":
            rows.setdefault(line["step"], line)
    return [rows[step] for step in sorted(rows)]


def replay(logged: Rows, recipe: Recipe) -> tuple[int, int]:
    """The measurement whose generator the rule keeps, and the one at which it stops."""
    watch = Watch(recipe.inflection)
    for row in logged:
        watch.see(row)
        if watch.turned():
            break
    return watch.best, len(watch.history) - 1


def oracle(run: Path, recipe: Recipe) -> Rows:
    """Figures of every generator kept, on photos that the run did not see; kept in RUN/oracle.json."""
    kept = run / "oracle.json"
    rows: Rows = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else []
    paths = sorted((run / "checkpoints").glob("gan-1-*.safetensors"))
    if len(rows) < len(paths):
        clean = photos(run, recipe)
        extractor = Extractor()
        wanted = extractor(levels(clean))
        for path in paths[len(rows) :]:
            rows.append(judge(path, recipe.generator, clean, extractor, wanted))
            kept.write_text(json.dumps(rows), encoding="utf-8")
            print(f"{path.name}: {rows[-1]}", file=sys.stderr, flush=True)
    return rows


def photos(run: Path, recipe: Recipe) -> torch.Tensor:
    """Held-out photos behind those that the run measures on: RGB [N, 3, SIDE, SIDE] in 0..1."""
    source = open_source(str(recipe.data.validation))
    usable = survey(source, recipe.data.min_colorfulness, run / "validation.npz").usable
    others = shuffled(usable, recipe.run.seed, HELD_OUT)[recipe.inflection.photos :][:PHOTOS]
    found = []
    for number in others:
        photo = decode(source.read(int(number)), SIDE)
        top, left = ((length - SIDE) // 2 for length in photo.shape[:2])
        found.append(photo[top : top + SIDE, left : left + SIDE])
    return torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2).float() / 255


def levels(pictures: torch.Tensor) -> Any:
    """RGB 0..1 [N, 3, H, W] as uint8 [N, H, W, 3]."""
    return (pictures * 255).round().byte().permute(0, 2, 3, 1).numpy()


@torch.no_grad()
def judge(path: Path, how: Generator, clean: torch.Tensor, extractor: Extractor, wanted: Any) -> dict[str, float]:
    """What one generator makes of the photos."""
    painter = build_painter(Generator(how.network, how.encoder, how.widths, str(path), how.vividness)).eval()

    def paint(luma: torch.Tensor) -> torch.Tensor:
        picture: torch.Tensor = painter(luma, luma)[0]
        return picture

    figures = measure(paint, clean, None)
    painted = torch.cat([denormalize(paint(part)) for part in torch.split(luma_of(clean), CHUNK)])
    features = np.concatenate([extractor(levels(part)) for part in torch.split(painted, CHUNK)])
    pairs = metrics.kernel_pairs(features, wanted)
    return {**figures, "kernel": 1000 * float(pairs.sum() / (len(pairs) * (len(pairs) - 1)))}


if __name__ == "__main__":
    main()
