"""Where photos come from; needs no torch."""

from __future__ import annotations

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from support.training_photos import write_photos
from vintage_colorizer.datasets import open_source
from vintage_colorizer.errors import InputError, MissingError, UnreadableError


def test_shards_give_what_the_folder_gives(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos" / "class", each=3)
    (tmp_path / "photos" / "notes.txt").write_text("no picture")
    paths = sorted((tmp_path / "photos").rglob("*.png"))
    for shard, part in enumerate((paths[:5], paths[5:])):
        with tarfile.open(tmp_path / f"train-{shard}.tar", "w") as archive:
            for path in part:
                archive.add(path, arcname=path.name)
    (tmp_path / "val.tar").write_bytes((tmp_path / "train-0.tar").read_bytes())
    folder, shards = open_source(tmp_path / "photos"), open_source(tmp_path / "train-*.tar")
    assert [folder.read(i) for i in range(len(folder))] == [shards.read(i) for i in range(len(shards))]
    assert len(open_source(tmp_path)) == len(paths) + 5
    assert len(open_source(tmp_path / "val.tar")) == 5


def test_nothing_there(tmp_path: Path) -> None:
    for place in (tmp_path, tmp_path / "absent"):
        with pytest.raises(InputError, match="no pictures"):
            open_source(place)


def test_a_damaged_shard_is_named(tmp_path: Path) -> None:
    (tmp_path / "bad.tar").write_bytes(b"\x01" * 2000)
    with pytest.raises(UnreadableError, match=r"bad\.tar"):
        open_source(tmp_path / "bad.tar")


def test_hugging_face_names_the_package_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingError, match="pip install datasets"):
        open_source("hf:nobody/nothing")


def test_neither_sources_nor_evaluation_import_torch() -> None:
    source = str(Path(__file__).parent.parent / "src")
    program = f"import sys; sys.path.insert(0, {source!r}); import vintage_colorizer.cli.evaluate"
    done = subprocess.run([sys.executable, "-c", f"{program}; sys.exit('torch' in sys.modules)"])
    assert done.returncode == 0
