"""The main path: a photo is read, its small luma goes to a network, and the chroma that comes back is merged.

photo -> small luma -> engine -> small chroma -> (saturation, warmth) -> merged with the full-size luma -> file
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from PIL import Image

from vintage_colorizer import color
from vintage_colorizer.color import Floats, Pixels, eight_bit
from vintage_colorizer.errors import OutputExistsError
from vintage_colorizer.networks.catalog import PHOTO_LOOK, LookSettings
from vintage_colorizer.networks.engines import (
    Engine,
    NetworkInfo,
)
from vintage_colorizer.networks.inference import (
    LITTLE_COLOR,
    LITTLE_COLOR_NOTE,
    Networks,
    settings_of,
    small_luma,
)
from vintage_colorizer.options import MACHINE_FIELDS, ColorOptions, FilmOptions, Look, PhotoOptions
from vintage_colorizer.photos import (
    Disclosure,
    Photo,
    PhotoSource,
    file_status,
    output_format,
    read_photo,
    write_photo,
)

if TYPE_CHECKING:
    from vintage_colorizer.film import FilmFrame, FilmResult, Progress

log = logging.getLogger("vintage_colorizer")

ONE_HUE = 0.995  # share of all chroma within 15 degrees of one hue; 1 in 70 true photos has more


@dataclass(frozen=True)
class Source:
    """Where a photo came from: enough to know it again, and to keep it from being overwritten."""

    identity: str  # size and time of a file, else a hash of the pixels
    path: Path | None = None

    @classmethod
    def of_pixels(cls, pixels: Pixels) -> Source:
        """Describe a picture that has no file."""
        return cls(hashlib.sha256(np.ascontiguousarray(pixels).data).hexdigest())

    @classmethod
    def of_file(cls, path: Path) -> Source:
        """Describe a file without reading it; raises UnreadableError if it is not there."""
        status = file_status(path)
        return cls(f"{status.st_size}:{status.st_mtime_ns}", path)

    def protect(self, target: Path) -> None:
        """Raise OutputExistsError if `target` is this very source."""
        if self.path is not None and os.path.exists(target) and target.samefile(self.path):
            raise OutputExistsError(f"{target} is the source itself, which is never overwritten; choose another name.")


@dataclass(frozen=True)
class ColorizedPhoto:
    """A photo and the chroma proposed for it; pixels are made when asked for.

    `adjust` is instant: the network's answer is kept as it came.
    """

    photo: Photo
    chroma: Floats  # h x w x 2, small, as the network gave it
    luma: Floats  # h x w, of the same size
    options: PhotoOptions
    look: Look
    settings: LookSettings
    network: NetworkInfo
    render_factor: int
    source: Source
    notes: tuple[str, ...]

    @property
    def final_chroma(self) -> Floats:
        """Small chroma after saturation and warmth."""
        saturation = self.options.saturation * self.settings.saturation
        return color.adjust(self.chroma, self.luma, saturation, self.options.warmth)

    @property
    def pixels(self) -> Pixels:
        """The colored picture, H x W x 3 RGB, of the source's own depth."""
        threads = self.options.threads or os.cpu_count() or 1
        return color.merge(self.photo.pixels, self.final_chroma, threads)

    @property
    def image(self) -> Image.Image:
        """The colored picture as an 8-bit RGB Pillow image, without the alpha channel."""
        return Image.fromarray(eight_bit(self.pixels))

    @property
    def strength(self) -> float:
        """Mean chroma of the result, 0 (grey) to about 0.6."""
        return color.strength(self.final_chroma)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Notes from reading and coloring, and what makes the result doubtful."""
        chroma = self.final_chroma
        doubts = []
        if color.strength(chroma) < LITTLE_COLOR:
            doubts.append(LITTLE_COLOR_NOTE)
        elif color.hue_share(chroma) > ONE_HUE:
            doubts.append("one hue covers nearly everything: try another render factor")
        return (*self.photo.notes, *self.notes, *doubts)

    @property
    def fingerprint(self) -> str:
        """What identifies this result: source, network and the options that shape it."""
        return fingerprint(self.source.identity, self.options, self.look, self.settings, self.network)

    def adjust(self, *, saturation: float | None = None, warmth: float | None = None) -> ColorizedPhoto:
        """Return a copy with another saturation or warmth, without asking the network again."""
        given = {"saturation": saturation, "warmth": warmth}
        options = self.options.replace(**{name: value for name, value in given.items() if value is not None})
        return dataclasses.replace(self, options=options)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the picture, atomically; the format is the one asked for in the options, else the name's.

        Raises:
            OutputExistsError: `path` is the source itself.
            OptionError: the format is not known or cannot hold the picture.
            OutputError: it cannot be written.
        """
        target = Path(path)
        self.source.protect(target)
        self.write(target, self.options.format or target.suffix)
        return target

    def write(self, target: Path | BinaryIO, format: str | None = None) -> None:
        """Write the picture to a path or an open binary file.

        Args:
            target: where to.
            format: its name or a suffix, such as png or .png; the source's where that can hold it by default.

        Raises:
            OptionError: the format is not known or cannot hold the picture.
            OutputError: it cannot be written.
        """
        format = output_format(self.photo.format, self.photo.depth, self.photo.alpha is not None, format)
        pixels = self.pixels
        if self.options.mark:
            from vintage_colorizer.sheets import add_mark

            add_mark(pixels)
        write_photo(
            target,
            pixels,
            self.photo,
            format=format,
            quality=self.options.quality,
            strip=self.options.strip,
            disclosure=Disclosure(self.fingerprint, look=self.look, network=self.network.name),
        )


class Colorizer:
    """Colors photos. Networks are loaded once, on first use; safe to call from several threads.

    Args:
        options: the defaults of every call.
        **settings: the same as single values, for example `look="artistic"`, `threads=1`.

    Raises:
        OptionError: a setting is wrong.
    """

    def __init__(self, options: PhotoOptions | None = None, **settings: Any) -> None:
        """Remember the defaults; nothing is loaded yet."""
        self.options = (options or PhotoOptions()).replace(**settings)
        self.networks = Networks()

    def __reduce__(self) -> tuple[type[Colorizer], tuple[PhotoOptions]]:
        """Sent to another process, it loads its networks there."""
        return type(self), (self.options,)

    def photo(self, source: PhotoSource, options: PhotoOptions | None = None, **settings: Any) -> ColorizedPhoto:
        """Color one photo.

        Args:
            source: a path, bytes, a binary file, a Pillow image, or an array (uint8 or uint16,
                H x W or H x W x 3 or 4, RGB).
            options: used instead of this colorizer's own.
            **settings: changes to them for this call, for example `look="artistic"`.

        Raises:
            InputError: the source cannot be read, is not supported or too large.
            OptionError: a setting is wrong.
            EngineError: the network failed; a grey picture is never returned in its place.
        """
        options = (options or self.options).replace(**settings)
        # Before reading, so that a change from now on shows when the file is looked at again.
        origin = Source.of_file(Path(source)) if isinstance(source, (str, os.PathLike)) else None
        with ThreadPoolExecutor(1) as loader:  # the first time, the network is loaded while the photo is decoded
            loading = loader.submit(self.engine, options)
            photo = read_photo(source, max_megapixels=options.max_megapixels)
            loading.result()
        return self.color(photo, options, origin)

    def color(self, photo: Photo, options: PhotoOptions, source: Source | None = None) -> ColorizedPhoto:
        """Color a photo that was read before; see `photo`."""
        engine = self.engine(options)
        look = options.look or PHOTO_LOOK
        settings = settings_of(options, look, engine.info)
        proposal = self.networks.propose(photo.pixels, options, settings)
        return ColorizedPhoto(
            photo=photo,
            chroma=proposal.chroma,
            luma=small_luma(photo.pixels, *proposal.chroma.shape[:2]),
            options=options,
            look=look,
            settings=settings,
            network=engine.info,
            render_factor=proposal.render_factor,
            source=source or Source.of_pixels(photo.pixels),
            notes=proposal.notes,
        )

    def chroma(self, luma: Floats, **settings: Any) -> Floats:
        """Propose chroma for a luma plane.

        Args:
            luma: float32, H x W, 0..1.
            **settings: changes to this colorizer's options for this call.

        Returns:
            (U, V), float32, H x W x 2.
        """
        options = self.options.replace(**settings)
        engine = self.engine(options)
        look_settings = settings_of(options, options.look or PHOTO_LOOK, engine.info)
        chroma = self.networks.propose(luma, options, look_settings).chroma
        saturation = options.saturation * look_settings.saturation
        small = small_luma(luma, *chroma.shape[:2])
        return color.upsample(color.adjust(chroma, small, saturation, options.warmth), *luma.shape)

    def film(
        self,
        source: str | os.PathLike[str],
        target: str | os.PathLike[str],
        options: FilmOptions | None = None,
        *,
        overwrite: bool = False,
        progress: Callable[[Progress], None] | None = None,
        **settings: Any,
    ) -> FilmResult:
        """Color a film, in a process of its own; the same call again goes on where the last one was stopped.

        Args:
            source: the film.
            target: the result: .mp4, .mkv, .mov or .webm.
            options: used instead of this colorizer's own.
            overwrite: replace a target that is something else.
            progress: called a few times a second.
            **settings: changes to the options, for example `stability=0.8`.

        Raises:
            InputError: the source cannot be read, crashes the codec, or is of a kind that is not colored.
            OutputError: the target exists, is being written, or cannot be written; DiskFullError keeps what is done.
            OptionError: a setting is wrong.
            EngineError: the network failed.
        """
        from vintage_colorizer.film_worker import color_in_worker

        report = progress or (lambda now: None)
        film_options = self._film_options(options, settings)
        return color_in_worker(Path(source), Path(target), film_options, overwrite=overwrite, report=report)

    def frames(
        self, source: str | os.PathLike[str], options: FilmOptions | None = None, **settings: Any
    ) -> Iterator[FilmFrame]:
        """Color a film and yield its frames, for programs that do something else with them; see `film`.

        The film is decoded twice: first for its shots and times. This happens in the caller's process.
        """
        from vintage_colorizer.film import film_frames

        return film_frames(Path(source), self.networks, self._film_options(options, settings))

    def _film_options(self, options: FilmOptions | None, settings: dict[str, Any]) -> FilmOptions:
        shared = self.options.model_dump(include=set(ColorOptions.model_fields))
        return (options or FilmOptions.of(**shared)).replace(**settings)

    def engine(self, options: ColorOptions | None = None) -> Engine:
        """Return the engine these options ask for, loading it the first time."""
        return self.networks.engine(options or self.options)


def fingerprint(identity: str, options: PhotoOptions, look: str, settings: LookSettings, network: NetworkInfo) -> str:
    """32 hexadecimal digits that change when the source, the network or an option that shapes the picture does."""
    shaping = options.model_dump(exclude={"look", *MACHINE_FIELDS})
    parts = [identity, look, dataclasses.asdict(settings), network.sha256, shaping]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:32]
