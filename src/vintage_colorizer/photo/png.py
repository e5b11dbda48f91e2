"""PNG: deep pixels, which Pillow would cut to 8 bits, and color spaces told in numbers (see `kinds`).

References: PNG (third edition) 4.3 and 11.3.2; ITU-T H.273 (the numbers of cICP).
"""

from __future__ import annotations

import io
import os
import struct
from dataclasses import dataclass
from functools import cached_property
from typing import IO

import numpy as np

from vintage_colorizer.photo import icc
from vintage_colorizer.photo.formats import decoding, refuse_hdr
from vintage_colorizer.photo.kinds import Decoded, Plain

D65 = (0.3127, 0.3290)
# White, red, green and blue by their number in H.273.
PRIMARIES = {
    1: (D65, (0.64, 0.33), (0.30, 0.60), (0.15, 0.06)),
    4: ((0.310, 0.316), (0.67, 0.33), (0.21, 0.71), (0.14, 0.08)),
    5: (D65, (0.64, 0.33), (0.29, 0.60), (0.15, 0.06)),
    6: (D65, (0.63, 0.34), (0.31, 0.595), (0.155, 0.07)),
    7: (D65, (0.63, 0.34), (0.31, 0.595), (0.155, 0.07)),
    9: (D65, (0.708, 0.292), (0.17, 0.797), (0.131, 0.046)),
    11: ((0.314, 0.351), (0.68, 0.32), (0.265, 0.69), (0.15, 0.06)),
    12: (D65, (0.68, 0.32), (0.265, 0.69), (0.15, 0.06)),
    22: (D65, (0.63, 0.34), (0.295, 0.605), (0.155, 0.077)),
}
GAMMAS = {4: 2.2, 5: 2.8, 8: 1.0}  # by transfer characteristics; the others that are read look like sRGB's
SRGB_GAMMA = 1 / 2.2  # what writers of sRGB put into gAMA
SPACES = (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM")


@dataclass
class Png(Plain):
    """A PNG; OpenCV reads 16-bit color, and grey with alpha."""

    file: IO[bytes]
    bits: int
    color: int  # color type: 0 grey, 2 RGB, 3 palette, 4 and 6 with alpha

    def __post_init__(self) -> None:
        refuse_hdr(int.from_bytes(self.spaces.get(b"cICP", b"")[1:2], "big"), self.name)

    @cached_property
    def spaces(self) -> dict[bytes, bytes]:
        """What the file says of its color space: the chunks before the pixels."""
        found: dict[bytes, bytes] = {}
        self.file.seek(8)
        while len(head := self.file.read(8)) == 8 and head[4:] != b"IDAT":
            size, kind = int.from_bytes(head[:4], "big"), head[4:]
            if kind in SPACES:
                found.setdefault(kind, self.file.read(min(size, 64)))
                size -= min(size, 64)
            self.file.seek(size + 4, os.SEEK_CUR)
        return found

    @property
    def depth(self) -> int:
        return 16 if self.bits == 16 else super().depth

    @property
    def profile(self) -> bytes | icc.Profile | None:
        """By their rank: cICP, iCCP, sRGB, gAMA with cHRM."""
        said = self.spaces
        try:
            if b"cICP" in said:
                primaries, transfer = struct.unpack(">BBxx", said[b"cICP"])
                gamma = GAMMAS.get(transfer)
                is_srgb = self._is_grey and gamma is None
                return None if is_srgb else icc.described(PRIMARIES.get(primaries, PRIMARIES[1]), gamma)
            gamma = int.from_bytes(said.get(b"gAMA", b""), "big") / 100_000
            if b"iCCP" in said or b"sRGB" in said or not gamma:
                return super().profile
            numbers = [n / 100_000 for n in struct.unpack(">8I", said[b"cHRM"])] if b"cHRM" in said else []
            places = list(zip(numbers[::2], numbers[1::2], strict=True)) or PRIMARIES[1]
            has_srgb_places = self._is_grey or np.allclose(places, PRIMARIES[1], atol=0.002)
            is_srgb = has_srgb_places and abs(gamma - SRGB_GAMMA) < 0.005
            return None if is_srgb else icc.described(places, 1 / gamma)
        except (icc.ProfileError, struct.error):
            return super().profile

    @property
    def _is_grey(self) -> bool:
        return self.color in (0, 4)

    def decode(self) -> Decoded:
        if self.bits < 16 or self.color == 0:
            return super().decode()
        import cv2

        with decoding(self.name):
            data = self._verified()  # checksums first: OpenCV complains on the screen
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
            if pixels is None or pixels.dtype != np.uint16 or pixels.shape[:2] != self.size[::-1]:
                raise ValueError("the pixels do not decode")
        alpha = np.ascontiguousarray(pixels[..., 3]) if pixels.shape[2] == 4 else None
        return Decoded(np.ascontiguousarray(pixels[..., 0] if self.color == 4 else pixels[..., 2::-1]), alpha)

    def _verified(self) -> bytes:
        from PIL.PngImagePlugin import PngImageFile

        self.file.seek(0)
        data = self.file.read()
        PngImageFile(io.BytesIO(data), "").verify()
        return data
