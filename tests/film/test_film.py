from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition

from support.bad_films import frames_of, luma_of, make_film, plane_of
from vintage_colorizer.colorizer import Colorizer
from vintage_colorizer.errors import OptionError
from vintage_colorizer.film.coloring import color_segment, colored_frames
from vintage_colorizer.film.plan import Plan, Segment, cut, make_plan
from vintage_colorizer.film.records import of_json, to_json
from vintage_colorizer.options import FilmOptions

pytestmark = pytest.mark.long

TURN_90 = (0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30)


def times_of(path: Path) -> list[Fraction]:
    frames: list[Any] = frames_of(path)
    return [frame.pts * frame.time_base for frame in frames]


@pytest.mark.parametrize(
    ("pixel_format", "full_range"),
    [
        ("yuv420p", False),
        ("yuv420p", True),
        ("yuvj420p", True),
        ("yuv422p", False),
        ("yuv444p", False),
        ("yuv420p10le", False),
        ("yuv420p10le", True),
        ("gray", True),
        ("gray10le", True),
        ("yuv420p16le", False),
    ],
)
def test_luma_goes_through_untouched(color: Any, tmp_path: Path, pixel_format: str, full_range: bool) -> None:
    codec = "mjpeg" if pixel_format == "yuvj420p" else "ffv1"
    source = make_film(tmp_path / "in.mkv", codec=codec, pixel_format=pixel_format, full_range=full_range)
    target, result = color(source)
    before, after = luma_of(source), luma_of(target)
    assert len(after) == result.frames == 12
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))
    assert result.chroma > 0
    assert times_of(target) == times_of(source)


def test_chroma_is_colored(color: Any, tmp_path: Path) -> None:
    target, _ = color(make_film(tmp_path / "in.mkv"))
    assert any(np.ptp(plane_of(frame, 1).astype(int)) > 3 for frame in frames_of(target))


@pytest.mark.parametrize("size", [(240, 321), (241, 320), (241, 321), (2, 2), (1, 1), (16, 500)])
def test_odd_sizes(color: Any, tmp_path: Path, size: tuple[int, int]) -> None:
    source = make_film(tmp_path / "in.mkv", size=size, frames=3)
    target, _ = color(source)
    assert all(np.array_equal(one, other) for one, other in zip(luma_of(source), luma_of(target), strict=True))


def test_odd_sizes_in_h264_are_said(color: Any, tmp_path: Path) -> None:
    target, result = color(make_film(tmp_path / "in.mkv", size=(241, 321), frames=3), "out.mp4")
    assert frames_of(target)[0].format.name == "yuv444p"
    assert luma_of(target)[0].shape == (241, 321)
    assert "odd" in " ".join(result.notes)


def test_everything_else_is_kept(color: Any, tmp_path: Path) -> None:
    source = make_film(
        tmp_path / "in.mkv",
        codec="libx264",
        frames=25,
        sounds=("aac", "flac"),
        subtitles="subrip",
        chapters=True,
        aspect=Fraction(4, 3),
        metadata={"title": "Reel", "comment": "from the attic"},
    )
    target, result = color(source, codec="h264")
    with av.open(str(source)) as old, av.open(str(target)) as new:
        assert [one.type for one in new.streams] == ["video", "audio", "audio", "subtitle"]
        assert [one.metadata.get("language") for one in new.streams] == [
            one.metadata.get("language") for one in old.streams
        ]
        assert [one.codec_context.name for one in new.streams.audio] == ["aac", "flac"]
        assert [one["metadata"]["title"] for one in new.chapters()] == ["One", "Two"]
        assert new.streams.video[0].sample_aspect_ratio == Fraction(4, 3)
        assert new.metadata["title"] == "Reel"
        assert new.metadata["COMMENT"].startswith("from the attic\nColorized by Vintage Colorizer")
    for index in (1, 2, 3):
        assert packets_of(target, index) == packets_of(source, index)
    assert result.notes == ()


def packets_of(path: Path, index: int) -> list[tuple[Fraction, bytes]]:
    with av.open(str(path)) as container:
        stream = container.streams[index]
        return [(Fraction(one.pts or 0) * one.time_base, bytes(one)) for one in container.demux(stream) if one.size]


@pytest.mark.parametrize(("name", "pictures"), [("out.mp4", 1), ("out.mkv", 1), ("out.mov", 0)])
def test_cover_art_is_no_film_and_stays(color: Any, tmp_path: Path, name: str, pictures: int) -> None:
    source = make_film(tmp_path / "in.mp4", codec="libx264", cover=True)
    target, result = color(source, name, codec="h264")
    with av.open(str(target)) as container:
        covers = [one for one in container.streams if one.disposition & Disposition.attached_pic]
    assert len(covers) == pictures
    assert bool(result.notes) == (pictures == 0)
    assert len(luma_of(target)) == result.frames == 12


def test_what_a_container_cannot_hold_is_converted_and_said(color: Any, tmp_path: Path) -> None:
    source = make_film(tmp_path / "in.mkv", frames=25, sounds=("pcm_s16le", "aac"), subtitles="subrip")
    target, result = color(source, "out.mp4")
    with av.open(str(target)) as container:
        assert [one.codec_context.name for one in container.streams.audio] == ["aac", "aac"]
        assert container.streams.subtitles[0].codec_context.name == "mov_text"
        sound = sum(frame.samples for frame in container.decode(audio=0))
    assert abs(sound - 48000) <= 2048
    assert any(b"Hello" in words for _, words in packets_of(target, 3))
    assert [("pcm_s16le" in note or "subrip" in note) for note in result.notes] == [True, True]


@pytest.mark.parametrize(("codec", "name"), [("prores", "out.mov"), ("prores", "out.mkv"), ("dnxhr", "out.mov")])
def test_codecs_for_editing(color: Any, tmp_path: Path, codec: str, name: str) -> None:
    source = make_film(tmp_path / "in.mkv", size=(130, 258), frames=4)
    target, _ = color(source, name, codec=codec)
    frames = frames_of(target)
    assert len(frames) == 4 and frames[0].format.name == "yuv422p10le"
    for before, after in zip(luma_of(source), (plane_of(frame, 0) for frame in frames), strict=True):
        assert np.abs(before.astype(float) * 4 - after).mean() < 8  # of 1023


def test_a_film_too_small_for_a_codec_is_refused(color: Any, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="256 x 120 or more"):
        color(make_film(tmp_path / "in.mkv", frames=2), "out.mov", codec="dnxhr")


def test_webm_takes_its_own_codecs(color: Any, tmp_path: Path) -> None:
    source = make_film(tmp_path / "in.mkv", frames=6, sounds=("aac",))
    target, _ = color(source, "out.webm")
    with av.open(str(target)) as container:
        assert [one.codec_context.codec.canonical_name for one in container.streams] == ["vp9", "opus"]


UNEVEN = [0, 40, 55, 130, 131, 400, 433, 466, 500, 900, 1000, 1100]


@pytest.mark.parametrize(("name", "within"), [("out.mp4", 0), ("out.mov", 0), ("out.mkv", Fraction(1, 2000))])
def test_variable_frame_rate_keeps_every_time(color: Any, tmp_path: Path, name: str, within: float) -> None:
    source = make_film(tmp_path / "in.mp4", codec="libx264", times=UNEVEN)
    target, _ = color(source, name, codec="h264")
    expected = times_of(source)
    assert expected == [Fraction(one, 1000) for one in UNEVEN]
    assert all(abs(one - other) <= within for one, other in zip(times_of(target), expected, strict=True))


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_sound_that_begins_before_the_picture_moves_nothing(color: Any, tmp_path: Path, name: str) -> None:
    source = make_film(tmp_path / "in.mp4", codec="libx264", frames=25, sounds=("aac",))
    target, _ = color(source, name, codec="h264")
    assert packets_of(source, 1)[0][0] < 0
    assert times_of(target) == times_of(source)
    for old, new in zip(packets_of(source, 1), packets_of(target, 1), strict=True):
        assert abs(old[0] - new[0]) < Fraction(1, 1000) and old[1] == new[1]


@pytest.mark.parametrize("name", ["out.mp4", "out.mkv"])
def test_rotation_is_kept_and_pixels_are_not_turned(color: Any, tmp_path: Path, name: str) -> None:
    source = make_film(tmp_path / "in.mp4", codec="libx264", display_matrix=TURN_90)
    target, _ = color(source, name, codec="ffv1" if name.endswith("mkv") else "h264")
    old, new = frames_of(source)[0], frames_of(target)[0]
    assert new.rotation == old.rotation != 0
    assert (new.width, new.height) == (old.width, old.height)


def test_the_network_sees_a_turned_film_upright(color: Any, tmp_path: Path) -> None:
    plain = make_film(tmp_path / "plain.mkv", frames=2, size=(64, 96))
    turned = make_film(
        tmp_path / "turned.mp4",
        frames=2,
        size=(96, 64),
        codec="libx264",
        options={"qp": "0"},
        display_matrix=TURN_90,
        pattern=lambda index, height, width: np.rot90(moving(index, width, height)),
    )
    upright, _ = color(plain, "plain.mkv")
    sideways, _ = color(turned, "turned.mkv")
    shown = np.rot90(plane_of(frames_of(sideways)[0], 2).astype(int), -1)
    assert np.abs(shown - plane_of(frames_of(upright)[0], 2)).mean() < 1.0


def moving(index: int, height: int, width: int) -> Any:
    from support.bad_films import moving_square

    return moving_square(index, height, width)


def test_a_segment_is_a_pure_function_of_plan_and_range(colorizer: Colorizer, tmp_path: Path) -> None:
    source = make_film(tmp_path / "in.mkv", codec="libx264", rate=4, frames=100, options={"g": "30"})
    options = FilmOptions.of(threads=2, render_factor=7)
    plan = make_plan(source, colorizer.networks, options, "h264")
    assert len(plan.segments) == 3
    assert of_json(Plan, to_json(plan)) == plan
    last = plan.segments[2]
    for name in ("one", "other"):
        color_segment(plan, last, tmp_path / name, colorizer.networks, lambda: None)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()
    whole = Segment(0, 0, 100)
    wanted = [frame for frame, _ in colored_frames(plan, whole, colorizer.networks)][last.start :]
    for frame, expected in zip((one for one, _ in colored_frames(plan, last, colorizer.networks)), wanted, strict=True):
        assert frame.index == expected.index
        assert all(np.array_equal(plane, other) for plane, other in zip(frame.chroma, expected.chroma, strict=True))


def test_segments_begin_at_shots_where_they_can() -> None:
    starts, durations = tuple(range(0, 1000, 2)), (2,) * 500
    found = list(cut(starts, durations, Fraction(1, 10), (0, 30, 45, 300)))
    assert [one.start for one in found] == [0, 45, 95, 145, 195, 245, 295, 300, 350, 400, 450]
    assert [one.stop for one in found] == [one.start for one in found[1:]] + [500]


def test_a_film_from_a_transport_stream_keeps_its_times(color: Any, tmp_path: Path) -> None:
    source = make_film(tmp_path / "in.ts", codec="libx264", frames=10, sounds=("aac",))
    for name in ("out.mp4", "out.mkv"):
        target, _ = color(source, name, codec="h264")
        pairs = zip(times_of(source), times_of(target), strict=True)
        assert all(abs(one - other) <= Fraction(1, 2000) for one, other in pairs)


def test_preview_is_side_by_side_and_short(color: Any, tmp_path: Path) -> None:
    source = make_film(tmp_path / "in.mkv", frames=50, sounds=("aac",))
    target, result = color(source, preview=1)
    assert result.frames == len(frames_of(target)) == 25
    left, right = np.split(luma_of(target)[3], 2, axis=1)
    assert np.array_equal(left, right) and np.array_equal(left, luma_of(source)[3])
    assert np.all(plane_of(frames_of(target)[3], 1)[:, :48] == 128)
    assert packets_of(target, 1)[-1][0] <= 1


def test_auto_chooses_a_render_factor(color: Any, tmp_path: Path) -> None:
    _, result = color(make_film(tmp_path / "in.mkv", frames=3), render_factor="auto")
    assert 7 <= result.render_factor <= 64


@pytest.mark.parametrize(("name", "words"), [("out.mp4", "mov_text"), ("out.mkv", "subrip")])
def test_a_full_mp4(color: Any, tmp_path: Path, name: str, words: str) -> None:
    source = make_film(
        tmp_path / "in.mp4", codec="libx264", frames=25, sounds=("aac", "ac3"), subtitles="mov_text", chapters=True
    )
    target, result = color(source, name, codec="h264")
    with av.open(str(target)) as container:
        assert [one.codec_context.name for one in container.streams.audio] == ["aac", "ac3"]
        assert [one.codec_context.name for one in container.streams.subtitles] in ([words], ["srt"])
        assert len(container.chapters()) == 2
    index = 3
    assert any(b"Hello" in text for _, text in packets_of(target, index))
    assert bool(result.notes) == (name == "out.mkv")


def test_attachments_stay_where_they_can(color: Any, tmp_path: Path) -> None:
    source = tmp_path / "in.mkv"
    with av.open(str(source), "w") as out:
        stream: Any = out.add_stream("ffv1", rate=25)
        stream.width = stream.height = 32
        stream.pix_fmt = "yuv420p"
        out.add_attachment("font.ttf", "font/ttf", b"letters")
        for _ in range(2):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.full((48, 32), 99, np.uint8), format="yuv420p")))
        out.mux(stream.encode(None))
    target, result = color(source)
    with av.open(str(target)) as container:
        attached: Any = container.streams[1]
        assert (attached.name, attached.data) == ("font.ttf", b"letters")
    assert result.notes == ()
    _, result = color(source, "out.mp4")
    assert "left out: attachment 1" in result.notes[0]
