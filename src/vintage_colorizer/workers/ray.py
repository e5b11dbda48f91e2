"""Work on a Ray cluster, or on a local one started for the occasion.

Each worker is an actor that holds one copy of the work, and so one network. The process that asked hands tasks out, one
to a worker at a time: what is read ahead is bounded by the number of workers, and it is known which task a worker died
of. That one is tried again, and given up when it brings a second worker down; a machine that leaves the cluster is not
held against it. Ray Data was tried and left out: it retries a block whose process dies without end, so one bad file
stops the archive.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic

import ray
from ray.exceptions import RayError, RayTaskError

from vintage_colorizer.errors import MissingError
from vintage_colorizer.workers.base import Known, Result, Task, Work
from vintage_colorizer.workers.stream import stream

log = logging.getLogger("vintage_colorizer")

CRASHES = 2  # after which a task is given up
FAILED_STARTS = 3  # of workers, before any has started, after which there is no use in going on
PATIENCE = 5.0  # seconds between looks at the size of the cluster
CONNECTING = 10.0  # seconds for a cluster to answer
PAUSE = 0.1  # seconds between looks at workers that are starting
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
    """Actors of the cluster that this process is connected to; see `base.Runner`."""

    def __init__(self, workers: int | None, gpus: int = 0) -> None:
        """So many workers of one processor each, by default as many as there are processors (or GPUs)."""
        self._wanted, self._gpus = workers, gpus

    @property
    def workers(self) -> int:
        """Those wanted, or as many as the machines have room for now."""
        if self._wanted is not None:
            return self._wanted
        return max(1, int(ray.cluster_resources().get("GPU", 0)) // self._gpus if self._gpus else processors())

    def run(
        self, tasks: Iterable[Task | Known[Result]], work: Work[Task, Result], crashed: Work[Task, Result]
    ) -> Iterator[Result]:
        """See `Runner.run`."""
        actors: _Actors[Task] = _Actors(ray.put(work), self._gpus, lambda: self.workers)
        results = stream(
            tasks, actors.submit, lambda: actors.limit, is_lost=actors.is_lost, look=actors.look, pause=PAUSE
        )
        try:
            for task, future in results:
                if is_death(future.exception()) and not isinstance(task, Known):
                    yield crashed(task)
                else:
                    yield answer(future)
        except GeneratorExit:
            wait(actors.under_way)
            raise
        finally:
            actors.stop()


@dataclass(eq=False)
class _Actor:
    """A worker as seen from here."""

    handle: Any
    started: Future[str]  # its machine


class _Actors(Generic[Task]):
    """The workers of one run."""

    def __init__(self, work: Any, gpus: int, wanted: Callable[[], int]) -> None:
        """`work` was put into Ray's store; `wanted` says how many workers there should be now."""
        self._work, self._gpus, self._wanted = work, gpus, wanted
        self._starting: list[_Actor] = []
        self._started: list[_Actor] = []
        self._free: deque[_Actor] = deque()
        self._busy: dict[Future[Any], _Actor] = {}
        self._crashes: Counter[Task] = Counter()
        self._failed_starts = 0
        self._counted = float("-inf")  # when the cluster was last looked at

    @property
    def limit(self) -> int:
        """Tasks that the workers which have started can hold: one each, so that it is known which one killed it."""
        return len(self._free) + len(self._busy)

    @property
    def under_way(self) -> list[Future[Any]]:
        """What is not done yet."""
        return list(self._busy)

    def submit(self, task: Task) -> Future[Any]:
        """Hand a task to a worker that has none."""
        actor = self._free.popleft()
        future: Future[Any] = actor.handle.do.remote(task).future()
        self._busy[future] = actor
        return future

    def is_lost(self, task: Task, future: Future[Any]) -> bool:
        """Take a worker back; whether it died, and its task should be tried again."""
        actor = self._busy.pop(future)
        error = future.exception()
        if not is_death(error):
            self._free.append(actor)
            return False
        log.debug("%s was lost with its worker", task, exc_info=error)
        self._started.remove(actor)
        self._counted = float("-inf")  # another takes its place
        self._crashes[task] += _is_alive(actor.started.result())
        return self._crashes[task] < CRASHES

    def look(self) -> None:
        """Put those to work that have started, and start more where the cluster has grown or a worker has died.

        Raises:
            MissingError: none ever starts.
        """
        for actor in [one for one in self._starting if one.started.done()]:
            self._starting.remove(actor)
            if error := actor.started.exception():
                self._count_failed_start(error)
            else:
                self._started.append(actor)
                self._free.append(actor)
        if time.monotonic() - self._counted < PATIENCE:
            return
        self._counted = time.monotonic()
        for _ in range(self._wanted() - len(self._started) - len(self._starting)):
            handle = ray.remote(_Worker).options(num_cpus=1, num_gpus=self._gpus).remote(self._work)
            self._starting.append(_Actor(handle, handle.node.remote().future()))

    def _count_failed_start(self, error: BaseException) -> None:
        self._failed_starts += 1
        self._counted = float("-inf")
        if self._failed_starts >= FAILED_STARTS and not self._started:
            reason = str(error).strip().splitlines()[-1].strip()
            raise MissingError(
                f"No worker starts on the cluster ({reason}); install the same vintage-colorizer on all its machines."
            ) from error

    def stop(self) -> None:
        """End all workers, whatever they do."""
        for actor in (*self._starting, *self._started):
            ray.kill(actor.handle)


def is_death(error: BaseException | None) -> bool:
    """Whether an error is not of the work but of the process that did it."""
    return isinstance(error, RayError) and not isinstance(error, RayTaskError)


def answer(future: Future[Any]) -> Any:
    """What a worker answered; raises what its work raised."""
    try:
        return future.result()
    except RayTaskError as error:
        raise error.cause from error


def _is_alive(node: str) -> bool:
    """Whether a machine is part of the cluster still."""
    return any(one["NodeID"] == node and one["Alive"] for one in ray.nodes())
