"""Films on a real local Ray: the same bytes as without, whatever is killed meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import av
import pytest

from support.bad_films import frames_of, make_film
from vintage_colorizer.archive import films_on_ray as ray_films
from vintage_colorizer.archive.inputs import Item, Outcome
from vintage_colorizer.colorizer import Colorizer
from vintage_colorizer.film.job import color_film
from vintage_colorizer.film.progress import Progress
from vintage_colorizer.options import FilmOptions

OPTIONS = FilmOptions.of(render_factor=7, codec="ffv1", threads=1)
pytestmark = [pytest.mark.ray, pytest.mark.usefixtures("local_ray")]


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Two films of four segments each, as a frame lasts a second."""
    for name in ("one", "two"):
        (tmp_path / "in").mkdir(exist_ok=True)
        make_film(tmp_path / "in" / f"{name}.mkv", rate=1, frames=40 if name == "one" else 35, size=(64, 96))
    return tmp_path / "in"


def color(folder: Path, out: Path, seen: list[Progress] | None = None) -> dict[str, Outcome]:
    report = (seen if seen is not None else []).append
    items = (Item(path, out) for path in sorted(folder.iterdir()))
    return {Path(one.path).name: one for one in ray_films.outcomes(items, OPTIONS, False, report)}


def packets(path: Path) -> list[tuple[int | None, bytes]]:
    """The encoded picture: all of a film but its header, in which Matroska has a random number."""
    with av.open(str(path)) as container:
        return [(packet.pts, bytes(packet)) for packet in container.demux(video=0) if packet.size]


def content(path: Path) -> list[bytes]:
    return [frame.to_ndarray().tobytes() for frame in frames_of(path)]


def segment_processes() -> Iterator[int]:
    for line in subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True).stdout.splitlines():
        process, name = line.split(None, 1)
        if name.startswith("ray::_color_segment"):
            yield int(process)


def test_films_are_the_same_bytes_as_without_ray(films: Path, colorizer: Colorizer, tmp_path: Path) -> None:
    (films / "broken.mkv").write_bytes(b"no film")
    seen: list[Progress] = []
    found = color(films, tmp_path / "out", seen)
    assert {name: one.status for name, one in found.items()} == {
        "one.mkv": "done",
        "two.mkv": "done",
        "broken.mkv": "failed",
    }
    assert "broken.mkv cannot be read as a film" in found["broken.mkv"].reason
    assert seen and seen[-1].total == 75
    for name in ("one.mkv", "two.mkv"):
        here = tmp_path / "here" / name
        color_film(films / name, here, colorizer.networks, OPTIONS, overwrite=False, report=lambda now: None)
        assert packets(tmp_path / "out" / name) == packets(here)
    assert [path.name for path in (tmp_path / "out").iterdir() if path.name.startswith(".")] == []
    assert {one.reason for one in color(films, tmp_path / "out").values() if one.status == "skipped"} == {"done before"}


@pytest.mark.slow
def test_a_killed_segment_is_done_again(films: Path, tmp_path: Path) -> None:
    killed: list[int] = []

    def kill_one() -> None:
        end = time.monotonic() + 60
        while not killed and time.monotonic() < end:
            for process in segment_processes():
                os.kill(process, signal.SIGKILL)
                killed.append(process)
                break
            time.sleep(0.005)

    thread = threading.Thread(target=kill_one)
    thread.start()
    found = color(films, tmp_path / "out")
    thread.join()
    assert killed
    assert {one.status for one in found.values()} == {"done"}
    for name in ("one.mkv", "two.mkv"):
        assert len(content(tmp_path / "out" / name)) == len(content(films / name))


@pytest.mark.slow
def test_a_run_that_was_stopped_goes_on(films: Path, tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def stop(now: Progress) -> None:
        if list((tmp_path / "out").glob(".*.parts/0*.json")):
            raise Enough

    with pytest.raises(Enough):
        list(ray_films.outcomes((Item(path, tmp_path / "out") for path in films.iterdir()), OPTIONS, False, stop))
    assert {one.status for one in color(films, tmp_path / "out").values()} == {"done"}


def test_a_film_that_a_machine_does_not_see_is_said(tmp_path: Path) -> None:
    items = [Item(tmp_path / "absent.mkv", tmp_path / "out")]
    (outcome,) = ray_films.outcomes(items, OPTIONS, False, lambda now: None)
    assert outcome.status == "failed" and "in folders that all machines share" in outcome.reason
