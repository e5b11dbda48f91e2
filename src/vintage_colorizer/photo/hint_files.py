"""Hints in files: JSON lines, a layer painted in a program such as GIMP or Krita, or a photo colored with hints."""

from __future__ import annotations

import contextlib
import io
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vintage_colorizer.errors import InputError, OptionError, UnreadableError
from vintage_colorizer.files import read_errors, readable_name
from vintage_colorizer.hints import MOST, Hint, as_hints
from vintage_colorizer.photo.reading import probe

FINEST = 64  # cells along the longer side of a painted layer
OPAQUE = 128  # of 255
LARGEST_FILE = 256 * 2**20  # bytes
LARGEST_LAYER = 300_000_000  # pixels


def read_hints(path: Path) -> tuple[Hint, ...]:
    """Read hints from a file.

    Raises:
        InputError: the file cannot be read, or holds no hints.
        OptionError: a hint is wrong, or there are too many.
    """
    name = readable_name(path)
    with read_errors(name):
        if path.stat().st_size > LARGEST_FILE:
            raise InputError("is too large for a file of hints.", name)
        data = path.read_bytes()
    return hints_in(data, name)


def hints_in(data: bytes, name: str) -> tuple[Hint, ...]:
    """The hints in a file that was read before; `name` is for errors.

    Of a photo that was colored here, those that were stated. Any other PNG is a layer of the size of the picture, or of
    its shape: where it is opaque, its color is stated. Any other file holds a JSON object a line: x, y and color, if
    need be radius and by, see `Hint`. Raises as `read_hints`.
    """
    with contextlib.suppress(InputError):  # it is no picture
        header = probe(data)
        if header.is_colored:
            return as_hints(header.hints)
    if data.startswith(b"\x89PNG"):
        return _of_layer(data, name)
    try:
        lines = [line for line in data.decode("utf-8-sig").splitlines() if line.strip()]
    except UnicodeDecodeError:
        raise UnreadableError(
            "holds no hints: give JSON lines, a PNG layer, or a photo that was colored with hints.", name
        ) from None
    return tuple(_of_line(line, f"{name}, line {number}") for number, line in enumerate(lines, start=1))


def _of_line(line: str, where: str) -> Hint:
    try:
        values: Any = json.loads(line)
        return Hint(**values)
    except (json.JSONDecodeError, TypeError):
        example = '{"x": 0.42, "y": 0.63, "color": "navy"}'
        raise OptionError(f"{where} is no hint; write it like this: {example}") from None
    except OptionError as error:
        raise OptionError(f"{where}: {error}") from None


def _of_layer(data: bytes, name: str) -> tuple[Hint, ...]:
    """A hint for every cell of a grid that is opaque for the most part; the grid is as fine as `MOST` allows."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.width * image.height > LARGEST_LAYER:
                raise InputError("is too large for a layer of hints; scale it down.", name)
            layer = image.convert("RGBA")
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise UnreadableError("is a PNG that cannot be read; it may be damaged.", name) from error
    if np.asarray(layer.getchannel("A")).min() == 255:
        raise OptionError(f"{name} is opaque everywhere; leave its layer transparent where nothing is stated.")
    cells = FINEST
    hints = _cells(layer, cells)
    while len(hints) > MOST:
        cells = int(cells * math.sqrt(MOST / len(hints)) * 0.95)
        hints = _cells(layer, cells)
    return hints


def _cells(layer: Image.Image, cells: int) -> tuple[Hint, ...]:
    longer = max(layer.size)
    width, height = (max(1, round(side * cells / longer)) for side in layer.size)
    small = np.asarray(layer.convert("RGBa").resize((width, height), Image.Resampling.BOX).convert("RGBA"))
    rows, columns = np.nonzero(small[..., 3] >= OPAQUE)
    return tuple(
        Hint((x + 0.5) / width, (y + 0.5) / height, f"#{small[y, x].tobytes()[:3].hex()}", 0.5 / cells)
        for y, x in zip(rows.tolist(), columns.tolist(), strict=True)
    )
