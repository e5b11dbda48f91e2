"""TIFF: which of its pictures is meant, and the layouts of scanners and archives."""

from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
import tifffile

from support import bad_files
from support.photos import Pixels, written
from vintage_colorizer.errors import InputError, UnsupportedError
from vintage_colorizer.photo.reading import probe, read_photo
from vintage_colorizer.photo.tiff import LEFT_OUT

SMALL = bad_files.grey(20, 12)
COPY, FULL, PAGE = 1, 0, 2
SEVERAL = "only the first of the several pictures in the file is colored"


def large(dtype: type[Any] = np.uint8) -> Pixels:
    values = np.random.default_rng(3).integers(0, 256, (48, 80), dtype=np.uint8)
    return values.astype(dtype) * (257 if dtype == np.uint16 else 1)


def pages(*writes: tuple[Pixels, dict[str, Any]], **options: Any) -> bytes:
    file = io.BytesIO()
    with tifffile.TiffWriter(file, **options) as tiff:
        for values, how in writes:
            tiff.write(values, **{"photometric": "minisblack", "metadata": None, **how})
    return file.getvalue()


def one(values: Pixels, **how: Any) -> bytes:
    return pages((values, how))


# --- Which picture --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("byteorder", "bigtiff"), [("<", False), (">", False), ("<", True)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_small_copy_that_comes_first_is_passed_over(dtype: type[Any], bigtiff: bool, byteorder: str) -> None:
    data = pages(
        (SMALL, {"subfiletype": COPY, "description": "thumbnail"}),
        (large(dtype), {"subfiletype": FULL, "description": "attic", "resolution": (600, 600)}),
        bigtiff=bigtiff,
        byteorder=byteorder,
    )
    photo = read_photo(data)
    np.testing.assert_array_equal(photo.pixels, large(dtype))
    assert photo.notes == ()
    assert (probe(data).width, probe(data).height, probe(data).depth) == (80, 48, photo.depth)
    with tifffile.TiffFile(io.BytesIO(written(photo))) as tiff:
        assert tiff.pages.first.tags[270].value == "attic"
        assert len(tiff.pages) == 1


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("orientation", [1, 6])
def test_a_picture_in_a_sub_directory_is_found(dtype: type[Any], orientation: int) -> None:
    """As in the raw files of scanners, where the page says what is true of its sub-directory too."""
    about = [(274, 3, 1, orientation, True), (271, 2, 0, "Scanner", True)]
    data = pages(
        (SMALL, {"subfiletype": COPY, "subifds": 2, "extratags": about}),
        (SMALL, {"subfiletype": COPY}),
        (large(dtype), {"subfiletype": FULL}),
    )
    photo = read_photo(data)
    np.testing.assert_array_equal(photo.pixels, large(dtype) if orientation == 1 else np.rot90(large(dtype), -1))
    assert (probe(data).height, probe(data).width) == photo.pixels.shape
    with tifffile.TiffFile(io.BytesIO(written(photo))) as tiff:
        assert tiff.pages.first.tags[271].value == "Scanner"
        assert 330 not in tiff.pages.first.tags


def test_smaller_copies_behind_a_picture_are_not_further_pictures() -> None:
    pyramid = [(large(), {"subifds": 1}), (SMALL, {"subfiletype": COPY}), (SMALL, {"subfiletype": COPY})]
    photo = read_photo(pages(*pyramid))
    np.testing.assert_array_equal(photo.pixels, large())
    assert photo.notes == ()
    two = read_photo(pages((large(), {"subfiletype": PAGE}), (SMALL, {"subfiletype": PAGE})))
    np.testing.assert_array_equal(two.pixels, large())
    assert two.notes == (SEVERAL,)


def test_of_copies_alone_the_largest_is_taken() -> None:
    photo = read_photo(pages((SMALL, {"subfiletype": COPY}), (large(), {"subfiletype": COPY})))
    np.testing.assert_array_equal(photo.pixels, large())


def test_directories_in_a_circle_end() -> None:
    data = bytearray(one(large()))
    first = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, first)[0]
    struct.pack_into("<I", data, first + 2 + 12 * count, first)
    np.testing.assert_array_equal(read_photo(bytes(data)).pixels, large())


def test_damaged_second_directory_is_no_concern_of_the_first() -> None:
    data = bytearray(one(large()))
    first = struct.unpack_from("<I", data, 4)[0]
    count = struct.unpack_from("<H", data, first)[0]
    struct.pack_into("<I", data, first + 2 + 12 * count, len(data) + 99)
    np.testing.assert_array_equal(read_photo(bytes(data)).pixels, large())


def test_a_big_endian_bigtiff_is_named_and_not_called_damaged() -> None:
    with pytest.raises(UnsupportedError, match="BigTIFF in big-endian order"):
        probe(pages((large(), {}), bigtiff=True, byteorder=">"))


# --- Raw files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("photometric", ["cfa", "linear_raw"])
def test_the_picture_of_a_raw_file_is_not_its_thumbnail(photometric: str) -> None:
    thumbnail = {"subfiletype": COPY, "subifds": 1, "extratags": [(50706, 1, 4, (1, 4, 0, 0), True)]}
    extra = [(33421, 3, 2, (2, 2), True), (33422, 1, 4, (0, 1, 1, 2), True)] if photometric == "cfa" else []
    sensor = large(np.uint16) if photometric == "cfa" else np.dstack([large(np.uint16)] * 3)
    data = pages((SMALL, thumbnail), (sensor, {"subfiletype": FULL, "photometric": photometric, "extratags": extra}))
    for read in (probe, read_photo):
        with pytest.raises(UnsupportedError, match=r"raw file \(DNG\), which must be developed first: export"):
            read(data)


@pytest.mark.parametrize(
    "head",
    [
        b"FUJIFILMCCD-RAW 0201",
        b"IIRO\x08\0\0\0",
        b"IIU\0\x18\0\0\0",
        b"II*\0\x10\0\0\0CR\x02\0",
        b"\0\0\0\x18ftypcrx \0\0\0\x01crx isom",
    ],
)
def test_raw_files_are_named(head: bytes) -> None:
    with pytest.raises(UnsupportedError, match="is a raw file, which must be developed first"):
        probe(head + bytes(200))


# --- Layouts --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [None, "zlib"])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_grey_with_alpha_is_read_however_it_lies(dtype: type[Any], planar: str, compression: str | None) -> None:
    both = np.dstack([large(dtype), large(dtype)[::-1]]) / (255 if dtype == np.float32 else 1)
    both = both.astype(dtype)
    stored = np.moveaxis(both, -1, 0).copy() if planar == "separate" else both
    data = one(stored, planarconfig=planar, extrasamples=["unassalpha"], compression=compression)
    photo = read_photo(data)
    np.testing.assert_array_equal(photo.pixels, both[..., 0])
    np.testing.assert_array_equal(photo.alpha, both[..., 1])
    assert probe(data).has_alpha


def test_planar_color_is_read() -> None:
    values = np.random.default_rng(4).integers(0, 65536, (24, 40, 3), dtype=np.uint16)
    data = one(np.moveaxis(values, -1, 0).copy(), planarconfig="separate", photometric="rgb")
    np.testing.assert_array_equal(read_photo(data).pixels, values)


def test_half_floats_become_floats() -> None:
    values = (large() / np.float32(255)).astype(np.float16)
    photo = read_photo(one(values))
    assert probe(one(values)).depth == photo.depth == 32
    np.testing.assert_array_equal(photo.pixels, values.astype(np.float32))


def test_twelve_bits_packed_are_brought_to_the_whole_range() -> None:
    values = np.random.default_rng(5).integers(0, 4096, (24, 40), dtype=np.uint16)
    values[0, :2] = 0, 4095
    even, odd = values[:, ::2], values[:, 1::2]
    packed = np.stack([even >> 4, (even & 15) << 4 | odd >> 8, odd & 255], axis=-1).astype(np.uint8)
    data = bytearray(one(packed.reshape(24, 60)))
    at = data.index(struct.pack("<HHI", 256, 4, 1)) + 8
    struct.pack_into("<I", data, at, 40)
    struct.pack_into("<H", data, data.index(struct.pack("<HHI", 258, 3, 1)) + 8, 12)
    np.testing.assert_array_equal(read_photo(bytes(data)).pixels, np.rint(values * (65535 / 4095)))


def test_a_declared_maximum_is_brought_to_the_whole_range() -> None:
    values = large(np.uint16) >> 6
    photo = read_photo(one(values, extratags=[(281, 3, 1, 1023, True)]))
    np.testing.assert_array_equal(photo.pixels, np.rint(values * (65535 / 1023)))
    assert photo.notes == ("values of 0 to 1023 were scaled to 0..65535",)


@pytest.mark.parametrize("declared", [True, False])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_infrared_is_not_alpha(channels: int, dtype: type[Any], declared: bool) -> None:
    values = np.dstack([large(dtype)] * channels + [large(dtype)[::-1]])
    data = bytearray(one(values, photometric="rgb" if channels == 3 else "minisblack", extrasamples=["unspecified"]))
    if not declared:
        at = data.index(struct.pack("<HHI", 338, 3, 1))
        struct.pack_into("<H", data, at, 339)  # what is there now says: unsigned
        struct.pack_into("<H", data, at + 8, 1)
    photo = read_photo(bytes(data))
    assert photo.alpha is None
    assert not probe(bytes(data)).has_alpha
    assert photo.notes == (LEFT_OUT,)
    np.testing.assert_array_equal(np.atleast_3d(photo.pixels)[..., 0], large(dtype))


@pytest.mark.parametrize("tag", [259, 262])
def test_what_no_decoder_knows_is_named_and_not_called_damaged(tag: int) -> None:
    for values in (large(), np.dstack([large(np.uint16), large(np.uint16)])):
        data = bytearray(one(values, extrasamples=["unassalpha"] if values.ndim == 3 else None))
        struct.pack_into("<H", data, data.index(struct.pack("<HHI", tag, 3, 1)) + 8, 34999)
        with pytest.raises(UnsupportedError, match=r"rare kind .*34999"):
            read_photo(bytes(data))


def test_fuzzed_directories_give_our_errors_or_a_picture() -> None:
    sound = pages((SMALL, {"subfiletype": COPY, "subifds": 1}), (large(np.uint16), {}), (large(), {}))
    random = np.random.default_rng(8)
    for _ in range(300):
        data = bytearray(sound)
        for at in random.integers(0, 600, 3):
            data[at] = random.integers(0, 256)
        try:
            assert read_photo(bytes(data), max_megapixels=4).pixels.size > 0
        except InputError as error:
            assert str(error).startswith("The input")
