"""Work in threads of this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from vintage_colorizer.workers.base import Known, Result, Task, Work
from vintage_colorizer.workers.stream import stream


class LocalRunner:
    """A few threads of this process."""

    def __init__(self, workers: int) -> None:
        """So many threads."""
        self.workers = workers

    def run(
        self, tasks: Iterable[Task | Known[Result]], work: Work[Task, Result], crashed: Work[Task, Result]
    ) -> Iterator[Result]:
        """See `Runner.run`."""
        with ThreadPoolExecutor(self.workers, thread_name_prefix="worker") as pool:
            for _, future in stream(tasks, lambda task: pool.submit(work, task), lambda: self.workers):
                yield future.result()
