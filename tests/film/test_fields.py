"""Interlaced and telecined films, made by weaving pictures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import skimage.data
from numpy.typing import NDArray

from support.bad_films import frames_of, luma_of, make_film, plane_of
from vintage_colorizer.errors import OptionError
from vintage_colorizer.files import identity
from vintage_colorizer.film.fields import CombMeter, Interlacing, evenly, is_combed, is_telecined
from vintage_colorizer.film.plan import LATER_OPTIONS, film_fingerprint, threads_of
from vintage_colorizer.film.reader import FrameReader
from vintage_colorizer.film.scan import scan
from vintage_colorizer.options import FilmOptions, FilmSettings

Color = Callable[..., tuple[Path, Any]]
Light = NDArray[np.float64]
SIZE = (96, 128)


def moment(index: int, height: int, width: int) -> Light:
    """A picture that moves two pixels from one index to the next."""
    chance = np.random.default_rng(0)
    coarse = chance.random((height // 8 + 1, (width + 2 * 240) // 8 + 1))
    wide = cv2.resize(coarse, (width + 2 * 240, height), interpolation=cv2.INTER_CUBIC).clip(0, 1)
    return np.asarray(wide[:, 2 * (index % 240) :][:, :width]).copy()


def woven(top_first: bool = True) -> Callable[[int, int, int], Light]:
    """Frames of two fields, a picture each."""

    def pattern(index: int, height: int, width: int) -> Light:
        light = moment(2 * index, height, width)
        later = moment(2 * index + 1, height, width)
        rows = slice(int(top_first), None, 2)
        light[rows] = later[rows]
        return light

    return pattern


def pulled_down(index: int, height: int, width: int) -> Light:
    """Four pictures on five frames, as in a 3:2 pulldown: the third and fourth are woven."""
    cycle, place = divmod(index, 5)
    top, bottom = [(0, 0), (1, 1), (1, 2), (2, 3), (3, 3)][place]
    light = moment(2 * (4 * cycle + top), height, width)
    light[1::2] = moment(2 * (4 * cycle + bottom), height, width)[1::2]
    return light


def as_luma(light: Light) -> NDArray[np.uint8]:
    return np.asarray(16 + np.clip(light, 0, 1) * 219).astype(np.uint8)


@pytest.mark.parametrize("rows", [64, 96, 577])
def test_a_comb_is_seen(rows: int) -> None:
    assert is_combed(as_luma(woven()(3, rows, 128)))
    assert not is_combed(as_luma(moment(3, rows, 128)))


def test_a_comb_in_a_texture_is_seen() -> None:
    chance = np.random.default_rng(1)
    wide = cv2.resize(chance.random((24, 120)), (480, 96)) * 80 + chance.normal(90, 16, (96, 480))
    frame = wide[:, :240].copy()
    assert not is_combed(frame.clip(0, 255).astype(np.uint8))
    frame[1::2] = wide[1::2, 4:244]
    assert is_combed(frame.clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("sharpness", [0.0, 0.5, 1.5])
def test_grain_is_no_comb(sharpness: float) -> None:
    grain = np.random.default_rng(0).normal(128, 30, (480, 640)).astype(np.float32)
    sharp = grain + sharpness * (grain - cv2.GaussianBlur(grain, (0, 0), 1))
    assert not is_combed(sharp.clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize(
    "name", ["astronaut", "coffee", "chelsea", "brick", "grass", "gravel", "page", "text", "coins"]
)
def test_photos_are_not_combed(name: str) -> None:
    photo = getattr(skimage.data, name)()
    grey = photo if photo.ndim == 2 else cv2.cvtColor(photo, cv2.COLOR_RGB2GRAY)
    assert not is_combed(grey)
    assert not is_combed(np.ascontiguousarray(grey.T))
    moved = grey.copy()
    moved[1::2, :-6] = grey[1::2, 6:]
    assert is_combed(moved)


def test_tiny_pictures_are_not_combed() -> None:
    assert not is_combed(np.zeros((3, 3), np.uint8))


def verdict(pattern: Callable[[int, int, int], Light], count: int = 50, **settings: Any) -> Interlacing:
    meter = CombMeter()
    for index in range(count):
        meter.push(as_luma(pattern(index, *SIZE)), 8)
    given = {"flagged": False, "rate": 25.0, "keep": False, "field_rate": False, **settings}
    return meter.verdict(given.pop("flagged"), given.pop("rate"), **given)


@pytest.mark.parametrize("top_first", [True, False])
def test_the_order_of_fields_is_found(top_first: bool) -> None:
    assert verdict(woven(top_first)) == Interlacing("frames", top_first)
    assert verdict(woven(top_first), field_rate=True) == Interlacing("fields", top_first)
    assert verdict(woven(top_first), keep=True, field_rate=True) == Interlacing("keep", top_first)


def test_a_telecine_is_found() -> None:
    assert verdict(pulled_down, rate=29.97).mode == "film"
    assert verdict(pulled_down, rate=25.0).mode == "frames"
    assert verdict(woven(), rate=29.97).mode == "frames"
    assert not is_telecined([True] * 10)


@pytest.mark.parametrize("flagged", [True, False])
def test_the_picture_decides_and_not_the_flag(flagged: bool) -> None:
    assert verdict(moment, flagged=flagged).mode == "whole"
    assert verdict(woven(), flagged=flagged).mode == "frames"


def test_a_little_movement_is_enough_if_the_film_says_so() -> None:
    def still(index: int, height: int, width: int) -> Light:
        return woven()(index if index % 20 == 0 else 0, height, width) if index % 20 < 1 else moment(0, height, width)

    assert verdict(still, count=100, flagged=True).mode == "frames"
    assert verdict(still, count=100).mode == "whole"


def test_times_are_spread_within_cycles() -> None:
    assert evenly([0, 10, 20, 40, 50, 60, 70, 90, 100]) == [0, 12, 25, 38, 50, 62, 75, 88, 100]


def interlaced(path: Path, top_first: bool = True, **settings: Any) -> Path:
    given = {"size": SIZE, "frames": 20, "pattern": woven(top_first), **settings}
    return make_film(path, **given)


def times_of(path: Path) -> list[float]:
    return [float(frame.time or 0.0) for frame in frames_of(path)]


@pytest.mark.long
@pytest.mark.parametrize("top_first", [True, False])
def test_fields_become_frames(color: Color, tmp_path: Path, top_first: bool) -> None:
    film = interlaced(tmp_path / "tape.mkv", top_first)
    target, result = color(film)
    assert result.frames == 20
    assert times_of(target) == times_of(film)
    assert any("interlaced" in note for note in result.notes)
    for index, luma in enumerate(luma_of(target)):
        assert not is_combed(luma)
        first = as_luma(moment(2 * index, *SIZE))
        assert np.abs(luma.astype(int) - first)[8:-8, 8:-8].mean() < 4


@pytest.mark.long
def test_each_field_can_become_a_frame(color: Color, tmp_path: Path) -> None:
    target, result = color(interlaced(tmp_path / "tape.mkv", sounds=["flac"]), field_rate=True)
    assert result.frames == 40
    assert [later - earlier for earlier, later in pairwise(times_of(target))] == pytest.approx([0.02] * 39, abs=0.0011)
    for index, luma in enumerate(luma_of(target)):
        assert np.abs(luma.astype(int) - as_luma(moment(index, *SIZE)))[8:-8, 8:-8].mean() < 4


@pytest.mark.long
@pytest.mark.parametrize("size", [(96, 128), (98, 128), (97, 127)])
def test_kept_fields_are_colored_apart(color: Color, tmp_path: Path, size: tuple[int, int]) -> None:
    film = interlaced(tmp_path / "tape.mkv", size=size)
    target, result = color(film, keep_interlaced=True)
    assert result.frames == 20
    assert all(np.array_equal(one, other) for one, other in zip(luma_of(film), luma_of(target), strict=True))
    chroma = [plane_of(frame, 1) for frame in frames_of(target)]
    assert max(np.ptp(plane.astype(int)) for plane in chroma) > 3


@pytest.mark.long
def test_kept_fields_have_the_colors_of_their_moments(color: Color, tmp_path: Path) -> None:
    """A light that is on in one field only colors that field alone."""

    def blinking(index: int, height: int, width: int) -> Light:
        light = moment(0, height, width)
        light[1::2] = moment(60 + index % 2, height, width)[1::2]
        return light

    film = make_film(tmp_path / "tape.mkv", size=SIZE, frames=20, pattern=blinking)
    target, _ = color(film, keep_interlaced=True, stability=0)
    plane = plane_of(frames_of(target)[10], 1).astype(int)
    assert np.abs(plane[0::2] - plane[1::2]).mean() > np.abs(plane[0:-2:2] - plane[2::2]).mean()


@pytest.mark.long
def test_kept_fields_are_flagged(color: Color, tmp_path: Path) -> None:
    film = interlaced(tmp_path / "tape.mkv")
    target, _ = color(film, name="out.mp4", keep_interlaced=True)
    assert all(frame.interlaced_frame for frame in frames_of(target))
    with pytest.raises(OptionError, match="h265 cannot hold interlaced"):
        color(film, name="other.mkv", codec="h265", keep_interlaced=True)


@pytest.mark.long
def test_a_telecined_film_gets_its_own_frames_back(color: Color, tmp_path: Path) -> None:
    film = make_film(tmp_path / "ntsc.mkv", size=SIZE, frames=60, rate=30, pattern=pulled_down, codec="ffv1")
    target, result = color(film)
    assert result.frames == 48
    assert any("telecine" in note for note in result.notes)
    assert [later - earlier for earlier, later in pairwise(times_of(target))] == pytest.approx([1 / 24] * 47, abs=0.009)
    errors = [
        np.abs(luma.astype(int) - as_luma(moment(2 * index, *SIZE)))[:, 8:-8].mean()
        for index, luma in enumerate(luma_of(target))
    ]
    assert np.median(errors) < 0.5
    assert sum(error > 4 for error in errors) <= 2


@pytest.mark.long
@pytest.mark.parametrize("mode", ["frames", "fields", "film"])
def test_reading_from_the_middle_gives_the_same_frames(tmp_path: Path, mode: str) -> None:
    pattern, rate = (pulled_down, 30) if mode == "film" else (woven(), 25)
    film = make_film(
        tmp_path / "tape.mkv", codec="libx264", size=SIZE, frames=100, rate=rate, pattern=pattern, options={"g": "12"}
    )
    found = scan(film, 1, None, lambda *count: None, field_rate=mode == "fields")
    assert found.interlacing.mode == mode
    count = len(found.starts)
    whole = [luma.copy() for _, luma in FrameReader(found, 1).read(0, count)]
    assert len(whole) == count == {"frames": 100, "fields": 200, "film": 80}[mode]
    for start in (5, count // 2, count - 3):
        again = [luma.copy() for _, luma in FrameReader(replace(found, signatures=b""), 1).read(start, count)]
        assert all(np.array_equal(one, other) for one, other in zip(again, whole[start:], strict=True))


@pytest.mark.long
def test_a_film_that_only_says_it_is_interlaced_is_left_alone(color: Color, tmp_path: Path) -> None:
    film = make_film(tmp_path / "in.mkv", codec="libx264", options={"x264-params": "tff=1"}, pattern=moment)
    assert all(frame.interlaced_frame for frame in frames_of(film))
    target, result = color(film)
    assert all(np.array_equal(one, other) for one, other in zip(luma_of(film), luma_of(target), strict=True))
    assert not any("interlaced" in note for note in result.notes)


@pytest.mark.long
def test_sizes_that_change_do_not_stop_the_filter(color: Color, tmp_path: Path) -> None:
    film = tmp_path / "tape.mpg"
    one = interlaced(tmp_path / "one.mpg", codec="mpeg2video", frames=15)
    other = interlaced(tmp_path / "other.mpg", codec="mpeg2video", frames=15, size=(80, 112))
    film.write_bytes(one.read_bytes() + other.read_bytes())
    _, result = color(film)
    assert result.frames == len(frames_of(film)) >= 29
    with av.open(str(film)) as container:
        assert container.streams.video[0].average_rate == Fraction(25)


def test_begun_films_of_earlier_versions_go_on(tmp_path: Path) -> None:
    """The options that came later change the fingerprint only where they are chosen."""
    film = make_film(tmp_path / "film.mkv")
    plain = film_fingerprint(film, FilmOptions(), "network", ".mkv")
    assert plain == film_fingerprint(film, FilmOptions(field_rate=False, keep_interlaced=False), "network", ".mkv")
    assert plain != film_fingerprint(film, FilmOptions(field_rate=True), "network", ".mkv")
    assert plain != film_fingerprint(film, FilmOptions(keep_interlaced=True), "network", ".mkv")
    shaping = FilmOptions().model_dump(include=set(FilmSettings.model_fields))
    before = {name: value for name, value in shaping.items() if name not in ("no_resume", *LATER_OPTIONS)}
    parts = [identity(film), "network", threads_of(FilmOptions()), ".mkv", before]
    assert plain == hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
