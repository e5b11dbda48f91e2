"""Short films made of photos, whose motion is known."""

from __future__ import annotations

import numpy as np
import pytest
import skimage.data

from vintage_colorizer import Colorizer
from vintage_colorizer.evaluate.pans import DIRECTIONS, Pan
from vintage_colorizer.options import PhotoOptions

pytestmark = pytest.mark.long

CAT = np.ascontiguousarray(skimage.data.chelsea()[:144, 100:292])


@pytest.mark.parametrize("number", range(len(DIRECTIONS)))
def test_true_color_does_not_change_along_the_motion(number: int) -> None:
    figures = Pan(CAT, number).still(colored=True)
    assert figures["change"] == pytest.approx(0, abs=1e-7)
    assert figures["strength"] > 0.03
    assert figures["cdc"] > 0


def test_a_grey_clip_has_no_color() -> None:
    figures = Pan(CAT, 0).still(colored=False)
    assert (figures["change"], figures["strength"]) == (0, 0)


def test_a_network_is_less_calm_than_the_truth_and_calmer_when_pale(colorizer: Colorizer) -> None:
    pan = Pan(CAT, 2)
    pale, vivid = (pan.colored(colorizer, PhotoOptions(vividness=v, threads=1)) for v in (0.0, 1.0))
    assert 0 < pale["change"] < vivid["change"] < vivid["strength"]
    assert pan.still(colored=True)["cdc"] < vivid["cdc"]


def test_a_tiny_photo_makes_a_clip_too_short_for_some_figures() -> None:
    figures = Pan(np.ascontiguousarray(CAT[:12, :12]), 0).still(colored=True)
    assert np.isnan(figures["cdc"])
