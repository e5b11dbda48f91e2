"""What people know of a film's colors, made into the stills of its plan: keyframes, and hints with times."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from itertools import groupby

import cv2
import numpy as np

from vintage_colorizer import color
from vintage_colorizer.color import Floats
from vintage_colorizer.errors import OptionError
from vintage_colorizer.film.planes import shrink_luma
from vintage_colorizer.film.reader import FrameReader
from vintage_colorizer.film.scan import Scan
from vintage_colorizer.film.stills import Guidance, Keyframe, Still
from vintage_colorizer.hints import as_hints, obeyed
from vintage_colorizer.networks.catalog import LookSettings
from vintage_colorizer.networks.inference import Networks, propose_batch
from vintage_colorizer.options import FilmOptions


def stills_of(
    found: Scan, networks: Networks, options: FilmOptions, settings: LookSettings, factor: int, threads: int
) -> tuple[tuple[Still, ...], list[str]]:
    """The stills that guide a film, and notes on the shots they guide.

    Raises:
        UnreadableError: a keyframe cannot be read.
        OptionError: it has another shape than the film or no color, or a time lies behind the film's end.
    """
    if not options.keyframes and not options.hints:
        return (), []
    engine = networks.engine(options)
    frames = _Frames(found, engine.info.working_size(*found.source.display_size, factor), threads)
    stills = [_of_keyframe(Keyframe.parse(one), frames) for one in options.keyframes]
    hints = sorted(as_hints(options.hints), key=lambda hint: frames.at(hint.time or 0.0))
    for frame, group in groupby(hints, key=lambda hint: frames.at(hint.time or 0.0)):
        luma = frames.luma(frame)
        chroma = propose_batch(engine, luma[None], settings.vividness)[0]
        small = np.asarray(cv2.resize(luma, chroma.shape[1::-1], interpolation=cv2.INTER_AREA), np.float32)
        pixels = color.merge(color.eight_bit(luma), obeyed(chroma, small, list(group)))
        stills.append(Still.of(pixels, frame, (frames.shot(frame),), frames.size))
    notes = []
    if options.recurring:
        guidance = Guidance(stills, found.shots, engine, networks.describer(options), settings.vividness)
        stills = list(_recurring(stills, guidance, frames))
        notes = [f"what is known of frame {one.frame} guides {len(one.shots)} shots" for one in stills]
    return tuple(stills), notes


class _Frames:
    """The frames of a film that was scanned, as the network sees them."""

    def __init__(self, found: Scan, size: tuple[int, int], threads: int) -> None:
        self.found, self.size = found, size
        self._reader = FrameReader(found, threads)

    def at(self, seconds: float) -> int:
        """The index of the frame shown at a time; OptionError behind the film's end."""
        found = self.found
        base = Fraction(*found.source.time_base)
        if seconds >= float((found.starts[-1] + found.durations[-1]) * base):
            raise OptionError(f"At {seconds:g} seconds the film is over, so nothing can be said of that time.")
        return max(0, bisect_right(found.starts, seconds / base) - 1)

    def shot(self, frame: int) -> int:
        """The place of a frame's shot in the list of all."""
        return bisect_right(self.found.shots, frame) - 1

    def luma(self, frame: int) -> Floats:
        """The small luma of a frame."""
        source = self.found.source
        _, plane = next(self._reader.read(frame, frame + 1))
        return shrink_luma(plane, source.coding, source.orientation, *self.size)


def _of_keyframe(keyframe: Keyframe, frames: _Frames) -> Still:
    frame = frames.at(keyframe.seconds)
    pixels = keyframe.read(*frames.found.source.display_size)
    return Still.of(pixels, frame, (frames.shot(frame),), frames.size)


def _recurring(stills: list[Still], guidance: Guidance, frames: _Frames) -> Iterator[Still]:
    """The stills with all shots of their scenes: those whose middle frame shows it."""
    shots = [set(still.shots) for still in stills]
    starts = frames.found.shots
    ends = [*starts[1:], len(frames.found.starts)]
    for shot, (start, end) in enumerate(zip(starts, ends, strict=True)):
        for place in guidance.shows(frames.luma((start + end) // 2)):
            shots[place].add(shot)
    for still, guided in zip(stills, shots, strict=True):
        yield replace(still, shots=tuple(sorted(guided)))
