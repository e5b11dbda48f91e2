from __future__ import annotations

import dataclasses
import re
from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from support.networks import tiny_network
from vintage_colorizer import Colorizer, color
from vintage_colorizer.errors import OptionError
from vintage_colorizer.networks.suggestions import Likely, Place

BINS = np.array([[0, 0], [40, 0], [-40, 0], [0, 60], [2, 2]], np.float32)


def likely(*shares: float, luma: float = 0.5) -> Likely:
    """The same posterior all over a picture."""
    posterior = np.tile(np.array(shares, np.float32)[:, None, None], (1, 24, 32))
    return Likely(posterior, np.full((24, 32), luma, np.float32), BINS)


def test_modes_are_suggested_with_their_shares() -> None:
    found = likely(0.3, 0.25, 0.2, 0.01, 0.24).at(0.5, 0.5).colors
    assert [one.share for one in found] == pytest.approx([0.54, 0.25, 0.2], abs=1e-3)
    for one in found:
        assert re.fullmatch("#[0-9a-f]{6}", one.color)
        pixel = np.frombuffer(bytes.fromhex(one.color[1:]), np.uint8).reshape(1, 1, 3)
        assert color.luma(pixel)[0, 0] == pytest.approx(0.5, abs=0.006)


def test_black_has_one_color() -> None:
    assert [one.color for one in likely(0.4, 0.3, 0.3, 0, 0, luma=0.0).at(0, 0).colors] == ["#000000"]


@pytest.mark.parametrize(("shares", "entropy"), [((1, 0, 0, 0, 0), 0.0), ((0.2, 0.2, 0.2, 0.2, 0.2), 1.0)])
def test_entropy_is_from_none_to_full(shares: tuple[float, ...], entropy: float) -> None:
    np.testing.assert_allclose(likely(*shares).entropy, entropy, atol=1e-5)


def test_the_more_entropy_the_less_certainty() -> None:
    known = [likely(1 - 4 * rest, *[rest] * 4).certainty[0, 0] for rest in np.linspace(0, 0.2, 9)]
    assert known == sorted(known, reverse=True) and 0 <= known[-1] < 0.5 < known[0] <= 1


def test_the_unsure_thing_comes_first() -> None:
    sure = likely(1, 0, 0, 0, 0)
    sure.posterior[:, 8:16, 20:28] = 0.2
    first, *others = sure.unsure()
    assert abs(first.x - 24 / 32) < 0.1 and abs(first.y - 12 / 24) < 0.15
    assert all(np.hypot(one.x - first.x, one.y - first.y) > 0.1 for one in others)


@pytest.mark.parametrize(("x", "y", "words"), [(1.5, 0.5, "outside"), (0.5, None, "both x and y"), (None, 0, "both")])
def test_wrong_places_are_named(x: float | None, y: float | None, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        likely(1, 0, 0, 0, 0).places(x, y)


def test_a_network_that_does_not_say(tmp_path: Path, grey: NDArray[np.uint8]) -> None:
    mute = Colorizer(weights=str(tiny_network(tmp_path / "mute.onnx")), threads=1)
    with pytest.raises(OptionError, match="does not say"):
        mute.suggest(grey)


def shown(place: Place) -> NDArray[np.float32]:
    """The colors of a place in Lab."""
    colors = np.array([list(bytes.fromhex(one.color[1:])) for one in place.colors], np.float32)
    return np.asarray(cv2.cvtColor(colors[None] / 255, cv2.COLOR_RGB2LAB)[0])


def test_a_photo_gets_suggestions_that_differ(colorizer: Colorizer, grey: NDArray[np.uint8]) -> None:
    (place,) = colorizer.suggest(grey, 0.4, 0.9)
    shares = [one.share for one in place.colors]
    assert 2 <= len(shares) <= 5 and shares == sorted(shares, reverse=True) and sum(shares) <= 1 + 1e-6
    assert all(np.linalg.norm(one - other) > 6 for one, other in combinations(shown(place), 2))


def test_places_where_a_hint_helps_lie_apart(colorizer: Colorizer, grey: NDArray[np.uint8]) -> None:
    places = colorizer.suggest(grey)
    assert 3 <= len(places) <= 8
    assert all(np.hypot(one.x - other.x, one.y - other.y) > 0.1 for one, other in combinations(places, 2))


def test_certainty_is_a_map_of_the_photo(colorizer: Colorizer, grey: NDArray[np.uint8]) -> None:
    sure = colorizer.certainty(grey)
    assert sure.ndim == 2 and abs(sure.shape[0] / sure.shape[1] - grey.shape[0] / grey.shape[1]) < 0.1
    assert 0 <= sure.min() < sure.max() <= 1
    assert not np.array_equal(colorizer.certainty(grey, hints=["0.4,0.9=#204080"]), sure)
    result = colorizer.photo(grey)
    assert result.certainty is not None and abs(result.certainty - sure.mean()) < 1e-3
    panorama = colorizer.photo(np.tile(grey[:64], (1, 2))).certainty
    assert panorama is not None and 0 < panorama < 1
    assert colorizer.photo(grey, render_factor="auto").certainty is not None
    assert dataclasses.replace(result, network=dataclasses.replace(result.network, sha256="another")).certainty is None


def test_a_hint_makes_its_color_likelier(colorizer: Colorizer, grey: NDArray[np.uint8]) -> None:
    (before,) = colorizer.suggest(grey, 0.4, 0.9)
    (after,) = colorizer.suggest(grey, 0.4, 0.9, hints=["0.4,0.9=#204080"])
    assert share_of_blue(after) > 2 * share_of_blue(before)


def share_of_blue(place: Place) -> float:
    return sum(one.share for one, lab in zip(place.colors, shown(place), strict=True) if lab[2] < -10)
