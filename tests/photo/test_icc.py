from __future__ import annotations

import io
import struct
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from support import bad_files
from support.photos import written
from support.profiles import ADOBE, gamma, matrix_profile, parametric, profile
from vintage_colorizer.photo import icc
from vintage_colorizer.photo.reading import read_photo


def lcms(pixels: NDArray[np.uint8], data: bytes, mode: str = "RGB") -> NDArray[np.uint8]:
    """LittleCMS alone, as the judge."""
    image = ImageCms.profileToProfile(
        Image.fromarray(pixels, mode) if mode == "CMYK" else Image.fromarray(pixels),
        ImageCms.ImageCmsProfile(io.BytesIO(data)),
        ImageCms.createProfile("sRGB"),
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        "RGB",
    )
    assert image is not None
    return np.asarray(image)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_grey_goes_through_the_curve_at_full_depth(dtype: Any) -> None:
    top = 1 if dtype == np.float32 else np.iinfo(dtype).max
    values = np.linspace(0, top, 5000).astype(dtype).reshape(50, 100)
    result, note = icc.to_srgb(values, profile(b"GRAY", {b"kTRC": gamma(1.8)}))
    assert note is None
    assert result.dtype == dtype
    linear = (values.astype(np.float64) / top) ** (461 / 256)
    expected = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055) * top
    assert np.abs(result - expected).max() <= (1e-4 if top == 1 else 0.51)
    if dtype == np.uint16:
        assert len(np.unique(result)) > 4000  # not cut to 8 bits on the way


def test_grey_profile_agrees_with_littlecms() -> None:
    data = profile(b"GRAY", {b"kTRC": gamma(1.8)})
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.abs(icc.to_srgb(pixels, data)[0].astype(int) - lcms(pixels, data)[..., 0]).max() <= 1


@pytest.mark.parametrize(
    "curve",
    [
        gamma(2.2),
        b"curv" + bytes(4) + struct.pack(">I1024H", 1024, *(round(65535 * (i / 1023) ** 2) for i in range(1024))),
        parametric(0, 2.2),
        parametric(1, 2.4, 1 / 1.055, 0.055 / 1.055),
        parametric(3, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045),
        parametric(4, 2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045, 0, 0),
    ],
)
def test_every_kind_of_curve_agrees_with_littlecms(curve: bytes) -> None:
    data = profile(b"GRAY", {b"kTRC": curve})
    pixels = np.arange(256, dtype=np.uint8).reshape(16, 16)
    assert np.abs(icc.to_srgb(pixels, data)[0].astype(int) - lcms(pixels, data)[..., 0]).max() <= 1


def test_srgb_is_left_exactly_alone() -> None:
    pixels = bad_files.rgb()
    result, note = icc.to_srgb(pixels, icc.srgb_profile())
    assert result is pixels
    assert note is None


def test_deep_wide_gamut_agrees_with_littlecms_and_keeps_its_depth() -> None:
    data = matrix_profile(ADOBE, gamma(563 / 256))
    small = np.random.default_rng(2).integers(40, 216, (30, 50, 3), dtype=np.uint8)
    expected, _ = icc.to_srgb(small, data)
    assert np.abs(expected.astype(int) - small).max() > 5
    deep, note = icc.to_srgb(small.astype(np.uint16) * 257, data)
    floats, _ = icc.to_srgb(small.astype(np.float32) / 255, data)
    assert note is None
    np.testing.assert_allclose(deep / 257, lcms(small, data), atol=1.01)
    np.testing.assert_allclose(floats * 255, deep / 257, atol=0.05)
    assert len(np.unique(deep % 257)) > 200


def test_table_profile_at_16_bits_is_noted() -> None:
    data = profile(b"RGB ", {b"A2B0": b"mft2" + bytes(60)})
    pixels = bad_files.rgb().astype(np.uint16)
    result, note = icc.to_srgb(pixels, data)
    assert result is pixels
    assert note is not None
    assert "table-based" in note


@pytest.mark.parametrize("data", [b"nonsense", icc.srgb_profile()[:200], bytes(500)])
@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 3)])
def test_broken_profiles_are_ignored_with_a_note(data: bytes, shape: tuple[int, ...]) -> None:
    pixels = np.full(shape, 9, np.uint8)
    result, note = icc.to_srgb(pixels, data)
    assert result is pixels
    assert note == icc.IGNORED


def test_fuzzed_profiles_never_raise() -> None:
    sound = matrix_profile(ADOBE, parametric(3, 2.4, 0.9, 0.1, 0.08, 0.04))
    random = np.random.default_rng(4)
    for _ in range(300):
        data = bytearray(sound)
        for at in random.integers(0, len(data), 4):
            data[at] = random.integers(0, 256)
        for dtype in (np.uint8, np.uint16):
            for pixels in (np.zeros((3, 3), dtype), np.zeros((3, 3, 3), dtype)):
                assert icc.to_srgb(pixels, bytes(data))[0].dtype == dtype


def test_profile_of_another_space_is_ignored_with_a_note() -> None:
    data = profile(b"GRAY", {b"kTRC": gamma(1.8)})
    pixels = bad_files.rgb()
    result, note = icc.to_srgb(pixels, data)
    assert result is pixels
    assert note is not None
    assert "GRAY" in note


def test_lab_picture_becomes_its_color() -> None:
    lab = Image.fromarray(np.full((4, 4, 3), (136, 0, 0), np.uint8), "LAB")
    photo = read_photo(bad_files.encoded(lab, "TIFF"))
    assert np.abs(photo.pixels.astype(int) - 127).max() <= 2  # L* 53.3 is the middle grey of sRGB


def test_photo_with_a_profile_comes_out_in_srgb() -> None:
    data = matrix_profile(ADOBE, gamma(563 / 256))
    source = read_photo(bad_files.encoded(bad_files.rgb(), "PNG", icc_profile=data))
    assert np.abs(source.pixels.astype(int) - lcms(bad_files.rgb(), data)).max() <= 1
    with Image.open(io.BytesIO(written(source))) as image:
        assert image.info["icc_profile"] == icc.srgb_profile()
