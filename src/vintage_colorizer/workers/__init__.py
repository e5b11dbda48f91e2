"""Who does the work: threads of this process, or processes of a Ray cluster, behind one interface."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType

from vintage_colorizer.errors import MissingError
from vintage_colorizer.workers.base import Runner
from vintage_colorizer.workers.local import LocalRunner


@contextmanager
def open_runner(ray: str | None, workers: int | None, device: str = "auto") -> Iterator[Runner]:
    """The runner asked for: threads of this process, or, with the address of a cluster or 'local', Ray.

    Args:
        ray: None for threads.
        workers: tasks at a time; by default one for each processor of the machine, or of the whole cluster.
        device: a worker takes a GPU of the cluster for itself if this is cuda.

    Raises:
        MissingError: Ray is not installed, or no cluster answers at that address.
    """
    if ray is None:
        yield LocalRunner(workers or os.cpu_count() or 1)
        return
    ray_runner = require_ray()
    with ray_runner.started(ray, workers):
        yield ray_runner.RayRunner(workers, gpus=int(device == "cuda"))


def require_ray() -> ModuleType:
    """The module that works with Ray; MissingError if that is not installed."""
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".*")  # Ray would print what dies; we report it ourselves
    try:
        from vintage_colorizer.workers import ray as ray_runner
    except ImportError as error:
        raise MissingError("--ray needs an extra: pip install 'vintage-colorizer[ray]'.") from error
    return ray_runner
