"""How calm film color is, and what that costs: our filter against none, a plain mean over time, and desaturation.

    python benchmarks/film_stability.py [COLOR_FILM ...]
    python benchmarks/film_stability.py --render-factors 10,16,24,32    # no filter; does a larger one color calmer?

Synthetic clips (color photos under pans, zooms, moving objects, flicker and grain) have known color and
motion. For films given, which must be in color, motion is optical flow at full working size.

change        mean difference of chroma to the frame before, moved by the true motion (x 1000)
wander        the same to the frame half a second before, where that is still to be seen
colorfulness  mean length of the chroma vector against no filter
error         mean distance to the true chroma (x 1000)
CDC           color distribution consistency (x 1000)
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

from vintage_colorizer import color
from vintage_colorizer.color import Floats, eight_bit
from vintage_colorizer.colorizer import Colorizer
from vintage_colorizer.evaluate import metrics
from vintage_colorizer.film.stability import REACH, Moment, calm, fade_extremes, moved
from vintage_colorizer.networks.inference import propose_batch, settings_of
from vintage_colorizer.options import FilmOptions

SIZE = 192, 256  # height and width of frames
LARGE = 384, 512  # the same where render factors are compared
FRAMES = 48
HALF_A_SECOND = 12  # frames
STABILITIES = (0.1, 0.2, 0.3, 0.45, 0.6, 0.8, 0.9, 1.0)
CARRIED_AT = (0.3, 0.8)
FEWER = 24  # where render factors are compared


@dataclass
class Clip:
    """Frames with known color; `back` leads from each pixel to where it was in the frame before."""

    name: str
    luma: Floats  # N x H x W
    truth: Floats  # N x H x W x 2
    back: Floats  # N x H x W x 2
    known: NDArray[np.bool_]  # N x H x W: whether `back` leads anywhere
    cuts: tuple[int, ...] = ()


def camera_clip(
    name: str,
    photo: Any,
    step: tuple[float, float],
    zoom: float,
    flicker: float,
    grain: float,
    size: tuple[int, int] = SIZE,
    count: int = FRAMES,
) -> Clip:
    """A photo filmed by a moving camera."""
    rng = np.random.default_rng(0)
    height, width = size
    scale = 1.5 * max(height / photo.shape[0], width / photo.shape[1])
    maps = []
    for index in range(count):
        factor = scale * zoom ** (index - count / 2)
        x = photo.shape[1] / 2 + step[0] * (index - count / 2) / scale
        y = photo.shape[0] / 2 + step[1] * (index - count / 2) / scale
        maps.append(
            np.array([[1 / factor, 0, x - width / 2 / factor], [0, 1 / factor, y - height / 2 / factor], [0, 0, 1]])
        )
    frames = [_look(photo, one, size) for one in maps]
    back = np.stack([_motion(maps[max(0, i - 1)], maps[i], size) for i in range(count)])
    return _clip(name, np.stack(frames), back, rng, flicker, grain)


def object_clip(name: str, photo: Any, thing: Any, speed: float, flicker: float, grain: float) -> Clip:
    """A thing that moves over a still photo."""
    rng = np.random.default_rng(1)
    height, width = SIZE
    ground = cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)
    patch = cv2.resize(thing, (72, 96), interpolation=cv2.INTER_AREA)
    y, x = np.mgrid[:96, :72]
    shape = ((x - 35.5) / 35) ** 2 + ((y - 47.5) / 47) ** 2 < 1
    frames, back, known = [], np.zeros((FRAMES, height, width, 2), np.float32), np.ones((FRAMES, height, width), bool)
    before = np.zeros((height, width), bool)
    for index in range(FRAMES):
        left, top = int(5 + speed * index) % (width - 72), 60
        frame, covered = ground.copy(), np.zeros((height, width), bool)
        frame[top : top + 96, left : left + 72][shape] = patch[shape]
        covered[top : top + 96, left : left + 72] = shape
        back[index, covered, 0] = -(left - (int(5 + speed * (index - 1)) % (width - 72)))
        known[index] = covered | ~before
        before = covered
        frames.append(frame)
    clip = _clip(name, np.stack(frames), back, rng, flicker, grain)
    clip.known &= known
    return clip


def film_clip(path: Path) -> Clip:
    """A color film, its own chroma being the truth."""
    import av

    height, width = SIZE
    frames = []
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            frames.append(cv2.resize(frame.to_ndarray(format="rgb24"), (width, height), interpolation=cv2.INTER_AREA))
            if len(frames) == 2 * FRAMES:
                break
    grey = [cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in frames]
    flow = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    back = np.zeros((len(frames), height, width, 2), np.float32)
    known = np.zeros((len(frames), height, width), bool)
    for i in range(1, len(frames)):
        back[i] = flow.calc(grey[i], grey[i - 1], None)
        there = flow.calc(grey[i - 1], grey[i], None)
        known[i] = np.linalg.norm(back[i] + moved(there, back[i]), axis=-1) < 0.7
    clip = _clip(path.name, np.stack(frames), back, np.random.default_rng(0), 0.0, 0.0)
    clip.known &= known
    return clip


def _look(photo: Any, view: NDArray[np.float64], size: tuple[int, int]) -> Any:
    return cv2.warpAffine(
        photo, view[:2], size[::-1], flags=cv2.INTER_AREA | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT
    )


def _motion(old: NDArray[np.float64], new: NDArray[np.float64], size: tuple[int, int]) -> Floats:
    y, x = np.mgrid[: size[0], : size[1]]
    points = np.stack([x, y, np.ones_like(x)], axis=-1) @ (np.linalg.inv(old) @ new).T
    return np.asarray(points[..., :2] - np.stack([x, y], axis=-1), np.float32)


def _clip(name: str, frames: Any, back: Floats, rng: np.random.Generator, flicker: float, grain: float) -> Clip:
    luma = np.stack([color.luma(one) for one in frames])
    truth = np.stack([color.chroma_of(one) for one in frames])
    gain = 1 + flicker * rng.standard_normal((len(frames), 1, 1)) if flicker else 1.0
    height, width = luma.shape[1:]
    noise = grain * np.stack([cv2.GaussianBlur(rng.standard_normal((height, width)), (3, 3), 0.6) for _ in frames])
    y, x = np.mgrid[:height, :width]
    inside = (
        (x + back[..., 0] >= 0)
        & (x + back[..., 0] <= width - 1)
        & (y + back[..., 1] >= 0)
        & (y + back[..., 1] <= height - 1)
    )
    inside[0] = False
    return Clip(name, np.clip(luma * gain + noise, 0, 1).astype(np.float32), truth, back, inside)


def propose(clip: Clip, colorizer: Colorizer, look: str, factor: int | None = None) -> list[Floats]:
    """The network's chroma for every frame, as films use it, by default at the frames' own size."""
    options = FilmOptions.of(look=look)
    engine = colorizer.engine(options)
    settings = settings_of(options, options.look or "video", engine.info)
    height, width = clip.luma.shape[1:]
    if factor is not None:
        height, width = engine.info.working_size(height, width, factor)
    lumas = np.stack([cv2.resize(one, (width, height), interpolation=cv2.INTER_AREA) for one in clip.luma])
    small = [propose_batch(engine, lumas[i : i + 4], settings.vividness) for i in range(0, len(lumas), 4)]
    chroma = [one * settings.saturation for batch in small for one in batch]
    return [fade_extremes(one, luma) for one, luma in zip(chroma, clip.luma, strict=True)]


def filtered(clip: Clip, chroma: list[Floats], stability: float, every: int = 1) -> list[Floats]:
    """Our filter, with color proposed for some frames only."""
    moments = [
        Moment(i, clip.luma[i], one, i == 0 or i in clip.cuts, proposed=i % every == 0) for i, one in enumerate(chroma)
    ]
    return [one for _, one in calm(moments, stability)]


def mean_over_time(chroma: list[Floats]) -> list[Floats]:
    """The same place in as many frames, whatever moved."""
    return [np.mean(chroma[max(0, i - REACH) : i + REACH + 1], axis=0) for i in range(len(chroma))]


def measure(clip: Clip, chroma: list[Floats]) -> dict[str, float]:
    """The figures for one clip and method."""
    large = [color.upsample(one, *clip.luma.shape[1:]) for one in chroma]
    known = [there & (i not in clip.cuts) for i, there in enumerate(clip.known)]
    frames = [eight_bit(color.merge(luma, one)) for luma, one in zip(clip.luma, chroma, strict=True)]
    return {
        "wander": 1000 * wander(clip, large),
        "change": 1000 * metrics.chroma_change(large, list(clip.back), known),
        "strength": float(np.linalg.norm(large, axis=-1).mean()),
        "error": 1000 * float(np.linalg.norm(np.stack(large) - clip.truth, axis=-1).mean()),
        "cdc": 1000 * metrics.color_distribution_consistency(frames),
    }


def wander(clip: Clip, large: list[Floats]) -> float:
    """Mean length of the change of chroma along the motion over half a second; NaN where nothing stays that long."""
    changes = []
    height, width = clip.luma.shape[1:]
    y, x = np.mgrid[:height, :width]
    for i in range(HALF_A_SECOND + 1, len(large), 3):
        if any(cut in range(i - HALF_A_SECOND + 1, i + 1) for cut in clip.cuts):
            continue
        flow, known = clip.back[i], clip.known[i].astype(np.float32)
        for step in range(1, HALF_A_SECOND):
            known = known * moved(clip.known[i - step].astype(np.float32), flow)
            flow = flow + moved(clip.back[i - step], flow)
        inside = (
            (x + flow[..., 0] >= 0) & (x + flow[..., 0] < width) & (y + flow[..., 1] >= 0) & (y + flow[..., 1] < height)
        )
        there = inside & (known > 0.9)
        if there.mean() > 0.2:
            changes.append(np.linalg.norm(large[i] - moved(large[i - HALF_A_SECOND], flow), axis=-1)[there].mean())
    return float(np.mean(changes)) if changes else float("nan")


def clips() -> Iterator[Clip]:
    """All synthetic clips."""
    cat, coffee, astronaut, rocket = data.chelsea(), data.coffee(), data.astronaut(), data.rocket()
    for flicker, grain, wear in ((0.0, 0.0, ""), (0.05, 0.04, " worn")):
        yield camera_clip("slow pan cat" + wear, cat, (0.3, 0.1), 1.0, flicker, grain)
        yield camera_clip("pan coffee" + wear, coffee, (2.3, 0.4), 1.0, flicker, grain)
        yield camera_clip("fast pan rocket" + wear, rocket, (6.0, 0), 1.0, flicker, grain)
        yield camera_clip("zoom astronaut" + wear, astronaut, (0, 0), 1.008, flicker, grain)
        yield object_clip("object over cat" + wear, cat, astronaut[:300, 100:350], 3.0, flicker, grain)
        yield object_clip("object over rocket" + wear, rocket, coffee, 5.0, flicker, grain)


def compare_render_factors(factors: list[int]) -> None:
    """Print how calm the look of films is at these render factors, on larger frames and without a filter."""
    cat, coffee, astronaut, rocket = data.chelsea(), data.coffee(), data.astronaut(), data.rocket()
    pans = [
        camera_clip(name + wear, photo, step, 1.0, flicker, grain, LARGE, FEWER)
        for flicker, grain, wear in ((0.0, 0.0, ""), (0.05, 0.04, " worn"))
        for name, photo, step in (
            ("cat", cat, (0.6, 0.2)),
            ("coffee", coffee, (2.0, 0.4)),
            ("astronaut", astronaut, (1.0, 1.0)),
            ("rocket", rocket, (4.0, 0.0)),
        )
    ]
    colorizer = Colorizer()
    for kind, chosen in (("clean", pans[:4]), ("worn", pans[4:])):
        print(f"mean of {len(chosen)} {kind} pans of {FEWER} frames, {LARGE[1]} x {LARGE[0]}, look video, no filter")
        for factor in factors:
            rows = [measure(clip, propose(clip, colorizer, "video", factor)) for clip in chosen]
            change, strength, error, cdc = (
                np.mean([row[key] for row in rows]) for key in ("change", "strength", "error", "cdc")
            )
            share = np.mean([row["change"] / row["strength"] / 1000 for row in rows])
            print(
                f"  render factor {factor:2}  change {change:5.2f} ({share:5.1%} of mean chroma)"
                f"  CDC {cdc:6.3f}  error {error:6.2f}  chroma {strength:.3f}",
                flush=True,
            )


def main() -> None:
    """Print a table."""
    if sys.argv[1:2] == ["--render-factors"]:
        compare_render_factors([int(one) for one in sys.argv[2].split(",")])
        return
    stabilities = STABILITIES
    colorizer = Colorizer()
    everything = [*clips(), *(film_clip(Path(name)) for name in sys.argv[1:])]
    sums: dict[str, list[dict[str, float]]] = {}
    for clip in everything:
        plain = propose(clip, colorizer, "video")
        base = measure(clip, plain)
        methods = {"none": plain, "mean over time": mean_over_time(plain), "desaturated": [0.4 * one for one in plain]}
        methods |= {f"stability {one}": filtered(clip, plain, one) for one in stabilities}
        methods |= {f"every 2nd at {one}": filtered(clip, plain, one, every=2) for one in CARRIED_AT}
        print(f"\n{clip.name}")
        for name, chroma in methods.items():
            found = measure(clip, chroma)
            row = {
                "wander": found["wander"] / base["wander"],
                "change": found["change"] / base["change"],
                "color": found["strength"] / base["strength"],
                "error": found["error"] / base["error"],
                "cdc": found["cdc"] / base["cdc"],
            }
            sums.setdefault(name, []).append(row)
            print(
                f"  {name:16} change {found['change']:6.2f} ({row['change']:5.0%})  colorfulness {row['color']:5.0%}"
                f"  CDC {found['cdc']:6.3f}  error {found['error']:6.2f} ({row['error']:6.1%})"
            )
    print("\nmean of all clips, against no filter")
    for name, rows in sums.items():
        mean = {key: np.nanmean([row[key] for row in rows]) for key in rows[0]}
        print(
            f"  {name:16} change {mean['change']:5.0%}  wander {mean['wander']:5.0%}"
            f"  colorfulness {mean['color']:5.0%}  CDC {mean['cdc']:5.0%}  error {mean['error']:6.1%}"
        )


if __name__ == "__main__":
    main()
