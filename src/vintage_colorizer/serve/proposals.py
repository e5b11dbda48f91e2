"""What the network proposed for the photos seen last, so that it need not be asked again when a hint is moved."""

from __future__ import annotations

import dataclasses
import threading
from collections import OrderedDict

import numpy as np

from vintage_colorizer.colorizer import Colorizer
from vintage_colorizer.networks import catalog
from vintage_colorizer.networks.guides import Guide
from vintage_colorizer.options import PhotoOptions
from vintage_colorizer.photo.picture import Origin, Photo
from vintage_colorizer.photo.result import ColorizedPhoto
from vintage_colorizer.serve.limits import Task

VIVIDNESSES = (0.0, 0.25, 0.5, 0.75, 1.0)  # the page interpolates between these
MOST = 32  # photos
AFTERWARDS = {"saturation": 1.0, "warmth": 0.0}  # options that are applied to what was proposed; so are hints
NO_PHOTO = Photo(np.zeros((1, 1), np.uint8))  # in place of the photo, which may be large


class Proposals:
    """Colors photos at all values of vividness, and keeps the small chroma of the last ones."""

    def __init__(self, colorizer: Colorizer) -> None:
        """Color with `colorizer`."""
        self._colorizer = colorizer
        self._kept: OrderedDict[object, list[ColorizedPhoto]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, photo: Photo, options: PhotoOptions, task: Task, guide: Guide | None = None) -> list[ColorizedPhoto]:
        """The photo as the options say, then the same at each vividness, if the network has that; else as it is.

        Raises as `Colorizer.color`, and what `task.check` raises.
        """
        info = self._colorizer.engine(options).info
        told = bool(options.hints) and info.has_hints and info.sha256 not in catalog.TOLD_NO_HINTS
        asked = options if told else options.replace(hints=(), **AFTERWARDS)
        key = (Origin.of_pixels(photo.pixels).identity, asked, guide.identity if guide else "")
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None:
                self._kept.move_to_end(key)
        results = kept or self._made(photo, asked, task, guide)
        with self._lock:
            self._kept[key] = [dataclasses.replace(one, photo=NO_PHOTO) for one in results]
            while len(self._kept) > MOST:
                self._kept.popitem(last=False)
        given = {name: getattr(options, name) for name in ("hints", *AFTERWARDS)}
        return [dataclasses.replace(one, photo=photo, options=one.options.replace(**given)) for one in results]

    def _made(self, photo: Photo, options: PhotoOptions, task: Task, guide: Guide | None) -> list[ColorizedPhoto]:
        first = self._colorizer.color(photo, options, guide)
        settings = options.replace(render_factor=first.render_factor)
        results = [first]
        for vividness in VIVIDNESSES if first.network.has_vividness else (None,):
            task.check()
            results.append(self._colorizer.color(photo, settings.replace(vividness=vividness), guide))
        return results
