"""Plans, facts and messages as JSON, by way of pydantic.

The text itself is `json`'s, because the name of a file need not be valid Unicode, which pydantic's own JSON refuses.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter

Record = TypeVar("Record")


@lru_cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def to_json(record: Any) -> str:
    """A dataclass, with what it holds, as a line of JSON."""
    kind: Any = type(record)
    return json.dumps(_adapter(kind).dump_python(record, mode="json"))


def of_json(kind: type[Record], text: str) -> Record:
    """Read what `to_json` wrote.

    Raises:
        ValueError: the text is not JSON or does not fit the dataclass.
    """
    adapter: TypeAdapter[Record] = _adapter(cast(Any, kind))
    return adapter.validate_python(json.loads(text))
