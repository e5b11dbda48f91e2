"""Waiting for something that happens elsewhere, with a generous limit against hangs."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def until(condition: Callable[[], Any], seconds: float = 90) -> Any:
    """Wait for a condition; return what it is."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.03)
    return value
