"""Zips made by the page (zip.js), opened by Python."""

from __future__ import annotations

import time
import zipfile
import zlib
from pathlib import Path

import pytest

from support.node import run_script


def test_files_come_back_with_names_that_differ(tmp_path: Path) -> None:
    files = [("größe.jpg", "a" * 70_000), ("b", ""), ("größe.jpg", "c"), ("b", "d")]
    names = run_script("zip.mjs", {"folder": str(tmp_path), "files": files}, tmp_path)
    with zipfile.ZipFile(tmp_path / "files.zip") as archive:
        assert archive.testzip() is None
        assert archive.namelist() == names == ["größe.jpg", "b", "größe (2).jpg", "b (2)"]
        assert [archive.read(name).decode() for name in names] == [text for _, text in files]
        assert {one.extract_version for one in archive.infolist()} == {20}  # old programs can open it
        written = {time.mktime((*one.date_time, 0, 0, -1)) for one in archive.infolist()}
        assert len(written) == 1 and abs(written.pop() - time.time()) < 300


@pytest.mark.long
@pytest.mark.parametrize("count", [65_534, 65_535, 65_540])
def test_many_files_are_all_there(tmp_path: Path, count: int) -> None:
    files = [(f"{i}", "") for i in range(count)]
    run_script("zip.mjs", {"folder": str(tmp_path), "files": files}, tmp_path)
    with zipfile.ZipFile(tmp_path / "files.zip") as archive:
        assert len(archive.namelist()) == count
    assert (b"PK\x06\x06" in (tmp_path / "files.zip").read_bytes()) == (count >= 65_535)


def test_files_beyond_four_gigabytes_are_found(tmp_path: Path) -> None:
    """The records of a zip whose bytes are left out of the disk: a file of 5 GB, and a small one behind it."""
    size, small = 5_000_000_000, b"the small one"
    head = 30 + len("large") + 20  # header, name, zip64
    entries = [
        {"name": "large", "crc": 0, "size": size, "offset": 0},
        {"name": "small", "crc": zlib.crc32(small), "size": len(small), "offset": head + size},
    ]
    offset = head + size + 30 + len("small") + len(small)
    run_script("zip.mjs", {"folder": str(tmp_path), "entries": entries, "offset": offset}, tmp_path)
    headers = [(tmp_path / f"header-{i}").read_bytes() for i in range(2)]
    assert [len(one) for one in headers] == [head, 30 + len("small")]
    with open(tmp_path / "large.zip", "wb") as file:
        file.write(headers[0])
        file.seek(head + size)
        file.write(headers[1] + small + (tmp_path / "directory").read_bytes())
    with zipfile.ZipFile(tmp_path / "large.zip") as archive:
        assert [one.file_size for one in archive.infolist()] == [size, len(small)]
        assert archive.read("small") == small
        assert {one.date_time for one in archive.infolist()} == {(2024, 2, 29, 13, 37, 42)}
        with archive.open("large") as large:
            assert large.read(10) == bytes(10)
