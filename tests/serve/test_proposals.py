from __future__ import annotations

import numpy as np
import pytest
from skimage import data

from vintage_colorizer import color
from vintage_colorizer.colorizer import Colorizer
from vintage_colorizer.photo.reading import read_photo
from vintage_colorizer.serve.limits import Task
from vintage_colorizer.serve.proposals import MOST, NO_PHOTO, VIVIDNESSES, Proposals

GREY = np.rint(color.luma(np.asarray(data.astronaut())) * 255).astype(np.uint8)


@pytest.mark.parametrize("settings", [{"hints": ["0.3,0.8=orange"]}, {"warmth": 0.4, "saturation": 1.5}])
def test_what_was_proposed_is_not_asked_for_again(
    colorizer: Colorizer, monkeypatch: pytest.MonkeyPatch, settings: dict[str, object]
) -> None:
    photo, options = read_photo(GREY), colorizer.options.replace(**settings)
    fresh = Proposals(colorizer).of(photo, options, Task())
    proposals = Proposals(colorizer)
    proposals.of(photo, colorizer.options, Task())
    monkeypatch.setattr("vintage_colorizer.networks.engines.OnnxEngine.chroma", None)  # any inference would fail
    again = proposals.of(photo, options, Task())
    assert len(again) == 1 + len(VIVIDNESSES)
    for one, other in zip(again, fresh, strict=True):
        assert one.photo is photo and one.options.hints == options.hints
        assert np.array_equal(one.final_chroma, other.final_chroma)


def test_other_photos_and_looks_are_asked_for(colorizer: Colorizer) -> None:
    proposals = Proposals(colorizer)
    one = proposals.of(read_photo(GREY), colorizer.options, Task())
    for other in (
        proposals.of(read_photo(GREY[::-1].copy()), colorizer.options, Task()),
        proposals.of(read_photo(GREY), colorizer.options.replace(look="artistic"), Task())[:1],
    ):
        assert not np.array_equal(one[0].final_chroma, other[0].final_chroma)


def test_large_photos_are_not_kept(colorizer: Colorizer) -> None:
    proposals = Proposals(colorizer)
    for size in range(20, 20 + MOST + 3):
        proposals.of(read_photo(GREY[:size, :20].copy()), colorizer.options.replace(render_factor=7), Task())
    kept = list(proposals._kept.values())
    assert len(kept) == MOST
    assert all(one.photo is NO_PHOTO for results in kept for one in results)
