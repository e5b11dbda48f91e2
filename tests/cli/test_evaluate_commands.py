"""`vintage-colorizer evaluate` as a user meets it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from support.training_photos import write_photos

pytestmark = pytest.mark.long

COMMAND = [sys.executable, "-m", "vintage_colorizer", "evaluate"]
QUICK = ["--extractor", "none", "--pans", "0", "--agreement", "1", "--look", "stable", "--resamples", "50"]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    words = [*COMMAND, *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, timeout=200)


def test_table_and_reports(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", each=1)
    reports = tmp_path / "out" / "report.json", tmp_path / "out" / "report.html"
    done = run("--data", tmp_path / "photos", *QUICK, "--report", reports[0], "--report", reports[1])
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert "photos: 4 measured, 0 unreadable" in done.stdout
    assert [line.split()[0] for line in lines if "±" in line] == ["grey", "truth", "compact"]
    head = next(line for line in lines if "colorfulness" in line and "psnr dB" in line)
    assert "mirrored %" in head and "pan" not in done.stdout.split(head)[1]
    gain = json.loads(reports[0].read_text())["table"]["compact stable"]["gain"]
    assert f"{gain['value']:.2f} ±" in done.stdout
    assert reports[1].read_text().startswith("<!doctype html>")


def test_a_bad_photo_is_named_and_the_rest_is_measured(tmp_path: Path) -> None:
    write_photos(tmp_path, each=1)
    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    done = run("--data", tmp_path, *QUICK)
    assert done.returncode == 1
    assert "Failed" in done.stderr and "broken.jpg" in done.stderr
    assert "4 measured, 1 unreadable" in done.stdout


@pytest.mark.parametrize(
    ("words", "code", "reason"),
    [
        (["--vividness", "0.5,2"], 2, "vividness"),
        (["--look", "pretty"], 2, "look"),
        (["--render-factor", "3"], 2, "render-factor"),
        (["--report", "table.csv"], 2, "table.csv"),
        (["--only", "zebra"], 2, "zebra"),
        (["--weights", "absent.onnx"], 3, "absent.onnx"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(tmp_path: Path, words: list[str], code: int, reason: str) -> None:
    write_photos(tmp_path, each=1)
    done = run("--data", tmp_path, "--extractor", "none", *words)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr.startswith("Error: ") and reason in done.stderr and len(done.stderr.splitlines()) == 1


def test_no_photos(tmp_path: Path) -> None:
    done = run("--data", tmp_path / "absent")
    assert done.returncode == 1 and "no pictures" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="signals are POSIX")
def test_an_interrupt_gives_the_figures_so_far(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", each=400)
    report = tmp_path / "report.json"
    words = [*COMMAND, "--data", str(tmp_path / "photos"), *QUICK, "--threads", "2", "--report", str(report)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while not (line := process.stderr.readline()).endswith("left\n"):
        assert line and process.poll() is None
    time.sleep(0.2)
    process.send_signal(signal.SIGINT)
    printed, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Interrupted" in errors and "Traceback" not in errors
    found = json.loads(report.read_text())
    assert found["interrupted"] and 1 <= len(found["photos"]) < 1600
    assert "compact stable" in printed
