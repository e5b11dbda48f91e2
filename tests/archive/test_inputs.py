"""Which inputs there are: lists of names as programs write them, and what a folder's files are passed over for."""

from pathlib import Path

import pytest

from vintage_colorizer.archive.inputs import PICTURES, Item, Outcome, files_in, listed
from vintage_colorizer.errors import UnreadableError


def sources(file: Path) -> list[str]:
    return [str(found.source) for found in listed(file, None) if isinstance(found, Item)]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_list_is_read_in_every_encoding_of_windows(tmp_path: Path, encoding: str, end: str) -> None:
    file = tmp_path / "list.txt"
    file.write_bytes(f"a.jpg{end}größe 祖母.tif{end}{end}z.png".encode(encoding))
    assert sources(file) == ["a.jpg", "größe 祖母.tif", "z.png"]


def test_a_list_keeps_names_that_are_no_text(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_bytes(b"caf\xe9.jpg\n")
    assert sources(file)[0].encode("utf-8", "surrogateescape") == b"caf\xe9.jpg"


def test_a_list_cut_within_a_letter_is_said_to_be_damaged(tmp_path: Path) -> None:
    file = tmp_path / "list.txt"
    file.write_bytes("a.jpg\r\n".encode("utf-16") + b"\x61")
    with pytest.raises(UnreadableError, match=r"list\.txt is damaged .*UTF-8"):
        sources(file)


def test_quotes_and_backslashes_of_windows_are_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a b.jpg").touch()
    file = tmp_path / "list.txt"
    file.write_text('"a b.jpg"\nsub\\a b.jpg\n"sub\\a b.jpg"\n"\n', encoding="utf-8")
    assert [Path(source) for source in sources(file)] == [Path("a b.jpg"), *[Path("sub/a b.jpg")] * 2, Path('"')]


def test_a_file_of_just_that_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    try:
        Path('"a\\b.jpg"').touch()
    except OSError:
        pytest.skip("names have no quotes here")
    file = tmp_path / "list.txt"
    file.write_text('"a\\b.jpg"\n', encoding="utf-8")
    assert sources(file) == ['"a\\b.jpg"']


def test_a_raw_file_in_a_folder_is_passed_over_as_one(tmp_path: Path) -> None:
    for name in ("a.jpg", "b.NEF", "c.dng", "notes.txt"):
        (tmp_path / name).touch()
    found = {
        Path(str(one.path)).name: one.reason
        for one in files_in(tmp_path, None, None, PICTURES)
        if isinstance(one, Outcome)
    }
    raw = "a raw file by its name; export it as 16-bit TIFF or as JPEG"
    assert found == {"b.NEF": raw, "c.dng": raw, "notes.txt": "not a picture by its name"}
