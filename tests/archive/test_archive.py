"""Names, skipping, order of work and isolation of many inputs."""

from __future__ import annotations

import json
import os
import signal
import socket
import sys
import threading
import time
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vintage_colorizer import Colorizer
from vintage_colorizer.archive.batch import Batch
from vintage_colorizer.archive.inputs import Item, Outcome
from vintage_colorizer.archive.names import result_path
from vintage_colorizer.archive.photos import PhotoWork, run
from vintage_colorizer.errors import OptionError
from vintage_colorizer.options import JobOptions, PhotoOptions
from vintage_colorizer.photo.picture import Photo
from vintage_colorizer.photo.reading import probe, read_photo
from vintage_colorizer.photo.result import ColorizedPhoto
from vintage_colorizer.workers.local import LocalRunner

OPTIONS = PhotoOptions(threads=1, render_factor=7)


def save_grey(path: Path, size: tuple[int, int] = (40, 30)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(len(str(path))).integers(0, 256, size[::-1], dtype=np.uint8)
    Image.fromarray(values).save(path)
    return path


def color_all(
    colorizer: Colorizer, paths: list[Path], out: Path | None = None, overwrite: bool = False
) -> list[Outcome]:
    work = PhotoWork(colorizer, OPTIONS, overwrite)
    return list(run(Batch.parse(paths, out).find(), work, LocalRunner(2), JobOptions()))


def named(item: Item, **options: object) -> str:
    return result_path(item, probe(str(item.source)), PhotoOptions.of(**options)).name


@pytest.mark.parametrize(
    ("name", "content", "beside", "expected"),
    [
        ("a.jpg", "JPEG", True, "a-color.jpg"),
        ("a.JPG", "JPEG", True, "a-color.JPG"),
        ("a.jpeg", "JPEG", False, "a.jpeg"),
        ("a.tif", "TIFF", True, "a-color.tif"),
        ("a.gif", "GIF", True, "a.gif-color.png"),
        ("a.bmp", "BMP", False, "a.bmp.png"),
        ("a.jpg", "PNG", True, "a.jpg-color.png"),  # a PNG by its content
        ("a", "JPEG", True, "a-color.jpg"),
        ("-rf.jpg", "JPEG", True, "-rf-color.jpg"),
        ("写真 'x\".jpg", "JPEG", True, "写真 'x\"-color.jpg"),
    ],
)
def test_names_of_results(tmp_path: Path, name: str, content: str, beside: bool, expected: str) -> None:
    source = tmp_path / name
    with source.open("wb") as file:
        Image.new("L", (8, 8)).save(file, content)
    assert named(Item(source, tmp_path, beside=beside)) == expected


def test_a_chosen_format_shows_in_the_name(tmp_path: Path) -> None:
    item = Item(save_grey(tmp_path / "a.jpg"), tmp_path, beside=True)
    assert named(item, format="tiff") == "a.jpg-color.tif"
    assert named(item, format="jpeg") == "a-color.jpg"


def test_a_name_too_long_is_cut_and_stays_unique(tmp_path: Path) -> None:
    names = []
    for last in "xy":
        source = save_grey(tmp_path / ("ü" * 120 + "n" * 10 + last + ".jpg"))
        names.append(named(Item(source, tmp_path, beside=True)))
    assert all(len(os.fsencode(name)) <= 255 and name.endswith("-color.jpg") for name in names)
    assert names[0] != names[1]


def test_results_of_a_gif_a_jpeg_and_a_png_never_collide(colorizer: Colorizer, tmp_path: Path) -> None:
    for ending in ("gif", "jpg", "png", "bmp"):
        save_grey(tmp_path / "in" / f"a.{ending}")
    outcomes = color_all(colorizer, [tmp_path / "in"])
    assert [one.status for one in outcomes] == ["done"] * 4
    assert len({one.output for one in outcomes}) == 4


def test_a_folder_is_mirrored(colorizer: Colorizer, tmp_path: Path) -> None:
    sources = ["a.jpg", "deep/b.png", "deep/er/c.tif"]
    for name in sources:
        save_grey(tmp_path / "in" / name)
    outcomes = color_all(colorizer, [tmp_path / "in"], tmp_path / "out")
    assert {one.status for one in outcomes} == {"done"}
    found = {str(path.relative_to(tmp_path / "out")) for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert found == {str(Path(name)) for name in sources}


def test_two_folders_keep_apart(colorizer: Colorizer, tmp_path: Path) -> None:
    folders = [tmp_path / "one", tmp_path / "two"]
    for folder in folders:
        save_grey(folder / "a.jpg")
    color_all(colorizer, folders, tmp_path / "out")
    assert (tmp_path / "out" / "one" / "a.jpg").exists() and (tmp_path / "out" / "two" / "a.jpg").exists()


def test_a_second_run_does_nothing_twice(colorizer: Colorizer, tmp_path: Path) -> None:
    save_grey(tmp_path / "a.jpg")
    assert [one.status for one in color_all(colorizer, [tmp_path])] == ["done"]
    written = (tmp_path / "a-color.jpg").stat().st_mtime_ns
    again = color_all(colorizer, [tmp_path])
    assert sorted((one.status, one.reason) for one in again) == [
        ("skipped", "done before"),
        ("skipped", "it was colored by Vintage Colorizer before"),
    ]
    assert (tmp_path / "a-color.jpg").stat().st_mtime_ns == written


def test_a_changed_source_is_reported_and_done_again_only_on_request(colorizer: Colorizer, tmp_path: Path) -> None:
    source = save_grey(tmp_path / "a.jpg")
    color_all(colorizer, [source])
    save_grey(source, (50, 50))
    (outcome,) = color_all(colorizer, [source])
    assert outcome.status == "failed" and "use --overwrite" in outcome.reason
    (outcome,) = color_all(colorizer, [source], overwrite=True)
    assert outcome.status == "done" and outcome.width == 50


def test_a_file_of_somebody_else_is_left_alone(colorizer: Colorizer, tmp_path: Path) -> None:
    source = save_grey(tmp_path / "a.jpg")
    other = tmp_path / "a-color.jpg"
    other.write_bytes(b"precious")
    (outcome,) = color_all(colorizer, [source])
    assert outcome.status == "failed" and "made differently" in outcome.reason
    assert other.read_bytes() == b"precious"


def test_the_source_is_no_target(colorizer: Colorizer, tmp_path: Path) -> None:
    source = save_grey(tmp_path / "a.jpg")
    before = source.read_bytes()
    (outcome,) = color_all(colorizer, [source], tmp_path, overwrite=True)
    assert outcome.status == "failed" and "is the source itself" in outcome.reason
    assert source.read_bytes() == before


def test_a_folder_of_results_inside_the_input_is_not_an_input(colorizer: Colorizer, tmp_path: Path) -> None:
    save_grey(tmp_path / "a.jpg")
    save_grey(tmp_path / "out" / "other.jpg")
    outcomes = color_all(colorizer, [tmp_path], tmp_path / "out")
    assert [Path(one.path).name for one in outcomes] == ["a.jpg"]


def test_one_bad_file_never_stops_the_others(colorizer: Colorizer, tmp_path: Path) -> None:
    for name in ("a.jpg", "c.jpg"):
        save_grey(tmp_path / name)
    (tmp_path / "b.jpg").write_bytes(b"<html>")
    (tmp_path / "notes.txt").write_text("not a picture")
    outcomes = {Path(one.path).name: one for one in color_all(colorizer, [tmp_path])}
    assert {name: one.status for name, one in outcomes.items()} == {
        "a.jpg": "done",
        "b.jpg": "failed",
        "c.jpg": "done",
        "notes.txt": "skipped",
    }
    assert "HTML" in outcomes["b.jpg"].reason


@pytest.mark.skipif(sys.platform == "win32", reason="pipes, sockets and links of this kind are POSIX")
def test_strange_things_in_a_folder_are_passed_over(colorizer: Colorizer, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    save_grey(folder / "good.jpg")
    os.mkfifo(folder / "pipe.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(folder)  # a socket's path must be short
        try:
            server.bind("socket.jpg")
        finally:
            os.chdir(here)
    (folder / "loop").symlink_to(folder)
    (folder / "dangling.jpg").symlink_to(folder / "gone.jpg")
    (folder / "circle.jpg").symlink_to(folder / "circle.jpg")
    outcomes = {Path(one.path).name: one for one in color_all(colorizer, [folder], tmp_path / "out")}
    assert outcomes["good.jpg"].status == "done"
    assert outcomes["loop"].status == "skipped" and "not followed" in outcomes["loop"].reason
    for name in ("pipe.jpg", "socket.jpg", "dangling.jpg", "circle.jpg"):
        assert outcomes[name].status == "skipped" and "not a file" in outcomes[name].reason
    (named,) = color_all(colorizer, [folder / "pipe.jpg"], tmp_path / "out")  # asked for by name: not silently
    assert named.status == "failed" and "is not a file" in named.reason


def test_a_file_that_vanishes_fails_alone(colorizer: Colorizer, tmp_path: Path) -> None:
    for name in ("a.jpg", "b.jpg"):
        save_grey(tmp_path / name)

    def work(item: Item) -> Outcome:
        if item.source.name == "a.jpg":
            Path(str(item.source)).unlink()
        return PhotoWork(colorizer, OPTIONS)(item)

    outcomes = {
        Path(one.path).name: one.status
        for one in run(Batch.parse([tmp_path], None).find(), work, LocalRunner(1), JobOptions())
    }
    assert outcomes == {"a.jpg": "failed", "b.jpg": "done"}


def test_a_source_that_changes_while_it_is_read_is_not_taken_for_done(
    colorizer: Colorizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = save_grey(tmp_path / "a.jpg")
    read = read_photo

    def read_then_change(*arguments: Any, **settings: Any) -> Photo:
        photo = read(*arguments, **settings)
        save_grey(source, (50, 50))
        return photo

    with monkeypatch.context() as patch:
        patch.setattr("vintage_colorizer.colorizer.read_photo", read_then_change)
        color_all(colorizer, [source])
    (again,) = color_all(colorizer, [source])
    assert again.status == "failed" and "made differently" in again.reason


def test_a_fault_of_ours_fails_one_file_alone(
    colorizer: Colorizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = [save_grey(tmp_path / name) for name in ("a.jpg", "b.jpg")]
    photo = colorizer.photo

    def faulty(source: Path, options: PhotoOptions) -> ColorizedPhoto:
        if source.name == "a.jpg":
            raise ZeroDivisionError
        return photo(source, options)

    monkeypatch.setattr(colorizer, "photo", faulty)
    outcomes = {Path(one.path).name: one for one in color_all(colorizer, sources)}
    assert outcomes["b.jpg"].status == "done"
    assert outcomes["a.jpg"].status == "failed" and "ZeroDivisionError" in outcomes["a.jpg"].reason


@pytest.mark.skipif(sys.platform == "win32", reason="permissions of this kind are POSIX")
@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="root may read anything")
def test_what_may_not_be_read_is_a_failure(colorizer: Colorizer, tmp_path: Path) -> None:
    save_grey(tmp_path / "in" / "open" / "a.jpg")
    save_grey(tmp_path / "in" / "locked" / "b.jpg")
    save_grey(tmp_path / "in" / "c.jpg").chmod(0)
    locked = tmp_path / "in" / "locked"
    locked.chmod(0)
    try:
        outcomes = color_all(colorizer, [tmp_path / "in", locked / "b.jpg"], tmp_path / "out")
    finally:
        locked.chmod(0o700)
    status = {Path(one.path).name: one.status for one in outcomes}
    assert status == {"a.jpg": "done", "b.jpg": "failed", "c.jpg": "failed", "locked": "failed"}


@pytest.mark.parametrize("overwrite", [False, True])
def test_two_inputs_never_share_a_result(colorizer: Colorizer, tmp_path: Path, overwrite: bool) -> None:
    sources = [save_grey(tmp_path / folder / "a.jpg") for folder in ("one", "two")]
    outcomes = {one.path: one for one in color_all(colorizer, sources, tmp_path / "out", overwrite)}
    assert outcomes[str(sources[0])].status == "done"
    assert outcomes[str(sources[1])].status == "failed"
    assert "the name of another input" in outcomes[str(sources[1])].reason


@pytest.mark.parametrize("name", ["out.xyz", "out.gif"])
def test_a_result_of_an_unknown_format_is_refused_before_work(tmp_path: Path, name: str) -> None:
    with pytest.raises(OptionError, match="is not a format of a result"):
        list(Batch.parse([save_grey(tmp_path / "a.jpg")], tmp_path / name).find())


def test_several_inputs_need_a_folder(tmp_path: Path) -> None:
    target = save_grey(tmp_path / "existing.jpg")
    with pytest.raises(OptionError, match="name a folder"):
        list(Batch.parse([save_grey(tmp_path / "a.jpg"), save_grey(tmp_path / "b.jpg")], target).find())


def test_items_are_taken_only_as_they_are_needed() -> None:
    taken = 0

    def items() -> Iterator[Item]:
        nonlocal taken
        for number in range(1000):
            taken += 1
            yield Item(Path(f"{number}.jpg"), Path())

    outcomes = run(items(), lambda item: Outcome(str(item.source), "done"), LocalRunner(2), JobOptions())
    for _ in range(10):
        next(outcomes)
    assert taken <= 10 + 2 * 2 + 1
    outcomes.close()  # type: ignore[attr-defined]


@pytest.mark.long
def test_names_of_a_huge_folder_are_streamed(tmp_path: Path) -> None:
    for folder in range(20):
        (tmp_path / str(folder)).mkdir()
        for number in range(500):
            (tmp_path / str(folder) / f"{number}.jpg").touch()

    def peak() -> int:
        tracemalloc.start()
        assert sum(1 for _ in Batch.parse([tmp_path], None).find()) == 10_000
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return most

    # Now and then Python enlarges its own table of the strings that paths consist of, which counts as well.
    assert min(peak() for _ in range(3)) < 500_000  # bytes; a list of 10,000 paths would need several megabytes


def test_fail_fast_and_full_disks_stop_the_run() -> None:
    def items() -> Iterator[Item]:
        return (Item(Path(f"{number}.jpg"), Path()) for number in range(100))

    def failing(item: Item) -> Outcome:
        return Outcome(str(item.source), "failed")

    def full(item: Item) -> Outcome:
        return Outcome(str(item.source), "failed", fatal=True)

    assert len(list(run(items(), failing, LocalRunner(2), JobOptions()))) == 100
    assert len(list(run(items(), failing, LocalRunner(2), JobOptions(fail_fast=True)))) <= 4
    assert len(list(run(items(), full, LocalRunner(2), JobOptions()))) <= 4


def test_work_begun_is_finished_when_the_consumer_stops() -> None:
    finished = threading.Event()

    def slow(item: Item) -> Outcome:
        if item.source.name == "1.jpg":
            threading.Event().wait(0.3)
            finished.set()
        return Outcome(str(item.source), "done")

    outcomes = run((Item(Path(f"{number}.jpg"), Path()) for number in range(50)), slow, LocalRunner(2), JobOptions())
    next(outcomes)
    outcomes.close()  # type: ignore[attr-defined]
    assert finished.is_set()


@pytest.mark.skipif(sys.platform == "win32", reason="signals of this kind are POSIX")
def test_an_interrupt_comes_after_the_outcomes_of_what_was_under_way() -> None:
    def slow(item: Item) -> Outcome:
        time.sleep(0.2)  # by now the run waits for it
        if item.source.name == "0.jpg":
            os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.2)
        return Outcome(str(item.source), "done")

    told = []
    with pytest.raises(KeyboardInterrupt):
        for outcome in run(
            (Item(Path(f"{number}.jpg"), Path()) for number in range(50)), slow, LocalRunner(2), JobOptions()
        ):
            told.append(outcome.path)
    assert sorted(told) == ["0.jpg", "1.jpg"]


@pytest.mark.parametrize(
    ("name", "content", "note"),
    [
        ("a.jpg", "JPEG", ""),
        ("a.jpg", "PNG", "by its content the source is PNG"),
        ("a.gif", "GIF", "written as PNG, since GIF cannot hold the result"),
    ],
)
def test_the_report_says_what_names_do_not(
    colorizer: Colorizer, tmp_path: Path, name: str, content: str, note: str
) -> None:
    source = tmp_path / name
    save_grey(tmp_path / f"a.{content}").rename(source)
    (outcome,) = color_all(colorizer, [source], tmp_path / "out")
    assert outcome.status == "done"
    told = [clause for clause in outcome.reason.split("; ") if content in clause]
    assert told == ([note] if note else [])


def test_a_line_of_the_report(colorizer: Colorizer, tmp_path: Path) -> None:
    source = save_grey(tmp_path / "a.jpg")
    (outcome,) = color_all(colorizer, [source])
    line = json.loads(outcome.line())
    assert list(line) == [
        *("path", "status", "reason", "output", "width", "height", "seconds"),
        *("look", "network", "render_factor", "chroma", "certainty"),
    ]
    assert 0.3 < line["certainty"] < 1
    assert (line["path"], line["status"], line["width"], line["height"]) == (str(source), "done", 40, 30)
    assert (line["look"], line["network"], line["render_factor"]) == ("stable", "compact-4", 7)
    assert 0 < line["chroma"] < 0.6
