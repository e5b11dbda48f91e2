"""JPEG and JPEG 2000: damaged, cut short, and of rare kinds."""

from __future__ import annotations

import io
import struct
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from support import bad_files
from support.photos import Pixels, luma, written
from support.profiles import ADOBE, gamma, matrix_profile
from vintage_colorizer.errors import UnreadableError, UnsupportedError
from vintage_colorizer.photo.reading import probe, read_photo


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


def twelve_bit_jpeg(levels: Pixels, exif: bytes = b"") -> bytes:
    """An extended sequential JPEG of 12 bits that says the mean of each 8 x 8 block, a multiple of one step."""
    height, width = levels.shape
    previous, text = 0, ""
    for mean in levels.reshape(height // 8, 8, width // 8, 8).mean(axis=(1, 3)).ravel():
        value = round(float(mean)) - 2048  # a step of 8 makes the first coefficient the mean
        change, previous = value - previous, value
        size = abs(change).bit_length()
        text += format(size, "04b")
        text += format(change if change > 0 else change + (1 << size) - 1, f"0{size}b") if size else ""
        text += "0"  # all other coefficients are zero
    text += "1" * (-len(text) % 8)
    scan = int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\0")
    lengths = bytes(3) + bytes([14]) + bytes(12)  # fourteen codes of four bits: the sizes 0..13
    return b"".join(
        [
            b"\xff\xd8",
            segment(0xE1, b"Exif\0\0" + exif) if exif else b"",
            segment(0xDB, bytes([0]) + bytes([8]) * 64),
            segment(0xC1, struct.pack(">BHH", 12, height, width) + bytes([1, 1, 0x11, 0])),
            segment(0xC4, bytes([0x00]) + lengths + bytes(range(14))),
            segment(0xC4, bytes([0x10, 1]) + bytes(15) + bytes([0])),
            segment(0xDA, bytes([1, 1, 0, 0, 63, 0])),
            scan,
            b"\xff\xd9",
        ]
    )


def by_ffmpeg(codec_name: str, pixels: Pixels, format: str, container: str = "j2k") -> bytes:
    codec = av.CodecContext.create(codec_name, "w")
    assert isinstance(codec, av.VideoCodecContext)
    codec.height, codec.width = pixels.shape[:2]
    codec.pix_fmt, codec.time_base = format, Fraction(1, 25)
    lossless = {"pred": "dwt53", "format": container} if codec_name == "jpeg2000" else {}
    codec.options = {"strict": "unofficial", **lossless}
    frame = av.VideoFrame.from_ndarray(pixels, format=format)
    return b"".join(bytes(packet) for packet in [*codec.encode(frame), *codec.encode(None)])


# --- Damaged --------------------------------------------------------------------------------------------


def test_a_jpeg_without_its_last_bytes_loses_nothing_else() -> None:
    sound = bad_files.encoded(bad_files.grey(160, 120), "JPEG", exif=b"Exif\0\0" + bad_files.exif())
    photo = read_photo(sound[:-2])
    np.testing.assert_array_equal(photo.pixels, read_photo(sound).pixels)
    assert photo.notes == ("the file is cut short: parts of it may be wrong",)
    assert photo.metadata == read_photo(sound).metadata
    assert np.abs(luma(read_photo(written(photo)).pixels) - photo.pixels).mean() < 1


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_jpeg_cut_short_is_colored_as_far_as_it_goes(mode: str) -> None:
    picture = Image.fromarray(bad_files.rgb(160, 240)).convert(mode)
    sound = bad_files.encoded(picture, "JPEG", quality=90)
    whole, photo = read_photo(sound).pixels, read_photo(sound[: len(sound) * 8 // 10]).pixels
    (note,) = read_photo(sound[: len(sound) * 8 // 10]).notes
    missing = int(note.split("the last ")[1].split()[0])
    assert 16 <= missing <= 72
    assert np.abs(photo[: 240 - missing - 32].astype(int) - whole[: 240 - missing - 32]).max() == 0
    assert (photo[-missing:] == 128).all()
    with pytest.raises(UnreadableError, match="more than half of the picture is missing"):
        read_photo(sound[: len(sound) * 4 // 10])


def test_rows_left_blank_without_a_word_are_noted() -> None:
    sound = bad_files.encoded(bad_files.rgb(160, 240), "JPEG", quality=90)
    photo = read_photo(sound[: len(sound) * 8 // 10] + sound[-2:])  # an end, but too early
    (note,) = photo.notes
    blank = int(note.split("the last ")[1].split()[0])
    assert note.endswith("of its 240 rows are blank: the file may be damaged")
    assert (photo.pixels[-blank:] == 128).all() and (photo.pixels[-blank - 1] != 128).any()
    for whole in (np.full((24, 40), 128, np.uint8), bad_files.grey()):
        assert read_photo(bad_files.encoded(whole, "JPEG")).notes == ()


STRAY = {
    "table": segment(0xC4, bytes(1) + b"\xff" * 16),
    "frame": segment(0xC2, bytes(15)),
    "scan": segment(0xDA, bytes([9, *[0] * 20])),
    "end of a segment": b"\xff\xc4\0\0",
}


@pytest.mark.parametrize("name", STRAY)
def test_a_jpeg_broken_in_the_middle_is_colored_with_a_note(name: str) -> None:
    """Damage made markers of what were pixels, at which libjpeg gives up."""
    sound = bad_files.encoded(bad_files.rgb(160, 240), "JPEG", quality=90)
    middle = len(sound) // 2
    photo = read_photo(sound[:middle] + STRAY[name] + sound[middle:])
    assert photo.pixels.shape == (240, 160, 3)
    assert len(photo.notes) == 1 and photo.notes[0].startswith("the file is damaged: ")
    assert (photo.pixels[:96] == read_photo(sound).pixels[:96]).all()


# --- Rare -----------------------------------------------------------------------------------------------


def test_twelve_bits_are_read_in_full() -> None:
    steps = np.linspace(300, 3900, 24 * 20).round().reshape(20, 24).astype(np.uint16)
    levels = np.kron(steps, np.ones((8, 8), np.uint16))
    data = twelve_bit_jpeg(levels, bad_files.exif(6))
    photo = read_photo(data)
    header = probe(data)
    assert (header.width, header.height, header.depth, header.format) == (160, 192, 16, "JPEG")
    np.testing.assert_allclose(photo.pixels, np.rot90(levels, -1) * (65535 / 4095), atol=17)
    assert len(np.unique(photo.pixels)) > 256
    assert b"Kodak 1" in photo.metadata.exif


def test_lossless_jpeg_is_read_exactly() -> None:
    values = bad_files.rgb(48, 32)
    photo = read_photo(by_ffmpeg("ljpeg", np.ascontiguousarray(values[..., ::-1]), "bgr24"))
    np.testing.assert_array_equal(photo.pixels, values)
    assert probe(written(photo)).format == "JPEG"


def test_other_rare_kinds_are_named_and_not_called_damaged() -> None:
    data = bytearray(twelve_bit_jpeg(np.full((16, 16), 2000, np.uint16)))
    data[data.index(b"\xff\xc1") + 1] = 0xC5  # hierarchical, which nobody decodes
    with pytest.raises(UnsupportedError, match=r"JPEG of a rare kind \(12 bits"):
        read_photo(bytes(data))


# --- JPEG 2000 ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("container", ["jp2", "j2k"])
@pytest.mark.parametrize("shape", [(24, 40), (24, 40, 3)])
@pytest.mark.parametrize("depth", [8, 16])
def test_jpeg_2000_is_read_exactly(depth: int, shape: tuple[int, ...], container: str) -> None:
    dtype = np.uint8 if depth == 8 else np.uint16
    values = np.random.default_rng(2).integers(0, 2**depth, shape).astype(dtype)
    format = {(8, 2): "gray", (8, 3): "rgb24", (16, 2): "gray16le", (16, 3): "rgb48le"}[depth, len(shape)]
    data = by_ffmpeg("jpeg2000", values, format, container)
    photo = read_photo(data)
    assert (probe(data).format, probe(data).depth) == ("JPEG2000", depth)
    np.testing.assert_array_equal(photo.pixels, values)
    assert probe(written(photo)).format == ("PNG" if depth == 8 else "TIFF")


def test_jpeg_2000_of_12_bits_is_brought_to_the_whole_range() -> None:
    values = np.random.default_rng(2).integers(0, 4096, (24, 40), dtype=np.uint16)
    photo = read_photo(by_ffmpeg("jpeg2000", values, "gray12le"))
    np.testing.assert_allclose(photo.pixels, values * (65535 / 4095), atol=1)


def test_profile_and_xmp_of_a_jpeg_2000_are_found() -> None:
    profile = matrix_profile(ADOBE, gamma(563 / 256))
    plain = bad_files.encoded(bad_files.rgb(), "JPEG2000")
    at = plain.index(b"colr") - 4
    old = int.from_bytes(plain[at : at + 4], "big")
    colr = struct.pack(">I4sBBB", 11 + len(profile), b"colr", 2, 0, 0) + profile
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
    uuid = struct.pack(">I", 24 + len(xmp)) + b"uuid" + bytes.fromhex("be7acfcb97a942e89c71999491e3afac") + xmp
    head = plain.index(b"jp2h") - 4
    size = int.from_bytes(plain[head : head + 4], "big")
    box = struct.pack(">I", size - old + len(colr)) + plain[head + 4 : at] + colr + plain[at + old : head + size]
    photo = read_photo(plain[:head] + box + uuid + plain[head + size :])
    expected = read_photo(bad_files.encoded(bad_files.rgb(), "PNG", icc_profile=profile))
    assert np.abs(photo.pixels.astype(int) - expected.pixels).max() <= 1
    assert photo.metadata.xmp == xmp
    assert io.BytesIO(written(photo)).read(8) == b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_whole_jpeg_gives_pillows_pixels_without_a_note(mode: str, progressive: bool) -> None:
    image = Image.fromarray(bad_files.rgb()).resize((203, 151)).convert(mode)
    data = bad_files.encoded(np.asarray(image), "JPEG", quality=85, progressive=progressive)
    photo = read_photo(data)
    np.testing.assert_array_equal(photo.pixels, np.asarray(Image.open(io.BytesIO(data))))
    assert photo.notes == ()


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_jpeg_damaged_in_the_middle_is_colored_with_a_note(mode: str) -> None:
    image = Image.fromarray(bad_files.rgb()).resize((203, 151)).convert(mode)
    data = bytearray(bad_files.encoded(np.asarray(image), "JPEG", quality=85))
    data[len(data) // 2 : len(data) // 2 + 64] = bytes(64)  # a part of a disk that could not be read
    photo = read_photo(bytes(data))
    assert photo.pixels.shape[:2] == (151, 203)
    assert any("damaged" in note for note in photo.notes)
