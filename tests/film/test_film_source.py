from __future__ import annotations

import os
import socket
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from support.bad_films import frames_of, luma_of, make_film, moving_square, plane_of
from vintage_colorizer import color as colors
from vintage_colorizer.errors import InputError, OptionError, UnreadableError, UnsupportedError
from vintage_colorizer.film.containers import kind_of
from vintage_colorizer.film.planes import Coding
from vintage_colorizer.film.reader import FrameReader
from vintage_colorizer.film.scan import scan
from vintage_colorizer.film.signatures import agrees
from vintage_colorizer.film.source import luma_plane, open_film
from vintage_colorizer.film.tone import tone_mapped

pytestmark = pytest.mark.long

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
    source = make_film(
        tmp_path / "in.mkv",
        codec="libx264",
        rate=4,
        frames=120,
        options={"g": "20", "crf": "10", "x264-params": "cpu-independent=1"},  # the same bytes wherever it is made
        container_options={"fflags": "+bitexact"},
    )
    data = bytearray(source.read_bytes())
    rng = np.random.default_rng(1)
    for place in rng.integers(len(data) // 4, len(data) - 2000, 40):
        data[place : place + 4] = b"\xff\xff\xff\xff"
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


@pytest.mark.parametrize(("transfer", "kind"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_brought_to_ordinary_range_on_request(color: Any, tmp_path: Path, transfer: int, kind: str) -> None:
    source = make_film(tmp_path / "in.mkv", pixel_format="yuv420p10le", matrix=9, transfer=transfer, frames=3)
    target, result = color(source, tone_map=True)
    assert any(f"from HDR ({kind})" in note for note in result.notes)
    for before, after in zip(frames_of(source), frames_of(target), strict=True):
        assert after.format.name == "yuv420p10le" and (after.colorspace, after.color_trc) == (1, 1)
        wanted = tone_mapped(plane_of(before, 0), Coding(1, False, 10), transfer)
        assert np.array_equal(plane_of(after, 0), wanted)


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
    whole = [luma_plane(frame, found.source) for frame in frames_of(source)]
    reader = FrameReader(found, 1)
    for start, stop in [(0, 5), (13, 20), (30, 60), (59, 60)]:
        frames = dict(reader.read(start, stop))
        assert list(frames) == list(range(start, stop))
        assert all(np.array_equal(luma, whole[i]) for i, luma in frames.items())


VERSION = b"x264 - core "  # FFmpeg decodes 4:4:4 as x264 had it before version 151 if a film says it is older


X264 = "cpu-independent=1:threads=1:keyint=30:min-keyint=30:scenecut=0:bframes=0"  # it decides where decoding can begin
OLD: dict[str, Any] = {"codec": "libx264", "pixel_format": "yuv444p", "rate": 4, "size": (16, 32)}
OLD["options"] = {"crf": "34", "x264-params": X264}


def old_film(path: Path) -> Path:
    """A film that begins with the message of an old x264, and four places where decoding can begin."""
    before, after = make_film(path, frames=100, **OLD).read_bytes().split(VERSION)
    path.write_bytes(before + VERSION + b"142" + after[3:])
    return path


def spliced_film(path: Path, first: Path, second: Path) -> Path:
    """One film after the other, without decoding them."""
    with av.open(str(first)) as start, av.open(str(second)) as rest, av.open(str(path), "w") as out:
        stream = out.add_stream_from_template(start.streams.video[0])
        shift = 0
        for container in (start, rest):
            for packet in container.demux(video=0):
                if packet.dts is None or packet.pts is None:
                    continue
                packet.pts, packet.dts, packet.stream = packet.pts + shift, packet.dts + shift, stream
                out.mux(packet)
            shift = (start.streams.video[0].duration or 0) + 1
    return path


def lumas(reader: FrameReader, start: int, stop: int) -> list[Any]:
    return [luma.copy() for _, luma in reader.read(start, stop)]


def same(one: list[Any], other: list[Any]) -> bool:
    return all(np.array_equal(luma, expected) for luma, expected in zip(one, other, strict=True))


@pytest.mark.parametrize("threads", [1, 2])
def test_the_decoder_knows_the_films_first_message_wherever_it_begins(tmp_path: Path, threads: int) -> None:
    path = old_film(tmp_path / "in.mp4")
    whole = luma_of(path)
    with av.open(str(path)) as container:  # what happens without the message
        container.seek(70 * av.time_base // 4)
        cold = [plane_of(frame, 0) for frame in container.decode(video=0)]
    assert len(cold) == 40 and not same(cold, whole[60:])
    found = scan(path, threads, None, lambda *count: None)
    assert not found.damaged
    assert same(lumas(FrameReader(replace(found, signatures=b""), threads), 70, 100), whole[70:])


def test_frames_that_look_different_after_a_seek_are_decoded_from_the_beginning(color: Any, tmp_path: Path) -> None:
    new = make_film(tmp_path / "new.mp4", frames=40, **OLD)
    path = spliced_film(tmp_path / "in.mp4", new, old_film(tmp_path / "old.mp4"))
    whole = luma_of(path)
    found = scan(path, 1, None, lambda *count: None)
    assert len(whole) == 140 and not found.damaged
    unchecked = lumas(FrameReader(replace(found, signatures=b""), 1), 110, 140)
    assert not same(unchecked, whole[110:])  # the version that counts is in the middle
    assert same(lumas(FrameReader(found, 1), 110, 140), whole[110:])
    target, _ = color(path)
    assert same(luma_of(target), whole)


def test_a_film_that_never_looks_as_it_did_fails(tmp_path: Path) -> None:
    settings: Any = {"codec": "libx264", "frames": 40, "options": {"g": "10"}}
    found = scan(make_film(tmp_path / "in.mkv", **settings), 1, None, lambda *count: None)
    make_film(tmp_path / "in.mkv", pattern=lambda *where: moving_square(*where)[::-1], **settings)
    with pytest.raises(UnreadableError, match=r"in\.mkv has a frame \(25\) that is decoded differently"):
        lumas(FrameReader(found, 1), 25, 30)
    assert len(lumas(FrameReader(replace(found, damaged=True), 1), 25, 30)) == 5
    make_film(tmp_path / "in.mkv", **{**settings, "frames": 20})
    with pytest.raises(UnreadableError, match=r"in\.mkv has a frame \(25\) that was lost"):
        lumas(FrameReader(found, 1), 25, 30)


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv420p10le"])
def test_signatures_allow_for_rounding_and_nothing_more(tmp_path: Path, pixel_format: str) -> None:
    found = scan(make_film(tmp_path / "in.mkv", pixel_format=pixel_format), 1, None, lambda *count: None)
    depth, kept = found.source.coding.depth, found.signatures
    luma = luma_of(tmp_path / "in.mkv")[3]
    assert agrees(kept, 3, luma, depth) and agrees(kept, 3, luma + (1 << depth - 8), depth)
    wrong = luma.copy()
    wrong[16:32, 32:48] = 128 << depth - 8  # a macroblock
    assert not agrees(kept, 3, wrong, depth)


def test_names_that_cannot_be_written_are_refused_at_once(tmp_path: Path) -> None:
    for name in ("out.gif", "out.txt", "out"):
        with pytest.raises(OptionError, match="cannot be written"):
            kind_of(tmp_path / name, None)
    with pytest.raises(OptionError, match="cannot hold h264"):
        kind_of(tmp_path / "out.webm", "h264")
