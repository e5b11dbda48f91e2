from __future__ import annotations

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from support.bad_films import frames_of, luma_of, make_film
from support.waiting import until
from vintage_colorizer.colorizer import Colorizer
from vintage_colorizer.errors import (
    DiskFullError,
    EngineError,
    OutOfMemoryError,
    OutputExistsError,
    UnreadableError,
    VintageColorizerError,
)
from vintage_colorizer.film import process as film_worker
from vintage_colorizer.film.job import FilmResult
from vintage_colorizer.film.process import color_in_worker
from vintage_colorizer.film.progress import Progress
from vintage_colorizer.options import FilmOptions

pytestmark = pytest.mark.long

SOURCE = str(Path(film_worker.__file__).parents[2])
OPTIONS = FilmOptions.of(threads=1, render_factor=7, codec="ffv1")
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@pytest.fixture
def slow_film(tmp_path: Path) -> Path:
    """Forty frames in four segments, as a frame lasts a second."""
    return make_film(tmp_path / "in.mkv", rate=1, frames=40, size=(64, 96))


def start(source: Path, target: Path) -> subprocess.Popen[bytes]:
    words = [sys.executable, "-m", "vintage_colorizer", "film", str(source), "-o", str(target)]
    settings = ["--threads", "1", "--render-factor", "7", "--codec", "ffv1"]
    environment = {**os.environ, "PYTHONPATH": SOURCE}
    return subprocess.Popen([*words, *settings], env=environment, stderr=subprocess.PIPE, start_new_session=True)


def color(source: Path, target: Path, report: Callable[[Progress], None] = lambda now: None) -> FilmResult:
    return color_in_worker(source, target, OPTIONS, overwrite=False, report=report)


class Enough(Exception):
    pass


def stop(now: Progress) -> None:
    """Stop a film in the third segment."""
    if now.stage == "coloring" and now.done >= 25:
        raise Enough


def parts(target: Path) -> Path:
    return target.with_name(f".{target.name}.parts")


def is_whole(source: Path, target: Path) -> bool:
    pairs = zip(luma_of(source), luma_of(target), strict=True)
    return all(np.array_equal(one, other) for one, other in pairs)


def worker_of(parent: int) -> int | None:
    for line in subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True).stdout.splitlines():
        words = line.split(None, 2)
        if words[1] == str(parent) and "film.process" in words[2]:
            return int(words[0])
    return None


def kill_and_resume(source: Path, target: Path, times: int, chance: random.Random) -> FilmResult:
    for _ in range(times):
        process = start(source, target)
        before = len(list(parts(target).glob("0*.json")))
        enough = before + chance.randint(1, 2)
        until(lambda: process.poll() is not None or len(list(parts(target).glob("0*.json"))) >= enough)  # noqa: B023
        time.sleep(chance.random() * 0.2)
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)  # the worker has to notice by itself
        process.communicate()
        assert not target.exists() or is_whole(source, target)
    return color(source, target)


@linux
def test_kill_loses_at_most_the_open_segment(slow_film: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    result = kill_and_resume(slow_film, target, 1, random.Random(1))
    assert result.resumed >= 10
    assert is_whole(slow_film, target)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


@linux
@pytest.mark.slow
def test_ten_kills_at_random_times(slow_film: Path, tmp_path: Path) -> None:
    for seed in range(10):
        target = tmp_path / f"out{seed}.mkv"
        kill_and_resume(slow_film, target, 2, random.Random(seed))
        assert is_whole(slow_film, target)


def test_a_resumed_film_is_the_same_bytes_as_one_made_at_once(slow_film: Path, tmp_path: Path) -> None:
    once, resumed = tmp_path / "once.mkv", tmp_path / "resumed.mkv"
    color(slow_film, once)

    with pytest.raises(Enough):
        color(slow_film, resumed, stop)
    assert color(slow_film, resumed).resumed >= 20
    assert content(once) == content(resumed)


def test_a_film_begun_by_an_earlier_version_goes_on(slow_film: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    with pytest.raises(Enough):
        color(slow_film, target, stop)
    plan = parts(target) / "plan.json"
    values = json.loads(plan.read_text())
    del values["signatures"], values["damaged"]  # which version 0.2.0 did not write
    plan.write_text(json.dumps(values))
    assert color(slow_film, target).resumed >= 20
    assert is_whole(slow_film, target)


def content(path: Path) -> list[bytes]:
    return [frame.to_ndarray().tobytes() for frame in frames_of(path)]


@linux
def test_interrupt_stops_at_once_and_can_be_resumed(slow_film: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    process = start(slow_film, target)
    until(lambda: list(parts(target).glob("0*.json")))
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    _, said = process.communicate(timeout=60)
    assert process.returncode == 130 and not target.exists()
    assert b"run the same command" in said
    assert color(slow_film, target).resumed >= 10


@linux
def test_a_second_writer_is_refused(slow_film: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    failures: list[Exception] = []

    def second(now: Progress) -> None:
        if now.stage == "coloring" and not failures:
            first = worker_of(os.getpid())
            assert first is not None
            os.kill(first, signal.SIGSTOP)
            try:
                color(slow_film, target)
            except OutputExistsError as error:
                failures.append(error)
            os.kill(first, signal.SIGCONT)

    color(slow_film, target, second)
    assert "another process" in str(failures[0])
    assert is_whole(slow_film, target)


def test_other_options_start_over(slow_film: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"

    with pytest.raises(Enough):
        color(slow_film, target, stop)
    other = OPTIONS.replace(saturation=0.5)
    assert color_in_worker(slow_film, target, other, overwrite=False, report=lambda now: None).resumed == 0


def test_a_source_that_was_moved_goes_on_and_one_that_changes_fails(slow_film: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"
    with pytest.raises(Enough):
        color(slow_film, target, stop)
    moved = slow_film.rename(tmp_path / "moved.mkv")

    def touch(now: Progress) -> None:
        if now.stage == "coloring" and now.done > 30:
            os.utime(moved, (1, 1))

    with pytest.raises(UnreadableError, match="changed"):
        color(moved, target, touch)
    assert color(moved, target).resumed == 0


def test_a_damaged_segment_is_made_again(slow_film: Path, tmp_path: Path) -> None:
    target = tmp_path / "out.mkv"

    with pytest.raises(Enough):
        color(slow_film, target, stop)
    first = parts(target) / "000000.mkv"
    data = bytearray(first.read_bytes())
    data[len(data) // 2] ^= 0xFF
    first.write_bytes(data)
    result = color(slow_film, target)
    assert is_whole(slow_film, target)
    assert result.resumed < 25


@linux
@pytest.mark.parametrize(
    ("blow", "kind", "words"),
    [
        (signal.SIGSEGV, UnreadableError, "SIGSEGV"),
        (signal.SIGSTOP, UnreadableError, "hang"),
        (signal.SIGKILL, OutOfMemoryError, "memory"),
        (signal.SIGTERM, EngineError, "stopped"),
    ],
)
def test_only_a_crash_or_hang_is_the_films_own_error(
    slow_film: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    blow: signal.Signals,
    kind: type[VintageColorizerError],
    words: str,
) -> None:
    def strike(now: Progress) -> None:
        if now.stage == "coloring" and now.done < 20:
            worker = worker_of(os.getpid())
            assert worker is not None
            os.kill(worker, blow)
            monkeypatch.setattr(film_worker, "SILENCE", 2.0)

    with pytest.raises(kind, match=words):
        color(slow_film, tmp_path / "out.mkv", strike)
    assert worker_of(os.getpid()) is None
    monkeypatch.undo()
    color(slow_film, tmp_path / "out.mkv")  # the next film goes on


@linux
def test_a_full_disk_keeps_what_is_done(tmp_path: Path) -> None:
    source = make_film(tmp_path / "in.mkv", rate=1, frames=40, size=(64, 64))
    target = tmp_path / "out.mkv"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.raises(DiskFullError, match=r"No space .* MiB are needed"):
        try:
            resource.setrlimit(resource.RLIMIT_FSIZE, (45_000, limits[1]))
            color(source, target)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert not target.exists()
    assert color(source, target).resumed > 0
    assert is_whole(source, target)


def test_done_films_are_skipped_and_strange_ones_left_alone(tmp_path: Path) -> None:
    source = make_film(tmp_path / "in.mkv", frames=3)
    target = tmp_path / "out.mkv"
    assert color(source, target).skipped == ""
    assert color(source, target).skipped == "done before"
    assert "before" in color(target, tmp_path / "again.mkv").skipped
    with pytest.raises(OutputExistsError, match="overwrite"):
        color_in_worker(source, target, OPTIONS.replace(saturation=0.5), overwrite=False, report=lambda now: None)
    with pytest.raises(OutputExistsError, match="source itself"):
        color(source, source)


def test_the_library_colors_films(tmp_path: Path) -> None:
    source = make_film(tmp_path / "in.mkv", frames=5)
    seen: list[Progress] = []
    colorizer = Colorizer(threads=1)
    result = colorizer.film(source, tmp_path / "out.mp4", render_factor=7, progress=seen.append)
    assert (result.frames, result.look) == (5, "video")
    assert seen[-1].done == seen[-1].total == 5
    assert [frame.rgb.shape for frame in colorizer.frames(source, render_factor=7)] == [(64, 96, 3)] * 5


def test_the_command_goes_on_after_a_bad_film(tmp_path: Path) -> None:
    (tmp_path / "films").mkdir()
    make_film(tmp_path / "films" / "b.mkv", frames=3)
    (tmp_path / "films" / "a.mp4").write_bytes(b"\0" * 2000)
    (tmp_path / "films" / "readme.txt").write_text("hello")
    report = tmp_path / "report.jsonl"
    process = start(tmp_path / "films", tmp_path / "out")
    process.communicate()
    words = [sys.executable, "-m", "vintage_colorizer", "film", str(tmp_path / "films"), "-o", str(tmp_path / "out")]
    settings = ["--threads", "1", "--render-factor", "7", "--report", str(report), "--codec", "ffv1"]
    done = subprocess.run([*words, *settings], env={**os.environ, "PYTHONPATH": SOURCE}, capture_output=True)
    assert done.returncode == 1
    lines = [json.loads(line) for line in report.read_text().splitlines()]
    found = {Path(line["path"]).name: line["status"] for line in lines}
    assert found == {"a.mp4": "failed", "b.mkv": "skipped", "readme.txt": "skipped"}
    assert b"a.mp4" in done.stderr


def memory_of(process: int) -> float:
    """MiB a process holds at present."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


@linux
@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_a_hundred_thousand_frames_in_flat_memory(tmp_path: Path) -> None:
    def slowly(index: int, height: int, width: int) -> Any:
        return np.full((height, width), 0.2 + 0.1 * (index // 500 % 7))

    source = make_film(tmp_path / "in.mkv", codec="libx264", frames=100_001, size=(16, 16), pattern=slowly)
    memory: dict[int, float] = {}

    def watch(now: Progress) -> None:
        worker = worker_of(os.getpid()) if now.stage == "coloring" and now.done // 10_000 not in memory else None
        if worker is not None:
            memory[now.done // 10_000] = memory_of(worker)

    result = color_in_worker(source, tmp_path / "out.mp4", OPTIONS.replace(codec="h264"), overwrite=False, report=watch)
    assert result.frames == 100_001
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert sum(1 for packet in container.demux(video=0) if packet.size) == 100_001
    assert memory[9] < memory[1] + 40
