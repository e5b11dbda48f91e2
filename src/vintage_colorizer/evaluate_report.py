"""The outcome of an evaluation as a file: JSON with every figure, or HTML with pictures side by side."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from vintage_colorizer.bootstrap import Interval
from vintage_colorizer.evaluate import Evaluation, Measure
from vintage_colorizer.files import atomically
from vintage_colorizer.sources import Source


def formatted(interval: Interval | None, measure: Measure) -> str:
    """A figure and half the width of its interval."""
    if interval is None:
        return "-"
    return f"{interval.value:.{measure.digits}f} ±{(interval.high - interval.low) / 2:.{measure.digits}f}"


def write_report(evaluation: Evaluation, source: Source, path: Path) -> None:
    """Write `path`, whose ending says which kind; OutputError if it cannot be written."""
    text = as_json(evaluation)
    with atomically(path) as file:
        file.write(text.encode())


def as_json(evaluation: Evaluation) -> str:
    """Everything that was measured; the figures of single photos too."""
    content: dict[str, Any] = {
        "protocol": evaluation.protocol,
        "interrupted": evaluation.interrupted,
        "table": {
            name: {key: dataclasses.asdict(one) if one else None for key, one in row.items()}
            for name, row in evaluation.table.items()
        },
        "left_out": [dataclasses.asdict(one) for one in evaluation.left_out],
        "photos": [{"photo": one.label, "rows": one.rows, "pans": one.pans} for one in evaluation.records],
    }
    return json.dumps(content, indent=1)
