"""The networks that repair: loaded once, asked about luma.

Their contracts, with sides that are multiples of MULTIPLE: `luma` [N, 1, H, W] to `damage` [N, 1, H, W] in 0..1; `luma`
and `mask` [N, 1, H, W] to `filled` [N, 1, H, W]; `thumb` [1, 1, THUMB, THUMB] to `curve` [knots] and `field` [6].
"""

from __future__ import annotations

import os
import threading
from typing import Any

import numpy as np

from vintage_colorizer.color import Floats
from vintage_colorizer.errors import EngineError
from vintage_colorizer.networks import catalog
from vintage_colorizer.networks.engines import open_session, read_network, verified

MULTIPLE = 16
THUMB = 64


class RepairNetworks:
    """Loads each network once, on first use; safe between threads. Sent to another process, it loads anew there."""

    def __init__(self, threads: int | None = None) -> None:
        """Run with so many threads; all by default."""
        self._threads = threads
        self._sessions: dict[str, Any] = {}
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[RepairNetworks], tuple[int | None]]:
        return type(self), (self._threads,)

    def damage(self, luma: Floats) -> Floats:
        """How likely each pixel is damaged, H x W, 0..1, for luma H x W, sides multiples of MULTIPLE.

        Raises WeightsError if the network's file is damaged, EngineError if it failed.
        """
        (likely,) = self._run("damage", luma)
        return np.asarray(likely[0, 0], np.float32)

    def fill(self, luma: Floats, mask: Floats) -> Floats:
        """Luma H x W, 0..1, that was filled simply where `mask` is 1, filled better there; raises as `damage`."""
        (filled,) = self._run("fill", luma, mask)
        return np.asarray(filled[0, 0], np.float32)

    def fade(self, thumb: Floats) -> tuple[Floats, Floats]:
        """The tone curve and the field that undo fading, for a thumbnail THUMB x THUMB; raises as `damage`."""
        curve, field = self._run("fade", thumb)
        return curve, field

    def _run(self, task: str, *planes: Floats) -> list[Any]:
        session = self._session(task)
        names = [one.name for one in session.get_inputs()]
        try:
            found: list[Any] = session.run(
                None, {name: plane[None, None] for name, plane in zip(names, planes, strict=True)}
            )
        except Exception as error:  # the runtime's exceptions share no public base class
            raise EngineError(f"The network {catalog.REPAIRS[task].file} failed: {str(error)[:200]}.") from error
        if not all(np.isfinite(part).all() for part in found):
            raise EngineError(f"The network {catalog.REPAIRS[task].file} returned something that is not a number.")
        return found

    def _session(self, task: str) -> Any:
        with self._lock:
            if task not in self._sessions:
                row = catalog.REPAIRS[task]
                data = read_network(row.path)
                verified(row.path, data, row.sha256)
                self._sessions[task] = open_session(row.path, data, "cpu", self._threads or os.cpu_count() or 1)
            return self._sessions[task]
