"""The kinds of JPEG and JPEG 2000, damaged and rare ones among them (see `kinds`).

References: ITU-T T.81 (JPEG); ITU-T T.800, annexes A and I (JPEG 2000).
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import IO, TYPE_CHECKING

import numpy as np
import simplejpeg

from vintage_colorizer.color import Pixels
from vintage_colorizer.errors import UnsupportedError
from vintage_colorizer.photo.formats import decoding, open_image
from vintage_colorizer.photo.kinds import Decoded, Plain, decoded_image, left_aligned, scaled
from vintage_colorizer.photo.metadata import XMP_UUID

if TYPE_CHECKING:
    import av


END_OF_JPEG = b"\xff\xd9"
STRAY_MARKER = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")  # all but restarts and the byte 255 itself
START_OF_SCAN = 0xDA
DAMAGE = ("Corrupt JPEG data", "Premature end")  # how libjpeg's warnings about pixels begin
BLOCK = 8
BLANK = 128  # what the decoder of a JPEG puts where the file has nothing
START_OF_CODESTREAM = b"\xff\x4f\xff\x51"
CODESTREAM_SOUGHT = 1 << 20  # bytes; boxes with metadata may lie before it


# --- JPEG -----------------------------------------------------------------------------------------------


@dataclass
class Jpeg(Plain):
    """A JPEG; one that is damaged or cut short is read as far as it goes, for there is often no other copy."""

    file: IO[bytes]

    def decode(self) -> Decoded:
        with decoding(self.name):
            warning = ""
            if self.image.mode in ("L", "RGB"):
                try:
                    return _with_blank_rows_noted(Decoded(self._pixels()))
                except ValueError as error:  # damage, or a kind of subsampling that only Pillow reads
                    warning = str(error)
            try:
                decoded = _with_blank_rows_noted(decoded_image(self.image))
            except OSError as error:
                return self._as_far_as_it_goes(
                    "the file is " + ("cut short" if "truncated" in str(error) else "damaged")
                )
            if warning.startswith(DAMAGE) and not decoded.notes:
                decoded = replace(decoded, notes=["the file is damaged: parts of it may be wrong"])
            return decoded

    def _pixels(self) -> Pixels:
        """By the same libjpeg-turbo as Pillow, but its warnings of damage are errors here; Pillow drops them."""
        self.file.seek(0)
        colors = "GRAY" if self.image.mode == "L" else "RGB"
        pixels: Pixels = simplejpeg.decode_jpeg(self.file.read(), colorspace=colors, strict=True)
        return pixels[..., 0] if colors == "GRAY" else pixels

    def _as_far_as_it_goes(self, fault: str) -> Decoded:
        self.file.seek(0)
        self.image = open_image(io.BytesIO(_mended(self.file.read())), self.format, self.name)
        decoded = decoded_image(self.image)
        height = len(decoded.pixels)
        missing = height - _last_row(decoded.pixels)
        if 2 * missing > height:
            raise ValueError("more than half of the picture is missing")
        part = f"the last {missing} of its {height} rows are missing" if missing else "parts of it may be wrong"
        return replace(decoded, notes=[*decoded.notes, f"{fault}: {part}"])


def _with_blank_rows_noted(decoded: Decoded) -> Decoded:
    """Decoders say nothing when the pixels of a damaged file are used up too early; they leave the rest blank."""
    height = len(decoded.pixels)
    blank = height - _last_row(decoded.pixels)
    if not BLOCK <= blank < height:
        return decoded
    note = f"the last {blank} of its {height} rows are blank: the file may be damaged"
    return replace(decoded, notes=[*decoded.notes, note])


def _last_row(pixels: Pixels) -> int:
    """The number of rows above those that a decoder of JPEG left blank."""
    if (pixels[-1] != BLANK).any():
        return len(pixels)
    blank = (pixels == BLANK).reshape(len(pixels), -1).all(axis=1)
    return len(pixels) - int(np.argmin(blank[::-1])) if not blank.all() else 0


def _mended(data: bytes) -> bytes:
    """A damaged JPEG with an end, and without what damage made into markers: libjpeg gives up on those.

    A progressive one has markers between its scans, so nothing but the end is added.
    """
    frame = JpegFrame.of(io.BytesIO(data))
    if frame.marker in (0xC0, 0xC1) and frame.scan_at:
        data = data[: frame.scan_at] + STRAY_MARKER.sub(b"\xff\0", data[frame.scan_at :])
    return data + END_OF_JPEG


def _jpeg_frame(data: bytes) -> av.VideoFrame | None:
    import av

    codec = av.CodecContext.create("mjpeg", "r")
    frames = [*codec.decode(av.Packet(data)), *codec.decode(None)]
    return frames[0] if frames else None


@dataclass(frozen=True)
class JpegFrame:
    """How a JPEG is coded: its frame marker (SOF), the bits of a sample, and where the first scan begins."""

    marker: int = 0xC0
    bits: int = 8
    bits_at: int = 0
    scan_at: int = 0  # 0 where the header ends before it

    @classmethod
    def of(cls, file: IO[bytes]) -> JpegFrame:
        """Read the header of a JPEG."""
        found = cls()
        file.seek(2)
        while len(head := file.read(5)) == 5 and head[0] == 0xFF:
            if head[1] in range(0xC0, 0xD0) and head[1] not in (0xC4, 0xC8, 0xCC):  # tables and an extension
                found = cls(head[1], head[4], file.tell() - 1)
            file.seek(int.from_bytes(head[2:4], "big") - 3, os.SEEK_CUR)
            if head[1] == START_OF_SCAN:
                found = replace(found, scan_at=file.tell())
                break
        file.seek(0)
        return found

    @property
    def is_rare(self) -> bool:
        """Whether Pillow cannot decode it: it knows 8 bits, sequential or progressive."""
        return self.bits != 8 or self.marker not in (0xC0, 0xC1, 0xC2, 0xC9, 0xCA)

    def __str__(self) -> str:
        way = {0xC3: ", lossless", 0xC2: ", progressive"}.get(self.marker, "")
        return f"{self.bits} bits{way}"


class RareJpeg(Plain):
    """A JPEG of 12 bits or without loss, which FFmpeg decodes; Pillow reads its header as if it were of 8 bits."""

    def __init__(self, name: str, file: IO[bytes], frame: JpegFrame) -> None:
        self.data, self.frame = file.read(), frame
        header = bytearray(self.data)
        header[frame.bits_at] = 8
        super().__init__(name, "JPEG", open_image(io.BytesIO(header), "JPEG", name))

    @property
    def depth(self) -> int:
        return 8 if self.frame.bits <= 9 else 16  # 9: differences of 8-bit colors

    def decode(self) -> Decoded:
        text = f"is a JPEG of a rare kind ({self.frame}), which is not read: save it as TIFF or PNG."
        refusal = UnsupportedError(text, self.name)
        try:
            frame = _jpeg_frame(self.data)
        except MemoryError:
            raise
        except Exception as error:  # not only FFmpegError: what it cannot do, it says in many ways
            raise refusal from error
        if frame is None or frame.format.name not in ("gray", "gray16le", "bgr24", "rgb24", "rgb48le"):
            raise refusal
        pixels: Pixels = frame.to_ndarray()
        if 8 * pixels.dtype.itemsize != self.depth or pixels.shape[:2] != self.size[::-1]:
            raise refusal
        if frame.format.name == "bgr24":
            pixels = np.ascontiguousarray(pixels[..., ::-1])
        return Decoded(scaled(pixels, left_aligned(self.frame.bits)) if self.depth == 16 else pixels)


# --- JPEG 2000 ------------------------------------------------------------------------------------------


@dataclass
class Jpeg2000(Plain):
    """A JPEG 2000; Pillow would cut deep color to 8 bits, so OpenCV reads that."""

    file: IO[bytes]

    def __post_init__(self) -> None:
        self.file.seek(0)
        boxes = dict(_boxes(self.file.read(CODESTREAM_SOUGHT)))
        profile = boxes.get(b"colr", b"")
        if profile[:1] == b"\2":  # a restricted profile
            self.image.info["icc_profile"] = profile[3:]
        for uuid, body in ((b[:16], b[16:]) for kind, b in boxes.items() if kind.startswith(b"uuid")):
            if uuid == XMP_UUID:
                self.image.info["xmp"] = body

    @property
    def bits(self) -> int:
        """Bits of a sample as stored."""
        self.file.seek(0)
        head = self.file.read(CODESTREAM_SOUGHT)
        at = head.find(START_OF_CODESTREAM)
        return int(head[at + 42] & 127) + 1 if 0 <= at < len(head) - 42 else 8

    @property
    def depth(self) -> int:
        return 16 if self.bits > 8 else 8

    def decode(self) -> Decoded:
        if self.depth == 8:
            return super().decode()
        if self.image.mode == "I;16":
            decoded = super().decode()
            return replace(decoded, pixels=scaled(decoded.pixels, left_aligned(self.bits)))
        import cv2

        with decoding(self.name):
            self.file.seek(0)
            pixels = cv2.imdecode(np.frombuffer(self.file.read(), np.uint8), cv2.IMREAD_UNCHANGED)
            if pixels is None or pixels.dtype != np.uint16 or pixels.shape[:2] != self.size[::-1]:
                raise ValueError("the pixels do not decode")
        pixels = scaled(pixels, 2**self.bits - 1)
        alpha = np.ascontiguousarray(pixels[..., 3]) if pixels.shape[2] == 4 else None
        return Decoded(np.ascontiguousarray(pixels[..., 2::-1]), alpha)


def _boxes(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Kind and content of the boxes of a JPEG 2000 before its codestream, those of its header among them."""
    at = 0
    while at + 8 <= len(data):
        size, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if size < 8 or kind == b"jp2c":
            return
        body = data[at + 8 : at + size]
        if kind == b"jp2h":
            yield from _boxes(body)
        else:
            yield kind + (body[:16] if kind == b"uuid" else b""), body
        at += size
