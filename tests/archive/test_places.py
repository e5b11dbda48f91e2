"""URLs as places of inputs and results: an S3 server of this machine, and fsspec's file system in memory."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from uuid import uuid4

import pytest

from support.clusters import BUCKET, grey_picture, s3_requests
from vintage_colorizer import Colorizer
from vintage_colorizer.archive import places
from vintage_colorizer.archive.batch import Batch
from vintage_colorizer.archive.inputs import Found, Outcome
from vintage_colorizer.archive.photos import PhotoWork, run
from vintage_colorizer.archive.places import Entry, Url, files_below, place, read_bytes, write_bytes
from vintage_colorizer.cli import photo as commands
from vintage_colorizer.cli.console import Console
from vintage_colorizer.errors import OptionError, UnreadableError
from vintage_colorizer.options import JobOptions, PhotoOptions
from vintage_colorizer.workers.local import LocalRunner

OPTIONS = PhotoOptions(threads=1, render_factor=7)


@pytest.fixture(params=["s3", "memory"])
def root(request: pytest.FixtureRequest) -> Url:
    """A new place in an object store."""
    pytest.importorskip("fsspec")
    if request.param == "s3":
        request.getfixturevalue("object_store")
        return Url(f"s3://{BUCKET}/{uuid4().hex}")
    return Url(f"memory://{uuid4().hex}")


def put_pictures(root: Url, names: list[str], folder: Path) -> None:
    for number, name in enumerate(names):
        write_bytes(root / name, grey_picture(folder / f"{number}.png", number).read_bytes())


def color_all(colorizer: Colorizer, found: Iterable[Found], overwrite: bool = False) -> dict[str, Outcome]:
    work = PhotoWork(colorizer, OPTIONS, overwrite)
    return {one.path: one for one in run(found, work, LocalRunner(2), JobOptions())}


def names_below(root: Url) -> set[str]:
    return {str(entry.place)[len(str(root)) + 1 :] for entry in files_below(root)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("scans/a.jpg", Path("scans/a.jpg")),
        ("C:/scans/a.jpg", Path("C:/scans/a.jpg")),
        ("file:///scans/a.jpg", Path("/scans/a.jpg")),
        ("s3://bucket/scans/", Url("s3://bucket/scans")),
        ("memory://a.jpg", Url("memory://a.jpg")),
    ],
)
def test_paths_and_urls(text: str, expected: places.Place) -> None:
    assert place(text) == expected


def test_parts_of_a_url() -> None:
    url = Url("s3://bucket/scans/a.b.jpg")
    assert (url.name, url.suffix, str(url.parent), url.key) == (
        "a.b.jpg",
        ".jpg",
        "s3://bucket/scans",
        "bucket/scans/a.b.jpg",
    )
    assert str(url.parent / Path("x/y.png")) == "s3://bucket/scans/x/y.png"


def test_what_is_written_is_read_and_listed(root: Url, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(places, "PAGE", 3)
    names = {f"deep/{number}.bin" for number in range(8)} | {"top.bin"}
    for name in names:
        write_bytes(root / name, name.encode())
    assert names_below(root) == names
    assert read_bytes(root / "deep/3.bin") == b"deep/3.bin"
    assert places.is_folder(root / "deep") and not places.is_folder(root / "top.bin")
    places.remove(root / "top.bin")
    places.remove(root / "top.bin")
    assert not places.exists(root / "top.bin") and len(names_below(root)) == 8
    listed = {entry.place: entry for entry in files_below(root)}
    told = places.describe(root / "deep/3.bin")
    assert told == listed[root / "deep/3.bin"] and told.size == 10 and told.modified > 0


def test_a_tree_is_mirrored_from_store_to_store(root: Url, colorizer: Colorizer, tmp_path: Path) -> None:
    put_pictures(root / "scans", ["a.png", "deep/b.png", "deep/er/c.png"], tmp_path)
    write_bytes(root / "scans/notes.txt", b"not a picture")
    write_bytes(root / "scans/bad.png", b"<html>")
    found = color_all(colorizer, Batch.parse([root / "scans"], root / "out").find())
    assert names_below(root / "out") == {"a.png", "deep/b.png", "deep/er/c.png"}
    assert found[f"{root}/scans/deep/b.png"].output == f"{root}/out/deep/b.png"
    bad = found[f"{root}/scans/bad.png"]
    assert bad.status == "failed" and bad.reason.startswith(f"{root}/scans/bad.png is not a picture")
    assert found[f"{root}/scans/notes.txt"].status == "skipped"


def test_an_archive_in_a_store_is_listed_once(
    object_store: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(places, "PAGE", 4)
    root = Url(f"s3://{BUCKET}/{uuid4().hex}")
    put_pictures(root / "scans", [f"deep/{number}.png" for number in range(10)], tmp_path)
    quiet = Console(quiet=True)
    with s3_requests() as requests:
        assert commands.color_photos([root / "scans"], root / "out", OPTIONS, JobOptions(), quiet) == 0
    listed = [one for one in requests if "list-type=2" in one]
    assert sum("/scans/" in one for one in listed) == 3  # pages of 4, 4 and 2 names
    assert sum(one.startswith("GET") and "/scans/deep/" in one for one in requests) == 10
    assert not [one for one in requests if one.startswith("HEAD") and "/scans" in one]  # the listing told all
    assert sum(one.startswith("PUT") and "/out/deep/" in one for one in requests) == 10


def test_results_are_the_same_bytes_wherever_they_lie(root: Url, colorizer: Colorizer, tmp_path: Path) -> None:
    write_bytes(root / "a.png", grey_picture(tmp_path / "0.png").read_bytes())
    (tmp_path / "here").mkdir()
    places.fetch(root / "a.png", tmp_path / "here" / "a.png")
    time = places.describe(root / "a.png").modified
    os.utime(tmp_path / "here" / "a.png", ns=(time, time))
    color_all(colorizer, Batch.parse([root / "a.png"], tmp_path / "down").find())
    color_all(colorizer, Batch.parse([root / "a.png"], root / "out").find())
    color_all(colorizer, Batch.parse([tmp_path / "here" / "a.png"], tmp_path / "local").find())
    expected = (tmp_path / "local" / "a.png").read_bytes()
    assert (tmp_path / "down" / "a.png").read_bytes() == read_bytes(root / "out/a.png") == expected


def test_a_second_run_over_a_store_does_nothing_twice(root: Url, colorizer: Colorizer, tmp_path: Path) -> None:
    put_pictures(root / "scans", ["a.png"], tmp_path)

    def again(overwrite: bool = False) -> dict[str, Outcome]:
        return color_all(colorizer, Batch.parse([root / "scans"], root / "out").find(), overwrite)

    assert [one.status for one in again().values()] == ["done"]
    (outcome,) = again().values()
    assert (outcome.status, outcome.reason, outcome.output) == ("skipped", "done before", f"{root}/out/a.png")
    write_bytes(root / "out/a.png", grey_picture(tmp_path / "other.png", 5).read_bytes())
    (outcome,) = again().values()
    assert outcome.status == "failed"
    assert outcome.reason == f"{root}/out/a.png exists and was made differently; remove it or use --overwrite."
    assert [one.status for one in again(overwrite=True).values()] == ["done"]


def test_a_source_in_a_store_is_never_overwritten(root: Url, colorizer: Colorizer, tmp_path: Path) -> None:
    put_pictures(root, ["a.png"], tmp_path)
    before = read_bytes(root / "a.png")
    (outcome,) = color_all(colorizer, Batch.parse([root / "a.png"], root).find(), overwrite=True).values()
    assert outcome.status == "failed" and "is the source itself" in outcome.reason
    assert read_bytes(root / "a.png") == before


def test_results_in_the_folder_of_inputs_are_no_inputs(root: Url, colorizer: Colorizer, tmp_path: Path) -> None:
    put_pictures(root, ["a.png", "out/b.png"], tmp_path)
    assert list(color_all(colorizer, Batch.parse([root], root / "out").find())) == [f"{root}/a.png"]


def test_a_list_of_names(root: Url, colorizer: Colorizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_pictures(root / "scans", ["a.png"], tmp_path / "made")
    grey_picture(tmp_path / "deep" / "b.png")
    grey_picture(tmp_path / "c.png")
    monkeypatch.chdir(tmp_path)
    names = [f"{root}/scans/a.png", "deep/b.png", str(tmp_path / "c.png"), "", "../d.png", "absent.png"]
    (tmp_path / "list.txt").write_text("\n".join(names))
    found = color_all(colorizer, Batch.parse([Path("@list.txt")], Path("out")).find())
    assert {path: one.status for path, one in found.items()} == {
        names[0]: "done",
        names[1]: "done",
        names[2]: "done",
        names[4]: "failed",
        names[5]: "failed",
    }
    made = {path.relative_to("out") for path in Path("out").rglob("*") if path.is_file()}
    whole = tmp_path.relative_to("/") / "c.png"
    assert made == {Path((root / "scans/a.png").key), Path("deep/b.png"), whole}


def test_a_list_that_is_not_there_is_said_before_any_work() -> None:
    with pytest.raises(UnreadableError, match=r"absent\.txt cannot be opened"):
        Batch.parse([Path("@absent.txt")], Path("out")).find()


@pytest.mark.parametrize("name", ["s3://no-such-bucket-here/a.png", "memory://absent/a.png"])
def test_what_is_not_there_fails_alone(object_store: None, colorizer: Colorizer, tmp_path: Path, name: str) -> None:
    (outcome,) = color_all(colorizer, Batch.parse([place(name)], tmp_path / "out").find()).values()
    assert outcome.status == "failed" and outcome.reason.startswith(f"{name} cannot be read")


def test_urls_that_nobody_can_read() -> None:
    with pytest.raises(OptionError, match="nonsense://x is no URL that can be read"):
        places.exists(Url("nonsense://x"))


def test_fsspec_is_an_extra() -> None:
    command = "import sys; sys.modules['fsspec'] = None; from vintage_colorizer.cli.app import main; main()"
    words = [sys.executable, "-c", command, "photo", "s3://bucket/a.jpg", "-o", "out"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 3
    assert done.stderr == "Error: s3://bucket/a.jpg needs fsspec: pip install 'vintage-colorizer[ray]'.\n"


def test_a_store_keeps_a_journal(root: Url, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    put_pictures(root / "scans", ["a.png", "deep/b.png"], tmp_path)

    def color() -> int:
        quiet = Console(quiet=True)
        return commands.color_photos([root / "scans"], root / "out", OPTIONS, JobOptions(), quiet)

    assert color() == 0
    assert names_below(root / "out/.vintage-colorizer") == {"journal.jsonl.gz"}
    lines = gzip.decompress(read_bytes(root / "out/.vintage-colorizer/journal.jsonl.gz")).splitlines()
    assert {json.loads(line)["output"] for line in lines} == {"a.png", "deep/b.png"}
    stamps = set(files_below(root / "out"))
    assert color() == 0
    assert set(files_below(root / "out")) == stamps
    assert isinstance(next(iter(stamps)), Entry)


def test_a_film_behind_a_url_is_refused(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "vintage_colorizer", "film", "s3://bucket/reel.mp4"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "s3://bucket/reel.mp4 is a URL, but a film must lie in a folder of this machine" in done.stderr


@pytest.mark.usefixtures("local_ray")
def test_ray_works_from_store_to_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = Url(f"s3://{BUCKET}/{uuid4().hex}")
    put_pictures(root / "scans", [f"{number}.png" for number in range(6)], tmp_path)
    job = JobOptions(ray="local")
    for colored, skipped in ((6, 0), (0, 6)):
        console = Console()
        options = OPTIONS.replace(threads=2)
        assert commands.color_photos([root / "scans"], root / "out", options, job, console) == 0
        last = capsys.readouterr().err.splitlines()[-1]
        assert last.startswith(f"{colored} colored") and last.endswith(f", {skipped} skipped, 0 failed.")
    assert len(names_below(root / "out")) == 6 + 1
