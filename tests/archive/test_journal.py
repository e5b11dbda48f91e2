"""What a second run over an archive does, and what it need not even look at."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from filelock import FileLock

from support.clusters import grey_picture, pictures
from vintage_colorizer import Colorizer
from vintage_colorizer.archive.batch import Batch
from vintage_colorizer.archive.inputs import Item, Outcome
from vintage_colorizer.archive.photos import PhotoWork, expected_fingerprint, run
from vintage_colorizer.errors import OutputExistsError
from vintage_colorizer.options import JobOptions, PhotoOptions
from vintage_colorizer.workers.local import LocalRunner

journal = pytest.importorskip("vintage_colorizer.archive.journal")
parquet = pytest.importorskip("pyarrow.parquet")

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
        table = parquet.read_table(self.journal / "journal.parquet")
        return {Path(row["path"]).name: row for row in table.to_pylist()}


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
    assert sorted(path.name for path in archive.journal.iterdir()) == ["journal.parquet", "lock"]


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


def test_lines_are_written_before_and_after_each_photo(archive: Archive) -> None:
    seen: dict[str, list[tuple[str, str]]] = {}

    def work(item: Item) -> Outcome:
        (lines,) = archive.journal.glob("*.jsonl")
        found = [json.loads(line) for line in lines.read_text().splitlines()]
        seen[item.source.name] = [(line["event"], Path(line["path"]).name) for line in found]
        return PhotoWork(archive.colorizer, OPTIONS)(item)

    archive.run(work=work)
    for name, lines in seen.items():
        assert ("begin", name) in lines and ("end", name) not in lines
    last = max(seen.values(), key=len)
    assert [name for event, name in last if event == "end"] == list(seen)[: sum(one == "end" for one, _ in last)]


def test_a_run_that_was_killed_is_gone_on_with(archive: Archive, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(item: Item) -> Outcome:
        if len(archive.worked_on) == 4:
            raise Stopped
        return PhotoWork(archive.colorizer, OPTIONS)(item)

    with monkeypatch.context() as patch, pytest.raises(Stopped):
        compact = journal._compact
        patch.setattr(journal, "_compact", lambda out: compact(out) if not archive.worked_on else None)
        archive.run(work=killed)
    (lines,) = archive.journal.glob("*.jsonl")
    lines.write_text(lines.read_text() + '{"event": "end", "path": "cut off in the mid')
    assert {one.status for one in archive.run().values()} == {"done", "skipped"}
    assert len(archive.worked_on) <= 3  # the last two, and one whose end was not noted any more
    assert len(archive.rows()) == 5


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


def test_a_damaged_journal_loses_no_work(archive: Archive, caplog: pytest.LogCaptureFixture) -> None:
    archive.run()
    (archive.journal / "journal.parquet").write_bytes(b"PAR1 no more")
    found = archive.run()
    assert {(one.status, one.reason) for one in found.values()} == {("skipped", "done before")}
    assert "damaged and begun anew" in caplog.text
    assert len(archive.rows()) == 5


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


def test_an_archive_of_names_needs_little_memory_for_its_history(tmp_path: Path) -> None:
    """Each row is found by 16 bytes beside the columns of the table."""
    paths = [f"scans/{number:06d}.png" for number in range(20_000)]
    rows = {"path": paths, "output": paths, "size": [100] * len(paths)}
    history = journal._History(journal.arrow.table(rows))
    assert history._digests.nbytes + history._order.nbytes == 16 * len(paths)
    assert history.find("scans/012345.png")["output"] == "scans/012345.png"
    assert history.find("scans/none.png") is None
