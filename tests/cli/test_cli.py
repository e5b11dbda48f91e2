"""The command line as a user meets it: real processes, real files, documented exit codes."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from support import bad_files
from vintage_colorizer.cli.doctor import both_runtimes
from vintage_colorizer.photo.reading import probe
from vintage_colorizer.version import __version__

pytestmark = pytest.mark.long

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="signals and limits are POSIX")
COMMAND = [sys.executable, "-m", "vintage_colorizer"]


def run(*arguments: str | Path, cwd: Path, stdin: bytes = b"", prefix: str = "") -> subprocess.CompletedProcess[bytes]:
    """Run the command; `prefix` is Python run in the process before it, to set limits."""
    program = COMMAND
    if prefix:
        program = [sys.executable, "-c", f"{prefix}\nfrom vintage_colorizer.cli.app import main; main()"]
    words = [str(argument) for argument in arguments]
    return subprocess.run([*program, *words], cwd=cwd, input=stdin, capture_output=True, timeout=120)


def said(result: subprocess.CompletedProcess[bytes]) -> str:
    return result.stderr.decode()


def test_one_photo(photo_file: Path) -> None:
    result = run("photo", photo_file.name, cwd=photo_file.parent)
    assert result.returncode == 0, said(result)
    assert result.stdout == b""
    assert "Wrote photo-color.jpg" in said(result)
    with Image.open(photo_file.parent / "photo-color.jpg") as image:
        colored = np.asarray(image).astype(int)
    assert np.abs(colored[..., 0] - colored[..., 2]).mean() > 5
    with Image.open(photo_file) as image:
        source = np.asarray(image)
    assert np.abs(colored @ np.array([0.299, 0.587, 0.114]) - source).mean() <= 1


@POSIX
def test_nothing_is_noted_about_the_user(photo_file: Path, tmp_path: Path) -> None:
    """ONNX Runtime would note a number for this machine and what it did, to tell its makers."""
    home = tmp_path / "home"
    home.mkdir()
    places = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    fresh = f"import os; os.environ.pop('ORT_DISABLE_TELEMETRY', None); os.environ.update({places})"
    result = run("photo", photo_file.name, cwd=photo_file.parent, prefix=fresh)
    assert result.returncode == 0, said(result)
    assert list(home.iterdir()) == []


def test_a_folder_with_a_bad_file(photo_file: Path) -> None:
    folder = photo_file.parent
    (folder / "broken.jpg").write_bytes(photo_file.read_bytes()[:5000])
    (folder / "page.jpg").write_bytes(b"<!DOCTYPE html><html></html>")
    result = run("photo", folder, "-o", folder / "out", "--report", folder / "report.jsonl", cwd=folder)
    assert result.returncode == 1
    assert "1 colored" in said(result) and "2 failed" in said(result)
    assert "broken.jpg" in said(result) and "looks like HTML" in said(result)
    lines = [json.loads(line) for line in (folder / "report.jsonl").read_text().splitlines()]
    assert sorted(line["status"] for line in lines if line["path"].endswith(".jpg")) == ["done", "failed", "failed"]
    assert (folder / "out" / "photo.jpg").exists()
    assert not list(folder.rglob("*.part*"))


@pytest.mark.parametrize("name", sorted(bad_files.UNREADABLE | bad_files.UNSUPPORTED | bad_files.TOO_LARGE))
def test_every_bad_picture_is_one_sentence_and_no_output(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from vintage_colorizer.cli import photo as commands
    from vintage_colorizer.cli.console import Console
    from vintage_colorizer.options import JobOptions, PhotoOptions

    maker = (bad_files.UNREADABLE | bad_files.UNSUPPORTED | bad_files.TOO_LARGE)[name]
    source = tmp_path / "bad.jpg"
    source.write_bytes(maker())
    code = commands.color_photos([source], None, PhotoOptions(threads=1), JobOptions(), Console(quiet=True))
    assert code == 1
    error = capsys.readouterr().err.strip()
    assert error.startswith("Failed:") and "bad.jpg" in error and "\n" not in error and "Traceback" not in error
    assert [path.name for path in tmp_path.iterdir()] == ["bad.jpg"]


@pytest.mark.parametrize("name", sorted(bad_files.ODD))
def test_every_odd_picture_is_colored(name: str, tmp_path: Path) -> None:
    from vintage_colorizer.cli import photo as commands
    from vintage_colorizer.cli.console import Console
    from vintage_colorizer.options import JobOptions, PhotoOptions

    source = tmp_path / "odd"
    source.write_bytes(bad_files.ODD[name]())
    options = PhotoOptions(threads=1, render_factor=7)
    code = commands.color_photos([source], tmp_path / "out", options, JobOptions(), Console(quiet=True))
    assert code == 0
    (target,) = (tmp_path / "out").iterdir()
    before, after = probe(source), probe(target)
    assert (before.width, before.height) == (after.width, after.height)


def test_standard_input_to_standard_output(photo_file: Path) -> None:
    result = run("photo", "-", cwd=photo_file.parent, stdin=photo_file.read_bytes())
    assert result.returncode == 0, said(result)
    with Image.open(io.BytesIO(result.stdout)) as image:
        assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (512, 512))
    assert [path.name for path in photo_file.parent.iterdir()] == ["photo.jpg"]


def test_standard_input_to_a_file_of_another_format(photo_file: Path) -> None:
    result = run("photo", "-", "-o", "x.png", cwd=photo_file.parent, stdin=photo_file.read_bytes())
    assert result.returncode == 0, said(result)
    with Image.open(photo_file.parent / "x.png") as image:
        assert image.format == "PNG"


def test_bad_standard_input(tmp_path: Path) -> None:
    result = run("photo", "-", "-o", "x.png", cwd=tmp_path, stdin=b"")
    assert result.returncode == 1
    assert "empty" in said(result)
    assert not list(tmp_path.iterdir())


def test_contact_sheet(photo_file: Path) -> None:
    result = run("photo", photo_file, "--try", "8,16,auto", cwd=photo_file.parent)
    assert result.returncode == 0, said(result)
    with Image.open(photo_file.parent / "photo-try.jpg") as sheet:
        assert sheet.width > 3 * 512


def test_a_contact_sheet_overwrites_nothing_and_is_no_input(photo_file: Path) -> None:
    folder, before = photo_file.parent, photo_file.read_bytes()
    onto_source = run("photo", photo_file, "--try", "8,9", "-o", photo_file, "--overwrite", cwd=folder)
    assert onto_source.returncode == 1 and "is the source itself" in said(onto_source)
    assert photo_file.read_bytes() == before
    for words, code in (["8,9"], 0), (["8,9"], 0), (["8,10"], 1), (["8,10", "--overwrite"], 0):
        assert run("photo", photo_file, "--try", *words, cwd=folder).returncode == code
    assert "1 colored, 1 skipped" in said(run("photo", folder, "-o", "out", cwd=folder))


def test_certainty_is_written_beside_the_result(photo_file: Path) -> None:
    folder = photo_file.parent
    result = run("photo", photo_file, "--certainty", "sure.png", cwd=folder)
    assert result.returncode == 0 and "Wrote sure.png" in said(result), said(result)
    assert (folder / "photo-color.jpg").exists()
    with Image.open(folder / "sure.png") as sure, Image.open(photo_file) as photo:
        assert (sure.mode, sure.size) == ("RGB", photo.size) and np.ptp(np.asarray(sure)) > 30
    (folder / "other.png").write_bytes(b"mine")
    for target, code in (("sure.png", 0), ("other.png", 1), (photo_file.name, 1), ("sure.txt", 2)):
        assert run("photo", photo_file, "--certainty", target, cwd=folder).returncode == code
    assert (folder / "other.png").read_bytes() == b"mine"
    assert run("photo", folder, "--certainty", "a.png", cwd=folder).returncode == 2


def test_standard_input_overwrites_nothing_and_is_reported(photo_file: Path) -> None:
    folder, stdin = photo_file.parent, photo_file.read_bytes()
    (folder / "x.jpg").write_bytes(b"precious")
    words = ("photo", "-", "-o", "x.jpg", "--report", "r.jsonl")
    refused = run(*words, cwd=folder, stdin=stdin)
    assert refused.returncode == 1 and "use --overwrite" in said(refused)
    assert (folder / "x.jpg").read_bytes() == b"precious"
    assert run(*words, "--overwrite", cwd=folder, stdin=stdin).returncode == 0
    written = (folder / "x.jpg").stat().st_mtime_ns
    assert run(*words, cwd=folder, stdin=stdin).returncode == 0  # done before
    assert (folder / "x.jpg").stat().st_mtime_ns == written
    lines = [json.loads(line) for line in (folder / "r.jsonl").read_text().splitlines()]
    assert [(line["path"], line["status"]) for line in lines] == [("-", "failed"), ("-", "done"), ("-", "done")]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has a device that is always full")
def test_standard_output_that_is_full(photo_file: Path) -> None:
    with open("/dev/full", "wb") as full:
        process = subprocess.run(
            [*COMMAND, "photo", "-"], input=photo_file.read_bytes(), stdout=full, stderr=subprocess.PIPE
        )
    assert process.returncode == 1
    assert b"No space is left" in process.stderr and b"Traceback" not in process.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (["photo", "missing.jpg"], 1, "missing.jpg"),
        (["photo", "p.jpg", "--render-factor", "3"], 2, "render-factor cannot be '3'"),
        (["photo", "p.jpg", "--look", "sepia"], 2, "look cannot be 'sepia'"),
        (["photo", "p.jpg", "-o", "p.xyz"], 2, "is not a format of a result"),
        (["photo", "p.jpg", "--try", "8,90"], 2, "render-factor cannot be '90'"),
        (["photo", "p.jpg", "-"], 2, "cannot be mixed"),
        (["photo", ""], 2, "One of the names is empty"),
        (["photo", "p.jpg", "--report", "p.jpg"], 2, "has the name of a picture"),
        (["photo", "n" * 300 + ".jpg"], 1, "cannot be opened"),
        (["photo", "p.jpg", "-o", "x.png", "--format", "jpeg"], 2, "say different things"),
        (["photo", "-", "-o", "."], 2, "does not say a format of a result"),
        (["photo", "p.jpg", "--frobnicate"], 2, "No such option"),
        (["photo", "p.jpg", "--weights", "none.onnx"], 3, "none.onnx cannot be read"),
        (["photo", "p.jpg", "--device", "mps"], 2, "cannot use mps"),
    ],
)
def test_exit_codes(photo_file: Path, arguments: list[str], code: int, says: str) -> None:
    photo_file.rename(photo_file.with_name("p.jpg"))
    result = run(*arguments, cwd=photo_file.parent)
    assert result.returncode == code, said(result)
    assert says in said(result)
    assert "Traceback" not in said(result)
    assert [path.name for path in photo_file.parent.iterdir()] == ["p.jpg"]


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    for words in (["missing.jpg"], [".", "--weights", "none.onnx"]):
        assert "Traceback" in said(run("photo", *words, "--debug", cwd=tmp_path))


def test_a_file_may_be_called_debug(tmp_path: Path) -> None:
    result = run("photo", "--", "--debug", cwd=tmp_path)
    assert result.returncode == 1 and "Traceback" not in said(result)
    assert "--debug cannot be opened" in said(result)


def test_all_commands_can_be_quiet_and_show_tracebacks(tmp_path: Path) -> None:
    from typer.main import get_command

    from vintage_colorizer.cli.app import app

    program = get_command(app)
    weights = program.commands["weights"]  # type: ignore[attr-defined]
    commands = {**program.commands, **weights.commands}  # type: ignore[attr-defined]
    for name, command in commands.items():
        options = {flag for one in command.params for flag in one.opts}
        assert name == "weights" or {"--quiet", "-q", "--debug"} <= options, name
    for words in (["weights", "export", "nothing", "x.onnx"], ["weights", "import", "absent.pth"]):
        assert "Traceback" not in said(run(*words, cwd=tmp_path))
        assert "Traceback" in said(run(*words, "--debug", cwd=tmp_path))


def test_quiet_says_nothing_on_success(photo_file: Path) -> None:
    result = run("photo", photo_file, "--quiet", cwd=photo_file.parent)
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")


def test_doctor_sees_two_runtimes_in_one_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    assert not both_runtimes()
    found = tmp_path / "onnxruntime_gpu-1.30.0.dist-info"
    found.mkdir()
    (found / "METADATA").write_text("Metadata-Version: 2.1\nName: onnxruntime-gpu\nVersion: 1.30.0\n")
    assert both_runtimes()


def test_version_doctor_and_list(tmp_path: Path) -> None:
    assert run("--version", cwd=tmp_path).stdout.decode().strip() == f"vintage-colorizer {__version__}"
    doctor = run("doctor", cwd=tmp_path).stdout.decode()
    assert "network compact: ready" in doctor and "onnxruntime" in doctor
    assert run("weights", "list", cwd=tmp_path).stdout.decode().split()[:2] == ["compact", "ready"]


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="such names are allowed on Linux only")
def test_odd_file_names(tmp_path: Path, grey: NDArray[np.uint8]) -> None:
    names = [
        b"-rf.jpg",
        b"sp ace 'q\".jpg",
        b"new\nline.jpg",
        "写真.jpg".encode(),
        b"bytes\xff\xfe.jpg",
        b"n" * 251 + b".jpg",
    ]
    for name in names:
        Image.fromarray(grey[::8, ::8]).save(tmp_path / "x.jpg")
        os.rename(os.fsencode(tmp_path / "x.jpg"), os.path.join(os.fsencode(tmp_path), name))
    result = run("photo", tmp_path, "--report", tmp_path / "r.jsonl", cwd=tmp_path)
    assert result.returncode == 0, said(result)
    assert f"{len(names)} colored" in said(result)
    for name in names[:-1]:
        assert os.path.exists(os.path.join(os.fsencode(tmp_path), name.replace(b".jpg", b"-color.jpg")))
    single = run("photo", "-o", "out", "--", "-rf.jpg", cwd=tmp_path)
    assert single.returncode == 0, said(single)


@POSIX
def test_full_disk(photo_file: Path) -> None:
    prefix = "import resource, signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
    prefix += "resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))"
    for number in range(20):
        (photo_file.parent / f"{number}.jpg").write_bytes(photo_file.read_bytes())
    result = run("photo", photo_file.parent, "-o", "out", cwd=photo_file.parent, prefix=prefix)
    assert result.returncode == 1
    assert "No space" in said(result)
    assert said(result).count("Failed:") <= 8  # the rest would fail alike and is not tried
    assert not list((photo_file.parent / "out").iterdir())


@POSIX
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may write anywhere")
def test_folder_that_cannot_be_written(photo_file: Path) -> None:
    photo_file.parent.chmod(0o500)
    try:
        result = run("photo", photo_file, cwd=photo_file.parent)
    finally:
        photo_file.parent.chmod(0o700)
    assert result.returncode == 1 and "cannot be written" in said(result)


@POSIX
def test_interrupt_keeps_what_is_done_and_a_second_run_goes_on(photo_file: Path) -> None:
    folder = photo_file.parent
    for number in range(60):
        (folder / f"{number}.jpg").write_bytes(photo_file.read_bytes())
    words = [*COMMAND, "photo", str(folder), "-o", str(folder / "out"), "--threads", "2"]
    process = subprocess.Popen(words, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 60
    while not (folder / "out").exists() or len(list((folder / "out").glob("[0-9]*.jpg"))) < 3:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 130
    assert b"Interrupted" in errors and b"Traceback" not in errors
    done = list((folder / "out").glob("*.jpg"))
    assert 3 <= len(done) < 61
    for path in done:
        with Image.open(path) as image:
            image.load()
    assert not list((folder / "out").glob(".*"))
    second = run("photo", folder, "-o", folder / "out", cwd=folder)
    assert second.returncode == 0, said(second)
    assert len(list((folder / "out").glob("*.jpg"))) == 61


@POSIX
@pytest.mark.slow
def test_kill_at_random_times_leaves_only_whole_files(photo_file: Path) -> None:
    folder = photo_file.parent
    for number in range(60):
        (folder / f"{number}.jpg").write_bytes(photo_file.read_bytes())
    words = [*COMMAND, "photo", str(folder), "-o", str(folder / "out"), "--quiet"]
    for pause in np.random.default_rng(0).uniform(0.8, 2.5, 10):
        process = subprocess.Popen(words)
        time.sleep(float(pause))
        process.kill()
        process.wait()
        for path in (folder / "out").glob("[!.]*"):
            with Image.open(path) as image:
                image.load()
    assert subprocess.run(words).returncode == 0
    assert sorted(path.suffix for path in (folder / "out").iterdir()) == [".jpg"] * 61
