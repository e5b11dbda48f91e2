"""What a run over an archive did, kept with its results.

In the folder of results lies `.vintage-colorizer/` with `journal.parquet`, a row for each input, and while a run is
under way files of JSON lines: one when the work on an input begins, one when it ends. Only the process that hands out
the work writes them. Their loss loses no work: results are known by the fingerprint inside them. With the journal,
a second run need not open them.
"""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from hashlib import blake2b
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from filelock import FileLock, Timeout

from vintage_colorizer.archive.inputs import Item, Outcome
from vintage_colorizer.archive.places import Place, Url, exists, files_below, read_bytes, remove, write_bytes
from vintage_colorizer.errors import InputError, MissingError, OutputExistsError
from vintage_colorizer.files import readable_name, write_errors
from vintage_colorizer.photo.result import Source
from vintage_colorizer.workers.base import Known

try:
    import pyarrow as arrow
    from pyarrow import compute, parquet
    from pyarrow import json as arrow_json
except ImportError as error:
    raise MissingError("A journal needs an extra: pip install 'vintage-colorizer[ray]'.") from error

log = logging.getLogger("vintage_colorizer")

FOLDER = ".vintage-colorizer"
TABLE = "journal.parquet"
BEGIN, END = "begin", "end"
FLUSH_SECONDS = 5.0  # between PUTs of lines to an object store, which cannot append
LOCK_PATIENCE = 3.0  # seconds

_TEXT, _WHOLE, _NUMBER = arrow.string(), arrow.int64(), arrow.float64()
SCHEMA = arrow.schema(
    {
        "path": _TEXT,
        "status": _TEXT,
        "reason": _TEXT,
        "output": _TEXT,  # relative to the folder of results
        "size": _WHOLE,
        "width": _WHOLE,
        "height": _WHOLE,
        "seconds": _NUMBER,
        "look": _TEXT,
        "network": _TEXT,
        "render_factor": _WHOLE,
        "chroma": _NUMBER,
        "crashed": arrow.bool_(),
        "identity": _TEXT,  # size and time of the source
        "fingerprint": _TEXT,  # of the result
        "time": _NUMBER,  # seconds since 1970
    }
)
_LINES = SCHEMA.append(arrow.field("event", _TEXT))


class Journal:
    """The journal of one folder of results; see `opened`."""

    def __init__(self, out: Place, lines: _Lines, fingerprint_of: Callable[[str], str], again: bool) -> None:
        """Read what earlier runs did."""
        self._out, self._lines, self._fingerprint_of, self._again = out, lines, fingerprint_of, again
        self._earlier = _History(_compact(out))
        self._present = _digests(_result_key(_below(out, str(entry.place)), entry.size) for entry in self._results())
        self._begun: dict[str, tuple[str | None, str | None]] = {}

    def _results(self) -> Iterator[Any]:
        return files_below(self._out) if len(self._earlier) else iter(())

    def begin(self, item: Item) -> Item | Known[Outcome]:
        """Note that the work on an item begins; or give its outcome, if earlier runs leave nothing to do.

        An item whose source changed since, while its result did not, comes back as one that may replace it.
        """
        path = str(item.source)
        identity = _identity(item)
        fingerprint = self._fingerprint_of(identity) if identity else None
        earlier = self._earlier.find(readable_name(path)) if identity else None
        if earlier is not None and earlier["fingerprint"] == fingerprint:
            if earlier["crashed"] and not self._again:
                reason = f"{earlier['reason']} That was in an earlier run; --overwrite tries again."
                return Known(Outcome(path, "failed", reason, crashed=True))
            if self._is_present(earlier):
                output = str(self._out / earlier["output"])
                about = {"output": output, "width": earlier["width"], "height": earlier["height"]}
                return Known(Outcome(path, "skipped", "done before", **about))
        elif earlier is not None and self._is_present(earlier):
            only_source_changed = self._fingerprint_of(earlier["identity"]) == earlier["fingerprint"]
            item = replace(item, replaces=only_source_changed)
        self._begun[path] = identity, fingerprint
        self._lines.write({"event": BEGIN, "path": readable_name(path), "time": time.time()})
        return item

    def end(self, outcome: Outcome) -> None:
        """Note what became of an item that was begun; what needed no work is not noted again."""
        if outcome.path not in self._begun:
            return
        identity, fingerprint = self._begun.pop(outcome.path)
        fields = asdict(outcome)
        del fields["fatal"]
        if outcome.output is not None:
            fields |= {"status": "done", "output": _below(self._out, outcome.output)}
        fields |= {"path": readable_name(outcome.path), "reason": readable_name(outcome.reason)}
        about = {"identity": identity, "fingerprint": fingerprint, "time": time.time()}
        self._lines.write({"event": END, **fields, **about})

    def _is_present(self, earlier: dict[str, Any]) -> bool:
        """Whether the result of an earlier run lies where it was put, at the size it had."""
        if earlier["output"] is None:
            return False
        return _holds(self._present, _digest(_result_key(earlier["output"], earlier["size"])))


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
    """
    with _locked(out):
        lines: _Lines = _LocalLines(out / FOLDER) if isinstance(out, Path) else _RemoteLines(out / FOLDER)
        journal = Journal(out, lines, fingerprint_of, again)
        try:
            yield journal
        finally:
            lines.close()
            _compact(out)


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


class _Lines(Protocol):
    """Where lines of JSON are added."""

    def write(self, line: dict[str, Any]) -> None:
        """Add one."""

    def close(self) -> None:
        """Keep all that was added."""


class _LocalLines:
    """A file that grows; it is made with the first line."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / _new_name()
        self._file: io.TextIOWrapper | None = None

    def write(self, line: dict[str, Any]) -> None:
        """Add a line; it outlives the process at once."""
        with write_errors(readable_name(self._path)):
            if self._file is None:
                self._file = self._path.open("w", encoding="utf-8")
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

    def write(self, line: dict[str, Any]) -> None:
        """Add a line; it is put with the others of the same few seconds."""
        self._waiting.append(json.dumps(line) + "\n")
        if time.monotonic() - self._put > FLUSH_SECONDS:
            self.close()

    def close(self) -> None:
        """Put what waits."""
        if self._waiting:
            write_bytes(self._folder / _new_name(), "".join(self._waiting).encode())
        self._waiting.clear()
        self._put = time.monotonic()


def _new_name() -> str:
    return f"lines-{time.time_ns():020d}.jsonl"


def _compact(out: Place) -> arrow.Table:
    """Bring the lines of earlier runs into the table; return it. It has the last row of each path."""
    folder = out / FOLDER
    parts = sorted((str(one.place) for one in files_below(folder) if one.place.suffix == ".jsonl"), key=str)
    places = [folder / part.rpartition("/")[2] for part in parts]
    table = _read_table(folder / TABLE)
    if places:
        table = _latest(arrow.concat_tables([table, *(_read_lines(place) for place in places)]))
        packed = io.BytesIO()
        parquet.write_table(table, packed, compression="zstd")
        write_bytes(folder / TABLE, packed.getvalue())
        for place in places:
            remove(place)
    return table


def _read_table(place: Place) -> arrow.Table:
    if not exists(place):
        return SCHEMA.empty_table()
    try:
        return parquet.read_table(io.BytesIO(read_bytes(place))).select(SCHEMA.names).cast(SCHEMA)
    except (arrow.ArrowException, KeyError):
        log.warning("The journal %s is damaged and begun anew; results are known by themselves.", place)
        return SCHEMA.empty_table()


def _read_lines(place: Place) -> arrow.Table:
    """What ended, of a file of lines; the last line may be cut off where a run was killed."""
    data = read_bytes(place)
    data = data[: data.rfind(b"\n") + 1]
    if not data:
        return SCHEMA.empty_table()
    options = arrow_json.ParseOptions(explicit_schema=_LINES, unexpected_field_behavior="ignore")
    table = arrow_json.read_json(io.BytesIO(data), parse_options=options)
    return table.filter(compute.equal(table["event"], END)).select(SCHEMA.names)


def _latest(table: arrow.Table) -> arrow.Table:
    numbered = arrow.table({"path": table["path"], "row": np.arange(len(table))})
    last = numbered.group_by("path").aggregate([("row", "max")])
    return table.take(np.sort(last["row_max"].to_numpy())).combine_chunks()


class _History:
    """A table found by path: 16 bytes a row besides the table itself."""

    def __init__(self, table: arrow.Table) -> None:
        digests = np.fromiter((_digest(one.as_py()) for one in table["path"]), np.uint64, len(table))
        self._order = np.argsort(digests)
        self._table, self._digests = table, digests[self._order]

    def __len__(self) -> int:
        return len(self._table)

    def find(self, path: str) -> dict[str, Any] | None:
        """The row of a path."""
        digest = _digest(path)
        if not _holds(self._digests, digest):
            return None
        place = int(self._order[np.searchsorted(self._digests, np.uint64(digest))])
        row: dict[str, Any] = self._table.slice(place, 1).to_pylist()[0]
        return row if row["path"] == path else None


def _identity(item: Item) -> str | None:
    """Size and time of a source where they can be had cheaply."""
    if item.stamp is not None:
        return f"{item.stamp.size}:{item.stamp.modified}"
    if not isinstance(item.source, Path):
        return None
    try:
        return Source.of_file(item.source).identity
    except InputError:
        return None


def _below(out: Place, output: str) -> str:
    return readable_name(output.removeprefix(f"{out}/"))


def _result_key(output: str, size: int | None) -> str:
    return f"{size} {output}"


def _digest(text: str) -> int:
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


def _digests(texts: Iterator[str]) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """Sorted digests: 8 bytes for each text."""
    return np.sort(np.fromiter(map(_digest, texts), np.uint64))


def _holds(digests: np.ndarray[Any, np.dtype[np.uint64]], digest: int) -> bool:
    place = int(np.searchsorted(digests, np.uint64(digest)))
    return place < len(digests) and bool(digests[place] == digest)
