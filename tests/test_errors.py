"""Errors say which file they are about apart from what happened to it."""

from __future__ import annotations

import errno
import pickle
from pathlib import Path

import pytest

from support import bad_files
from vintage_colorizer import errors
from vintage_colorizer.errors import DiskFullError, InputError, MissingError, OptionError, VintageColorizerError
from vintage_colorizer.files import write_errors
from vintage_colorizer.photo.reading import probe, read_photo

TREE = [one for one in vars(errors).values() if isinstance(one, type) and issubclass(one, VintageColorizerError)]


def test_a_subject_comes_before_the_text() -> None:
    error = OptionError("cannot be read: choose another.", Path("scans/a.jpg"))
    assert (error.subject, error.text) == ("scans/a.jpg", "cannot be read: choose another.")
    assert str(error) == "scans/a.jpg cannot be read: choose another."
    assert str(error.about("s3://bucket/a.jpg")) == "s3://bucket/a.jpg cannot be read: choose another."
    assert str(MissingError("PyTorch is missing.")) == "PyTorch is missing."


@pytest.mark.parametrize("cls", TREE)
def test_errors_reach_other_processes_whole(cls: type[VintageColorizerError]) -> None:
    for error in (cls("is damaged {0}.", "a.jpg"), cls("Nothing works.")):
        again = pickle.loads(pickle.dumps(error))
        assert (type(again), again.subject, again.text, str(again)) == (cls, error.subject, error.text, str(error))


@pytest.mark.parametrize("name", sorted(bad_files.UNREADABLE | bad_files.UNSUPPORTED | bad_files.TOO_LARGE))
def test_every_error_of_a_picture_is_about_its_file(name: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.jpg"
    path.write_bytes((bad_files.UNREADABLE | bad_files.UNSUPPORTED | bad_files.TOO_LARGE)[name]())
    for read in (probe, read_photo):
        try:
            read(path)
        except InputError as error:
            assert error.subject == str(path) and str(path) not in error.text
            return
    pytest.fail("it was read")


def test_a_full_disk_is_said() -> None:
    with (
        pytest.raises(DiskFullError, match=r"^x\.png cannot be written \(No space is left\): free some space\.$"),
        write_errors("x.png"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
