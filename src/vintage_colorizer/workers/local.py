"""Who does the work: threads of this process, or processes of a Ray cluster, behind one interface.

Tasks are streamed: a runner takes only a handful ahead of the work, whatever their number.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait

from vintage_colorizer.workers.base import Known, Result, Task, Work


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
