"""Calm color: where shots begin, and how chroma is averaged along motion inside a shot.

A network colors every frame on its own, so its colors jitter with grain and flicker. Each frame's
chroma is replaced by a weighted mean over its neighbors in time, each brought into place by optical
flow between small luma planes. A neighbor counts less the farther away it is, and not at all where
flow forward and back disagree or luma does not match (something was covered or uncovered). Nothing
crosses a cut. A result depends on `reach_of` frames to either side and on no others.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Generic, TypeVar, cast

import cv2
import numpy as np

from vintage_colorizer.color import Floats

Payload = TypeVar("Payload")

# Frames before and after that a frame's color depends on, and how wide their weights are, in frames: up to the calmest
# of the looks, and at the greatest stability, which takes twice the time.
CALM = 0.8
REACH, FULL_REACH = 12, 24
WIDTH, FULL_WIDTH = 9.6, 36.0
UNTRUSTED = np.float32(0.01)  # what a neighbor counts at least where a frame has no color of its own
FLOW_SIDE = 128  # pixels of the longer side of the luma planes optical flow is computed on
CHROMA_SIDE = 160  # pixels of the longer side of the chroma planes that are averaged, at most
LUMA_TOLERANCE = 0.06  # difference in luma, after flow, at which a neighbor counts exp(-1)
FLOW_TOLERANCE = 0.6  # pixels by which flow there and back may miss at which a neighbor counts exp(-1)
DARK, BRIGHT = 0.06, 0.96  # luma at which color begins to fade to grey toward black and white


def fade_extremes(chroma: Floats, luma: Floats) -> Floats:
    """Take color out of what is nearly black or burnt out, where a network has nothing to go by and shimmers.

    Args:
        chroma: (U, V), h x w x 2.
        luma: H x W, 0..1, of any size; h x w is used as it is.
    """
    small = luma
    if luma.shape != chroma.shape[:2]:
        small = cv2.resize(luma, (chroma.shape[1], chroma.shape[0]), interpolation=cv2.INTER_AREA)
    share = np.minimum(np.clip(small / DARK, 0, 1), np.clip((1 - small) / (1 - BRIGHT), 0, 1))
    return np.asarray(chroma * share[..., None], dtype=np.float32)


@dataclass
class Moment(Generic[Payload]):
    """One frame on its way through the filter."""

    payload: Payload
    luma: Floats  # H x W, 0..1, small
    chroma: Floats  # h x w x 2
    starts_shot: bool = False
    proposed: bool = True  # else its chroma counts nothing, and comes from its neighbors in time


@dataclass
class _Entry(Generic[Payload]):
    """A moment in the filter's window. Links are h x w x 3: dx, dy in chroma pixels, and how far to trust them."""

    payload: Payload | None  # let go of once it was yielded: it may hold a whole frame
    planes: Floats  # h x w x 3: U, V, and evened luma
    view: Any  # 8-bit luma for optical flow
    proposed: bool
    back: Floats | None = None  # to the frame before, None at the start of a shot
    forth: Floats | None = None  # to the frame after


def calm(moments: Iterable[Moment[Payload]], stability: float) -> Iterator[tuple[Payload, Floats]]:
    """Filter chroma along motion.

    Args:
        moments: consecutive frames.
        stability: 0 leaves chroma as it is, 1 averages over `FULL_REACH` frames to either side.

    Yields:
        Each payload with its chroma, in order, `reach_of(stability)` frames late.
    """
    if stability == 0:
        yield from ((moment.payload, moment.chroma) for moment in moments)
        return
    reach, weights = reach_of(stability), weights_of(stability)
    window: deque[_Entry[Payload]] = deque(maxlen=2 * reach + 1)
    flow = Flow()
    waiting = 0  # entries at the end of the window that were not yet yielded
    for moment in moments:
        entry = _entry(moment)
        if moment.starts_shot:
            yield from _flush(window, waiting, weights)
            waiting = 0
            window.clear()
        elif window:
            window[-1].forth, entry.back = flow.links(window[-1], entry)
        window.append(entry)
        waiting += 1
        if waiting > reach:
            yield _filtered(window, len(window) - waiting, weights)
            waiting -= 1
    yield from _flush(window, waiting, weights)


def reach_of(stability: float) -> int:
    """How many frames to either side a frame's color depends on."""
    if stability <= CALM:
        return REACH if stability > 0 else 0
    return REACH + round((FULL_REACH - REACH) * (stability - CALM) / (1 - CALM))


def weights_of(stability: float) -> Floats:
    """How much neighbors count against the frame itself, by their distance in time, from 1 to `reach_of`."""
    width = WIDTH * stability / CALM
    if stability > CALM:
        width = WIDTH * (FULL_WIDTH / WIDTH) ** ((stability - CALM) / (1 - CALM))
    return np.exp(-0.5 * (np.arange(1, reach_of(stability) + 1) / width) ** 2).astype(np.float32)


def _flush(window: deque[_Entry[Payload]], waiting: int, weights: Floats) -> Iterator[tuple[Payload, Floats]]:
    for position in range(len(window) - waiting, len(window)):
        yield _filtered(window, position, weights)


def _entry(moment: Moment[Payload]) -> _Entry[Payload]:
    height, width = _fitting(moment.chroma.shape, CHROMA_SIDE)
    chroma = cv2.resize(moment.chroma, (width, height), interpolation=cv2.INTER_AREA)
    luma = cv2.resize(moment.luma, (width, height), interpolation=cv2.INTER_AREA)
    evened = (luma - luma.mean()) * np.float32(0.2 / max(0.02, float(luma.std())))  # brightness may flicker
    high, wide = _fitting(moment.luma.shape, FLOW_SIDE)
    view = cv2.resize(moment.luma, (wide, high), interpolation=cv2.INTER_AREA)
    return _Entry(moment.payload, np.dstack([chroma, evened]), (view * 255 + 0.5).astype(np.uint8), moment.proposed)


def _fitting(shape: tuple[int, ...], side: int) -> tuple[int, int]:
    """The size shrunk, if need be, so that the longer side is `side`."""
    height, width = shape[:2]
    scale = min(1.0, side / max(height, width))
    return max(1, round(height * scale)), max(1, round(width * scale))


class Flow:
    """Optical flow by Dense Inverse Search (Kroeger et al. 2016), between neighboring frames."""

    def __init__(self) -> None:
        """Set up the search once; it keeps no state between pairs."""
        self._search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)

    def links(self, before: _Entry[Any], after: _Entry[Any]) -> tuple[Floats, Floats]:
        """Links from `before` to `after` and back, at chroma size."""
        height, width = before.planes.shape[:2]
        if min(before.view.shape) < 16 or np.array_equal(before.view, after.view):
            still = np.zeros((height, width, 3), np.float32)
            still[..., 2] = 1
            return still, still
        forth = self._flow(before.view, after.view, (height, width))
        back = self._flow(after.view, before.view, (height, width))
        return _with_trust(forth, back), _with_trust(back, forth)

    def _flow(self, one: Any, other: Any, size: tuple[int, int]) -> Floats:
        flow = self._search.calc(one, other, None)
        height, width = size
        scale = np.array([width / one.shape[1], height / one.shape[0]], np.float32)
        return np.asarray(cv2.resize(flow, (width, height), interpolation=cv2.INTER_AREA) * scale, np.float32)


def _with_trust(there: Floats, back: Floats) -> Floats:
    """Append to a flow how well the flow back from where it leads returns to where it began, 0..1."""
    miss = there + moved(back, there)
    error = np.einsum("hwc,hwc->hw", miss, miss)
    allowed = FLOW_TOLERANCE**2 + 0.01 * np.einsum("hwc,hwc->hw", there, there)
    return np.dstack([there, np.exp(-error / allowed)]).astype(np.float32)


def _filtered(window: deque[_Entry[Payload]], position: int, weights: Floats) -> tuple[Payload, Floats]:
    """The weighted mean of a frame's own chroma and its neighbors', moved into place; only what was proposed counts."""
    entry = window[position]
    total = entry.planes[..., :2] * np.float32(entry.proposed)
    weight = np.full(entry.planes.shape[:2], entry.proposed, np.float32)
    for step in (-1, 1):
        link: Floats | None = None
        for distance in range(1, len(weights) + 1):
            last = window[position + step * (distance - 1)]
            further = last.back if step < 0 else last.forth
            if further is None:
                break
            link = further if link is None else _compose(link, further)
            if not window[position + step * distance].proposed:
                continue
            planes = moved(window[position + step * distance].planes, link)
            mismatch = (planes[..., 2] - entry.planes[..., 2]) / np.float32(LUMA_TOLERANCE)
            share = weights[distance - 1] * link[..., 2] * np.exp(-mismatch * mismatch)
            if not entry.proposed:
                share += UNTRUSTED * weights[distance - 1]
            total += share[..., None] * planes[..., :2]
            weight += share
    payload, entry.payload = entry.payload, None
    return cast(Payload, payload), total / weight[..., None]


def _compose(first: Floats, second: Floats) -> Floats:
    """The link that follows `first` and, from where it leads, `second`."""
    onward = moved(second, first)
    onward[..., :2] += first[..., :2]
    onward[..., 2] *= first[..., 2]
    return onward


def moved(planes: Floats, link: Floats) -> Floats:
    """Look up `planes`, h x w x C, where a link (h x w x 2 or 3: dx, dy) leads; what lies outside repeats the edge."""
    y, x = _grid(*link.shape[:2])
    return np.asarray(
        cv2.remap(
            planes, x + link[..., 0], y + link[..., 1], interpolation=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
    )


@lru_cache(maxsize=2)
def _grid(height: int, width: int) -> tuple[Floats, Floats]:
    """Row and column of every pixel."""
    y, x = np.mgrid[:height, :width].astype(np.float32)
    return y, x
