"""What people know of a film's colors, made into the stills of its plan: keyframes, and hints with times."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

import cv2
import numpy as np

from vintage_colorizer import color
from vintage_colorizer.color import Floats, Pixels
from vintage_colorizer.film.scan import Scan
from vintage_colorizer.film.scenes import Frames, grouped_scenes, returning_scenes
from vintage_colorizer.film.shot_list import ListedShot
from vintage_colorizer.film.stills import Guidance, Keyframe, Still
from vintage_colorizer.hints import Hint, as_hints, obeyed
from vintage_colorizer.networks.catalog import LookSettings
from vintage_colorizer.networks.engines import Engine
from vintage_colorizer.networks.inference import Networks, propose_batch
from vintage_colorizer.options import FilmOptions


def stills_of(
    found: Scan,
    networks: Networks,
    options: FilmOptions,
    settings: LookSettings,
    factor: int,
    threads: int,
    listed: Sequence[ListedShot],
) -> tuple[tuple[Still, ...], list[str]]:
    """The stills that guide a film, and notes on the shots they guide; `listed` are its shots and their groups.

    Raises:
        UnreadableError: a keyframe cannot be read.
        OptionError: it has another shape than the film or no color, or a time lies behind the film's end.
    """
    scenes = len(found.shots) > 1 and not options.separate_scenes
    if not options.keyframes and not options.hints and not scenes:
        return (), []
    engine = networks.engine(options)
    frames = Frames(found, engine.info.working_size(*found.source.display_size, factor), threads)
    stills = [_of_keyframe(Keyframe.parse(one), frames) for one in options.keyframes]
    hints = sorted(as_hints(options.hints), key=lambda hint: frames.at(hint.time or 0.0))
    for frame, group in groupby(hints, key=lambda hint: frames.at(hint.time or 0.0)):
        pixels = colored_frame(frames.luma(frame), engine, settings.vividness, list(group))
        stills.append(Still.of(pixels, frame, (frames.shot(frame),), frames.size))
    notes = []
    describer = networks.describer(options)
    if options.recurring and stills:
        guidance = Guidance(stills, found.shots, engine, describer, settings.vividness)
        stills = list(_recurring(stills, guidance, frames))
        notes = [f"what is known of frame {one.frame} guides {len(one.shots)} shots" for one in stills]
    if scenes:
        left = {shot for shot, one in enumerate(listed) if one.leave}
        guided = left | {shot for still in stills for shot in still.shots}
        if options.shots is None:
            returning = list(returning_scenes(frames, describer, guided))
        else:
            returning = list(grouped_scenes(frames, [one.group for one in listed], guided))
        for scene in returning:
            pixels = colored_frame(frames.luma(scene.frame), engine, settings.vividness)
            stills.append(Still.of(pixels, scene.frame, scene.others, frames.size, known=False))
        if returning:
            shots = sum(1 + len(scene.others) for scene in returning)
            notes.append(f"scenes that return: {len(returning)}, in {shots} shots; each has the same colors in all")
    return tuple(stills), notes


def colored_frame(luma: Floats, engine: Engine, vividness: float | None, hints: Sequence[Hint] = ()) -> Pixels:
    """A frame as the network colors it, with the colors of hints."""
    chroma = propose_batch(engine, luma[None], vividness)[0]
    small = np.asarray(cv2.resize(luma, chroma.shape[1::-1], interpolation=cv2.INTER_AREA), np.float32)
    return color.merge(color.eight_bit(luma), obeyed(chroma, small, hints))


def _of_keyframe(keyframe: Keyframe, frames: Frames) -> Still:
    frame = frames.at(keyframe.seconds)
    pixels = keyframe.read(*frames.found.source.display_size)
    return Still.of(pixels, frame, (frames.shot(frame),), frames.size)


def _recurring(stills: list[Still], guidance: Guidance, frames: Frames) -> Iterator[Still]:
    """The stills with all shots of their scenes: those whose middle frame shows it."""
    shots = [set(still.shots) for still in stills]
    for shot, middle in enumerate(frames.middles):
        for place in guidance.shows(frames.luma(middle)):
            shots[place].add(shot)
    for still, guided in zip(stills, shots, strict=True):
        yield replace(still, shots=tuple(sorted(guided)))
