"""The main path: a photo is read, its small luma goes to a network, and the chroma that comes back is merged.

photo -> (turn, crop, repair) -> small luma -> engine -> small chroma -> (saturation, warmth) -> merged -> file
"""

from __future__ import annotations

import dataclasses
import logging
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Unpack

from vintage_colorizer import color
from vintage_colorizer.color import Floats
from vintage_colorizer.files import readable_name
from vintage_colorizer.hints import as_hints, obeyed
from vintage_colorizer.keywords import FilmKeywords, PhotoKeywords, RepairKeywords
from vintage_colorizer.networks.catalog import PHOTO_LOOK
from vintage_colorizer.networks.engines import Engine
from vintage_colorizer.networks.guides import Guide
from vintage_colorizer.networks.inference import Networks, settings_of, small_luma
from vintage_colorizer.networks.repair import RepairNetworks
from vintage_colorizer.networks.suggestions import Likely, Place
from vintage_colorizer.options import (
    ColorOptions,
    FilmOptions,
    PhotoOptions,
    RepairOptions,
)
from vintage_colorizer.photo.picture import Origin, Photo
from vintage_colorizer.photo.reading import PhotoSource, placed, read_photo
from vintage_colorizer.photo.result import ColorizedPhoto

if TYPE_CHECKING:
    from vintage_colorizer.film.coloring import FilmFrame
    from vintage_colorizer.film.job import FilmResult
    from vintage_colorizer.film.progress import Progress
    from vintage_colorizer.repair.repairing import RepairedPhoto


log = logging.getLogger("vintage_colorizer")
MOST_GUIDES = 16  # references that are remembered
LITTLE_ALIKE = 0.01  # share of a picture below which a reference is not followed at all


class Colorizer:
    """Colors photos. Networks are loaded once, on first use; safe to call from several threads.

    Args:
        options: the defaults of every call.
        **settings: the same as single values, for example `look="artistic"`, `threads=1`.

    Raises:
        OptionError: a setting is wrong.
    """

    def __init__(self, options: PhotoOptions | None = None, **settings: Unpack[PhotoKeywords]) -> None:
        """Remember the defaults; nothing is loaded yet."""
        self.options = (options or PhotoOptions()).replace(**settings)
        self.networks = Networks()
        self.repair_networks = RepairNetworks(self.options.threads)
        self._guides: OrderedDict[object, Guide] = OrderedDict()
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type[Colorizer], tuple[PhotoOptions]]:
        """Sent to another process, it loads its networks there."""
        return type(self), (self.options,)

    def photo(
        self, source: PhotoSource, options: PhotoOptions | None = None, **settings: Unpack[PhotoKeywords]
    ) -> ColorizedPhoto:
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
        with ThreadPoolExecutor(1) as loader:  # the first time, the network is loaded while the photo is decoded
            loading = loader.submit(self.engine, options)
            photo = self.read(source, options)
            loading.result()
        return self.color(photo, options)

    def read(self, source: PhotoSource, options: PhotoOptions) -> Photo:
        """Read a photo as it is to be colored: turned, cropped and repaired as the options say; raises as `photo`."""
        return self.prepared(read_photo(source, max_megapixels=options.max_megapixels), options)

    def prepared(self, photo: Photo, options: PhotoOptions, marks: Photo | None = None) -> Photo:
        """A photo that was read before, turned, cropped and repaired, by `marks` if given, as the options say."""
        if not options.repair:
            return placed(photo, options.rotate, options.crop)
        repairs = RepairOptions(only=options.repair, rotate=options.rotate, crop=options.crop)
        return self.repaired(photo, repairs, marks).photo

    def color(self, photo: Photo, options: PhotoOptions, guide: Guide | None = None) -> ColorizedPhoto:
        """Color a photo that was read before; see `photo`. It follows `guide`, or else the reference of the options."""
        engine = self.engine(options)
        look = options.look or PHOTO_LOOK
        settings = settings_of(options, look, engine.info)
        proposal = self.networks.propose(photo.pixels, options, settings, as_hints(options.hints))
        chroma, notes = proposal.chroma, proposal.notes
        if options.reference is not None and guide is None:
            guide = self.guide(options)
        if guide is not None:
            chroma, note = self._guided(photo, chroma, guide, options)
            notes = (*notes, note)
        return ColorizedPhoto(
            photo=photo,
            chroma=chroma,
            luma=small_luma(photo.pixels, *chroma.shape[:2]),
            options=options,
            look=look,
            settings=settings,
            network=engine.info,
            render_factor=proposal.render_factor,
            notes=notes,
            reference=guide.identity if guide else "",
            entropy=proposal.entropy,
        )

    def guide(self, options: PhotoOptions) -> Guide:
        """What the reference of the options teaches; it is looked at once.

        Raises:
            InputError: the reference cannot be read.
            OptionError: it has no color.
        """
        assert options.reference is not None
        path = Path(options.reference)
        identity = Origin.of_file(path).identity
        return self.guide_of(path, options, identity=identity, name=readable_name(path))

    def guide_of(self, source: PhotoSource, options: PhotoOptions, *, identity: str, name: str = "picture") -> Guide:
        """What a picture in color teaches; see `guide`. It is looked at once for each `identity`."""
        settings = settings_of(options, options.look or PHOTO_LOOK, self.engine(options).info)
        key = (name, identity, self.engine(options).info.sha256, settings, options.render_factor)
        with self._lock:
            guide = self._guides.get(key)
        if guide is None:  # made outside of the lock, so that nobody with another reference waits
            photo = read_photo(source, max_megapixels=options.max_megapixels)
            guide = self.networks.guide(photo.pixels, options, settings, name)
            guide = dataclasses.replace(guide, identity=identity)
        with self._lock:
            self._guides[key] = guide
            self._guides.move_to_end(key)
            while len(self._guides) > MOST_GUIDES:
                self._guides.popitem(last=False)
        return guide

    def _guided(self, photo: Photo, chroma: Floats, guide: Guide, options: PhotoOptions) -> tuple[Floats, str]:
        """Chroma that follows the reference, and a note on how much of the picture does."""
        followed, share = guide.followed(chroma, self.networks.describe(photo.pixels, options))
        if share < LITTLE_ALIKE:
            return chroma, "the reference shows something else, so it was not followed"
        return followed, f"the reference was followed in {share:.0%} of the picture"

    def repair(
        self, source: PhotoSource, options: RepairOptions | None = None, **settings: Unpack[RepairKeywords]
    ) -> RepairedPhoto:
        """Repair one photo without coloring it: undo fading, fill scratches and dust.

        Args:
            source: a photo, as for `photo`.
            options: which repairs, and how the result is written.
            **settings: changes to them, for example `only="dust"`.

        Raises:
            InputError: the source cannot be read, is not supported or too large.
            OptionError: a setting is wrong.
            WeightsError, EngineError: a network is damaged, or failed.
        """
        options = (options or RepairOptions()).replace(**settings)
        return self.repaired(read_photo(source, max_megapixels=options.max_megapixels), options)

    def repaired(self, photo: Photo, options: RepairOptions, marks: Photo | None = None) -> RepairedPhoto:
        """Repair a photo that was read before; see `repair`. `marks` are used instead of the options' own."""
        from vintage_colorizer.repair.repairing import repair

        threads = options.threads or self.options.threads
        networks = self.repair_networks if threads == self.options.threads else RepairNetworks(threads)
        return repair(placed(photo, options.rotate, options.crop), networks, options, marks)

    def suggest(
        self,
        source: PhotoSource,
        x: float | None = None,
        y: float | None = None,
        **settings: Unpack[PhotoKeywords],
    ) -> list[Place]:
        """Say which colors are likely at a place; without one, at the places where a hint would help most.

        Args:
            source: a photo, as for `photo`.
            x: of the place, from left (0) to right (1).
            y: from top (0) to bottom (1).
            **settings: changes to this colorizer's options; hints among them are taken into account.

        Raises:
            InputError: the source cannot be read, is not supported or too large.
            OptionError: a setting or the place is wrong, or the network does not say how likely colors are.
            EngineError: the network failed.
        """
        options = self.options.replace(**settings)
        return self.likely(self.read(source, options), options).places(x, y)

    def certainty(self, source: PhotoSource, **settings: Unpack[PhotoKeywords]) -> Floats:
        """Say how sure the network is of the color of each part of a photo.

        Args:
            source: a photo, as for `photo`.
            **settings: changes to this colorizer's options; hints among them are taken into account.

        Returns:
            A small map of the picture, h x w, 0..1: of places that stand at 0.8, 80 % are within CIEDE2000 10 of the
            truth, measured on photos of today. Enlarge it to lay it over the photo.

        Raises:
            InputError: the source cannot be read, is not supported or too large.
            OptionError: a setting is wrong, or the network does not say how likely colors are.
            EngineError: the network failed.
        """
        options = self.options.replace(**settings)
        return self.likely(self.read(source, options), options).certainty

    def likely(self, photo: Photo, options: PhotoOptions) -> Likely:
        """What the network holds likely all over a photo that was read before; see `suggest`."""
        engine = self.engine(options)
        settings = settings_of(options, options.look or PHOTO_LOOK, engine.info)
        wanted = options.render_factor or settings.render_factor
        factor = settings.render_factor if wanted == "auto" else wanted
        size = engine.info.working_size(photo.pixels.shape[0], photo.pixels.shape[1], factor)
        return Likely.of(engine, small_luma(photo.pixels, *size), as_hints(options.hints))

    def at_render_factors(
        self, photo: Photo, factors: Sequence[str], options: PhotoOptions, guide: Guide | None = None
    ) -> list[ColorizedPhoto]:
        """Color a photo at several render factors, each a number or `auto`, for a contact sheet.

        Raises:
            OptionError: a factor is wrong.
            EngineError: the network failed.
        """
        return [self.color(photo, options.replace(render_factor=factor.strip()), guide) for factor in factors]

    def chroma(self, luma: Floats, **settings: Unpack[PhotoKeywords]) -> Floats:
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
        hints = as_hints(options.hints)
        chroma = self.networks.propose(luma, options, look_settings, hints).chroma
        saturation = options.saturation * look_settings.saturation
        small = small_luma(luma, *chroma.shape[:2])
        adjusted = color.adjust(chroma, small, saturation, options.warmth)
        return color.upsample(obeyed(adjusted, small, hints), *luma.shape)

    def film(
        self,
        source: str | os.PathLike[str],
        target: str | os.PathLike[str],
        options: FilmOptions | None = None,
        *,
        overwrite: bool = False,
        progress: Callable[[Progress], None] | None = None,
        **settings: Unpack[FilmKeywords],
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
        from vintage_colorizer.film.process import color_in_worker

        report = progress or (lambda now: None)
        film_options = self._film_options(options, settings)
        return color_in_worker(Path(source), Path(target), film_options, overwrite=overwrite, report=report)

    def frames(
        self, source: str | os.PathLike[str], options: FilmOptions | None = None, **settings: Unpack[FilmKeywords]
    ) -> Iterator[FilmFrame]:
        """Color a film and yield its frames, for programs that do something else with them; see `film`.

        The film is decoded twice: first for its shots and times. This happens in the caller's process.
        """
        from vintage_colorizer.film.coloring import film_frames

        return film_frames(Path(source), self.networks, self._film_options(options, settings))

    def _film_options(self, options: FilmOptions | None, settings: FilmKeywords) -> FilmOptions:
        return (options or FilmOptions.of(**self.options.part(ColorOptions))).replace(**settings)

    def engine(self, options: ColorOptions | None = None) -> Engine:
        """Return the engine these options ask for, loading it the first time."""
        return self.networks.engine(options or self.options)
