from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from support.bad_films import frames_of, luma_of, make_film, plane_of
from vintage_colorizer.archive.films import result_path
from vintage_colorizer.archive.inputs import Item
from vintage_colorizer.errors import InputError, OptionError
from vintage_colorizer.film.numbered import film_identity, is_numbered, numbers_of, plain_stem
from vintage_colorizer.film.source import looks_like_film
from vintage_colorizer.options import FilmOptions

pytestmark = pytest.mark.long


def sound_times(path: Path) -> list[float]:
    with av.open(str(path)) as container:
        return [float(one.pts * one.time_base) for one in container.demux(audio=0) if one.size and one.pts is not None]


def test_a_part_has_the_frames_and_the_sound_of_its_time(color: Any, tmp_path: Path) -> None:
    source = make_film(tmp_path / "in.mkv", frames=75, sounds=("flac",))
    target, result = color(source, start=1, stop="0:02")
    before, after = luma_of(source), luma_of(target)
    assert result.frames == len(after) == 25
    assert all(np.array_equal(one, other) for one, other in zip(before[25:50], after, strict=True))
    assert frames_of(target)[0].pts == 0
    times = sound_times(target)
    assert 0 <= times[0] < 0.2 and 0.8 < times[-1] <= 1.0


def test_parts_are_colored_as_the_whole_is(color: Any, tmp_path: Path) -> None:
    source = make_film(tmp_path / "in.mkv", frames=30)
    whole, _ = color(source, "whole.mkv")
    part, _ = color(source, "part.mkv", start=0.4)
    chroma = [plane_of(frame, 1) for frame in frames_of(whole)][10:]
    assert all(np.array_equal(one, plane_of(two, 1)) for one, two in zip(chroma, frames_of(part), strict=True))


def test_a_preview_may_begin_anywhere(color: Any, tmp_path: Path) -> None:
    source = make_film(tmp_path / "in.mkv", frames=50)
    target, result = color(source, start=1, preview=0.4)
    assert result.frames == 10
    left, right = np.split(luma_of(target)[0], 2, axis=1)
    assert np.array_equal(left, right) and np.array_equal(left, luma_of(source)[25])


def test_a_whole_film_side_by_side(color: Any, tmp_path: Path) -> None:
    source = make_film(tmp_path / "in.mkv", frames=5)
    target, result = color(source, side_by_side=True)
    assert result.frames == 5
    assert luma_of(target)[0].shape[1] == 2 * luma_of(source)[0].shape[1]


def test_a_part_behind_the_end_is_refused(color: Any, tmp_path: Path) -> None:
    source = make_film(tmp_path / "in.mkv", frames=25)
    with pytest.raises(OptionError, match=r"ends at 1\.00 seconds"):
        color(source, start=1)


@pytest.mark.parametrize(
    ("given", "seconds"), [("90", 90), ("1:30", 90), ("0:01:30.5", 90.5), (12.5, 12.5), ("1:00:00", 3600)]
)
def test_times_are_seconds_or_clocks(given: Any, seconds: float) -> None:
    assert FilmOptions.of(start=given).start == seconds


@pytest.mark.parametrize("given", ["1:75", "x", "1:2:3:4", "-1:00", -1, "1:"])
def test_times_that_are_none_are_refused(given: Any) -> None:
    with pytest.raises(OptionError, match=r"^from cannot be"):
        FilmOptions.of(start=given)


def test_a_part_that_ends_before_it_begins_is_refused() -> None:
    with pytest.raises(OptionError, match="ends before it begins"):
        FilmOptions.of(start=3, stop=2)


@pytest.mark.parametrize(
    ("options", "name"),
    [({}, "a-color.mp4"), ({"start": 1}, "a-part.mp4"), ({"preview": 1}, "a-preview.mp4"), ({"stop": 9}, "a-part.mp4")],
)
def test_the_name_tells_parts_and_previews(options: Any, name: str) -> None:
    item = Item(Path("a.mp4"), Path("."), beside=True)
    assert result_path(item, FilmOptions.of(**options)).name == name


# --- Numbered frames ------------------------------------------------------------------------------------


def reel(folder: Path, ending: str, count: int = 8, first: int = 3, dtype: Any = np.uint16) -> Path:
    """Frames of a moving ramp, first to first + count - 1."""
    folder.mkdir()
    ramp = np.linspace(0, np.iinfo(dtype).max, 64 * 48).reshape(48, 64)
    for number in range(first, first + count):
        assert cv2.imwrite(str(folder / f"reel_{number:04d}{ending}"), np.roll(ramp, number, axis=1).astype(dtype))
    return folder / f"reel_%04d{ending}"


@pytest.mark.parametrize(("ending", "dtype"), [(".png", np.uint8), (".png", np.uint16), (".tif", np.uint16)])
def test_numbered_frames_are_a_film(color: Any, tmp_path: Path, ending: str, dtype: Any) -> None:
    source = reel(tmp_path / "reel", ending, dtype=dtype)
    target, result = color(source, rate=18)
    frames: list[Any] = frames_of(target)
    assert result.frames == len(frames) == 8
    assert abs(frames[1].pts * frames[1].time_base - Fraction(1, 18)) < Fraction(1, 500)
    first: Any = cv2.imread(str(tmp_path / "reel" / f"reel_0003{ending}"), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(luma_of(target)[0], first)


def test_numbered_frames_need_a_rate_and_films_have_theirs(color: Any, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="give --rate"):
        color(reel(tmp_path / "reel", ".png"))
    with pytest.raises(OptionError, match="keeps its own"):
        color(make_film(tmp_path / "in.mkv", frames=3), rate=18)


def test_a_missing_frame_is_named(color: Any, tmp_path: Path) -> None:
    source = reel(tmp_path / "reel", ".png")
    (tmp_path / "reel" / "reel_0005.png").unlink()
    with pytest.raises(InputError, match=r"lacks the frames 5;"):
        color(source, rate=18)
    with pytest.raises(InputError, match="there are none"):
        color(tmp_path / "reel" / "other_%d.png", rate=18)


def test_numbers_are_read_from_names_that_fit(tmp_path: Path) -> None:
    for name in ("a8.png", "a9.png", "a10.png", "a010.png", "ab9.png", "a9.png.bak"):
        (tmp_path / name).write_bytes(b"x")
    assert numbers_of(tmp_path / "a%d.png") == range(8, 11)
    assert numbers_of(tmp_path / "a%03d.png") == range(10, 11)
    before = film_identity(tmp_path / "a%d.png")
    (tmp_path / "a9.png").write_bytes(b"longer")
    assert film_identity(tmp_path / "a%d.png") != before


def test_a_file_of_that_very_name_is_itself(tmp_path: Path) -> None:
    odd = tmp_path / "take %d.mkv"
    assert is_numbered(odd)
    odd.write_bytes(b"x")
    assert not is_numbered(odd)
    assert film_identity(odd).startswith("1:")


@pytest.mark.parametrize(("name", "stem"), [("reel_%04d.dpx", "reel"), ("a/%d.png", "a"), ("x.%06d.tif", "x")])
def test_films_of_numbered_frames_have_plain_names(name: str, stem: str) -> None:
    assert plain_stem(Path(name)) == stem
    assert result_path(Item(Path(name), Path("."), beside=True), FilmOptions()).name == f"{stem}-color.mkv"


# --- Films of other endings -----------------------------------------------------------------------------


@pytest.mark.parametrize("ending", [".mpg", ".vob", ".ts", ".mkv", ".mp4", ".mov", ".avi", ".flv", ".mxf"])
def test_films_are_known_by_their_content(tmp_path: Path, ending: str) -> None:
    codec = {".mpg": "mpeg2video", ".vob": "mpeg2video", ".mxf": "mpeg2video", ".flv": "libx264"}.get(ending, "mpeg4")
    film = make_film(tmp_path / f"in{ending}", codec=codec)
    assert looks_like_film(film.rename(tmp_path / "MOV001.MOD"))


@pytest.mark.parametrize("head", [b"", b"G", b"%PDF-1.7", b"\xff\xd8\xff\xe0", b"\0\0\0\x18ftypheic", b"GGGG" * 20])
def test_other_files_are_not_taken_for_films(tmp_path: Path, head: bytes) -> None:
    (tmp_path / "file").write_bytes(head)
    assert not looks_like_film(tmp_path / "file")
    assert not looks_like_film(tmp_path / "missing")
