"""Tasks streamed through workers of any kind: a few under way, the others not even taken yet."""

from __future__ import annotations

import queue
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from itertools import islice
from typing import Any

from vintage_colorizer.workers.base import Known, Task

PAUSE = 1.0  # seconds without an answer after which to look around


def stream(
    tasks: Iterable[Task | Known[Any]],
    submit: Callable[[Task], Future[Any]],
    limit: Callable[[], int],
    *,
    is_lost: Callable[[Task, Future[Any]], bool] = lambda task, future: False,
    look: Callable[[], None] = lambda: None,
    pause: float = PAUSE,
    patient: bool = True,
) -> Iterator[tuple[Task | Known[Any], Future[Any]]]:
    """Keep up to `limit` tasks under way, and yield each with its future when that is done.

    Args:
        tasks: taken only as they are needed; one whose result is known comes back at once.
        submit: begins a task.
        limit: how many tasks may be under way now.
        is_lost: asked about each task that is done, before it is yielded; a lost one is submitted again.
        look: called between answers, and after each `pause`.
        pause: in seconds.
        patient: at an interrupt, first finish what is under way.

    Raises:
        KeyboardInterrupt: at once if not `patient`, or when interrupted again.
    """
    fresh = iter(tasks)
    waiting: deque[Task | Known[Any]] = deque()
    running: dict[Future[Any], Task] = {}
    finished: deque[tuple[Task, Future[Any]]] = deque()  # yielded after the next task was begun, so that nobody waits
    done: queue.SimpleQueue[Future[Any]] = queue.SimpleQueue()
    interrupted = False
    while True:
        try:
            if not waiting:
                waiting.extend(islice(fresh, 1))
            first = waiting[0] if waiting else None
            if first is not None and not isinstance(first, Known) and len(running) < limit():
                future = submit(first)
                running[future] = first
                waiting.popleft()
                future.add_done_callback(done.put)
            elif finished:
                yield finished.popleft()
            elif isinstance(first, Known) and done.empty():
                waiting.popleft()
                known: Future[Any] = Future()
                known.set_result(first.result)
                yield first, known
            elif waiting or running:
                look()
                try:
                    future = done.get(timeout=pause)
                except queue.Empty:
                    continue
                if future not in running:  # it was noted twice, see below
                    continue
                task = running.pop(future)
                if is_lost(task, future):
                    waiting.append(task)
                else:
                    finished.append((task, future))
            else:
                break
        except KeyboardInterrupt:
            if interrupted or not patient:
                raise
            interrupted, fresh = True, iter(())
            waiting.clear()
            for future in filter(Future.done, running):  # the interrupt may have lost one on its way from the queue
                done.put(future)
    if interrupted:
        raise KeyboardInterrupt
