"""A named network that describes pictures by numbers, for a distance between sets of pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np

from vintage_colorizer.color import Floats
from vintage_colorizer.errors import MissingError
from vintage_colorizer.evaluate.metrics import RGB

EXTRACTOR = "efficientnet-lite2"
SIDE = 192  # pixels to which the middle square of every picture is brought


class Extractor:
    """EfficientNet-Lite2 with its ImageNet weights: the 1280 averages before its classifier.

    Safe to call from several threads.
    """

    def __init__(self) -> None:
        """Load it; MissingError if torch, timm or the weights are not installed."""
        try:
            import torch

            from vintage_colorizer.networks.architectures.lite import build_lite

            self._network: Any = build_lite("tf_efficientnet_lite2", num_classes=0)
        except ImportError as error:
            raise MissingError(
                f"The distribution distance needs {error.name}: pip install 'vintage-colorizer[train]'."
            ) from error
        torch.set_num_threads(1)  # photos are worked on side by side

    def __reduce__(self) -> tuple[type[Extractor], tuple[()]]:
        """Sent to another process, it is loaded there."""
        return type(self), ()

    def __call__(self, pictures: Sequence[RGB]) -> Floats:
        """Describe pictures of any sizes: N x 1280, float32."""
        import torch

        seen = np.stack([_square(picture) for picture in pictures]).transpose(0, 3, 1, 2)
        with torch.inference_mode():
            features = self._network(torch.from_numpy(np.ascontiguousarray(seen)))
        return np.asarray(features, dtype=np.float32)


def _square(picture: RGB) -> Floats:
    """The middle square at SIDE, -1..1, as the network was trained to see pictures."""
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    middle = picture[top : top + side, left : left + side]
    shrinks = side > SIDE
    small = cv2.resize(middle, (SIDE, SIDE), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC)
    return np.asarray(small / np.float32(127.5) - 1, dtype=np.float32)
