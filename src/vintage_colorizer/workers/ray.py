"""Work on a Ray cluster, or on a local one started for the occasion.

Each worker is an actor that holds one copy of the work, and so one network. The process that asked hands tasks out:
a worker has one under way and one at hand, so that what is read ahead is bounded by the number of workers. Ray Data
was tried and left out: it retries a block whose process dies without end, so one bad file stops the archive.

A worker that dies takes its tasks back to the line. Which of the two killed it cannot be known, so each is tried
again alone; one that brings a worker down twice is given up. A machine that leaves the cluster is no fault of a task.
"""

from __future__ import annotations

import logging
import os
import queue
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, TimeoutError, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Generic

import ray
from ray.exceptions import RayError, RayTaskError

from vintage_colorizer.errors import MissingError
from vintage_colorizer.workers.base import Known, Result, Task, Work

log = logging.getLogger("vintage_colorizer")

AT_HAND = 2  # tasks of a worker: one under way, one waiting
CRASHES = 2  # after which a task is given up
FAILED_STARTS = 3  # of workers, before any has started, after which there is no use in going on
PATIENCE = 5.0  # seconds between looks at the size of the cluster
CONNECTING = 10.0  # seconds for a cluster to answer
SETTLING = 60.0  # seconds for Ray to say what became of the tasks of a dead worker
# Threads inside each matrix product would only get in the way of the other workers, and change results.
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1"}


@contextmanager
def started(address: str, processors: int | None = None) -> Iterator[None]:
    """Ray, connected to the cluster at `address`, or a local one with so many processors for 'local'.

    Inside a process that is connected already nothing happens.

    Raises:
        MissingError: no cluster answers, or it runs another version of Ray or Python.
    """
    if ray.is_initialized():
        yield
        return
    os.environ.update(ENVIRONMENT)  # a local cluster inherits it
    local = {"num_cpus": processors, "include_dashboard": False} if address == "local" else {}
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        _require_answer(address)
        ray.init(address=address, runtime_env=None if local else {"env_vars": ENVIRONMENT}, **quiet, **local)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        reason = " ".join(str(error).split())[:300]
        raise MissingError(f"No Ray cluster can be used at {address} ({reason}); start one, or say local.") from error
    try:
        yield
    finally:
        ray.shutdown()


def _require_answer(address: str) -> None:
    """ConnectionError or OSError if nothing listens at HOST:PORT; Ray itself would wait for minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host, int(port)), timeout=CONNECTING).close()


def processors() -> int:
    """Of all machines in the cluster."""
    return int(ray.cluster_resources().get("CPU", 0))


class _Worker:
    """Does the work, in a process of its own."""

    def __init__(self, work: Callable[[Any], Any]) -> None:
        self._work = work

    def node(self) -> str:
        """The machine this runs on."""
        return str(ray.get_runtime_context().get_node_id())

    def do(self, task: Any) -> Any:
        """Do one task."""
        return self._work(task)


class RayRunner:
    """Actors of the cluster that this process is connected to; see `runners.Runner`."""

    def __init__(self, workers: int | None, gpus: int = 0) -> None:
        """So many workers of one processor each, by default as many as there are processors (or GPUs)."""
        self._wanted, self._gpus = workers, gpus

    @property
    def workers(self) -> int:
        """Those wanted, or as many as the machines have room for now."""
        if self._wanted is not None:
            return self._wanted
        return max(1, int(ray.cluster_resources().get("GPU", 0)) // self._gpus if self._gpus else processors())

    def hire(self, work: Any) -> Any:
        """Start a worker; `work` was put into Ray's store."""
        return ray.remote(_Worker).options(num_cpus=1, num_gpus=self._gpus).remote(work)

    def run(
        self, tasks: Iterable[Task | Known[Result]], work: Work[Task, Result], crashed: Work[Task, Result]
    ) -> Iterator[Result]:
        """See `Runner.run`."""
        return _Run(self, tasks, work, crashed).results()


@dataclass(eq=False)
class _Member(Generic[Task]):
    """A worker as seen from here."""

    handle: Any
    node: str | None = None  # its machine, known when it has started
    tasks: dict[Future[Any], Task] = field(default_factory=dict)
    alone: bool = False  # its task may have crashed another worker
    gone: bool = False


class _Run(Generic[Task, Result]):
    """One pass over a stream of tasks."""

    def __init__(
        self,
        runner: RayRunner,
        tasks: Iterable[Task | Known[Result]],
        work: Work[Task, Result],
        crashed: Work[Task, Result],
    ) -> None:
        """Nothing is begun yet."""
        self._runner, self._tasks, self._work, self._crashed = runner, iter(tasks), work, crashed
        self._members: list[_Member[Task]] = []
        self._line: deque[Task] = deque()
        self._suspects: deque[Task] = deque()  # each to be tried alone
        self._crashes: Counter[Task] = Counter()
        self._room: deque[_Member[Task]] = deque()  # a member once for each task it could take
        self._inbox: queue.SimpleQueue[tuple[_Member[Task], Future[Any]]] = queue.SimpleQueue()
        self._shared_work: Any = None
        self._hired = float("-inf")
        self._failed_starts = 0

    @property
    def _under_way(self) -> bool:
        return any(member.tasks for member in self._members)

    def results(self) -> Iterator[Result]:
        """Yield results as they come."""
        interrupted = False
        try:
            while True:
                try:
                    yield from self._top_up()
                    if not (self._line or self._suspects or self._under_way):
                        break
                    self._hire()
                    self._hand_out()
                    yield from self._hear()
                except KeyboardInterrupt:
                    if interrupted:
                        raise
                    interrupted, self._tasks = True, iter(())
                    self._line.clear()
                    self._suspects.clear()
        except GeneratorExit:
            wait([future for member in self._members for future in member.tasks])
            raise
        finally:
            for member in self._members:
                ray.kill(member.handle)
        if interrupted:
            raise KeyboardInterrupt

    def _top_up(self) -> Iterator[Result]:
        """Take tasks into the line, a few for each worker; those with known results pass through."""
        while len(self._line) < self._runner.workers and (task := next(self._tasks, None)) is not None:
            if isinstance(task, Known):
                yield task.result
            else:
                self._line.append(task)

    def _hire(self) -> None:
        """Start workers for the machines that are there now; the cluster may have grown."""
        if time.monotonic() - self._hired < PATIENCE:
            return
        self._hired = time.monotonic()
        if self._shared_work is None:
            self._shared_work = ray.put(self._work)
        for _ in range(self._runner.workers - len(self._members)):
            member: _Member[Task] = _Member(self._runner.hire(self._shared_work))
            self._members.append(member)
            self._expect(member, member.handle.node.remote())

    def _expect(self, member: _Member[Task], answer: Any) -> Future[Any]:
        future: Future[Any] = answer.future()
        future.add_done_callback(lambda done: self._inbox.put((member, done)))
        return future

    def _hand_out(self) -> None:
        """Give tasks to workers with room; while suspects wait, workers are left to run empty."""
        while self._suspects and (idle := next((one for one in self._room if not one.tasks), None)):
            self._room = deque(member for member in self._room if member is not idle)
            idle.alone = True
            self._give(idle, self._suspects.popleft())
        while self._line and self._room and not self._suspects:
            self._give(self._room.popleft(), self._line.popleft())

    def _give(self, member: _Member[Task], task: Task) -> None:
        member.tasks[self._expect(member, member.handle.do.remote(task))] = task

    def _hear(self) -> Iterator[Result]:
        """Wait for an answer, and yield what it brings."""
        try:
            member, future = self._inbox.get(timeout=PATIENCE)
        except queue.Empty:
            self._recall()
            return
        if member.gone or (member.node is not None and future not in member.tasks):
            return
        if isinstance(error := future.exception(), RayError) and not isinstance(error, RayTaskError):
            yield from self._bury(member, error)
        elif member.node is None:
            member.node = _answer(future)
            self._room.extend([member] * AT_HAND)
        else:
            del member.tasks[future]
            self._room.extend([member] * (AT_HAND if member.alone else 1))
            member.alone = False
            yield _answer(future)

    def _recall(self) -> None:
        """Put answers that an interrupt made us miss into the inbox again."""
        for member in self._members:
            for future in filter(Future.done, member.tasks):
                self._inbox.put((member, future))

    def _bury(self, member: _Member[Task], error: RayError) -> Iterator[Result]:
        """A worker died: yield the results it left, and see to the tasks it did not finish."""
        member.gone = True
        self._members.remove(member)
        self._room = deque(one for one in self._room if one is not member)
        self._hired = float("-inf")  # another takes its place
        if member.node is None:
            self._count_failed_start(error)
        by_task = member.node is not None and _is_alive(member.node)
        for future, task in member.tasks.items():
            try:
                yield _answer(future)
                continue
            except (RayError, TimeoutError):
                log.debug("%s was lost with its worker", task, exc_info=True)
            self._crashes[task] += by_task
            if self._crashes[task] >= CRASHES:
                yield self._crashed(task)
            else:
                (self._suspects if by_task else self._line).appendleft(task)

    def _count_failed_start(self, error: RayError) -> None:
        """MissingError if no worker ever starts."""
        self._failed_starts += 1
        if self._failed_starts >= FAILED_STARTS and not any(member.node for member in self._members):
            reason = str(error).strip().splitlines()[-1].strip()
            raise MissingError(
                f"No worker starts on the cluster ({reason}); install the same vintage-colorizer on all its machines."
            ) from error


def _answer(future: Future[Any]) -> Any:
    """What a worker answered; raises what its work raised."""
    try:
        return future.result(timeout=SETTLING)
    except RayTaskError as error:
        raise error.cause from error


def _is_alive(node: str) -> bool:
    """Whether a machine is part of the cluster still."""
    return any(one["NodeID"] == node and one["Alive"] for one in ray.nodes())
