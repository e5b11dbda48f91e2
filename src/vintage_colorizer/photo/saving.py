"""What all results of a photo share: how they are saved under a name."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import BinaryIO

from vintage_colorizer.photo.formats import output_format
from vintage_colorizer.photo.picture import Origin, Photo


class Saved(ABC):
    """A result that can be saved."""

    photo: Photo

    @property
    @abstractmethod
    def origin(self) -> Origin:
        """Where the photo came from."""

    @property
    @abstractmethod
    def wanted_format(self) -> str | None:
        """The format asked for in the options, if any is."""

    @abstractmethod
    def encode(self, target: Path | BinaryIO, format: str) -> None:
        """Write the picture in a format that holds it."""

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture, atomically; the format is the one asked for in the options, else the name's.

        Raises:
            OutputExistsError: `path` is the source itself.
            OptionError: the format is not known, or neither the name nor the options say one.
            OutputError: the format cannot hold the picture, or it cannot be written.
        """
        target = Path(path)
        self.origin.protect(target)
        self.write(target, self.wanted_format or target.suffix)
        return target

    def write(self, target: Path | BinaryIO, format: str | None = None) -> None:
        """Write the picture to a path or an open binary file.

        Args:
            target: where to.
            format: its name or a suffix, such as png or .png; the source's where that can hold it by default.

        Raises:
            OptionError: the format is not known.
            OutputError: the format cannot hold the picture, or it cannot be written.
        """
        photo = self.photo
        self.encode(target, output_format(photo.format, photo.depth, photo.alpha is not None, format))
