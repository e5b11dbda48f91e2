from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support import bad_files
from support.photos import DISCLOSURE, colored
from vintage_colorizer.errors import DiskFullError, OutputError, UnreadableError
from vintage_colorizer.files import atomically, free_name, locked
from vintage_colorizer.photo.picture import Photo
from vintage_colorizer.photo.reading import probe, read_photo
from vintage_colorizer.photo.writing import write_photo


def test_names_of_any_kind(tmp_path: Path) -> None:
    names = ["-rf.jpg", "two words 'quoted'.jpg", "写真.jpg", "x" * 251 + ".jpg"]
    if sys.platform == "linux":
        names += ["line\nbreak.jpg", os.fsdecode(b"\xff\xfe.jpg")]
    photo = read_photo(bad_files.seed("JPEG"))
    for name in names:
        target = tmp_path / "new" / name
        write_photo(target, colored(photo), photo, format="JPEG", disclosure=DISCLOSURE)
        assert probe(target).fingerprint == "f1"
    assert len(list((tmp_path / "new").iterdir())) == len(names)


def test_messages_are_one_readable_line(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("such names exist on Linux only")
    with pytest.raises(UnreadableError) as caught:
        probe(tmp_path / os.fsdecode(b"a\n\xff.jpg"))
    assert "a\\n\\xff.jpg" in str(caught.value)
    str(caught.value).encode()


def test_a_folder_is_no_target(tmp_path: Path) -> None:
    photo = read_photo(bad_files.seed("JPEG"))
    (tmp_path / "out.jpg").mkdir()
    with pytest.raises(OutputError, match=r"out\.jpg cannot be written"):
        write_photo(tmp_path / "out.jpg", colored(photo), photo, format="JPEG", disclosure=DISCLOSURE)
    assert [p.name for p in tmp_path.iterdir()] == ["out.jpg"]


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
def test_full_disk_leaves_nothing(format: str, tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    photo = Photo(np.random.default_rng(1).integers(0, 256, (300, 300), dtype=np.uint8))
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(DiskFullError, match="No space is left"):
            write_photo(tmp_path / "out", colored(photo), photo, format=format, disclosure=DISCLOSURE)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_replaced(tmp_path: Path) -> None:
    write = "import sys; from pathlib import Path; from vintage_colorizer.files import atomically\n"
    write += "with atomically(Path('out.jpg')) as file: file.write(b'half'); file.flush(); print(flush=True); input()"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", write], cwd=tmp_path, env=environment, **pipes) as writer:
        assert writer.stdout is not None and writer.stdout.readline()
        part = tmp_path / ".out.jpg.part"
        with atomically(tmp_path / "out.jpg") as file:
            file.write(b"whole")
        assert part.read_bytes() == b"half"  # its writer is at work
        writer.kill()
    with atomically(tmp_path / "out.jpg") as file:
        assert part.read_bytes() == b""
        file.write(b"whole again")
    assert [path.name for path in tmp_path.iterdir()] == ["out.jpg"]
    assert (tmp_path / "out.jpg").read_bytes() == b"whole again"


HOLD = "import sys; from pathlib import Path; from vintage_colorizer.files import locked\n"
HOLD += "with locked(Path('lock')): print(flush=True); input()"


def test_a_lock_keeps_others_out_until_its_holder_ends_or_is_killed(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", HOLD], cwd=tmp_path, env=environment, **pipes) as holder:
        assert holder.stdout is not None and holder.stdout.readline()
        with pytest.raises(TimeoutError), locked(tmp_path / "lock"):
            pass
        holder.kill()
    with locked(tmp_path / "lock", patience=30), pytest.raises(TimeoutError), locked(tmp_path / "lock"):
        pass
    assert list(tmp_path.iterdir()) == []


def test_something_else_with_the_name_of_a_part_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / ".out.jpg.part").mkdir()
    (tmp_path / ".other.jpg.part").symlink_to(tmp_path / "elsewhere")
    for name in ("out.jpg", "other.jpg"):
        with atomically(tmp_path / name) as file:
            file.write(b"whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".out.jpg.part", "other.jpg", "out.jpg"]
    assert (tmp_path / "other.jpg").read_bytes() == (tmp_path / "out.jpg").read_bytes() == b"whole"


def test_many_threads_may_write_the_same_file(tmp_path: Path) -> None:
    def write(number: int) -> None:
        with atomically(tmp_path / "out.bin") as file:
            file.write(bytes([number]) * 100_000)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(64)))
    assert len(set((tmp_path / "out.bin").read_bytes())) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["out.bin"]


def test_an_interrupt_leaves_the_old_file(tmp_path: Path) -> None:
    class Interrupting(np.ndarray):  # an array whose bytes are asked for at the moment of Ctrl-C
        def __getitem__(self, key: Any) -> Any:
            raise KeyboardInterrupt

    photo = read_photo(bad_files.seed("TIFF"))
    target = tmp_path / "out.tif"
    target.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        write_photo(target, colored(photo).view(Interrupting), photo, format="TIFF", disclosure=DISCLOSURE)
    assert target.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["out.tif"]


def test_a_free_name_is_found(tmp_path: Path) -> None:
    wanted = tmp_path / "colored.png"
    assert free_name(wanted) == wanted
    wanted.touch()
    (tmp_path / "colored-2.png").symlink_to(tmp_path / "nowhere")
    assert free_name(str(wanted)) == tmp_path / "colored-3.png"
