from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from skimage import data

from vintage_colorizer.color import Floats
from vintage_colorizer.film.shots import ShotDetector
from vintage_colorizer.film.stability import Moment, calm, fade_extremes, reach_of, weights_of

pytestmark = pytest.mark.long

PICTURES = [
    data.camera(),
    data.moon(),
    *(cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in (data.astronaut(), data.chelsea())),
]
PICTURES += [cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in (data.coffee(), data.rocket(), data.cat()[:, ::-1])]
Grey = NDArray[np.uint8]


def panning(
    picture: Any, frames: int, speed: float, seed: int = 0, grain: float = 6, flicker: float = 0.05
) -> list[Grey]:
    """A worn shot: the camera moves over a picture."""
    rng = np.random.default_rng(seed)
    large = cv2.resize(picture, (480, 270)).astype(np.float32)
    shot = []
    for index in range(frames):
        left = int(abs(speed * index) % 150)
        view = large[20:200, left : left + 320] * (1 + flicker * rng.standard_normal())
        shot.append(np.clip(view + grain * rng.standard_normal(view.shape), 0, 255).astype(np.uint8))
    return shot


def shots_of(frames: Sequence[Grey]) -> list[int]:
    detector = ShotDetector()
    for frame in frames:
        detector.push(frame)
    return detector.finish()


def test_cuts_between_moving_shots() -> None:
    frames: list[Grey] = []
    starts = []
    for index in range(12):
        starts.append(len(frames))
        frames += panning(PICTURES[index % len(PICTURES)], 10 + 7 * (index % 4), 1.0 * (index % 5), index)
    found = shots_of(frames)
    right = set(found) & set(starts)
    assert 2 * len(right) / (len(found) + len(starts)) >= 0.95


def test_cuts_of_a_montage() -> None:
    """Short shots of many scenes, in each of which the camera moves, zooms and shakes."""
    rng = np.random.default_rng(4)
    frames: list[Grey] = []
    starts = []
    for index in range(60):
        starts.append(len(frames))
        picture = cv2.resize(PICTURES[index % len(PICTURES)], (960, 720), interpolation=cv2.INTER_AREA)
        size, growth = rng.uniform(240, 480), rng.uniform(-1.5, 1.5)
        place, speed = rng.uniform(0.2, 0.8, 2) * (960 - size, 720 - size), rng.uniform(-2, 2, 2)
        for n in range(int(rng.integers(6, 40))):
            side = int(size + growth * n)
            left, top = (int(v) for v in np.clip(place + speed * n + rng.normal(0, 1, 2), 0, (960 - side, 720 - side)))
            view = cv2.resize(picture[top : top + side, left : left + side], (160, 120), interpolation=cv2.INTER_AREA)
            frames.append(np.clip(view + rng.normal(0, 5, view.shape), 0, 255).astype(np.uint8))
    found = shots_of(frames)
    right = set(found) & set(starts)
    assert 2 * len(right) / (len(found) + len(starts)) >= 0.97


@pytest.mark.parametrize("length", [1, 2, 4])
def test_flashes_are_no_cuts(length: int) -> None:
    frames = panning(PICTURES[2], 40, 1.0)
    for index in range(20, 20 + length):
        frames[index] = np.clip(frames[index].astype(int) * 2 + 120, 0, 255).astype(np.uint8)
    assert shots_of(frames) == [0]


def test_flicker_and_a_fast_pan_are_no_cuts() -> None:
    assert shots_of(panning(PICTURES[0], 25, 6.0, flicker=0.25)) == [0]


def test_a_fade_through_black_counts_once() -> None:
    first, second = panning(PICTURES[2], 30, 0.5, flicker=0), panning(PICTURES[4], 30, 0.5, flicker=0)
    fading = [(frame * (1 - i / 10)).astype(np.uint8) for i, frame in enumerate(first[-10:])]
    rising = [(frame * (i / 10)).astype(np.uint8) for i, frame in enumerate(second[:10])]
    found = shots_of(first[:-10] + fading + rising + second[10:])
    assert len(found) == 2 and 28 <= found[1] <= 34


def test_short_and_empty_films() -> None:
    assert shots_of([]) == [0]
    assert shots_of(panning(PICTURES[0], 1, 0)) == [0]
    assert shots_of([np.zeros((4, 4), np.uint8)] * 3) == [0]


SIZE = (96, 128)


def moment(index: int, luma: Floats, chroma: Floats, starts: bool = False) -> Moment[int]:
    return Moment(index, luma, chroma, starts)


def scene(index: int, speed: float) -> Floats:
    """A textured picture that moves to the left."""
    large = cv2.resize(PICTURES[0], (400, 200)).astype(np.float32) / 255
    return np.ascontiguousarray(
        cv2.warpAffine(large, np.array([[1, 0, -speed * index - 20], [0, 1, -40]], np.float32), SIZE[::-1])
    )


def flat(u: float, v: float) -> Floats:
    return np.tile(np.array([u, v], np.float32), (SIZE[0] // 4, SIZE[1] // 4, 1))


def jittering(frames: int, speed: float) -> list[Moment[int]]:
    rng = np.random.default_rng(0)
    return [
        moment(i, scene(i, speed), flat(0.1, -0.05) + 0.05 * rng.standard_normal(2).astype(np.float32), i == 0)
        for i in range(frames)
    ]


@pytest.mark.parametrize("speed", [0.0, 1.5, 4.0])
def test_jitter_is_calmed_and_color_kept(speed: float) -> None:
    moments = jittering(40, speed)
    result = [chroma for _, chroma in calm(moments, 0.6)]
    before = np.mean([np.abs(b.chroma - a.chroma).mean() for a, b in pairwise(moments)])
    after = np.mean([np.abs(b - a).mean() for a, b in pairwise(result)])
    assert after < 0.2 * before
    assert np.mean(result) == pytest.approx(np.mean([one.chroma for one in moments]), abs=0.002)


def test_payloads_come_in_order_and_zero_changes_nothing() -> None:
    moments = jittering(30, 1.0)
    assert [payload for payload, _ in calm(moments, 0.6)] == list(range(30))
    assert all(np.array_equal(chroma, moments[i].chroma) for i, chroma in calm(moments, 0))


def test_nothing_crosses_a_cut() -> None:
    moments = [moment(i, scene(0, 0), flat(0.2, 0.0) if i < 15 else flat(-0.2, 0.1), i in (0, 15)) for i in range(30)]
    for index, chroma in calm(moments, 1.0):
        assert np.allclose(chroma, moments[index].chroma, atol=1e-6)


@pytest.mark.parametrize("speed", [0.0, 1.5])
def test_color_is_carried_to_frames_that_have_none(speed: float) -> None:
    moments = jittering(31, speed)
    for one in moments[1::2]:
        one.chroma, one.proposed = np.full_like(one.chroma, 9.0), False
    moments.append(moment(31, np.full_like(moments[0].luma, 0.5), moments[0].chroma * 0))  # unlike all, but proposed
    moments.append(replace(moments[5], payload=32, luma=1 - moments[5].luma))  # unlike all, and without a color
    result = [chroma for _, chroma in calm(moments, 0.6)]
    truth = np.array([0.1, -0.05])
    assert all(np.abs(chroma.mean(axis=(0, 1)) - truth).max() < 0.04 for chroma in result[:29])  # jitter is 0.05
    assert np.isfinite(result[32]).all() and np.abs(result[32]).max() < 0.3


@pytest.mark.parametrize(("stability", "reach"), [(0.1, 12), (0.8, 12), (0.9, 18), (1.0, 24)])
def test_a_frame_depends_only_on_those_in_reach(stability: float, reach: int) -> None:
    assert reach_of(stability) == len(weights_of(stability)) == reach
    moments = jittering(2 * reach + 11, 2.0)
    whole = dict(calm(moments, stability))
    middle = dict(calm(moments[5 : 5 + 2 * reach + 1], stability))
    assert np.array_equal(whole[5 + reach], middle[5 + reach])


def test_each_step_of_the_scale_calms_more() -> None:
    """A color that wanders back and forth within a second, under a slow pan."""
    moments = [
        moment(i, scene(i, 0.5), flat(0.1 + 0.05 * np.sin(i / 4), -0.05 + 0.03 * np.cos(i / 4)), i == 0)
        for i in range(80)
    ]
    wander = []
    for stability in (0, 0.1, 0.3, 0.6, 0.8, 0.9, 1.0):
        result = [chroma for _, chroma in calm(moments, stability)]
        wander.append(np.mean([np.abs(result[i] - result[i - 12]).mean() for i in range(30, 56)]))
    assert all(after < before for before, after in pairwise(wander)), wander
    assert wander[-1] < 0.75 * wander[-3] < 0.5 * wander[0]


def test_no_ghost_behind_a_moving_thing() -> None:
    moments = []
    for index in range(30):
        luma, chroma = scene(0, 0), flat(0.0, 0.0)
        left = 8 + 3 * index
        luma[30:70, left : left + 24] = 0.95 - 0.2 * ((np.arange(24) // 4) % 2)
        chroma[8:17, left // 4 : left // 4 + 6] = (0.0, 0.3)
        moments.append(moment(index, luma, chroma, index == 0))
    for index, chroma in calm(moments, 0.6):
        trail = chroma[8:17, : max(0, (8 + 3 * index) // 4 - 2)]
        assert trail.size == 0 or trail[..., 1].max() < 0.06  # a fifth of the thing's color


def test_equal_frames_stay_equal() -> None:
    still = moment(0, scene(0, 0), flat(0.1, 0.1), True)
    moments = [still, *(moment(i, still.luma, still.chroma) for i in range(1, 10))]
    assert all(np.allclose(chroma, still.chroma, atol=1e-6) for _, chroma in calm(moments, 0.6))


def test_extremes_fade_to_grey() -> None:
    luma = np.linspace(0, 1, 101, dtype=np.float32)[None].repeat(4, 0)
    faded = fade_extremes(np.full((4, 101, 2), 0.2, np.float32), luma)[0, :, 0]
    assert faded[0] == faded[-1] == 0
    assert np.all(faded[10:90] == np.float32(0.2))
