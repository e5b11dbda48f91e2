from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from vintage_colorizer.errors import InputError, OptionError, UnreadableError
from vintage_colorizer.hints import MOST, Hint
from vintage_colorizer.photo.hint_files import read_hints

LINE = {"x": 0.5, "y": 0.25, "color": "navy", "radius": 0.1, "by": "Aunt May"}


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_lines_are_read(tmp_path: Path, mark: bytes) -> None:
    path = tmp_path / "hints.jsonl"
    path.write_bytes(mark + json.dumps(LINE).encode() + b'\r\n\r\n{"x": 0, "y": 1, "color": "none"}\n')
    assert read_hints(path) == (Hint(0.5, 0.25, "navy", 0.1, "Aunt May"), Hint(0, 1, "none"))


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "line 2 is no hint"),
        ("[]", "line 2 is no hint"),
        ('{"x": 0.1, "y": 0.1}', "line 2 is no hint"),
        ('{"x": 0.1, "y": 0.1, "color": "red", "size": 3}', "line 2 is no hint"),
        ('{"x": "a", "y": 0.1, "color": "red"}', "line 2 is no hint"),
        ('{"x": 0.1, "y": 0.1, "color": 5}', "line 2: 5 is no color"),
        ('{"x": 7, "y": 0.1, "color": "red"}', "line 2: .*outside"),
    ],
)
def test_a_wrong_line_is_named(tmp_path: Path, line: str, words: str) -> None:
    path = tmp_path / "hints.jsonl"
    path.write_text(json.dumps(LINE) + "\n" + line)
    with pytest.raises(OptionError, match=words):
        read_hints(path)


def layer(path: Path, size: tuple[int, int] = (200, 100), **places: Any) -> Path:
    pixels = np.zeros((size[1], size[0], 4), np.uint8)
    for where, (left, top, right, bottom) in places.items():
        color = {"blue": (0, 0, 200, 255), "faint": (0, 200, 0, 60)}[where]
        pixels[top:bottom, left:right] = color
    Image.fromarray(pixels).save(path)
    return path


def test_a_layer_states_what_is_opaque(tmp_path: Path) -> None:
    hints = read_hints(layer(tmp_path / "layer.png", blue=(20, 40, 60, 80), faint=(100, 0, 150, 50)))
    assert {hint.color for hint in hints} <= {"#0000c7", "#0000c8"}  # rounded where edges are soft
    assert min(hint.x for hint in hints) > 0.08 and max(hint.x for hint in hints) < 0.32
    assert min(hint.y for hint in hints) > 0.38 and max(hint.y for hint in hints) < 0.82
    assert len(hints) == pytest.approx(13 * 13, abs=30)


def test_a_layer_of_many_places_becomes_coarser(tmp_path: Path) -> None:
    hints = read_hints(layer(tmp_path / "layer.png", blue=(0, 0, 199, 100)))
    assert MOST / 3 < len(hints) <= MOST


def test_what_is_no_file_of_hints(tmp_path: Path) -> None:
    Image.new("RGB", (30, 30)).save(tmp_path / "photo.png")
    with pytest.raises(OptionError, match="opaque everywhere"):
        read_hints(tmp_path / "photo.png")
    (tmp_path / "broken.png").write_bytes((tmp_path / "photo.png").read_bytes()[:40])
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    for name in ("broken.png", "binary"):
        with pytest.raises(UnreadableError):
            read_hints(tmp_path / name)
    with pytest.raises(InputError):
        read_hints(tmp_path / "missing")
