"""The repair command as a user meets it."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data

from vintage_colorizer import color
from vintage_colorizer.photo.reading import probe, read_photo

pytestmark = pytest.mark.long


def run(*arguments: str | Path, cwd: Path, stdin: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    words = [sys.executable, "-m", "vintage_colorizer", *(str(argument) for argument in arguments)]
    return subprocess.run(words, cwd=cwd, input=stdin, capture_output=True, timeout=120)


def said(result: subprocess.CompletedProcess[bytes]) -> str:
    return result.stderr.decode()


@pytest.fixture
def scan(tmp_path: Path) -> Path:
    """A scratched print, in 16 bits."""
    pixels = np.rint(color.luma(np.asarray(data.astronaut())) * 65535).astype(np.uint16)
    cv2.line(pixels, (300, 20), (310, 480), 62000, 2)
    folder = tmp_path / "scans"
    folder.mkdir()
    assert cv2.imwrite(str(folder / "print.tif"), pixels)
    return folder / "print.tif"


def test_a_photo_is_repaired_beside_its_source(scan: Path) -> None:
    before = scan.read_bytes()
    result = run("repair", scan.name, "--only", "scratches,dust", "--mask", "mask.png", cwd=scan.parent)
    assert result.returncode == 0, said(result)
    assert "Wrote print-repaired.tif (repaired: scratches" in said(result)
    assert scan.read_bytes() == before
    with Image.open(scan.parent / "mask.png") as picture:
        mask = np.asarray(picture) > 0
    source, repaired = read_photo(scan).pixels, read_photo(scan.parent / "print-repaired.tif").pixels
    assert repaired.dtype == np.uint16 and mask.any()
    assert np.array_equal(repaired[~mask, 0], source[~mask])
    again = run("repair", scan.name, "--only", "scratches,dust", cwd=scan.parent)
    assert again.returncode == 0 and "done before" in said(again)


def test_a_folder_is_repaired_taken_back_and_colored(scan: Path, tmp_path: Path) -> None:
    result = run("repair", "scans", "-o", "out", "--sidecar", "--report", "report.jsonl", cwd=tmp_path)
    assert result.returncode == 0 and "1 repaired" in said(result), said(result)
    assert json.loads((tmp_path / "report.jsonl").read_text())["status"] == "done"
    repaired = tmp_path / "out" / "scans" / "print.tif"
    repaired = repaired if repaired.exists() else tmp_path / "out" / "print.tif"
    back = run("repair", repaired, "--undo", "-o", tmp_path / "back", cwd=tmp_path)
    assert back.returncode == 0, said(back)
    assert (tmp_path / "back" / "print.tif").read_bytes() == scan.read_bytes()
    colored = run("photo", repaired, "-o", "color.tif", cwd=tmp_path)
    assert colored.returncode == 0 and probe(tmp_path / "color.tif").repaired, said(colored)
    assert "repaired by Vintage Colorizer before" in said(run("repair", repaired, cwd=tmp_path))


def test_a_stream_is_repaired(scan: Path, tmp_path: Path) -> None:
    result = run("repair", "-", "-o", "out.png", cwd=tmp_path, stdin=scan.read_bytes())
    assert result.returncode == 0, said(result)
    piped = run("repair", "-", "--format", "png", cwd=tmp_path, stdin=scan.read_bytes())
    with Image.open(io.BytesIO(piped.stdout)) as image:
        assert image.size == (512, 512)


def test_what_cannot_be_repaired_is_said(scan: Path, tmp_path: Path) -> None:
    (tmp_path / "text.jpg").write_text("no picture")
    for words, code, what in (
        (["text.jpg"], 1, "text.jpg"),
        (["missing.jpg"], 1, "missing.jpg"),
        ([str(scan), "--only", "tears"], 2, "only cannot be"),
        ([str(scan), "--undo"], 1, "source.zip"),
        ([str(scan), "-o", str(scan), "--overwrite"], 1, "is the source itself"),
        ([str(scan.parent), "--mask", "m.png"], 2, "--mask is of one photo"),
        (["s3://bucket/a.jpg", "--sidecar"], 2, "--sidecar needs results on this machine"),
    ):
        result = run("repair", *words, cwd=tmp_path)
        assert result.returncode == code and what in said(result), said(result)
