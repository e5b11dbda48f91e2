from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from skimage import data

from support.bad_films import grey_film, luma_of
from vintage_colorizer import color
from vintage_colorizer.film.planes import Coding
from vintage_colorizer.film.scratches import Line, LineMeter, lines_in, without_lines

FULL = Coding(1, True, 8)
SCENES = ["astronaut", "coffee", "chelsea", "rocket"]
PLACES = (90, 250)


def pan(scene: str, count: int) -> list[np.ndarray]:
    photo = color.luma(np.asarray(getattr(data, scene)()))
    large = cv2.resize(np.rint(photo * 255).astype(np.uint8), (480, 390), interpolation=cv2.INTER_AREA)
    return [np.ascontiguousarray(large[n // 2 : n // 2 + 270, n : n + 360]) for n in range(count)]


def scratched(frames: list[np.ndarray]) -> list[np.ndarray]:
    """A bright and a dark line, which wander a little, under grain."""
    random = np.random.default_rng(0)
    found = []
    for number, frame in enumerate(frames):
        light = frame + random.normal(0, 2, frame.shape)
        for place, strength in zip(PLACES, (60, -45), strict=True):
            middle = place + 1.5 * np.sin(number / 9 + place) + np.linspace(0, 0.8, len(frame))
            across = np.arange(frame.shape[1]) - middle[:, None]
            light += strength * np.exp(-(across**2) / 2) * random.normal(1, 0.1, (len(frame), 1))
        found.append(np.clip(light, 0, 255).astype(np.uint8))
    return found


def lines_of(frames: list[np.ndarray], shots: list[int] | None = None) -> tuple[tuple[Line, ...], ...]:
    meter = LineMeter()
    for frame in frames:
        meter.push(frame, FULL)
    return meter.finish(shots or [0])


@pytest.mark.parametrize("scene", SCENES)
def test_lines_are_found_and_filled(scene: str) -> None:
    clean = pan(scene, 24)
    worn = scratched(clean)
    found = lines_of(worn)
    places = [[(line.left + line.right) / 2 for line in lines] for lines in found]
    assert all(min(abs(one - place) for place in PLACES) <= 4 for of_frame in places for one in of_frame)
    for place in PLACES:
        assert np.mean([any(abs(one - place) <= 4 for one in of_frame) for of_frame in places]) > 0.7
    filled = without_lines(worn[12], found[12])
    columns = [place + near for place in PLACES for near in (-1, 0, 1)]
    assert filled.dtype == worn[12].dtype
    before, after = (np.abs(one.astype(float) - clean[12])[:, columns].mean() for one in (worn[12], filled))
    assert after < 0.7 * before
    away = np.ones(360, bool)
    for place in PLACES:
        away[place - 9 : place + 9] = False
    assert np.array_equal(filled[:, away], worn[12][:, away])


@pytest.mark.parametrize("scene", SCENES)
@pytest.mark.parametrize("still", [False, True])
def test_what_is_in_the_picture_is_no_scratch(scene: str, still: bool) -> None:
    frames = pan(scene, 20)
    assert not any(lines_of([frames[0]] * 20 if still else frames))


def test_a_line_of_few_frames_stays_and_so_does_a_pole() -> None:
    clean = pan("coffee", 30)
    brief = clean[:14] + scratched(clean[14:17]) + clean[17:]
    assert not any(lines_of(brief))
    pole = np.full((270, 360), 90, np.uint8)
    pole[60:, 100:103] = 200  # not from the top
    pole[:, 200:230] = 150  # wide
    assert not any(lines_of([pole] * 20))


def test_a_line_does_not_go_on_behind_a_cut() -> None:
    worn = scratched(pan("coffee", 12)) + pan("chelsea", 12)
    lines = lines_of(worn, [0, 12])
    assert all(lines[2:10]) and not any(lines[12:])


@pytest.mark.parametrize("shape", [(4, 4), (30, 12), (1, 300)])
def test_tiny_frames_have_none(shape: tuple[int, int]) -> None:
    frame = np.zeros(shape, np.uint8)
    assert lines_in(frame, FULL) == [] and without_lines(frame, []) is frame


def test_lines_at_the_border_and_deep_planes_are_filled() -> None:
    plane = np.full((40, 60), 700, np.uint16)
    filled = without_lines(plane, [Line(-1, 3), Line(57, 61), Line(20, 24)])
    assert filled.dtype == np.uint16 and np.array_equal(filled, plane)


@pytest.mark.long
def test_a_film_is_repaired_the_same_in_whole_and_in_part(color: Any, tmp_path: Path) -> None:
    worn = scratched(pan("astronaut", 24))
    source = grey_film(tmp_path / "in.mkv", worn)
    target, result = color(source, repair="scratches")
    assert any("repaired: scratches" in note for note in result.notes)
    whole = luma_of(target)
    assert any(not np.array_equal(one, other) for one, other in zip(worn, whole, strict=True))
    part, _ = color(source, "part.mkv", repair="scratches", start=1)
    assert all(np.array_equal(one, other) for one, other in zip(whole[10:], luma_of(part), strict=True))
