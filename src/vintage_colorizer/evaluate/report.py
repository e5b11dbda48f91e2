"""The outcome of an evaluation as a file: JSON with every figure, or HTML with pictures side by side."""

from __future__ import annotations

import base64
import dataclasses
import io
import json
import math
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vintage_colorizer.colorizer import Colorizer
from vintage_colorizer.datasets import Source
from vintage_colorizer.evaluate.bootstrap import Interval
from vintage_colorizer.evaluate.measures import (
    CURVE_MEASURES,
    DISTANCE,
    MEASURES,
    PAN_MEASURES,
    Measure,
    PhotoRecord,
)
from vintage_colorizer.evaluate.metrics import RGB
from vintage_colorizer.evaluate.run import GREY, TRUTH, Evaluation, Rows, color_photo, colored
from vintage_colorizer.files import atomically

ALL = (*MEASURES, DISTANCE, *CURVE_MEASURES, *PAN_MEASURES)
WORST, RANDOM = 12, 12  # photos shown
SHOWN_SIDE = 256  # pixels of the longer side of pictures
STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; text-align: right; white-space: nowrap; border-bottom: 1px solid #8884; }
th:first-child { text-align: left; }
small { opacity: .75; display: block; }
dt { font-weight: 600; } dd { margin: 0 0 .3rem 1rem; }
.row { display: flex; gap: .5rem; margin-bottom: 1rem; }
figure { margin: 0; } figcaption { max-width: 256px; font-size: 13px; }
"""


def tables(evaluation: Evaluation) -> Iterator[tuple[list[Measure], Rows]]:
    """The columns and rows of each table that has any figures."""
    for measures, rows in (
        ((*MEASURES, DISTANCE), evaluation.table),
        (CURVE_MEASURES, evaluation.curves),
        (PAN_MEASURES, evaluation.table),
    ):
        if shown := [one for one in measures if any(row.get(one.name) for row in rows.values())]:
            yield shown, rows


def heading(measure: Measure) -> str:
    """What stands above a column."""
    return f"{measure.name} {measure.unit}".strip().replace("_", " ")


def formatted(interval: Interval | None, measure: Measure) -> str:
    """A figure and half the width of its interval."""
    if interval is None:
        return "-"
    return f"{_rounded(interval.value, measure)} ±{_rounded((interval.high - interval.low) / 2, measure)}"


def _rounded(value: float, measure: Measure) -> str:
    return f"{round(value, measure.digits) + 0.0:.{measure.digits}f}"  # + 0.0: there is no -0.00


def write_report(evaluation: Evaluation, source: Source, path: Path) -> None:
    """Write `path`, a page if it ends in .html, else JSON.

    Raises:
        OutputError: it cannot be written.
        InputError: a photo to be shown cannot be read any more.
    """
    text = as_html(evaluation, source) if path.suffix.lower() == ".html" else as_json(evaluation)
    with atomically(path) as file:
        file.write(text.encode())


def as_json(evaluation: Evaluation) -> str:
    """Everything that was measured, figures of single photos too; what does not apply is null."""
    content = {
        "protocol": evaluation.protocol,
        "interrupted": evaluation.interrupted,
        "measures": {one.name: {"unit": one.unit, "about": one.about} for one in ALL},
        "table": _plain(evaluation.table),
        "curves": _plain(evaluation.curves),
        "left_out": [dataclasses.asdict(one) for one in evaluation.left_out],
        "photos": [{"photo": one.label, "rows": one.rows, "pans": one.pans} for one in evaluation.records],
    }
    return json.dumps(_finite(content), indent=1, allow_nan=False)


def _plain(rows: Rows) -> dict[str, dict[str, Any]]:
    return {
        name: {key: dataclasses.asdict(one) if one else None for key, one in row.items()} for name, row in rows.items()
    }


def _finite(content: Any) -> Any:
    """The same with None for numbers JSON does not have."""
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, (list, tuple)):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and not math.isfinite(content) else content


def as_html(evaluation: Evaluation, source: Source) -> str:
    """One page that needs nothing else: protocol, tables, and photos beside what became of them."""
    ranked = sorted(evaluation.records, key=_least_gain)
    rng = np.random.default_rng(0)
    drawn = rng.permutation(len(evaluation.records))[:RANDOM]
    colorizer = Colorizer()
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'><title>Evaluation of looks and networks</title>",
        "<meta name='viewport' content='width=device-width'>",
        f"<style>{STYLE}</style><h1>Evaluation of looks and networks</h1>",
        *(_html_table(shown, rows) for shown, rows in tables(evaluation)),
        "<h2>What was done</h2>",
        _definitions(evaluation.protocol),
        "<h2>What the figures are</h2>",
        _definitions({heading(one): one.about for shown, _ in tables(evaluation) for one in shown}),
        "<h2>The worst</h2><p>Photos on which a row falls most behind the grey picture, or gains least on it.</p>",
        *(_pictures(one, source, evaluation, colorizer) for one in ranked[:WORST]),
        "<h2>Drawn at random</h2>",
        *(_pictures(evaluation.records[number], source, evaluation, colorizer) for number in sorted(drawn)),
        "</html>",
    ]
    return "\n".join(parts)


def _least_gain(record: PhotoRecord) -> float:
    return min(row.get("gain", math.inf) for name, row in record.rows.items() if name not in (GREY, TRUTH))


def _definitions(items: dict[str, str]) -> str:
    return "<dl>" + "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in items.items()) + "</dl>"


def _html_table(measures: Sequence[Measure], rows: Rows) -> str:
    head = "".join(f"<th scope='col'>{escape(heading(one))}</th>" for one in measures)
    body = "".join(
        f"<tr><th scope='row'>{escape(name)}</th>{''.join(_cell(row.get(one.name), one) for one in measures)}</tr>"
        for name, row in rows.items()
    )
    return f"<div class='wide'><table><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def _cell(interval: Interval | None, measure: Measure) -> str:
    if interval is None:
        return "<td>-</td>"
    value, low, high = (_rounded(x, measure) for x in (interval.value, interval.low, interval.high))
    return f"<td>{value}<small>{low} to {high}</small></td>"


def _pictures(record: PhotoRecord, source: Source, evaluation: Evaluation, colorizer: Colorizer) -> str:
    truth = color_photo(source.read(record.number))
    pictures = colored(truth, evaluation.rows, colorizer)
    figures = "".join(_figure(name, picture, record.rows[name]) for name, picture in pictures.items())
    return f"<h3>{escape(Path(record.label).name)}</h3><div class='row wide'>{figures}</div>"


def _figure(name: str, picture: RGB, figures: dict[str, float]) -> str:
    image = Image.fromarray(picture)
    image.thumbnail((SHOWN_SIDE, SHOWN_SIDE))
    file = io.BytesIO()
    image.save(file, "JPEG", quality=88, subsampling=0)
    data = base64.b64encode(file.getvalue()).decode()
    gain = f"{figures['gain']:+.2f} dB, " if "gain" in figures else ""
    caption = f"{escape(name)}<small>{gain}colorfulness {figures['colorfulness']:.0f}</small>"
    picture_tag = f"<img src='data:image/jpeg;base64,{data}' alt='{escape(name)}' width='{image.width}'>"
    return f"<figure>{picture_tag}<figcaption>{caption}</figcaption></figure>"
