"""How good looks and networks are: color photos are made grey, colored, and compared with what they were.

`measure_photo` does all the work on one photo and depends on nothing else; `evaluate` spreads it over threads,
or the machines of a cluster, and averages. What each figure means is in MEASURES.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np

from vintage_colorizer import color
from vintage_colorizer.color import Floats, eight_bit
from vintage_colorizer.colorizer import Colorizer
from vintage_colorizer.datasets import Source
from vintage_colorizer.errors import InputError, MissingError, OptionError
from vintage_colorizer.evaluate import metrics, pans
from vintage_colorizer.evaluate.bootstrap import Bootstrap, Interval, Pair
from vintage_colorizer.evaluate.features import Extractor
from vintage_colorizer.evaluate.measures import (
    CURVE_MEASURES,
    CURVE_SHARES,
    DISTANCE,
    MEASURES,
    PAN_MEASURES,
    SMALLER,
    Contender,
    Figures,
    LeftOut,
    Measure,
    PhotoRecord,
    describe,
    describe_row,
)
from vintage_colorizer.evaluate.metrics import RGB
from vintage_colorizer.evaluate.patches import Regions
from vintage_colorizer.networks.catalog import PHOTO_LOOK
from vintage_colorizer.networks.inference import LOWEST_FACTOR, settings_of
from vintage_colorizer.options import EvaluateOptions, PhotoOptions
from vintage_colorizer.photo.picture import Photo
from vintage_colorizer.photo.reading import read_photo
from vintage_colorizer.photo.result import ColorizedPhoto
from vintage_colorizer.workers import open_runner

log = logging.getLogger("vintage_colorizer")
Rows = dict[str, dict[str, Interval | None]]
GREY, TRUTH = "grey", "truth"
LEAST_COLORFUL = 2.0  # colorfulness below which a photo has no color to compare with
LAB_PIXELS = 250_000  # Lab colors of larger photos are compared on an even grid of about this many pixels


@dataclass(frozen=True)
class Task:
    """Which measurements to take of a photo; the costly ones are taken of some photos only."""

    number: int
    agreement: bool
    pan: bool


@dataclass
class Evaluation:
    """The outcome: averages with intervals for each row, curves over vividness, and what they were made of."""

    protocol: dict[str, str]
    rows: list[Contender]
    records: list[PhotoRecord]
    left_out: list[LeftOut]
    table: Rows
    curves: Rows
    interrupted: bool = False


def evaluate(
    source: Source, todo: Sequence[Task], options: EvaluateOptions, advance: Callable[[], None] = lambda: None
) -> Evaluation:
    """Measure what the options ask for on the photos of `source` that `tasks` chose; `advance` is called after each.

    Interrupted, it evaluates the photos that are done.

    Raises:
        InputError: there is no photo in color.
        MissingError, WeightsError: a network or the extractor is not there, or damaged.
        OptionError: an option does not fit a network.
        EngineError: a network failed.
    """
    rows = contenders(options)
    colorizer = Colorizer()
    for row in rows:
        settings_of(row.options, row.options.look or PHOTO_LOOK, colorizer.engine(row.options).info)
    extractor = find_extractor(options)
    work = partial(measure, source=source, rows=rows, colorizer=colorizer, extractor=extractor)
    records: list[PhotoRecord] = []
    left_out: list[LeftOut] = []
    interrupted = False
    with open_runner(options.ray, options.threads, options.device) as runner:
        try:
            for one in runner.run(todo, work, lambda task: _crashed(source.label(task.number))):
                records.append(one) if isinstance(one, PhotoRecord) else left_out.append(one)
                advance()
        except KeyboardInterrupt:
            if not records:
                raise
            interrupted = True
    records.sort(key=lambda record: record.number)  # the bootstrap draws by place
    if not records:
        reasons = "; ".join(f"{one.label}: {one.reason}" for one in left_out[:3])
        raise InputError(f"None of {len(left_out)} pictures can be evaluated ({reasons}); give photos in color.")
    protocol = describe(options, records, left_out, extractor is not None)
    protocol |= {row.name: describe_row(row, colorizer) for row in rows}
    return Evaluation(
        protocol, rows, records, left_out, summarize(records, options), curves(records, rows, options), interrupted
    )


def _crashed(label: str) -> LeftOut:
    return LeftOut(label, "it brought its process down twice; it may be damaged or too large", failed=True)


def find_extractor(options: EvaluateOptions) -> Extractor | None:
    """The extractor asked for; None if it is none, or not installed and not asked for by name."""
    if options.extractor == "none":
        return None
    try:
        return Extractor()
    except MissingError as error:
        if options.extractor is not None:
            raise
        log.warning("%s Going on without.", error)
        return None


def contenders(options: EvaluateOptions) -> list[Contender]:
    """All combinations of networks, looks, render factors and vividness values."""
    looks = options.look or ((PHOTO_LOOK,) if options.vividness else ("artistic", "stable", "video"))
    files = list(dict.fromkeys(options.weights))
    names = _short_names(files)
    networks: list[dict[str, str]] = [{"network": name} for name in options.network]
    networks += [{"weights": file} for file in files]
    networks = networks or [{"network": "compact"}]
    machine = {"engine": options.engine, "device": options.device, "threads": 1, "saturation": options.saturation}
    found = {}
    for network, look, factor, vividness in product(
        networks, looks, options.render_factor or (None,), options.vividness or (None,)
    ):
        called = [network.get("network") or names[network["weights"]], look]
        called += [f"v={vividness:g}"] if vividness is not None else []
        called += [f"rf={factor}"] if factor is not None else []
        settings = {"look": look, "render_factor": factor, "vividness": vividness, **network, **machine}
        found[" ".join(called)] = PhotoOptions.of(**settings)
    return [Contender(name, chosen) for name, chosen in found.items()]


def _short_names(files: Sequence[str]) -> dict[str, str]:
    """The shortest ends of paths that tell files apart."""
    names: dict[str, str] = {}
    for file in files:
        parts = Path(file).parts
        others = [Path(other).parts for other in files if other != file]
        depth = next((n for n in range(1, len(parts)) if all(other[-n:] != parts[-n:] for other in others)), len(parts))
        names[file] = "/".join(parts[-depth:])
    return names


def tasks(source: Source, options: EvaluateOptions) -> list[Task]:
    """What to measure on which photos; those for the costly measurements are spread evenly.

    OptionError if no photo has the name wanted.
    """
    numbers = [n for n in range(len(source)) if not options.only or options.only in Path(source.label(n)).name]
    if not numbers:
        raise OptionError(f"No photo has '{options.only}' in its name; {source.label(0)} is the first one.")
    numbers = numbers[: options.limit]
    agreement, pan = _spread(len(numbers), options.agreement), _spread(len(numbers), options.pans)
    return [Task(number, place in agreement, place in pan) for place, number in enumerate(numbers)]


def _spread(places: int, wanted: int) -> set[int]:
    """As many places as wanted, evenly spread."""
    return set(np.linspace(0, places - 1, min(places, wanted)).round().astype(int).tolist())


def measure_photo(
    encoded: bytes,
    label: str,
    task: Task,
    rows: Sequence[Contender],
    colorizer: Colorizer,
    extractor: Extractor | None,
) -> PhotoRecord | LeftOut:
    """Take all measurements on one encoded photo.

    A photo that cannot be read, or has no color, is left out. Raises EngineError, OptionError, MissingError.
    """
    try:
        truth = color_photo(encoded)
    except InputError as error:
        return LeftOut(label, str(error), failed=True)
    if metrics.colorfulness(truth) < LEAST_COLORFUL:
        return LeftOut(label, "it has no color to compare with", failed=False)
    judge = Judge(truth)
    pictures = {GREY: judge.grey_rgb, TRUTH: truth}
    figures = {GREY: judge.judge(judge.grey_rgb), TRUTH: judge.judge(truth)}
    moving = pans.Pan(truth, task.number) if task.pan else None
    filmed = {GREY: moving.still(False), TRUTH: moving.still(True)} if moving else {}
    for row in rows:
        start = time.perf_counter()
        result = colorizer.color(Photo(judge.grey), row.options)
        pictures[row.name] = eight_bit(result.pixels)
        seconds = time.perf_counter() - start
        figures[row.name] = judge.judge(pictures[row.name]) | {"seconds": seconds}
        if task.agreement:
            figures[row.name] |= agreement(result, colorizer)
        if moving:
            filmed[row.name] = moving.colored(colorizer, row.options)
    features = dict(zip(pictures, extractor(list(pictures.values())), strict=True)) if extractor else {}
    return PhotoRecord(task.number, label, figures, features, filmed)


def color_photo(encoded: bytes) -> RGB:
    """Decode a photo as the product does; InputError if it cannot be read."""
    pixels = eight_bit(read_photo(encoded).pixels)
    return np.ascontiguousarray(np.repeat(pixels[..., None], 3, axis=-1) if pixels.ndim == 2 else pixels)


def colored(truth: RGB, rows: Sequence[Contender], colorizer: Colorizer) -> dict[str, RGB]:
    """The pictures of each row: grey, truth, and what the contenders make of the grey one."""
    grey = grey_of(truth)
    painted = {row.name: eight_bit(colorizer.color(Photo(grey), row.options).pixels) for row in rows}
    return {GREY: np.repeat(grey[..., None], 3, axis=-1), TRUTH: truth, **painted}


def grey_of(truth: RGB) -> RGB:
    """The photo's luma in 256 levels, H x W."""
    return np.asarray(color.luma(truth) * 255 + np.float32(0.5)).astype(np.uint8)


class Judge:
    """Compares pictures with one photo; what depends on the photo alone is computed once."""

    def __init__(self, truth: RGB) -> None:
        """Take the photo."""
        self.truth = truth
        self.grey = grey_of(truth)
        self.grey_rgb: RGB = np.repeat(self.grey[..., None], 3, axis=-1)
        step = max(1, int((self.grey.size / LAB_PIXELS) ** 0.5))
        self._grid = (slice(None, None, step), slice(None, None, step))
        self._lab = metrics.lab_of(truth[self._grid])
        self._colorfulness = metrics.colorfulness(truth)
        self._grey_psnr = metrics.psnr(self.grey_rgb, truth)
        self._regions = Regions(self._lab)
        self._skin = metrics.skin_mask(truth[self._grid], self._lab)
        angle = metrics.tone_angle(self._lab[self._skin])
        self._tones = {tone: (angle >= low) & (angle < high) for tone, (low, high) in metrics.TONES.items()}

    def judge(self, picture: RGB) -> Figures:
        """All figures of one picture; those of equal pictures that would be infinite are left out."""
        lab = metrics.lab_of(picture[self._grid])
        colorfulness = metrics.colorfulness(picture)
        psnr = metrics.psnr(picture, self.truth)
        figures = {
            "photos": 1.0,
            "colorfulness": colorfulness,
            "true_colorfulness": self._colorfulness,
            "difference": colorfulness - self._colorfulness,
            "ciede2000": float(metrics.ciede2000(lab, self._lab).mean()),
        }
        if np.isfinite(psnr):
            figures |= {"psnr": psnr, "gain": psnr - self._grey_psnr}
        return figures | self._regions.figures(lab) | self._skin_figures(lab)

    def _skin_figures(self, lab: Floats) -> Figures:
        grey, blue = metrics.skin_faults(lab[self._skin])
        wrong = grey | blue
        figures = {"skin": float(grey.size), "skin_wrong": float(wrong.sum())}
        figures |= {"skin_grey": float(grey.sum()), "skin_blue": float(blue.sum())}
        for tone, there in self._tones.items():
            figures |= {tone: float(there.sum()), f"{tone}_wrong": float((wrong & there).sum())}
        return figures


def agreement(result: ColorizedPhoto, colorizer: Colorizer) -> Figures:
    """How far the chroma of a smaller and of a mirrored render is from that of `result`, and its own mean."""
    chroma = result.final_chroma
    factor = max(LOWEST_FACTOR, round(SMALLER * result.render_factor))
    smaller = colorizer.color(result.photo, result.options.replace(render_factor=factor)).final_chroma
    turned = Photo(np.ascontiguousarray(result.photo.pixels[:, ::-1]))
    mirrored = colorizer.color(turned, result.options.replace(render_factor=result.render_factor)).final_chroma
    return {
        "strength": float(np.abs(chroma).mean()),
        "resized": float(np.abs(color.upsample(smaller, *chroma.shape[:2]) - chroma).mean()),
        "mirrored": float(np.abs(mirrored[:, ::-1] - chroma).mean()),
    }


def measure(
    task: Task, source: Source, rows: Sequence[Contender], colorizer: Colorizer, extractor: Extractor | None
) -> PhotoRecord | LeftOut:
    """Take the measurements of a task on a photo of `source`; see `measure_photo`."""
    label = source.label(task.number)
    return measure_photo(source.read(task.number), label, task, rows, colorizer, extractor)


def summarize(records: Sequence[PhotoRecord], options: EvaluateOptions) -> dict[str, dict[str, Interval | None]]:
    """Averages over photos with intervals, a row for grey, truth and each contender."""
    draws = Bootstrap(len(records), options.resamples, options.seed)
    filmed = [record for record in records if record.pans]
    pan_draws = Bootstrap(len(filmed), options.resamples, options.seed) if filmed else None
    table = {}
    for name in records[0].rows:
        row = {one.name: _average(draws, one, [record.rows[name] for record in records]) for one in MEASURES}
        if records[0].features and len(records) > 1:
            row[DISTANCE.name] = _distance(draws, records, name)
        if pan_draws:
            row |= {
                one.name: _average(pan_draws, one, [record.pans[name] for record in filmed]) for one in PAN_MEASURES
            }
        table[name] = row
    return table


def curves(records: Sequence[PhotoRecord], rows: Sequence[Contender], options: EvaluateOptions) -> Rows:
    """What each network gains at fixed shares of the truth's colorfulness, read off its rows by vividness."""
    draws = Bootstrap(len(records), options.resamples, options.seed)
    found: Rows = {}
    for name, family in _families(rows).items():
        figures = [[record.rows[row.name] for record in records] for row in family]
        share = [_pair(one, "colorfulness", "true_colorfulness") for one in figures]
        gain = [_pair(one, "gain", "photos") for one in figures]
        found[name] = {
            measure.name: draws.read_off(share, gain, percent / 100)
            for measure, percent in zip(CURVE_MEASURES, CURVE_SHARES, strict=True)
        }
    return found


def _families(rows: Sequence[Contender]) -> dict[str, list[Contender]]:
    """Rows that differ in vividness alone, by the name they have in common; single ones are left out."""
    found: dict[str, list[Contender]] = {}
    for row in rows:
        if row.options.vividness is not None:
            name = row.name.replace(f" v={row.options.vividness:g}", "")
            found.setdefault(name, []).append(row)
    return {name: family for name, family in found.items() if len(family) > 1}


def _average(draws: Bootstrap, measure: Measure, figures: Sequence[Figures]) -> Interval | None:
    return _scaled(draws.ratio(*_pair(figures, measure.over, measure.under)), measure.scale)


def _pair(figures: Sequence[Figures], over: str, under: str) -> Pair:
    """Two figures of all photos; where one of them is missing, both are 0."""
    above, below = (np.array([one.get(name, np.nan) for one in figures]) for name in (over, under))
    missing = np.isnan(above) | np.isnan(below)
    above[missing] = below[missing] = 0
    return above, below


def _distance(draws: Bootstrap, records: Sequence[PhotoRecord], name: str) -> Interval | None:
    features, truth = (np.stack([record.features[row] for record in records]) for row in (name, TRUTH))
    return _scaled(draws.pairs(metrics.kernel_pairs(features, truth)), DISTANCE.scale)


def _scaled(interval: Interval | None, scale: float) -> Interval | None:
    if interval is None:
        return None
    return Interval(scale * interval.value, scale * interval.low, scale * interval.high)
