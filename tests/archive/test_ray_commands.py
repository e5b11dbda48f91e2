"""The commands on Ray as a user meets them: whole processes, some killed, and a machine that leaves."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.bad_films import frames_of, make_film
from support.clusters import pictures
from support.training_photos import write_photos
from support.waiting import until
from vintage_colorizer.film.workspace import Workspace

pytest.importorskip("ray")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform == "win32", reason="signals of this kind are POSIX"),
]
SOURCE = Path(__file__).parents[2] / "src"
COMMAND = [sys.executable, "-m", "vintage_colorizer"]
SMALL = ["--render-factor", "7"]


def start(*words: object) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(SOURCE)}
    return subprocess.Popen([*COMMAND, *map(str, words)], env=environment, stderr=subprocess.PIPE, text=True)


def finish(process: subprocess.Popen[str], code: int = 0) -> str:
    _, said = process.communicate(timeout=200)
    assert process.returncode == code, said
    assert "Traceback" not in said
    return said


def workers(name: str = "ray::_Worker") -> list[int]:
    lines = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True).stdout.splitlines()
    found = (line.split(None, 1) for line in lines)
    return [int(process) for process, title in found if title.startswith(name)]


def report(path: Path) -> dict[str, str]:
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len({line["path"] for line in lines}) == len(lines)
    return {Path(line["path"]).name: line["status"] for line in lines}


def test_a_killed_worker_and_a_second_run(tmp_path: Path) -> None:
    pictures(tmp_path / "in", 150)
    (tmp_path / "in" / "bad.png").write_bytes(b"<html>")
    words = ["photo", tmp_path / "in", "-o", tmp_path / "out", "--ray", "local", "--threads", "2", *SMALL]
    process = start(*words, "--report", tmp_path / "first.jsonl")
    until(lambda: len(list((tmp_path / "out").glob("*.png"))) > 20)
    os.kill(workers()[0], signal.SIGKILL)
    said = finish(process, 1)
    assert "bad.png is not a picture" in said and "1 failed" in said
    first = report(tmp_path / "first.jsonl")
    assert len(first) == 151 and sum(status == "failed" for status in first.values()) == 1
    assert len(list((tmp_path / "out").glob("*.png"))) == 150
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.png")}
    assert "0 colored, 150 skipped, 1 failed" in finish(start(*words), 1)
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.png")} == times


def test_an_interrupt_keeps_what_is_done(tmp_path: Path) -> None:
    pictures(tmp_path / "in", 400)
    words = ["photo", tmp_path / "in", "-o", tmp_path / "out", "--ray", "local", "--threads", "2", *SMALL]
    process = start(*words)
    until(lambda: len(list((tmp_path / "out").glob("*.png"))) > 5)
    process.send_signal(signal.SIGINT)
    assert "Interrupted." in finish(process, 130)
    done = len(list((tmp_path / "out").glob("*.png")))
    assert 5 < done < 400
    assert not [path for path in (tmp_path / "out").iterdir() if path.name.endswith(".part")]
    assert f"{400 - done} colored" in finish(start(*words))


def test_the_whole_run_killed_is_gone_on_with(tmp_path: Path) -> None:
    pictures(tmp_path / "in", 300)
    words = ["photo", tmp_path / "in", "-o", tmp_path / "out", "--ray", "local", "--threads", "2", *SMALL]
    process = start(*words)
    until(lambda: len(list((tmp_path / "out").glob("*.png"))) > 5)
    process.kill()
    process.communicate()
    until(lambda: not workers())
    said = finish(start(*words, "--report", tmp_path / "report.jsonl"))
    assert "0 failed" in said and len(report(tmp_path / "report.jsonl")) == 300
    assert len(list((tmp_path / "out").glob("*.png"))) == 300


def test_films(tmp_path: Path) -> None:
    for name in ("one.mkv", "two.mkv"):
        (tmp_path / "in").mkdir(exist_ok=True)
        make_film(tmp_path / "in" / name, rate=1, frames=40, size=(64, 96))
    words = ["film", tmp_path / "in", "-o", tmp_path / "out", "--ray", "local", "--codec", "ffv1", *SMALL]
    process = start(*words)
    kept = Workspace(tmp_path / "out" / "one.mkv").folder
    until(lambda: list(kept.glob("0*.json")))
    process.send_signal(signal.SIGINT)
    assert "Finished segments are kept" in finish(process, 130)
    assert list(kept.glob("0*.json"))
    done = len(list((tmp_path / "out").glob("*.mkv")))  # the interrupt may come after one of them
    assert f"{2 - done} colored, {done} skipped, 0 failed" in finish(start(*words))
    for name in ("one.mkv", "two.mkv"):
        assert len(frames_of(tmp_path / "out" / name)) == 40


def test_evaluate_gives_the_same_figures(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", each=2)
    (tmp_path / "photos" / "broken.jpg").write_bytes(b"no photo")
    quick = ["--extractor", "none", "--pans", "1", "--agreement", "2", "--look", "stable", "--resamples", "50"]
    tables = []
    for name, more in (("here", []), ("there", ["--ray", "local"])):
        path = tmp_path / f"{name}.json"
        words = ["evaluate", "--data", tmp_path / "photos", *quick, "--threads", "2", "--report", path]
        finish(start(*words, *more), 1)
        table = json.loads(path.read_text())["table"]
        tables.append(
            {row: {key: one for key, one in found.items() if key != "seconds"} for row, found in table.items()}
        )
    assert tables[0] == tables[1] and "compact stable" in tables[0]


def test_no_cluster_there(tmp_path: Path) -> None:
    pictures(tmp_path / "in", 1)
    words = ["photo", tmp_path / "in", "-o", tmp_path / "out", "--ray", "127.0.0.1:1"]
    assert "No Ray cluster can be used at 127.0.0.1:1" in finish(start(*words), 3)


@pytest.fixture
def cluster() -> Iterator[Any]:
    """A cluster of two machines, as far as Ray can tell, with a processor each."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    try:
        yield cluster
    finally:
        cluster.shutdown()


def test_a_machine_that_leaves_loses_and_doubles_nothing(cluster: Any, tmp_path: Path) -> None:
    pictures(tmp_path / "in", 300)
    leaving = cluster.add_node(num_cpus=1)
    words = ["photo", tmp_path / "in", "-o", tmp_path / "out", "--ray", cluster.address, *SMALL]
    process = start(*words, "--report", tmp_path / "report.jsonl")
    until(lambda: len(workers()) == 2)
    until(lambda: len(list((tmp_path / "out").glob("*.png"))) > 20)
    cluster.remove_node(leaving, allow_graceful=False)
    said = finish(process)
    assert "0 failed" in said
    assert len(report(tmp_path / "report.jsonl")) == 300
    assert len(list((tmp_path / "out").glob("*.png"))) == 300
