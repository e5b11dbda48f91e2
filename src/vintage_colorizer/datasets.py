"""Where sets of photos come from: a folder, tar shards or a Hugging Face data set."""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, Protocol

from vintage_colorizer.errors import InputError, MissingError, UnreadableError

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff"}


class Source(Protocol):
    """Encoded photos by number."""

    def __len__(self) -> int:
        """How many there are."""

    def read(self, number: int) -> bytes:
        """The encoded bytes of one."""

    def label(self, number: int) -> str:
        """What to call it in messages."""


class Folder:
    """All pictures under a folder, at any depth (ImageNet's layout as it is), in the order of their paths."""

    def __init__(self, root: Path) -> None:
        """List `root`."""
        self.paths = sorted(path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())

    def __len__(self) -> int:
        """How many pictures the folder holds."""
        return len(self.paths)

    def read(self, number: int) -> bytes:
        """The file's bytes."""
        return self.paths[number].read_bytes()

    def label(self, number: int) -> str:
        """The file's path."""
        return str(self.paths[number])


class Shards:
    """Pictures in tar files: indexed once, then read by offset."""

    def __init__(self, tars: Sequence[Path]) -> None:
        """Index the members of `tars`."""
        self.members: list[tuple[Path, str, int, int]] = []
        for tar in tars:
            try:
                with tarfile.open(tar, "r:") as archive:
                    self.members += [
                        (tar, entry.name, entry.offset_data, entry.size)
                        for entry in archive
                        if entry.isfile() and Path(entry.name).suffix.lower() in SUFFIXES
                    ]
            except (OSError, tarfile.TarError) as error:
                raise UnreadableError(f"{tar} is not an uncompressed tar file, or is damaged: {error}.") from None

    def __len__(self) -> int:
        """How many pictures the shards hold."""
        return len(self.members)

    def read(self, number: int) -> bytes:
        """The member's bytes."""
        tar, _, offset, size = self.members[number]
        with tar.open("rb") as file:
            file.seek(offset)
            return file.read(size)

    def label(self, number: int) -> str:
        """The shard and the member's name."""
        tar, name, _, _ = self.members[number]
        return f"{tar}:{name}"


class HuggingFace:
    """A data set of the Hugging Face hub with an `image` column: `hf:NAME` or `hf:NAME:SPLIT`."""

    def __init__(self, name: str) -> None:
        """Load, or fetch, the data set."""
        try:
            datasets = import_module("datasets")
        except ImportError:
            raise MissingError(f"hf:{name} needs the package datasets: pip install datasets.") from None
        set_name, _, split = name.partition(":")
        rows = datasets.load_dataset(set_name, split=split or "train")
        if "image" not in rows.column_names:
            raise InputError(f"hf:{name} has no column 'image'; its columns are {', '.join(rows.column_names)}.")
        self.name = name
        self.rows = rows.cast_column("image", datasets.Image(decode=False))

    def __len__(self) -> int:
        """How many rows the data set holds."""
        return len(self.rows)

    def read(self, number: int) -> bytes:
        """The row's encoded picture."""
        image: dict[str, Any] = self.rows[number]["image"]
        encoded: bytes = image["bytes"] or Path(image["path"]).read_bytes()
        return encoded

    def label(self, number: int) -> str:
        """The data set and the row."""
        return f"hf:{self.name} row {number}"


def open_source(data: str | Path) -> Source:
    """Photos at `data`: a folder of pictures or of tar shards, a tar file, a pattern of them, or hf:NAME.

    InputError if there is nothing.
    """
    text = str(data)
    source: Source
    if text.startswith("hf:"):
        source = HuggingFace(text[3:])
    else:
        path = Path(text)
        tars = sorted(path.glob("*.tar")) if path.is_dir() else [path] if path.suffix == ".tar" else []
        if not path.exists():
            tars = sorted(path.parent.glob(path.name))
        source = Shards(tars) if tars else Folder(path)
    if not len(source):
        raise InputError(f"{data} holds no pictures; give a folder of photos, tar shards or hf:NAME.")
    return source
