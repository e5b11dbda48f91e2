from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from support.bad_films import frames_of, luma_of, make_film, plane_of
from vintage_colorizer import color as colors
from vintage_colorizer.errors import InputError, OptionError, UnreadableError, UnsupportedError
from vintage_colorizer.film.containers import kind_of
from vintage_colorizer.film.scan import scan
from vintage_colorizer.film.source import FrameReader, open_film

PLAYLISTS = {
    "m3u8": b"#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
    "bom": b"\xef\xbb\xbf#EXTM3U\n/etc/passwd\n",
    "concat": b"ffconcat version 1.0\nfile /etc/passwd\n",
    "dash": b'<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>file:///etc/passwd</BaseURL></MPD>',
    "smil": b"<smil><body><video src='file:///etc/passwd'/></body></smil>",
}


@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("name", ["film.mp4", "film.m3u8", "film.avi"])
def test_playlists_are_refused(color: Any, tmp_path: Path, kind: str, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(PLAYLISTS[kind])
    with pytest.raises(UnsupportedError, match="playlist"):
        color(path)


def test_a_playlist_behind_leading_junk_reaches_no_network(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.5)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/a.ts"
        path = tmp_path / "film.m3u8"
        path.write_text(f"# hello\n#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{address}\n#EXT-X-ENDLIST\n")
        with pytest.raises(InputError):
            open_film(path)
        with pytest.raises(TimeoutError):
            server.accept()


BROKEN = {
    "empty": b"",
    "html": b"<!DOCTYPE html><html><body>404</body></html>",
    "text": b"hello " * 1000,
    "zeros": b"\0" * 5000,
    "picture": b"\x89PNG\r\n\x1a\n" + b"\0" * 500,
}


@pytest.mark.parametrize("kind", BROKEN)
def test_what_is_no_film(color: Any, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(BROKEN[kind])
    with pytest.raises(UnreadableError, match="film"):
        color(path)
    assert not (tmp_path / "results" / "out.mkv").exists()


def test_missing_folders_and_pipes(color: Any, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        color(tmp_path / "none.mp4")
    with pytest.raises(InputError, match="not a file"):
        color(tmp_path)
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(InputError, match="not a file"):
        color(tmp_path / "pipe.mp4")


@pytest.mark.parametrize(
    "name", ["-rf.mkv", "a b'\"x.mkv", "写真 ü.mkv", "http:x.mkv", "concat:a|b.mkv", "%03d.mkv", "x\ny.mkv"]
)
def test_odd_names(color: Any, tmp_path: Path, name: str) -> None:
    source = make_film(tmp_path / "in.mkv", frames=2).rename(tmp_path / name)
    target, result = color(source, name)
    assert result.frames == len(luma_of_file(target)) == 2


def luma_of_file(path: Path) -> list[Any]:
    with av.open("file:" + str(path)) as container:
        return list(container.decode(video=0))


def test_sound_only(color: Any, tmp_path: Path) -> None:
    path = tmp_path / "sound.mp4"
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("aac", rate=48000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 48000
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with pytest.raises(UnreadableError, match="no frames, only audio"):
        color(path)


@pytest.mark.parametrize("frames", [1, 2])
def test_very_short_films(color: Any, tmp_path: Path, frames: int) -> None:
    source = make_film(tmp_path / "in.mp4", codec="libx264", frames=frames)
    target, result = color(source)
    assert len(luma_of(target)) == result.frames == frames


def test_no_frames_at_all(color: Any, tmp_path: Path) -> None:
    with av.open(str(tmp_path / "none.mp4"), "w") as out:
        stream: Any = out.add_stream("mpeg4", rate=25)
        stream.height, stream.width = 64, 96
        out.start_encoding()
    with pytest.raises(UnreadableError, match="no frames"):
        color(tmp_path / "none.mp4")


def test_an_mp4_without_its_index(color: Any, tmp_path: Path) -> None:
    whole = make_film(tmp_path / "in.mp4", codec="libx264").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UnreadableError, match="cannot be read"):
        color(tmp_path / "cut.mp4")


def test_a_damaged_middle_loses_what_is_damaged(color: Any, tmp_path: Path) -> None:
    source = make_film(tmp_path / "in.mov", codec="png", pixel_format="gray", frames=30)
    data = bytearray(source.read_bytes())
    for mark in [i for i in range(len(data) - 4) if data[i : i + 4] == b"\x89PNG"][10:13]:
        data[mark : mark + 200] = bytes(200)
    (tmp_path / "bad.mov").write_bytes(data)
    target, result = color(tmp_path / "bad.mov")
    assert result.frames == len(luma_of(target)) == 27
    assert "3 damaged packets" in result.notes[0]


def test_a_file_cut_in_the_middle(color: Any, tmp_path: Path) -> None:
    source = make_film(tmp_path / "in.mkv", frames=30)
    data = source.read_bytes()
    (tmp_path / "cut.mkv").write_bytes(data[: 2 * len(data) // 3])
    target, result = color(tmp_path / "cut.mkv")
    assert 10 < result.frames == len(luma_of(target)) < 30


def test_a_damaged_film_of_several_segments(color: Any, tmp_path: Path) -> None:
    source = make_film(tmp_path / "in.mkv", codec="libx264", rate=4, frames=120, options={"g": "20", "crf": "10"})
    data = bytearray(source.read_bytes())
    rng = np.random.default_rng(0)
    for place in rng.integers(len(data) // 4, len(data) - 2000, 40):
        data[place] ^= 0x55
    (tmp_path / "bad.mkv").write_bytes(data)
    target, result = color(tmp_path / "bad.mkv")
    assert result.notes and 60 < result.frames == len(luma_of(target)) < 120


def test_another_size_in_the_middle(color: Any, tmp_path: Path) -> None:
    small = make_film(tmp_path / "small.ts", codec="mpeg2video", frames=10, size=(64, 96))
    large = make_film(tmp_path / "large.ts", codec="mpeg2video", frames=10, size=(96, 128))
    (tmp_path / "both.ts").write_bytes(small.read_bytes() + large.read_bytes())
    target, result = color(tmp_path / "both.ts")
    assert {plane.shape for plane in luma_of(target)} == {(64, 96)}
    assert "another size" in " ".join(result.notes)


def test_a_refused_film_leaves_nothing_behind(color: Any, tmp_path: Path) -> None:
    source = make_film(tmp_path / "in.mkv", pixel_format="yuv420p10le", transfer=16, frames=2)
    with pytest.raises(UnsupportedError):
        color(source)
    assert list((tmp_path / "results").iterdir()) == []


@pytest.mark.parametrize(("transfer", "kind"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_refused(color: Any, tmp_path: Path, transfer: int, kind: str) -> None:
    source = make_film(tmp_path / "in.mkv", pixel_format="yuv420p10le", matrix=9, transfer=transfer, frames=2)
    with pytest.raises(UnsupportedError, match=kind):
        color(source)


def test_interlaced_is_refused(color: Any, tmp_path: Path) -> None:
    source = make_film(tmp_path / "in.mkv", codec="libx264", options={"x264-params": "tff=1"}, frames=5)
    with pytest.raises(UnsupportedError, match="interlaced"):
        color(source)


@pytest.mark.parametrize(
    ("codec", "pixel_format", "name"),
    [("ffv1", "bgr0", "in.mkv"), ("gif", "rgb8", "in.gif"), ("png", "rgb24", "in.mov")],
)
def test_rgb_and_palette_are_converted_once(
    color: Any, tmp_path: Path, codec: str, pixel_format: str, name: str
) -> None:
    source = make_film(tmp_path / name, codec=codec, pixel_format=pixel_format, frames=4)
    target, _ = color(source)
    for before, after in zip(frames_of(source), frames_of(target), strict=True):
        expected = colors.luma(before.to_ndarray(format="rgb24")) * 255
        shown = (plane_of(after, 0).astype(float) - 16) / 219 * 255
        assert np.abs(shown - expected).max() <= 1


def test_packed_yuv_keeps_its_luma(color: Any, tmp_path: Path) -> None:
    source = make_film(tmp_path / "in.avi", codec="rawvideo", pixel_format="yuv422p", frames=3)
    packed = tmp_path / "packed.avi"
    with av.open(str(packed), "w") as out:
        stream: Any = out.add_stream("rawvideo", rate=25)
        stream.height, stream.width, stream.pix_fmt = 64, 96, "yuyv422"
        for frame in frames_of(source):
            out.mux(stream.encode(frame.reformat(format="yuyv422")))
        out.mux(stream.encode(None))
    target, _ = color(packed)
    assert all(np.array_equal(one, other) for one, other in zip(luma_of(source), luma_of(target), strict=True))


@pytest.mark.parametrize(("size", "matrix"), [((64, 96), 6), ((578, 32), 1)])
def test_untagged_films_are_tagged_by_their_size(
    color: Any, tmp_path: Path, size: tuple[int, int], matrix: int
) -> None:
    target, _ = color(make_film(tmp_path / "in.mkv", size=size, frames=2), codec="h264")
    frame = frames_of(target)[0]
    assert (int(frame.colorspace), int(frame.color_range)) == (matrix, 1)


@pytest.mark.parametrize(("matrix", "full"), [(1, False), (5, True), (9, False)])
def test_tags_are_kept(color: Any, tmp_path: Path, matrix: int, full: bool) -> None:
    source = make_film(tmp_path / "in.mkv", codec="libx264", matrix=matrix, full_range=full, frames=2)
    target, _ = color(source, codec="h264")
    frame = frames_of(target)[0]
    assert (int(frame.colorspace), int(frame.color_range)) == (matrix, 2 if full else 1)


@pytest.mark.parametrize("name", ["in.mp4", "in.mkv", "in.avi", "in.ts", "in.mpg", "in.gif", "in.webm", "in.264"])
def test_any_range_of_frames_can_be_read(tmp_path: Path, name: str) -> None:
    codec = {"gif": "gif", "webm": "libvpx-vp9", "mpg": "mpeg2video"}.get(name[3:], "libx264")
    pixel_format = "rgb8" if codec == "gif" else "yuv420p"
    source = make_film(tmp_path / name, codec=codec, pixel_format=pixel_format, frames=60, options={"g": "12"})
    found = scan(source, 1, None, lambda *count: None)
    whole = [frame.to_ndarray(format="gray") for frame in frames_of(source)]
    reader = FrameReader(found.source, found.raw_times, 1)
    for start, stop in [(0, 5), (13, 20), (30, 60), (59, 60)]:
        frames = dict(reader.read(start, stop))
        assert list(frames) == list(range(start, stop))
        assert all(np.array_equal(frame.to_ndarray(format="gray"), whole[i]) for i, frame in frames.items())


def test_names_that_cannot_be_written_are_refused_at_once(tmp_path: Path) -> None:
    for name in ("out.gif", "out.txt", "out"):
        with pytest.raises(OptionError, match="cannot be written"):
            kind_of(tmp_path / name, None)
    with pytest.raises(OptionError, match="cannot hold h264"):
        kind_of(tmp_path / "out.webm", "h264")
