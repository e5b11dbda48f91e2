from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from skimage import data

from support.bad_films import grey_film, luma_of
from vintage_colorizer import color
from vintage_colorizer.errors import OptionError
from vintage_colorizer.film.planes import Coding
from vintage_colorizer.film.repairing import LARGEST_GAIN, even_gains, evened, without_dust
from vintage_colorizer.options import FILM_REPAIRS, FilmOptions

FULL = Coding(1, True, 8)


def pan(count: int, step: int = 2) -> list[np.ndarray]:
    photo = np.rint(color.luma(np.asarray(data.astronaut())) * 255).astype(np.uint8)
    return [np.ascontiguousarray(photo[100:280, 60 + step * n : 300 + step * n]) for n in range(count)]


def dusty(frames: list[np.ndarray], seed: int = 0) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The frames with specks, each on one frame only, and where they are."""
    random = np.random.default_rng(seed)
    found, masks = [], []
    for frame in frames:
        mask = np.zeros(frame.shape, np.uint8)
        for _ in range(6):
            at = random.integers(10, 170, 2).tolist()
            cv2.circle(mask, at, int(random.integers(1, 5)), 255, -1)
        found.append(np.where(mask > 0, 250, frame).astype(np.uint8))
        masks.append(mask > 0)
    return found, masks


def test_dust_is_filled_and_the_rest_stays() -> None:
    clean = pan(9)
    found, masks = dusty(clean)
    cleaned = [luma for _, luma in without_dust(enumerate(found), [0], FULL)]
    assert len(cleaned) == 9
    assert np.array_equal(cleaned[0], found[0]) and np.array_equal(cleaned[8], found[8])
    for number in range(1, 8):
        mask = masks[number] & (np.abs(found[number].astype(int) - clean[number]) > 40)
        before, after = (np.abs(one[number].astype(int) - clean[number])[mask].mean() for one in (found, cleaned))
        assert after < before / 3
        near = cv2.dilate(masks[number].astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        assert (cleaned[number] != found[number])[~near].mean() < 0.01
        errors = [np.abs(one[number].astype(float) - clean[number]).mean() for one in (found, cleaned)]
        assert errors[1] < errors[0] / 2


def test_a_film_without_dust_stays_as_it_is() -> None:
    for step in (0, 2, 6):
        frames = pan(6, step)
        cleaned = [luma for _, luma in without_dust(enumerate(frames), [0], FULL)]
        assert max((one != other).mean() for one, other in zip(cleaned, frames, strict=True)) < 0.003


def test_nothing_is_taken_from_across_a_cut() -> None:
    frames = [np.full((64, 64), 40, np.uint8)] * 3 + [np.full((64, 64), 200, np.uint8)] * 3
    result = [luma for _, luma in without_dust(enumerate(frames), [0, 3], FULL)]
    assert all(np.array_equal(one, other) for one, other in zip(result, frames, strict=True))


@pytest.mark.parametrize("count", [0, 1, 2])
def test_short_films_go_through(count: int) -> None:
    frames = pan(count)
    assert len(list(without_dust(enumerate(frames), [0], FULL))) == count


def test_flicker_is_evened_inside_shots() -> None:
    random = np.random.default_rng(0)
    flicker = 1 + random.normal(0, 0.08, 60)
    levels = [0.3 * one for one in flicker[:30]] + [0.7 * one for one in flicker[30:]]
    gains = even_gains(levels, [0, 30])
    result = np.array(levels) * gains
    for shot, level in ((slice(0, 30), 0.3), (slice(30, 60), 0.7)):
        assert result[shot].std() < np.array(levels)[shot].std() / 2
        assert result[shot].mean() == pytest.approx(level, rel=0.05)
    assert max(even_gains([0.001, 1.0, 0.001], [0])) <= LARGEST_GAIN


def test_an_even_film_has_gains_of_1() -> None:
    assert even_gains([0.4] * 20, [0, 7]) == [1.0] * 20


@pytest.mark.parametrize("coding", [FULL, Coding(1, False, 8), Coding(1, False, 10)])
def test_luma_is_scaled_from_black(coding: Coding) -> None:
    black, white = coding.luma_range
    plane = np.array([[black, (black + white) // 2, white]], coding.dtype)
    assert np.array_equal(evened(plane, 1.0, coding), plane)
    darker = evened(plane, 0.8, coding)
    assert darker.dtype == plane.dtype and darker[0, 0] == black
    assert darker[0, 2] == pytest.approx(black + 0.8 * (white - black), abs=1)
    assert evened(plane, 1.3, coding).max() <= white


@pytest.mark.long
def test_a_film_is_repaired_the_same_in_whole_and_in_part(color: Any, tmp_path: Path) -> None:
    clean = pan(24)
    found, _ = dusty([(frame * (0.85 + 0.15 * (n % 2))).astype(np.uint8) for n, frame in enumerate(clean)])
    grey_film(tmp_path / "in.mkv", found)
    target, result = color(tmp_path / "in.mkv", repair="all")
    assert any("repaired: dust, scratches, flicker" in note for note in result.notes)
    whole = luma_of(target)
    means = np.array([frame.mean() for frame in whole])
    before = np.array([frame.mean() for frame in found])
    assert np.abs(np.diff(means)).mean() < np.abs(np.diff(before)).mean() / 2
    part, _ = color(tmp_path / "in.mkv", "part.mkv", repair="all", start=1)
    assert all(np.array_equal(one, other) for one, other in zip(whole[10:], luma_of(part), strict=True))
    same, _ = color(tmp_path / "in.mkv", "same.mkv")
    assert all(np.array_equal(one, other) for one, other in zip(found, luma_of(same), strict=True))


def test_repairs_of_films_are_chosen_by_name() -> None:
    assert FilmOptions.of(repair="all").repair == FILM_REPAIRS == ("dust", "scratches", "flicker")
    with pytest.raises(OptionError, match="repair cannot be"):
        FilmOptions.of(repair="fade")
