from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.bad_films import make_film
from vintage_colorizer.film.timeline import Clock, in_order, shift_of

TIMES = st.lists(st.none() | st.integers(-(10**6), 10**6), min_size=1, max_size=60)


@given(TIMES, st.integers(1, 4000))
def test_times_always_increase(times: list[int | None], usual: int) -> None:
    placed, made_up = in_order(times, usual)
    assert len(placed) == len(times)
    assert all(one < other for one, other in pairwise(placed))
    assert 0 <= made_up < len(times) or made_up == 0


@given(st.lists(st.integers(-(10**6), 10**6), min_size=1, max_size=60, unique=True))
def test_times_in_order_are_kept(times: list[int]) -> None:
    assert in_order(sorted(times), 40) == (sorted(times), 0)


@given(st.permutations(range(0, 400, 40)))
def test_times_in_the_order_of_decoding_are_sorted(times: list[int]) -> None:
    assert in_order(times, 40) == (list(range(0, 400, 40)), 0)


@pytest.mark.parametrize(
    ("times", "expected", "made_up"),
    [
        ([None, None, None], [0, 40, 80], 0),
        ([0, None, 80], [0, 40, 80], 0),
        ([0, 40, 40, 120], [0, 40, 80, 120], 1),
        ([*range(0, 800, 40), 5, *range(840, 1600, 40)], list(range(0, 1600, 40)), 1),
        ([10**6, *range(0, 800, 40)], list(range(-40, 800, 40)), 1),
        ([*range(0, 800, 40), -(10**6)], list(range(0, 840, 40)), 1),
    ],
)
def test_wrong_times_are_spread_between_their_neighbors(
    times: list[int | None], expected: list[int], made_up: int
) -> None:
    assert in_order(times, 40) == (expected, made_up)


@pytest.mark.parametrize(
    ("film", "first", "broadcast", "shift"),
    [
        (0.0, 0.0, False, 0.0),
        (0.0, -0.02, False, 0.0),  # what an encoder of sound puts before the beginning
        (0.0, -1.0, False, 1.0),
        (-0.04, -0.04, False, 0.04),
        (1.4, 1.4, True, 0.0),  # where transport streams usually begin
        (40000.0, 39999.5, True, -39999.5),  # a time of the day
        (40000.0, 39999.5, False, 0.0),
    ],
)
def test_nothing_begins_before_zero(film: float, first: float, broadcast: bool, shift: float) -> None:
    assert shift_of(film, first, broadcast) == pytest.approx(shift)


def clock_of(path: Path) -> tuple[Clock, set[int]]:
    with av.open(str(path)) as container:
        clock = Clock(container)
        parts = {clock.part(packet) for packet in container.demux(clock.streams) if packet.size}
        return clock, parts


@pytest.mark.parametrize("name", ["tape.vob", "tape.ts"])
def test_a_joined_recording_has_a_clock_for_each_part(tmp_path: Path, name: str) -> None:
    parts = [
        make_film(tmp_path / f"{seconds}{name}", codec="mpeg2video", frames=25 * seconds, sounds=["mp2"])
        for seconds in (2, 1, 3)
    ]
    joined = tmp_path / name
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    clock, seen = clock_of(joined)
    assert seen == {0, 1, 2}
    assert clock.offsets() == pytest.approx([0.0, 2.0, 3.0], abs=0.1)


def test_a_still_picture_is_no_leap(tmp_path: Path) -> None:
    times = [*range(0, 400, 40), *range(60_000, 60_400, 40)]
    _, seen = clock_of(make_film(tmp_path / "slides.mkv", frames=20, times=times))
    assert seen == {0}


def test_a_clock_without_packets_has_no_beginning(tmp_path: Path) -> None:
    with av.open(str(make_film(tmp_path / "film.mkv"))) as container:
        clock = Clock(container)
        assert clock.first() == float("inf")
        assert clock.offsets() == [0.0]
        assert container.streams.video[0].time_base == Fraction(1, 1000)
