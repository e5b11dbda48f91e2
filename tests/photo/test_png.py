"""PNG: color spaces told in numbers."""

from __future__ import annotations

import struct
import zlib
from typing import Any

import numpy as np
import pytest

from support import bad_files
from support.photos import Pixels
from support.profiles import ADOBE, gamma, matrix_profile
from vintage_colorizer.errors import UnsupportedError
from vintage_colorizer.photo.reading import probe, read_photo

ADOBE_PLACES = (0.3127, 0.3290, 0.64, 0.33, 0.21, 0.71, 0.15, 0.06)


def png(values: Pixels, *chunks: tuple[bytes, bytes]) -> bytes:
    """A PNG of H x W or H x W x 3 values with further chunks."""
    rows = b"".join(b"\0" + row.astype(f">u{values.itemsize}").tobytes() for row in values)
    extra = b"".join(bad_files.chunk(kind, data) for kind, data in chunks)
    color = {2: 0, 3: 2}[values.ndim]
    return bad_files.png(values.shape[1], values.shape[0], 8 * values.itemsize, color, rows, extra)


def g(value: float) -> tuple[bytes, bytes]:
    return b"gAMA", struct.pack(">I", round(value * 100_000))


def places(*numbers: float) -> tuple[bytes, bytes]:
    return b"cHRM", struct.pack(">8I", *(round(number * 100_000) for number in numbers))


def srgb(linear: Pixels) -> Pixels:
    encoded: Pixels = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return encoded


@pytest.mark.parametrize("written", [1.0, 1 / 1.8, 1 / 2.5])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [1, 3])
def test_gamma_is_honored(channels: int, dtype: Any, written: float) -> None:
    top = np.iinfo(dtype).max
    grey = np.linspace(0, top, 40 * 24).astype(dtype).reshape(24, 40)
    values = grey if channels == 1 else np.dstack([grey] * 3)
    photo = read_photo(png(values, g(written)))
    assert photo.pixels.dtype == dtype
    np.testing.assert_allclose(photo.pixels, srgb((values / top) ** (1 / written)) * top, atol=top * 0.002 + 0.6)


@pytest.mark.parametrize(
    "chunks",
    [
        [g(1 / 2.2)],
        [g(0)],
        [g(1.0), (b"sRGB", b"\0")],
        [g(1.0), (b"cICP", bytes([1, 13, 0, 1]))],
        [g(1 / 2.2), places(0.3127, 0.3290, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)],
        [g(1 / 2.2), places(*[0.0] * 8)],
        [(b"cICP", b"\1")],
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_what_is_srgb_is_left_exactly_alone(chunks: list[tuple[bytes, bytes]], channels: int) -> None:
    values = bad_files.grey() if channels == 1 else bad_files.rgb()
    np.testing.assert_array_equal(read_photo(png(values, *chunks)).pixels, values)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_primaries_agree_with_the_same_profile(dtype: Any) -> None:
    values = bad_files.rgb().astype(dtype) * (257 if dtype == np.uint16 else 1)
    profile = (b"iCCP", b"x\0\0" + zlib.compress(matrix_profile(ADOBE, gamma(563 / 256))))
    told = read_photo(png(values, g(256 / 563), places(*ADOBE_PLACES))).pixels
    expected = read_photo(png(values, profile, g(1.0))).pixels
    assert np.abs(expected.astype(int) - values).max() > 3
    np.testing.assert_allclose(told, expected, atol=2 * (257 if dtype == np.uint16 else 1))


def test_coded_primaries_are_honored() -> None:
    photo = read_photo(png(np.full((4, 4, 3), (200, 100, 100), np.uint8), (b"cICP", bytes([12, 13, 0, 1]))))
    # From Display P3 to sRGB, red becomes redder.
    assert photo.pixels[0, 0, 0] > 205 and photo.pixels[0, 0, 1] < 100


@pytest.mark.parametrize(("transfer", "name"), [(16, "PQ"), (18, "HLG")])
def test_hdr_is_named(transfer: int, name: str) -> None:
    data = png(bad_files.rgb().astype(np.uint16) * 200, (b"cICP", bytes([9, transfer, 0, 1])))
    for read in (probe, read_photo):
        with pytest.raises(UnsupportedError, match=rf"HDR picture \({name}\).*export it as plain sRGB"):
            read(data)
