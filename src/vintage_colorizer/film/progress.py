"""How far a film is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

HEARTBEAT = 0.2  # seconds between reports


@dataclass(frozen=True)
class Progress:
    """How far a film is."""

    stage: Literal["scanning", "coloring", "joining"]
    done: int  # frames
    total: int | None
    shots: int


Report = Callable[[Progress], None]


def throttled(report: Report) -> Report:
    """Report a few times a second, each stage's beginning, and the end."""
    spoken, stage = 0.0, ""

    def sometimes(progress: Progress) -> None:
        nonlocal spoken, stage
        now = time.monotonic()
        if now - spoken >= HEARTBEAT or progress.stage != stage or progress.done == progress.total:
            spoken, stage = now, progress.stage
            report(progress)

    return sometimes
