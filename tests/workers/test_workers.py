"""Runners: the same work by threads and by processes of a real local Ray, some of which are killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from support.clusters import pictures
from vintage_colorizer import Colorizer
from vintage_colorizer.archive.batch import Batch
from vintage_colorizer.archive.inputs import Item, Outcome
from vintage_colorizer.archive.photos import PhotoWork, run
from vintage_colorizer.errors import OptionError
from vintage_colorizer.options import JobOptions, PhotoOptions
from vintage_colorizer.workers import open_runner
from vintage_colorizer.workers.base import Known, Runner
from vintage_colorizer.workers.local import LocalRunner

pytestmark = pytest.mark.ray

OPTIONS = PhotoOptions(threads=1, render_factor=7)


@pytest.fixture
def runner(local_ray: None) -> Iterator[Runner]:
    with open_runner("local", 2) as runner:
        yield runner


def double(task: int) -> int:
    return 2 * task


def no_crash(task: Any) -> Any:
    raise AssertionError(f"{task} crashed")


def color(item: Item, colorizer: Colorizer) -> Outcome:
    return PhotoWork(colorizer, OPTIONS)(item)


def told(item: Item, colorizer: Colorizer, folder: Path) -> Outcome:
    """Color slowly, and leave a file that names the process."""
    (folder / f"{item.source.name}-{os.getpid()}").touch()
    time.sleep(0.2)
    return color(item, colorizer)


def deadly(item: Item, colorizer: Colorizer, folder: Path) -> Outcome:
    """Color, or die at once where a damaged file would crash a decoder."""
    (folder / f"{item.source.name}-{os.getpid()}").touch()
    if item.source.name == "003.png":
        os.kill(os.getpid(), signal.SIGKILL)
    return color(item, colorizer)


def refuse(task: int) -> int:
    raise OptionError(f"There is no {task}.")


@pytest.mark.parametrize("by_ray", [False, True])
def test_every_task_has_one_result(request: pytest.FixtureRequest, by_ray: bool) -> None:
    runner = request.getfixturevalue("runner") if by_ray else LocalRunner(2)
    tasks = [Known(-1), *range(50), Known(-2)]
    assert sorted(runner.run(tasks, double, no_crash)) == [-2, -1, *range(0, 100, 2)]


@pytest.mark.parametrize("by_ray", [False, True])
def test_tasks_are_taken_only_as_they_are_needed(request: pytest.FixtureRequest, by_ray: bool) -> None:
    runner = request.getfixturevalue("runner") if by_ray else LocalRunner(2)
    taken = 0

    def tasks() -> Iterator[int]:
        nonlocal taken
        for number in range(1, 1001):
            taken = number
            yield number

    results = runner.run(tasks(), double, no_crash)
    for count in range(1, 11):
        next(results)
        assert taken <= count + 2 * 2 + 1 + 1  # held by workers, the next, and one begun meanwhile
    results.close()  # type: ignore[union-attr]


@pytest.mark.parametrize("by_ray", [False, True])
def test_an_error_in_the_work_is_raised_as_it_was(request: pytest.FixtureRequest, by_ray: bool) -> None:
    runner = request.getfixturevalue("runner") if by_ray else LocalRunner(2)
    with pytest.raises(OptionError, match=r"^There is no \d+\.$"):
        list(runner.run(range(1, 5), refuse, no_crash))


def test_photos_are_the_same_as_without_ray(runner: Runner, colorizer: Colorizer, tmp_path: Path) -> None:
    pictures(tmp_path / "in", 8)
    (tmp_path / "in" / "bad.png").write_bytes(b"<html>")
    (tmp_path / "in" / "notes.txt").write_text("not a picture")
    told = {}
    for name, by in (("here", LocalRunner(2)), ("there", runner)):
        items = Batch.parse([tmp_path / "in"], tmp_path / name).find()
        work = partial(color, colorizer=colorizer)
        told[name] = {one.path: (one.status, one.reason) for one in run(items, work, by, JobOptions())}
    assert told["here"] == told["there"] and len(told["here"]) == 10
    results = sorted((tmp_path / "here").iterdir())
    assert len(results) == 8
    for path in results:
        assert path.read_bytes() == (tmp_path / "there" / path.name).read_bytes()


def begun_by(folder: Path) -> dict[str, list[int]]:
    """The processes that began the work on each file, in order of their numbers."""
    begun: dict[str, list[int]] = {}
    for path in sorted(folder.iterdir()):
        name, _, process = path.name.rpartition("-")
        begun.setdefault(name, []).append(int(process))
    return begun


def outcomes_of(work: Callable[..., Outcome], colorizer: Colorizer, runner: Runner, folder: Path) -> Iterator[Outcome]:
    (folder / "begun").mkdir()
    task = partial(work, colorizer=colorizer, folder=folder / "begun")
    return run(Batch.parse([folder / "in"], folder / "out").find(), task, runner, JobOptions())


def test_a_killed_worker_loses_and_doubles_nothing(runner: Runner, colorizer: Colorizer, tmp_path: Path) -> None:
    pictures(tmp_path / "in", 24)
    outcomes = outcomes_of(told, colorizer, runner, tmp_path)
    found = [next(outcomes) for _ in range(5)]
    last = max((tmp_path / "begun").iterdir(), key=lambda path: path.stat().st_mtime_ns)
    os.kill(int(last.name.rpartition("-")[2]), signal.SIGKILL)
    found += outcomes
    assert sorted(Path(one.path).name for one in found) == [f"{number:03d}.png" for number in range(24)]
    assert {one.status for one in found} <= {"done", "skipped"}
    assert all(one.reason == "done before" for one in found if one.status == "skipped")
    assert len(list((tmp_path / "out").glob("*.png"))) == 24
    begun = begun_by(tmp_path / "begun")
    assert sum(len(processes) > 1 for processes in begun.values()) <= 2  # what that worker had in hand
    assert len({process for processes in begun.values() for process in processes}) == 3


def test_a_file_that_crashes_its_process_twice_is_left_out(
    runner: Runner, colorizer: Colorizer, tmp_path: Path
) -> None:
    pictures(tmp_path / "in", 10)
    found = {Path(one.path).name: one for one in outcomes_of(deadly, colorizer, runner, tmp_path)}
    assert len(found) == 10
    bad = found.pop("003.png")
    assert (bad.status, bad.crashed) == ("failed", True)
    assert "003.png brought its process down twice" in bad.reason
    assert {one.status for one in found.values()} <= {"done", "skipped"}
    assert len(list((tmp_path / "out").glob("*.png"))) == 9
    assert len(begun_by(tmp_path / "begun")["003.png"]) == 2


def test_fail_fast_stops_the_run(runner: Runner, colorizer: Colorizer, tmp_path: Path) -> None:
    pictures(tmp_path / "in", 40)
    (tmp_path / "in" / "bad.png").write_bytes(b"<html>")
    paths = [tmp_path / "in" / "bad.png", *sorted((tmp_path / "in").glob("0*.png"))]
    work = partial(color, colorizer=colorizer)
    found = list(run(Batch.parse(paths, tmp_path / "out").find(), work, runner, JobOptions(fail_fast=True)))
    assert found and len(found) <= 2 * 2 + 1 + 1


@pytest.mark.skipif(sys.platform == "win32", reason="signals of this kind are POSIX")
def test_an_interrupt_comes_after_the_results_of_what_was_under_way(
    runner: Runner, colorizer: Colorizer, tmp_path: Path
) -> None:
    pictures(tmp_path / "in", 40)
    found = []
    with pytest.raises(KeyboardInterrupt):
        for outcome in outcomes_of(told, colorizer, runner, tmp_path):
            found.append(outcome)
            if len(found) == 3:
                threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()
    assert {one.status for one in found} == {"done"}
    assert len(found) == len(list((tmp_path / "out").glob("*.png"))) == len(list((tmp_path / "begun").iterdir())) < 40


def test_ray_is_an_extra() -> None:
    command = "import sys; sys.modules['ray'] = None; from vintage_colorizer.cli.app import main; main()"
    words = [sys.executable, "-c", command, "photo", ".", "-o", "out", "--ray", "local"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1] == "Error: --ray needs an extra: pip install 'vintage-colorizer[ray]'."


def test_nothing_is_told_to_the_makers_of_ray(local_ray: None) -> None:
    from ray._common.usage import usage_lib

    assert not usage_lib.usage_stats_enabled()
