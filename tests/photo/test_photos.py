from __future__ import annotations

import dataclasses
import io
import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from PIL import Image

from support import bad_files
from support.photos import DISCLOSURE, Pixels, colored, luma, png_chunks, written
from vintage_colorizer.errors import (
    InputError,
    OptionError,
    OutputError,
    TooLargeError,
    UnreadableError,
    UnsupportedError,
)
from vintage_colorizer.photo.formats import output_format
from vintage_colorizer.photo.icc import srgb_profile
from vintage_colorizer.photo.picture import Photo
from vintage_colorizer.photo.reading import probe, read_photo
from vintage_colorizer.photo.writing import write_photo

# --- Bad input ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", bad_files.UNREADABLE)
def test_unreadable_files_are_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(bad_files.UNREADABLE[name]())
    with pytest.raises(UnreadableError, match=r"photo\.jpg"):
        read_photo(path)


@pytest.mark.parametrize("name", bad_files.UNSUPPORTED)
def test_unsupported_formats_are_named(name: str) -> None:
    with pytest.raises(UnsupportedError, match=f"(?i){name}"):
        probe(bad_files.UNSUPPORTED[name]())


def test_a_tga_is_named_though_it_has_no_signature(tmp_path: Path) -> None:
    path = tmp_path / "old.tga"
    path.write_bytes(bad_files.encoded(bad_files.rgb(), "TGA"))
    with pytest.raises(UnsupportedError, match=r"old\.tga is TGA"):
        probe(path)


def test_bomb_is_refused_from_its_header() -> None:
    data = bad_files.png_bomb()
    with pytest.raises(TooLargeError, match=r"60000 x 60000.*300 megapixels.*--max-megapixels"):
        read_photo(data)


def test_pixel_limit_can_be_raised_past_that_of_pillow() -> None:
    row = b"\0" + bytes(1900)
    data = bad_files.png(15200, 12000, 1, 0, row * 12000)  # 182 megapixels; Pillow alone refuses 179
    assert probe(data).width == 15200
    with pytest.raises(TooLargeError):
        probe(data, max_megapixels=182)


LIMITED: dict[str, Callable[[], bytes]] = {
    **{
        f: partial(bad_files.encoded, bad_files.rgb(), f) for f in ("JPEG", "PNG", "TIFF", "WEBP", "GIF", "BMP", "AVIF")
    },
    "PPM": lambda: bad_files.encoded(bad_files.rgb(), "PPM"),
    "GIF-grown": lambda: bad_files.grown_gif(),
    "TIFF-group4": lambda: bad_files.encoded(Image.fromarray(bad_files.grey() > 90), "TIFF", compression="group4"),
    "TIFF-16": lambda: bad_files.encoded(bad_files.grey().astype(np.uint16) * 257, "TIFF"),
    "TIFF-lab": lambda: bad_files.in_mode("LAB"),
    "JPEG-cmyk": lambda: bad_files.in_mode("CMYK"),
}


@pytest.mark.parametrize("name", LIMITED)
def test_the_limit_is_ours_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow warns over its own limit (an error here) and refuses over twice of it: 960 pixels are both."""
    data = LIMITED[name]()
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    assert read_photo(data).pixels.shape[:2] == (24, 40)
    assert Image.MAX_IMAGE_PIXELS == 100
    with pytest.raises(TooLargeError, match=r"40 x 24.*--max-megapixels"):
        read_photo(data, max_megapixels=0.0009)


def test_byte_limit_is_checked_before_reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "huge.tif"
    with path.open("wb") as file:
        file.truncate((2 << 30) + 1)  # sparse
    with pytest.raises(TooLargeError, match="2 GiB"):
        probe(path)


@pytest.mark.parametrize("name", bad_files.ODD)
def test_odd_files_keep_size_luma_and_alpha(name: str) -> None:
    source = read_photo(bad_files.ODD[name]())
    result = read_photo(written(source))
    assert result.pixels.shape == (*source.pixels.shape[:2], 3)
    assert result.pixels.dtype == source.pixels.dtype
    assert np.isfinite(result.pixels).all()
    off = np.abs(luma(result.pixels) - luma(source.pixels))
    if result.format == "JPEG" or not source.lossless:
        assert off.mean() <= (1 if result.format == "JPEG" else 2)  # a lossy WebP has no table to keep
    else:
        assert off.max() <= (1e-6 if source.pixels.dtype == np.float32 else 1)
    if source.alpha is None:
        assert result.alpha is None
    else:
        assert result.alpha is not None
        np.testing.assert_array_equal(result.alpha, source.alpha)


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("animated-GIF", "first of the several"),
        ("animated-TIFF", "first of the several"),
        ("float-nan", "not numbers were set to 0"),
        ("float-high", "scaled to 0..1"),
        ("damaged-exif", "broken EXIF"),
        ("damaged-exif-directory", "broken EXIF"),
        ("damaged-xmp", "broken XMP"),
        ("damaged-profile", "broken color profile"),
        ("mode-CMYK", "no usable color profile"),
        ("JPEG-97", "cut short"),
    ],
)
def test_what_was_dropped_is_noted(name: str, note: str) -> None:
    notes = read_photo(bad_files.ODD[name]()).notes
    assert len(notes) == 1
    assert note in notes[0]


@pytest.mark.timeout(60)  # against time that grows with the square of the chunks
def test_many_chunks_are_read_in_bounded_time() -> None:
    read_photo(bad_files.png_many_chunks())


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP", "PNG16", "TIFF16"])
def test_fuzzed_files_give_our_errors_or_a_picture(format: str) -> None:
    if format.endswith("16"):
        deep = bad_files.rgb(24, 16).astype(np.uint16) * 257
        file = io.BytesIO()
        tifffile.imwrite(file, deep, photometric="rgb", compression="zlib")
        sound = bad_files.png16(deep, 2) if format == "PNG16" else file.getvalue()
    else:
        sound = bad_files.encoded(bad_files.rgb(24, 16), format, exif=b"Exif\0\0" + bad_files.exif())
    random = np.random.default_rng(11)
    cases = [sound[:cut] for cut in range(0, len(sound), max(1, len(sound) // 60))]
    for _ in range(120):
        data = bytearray(sound)
        for at in random.integers(0, len(data), random.integers(1, 6)):
            data[at] = random.integers(0, 256)
        cases.append(bytes(data))
    for case in cases:
        try:
            photo = read_photo(case, max_megapixels=4)
            assert photo.pixels.size > 0
        except InputError as error:
            assert str(error).startswith("The input")


def test_heic_without_the_extra_names_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # what Python itself does for "not installed"
    with pytest.raises(UnsupportedError, match=r"vintage-colorizer\[heif\]"):
        probe(bad_files.heic_header())


def test_heic_goes_through_with_the_extra() -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    file = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(bad_files.rgb(64, 48))).save(file, quality=95)
    photo = read_photo(file.getvalue())
    assert photo.format == "HEIF"
    result = written(photo)
    assert probe(result).fingerprint == "f1"
    assert np.abs(luma(read_photo(result).pixels) - luma(photo.pixels)).mean() < 3


def test_folders_pipes_and_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableError, match=r"gone\.jpg cannot be opened"):
        probe(tmp_path / "gone.jpg")
    with pytest.raises(InputError):
        probe(tmp_path)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(UnsupportedError, match="is not a file but"):
            probe(tmp_path / "pipe")


# --- Kinds of source ------------------------------------------------------------------------------------


def test_every_kind_of_source_gives_the_same_pixels(tmp_path: Path) -> None:
    data = bad_files.seed("PNG")
    path = tmp_path / "a.wrong-suffix"
    path.write_bytes(data)
    with Image.open(path) as image, path.open("rb") as file:
        for source in (path, str(path), data, file, image, bad_files.grey()):
            np.testing.assert_array_equal(read_photo(source).pixels, bad_files.grey())
            assert (probe(data).width, probe(data).height) == (40, 24)


@pytest.mark.parametrize("format", ["JPEG", "WEBP"])
def test_a_jpeg_given_as_an_image_keeps_its_luma_table(format: str) -> None:
    data = bad_files.encoded(bad_files.grey(), format, quality=40)
    with Image.open(io.BytesIO(data)) as image:
        photo, expected = read_photo(image), read_photo(data)
    assert (photo.luma_table, photo.lossless) == (expected.luma_table, expected.lossless)
    assert (photo.luma_table is not None) == (format == "JPEG")


def test_arrays_keep_depth_and_alpha() -> None:
    deep = bad_files.rgb().astype(np.uint16) * 200
    with_alpha = np.dstack([deep, deep[..., 0]])
    photo = read_photo(with_alpha)
    np.testing.assert_array_equal(photo.pixels, deep)
    assert photo.alpha is not None
    np.testing.assert_array_equal(photo.alpha, deep[..., 0])
    with pytest.raises(UnsupportedError):
        read_photo(np.zeros((4, 4, 2), np.uint8))
    with pytest.raises(UnsupportedError):
        read_photo(np.zeros((4, 4), np.int64))


TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_orientation_is_applied_once(orientation: int, format: str) -> None:
    upright = bad_files.grey()
    if format == "TIFF":
        data = bad_files.encoded(upright, "TIFF", tiffinfo={274: orientation})
    else:
        options = {"lossless": True} if format == "WEBP" else {}
        block = b"Exif\0\0" + bad_files.exif(orientation)
        data = bad_files.encoded(upright, format, exif=block, **options)
    turn = TURNS.get(orientation)
    expected = upright if turn is None else np.asarray(Image.fromarray(upright).transpose(turn))
    photo = read_photo(data)
    assert (probe(data).height, probe(data).width) == expected.shape
    off = np.abs(luma(photo.pixels) - expected)
    assert off.mean() < (3 if format == "JPEG" else 1e-9)
    result = written(photo)
    with Image.open(io.BytesIO(result)) as image:
        assert image.getexif().get(0x0112, 1) == 1
    np.testing.assert_allclose(luma(read_photo(result).pixels), luma(photo.pixels), atol=6)


# --- Deep pixels ----------------------------------------------------------------------------------------


def deep(channels: int) -> NDArray[np.uint16]:
    values = np.random.default_rng(5).integers(0, 65536, (24, 40, channels), dtype=np.uint16)
    return values


@pytest.mark.parametrize(("color", "channels"), [(0, 1), (2, 3), (4, 2), (6, 4)])
def test_png_of_16_bits_stays_exact(color: int, channels: int) -> None:
    values = deep(channels)
    photo = read_photo(bad_files.png16(values, color))
    assert probe(bad_files.png16(values, color)).depth == 16
    np.testing.assert_array_equal(photo.pixels, values[..., 0] if channels < 3 else values[..., :3])
    assert (photo.alpha is not None) == (channels in (2, 4))
    result = written(photo)
    chunks = dict(png_chunks(result))
    assert chunks[b"IHDR"][8:10] == bytes([16, 2 if photo.alpha is None else 6])
    again = read_photo(result)
    assert np.abs(luma(again.pixels) - luma(photo.pixels)).max() <= 1
    if photo.alpha is not None:
        np.testing.assert_array_equal(again.alpha, values[..., -1])


@pytest.mark.parametrize("key", [True, False])
def test_transparent_value_of_a_16_bit_png_becomes_alpha(key: bool) -> None:
    values = deep(1) if key else deep(3)
    value = values[3, 4].astype(">u2").tobytes()
    photo = read_photo(bad_files.png16(values, 0 if key else 2, bad_files.chunk(b"tRNS", value)))
    assert photo.alpha is not None
    assert photo.alpha[3, 4] == 0
    assert photo.alpha[0, 0] == 65535


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("byteorder", ["<", ">"])
@pytest.mark.parametrize("kind", ["grey16", "rgb16", "rgba16", "grey32f", "rgb32f"])
def test_deep_tiff_stays_exact_for_an_independent_reader(
    kind: str, byteorder: Literal["<", ">"], compression: str | None
) -> None:
    channels = {"grey": 1, "rgb": 3, "rgba": 4}[kind.rstrip("0123456789f")]
    values: Pixels = np.squeeze(deep(channels))
    if kind.endswith("32f"):
        values = values.astype(np.float32) / np.float32(65535)
    file = io.BytesIO()
    options: dict[str, Any] = {"extrasamples": ["unassalpha"]} if channels == 4 else {}
    tifffile.imwrite(
        file,
        values,
        photometric="minisblack" if channels == 1 else "rgb",
        byteorder=byteorder,
        compression=compression,
        extratags=[(274, 3, 1, 6, True)],
        **options,
    )
    photo = read_photo(file.getvalue())
    turned = np.rot90(values, -1)
    np.testing.assert_array_equal(photo.pixels, turned[..., :3] if channels > 1 else turned)
    with tifffile.TiffFile(io.BytesIO(written(photo))) as tiff:
        page = tiff.pages[0]
        assert isinstance(page, tifffile.TiffPage)
        result = page.asarray()
        assert page.compression == (8 if compression else 1)
        assert page.tags.get(274) is None
        assert page.tags[34675].value
        assert b"fingerprint" in page.tags[700].value
    assert result.dtype == values.dtype
    assert np.abs(luma(result[..., :3]) - luma(photo.pixels)).max() <= (1 if values.dtype == np.uint16 else 1e-6)
    if channels == 4:
        np.testing.assert_array_equal(result[..., 3], turned[..., 3])


def test_white_is_zero_is_turned_to_black_is_zero() -> None:
    file = io.BytesIO()
    tifffile.imwrite(file, deep(1)[..., 0], photometric="miniswhite")
    np.testing.assert_array_equal(read_photo(file.getvalue()).pixels, 65535 - deep(1)[..., 0])


def test_premultiplied_alpha_is_undone() -> None:
    alpha = np.maximum(deep(1)[..., 0], 1)
    color = deep(3) // 2
    shaded = np.rint(color * (alpha[..., None] / 65535)).astype(np.uint16)
    file = io.BytesIO()
    tifffile.imwrite(file, np.dstack([shaded, alpha]), photometric="rgb", extrasamples=["assocalpha"], byteorder=">")
    photo = read_photo(file.getvalue())
    np.testing.assert_array_equal(photo.alpha, alpha)
    off = np.abs(photo.pixels.astype(float) - color) * (alpha[..., None] / 65535)
    assert off.max() <= 1


def test_alpha_that_is_only_claimed_is_not_read() -> None:
    file = io.BytesIO()
    tifffile.imwrite(file, deep(3), photometric="rgb", extratags=[(338, 3, 1, 1, True)])
    np.testing.assert_array_equal(read_photo(file.getvalue()).pixels, deep(3))


# --- Choice of format and encoding ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "depth", "alpha", "wanted", "expected"),
    [
        ("JPEG", 8, False, None, "JPEG"),
        ("PNG", 16, True, None, "PNG"),
        ("TIFF", 32, False, None, "TIFF"),
        ("GIF", 8, True, None, "PNG"),
        ("BMP", 8, False, None, "PNG"),
        ("PPM", 16, False, None, "TIFF"),
        ("PNG", 8, False, ".JPG", "JPEG"),
        ("JPEG", 8, False, "tif", "TIFF"),
    ],
)
def test_output_format(source: str, depth: int, alpha: bool, wanted: str | None, expected: str) -> None:
    assert output_format(source, depth, alpha, wanted) == expected


@pytest.mark.parametrize(
    ("depth", "alpha", "wanted", "message"),
    [
        (16, False, "jpg", "16-bit"),
        (8, True, "jpg", "transparency"),
        (8, False, "xyz", "xyz"),
        (32, False, "png", "32-bit"),
    ],
)
def test_formats_that_cannot_hold_the_result_are_refused(depth: int, alpha: bool, wanted: str, message: str) -> None:
    with pytest.raises((OptionError, OutputError), match=message):
        output_format("PNG", depth, alpha, wanted)


@pytest.mark.parametrize("quality", [5, 30, 75, 92, 98])
@pytest.mark.parametrize("turn", [1, 6])
@pytest.mark.parametrize("size", [(160, 120), (157, 118)])
def test_jpeg_to_jpeg_changes_mean_luma_by_less_than_a_level(quality: int, turn: int, size: tuple[int, int]) -> None:
    from skimage import data

    photo = data.camera()
    picture = Image.fromarray(photo).resize(size, Image.Resampling.LANCZOS)
    block = b"Exif\0\0" + bad_files.exif(turn)
    source = read_photo(bad_files.encoded(picture, "JPEG", quality=quality, exif=block))
    result = read_photo(written(source))
    limit = 0.3 if turn == 1 or size == (160, 120) else 1.0  # on the grid its own table costs next to nothing
    assert np.abs(luma(result.pixels) - luma(source.pixels)).mean() < limit


def test_quality_overrides() -> None:
    photo = read_photo(bad_files.seed("JPEG"))
    assert len(written(photo, quality=20)) < len(written(photo))
    webp = read_photo(bad_files.encoded(bad_files.rgb(), "WEBP", lossless=True))
    assert b"VP8L" in written(webp)
    assert b"VP8L" not in written(webp, quality=80)


def test_webp_stays_lossy_or_lossless() -> None:
    lossy = read_photo(bad_files.encoded(bad_files.rgb(), "WEBP", quality=80))
    assert not lossy.lossless
    assert b"VP8L" not in written(lossy)
    frames = {"save_all": True, "append_images": [Image.fromarray(bad_files.rgb()[::-1])]}
    for options in {"icc_profile": srgb_profile()}, {"exif": b"Exif\0\0" + bytes(2000)}, frames:
        lossless = bad_files.encoded(bad_files.rgb(), "WEBP", lossless=True, **options)
        assert read_photo(lossless).lossless


def test_avif_stays_avif() -> None:
    photo = read_photo(bad_files.encoded(bad_files.rgb(64, 48), "AVIF", quality=90))
    result = written(photo)
    assert probe(result).format == "AVIF"
    assert probe(result).fingerprint == "f1"
    assert np.abs(luma(read_photo(result).pixels) - luma(photo.pixels)).mean() < 3


def test_sides_beyond_a_format_are_refused() -> None:
    photo = Photo(np.zeros((1, 17000), np.uint8))
    with pytest.raises(OutputError, match="16383"):
        written(photo, "WEBP")


def test_results_are_the_same_every_time() -> None:
    photo = read_photo(bad_files.seed("PNG"))
    assert written(photo) == written(photo)


def test_pixels_must_fit_their_source() -> None:
    photo = read_photo(bad_files.seed("JPEG"))
    with pytest.raises(ValueError, match="do not fit"):
        write_photo(io.BytesIO(), colored(photo)[1:], photo, format="JPEG", disclosure=DISCLOSURE)
    with pytest.raises(OutputError):
        written(dataclasses.replace(photo, alpha=photo.pixels), "JPEG")
