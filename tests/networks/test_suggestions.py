from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from support.networks import tiny_network
from vintage_colorizer import Colorizer, color
from vintage_colorizer.errors import OptionError
from vintage_colorizer.networks.suggestions import Likely

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


@pytest.mark.parametrize(("shares", "certainty"), [((1, 0, 0, 0, 0), 1.0), ((0.2, 0.2, 0.2, 0.2, 0.2), 0.0)])
def test_certainty_is_from_none_to_full(shares: tuple[float, ...], certainty: float) -> None:
    np.testing.assert_allclose(likely(*shares).certainty, certainty, atol=1e-5)


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
