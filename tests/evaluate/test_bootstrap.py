"""Intervals hold what they should hold, as often as they say."""

from __future__ import annotations

import numpy as np
import pytest

from vintage_colorizer.evaluate.bootstrap import Bootstrap


def test_a_mean_and_its_interval() -> None:
    values = np.random.default_rng(1).normal(10, 2, 400)
    found = Bootstrap(400, 2000, seed=0).ratio(values, np.ones(400))
    assert found is not None
    assert found.value == pytest.approx(values.mean())
    half = 1.96 * values.std() / 20  # of a mean of 400
    assert found.low == pytest.approx(values.mean() - half, abs=0.04)
    assert found.high == pytest.approx(values.mean() + half, abs=0.04)


def test_a_share_is_of_sums_not_of_photos() -> None:
    found = Bootstrap(3, 500, seed=0).ratio(np.array([1.0, 0, 0]), np.array([1.0, 99, 0]))
    assert found is not None
    assert found.value == 0.01
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_nothing_to_average() -> None:
    assert Bootstrap(3, 50, seed=0).ratio(np.zeros(3), np.zeros(3)) is None


def test_the_same_seed_gives_the_same_interval() -> None:
    values = np.arange(20.0)
    one, same, other = (Bootstrap(20, 100, seed).ratio(values, np.ones(20)) for seed in (1, 1, 2))
    assert one == same != other


def test_pairs_leave_a_photo_drawn_twice_out_of_its_own_company() -> None:
    terms = np.full((30, 30), 5.0)
    np.fill_diagonal(terms, 0)
    found = Bootstrap(30, 200, seed=0).pairs(terms)
    assert (found.value, found.low, found.high) == pytest.approx((5, 5, 5))


def test_intervals_cover_the_truth() -> None:
    rng = np.random.default_rng(3)
    inside = 0
    for seed in range(200):
        found = Bootstrap(60, 300, seed).ratio(rng.normal(1, 1, 60), np.ones(60))
        assert found is not None
        inside += found.low <= 1 <= found.high
    assert 0.88 <= inside / 200 <= 0.99


def test_a_curve_is_read_off_between_its_points() -> None:
    draws = Bootstrap(4, 200, seed=1)
    ones = np.ones(4)
    x = [(0.8 * ones, ones), (0.2 * ones, ones), (0.5 * ones, ones)]  # in any order
    y = [(np.array([1.0, 1.2, 0.8, 1.0]), ones), (3 * ones, ones), (2 * ones, ones)]
    found = draws.read_off(x, y, 0.65)
    assert found is not None and found.value == pytest.approx(1.5)
    assert found.low < 1.5 < found.high
    assert draws.read_off(x, y, 0.9) is None and draws.read_off(x, y, 0.1) is None
