"""What a second run over an archive does, and what it need not even look at."""

from __future__ import annotations

import gzip
import json
import os
import sys
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from filelock import FileLock

from support.clusters import grey_picture, pictures
from vintage_colorizer import Colorizer
from vintage_colorizer.archive import journal
from vintage_colorizer.archive.batch import Batch
from vintage_colorizer.archive.inputs import Item, Outcome
from vintage_colorizer.archive.photos import PhotoWork, expected_fingerprint, run
from vintage_colorizer.errors import MissingError, OutputExistsError
from vintage_colorizer.options import JobOptions, PhotoOptions
from vintage_colorizer.workers.local import LocalRunner

OPTIONS = PhotoOptions(threads=1, render_factor=7)
Work = Callable[[Item], Outcome]


class Stopped(Exception):
    """The run was cut off."""


class Archive:
    """A folder of photos and the runs over it."""

    def __init__(self, folder: Path, colorizer: Colorizer) -> None:
        self.scans, self.out, self.colorizer = folder / "in", folder / "out", colorizer
        self.journal = self.out / ".vintage-colorizer"
        self.worked_on: list[str] = []

    def run(self, options: PhotoOptions = OPTIONS, again: bool = False, work: Work | None = None) -> dict[str, Outcome]:
        """Color what is missing; the outcomes by name. `worked_on` then names what was not simply skipped."""
        self.worked_on.clear()

        def watched(item: Item) -> Outcome:
            self.worked_on.append(item.source.name)
            return (work or PhotoWork(self.colorizer, options, again))(item)

        expected = partial(expected_fingerprint, colorizer=self.colorizer, options=options)
        with journal.opened(self.out, expected, again) as book:
            outcomes = run(Batch.parse([self.scans], self.out).find(), watched, LocalRunner(1), JobOptions(), book)
            return {Path(one.path).name: one for one in outcomes}

    def rows(self) -> dict[str, dict[str, object]]:
        with gzip.open(self.journal / "journal.jsonl.gz", "rt") as lines:
            return {Path(row["path"]).name: row for row in map(json.loads, lines)}

    def as_of_the_version_before(self) -> None:
        """Make the journal one of the version that kept Parquet tables."""
        parquet = pytest.importorskip("pyarrow.parquet")
        arrow = pytest.importorskip("pyarrow")
        table = self.journal / "journal.jsonl.gz"
        rows = list(self.rows().values())
        parquet.write_table(arrow.Table.from_pylist(rows), self.journal / "journal.parquet", compression="zstd")
        table.unlink()


@pytest.fixture
def archive(colorizer: Colorizer, tmp_path: Path) -> Archive:
    pictures(tmp_path / "in", 5)
    return Archive(tmp_path, colorizer)


def test_a_row_for_each_photo_and_nothing_else_stays(archive: Archive) -> None:
    (archive.scans / "notes.txt").write_text("not a picture")
    (archive.scans / "bad.png").write_bytes(b"<html>")
    archive.run()
    rows = archive.rows()
    assert {name: row["status"] for name, row in rows.items()} == {
        **{f"{number:03d}.png": "done" for number in range(5)},
        "bad.png": "failed",
    }
    assert rows["002.png"]["output"] == "002.png"
    assert rows["002.png"]["size"] == (archive.out / "002.png").stat().st_size
    assert sorted(path.name for path in archive.journal.iterdir()) == ["journal.jsonl.gz", "lock"]


def test_a_second_run_does_only_what_is_missing_or_changed(archive: Archive) -> None:
    archive.run()
    (archive.out / "001.png").unlink()
    grey_picture(archive.scans / "002.png", seed=99)
    grey_picture(archive.scans / "new.png", seed=100)
    before = (archive.out / "002.png").read_bytes()
    found = archive.run()
    assert sorted(archive.worked_on) == ["001.png", "002.png", "new.png"]
    assert {name for name, one in found.items() if one.status == "done"} == {"001.png", "002.png", "new.png"}
    assert (archive.out / "002.png").read_bytes() != before
    skipped = found["003.png"]
    assert (skipped.status, skipped.reason, skipped.width) == ("skipped", "done before", 48)
    assert skipped.output == str(archive.out / "003.png")
    assert archive.run() and archive.worked_on == []


def test_other_options_leave_results_alone_unless_told(archive: Archive) -> None:
    archive.run()
    other = OPTIONS.replace(saturation=0.5)
    assert {one.status for one in archive.run(other).values()} == {"failed"}
    assert "made differently" in archive.run(other)["001.png"].reason
    assert {one.status for one in archive.run(other, again=True).values()} == {"done"}


def test_a_result_somebody_changed_is_not_taken_for_done(archive: Archive) -> None:
    archive.run()
    (archive.out / "001.png").write_bytes(b"somebody else's")
    grey_picture(archive.scans / "001.png", seed=99)
    found = archive.run()
    assert found["001.png"].status == "failed"
    assert (archive.out / "001.png").read_bytes() == b"somebody else's"


def test_a_line_is_kept_as_soon_as_a_photo_is_done(archive: Archive) -> None:
    kept: list[list[str]] = []

    def work(item: Item) -> Outcome:
        lines = [line for file in archive.journal.glob("*.jsonl") for line in file.read_text().splitlines()]
        kept.append([Path(json.loads(line)["path"]).name for line in lines])
        return PhotoWork(archive.colorizer, OPTIONS)(item)

    archive.run(work=work)
    assert all(names == archive.worked_on[: len(names)] for names in kept)
    assert len(kept[-1]) >= 2  # all but what is under way or at hand


def killed_run(archive: Archive, after: int, patch: pytest.MonkeyPatch) -> Path:
    """A run that stops as if it were killed; returns the file with its lines."""

    def work(item: Item) -> Outcome:
        if len(archive.worked_on) == after:
            raise Stopped
        return PhotoWork(archive.colorizer, OPTIONS)(item)

    with patch.context() as patched, pytest.raises(Stopped):
        patched.setattr(journal.Journal, "close", lambda self: self._lines.close())
        archive.run(work=work)
    (lines,) = archive.journal.glob("*.jsonl")
    return lines


def test_a_run_that_was_killed_is_gone_on_with(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = killed_run(archive, 4, monkeypatch)
    lines.write_text(lines.read_text() + '{"event": "end", "path": "cut off in the mid')
    assert {one.status for one in archive.run().values()} == {"done", "skipped"}
    assert len(archive.worked_on) <= 3  # the last two, and one whose end was not noted any more
    assert len(archive.rows()) == 5
    assert not list(archive.journal.glob("*.jsonl"))


def test_a_run_of_the_version_before_that_was_killed_is_gone_on_with(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It also noted beginnings."""
    lines = killed_run(archive, 4, monkeypatch)
    ends = lines.read_text().splitlines(keepends=True)
    begins = [json.dumps({"event": "begin", "path": json.loads(end)["path"], "time": 1.0}) + "\n" for end in ends]
    lines.write_text("".join([*begins, *ends, begins[0].replace("000", "999")]))
    assert {one.status for one in archive.run().values()} == {"done", "skipped"}
    assert len(archive.worked_on) <= 3 and len(archive.rows()) == 5


def test_a_parquet_table_of_the_version_before_is_gone_on_with(archive: Archive) -> None:
    archive.run()
    archive.as_of_the_version_before()
    grey_picture(archive.scans / "new.png", seed=100)
    assert {one.reason for one in archive.run().values() if one.status == "skipped"} == {"done before"}
    assert archive.worked_on == ["new.png"]
    assert sorted(path.name for path in archive.journal.iterdir()) == ["journal.parquet", "lock"]
    table = pytest.importorskip("pyarrow.parquet").read_table(archive.journal / "journal.parquet")
    assert (table.num_rows, table.schema.field("width").type) == (6, "int64")
    assert archive.run() and archive.worked_on == []


def test_a_parquet_table_needs_pyarrow(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    archive.run()
    (archive.journal / "journal.jsonl.gz").rename(archive.journal / "journal.parquet")
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingError, match="pip install pyarrow"):
        archive.run()


def test_what_crashed_is_named_but_not_tried_again_unless_told(archive: Archive) -> None:
    def work(item: Item) -> Outcome:
        if item.source.name == "003.png":
            return Outcome(str(item.source), "failed", "003.png brought its process down twice.", crashed=True)
        return PhotoWork(archive.colorizer, OPTIONS)(item)

    archive.run(work=work)
    found = archive.run()
    assert archive.worked_on == []
    assert found["003.png"].status == "failed" and "--overwrite tries again" in found["003.png"].reason
    assert archive.run(again=True)["003.png"].status == "done"
    assert archive.worked_on == ["003.png"]


def test_a_changed_photo_that_crashed_is_tried_again(archive: Archive) -> None:
    archive.run(work=lambda item: Outcome(str(item.source), "failed", "It crashed.", crashed=True))
    grey_picture(archive.scans / "003.png", seed=99)
    archive.run()
    assert archive.worked_on == ["003.png"]


def test_two_runs_never_write_into_one_folder(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal, "LOCK_PATIENCE", 0.1)
    archive.journal.mkdir(parents=True)
    with (
        FileLock(archive.journal / "lock", is_singleton=False),
        pytest.raises(OutputExistsError, match="Another run is writing"),
    ):
        archive.run()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("journal.jsonl.gz", b"\x1f\x8b no more"),
        ("journal.jsonl.gz", gzip.compress(b'{"path": "x"}\n{"path\n')),
        ("journal.parquet", b"PAR1 no more"),
        ("lines-1.jsonl", b"{'path'}\n"),
    ],
)
def test_a_damaged_journal_loses_no_work(
    archive: Archive, caplog: pytest.LogCaptureFixture, name: str, content: bytes
) -> None:
    archive.run()
    (archive.journal / "journal.jsonl.gz").unlink()
    (archive.journal / name).write_bytes(content)
    found = archive.run()
    assert {(one.status, one.reason) for one in found.values()} == {("skipped", "done before")}
    assert f"{name} is damaged and begun anew" in caplog.text
    caplog.clear()
    assert archive.run() and archive.worked_on == [] and "damaged" not in caplog.text


@pytest.mark.skipif(os.name == "nt", reason="such names are POSIX")
def test_odd_names(colorizer: Colorizer, tmp_path: Path) -> None:
    picture = grey_picture(tmp_path / "x.png").read_bytes()
    (tmp_path / "in").mkdir()
    for name in (b"new\nline.png", "写真.png".encode(), b"bytes\xff.png", b"'\".png"):
        (tmp_path / "in" / os.fsdecode(name)).write_bytes(picture)
    archive = Archive(tmp_path, colorizer)
    assert {one.status for one in archive.run().values()} == {"done"}
    assert {one.status for one in archive.run().values()} == {"skipped"}
    assert archive.worked_on == [] and len(archive.rows()) == 4


def test_an_archive_of_any_size_needs_little_memory_for_its_history(tmp_path: Path) -> None:
    lines = (
        json.dumps({"event": "end", "path": f"scans/{number:06d}.png", "output": f"{number:06d}.png", "size": 100})
        for number in range(20_000)
    )
    (tmp_path / ".vintage-colorizer").mkdir()
    (tmp_path / ".vintage-colorizer" / "lines-1.jsonl").write_text("\n".join(lines) + "\n")
    with closing(journal._Index()) as index:
        journal.Journal(tmp_path, index, str, False)
        index.add_result("012345.png", 100)
        found = index.row_of("scans/012345.png")
        assert found is not None and found["output"] == "012345.png" and index.has_result(found)
        assert not index.has_result(found | {"size": 99}) and not index.has_result(found | {"output": None})
        assert index.row_of("scans/none.png") is None
        assert sum(1 for _ in index.rows()) == 20_000
