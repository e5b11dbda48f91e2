"""The options as keywords of methods, for editors and type checkers; see `options` for what they mean."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypedDict

from vintage_colorizer.hints import Hint
from vintage_colorizer.options import (
    Codec,
    Device,
    EngineName,
    FilmRepair,
    Look,
    Network,
    PhotoFormat,
    Preset,
    Repair,
)


class ColorKeywords(TypedDict, total=False):
    """The fields of `ColorOptions` as keywords, for editors and type checkers."""

    look: Look | None
    network: Network
    render_factor: int | Literal["auto"] | None
    vividness: float | None
    saturation: float
    warmth: float
    weights: str | None
    engine: EngineName
    device: Device
    threads: int | None


class PhotoKeywords(ColorKeywords, total=False):
    """The fields of `PhotoOptions` as keywords."""

    hints: Sequence[Hint | str]
    rotate: int
    crop: Sequence[float] | str | None
    repair: Sequence[Repair] | str
    format: PhotoFormat | None
    quality: int | None
    strip: bool
    mark: bool
    reference: str | None
    max_megapixels: float


class RepairKeywords(TypedDict, total=False):
    """The fields of `RepairOptions` as keywords."""

    only: Sequence[Repair] | str
    rotate: int
    crop: Sequence[float] | str | None
    format: PhotoFormat | None
    quality: int | None
    strip: bool
    marks: str | None
    threads: int | None
    max_megapixels: float


class FilmKeywords(ColorKeywords, total=False):
    """The fields of `FilmOptions` as keywords."""

    codec: Codec | None
    crf: int | None
    preset: Preset | None
    stability: float | None
    repair: Sequence[FilmRepair] | str
    field_rate: bool
    keep_interlaced: bool
    hints: Sequence[Hint | str]
    no_resume: bool
    preview: float | None
    start: float | str | None
    stop: float | str | None
    separate_scenes: bool
    recolor: bool
    tone_map: bool
    rate: float | None
    side_by_side: bool
    keyframes: tuple[str, ...]
    recurring: bool
    shots: str | None
    colors: str | None
