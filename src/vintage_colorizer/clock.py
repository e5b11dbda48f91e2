"""How fast work goes and how long the rest will take: one way to tell for films, photos and downloads."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

LEAST_SECONDS = 1.0  # of work that an estimate rests on


class Clock:
    """Estimates from the work noted so far, and says nothing until that is enough.

    What an earlier run had done does not count, nor does the time until the first work of this one is done:
    a network is loaded then, and threads fill. An estimate needs as much time after that as passed before it.
    """

    rate: float | None = None  # units a second; None until there is enough to say
    seconds_left: float | None = None  # likewise, and where no total is known

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        """`now` tells the time in seconds."""
        self._now = now
        self._stage: str | None = None
        self._begin(0)

    def _begin(self, done: float) -> None:
        self._begun, self._first = self._now(), done
        self._warm: tuple[float, float] | None = None  # when this run had done its first work, and how much
        self.rate = self.seconds_left = None

    def note(self, done: float, total: float | None = None, stage: str = "") -> None:
        """Take in how far the work is.

        Args:
            done: units that are done: frames, files or bytes.
            total: units in all, if that is known.
            stage: another one starts the clock anew.
        """
        if stage != self._stage:
            self._stage = stage
            self._begin(done)
        now = self._now()
        if self._warm is None:
            self._warm = (now, done) if done > self._first else None
            return
        since, before = self._warm
        if now - since >= max(LEAST_SECONDS, since - self._begun) and done > before:
            self.rate = (done - before) / (now - since)
            self.seconds_left = None if total is None else (total - done) / self.rate

    def left(self) -> str:
        """How long the rest will take, such as ', 12 s left'; empty where that cannot be told."""
        return "" if self.seconds_left is None else f", {_rounded(self.seconds_left)} left"


def _rounded(seconds: float) -> str:
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


def as_seconds(value: Any) -> Any:
    """A time in seconds, given so or as hours:minutes:seconds."""
    if not isinstance(value, str) or ":" not in value:
        return value
    parts = value.strip().split(":")
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        return value
    if len(parts) > 3 or any(not 0 <= number < 60 for number in numbers[1:]) or numbers[0] < 0:
        return value
    return sum(number * 60**place for place, number in enumerate(reversed(numbers)))
