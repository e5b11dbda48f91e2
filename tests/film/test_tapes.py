"""Films as old recorders, discs and programs wrote them: nothing is lost, and what changes is said."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from support.bad_films import frames_of, luma_of, make_film, plane_of

pytestmark = pytest.mark.long

Color = Callable[..., tuple[Path, Any]]


def times_of(path: Path) -> list[float]:
    return [float(frame.time or 0.0) for frame in frames_of(path)]


def sound_of(path: Path) -> tuple[float, float]:
    """When the first sound of a film begins and ends."""
    with av.open(str(path)) as container:
        spans = [
            (frame.time, frame.time + frame.samples / frame.sample_rate)
            for frame in container.decode(audio=0)
            if frame.time is not None
        ]
    return spans[0][0], spans[-1][1]


def same_luma(one: Path, other: Path) -> bool:
    return all(np.array_equal(left, right) for left, right in zip(luma_of(one), luma_of(other), strict=True))


@pytest.mark.parametrize("name", ["tape.vob", "tape.ts"])
def test_joined_recordings_follow_each_other(color: Color, tmp_path: Path, name: str) -> None:
    one = make_film(tmp_path / f"one.{name}", codec="mpeg2video", frames=25, sounds=["mp2"])
    joined = tmp_path / name
    joined.write_bytes(one.read_bytes() * 3)
    target, result = color(joined)
    times = times_of(target)
    assert len(times) == result.frames == len(frames_of(joined)) == 75
    assert same_luma(joined, target)
    assert all(0.03 < later - earlier < 0.15 for earlier, later in pairwise(times))
    begin, end = sound_of(target)
    assert begin == pytest.approx(times[0], abs=0.1)
    assert end == pytest.approx(times[-1] + 0.04, abs=0.15)
    assert "set anew 2 times" in result.notes[0]


def test_a_clock_that_runs_over_is_one_clock(color: Color, tmp_path: Path) -> None:
    wrap = {"output_ts_offset": "95441.9"}
    film = make_film(tmp_path / "wrap.ts", codec="mpeg2video", frames=50, sounds=["mp2"], container_options=wrap)
    target, result = color(film)
    times = times_of(target)
    assert result.frames == 50
    assert [later - earlier for earlier, later in pairwise(times)] == pytest.approx([0.04] * 49, abs=0.0011)
    assert 0 <= times[0] < 0.1
    assert sound_of(target)[0] == pytest.approx(times[0], abs=0.1)
    assert "moved" in result.notes[0]


@pytest.mark.parametrize("codec", ["libx264", "mpeg4"])
def test_pictures_stored_out_of_order_do_not_stutter(color: Color, tmp_path: Path, codec: str) -> None:
    film = make_film(tmp_path / "film.avi", codec=codec, frames=50, options={"bf": "2", "g": "25"})
    target, _ = color(film)
    steps = [later - earlier for earlier, later in pairwise(times_of(target))]
    assert steps == pytest.approx([0.04] * 49, abs=0.0011)
    assert same_luma(film, target)


def test_what_an_edit_list_hides_stays_hidden(color: Color, tmp_path: Path) -> None:
    whole = make_film(tmp_path / "whole.mp4", codec="libx264", frames=75, sounds=["aac"], options={"g": "75"})
    film = tmp_path / "trimmed.mov"
    with (
        av.open(str(whole)) as source,
        av.open(str(film), "w", container_options={"avoid_negative_ts": "disabled"}) as out,
    ):
        copies = {one.index: out.add_stream_from_template(one) for one in source.streams}
        for packet in source.demux():
            if packet.dts is None or packet.pts is None or packet.time_base is None:
                continue
            packet.stream = copies[packet.stream_index]
            packet.pts, packet.dts = (time - round(1 / packet.time_base) for time in (packet.pts, packet.dts))
            out.mux(packet)
    target, result = color(film, name="out.mov", codec="h264")
    assert result.frames == len(frames_of(film)) == 50
    assert times_of(target) == pytest.approx(times_of(film), abs=0.001)
    assert sound_of(target)[0] == pytest.approx(sound_of(film)[0], abs=0.05)


@pytest.mark.parametrize(
    ("name", "picture", "sound"),
    [
        ("film.mov", "mjpeg", "adpcm_ima_qt"),
        ("film.asf", "wmv2", "wmav2"),
        ("film.mov", "mjpeg", "pcm_alaw"),
        ("film.vob", "mpeg2video", "pcm_dvd"),
        ("film.m2ts", "libx264", "pcm_bluray"),
        ("film.avi", "mpeg4", "adpcm_ms"),
    ],
)
@pytest.mark.parametrize(("result", "codec"), [("out.mkv", "ffv1"), ("out.mp4", "h264")])
def test_sound_is_never_lost(
    color: Color, tmp_path: Path, name: str, picture: str, sound: str, result: str, codec: str
) -> None:
    pixels = "yuvj420p" if picture == "mjpeg" else "yuv420p"
    rate = 64000 if sound == "wmav2" else None
    film = make_film(
        tmp_path / name, codec=picture, frames=25, sounds=[sound], pixel_format=pixels, sound_bit_rate=rate
    )
    target, _ = color(film, name=result, codec=codec)
    begin, end = sound_of(film)
    assert sound_of(target) == pytest.approx((begin, end), abs=0.1)
    assert loudness(target) == pytest.approx(loudness(film), rel=0.1)


def loudness(path: Path) -> float:
    with av.open(str(path)) as container:
        resampler = av.AudioResampler(format="flt", layout="mono", rate=48000)
        pieces = [part.to_ndarray() for frame in container.decode(audio=0) for part in resampler.resample(frame)]
    return float(np.sqrt(np.square(np.concatenate(pieces, axis=1)).mean()))


def snow(index: int, height: int, width: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    return np.random.default_rng(index).random((height, width))


@pytest.mark.parametrize("name", ["title.vob", "title.ts"])
def test_sound_that_begins_late_is_found(color: Color, tmp_path: Path, name: str) -> None:
    """A silent title of more than the 5 MB that FFmpeg looks at."""
    loud = {"qmin": "1", "qmax": "1", "g": "1", "b": "40000000"}
    film = make_film(
        tmp_path / name,
        codec="mpeg2video",
        size=(240, 320),
        frames=75,
        sounds=["mp2"],
        sound_start=2.4,
        pattern=snow,
        options=loud,
    )
    assert film.stat().st_size > 7e6
    target, result = color(film)
    times = times_of(target)
    begin, end = sound_of(target)
    assert begin - times[0] == pytest.approx(2.4, abs=0.1)
    assert end - begin == pytest.approx(0.6, abs=0.1)
    assert result.frames == 75


def test_titles_of_old_programs_are_read(color: Color, tmp_path: Path) -> None:
    film = make_film(
        tmp_path / "old.avi", codec="mpeg4", metadata={"title": "Fête à Zürich"}, metadata_encoding="latin-1"
    )
    target, _ = color(film)
    with av.open(str(target)) as container:
        assert container.metadata["title"] == "Fête à Zürich"


@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_deep_rgb_keeps_its_depth(color: Color, tmp_path: Path, bits: int) -> None:
    film = make_film(tmp_path / "scan.mkv", pixel_format=f"gbrp{bits}le", frames=3)
    target, _ = color(film)
    most = 2**bits - 1
    for before, after in zip(frames_of(film), frames_of(target), strict=True):
        assert after.format.name == f"yuv420p{bits}le"
        green = plane_of(before, 0).astype(float) / most
        assert np.abs(plane_of(after, 0) / most - green).max() <= 1.01 / most


def test_transparency_is_said(color: Color, tmp_path: Path) -> None:
    solid = color(make_film(tmp_path / "solid.mov", codec="qtrle", pixel_format="argb", frames=3))[1]
    film = make_film(tmp_path / "title.mov", codec="prores_ks", pixel_format="yuva444p10le", frames=3)
    assert any("transparency" in note for note in color(film, name="title.mkv")[1].notes)
    assert not any("transparency" in note for note in solid.notes)


def test_closed_captions_are_said(color: Color, tmp_path: Path) -> None:
    plain = make_film(tmp_path / "plain.m2v", codec="mpeg2video").read_bytes()
    words = b"GA94\x03\x42\xff" + bytes([0xFC, 0xC8, 0xE5, 0xFD, 0x80, 0x80]) + b"\xff"
    first_slice = b"\0\0\1\1"
    film = tmp_path / "tv.mpg"
    film.write_bytes(plain.replace(first_slice, b"\0\0\1\xb2" + words + first_slice))
    assert any("closed captions in 12 frames" in note for note in color(film)[1].notes)


def test_a_second_picture_is_named_rightly(color: Color, tmp_path: Path) -> None:
    one = make_film(tmp_path / "one.mkv", codec="libx264")
    film = tmp_path / "angles.mkv"
    with av.open(str(one)) as source, av.open(str(film), "w") as out:
        first, second = (out.add_stream_from_template(source.streams.video[0]) for _ in range(2))
        for packet in source.demux(video=0):
            if not packet.size:
                continue
            again = av.Packet(bytes(packet))
            again.is_keyframe = packet.is_keyframe
            again.pts, again.dts, again.time_base = packet.pts, packet.dts, packet.time_base
            packet.stream, again.stream = first, second
            out.mux([packet, again])
    notes = color(film)[1].notes
    assert any("second picture 1 (h264), as only the first picture is colored" in note for note in notes)
