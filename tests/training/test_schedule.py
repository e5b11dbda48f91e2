from __future__ import annotations

import math

import pytest

from vintage_colorizer.errors import OptionError
from vintage_colorizer.training.recipe import load_recipe
from vintage_colorizer.training.schedule import next_turn, one_cycle, plan, spread_rates


def test_one_cycle_climbs_and_falls() -> None:
    assert list(one_cycle(0, 100, 0.3)) == [pytest.approx(0.04), pytest.approx(0.95)]
    assert list(one_cycle(15, 100, 0.3)) == [pytest.approx(0.52), pytest.approx(0.90)]
    assert list(one_cycle(30, 100, 0.3)) == [pytest.approx(1.0), pytest.approx(0.85)]
    assert list(one_cycle(65, 100, 0.3)) == [pytest.approx(0.5, abs=1e-3), pytest.approx(0.90)]
    assert one_cycle(99, 100, 0.3)[0] < 1e-3


def test_a_tiny_rise_is_a_single_low_step() -> None:
    assert list(one_cycle(0, 50, 1e-8)) == [pytest.approx(0.04), pytest.approx(0.95)]
    assert list(one_cycle(1, 50, 1e-8)) == [pytest.approx(1.0), pytest.approx(0.85)]
    assert one_cycle(26, 50, 1e-8)[0] == pytest.approx((1 + math.cos(math.pi * 25 / 50)) / 2, abs=1e-5)


def test_rates_are_spread_over_the_groups() -> None:
    assert spread_rates((1e-4, 1e-4, 1e-3)) == [1e-4, 1e-4, 1e-3]
    assert spread_rates((3e-7, 3e-4)) == [3e-7, pytest.approx(9.4868e-6, rel=1e-4), 3e-4]
    with pytest.raises(OptionError, match="not 1"):
        spread_rates((1e-3,))


def test_the_switch_waits_for_the_critic_and_gives_the_generator_one_step() -> None:
    turn, turns = "critic", []
    for loss in (0.9, 0.7, 0.64, 0.1, 0.66, 0.65, 0.5):
        turns.append(turn)
        turn = next_turn(turn, loss, 0.65)
    assert turns == ["critic", "critic", "critic", "generator", "critic", "critic", "critic"]
    assert turn == "generator"


def test_the_plan_of_the_originals_artistic() -> None:
    stages = [stage.name for stage in plan(load_recipe("artistic"))]
    assert stages[:8] == [
        *("pretrain-1", "pretrain-2", "pretrain-3", "pretrain-4"),
        *("generate-1", "critic-1.1", "critic-1.2", "gan-1"),
    ]
    assert stages[8:11] == ["generate-2", "critic-2.2", "gan-2"]
    assert stages[-1] == "gan-6"
    assert [stage.kind for stage in plan(load_recipe("compact-stable"))] == ["pretrain", "pretrain"]
