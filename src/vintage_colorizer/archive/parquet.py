"""The journal of earlier versions as a Parquet table, for archives that have one."""

from __future__ import annotations

import importlib
import io
from collections.abc import Iterable, Iterator
from itertools import islice
from types import ModuleType
from typing import Any

from vintage_colorizer.errors import MissingError

ROWS = 10_000  # in memory at a time
# The columns, and what pyarrow calls the types of their values.
COLUMNS = {
    "path": "string",
    "status": "string",
    "reason": "string",
    "output": "string",  # relative to the folder of results
    "size": "int64",
    "width": "int64",
    "height": "int64",
    "seconds": "float64",
    "look": "string",
    "network": "string",
    "render_factor": "int64",
    "chroma": "float64",
    "certainty": "float64",
    "crashed": "bool_",
    "identity": "string",  # size and time of the source
    "fingerprint": "string",  # of the result
    "time": "float64",  # seconds since 1970
}


def read(data: bytes) -> Iterator[dict[str, Any]]:
    """The rows of a table; ValueError if it is damaged, MissingError without pyarrow."""
    file = _pyarrow("pyarrow.parquet").ParquetFile(io.BytesIO(data))
    for batch in file.iter_batches(ROWS):
        yield from batch.to_pylist()


def pack(rows: Iterable[dict[str, Any]]) -> bytes:
    """A table of rows; MissingError without pyarrow."""
    arrow, parquet = _pyarrow("pyarrow"), _pyarrow("pyarrow.parquet")
    schema = arrow.schema([(name, getattr(arrow, kind)()) for name, kind in COLUMNS.items()])
    packed, rows = io.BytesIO(), iter(rows)
    with parquet.ParquetWriter(packed, schema, compression="zstd") as writer:
        while some := list(islice(rows, ROWS)):
            writer.write_table(arrow.Table.from_pylist(some, schema))
    return packed.getvalue()


def _pyarrow(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        text = "This journal is a Parquet table of an earlier version, which needs pyarrow: pip install pyarrow."
        raise MissingError(f"{text} Or remove journal.parquet: results are known by themselves.") from error
