"""What is measured, in words and as records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from vintage_colorizer.color import Floats
from vintage_colorizer.colorizer import Colorizer
from vintage_colorizer.evaluate import metrics, pans, patches
from vintage_colorizer.evaluate.bootstrap import COVERAGE
from vintage_colorizer.evaluate.features import EXTRACTOR, SIDE
from vintage_colorizer.networks.catalog import PHOTO_LOOK
from vintage_colorizer.networks.inference import settings_of
from vintage_colorizer.options import EvaluateOptions, PhotoOptions
from vintage_colorizer.version import __version__

SMALLER = 0.75  # the second render factor, times the first, at which renders should agree

Figures = dict[str, float]


@dataclass(frozen=True)
class Measure:
    """A column: the sum of one figure by the sum of another, over all photos."""

    name: str
    over: str
    under: str
    unit: str
    about: str
    scale: float = 1.0
    digits: int = 2


MEASURES = (
    Measure("colorfulness", "colorfulness", "photos", "", "Hasler and Suesstrunk's (2003), mean", digits=1),
    Measure("share", "colorfulness", "true_colorfulness", "%", "colorfulness as a share of the truth's", 100, 1),
    Measure("difference", "difference", "photos", "", "colorfulness less the truth's, mean", digits=1),
    Measure("psnr", "psnr", "photos", "dB", "peak signal-to-noise ratio of RGB, of each photo, mean"),
    Measure("gain", "gain", "photos", "dB", "PSNR over that of the grey picture, mean"),
    Measure("ciede2000", "ciede2000", "photos", "", "CIEDE2000 of all pixels, mean of the photos' means"),
    Measure("skin_grey", "skin_grey", "skin", "%", "share of skin pixels left grey", 100),
    Measure("skin_blue", "skin_blue", "skin", "%", "share of skin pixels gone green, blue or violet", 100),
    Measure("skin_wrong", "skin_wrong", "skin", "%", "share of skin pixels left grey or gone blue: both", 100),
    *(
        Measure(f"skin_{tone}", f"{tone}_wrong", tone, "%", f"share of {tone} skin's pixels grey or blue", 100)
        for tone in metrics.TONES
    ),
    Measure("patchiness", "patches", "even", "", "deviation of Lab color within even regions, above the truth's"),
    Measure("patchy", "patches", "patch_chroma", "%", "patchiness by the picture's mean Lab chroma there", 100),
    Measure("resized", "resized", "strength", "%", "change of chroma at 3/4 of the render factor, by mean chroma", 100),
    Measure("mirrored", "mirrored", "strength", "%", "change of chroma if mirrored, by mean chroma", 100),
    Measure("seconds", "seconds", "photos", "s", "coloring of one photo with one thread", digits=3),
)
DISTANCE = Measure(
    "distance", "", "", "", f"squared kernel distance to the truth on {EXTRACTOR}, times 1000 (not KID, not FID)", 1000
)
CURVE_SHARES = (50, 75, 90)  # colorfulness in percent of the truth's
CURVE_MEASURES = tuple(
    Measure(f"gain_at_{share}", "", "", "dB", f"gain where colorfulness is {share} % of the truth's, over vividness")
    for share in CURVE_SHARES
)
PAN_MEASURES = (
    Measure("pan_change", "change", "clips", "", "mean change of chroma along the motion, frame to frame", 1000),
    Measure("pan_relative", "change", "strength", "%", "that, by mean chroma", 100),
    Measure("pan_cdc", "cdc", "clips", "", "color distribution consistency", 1000, 3),
)


@dataclass(frozen=True)
class PhotoRecord:
    """What was measured on one photo, a row for each contender; plain data, so that it can come from elsewhere."""

    number: int
    label: str
    rows: dict[str, Figures]
    features: dict[str, Floats] = field(default_factory=dict)
    pans: dict[str, Figures] = field(default_factory=dict)


@dataclass(frozen=True)
class LeftOut:
    """A photo that was not measured, and why."""

    label: str
    reason: str
    failed: bool


def describe_row(row: Contender, colorizer: Colorizer) -> str:
    """Which network a row stands for, and its settings."""
    info = colorizer.engine(row.options).info
    settings = settings_of(row.options, row.options.look or PHOTO_LOOK, info)
    vividness = "" if settings.vividness is None else f", vividness {settings.vividness:g}"
    factor = row.options.render_factor or settings.render_factor
    saturation = row.options.saturation * settings.saturation
    return f"{info.name}, render factor {factor}{vividness}, saturation {saturation:g}, SHA-256 {info.sha256[:16]}..."


def describe(
    options: EvaluateOptions, records: Sequence[PhotoRecord], left_out: Sequence[LeftOut], has_distance: bool
) -> dict[str, str]:
    """What was done, so that the figures can be had again; printed with them."""
    agreeing = sum("resized" in next(reversed(one.rows.values())) for one in records)
    clips = sum(bool(one.pans) for one in records)
    failed = sum(one.failed for one in left_out)
    only = f"; only *{options.only}*" if options.only else ""
    skin = (
        f"Cb {_span(metrics.SKIN_CB)} and Cr {_span(metrics.SKIN_CR)} (Chai and Ngan, 1999), Lab hue "
        f"{_span(metrics.SKIN_HUE)} and chroma from {metrics.LEAST_SKIN:g} in the photo; grey: chroma below "
        f"{metrics.GREY_SKIN:g}; blue: hue {_span(metrics.BLUE_SKIN)}; tones by individual typology angle: "
    )
    distance = f"squared kernel distance, cubic kernel, {EXTRACTOR}'s 1280 averages, middle square at {SIDE} px"
    moving = f"{clips} photos, {pans.FRAMES} frames of a window of {pans.WINDOW:g} of the photo, no stabilizer"
    return {
        "version": __version__,
        "photos": f"{len(records)} measured, {failed} unreadable, {len(left_out) - failed} left out, grey{only}",
        "input": "luma of each photo in 256 levels, colored at the photo's own size; results in 8 bits RGB",
        "intervals": f"{COVERAGE} % bootstrap over photos, {options.resamples} resamples, seed {options.seed}",
        "skin": skin + ", ".join(f"{tone} {_span(angles)}" for tone, angles in metrics.TONES.items()),
        "patchiness": (
            f"regions whose true color changes by less than {patches.STEP:g} Lab units a pixel, at "
            f"{patches.LARGEST} px, of {100 * patches.LEAST:g} % of the photo or more, whose true color deviates by "
            f"{patches.EVEN:g} at most"
        ),
        "agreement": f"{agreeing} photos, at {SMALLER} of the render factor, and mirrored",
        "distance": distance if has_distance else "not measured",
        "pans": moving if clips else "not measured",
    }


def _span(ends: tuple[float, float]) -> str:
    return f"{ends[0]:g} to {ends[1]:g}"


@dataclass(frozen=True)
class Contender:
    """One row of the table: a name, and the settings that color for it."""

    name: str
    options: PhotoOptions
