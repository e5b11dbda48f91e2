"""What a runner is: it does the same work on many tasks, here or elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, Protocol, TypeAlias, TypeVar

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
