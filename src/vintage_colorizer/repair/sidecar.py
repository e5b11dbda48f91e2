"""What a repair replaced, kept beside its result: the source as it was, byte for byte, and the mask.

NAME-repaired.jpg has NAME-repaired.jpg.source.zip, which any program can open.
"""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from PIL import Image

from vintage_colorizer.color import eight_bit
from vintage_colorizer.errors import OutputExistsError, UnreadableError
from vintage_colorizer.files import atomically, file_status
from vintage_colorizer.repair.defects import Mask

ENDING = ".source.zip"
MASK = "mask.png"


def sidecar_of(result: Path) -> Path:
    """Where the sidecar of a result lies."""
    return result.with_name(result.name + ENDING)


def keep(result: Path, source: Path, mask: Mask) -> Path:
    """Write the sidecar of a result; OutputError if it cannot be written."""
    target = sidecar_of(result)
    with atomically(target) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
        archive.write(source, f"source/{source.name}")
        archive.writestr(MASK, mask_picture(mask))
    return target


def undo(result: Path, out: Path | None) -> Path:
    """Write the source that a result was repaired from, byte for byte, and return where.

    Args:
        result: a repaired photo with its sidecar beside it.
        out: a file, or a folder for a file of the source's own name; by default the result's folder.

    Raises:
        UnreadableError: there is no sidecar, or it is damaged.
        OutputExistsError: something else has that name; OutputError if it cannot be written.
    """
    sidecar = sidecar_of(result)
    file_status(sidecar)
    try:
        with zipfile.ZipFile(sidecar) as archive:
            (name,) = (one for one in archive.namelist() if one.startswith("source/"))
            data = archive.read(name)
    except (zipfile.BadZipFile, KeyError, ValueError, EOFError) as error:
        raise UnreadableError("is damaged, so it does not give the source back.", sidecar) from error
    is_file = out is not None and out.suffix != "" and not out.is_dir()
    target = out if out is not None and is_file else (out or result.parent) / Path(name).name
    if target.exists() and target.read_bytes() != data:
        raise OutputExistsError("exists and is something else; choose another name with -o.", target)
    with atomically(target) as file:
        file.write(data)
    return target


def mask_picture(mask: Mask) -> bytes:
    """A mask as a PNG: white where pixels were filled."""
    file = io.BytesIO()
    Image.fromarray(eight_bit(mask.astype("float32"))).save(file, "PNG")
    return file.getvalue()
