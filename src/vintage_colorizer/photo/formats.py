"""Which picture formats are read, how they are told apart, and how a file of each is opened.

A file is known by its first bytes, never by its name, and is opened by the one Pillow class of its
format. Pillow's own pixel limit, a global lower than ours, is kept out of it: `PIL.Image.open` is not used,
and the checks inside its classes are switched off while they run (see `quiet_pillow`).
"""

from __future__ import annotations

import contextlib
import importlib
import threading
import warnings
from collections.abc import Iterator
from typing import IO, TYPE_CHECKING

from vintage_colorizer.color import Pixels
from vintage_colorizer.errors import (
    InputError,
    OptionError,
    OutputError,
    TooLargeError,
    UnreadableError,
    UnsupportedError,
)

if TYPE_CHECKING:
    from PIL import Image
    from PIL.ImageFile import ImageFile


# Depths and transparency a result format holds. All of them hold our disclosure, or they would not be here.
HOLDS = {
    "JPEG": ({8}, False),
    "PNG": ({8, 16}, True),
    "TIFF": ({8, 16, 32}, True),
    "WEBP": ({8}, True),
    "AVIF": ({8}, True),
    "HEIF": ({8}, True),
}
SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "TIFF": ".tif", "WEBP": ".webp", "AVIF": ".avif", "HEIF": ".heic"}
NAMES = {suffix[1:]: format for format, suffix in SUFFIXES.items()} | {
    **dict.fromkeys(("jpeg", "jpe", "jfif"), "JPEG"),
    **{"tiff": "TIFF", "heif": "HEIF"},
}
# Endings of files that are read, but whose format no result has.
READ_ONLY = ("bmp", "dib", "gif", "ppm", "pgm", "pbm", "pnm", "jp2", "j2k", "j2c", "jpc", "jpf", "jpx")
MAX_SIDE = {"JPEG": 65500, "WEBP": 16383, "AVIF": 65536, "HEIF": 65536}

SNIFFED_BYTES = 512
# Plain signatures of the formats that are read, by Pillow's name.
SIGNATURES = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"GIF87a", "GIF"),
    (b"GIF89a", "GIF"),
    (b"BM", "BMP"),
    (b"\0\0\0\x0cjP  ", "JPEG2000"),
    (b"\xff\x4f\xff\x51", "JPEG2000"),
)
# Formats that are never opened: interpreters, layered documents, other sciences.
REFUSED = (
    (b"%!PS", "PostScript (EPS)"),
    (b"\xc5\xd0\xd3\xc6", "PostScript (EPS)"),
    (b"8BPS", "Photoshop (PSD)"),
    (b"%PDF", "PDF"),
    (b"SIMPLE  =", "FITS"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
)
RAW_FILES = (b"FUJIFILMCCD-RAW", b"IIRO", b"IIRS", b"MMOR", b"IIU\0")  # RAF, ORF, RW2
AVIF_BRANDS = (b"avif", b"avis")
HEIF_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
CLASSES = {
    "JPEG": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "PNG": ("PIL.PngImagePlugin", "PngImageFile"),
    "TIFF": ("PIL.TiffImagePlugin", "TiffImageFile"),
    "WEBP": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "GIF": ("PIL.GifImagePlugin", "GifImageFile"),
    "BMP": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "PPM": ("PIL.PpmImagePlugin", "PpmImageFile"),
    "JPEG2000": ("PIL.Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    "AVIF": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "HEIF": ("pillow_heif", "HeifImageFile"),
}
HDR = {16: "PQ", 18: "HLG"}  # by transfer characteristics (ITU-T H.273)
HEADER_SOUGHT = 1 << 16  # bytes; where AVIF and HEIF say their color
_pillow_lock = threading.Lock()


def sniff(head: bytes, name: str) -> str:
    """Pillow's name of the format whose file begins with `head` (its first 512 bytes).

    Raises UnreadableError when it is empty or no picture, UnsupportedError when it is of a format not read.
    """
    if not head:
        raise UnreadableError("is empty (0 bytes): take another copy of the picture.", name)
    if head.startswith(RAW_FILES) or _is_canon_raw(head):
        raise UnsupportedError(raw_message(), name)
    known = _plain_format(head) or _container_format(head, name)
    if known:
        return known
    refused = next((title for signature, title in REFUSED if head.startswith(signature)), None)
    title = refused or ("SVG" if _looks_like_svg(head) else "TGA" if _looks_like_tga(head, name) else None)
    if title:
        raise UnsupportedError(f"is {title}, which is not read: export it as PNG, TIFF or JPEG.", name)
    raise UnreadableError(f"is not a picture{_guess(head)}: check where the file came from.", name)


def refuse_hdr(transfer: int, name: str) -> None:
    """UnsupportedError for a picture whose numbers stand for the light of an HDR screen."""
    if transfer in HDR:
        raise UnsupportedError(
            f"is an HDR picture ({HDR[transfer]}), which is not read: export it as plain sRGB.", name
        )


def transfer_of(file: IO[bytes]) -> int:
    """The transfer characteristics an AVIF or HEIF says (box colr of type nclx, ISO 14496-12); 2 if it does not."""
    file.seek(0)
    head = file.read(HEADER_SOUGHT)
    file.seek(0)
    at = head.find(b"colrnclx")
    return int.from_bytes(head[at + 10 : at + 12], "big") if at >= 0 else 2


def raw_message(kind: str = "") -> str:
    """Why a camera's raw file is refused: what follows its name."""
    return f"is a raw file{kind}, which must be developed first: export it as 16-bit TIFF or as JPEG."


def _is_canon_raw(head: bytes) -> bool:
    """CR2 is a TIFF with two letters behind its signature, CR3 of the container that films have."""
    return (head[:4] == b"II*\0" and head[8:10] == b"CR") or head[4:12] == b"ftypcrx "


def _plain_format(head: bytes) -> str | None:
    if head[:1] == b"P" and head[1:2] in b"123456f" and head[2:3].isspace():
        return "PPM"
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "WEBP"
    return next((title for signature, title in SIGNATURES if head.startswith(signature)), None)


def _container_format(head: bytes, name: str) -> str | None:
    """AVIF, HEIF and films share one container; the brands at its start tell them apart."""
    if head[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(head[:4], "big"), len(head))
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, end, 4))]
    if any(brand in AVIF_BRANDS for brand in brands):
        return "AVIF"
    if any(brand in HEIF_BRANDS for brand in brands):
        return "HEIF"
    raise UnsupportedError("is a film, not a picture.", name)


def _looks_like_svg(head: bytes) -> bool:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return start.startswith(b"<svg") or (start.startswith(b"<?xml") and b"<svg" in start)


def _looks_like_tga(head: bytes, name: str) -> bool:
    """By its name too: a TGA has no signature, and what its header may say is little."""
    named = name.lower().endswith((".tga", ".icb", ".vda", ".vst"))
    return named and len(head) > 18 and head[1] <= 1 and head[2] & 7 in (1, 2, 3) and head[16] in (8, 15, 16, 24, 32)


def _guess(head: bytes) -> str:
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<body")):
        return " (it looks like HTML)"
    if all(byte >= 32 or byte in b"\t\r\n\f" for byte in head):
        return " (it looks like text)"
    return ""


def open_image(file: IO[bytes], format: str, name: str) -> ImageFile:
    """Open `file` with Pillow's class of `format`; only the header is read.

    Raises UnsupportedError when that format needs something that is not installed, UnreadableError when
    the header is damaged.
    """
    module, cls = CLASSES[format]
    try:
        opener = getattr(importlib.import_module(module), cls)
    except ImportError as error:
        raise UnsupportedError(
            'is HEIF (HEIC), which needs an extra: pip install "vintage-colorizer[heif]".', name
        ) from error
    if format in ("AVIF", "HEIF"):
        refuse_hdr(transfer_of(file), name)
    if format == "AVIF":
        _require_avif(name)
    with decoding(name), quiet_pillow():
        # With an empty file name Pillow reads through `file` and never maps it into memory.
        image: ImageFile = opener(file, "")
        if format == "TIFF":  # read (and forget the faults of) what load() would read again
            image.getexif()
        return image


def load(image: Image.Image) -> None:
    """Decode the pixels of a Pillow image, whatever Pillow's own pixel limit."""
    from PIL.TiffImagePlugin import TiffImageFile

    if isinstance(image, TiffImageFile):  # whose memory is checked against that limit when it is allocated
        with quiet_pillow():
            image.load_prepare()
    image.load()


def _require_avif(name: str) -> None:
    from PIL import features

    if not features.check("avif"):
        raise UnsupportedError("is AVIF, which this Pillow cannot read: pip install -U pillow.", name)


@contextlib.contextmanager
def decoding(name: str) -> Iterator[None]:
    """Turn whatever a decoder raises on a damaged file into UnreadableError (or TooLargeError: no memory).

    Decoders fed with damaged files raise nearly any built-in exception, so all are caught; keep the body
    of the `with` down to the decoder's calls.
    """
    try:
        yield
    except InputError:
        raise
    except MemoryError as error:
        raise TooLargeError("needs more memory than there is: shrink the picture first.", name) from error
    except Exception as error:
        reason = " ".join(str(error).split())[:120] or type(error).__name__
        raise UnreadableError(f"is damaged or cut short ({reason}): take another copy.", name) from error


@contextlib.contextmanager
def quiet_pillow() -> Iterator[None]:
    """Silence Pillow's warnings about damaged metadata, which the report gives in our words, and its pixel limit.

    Both belong to the whole process, so keep the body of the `with` short. The lock keeps our own threads
    from mixing them up, and the filter names Pillow's modules only: other code loses no warning of its own.
    """
    from PIL import Image

    with _pillow_lock, warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")
        limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def output_format(source_format: str, depth: int, has_alpha: bool, wanted: str | None = None) -> str:
    """Pillow's name of the format a result gets: the source's where it can hold it, else PNG (deep: TIFF).

    `wanted` is a name or suffix (`jpg`, `.tif`, `PNG`). Raises OptionError when it is unknown, OutputError
    when it cannot hold `depth` bits or the transparency.
    """
    if wanted is None:
        fits = source_format in HOLDS and _holds(source_format, depth, has_alpha)
        return source_format if fits else "PNG" if depth == 8 else "TIFF"
    format = NAMES.get(wanted.lower().lstrip("."))
    if format is None:
        what = f"{wanted!r} is not" if wanted else "A name without a suffix does not say"
        raise OptionError(f"{what} a format of a result: choose jpg, png, tif, webp, avif or heic.")
    if not _holds(format, depth, has_alpha):
        what = f"{depth}-bit pixels" if depth not in HOLDS[format][0] else "transparency"
        raise OutputError(f"{format} cannot hold the {what} of this picture: choose png or tif.")
    return format


def _holds(format: str, depth: int, has_alpha: bool) -> bool:
    depths, alpha = HOLDS[format]
    return depth in depths and (alpha or not has_alpha)


def check(pixels: Pixels, source: Pixels, alpha: Pixels | None, format: str) -> None:
    """Raise OutputError when `format` cannot hold the result, ValueError for pixels unlike the source's."""
    if pixels.dtype != source.dtype or pixels.shape != (*source.shape[:2], 3):
        raise ValueError(f"pixels {pixels.shape} {pixels.dtype} do not fit {source.shape} {source.dtype}")
    if format not in HOLDS or not _holds(format, 8 * pixels.dtype.itemsize, alpha is not None):
        raise OutputError(f"{format} cannot hold this result: choose png or tif.")
    if max(pixels.shape[:2]) > MAX_SIDE.get(format, 2**31):
        raise OutputError(f"{format} holds at most {MAX_SIDE[format]} pixels a side: choose png or tif.")
