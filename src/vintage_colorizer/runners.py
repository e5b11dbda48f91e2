"""Who does the work: threads of this process, or processes of a Ray cluster, behind one interface.

Tasks are streamed: a runner takes only a handful ahead of the work, whatever their number.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Generic, Protocol, TypeAlias, TypeVar

from vintage_colorizer.errors import MissingError

Task = TypeVar("Task")
Result = TypeVar("Result")
Work: TypeAlias = Callable[[Task], Result]


@dataclass(frozen=True)
class Known(Generic[Result]):
    """In a stream of tasks: one whose result is known without any work."""

    result: Result


class Runner(Protocol):
    """Does the same work on many tasks."""

    workers: int  # tasks under way at a time

    def run(
        self, tasks: Iterable[Task | Known[Result]], work: Work[Task, Result], crashed: Work[Task, Result]
    ) -> Iterator[Result]:
        """Yield a result for each task, as they come.

        When the consumer stops or is interrupted, tasks under way are finished and no new one is begun.

        Args:
            tasks: taken only as they are needed.
            work: what to do; for processes it is pickled, and whatever it needs is loaded there.
            crashed: gives the result of a task that brought its process down twice; threads never ask.

        Raises:
            KeyboardInterrupt: after the results of what was under way; at once when interrupted again.
            Exception: whatever `work` raised.
        """


class LocalRunner:
    """A few threads of this process."""

    def __init__(self, workers: int) -> None:
        """So many threads."""
        self.workers = workers

    def run(
        self, tasks: Iterable[Task | Known[Result]], work: Work[Task, Result], crashed: Work[Task, Result]
    ) -> Iterator[Result]:
        """See `Runner.run`."""
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="photo")
        running: set[Future[Result]] = set()
        waiting = iter(tasks)
        interrupted = False
        try:
            while True:
                while len(running) < 2 * self.workers and (task := next(waiting, None)) is not None:
                    if isinstance(task, Known):
                        yield task.result
                    else:
                        running.add(pool.submit(work, task))
                if not running:
                    break
                try:
                    finished, running = wait(running, return_when=FIRST_COMPLETED)
                except KeyboardInterrupt:
                    if interrupted:
                        raise
                    interrupted, waiting = True, iter(())
                    running = {future for future in running if not future.cancel()}
                    continue
                for future in finished:
                    yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
        if interrupted:
            raise KeyboardInterrupt


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
        from vintage_colorizer import ray_runner
    except ImportError as error:
        raise MissingError("--ray needs an extra: pip install 'vintage-colorizer[ray]'.") from error
    return ray_runner
