"""Films on a Ray cluster: each film is a task that scans, hands its segments out as tasks of their own, and joins.

A task that waits for others gives its processor back, so one film uses many machines and many films share them.
A segment depends on its plan alone, so its bytes are those of a run without Ray on the same type of machine. All
machines must see films and results at the same paths: that is where segments wait to be joined.
"""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import LocalRayletDiedError, NodeDiedError, RayError

from vintage_colorizer.archive.films import color_one
from vintage_colorizer.archive.inputs import Found, Item, Outcome
from vintage_colorizer.errors import OutputError, UnreadableError
from vintage_colorizer.film.coloring import color_segment
from vintage_colorizer.film.job import Frames, color_film, disk_errors
from vintage_colorizer.film.plan import Plan, Segment
from vintage_colorizer.film.progress import Progress, Report, throttled
from vintage_colorizer.film.workspace import Workspace
from vintage_colorizer.networks.inference import Networks
from vintage_colorizer.options import FilmOptions
from vintage_colorizer.workers.base import Known, Task
from vintage_colorizer.workers.ray import CRASHES, answer, is_death, processors
from vintage_colorizer.workers.stream import stream

HEARTBEAT = 0.5  # seconds between looks at how far films are
PAUSE = 0.01  # seconds for an answer that is there to be noted
DEFAULT_THREADS = 1  # of a segment: many side by side are faster than few with many threads


def outcomes(
    found: Iterable[Found], options: FilmOptions, overwrite: bool, report: Report
) -> Generator[Outcome, None, None]:
    """Color films on the cluster this process is connected to, yielding outcomes as they come.

    `report` is told how far all of them are together. When the consumer stops or is interrupted, the tasks
    are cancelled; finished segments are kept.
    """
    options = options.replace(threads=options.threads or DEFAULT_THREADS)
    overall = ray.remote(num_cpus=0)(_OverallProgress).remote()
    task = ray.remote(num_cpus=1, max_retries=0)(_color_film)
    start = partial(task.remote, options=options, overwrite=overwrite, overall=overall)
    tasks = (Known(one) if isinstance(one, Outcome) else one for one in found)
    for item, outcome in _finish_all(tasks, start, processors(), partial(_show, overall, report)):
        if isinstance(outcome, RayError):
            reason = f"{item.source} brought its process down twice, so it is left out; it may be damaged."
            yield Outcome(str(item.source), "failed", reason, crashed=True)
        else:
            yield outcome


class _OverallProgress:
    """Where films tell how far they are."""

    def __init__(self) -> None:
        self._films: dict[str, Progress] = {}

    def put(self, film: str, progress: Progress) -> None:
        """Note how far a film is."""
        self._films[film] = progress

    def sum(self) -> Progress | None:
        """How far all films are that were begun."""
        known = [one for one in self._films.values() if one.stage != "scanning" and one.total is not None]
        if not known:
            return next(iter(self._films.values()), None)
        total = sum(one.total or 0 for one in known)
        return Progress("coloring", sum(one.done for one in known), total, sum(one.shots for one in known))


def _show(overall: Any, report: Report) -> None:
    progress = ray.get(overall.sum.remote())
    if progress is not None:
        report(progress)


def _color_film(item: Item, *, options: FilmOptions, overwrite: bool, overall: Any) -> Outcome:
    """Color a film, its segments elsewhere."""
    if isinstance(item.source, Path) and not item.source.exists():
        return Outcome(str(item.source), "failed", _unshared(item.source))

    def color(source: Path, target: Path, options: FilmOptions) -> Any:
        report = throttled(lambda progress: overall.put.remote(str(source), progress))
        return color_film(
            source,
            target,
            _networks(),
            options,
            overwrite=overwrite,
            report=report,
            color_segments=_color_elsewhere,
        )

    return color_one(item, options, color)


@lru_cache(maxsize=1)
def _networks() -> Networks:
    """One for each process: a network is loaded once."""
    return Networks()


def _unshared(path: Path) -> str:
    return (
        f"The machine {platform.node()} does not see {path}; on a cluster, films and results must lie in folders "
        "that all machines share, under the same paths."
    )


def _color_elsewhere(
    plan: Plan, segments: Sequence[Segment], workspace: Workspace, networks: Networks, frames: Frames
) -> None:
    """Color segments as tasks of the cluster."""
    threads = plan.encoding.threads
    shared = ray.put(plan)
    gpus = int(plan.options.device == "cuda")
    task = ray.remote(num_cpus=threads, num_gpus=gpus, max_retries=0)(_color_segment)
    start = lambda segment: task.remote(shared, segment, str(workspace.target.absolute()))  # noqa: E731
    for segment, failure in _finish_all(segments, start, 2 * max(1, processors() // threads)):
        if isinstance(failure, RayError):
            frames_named = f"frames {segment.start} to {segment.stop - 1}"
            raise UnreadableError(f"crashed the decoder or encoder twice at {frames_named}.", plan.source.path)
        frames(segment.stop - segment.start)


def _color_segment(plan: Plan, segment: Segment, target: str) -> None:
    """Color and keep one segment."""
    workspace = Workspace(Path(target))
    for path in (Path(plan.source.path), workspace.folder):
        if not path.exists():
            raise OutputError(_unshared(path))
    path = workspace.open_path(segment, f"-{platform.node()}-{os.getpid()}")
    with disk_errors(workspace):
        chroma = color_segment(plan, segment, path, _networks(), colors=workspace.colors)
        workspace.finish(segment, path, chroma)


def _finish_all(
    tasks: Iterable[Task | Known[Any]],
    start: Callable[[Task], Any],
    limit: int,
    look: Callable[[], None] = lambda: None,
) -> Iterator[tuple[Any, Any]]:
    """Start a Ray task for each of ours, `limit` at a time, and yield their answers as they come.

    One whose process dies is started again; if that dies too, its answer is the RayError. The loss of a
    machine does not count. `look` is called again and again meanwhile. At an error all are cancelled.
    """
    references: dict[Future[Any], Any] = {}
    crashes: Counter[Task] = Counter()

    def submit(task: Task) -> Future[Any]:
        reference = start(task)
        future: Future[Any] = reference.future()
        references[future] = reference
        return future

    def is_lost(task: Task, future: Future[Any]) -> bool:
        del references[future]
        error = future.exception()
        crashes[task] += is_death(error) and not isinstance(error, (NodeDiedError, LocalRayletDiedError))
        return is_death(error) and crashes[task] < CRASHES

    def wait_for_any() -> None:
        if references:  # a task that waits in Ray gives its processor back, to the segments it waits for
            ray.wait(list(references.values()), timeout=HEARTBEAT)
        look()

    try:
        for task, future in stream(
            tasks, submit, lambda: limit, is_lost=is_lost, look=wait_for_any, pause=PAUSE, patient=False
        ):
            yield task, future.exception() if is_death(future.exception()) else answer(future)
    finally:
        for reference in references.values():
            ray.cancel(reference, force=True)
