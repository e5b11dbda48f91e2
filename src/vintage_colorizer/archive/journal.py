"""What runs over an archive did, kept with its results.

In the folder of results lies `.vintage-colorizer/` with `journal.jsonl.gz`, a line of JSON for each input, and while a
run is under way files of further lines. Only the process that hands out the work writes them. Their loss loses no work:
results are known by the fingerprint inside them. With the journal, a second run need not open them.

A journal begun by an earlier version as `journal.parquet` is gone on with in that format.
"""

from __future__ import annotations

import gzip
import io
import json
import logging
import sqlite3
import time
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from filelock import FileLock, Timeout

from vintage_colorizer.archive import parquet
from vintage_colorizer.archive.inputs import Item, Outcome
from vintage_colorizer.archive.places import Place, Url, files_below, read_bytes, remove, write_bytes
from vintage_colorizer.errors import InputError, OutputExistsError
from vintage_colorizer.files import readable_name, write_errors
from vintage_colorizer.photo.picture import Origin
from vintage_colorizer.workers.base import Known

log = logging.getLogger("vintage_colorizer")

FOLDER = ".vintage-colorizer"
TABLE, PARQUET_TABLE = "journal.jsonl.gz", "journal.parquet"
END = "end"  # the event of a line; earlier versions also wrote lines of others
FLUSH_SECONDS = 5.0  # between PUTs of lines to an object store, which cannot append
LOCK_PATIENCE = 3.0  # seconds

Row: TypeAlias = dict[str, Any]  # an Outcome's fields but `fatal`, and identity, fingerprint, time


class Journal:
    """The journal of one folder of results; see `opened`."""

    def __init__(self, out: Place, index: _Index, fingerprint_of: Callable[[str], str], again: bool) -> None:
        """Read what earlier runs did, and which results are there."""
        self._out, self._index, self._fingerprint_of, self._again = out, index, fingerprint_of, again
        self._lines: _Lines = _LocalLines(out / FOLDER) if isinstance(out, Path) else _RemoteLines(out / FOLDER)
        self._begun: dict[str, tuple[str | None, str | None]] = {}
        names = []
        for entry in files_below(out):
            below = _below(out, str(entry.place))
            if below.startswith(f"{FOLDER}/"):
                names.append(below.removeprefix(f"{FOLDER}/"))
            else:
                self._index.add_result(below, entry.size)
        self._table = out / FOLDER / (PARQUET_TABLE if PARQUET_TABLE in names else TABLE)
        self._parts = [out / FOLDER / name for name in sorted(names) if name.endswith(".jsonl")]
        for place in [*([self._table] if self._table.name in names else []), *self._parts]:
            try:
                index.add_rows(_rows_in(place))
            except (ValueError, KeyError, EOFError, OSError, zlib.error):
                log.warning("The journal %s is damaged and begun anew; results are known by themselves.", place)

    def begin(self, item: Item) -> Item | Known[Outcome]:
        """Take up an item; or give its outcome, if earlier runs leave nothing to do.

        An item whose source changed since, while its result did not, comes back as one that may replace it.
        """
        path = str(item.source)
        identity = _identity(item)
        fingerprint = self._fingerprint_of(identity) if identity else None
        earlier = self._index.row_of(readable_name(path)) if identity else None
        if earlier is not None and earlier["fingerprint"] == fingerprint:
            if earlier["crashed"] and not self._again:
                reason = f"{earlier['reason']} That was in an earlier run; --overwrite tries again."
                return Known(Outcome(path, "failed", reason, crashed=True))
            if self._index.has_result(earlier):
                output, size = str(self._out / earlier["output"]), (earlier["width"], earlier["height"])
                return Known(Outcome(path, "skipped", "done before", output=output, width=size[0], height=size[1]))
        elif earlier is not None and self._index.has_result(earlier):
            only_source_changed = self._fingerprint_of(earlier["identity"]) == earlier["fingerprint"]
            item = replace(item, replaces=only_source_changed)
        self._begun[path] = identity, fingerprint
        return item

    def end(self, outcome: Outcome) -> None:
        """Note what became of an item that was begun; what needed no work is not noted again."""
        if outcome.path not in self._begun:
            return
        identity, fingerprint = self._begun.pop(outcome.path)
        row = asdict(outcome)
        del row["fatal"]
        if outcome.output is not None:
            row |= {"status": "done", "output": _below(self._out, outcome.output)}
        row |= {"path": readable_name(outcome.path), "reason": readable_name(outcome.reason)}
        row |= {"identity": identity, "fingerprint": fingerprint, "time": time.time()}
        self._lines.write({"event": END, **row})
        self._index.add_rows([row])

    def close(self) -> None:
        """Bring all lines into the table, which has the last row of each path."""
        self._lines.close()
        parts = [*self._parts, *self._lines.written]
        if parts:
            rows = self._index.rows()
            write_bytes(self._table, parquet.pack(rows) if self._table.name == PARQUET_TABLE else _packed(rows))
        for part in parts:
            remove(part)


@contextmanager
def opened(out: Place, fingerprint_of: Callable[[str], str], again: bool) -> Iterator[Journal]:
    """The journal in the folder of results `out`; at the end it is compacted.

    Args:
        out: the folder.
        fingerprint_of: gives the fingerprint that the result has for a source of that size and time.
        again: also try what crashed before.

    Raises:
        OutputExistsError: another run is writing into the folder.
        OutputError: the journal cannot be written.
        MissingError: there is a `journal.parquet`, and pyarrow is not installed.
    """
    with (
        _locked(out),
        closing(_Index()) as index,
        closing(Journal(out, index, fingerprint_of, again)) as journal,
    ):
        yield journal


@contextmanager
def _locked(out: Place) -> Iterator[None]:
    """Keep other runs on this machine from the same folder. There are no such locks in object stores."""
    if isinstance(out, Url):
        yield
        return
    with write_errors(readable_name(out)):
        (out / FOLDER).mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / FOLDER / "lock")
    try:
        lock.acquire(timeout=LOCK_PATIENCE)
    except Timeout:
        raise OutputExistsError(f"Another run is writing into {readable_name(out)}; wait for it.") from None
    try:
        yield
    finally:
        lock.release()


class _Index:
    """The rows by path, and the results that are there, in a temporary database that goes with its connection."""

    def __init__(self) -> None:
        self._base = sqlite3.connect("", isolation_level=None)
        self._base.execute("PRAGMA journal_mode = OFF")
        self._base.execute("CREATE TABLE journal (path TEXT PRIMARY KEY, line TEXT)")
        self._base.execute("CREATE TABLE results (output TEXT PRIMARY KEY, size INTEGER) WITHOUT ROWID")

    def add_rows(self, rows: Iterable[Row]) -> None:
        """Keep rows; each takes the place of an earlier one of its path."""
        pairs = ((row["path"], json.dumps(row)) for row in rows)
        self._base.execute("BEGIN")
        try:
            self._base.executemany("INSERT OR REPLACE INTO journal VALUES (?, ?)", pairs)
        finally:  # what came before a damaged one is kept
            self._base.execute("COMMIT")

    def row_of(self, path: str) -> Row | None:
        """The last row of a path."""
        for (line,) in self._base.execute("SELECT line FROM journal WHERE path = ?", (path,)):
            return dict(json.loads(line))
        return None

    def rows(self) -> Iterator[Row]:
        """All rows, the oldest first."""
        for (line,) in self._base.execute("SELECT line FROM journal ORDER BY rowid"):
            yield json.loads(line)

    def add_result(self, output: str, size: int) -> None:
        """Note a file below the folder of results."""
        self._base.execute("INSERT OR REPLACE INTO results VALUES (?, ?)", (output, size))

    def has_result(self, row: Row) -> bool:
        """Whether the result of a row lies where it was put, at the size it had."""
        wanted = row["output"], row["size"]
        return bool(self._base.execute("SELECT 1 FROM results WHERE output = ? AND size = ?", wanted).fetchone())

    def close(self) -> None:
        """Remove the database."""
        self._base.close()


class _Lines(Protocol):
    """Where lines of JSON are added."""

    written: list[Place]  # the files they are in

    def write(self, line: Row) -> None:
        """Add one."""

    def close(self) -> None:
        """Make sure that all of them are kept."""


class _LocalLines:
    """A file that grows; it is made with the first line."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _new_name()
        self._file: io.TextIOWrapper | None = None
        self.written: list[Place] = []

    def write(self, line: Row) -> None:
        """Add a line; it outlives the process at once."""
        with write_errors(readable_name(self._path)):
            if self._file is None:
                self._file = self._path.open("w", encoding="utf-8")
                self.written.append(self._path)
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            self._file.close()


class _RemoteLines:
    """Objects that hold some lines each."""

    def __init__(self, folder: Place) -> None:
        self._folder = folder
        self._waiting: list[str] = []
        self._put = time.monotonic()
        self.written: list[Place] = []

    def write(self, line: Row) -> None:
        """Add a line; it is put with the others of the same few seconds."""
        self._waiting.append(json.dumps(line) + "\n")
        if time.monotonic() - self._put > FLUSH_SECONDS:
            self.close()

    def close(self) -> None:
        """Put the lines that are not put yet."""
        if self._waiting:
            part = self._folder / _new_name()
            write_bytes(part, "".join(self._waiting).encode())
            self.written.append(part)
        self._waiting.clear()
        self._put = time.monotonic()


def _new_name() -> str:
    return f"lines-{time.time_ns():020d}.jsonl"


def _rows_in(place: Place) -> Iterator[Row]:
    """The rows in a table or a file of lines."""
    data = read_bytes(place)
    if place.name == PARQUET_TABLE:
        return parquet.read(data)
    return _ended(gzip.decompress(data) if place.name == TABLE else data)


def _ended(data: bytes) -> Iterator[Row]:
    """The rows in lines of JSON: those of what ended. The last may be cut off where a run was killed."""
    for line in data[: data.rfind(b"\n") + 1].splitlines():
        row = json.loads(line)
        if row.pop("event", END) == END:
            yield row


def _packed(rows: Iterable[Row]) -> bytes:
    """Lines of JSON, compressed."""
    packed = io.BytesIO()
    with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=5, mtime=0) as file:
        for row in rows:
            file.write(json.dumps(row).encode() + b"\n")
    return packed.getvalue()


def _identity(item: Item) -> str | None:
    """Size and time of a source where they can be had cheaply."""
    if item.stamp is not None:
        return f"{item.stamp.size}:{item.stamp.modified}"
    if not isinstance(item.source, Path):
        return None
    try:
        return Origin.of_file(item.source).identity
    except InputError:
        return None


def _below(out: Place, output: str) -> str:
    """The name of a file below `out`, as it stands in the journal."""
    if isinstance(out, Url):
        return readable_name(output.removeprefix(f"{out}/"))
    return readable_name(Path(output).relative_to(out).as_posix())
