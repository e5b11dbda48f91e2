"""What results are called."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from vintage_colorizer.archive.inputs import Item
from vintage_colorizer.options import SavedSettings
from vintage_colorizer.photo.formats import NAMES, SUFFIXES, output_format
from vintage_colorizer.photo.picture import Header

LONGEST_NAME = 255  # bytes, on all common file systems


def result_path(item: Item, header: Header, options: SavedSettings, addition: str = "-color") -> Path:
    """Where the result of an item goes.

    The source's name, with `addition` if it lies beside the source. If the format changes, the new
    ending is added to the whole name, so that the results of a.gif and a.png never collide.
    """
    assert isinstance(item.folder, Path)
    if item.name is not None:
        return item.folder / item.name
    name = item.source.name
    ending = item.source.suffix
    format = output_format(header.format, header.depth, header.has_alpha, options.format)
    stem, addition = name.removesuffix(ending), addition if item.beside else ""
    if NAMES.get(ending[1:].lower()) != format:
        stem, ending = name, SUFFIXES[format]
    return item.folder / fitting_name(stem, addition + ending)


def fitting_name(stem: str, tail: str) -> str:
    """The name stem + tail; a stem too long for file systems is cut and told apart by a hash."""
    raw = os.fsencode(stem)
    room = LONGEST_NAME - len(os.fsencode(tail))
    if len(raw) <= room:
        return stem + tail
    mark = "~" + hashlib.sha256(raw).hexdigest()[:8]
    cut = raw[: room - len(mark)].decode(errors="ignore")
    return cut + mark + tail
