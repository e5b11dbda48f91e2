"""Color profiles (ICC): every picture is brought to sRGB before anything else looks at it.

Grey pictures go through the profile's tone curve at full depth. 8-bit color goes through LittleCMS;
16-bit and float color, which Pillow's LittleCMS cannot take, through the profile's curves and matrix in
float. Intent is relative colorimetric with black point compensation: colors inside sRGB stay what they
are (perceptual tables would shift them all), and a print's black becomes black, not a veil.
References: ICC.1:2022 sections 8, 10.6 (curv), 10.18 (para) and annex E (Bradford); IEC 61966-2-1 (sRGB).
"""

from __future__ import annotations

import functools
import io
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vintage_colorizer.color import Pixels

Curve = Callable[[NDArray[Any]], NDArray[Any]]

IGNORED = "the broken color profile was ignored; the picture is taken as sRGB"
STRIP_PIXELS = 1 << 20  # per step of a conversion: bounds the float copies to some 24 MB
# Linear sRGB to XYZ relative to D50 (Bradford-adapted), the connection space of ICC profiles.
SRGB_TO_XYZ = np.array(
    [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
)
D50 = np.array([0.9642, 1.0, 0.8249])  # white of the connection space
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


class ProfileError(ValueError):
    """The bytes are not a usable profile; never leaves this module."""


@dataclass(frozen=True)
class Profile:
    """What is needed of an ICC profile: its color space, connection space and tags."""

    space: str  # "GRAY", "RGB", "CMYK", "Lab" ...
    connection: str  # "XYZ" or "Lab"
    tags: dict[bytes, bytes]

    @property
    def is_matrix(self) -> bool:
        """Three curves and a matrix, and no table that would take precedence."""
        needed = (b"rTRC", b"gTRC", b"bTRC", b"rXYZ", b"gXYZ", b"bXYZ")
        return all(tag in self.tags for tag in needed) and b"A2B0" not in self.tags

    def matrix(self) -> NDArray[np.float64]:
        """Linear device RGB to XYZ (D50), 3 x 3."""
        return np.stack([_xyz(self.tags[tag]) for tag in (b"rXYZ", b"gXYZ", b"bXYZ")], axis=1)

    def curves(self) -> list[Curve]:
        """Tone curves of R, G and B: encoded 0..1 to linear 0..1."""
        return [parse_curve(self.tags[tag]) for tag in (b"rTRC", b"gTRC", b"bTRC")]


def described(chromaticities: Sequence[tuple[float, float]], gamma: float | None) -> Profile:
    """The profile of a color space that is told in numbers: x, y of white, red, green, blue; a gamma, None for sRGB's.

    Raises ProfileError when the numbers make no sense.
    """
    try:
        xyz = np.array([[x / y, 1.0, (1 - x - y) / y] for x, y in chromaticities]).T
        white, primaries = xyz[:, 0], xyz[:, 1:]
        matrix = primaries * np.linalg.solve(primaries, white)
        adapted = np.linalg.inv(BRADFORD) @ np.diag(BRADFORD @ D50 / (BRADFORD @ white)) @ BRADFORD @ matrix
    except (ZeroDivisionError, np.linalg.LinAlgError) as error:
        raise ProfileError("impossible primaries") from error
    kind, numbers = (0, [gamma]) if gamma else (3, [2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045])
    curve = b"para" + bytes(4) + struct.pack(f">HH{len(numbers)}i", kind, 0, *_fixed(numbers))
    tags = dict.fromkeys((b"rTRC", b"gTRC", b"bTRC"), curve)
    for tag, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), adapted.T, strict=True):
        tags[tag] = b"XYZ " + bytes(4) + struct.pack(">3i", *_fixed(column))
    return Profile("RGB", "XYZ", tags)


def _fixed(numbers: Sequence[float] | NDArray[np.float64]) -> list[int]:
    """As ICC writes numbers: in parts of 65536."""
    values = [round(number * 65536) for number in numbers if abs(number) < 32768]
    if len(values) < len(numbers):
        raise ProfileError("number out of range")
    return values


def to_srgb(pixels: Pixels, profile: bytes | Profile | None) -> tuple[Pixels, str | None]:
    """Convert H x W (grey) or H x W x 3 (RGB) pixels from `profile` to sRGB; `None` means sRGB already.

    uint8, uint16 or float32 in 0..1, and the same out. The second value is a note for the report, or None.
    Never raises on a bad profile: it is ignored with a note.
    """
    if not profile:
        return pixels, None
    try:
        parsed = profile if isinstance(profile, Profile) else parse_profile(profile)
        if pixels.ndim == 2:
            return _grey_to_srgb(pixels, parsed), None
        if parsed.space != "RGB":
            return pixels, f"the color profile is for {parsed.space}, not RGB, and was ignored"
        return _rgb_to_srgb(pixels, parsed, profile)
    except (ProfileError, struct.error, ValueError, OverflowError):
        return pixels, IGNORED


def parse_profile(data: bytes) -> Profile:
    """Read the header and tag table of an ICC profile; raises ProfileError when they make no sense."""
    if len(data) < 132 or data[36:40] != b"acsp":
        raise ProfileError("not an ICC profile")
    (count,) = struct.unpack_from(">I", data, 128)
    if count > 200 or 132 + 12 * count > len(data):
        raise ProfileError("tag table runs over the end")
    tags = {}
    for index in range(count):
        signature, offset, size = struct.unpack_from(">4sII", data, 132 + 12 * index)
        if offset + size > len(data):
            raise ProfileError("a tag runs over the end")
        tags[signature] = data[offset : offset + size]
    return Profile(data[16:20].decode("latin-1").strip(), data[20:24].decode("latin-1").strip(), tags)


def parse_curve(tag: bytes) -> Curve:
    """A tone curve from a `curv` or `para` tag, as a function on arrays in 0..1."""
    if tag[:4] == b"curv":
        return _sampled_curve(tag)
    if tag[:4] == b"para":
        return _parametric_curve(tag)
    raise ProfileError("unknown kind of curve")


def _sampled_curve(tag: bytes) -> Curve:
    (count,) = struct.unpack_from(">I", tag, 8)
    if count == 0:
        return lambda x: x
    if 12 + 2 * count > len(tag):
        raise ProfileError("curve runs over the end")
    values = np.frombuffer(tag, ">u2", count, 12).astype(np.float64)
    if count == 1:
        gamma = values[0] / 256
        return lambda x: x**gamma
    grid = np.linspace(0, 1, count)
    return lambda x: np.interp(x, grid, values / 65535)


def _parametric_curve(tag: bytes) -> Curve:
    (kind,) = struct.unpack_from(">H", tag, 8)
    if kind > 4:
        raise ProfileError("unknown parametric curve")
    numbers = struct.unpack_from(f">{(1, 3, 4, 5, 7)[kind]}i", tag, 12)
    g, a, b, c, d, e, f = (n / 65536 for n in numbers + (0,) * (7 - len(numbers)))
    if kind == 0:
        return lambda x: x**g
    if kind < 3:  # the break is where a x + b reaches 0; kind 2 adds c everywhere
        if a == 0:
            raise ProfileError("curve without slope")
        return lambda x: np.where(x >= -b / a, np.maximum(a * x + b, 0) ** g, 0) + c
    return lambda x: np.where(x >= d, np.maximum(a * x + b, 0) ** g + e, c * x + f)


def _xyz(tag: bytes) -> NDArray[np.float64]:
    return np.array(struct.unpack_from(">3i", tag, 8)) / 65536


def srgb_encode(linear: NDArray[np.floating[Any]]) -> NDArray[np.floating[Any]]:
    """Linear light 0..1 to sRGB 0..1 (IEC 61966-2-1); values outside are clipped."""
    linear = np.clip(linear, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def _grey_to_srgb(pixels: Pixels, profile: Profile) -> Pixels:
    tag = profile.tags.get(b"kTRC") or profile.tags.get(b"gTRC")  # an RGB profile on grey: R = G = B
    if tag is None:
        raise ProfileError("no tone curve for grey")
    curve = parse_curve(tag)
    if profile.space == "GRAY" and profile.connection == "Lab":
        return apply_curve(pixels, lambda x: srgb_encode(_lightness_to_linear(curve(x))))
    return apply_curve(pixels, lambda x: srgb_encode(curve(x)))


def _lightness_to_linear(lightness: NDArray[np.float64]) -> NDArray[np.float64]:
    """L* / 100 to Y (CIE 15)."""
    return np.where(lightness > 0.08, ((100 * lightness + 16) / 116) ** 3, 100 * lightness / 903.3)


def apply_curve(pixels: Pixels, curve: Curve) -> Pixels:
    """Send every value through `curve` (0..1 to 0..1): 2^16 steps for float."""
    table = _table(curve, pixels.dtype)
    if pixels.dtype == np.float32:
        grid = np.linspace(0, 1, len(table))
        return np.concatenate([np.interp(s, grid, table).astype(np.float32) for s in strips(pixels)])
    scale = np.iinfo(pixels.dtype).max
    levels: Pixels = np.rint(np.clip(table, 0, 1) * scale).astype(pixels.dtype)
    return levels[pixels]


def _table(curve: Curve, dtype: np.dtype[Any]) -> NDArray[np.float64]:
    with np.errstate(all="ignore"):
        table = np.asarray(curve(np.linspace(0, 1, 256 if dtype == np.uint8 else 65536)), np.float64)
    if not np.isfinite(table).all():
        raise ProfileError("curve is not finite")
    return table


def _rgb_to_srgb(pixels: Pixels, profile: Profile, data: bytes | Profile) -> tuple[Pixels, str | None]:
    if profile.is_matrix and _is_srgb(profile):
        return pixels, None
    if pixels.dtype == np.uint8 and isinstance(data, bytes):
        return _through_lcms(pixels, data), None
    if profile.is_matrix:
        return _through_matrix(pixels, profile), None
    return pixels, "the table-based color profile cannot be applied at this depth; taken as sRGB"


def _is_srgb(profile: Profile) -> bool:
    """Within half a level of 8 bits, so that converting would only add rounding."""
    levels = np.linspace(0, 1, 256)
    tables = [_table(curve, np.dtype(np.uint8)) for curve in profile.curves()]
    near = all(np.abs(srgb_encode(table) - levels).max() < 0.5 / 255 for table in tables)
    return near and bool(np.abs(profile.matrix() - SRGB_TO_XYZ).max() < 1e-3)


def strips(pixels: Pixels) -> Iterator[Pixels]:
    """The rows of `pixels` in views of about a megapixel."""
    rows = max(1, STRIP_PIXELS // max(1, pixels.shape[1]))
    for top in range(0, pixels.shape[0], rows):
        yield pixels[top : top + rows]


def _through_matrix(pixels: Pixels, profile: Profile) -> Pixels:
    tables = [_table(curve, pixels.dtype).astype(np.float32) for curve in profile.curves()]
    matrix = (np.linalg.inv(SRGB_TO_XYZ) @ profile.matrix()).astype(np.float32)
    result = np.empty_like(pixels)
    for source, target in zip(strips(pixels), strips(result), strict=True):
        target[...] = _from_unit(srgb_encode(_linear(source, tables) @ matrix.T), pixels.dtype)
    return result


def _linear(strip: Pixels, tables: list[NDArray[np.float32]]) -> Pixels:
    channels = [strip[..., c] for c in range(3)]
    if strip.dtype == np.float32:
        grid = np.linspace(0, 1, len(tables[0]))
        looked_up: list[Pixels] = [np.interp(x, grid, t) for x, t in zip(channels, tables, strict=True)]
    else:
        looked_up = [table[x] for x, table in zip(channels, tables, strict=True)]
    return np.stack(looked_up, axis=-1).astype(np.float32)


def _from_unit(values: NDArray[np.floating[Any]], dtype: np.dtype[Any]) -> Pixels:
    return values if dtype == np.float32 else np.rint(values * np.iinfo(dtype).max)


def _through_lcms(pixels: Pixels, data: bytes) -> Pixels:
    """8-bit RGB from the profile `data` to sRGB; raises ProfileError when LittleCMS refuses it."""
    transform = _lcms_transform(data, "RGB")
    result = np.empty_like(pixels)
    for source, target in zip(strips(pixels), strips(result), strict=True):
        target[...] = np.asarray(transform.apply(Image.fromarray(source)))
    return result


def image_to_srgb(image: Image.Image, profile: bytes | None) -> tuple[NDArray[np.uint8], str | None]:
    """Pixels, H x W x 3 uint8 sRGB, of a Pillow image of mode CMYK or LAB, and a note or None.

    CMYK without a usable profile falls back on Pillow's plain formula, with a note.
    """
    try:
        transform = _lcms_transform(profile, image.mode)
    except ProfileError:
        note = "the CMYK picture has no usable color profile; a plain conversion was used"
        return in_strips(image, lambda strip: strip.convert("RGB")), note
    return in_strips(image, transform.apply), None


def in_strips(image: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> Pixels:
    """The array of a converted Pillow image, some rows at a time: no second full image ever exists."""
    width, height = image.size
    rows = max(1, STRIP_PIXELS // width)
    result: Pixels | None = None
    for top in range(0, height, rows):
        strip = np.asarray(convert(image.crop((0, top, width, min(top + rows, height)))))
        if result is None:
            result = np.empty((height, *strip.shape[1:]), strip.dtype)
        result[top : top + rows] = strip
    assert result is not None  # Pillow opens no picture without rows
    return result


def _lcms_transform(data: bytes | None, mode: str) -> Any:
    from PIL import ImageCms

    try:
        lab = ImageCms.createProfile("LAB") if mode == "LAB" else None
        return ImageCms.buildTransform(
            lab or ImageCms.ImageCmsProfile(io.BytesIO(data or b"")),
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, TypeError, ValueError) as error:
        raise ProfileError(str(error)) from error


@functools.lru_cache(maxsize=1)
def srgb_profile() -> bytes:
    """The sRGB profile put into every result: LittleCMS's own, its date fixed so that results repeat."""
    from PIL import ImageCms

    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    data[24:36] = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)
    data[84:100] = bytes(16)  # the checksum, 0 where not computed
    return bytes(data)
