"""What is named on a command line, looked at once, and its inputs read ahead."""

from __future__ import annotations

import pathlib
import tracemalloc
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from vintage_colorizer.archive.batch import Batch, Counted
from vintage_colorizer.archive.inputs import PICTURES, Found, Item, Outcome, objects_in
from vintage_colorizer.archive.places import Entry, Url
from vintage_colorizer.errors import OptionError, UnreadableError


def items(count: int) -> Iterator[Found]:
    return (Item(Path(f"scans/{number:06d}.jpg"), Path("out")) for number in range(count))


@pytest.mark.parametrize(
    ("names", "out", "expected"),
    [
        (["a.jpg"], None, (None, None, False)),
        (["a.jpg"], "x.png", (Path(), "x.png", False)),
        (["a.jpg"], "out", (Path("out"), None, False)),
        (["a.jpg"], "dot.ted", (Path("dot.ted"), None, False)),  # a folder that is there
        (["a.jpg", "b.jpg"], "x.png", (Path("x.png"), None, True)),
        (["dot.ted"], "x.png", (Path("x.png"), None, True)),
        (["@names.txt"], None, (None, None, True)),
    ],
)
def test_where_results_go(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    names: list[str],
    out: str | None,
    expected: tuple[Path | None, str | None, bool],
) -> None:
    (tmp_path / "dot.ted").mkdir()
    (tmp_path / "names.txt").touch()
    monkeypatch.chdir(tmp_path)
    batch = Batch.parse([Path(name) for name in names], None if out is None else Path(out))
    assert (batch.folder, batch.name, batch.several) == expected
    assert batch.journal is None


@pytest.mark.parametrize("out", [None, "x.png"])
def test_a_journal_needs_a_folder(tmp_path: Path, out: str | None) -> None:
    with pytest.raises(OptionError, match="name a folder for the results and their journal"):
        Batch.parse([tmp_path / "a.jpg"], None if out is None else tmp_path / out, journal=True)
    assert Batch.parse([tmp_path / "a.jpg"], tmp_path / "out", journal=True).journal == tmp_path / "out"


def test_inputs_that_cannot_be_colored_are_found_with_their_outcome(tmp_path: Path) -> None:
    for name in ("a.jpg", ".hidden.jpg", "notes.txt"):
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "in" / name).touch()
    found = list(Batch.parse([tmp_path / "in"], tmp_path / "out").find())
    assert [one for one in found if isinstance(one, Item)] == [Item(tmp_path / "in" / "a.jpg", tmp_path / "out")]
    assert {(Path(one.path).name, one.status, one.reason) for one in found if isinstance(one, Outcome)} == {
        (".hidden.jpg", "skipped", "hidden"),
        ("notes.txt", "skipped", "not a picture by its name"),
    }


@pytest.mark.parametrize("name", ["@eaDir", "#recycle", "$RECYCLE.BIN", ".thumbnails"])
def test_folders_of_the_system_are_passed_over(tmp_path: Path, name: str) -> None:
    for path in ("in/a.jpg", f"in/{name}/a.jpg/SYNOPHOTO_THUMB_M.jpg", "in/deep/b.jp2"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    found = list(Batch.parse([tmp_path / "in"], tmp_path / "out").find())
    assert {one.source for one in found if isinstance(one, Item)} == {
        tmp_path / "in" / "a.jpg",
        tmp_path / "in" / "deep" / "b.jp2",
    }
    assert [(one.path, one.status) for one in found if isinstance(one, Outcome)] == [
        (str(tmp_path / "in" / name), "skipped")
    ]
    root = Url("s3://bucket/scans")
    listing = [Entry(root / key, 1, 1) for key in ("a.jpg", f"{name}/a.jpg", "deep/b.jpg")]
    objects = list(objects_in(root, listing, None, None, PICTURES))
    assert [str(one.source) for one in objects if isinstance(one, Item)] == [
        "s3://bucket/scans/a.jpg",
        "s3://bucket/scans/deep/b.jpg",
    ]


def test_what_is_read_ahead_comes_in_order_and_is_counted() -> None:
    expected = [*items(500), Outcome("x", "skipped", "hidden")]
    with closing(Counted(iter(expected))) as found:
        assert list(found) == expected
        assert found.total == 501


def test_an_error_of_reading_is_raised_where_the_stream_is_taken() -> None:
    def broken() -> Iterator[Found]:
        yield from items(3)
        raise UnreadableError("The list names.txt cannot be read.")

    with closing(Counted(broken())) as found:
        stream = iter(found)
        assert len([next(stream) for _ in range(3)]) == 3
        with pytest.raises(UnreadableError, match=r"names\.txt cannot be read"):
            next(stream)


def test_reading_ahead_needs_little_memory() -> None:
    tracemalloc.start()
    with closing(Counted(items(20_000))) as found:
        stream = iter(found)
        for _ in range(10_000):
            next(stream)
        kept = tracemalloc.take_snapshot()
    tracemalloc.stop()
    # pathlib interns its names, and the interpreter's table of these may grow just now, by a megabyte or two.
    ours = kept.filter_traces([tracemalloc.Filter(False, pathlib.__file__)])
    assert sum(trace.size for trace in ours.traces) < 1_000_000  # bytes; 20,000 items would need several megabytes
