"""Shot lists: what a film's shots are, to be looked at, corrected and given back; see `shot_sheet` for writing them.

A shot taken out of the list belongs to the one before it, one added splits it. Shots of one group get the same colors;
each may have a look of its own, or be left as it is.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

from pydantic import Field

from vintage_colorizer.errors import OptionError
from vintage_colorizer.files import read_errors, readable_name
from vintage_colorizer.networks.catalog import FILM_LOOK
from vintage_colorizer.networks.engines import NetworkInfo
from vintage_colorizer.networks.inference import settings_of
from vintage_colorizer.options import BaseOptions, FilmOptions, Look, Seconds, Vividness


class ListedShot(BaseOptions):
    """A shot as a list has it."""

    start: Seconds = Field(alias="from", ge=0, description="When it begins: seconds, or hours:minutes:seconds.")
    group: int | None = Field(None, description="Shots of one number show one scene, and get the same colors.")
    look: Look | None = Field(None, description="Another look than the film's.")
    vividness: Vividness | None = Field(None, description="Another vividness.")
    saturation: float | None = Field(None, ge=0, le=3, description="Another saturation.")
    leave: bool = Field(False, description="Keep it as it is in the source.")


class ShotList(BaseOptions):
    """A list of shots."""

    film: str = Field("", description="The name of the film; not read.")
    shots: tuple[ListedShot, ...] = Field(min_length=1)


@dataclass(frozen=True)
class Style:
    """How a shot is colored."""

    vividness: float | None
    saturation: float
    stability: float
    leave: bool = False  # it keeps the color that the source has


def read_shots(path: Path) -> tuple[ListedShot, ...]:
    """Read a list of shots.

    Raises:
        InputError: the file cannot be read.
        OptionError: it is no such list; the message says where.
    """
    name = readable_name(path)
    with read_errors(name):
        text = path.read_text(encoding="utf-8-sig")
    try:
        values = json.loads(text)
        if not isinstance(values, dict) or not isinstance(values.get("shots"), list):
            raise TypeError
        shots = [ListedShot.of(**_named(one, number)) for number, one in enumerate(values["shots"], start=1)]
        return ShotList.of(**{**values, "shots": shots}).shots
    except (ValueError, TypeError):
        raise OptionError(f"{name} is no list of shots; let film --shots write one, and edit that.") from None
    except OptionError as error:
        raise OptionError(f"{name}: {error}") from None


def _named(one: object, number: int) -> dict[str, object]:
    """The fields of a shot; OptionError, which names it, if it is none."""
    if not isinstance(one, dict):
        raise OptionError(f"shot {number} is not an object with a time.")
    try:
        ListedShot.of(**one)
    except OptionError as error:
        raise OptionError(f"shot {number}: {error}") from None
    return one


def first_frames(shots: Sequence[ListedShot], starts: Sequence[int], base: Fraction) -> tuple[int, ...]:
    """The first frame of each shot of a film whose frames begin at `starts`, in units of `base` seconds.

    Raises:
        OptionError: they are out of order, or one begins behind the film's end.
    """
    frames = [_nearest(shot.start, starts, base) for shot in shots]
    frames[0] = 0  # whatever comes before belongs to it
    for number, (one, other) in enumerate(pairwise(frames), start=2):
        if other <= one:
            raise OptionError(f"Shot {number} of the list does not begin after the one before it.")
    return tuple(frames)


def _nearest(seconds: float, starts: Sequence[int], base: Fraction) -> int:
    """The frame that begins nearest to a time."""
    time = Fraction(seconds) / base
    after = bisect_left(starts, time)
    if after == len(starts) and seconds > float(starts[-1] * base) + 1:
        raise OptionError(f"A shot of the list begins at {seconds:g} seconds, when the film is over.")
    near = [index for index in (after - 1, after) if 0 <= index < len(starts)]
    return min(near, key=lambda index: abs(starts[index] - time))


def styles_of(shots: Sequence[ListedShot], options: FilmOptions, info: NetworkInfo) -> Iterator[Style]:
    """How each shot is colored.

    Raises:
        OptionError: a shot asks for what the network has not.
    """
    film_look = options.look or FILM_LOOK
    for shot in shots:
        if shot.look not in (None, film_look) and info.network != "compact":
            raise OptionError(f"{info.name} has one look; give single shots another one only with the compact network.")
        wanted = options if shot.vividness is None else options.replace(vividness=shot.vividness)
        settings = settings_of(wanted, shot.look or film_look, info)
        saturation = options.saturation if shot.saturation is None else shot.saturation
        stability = settings.stability if options.stability is None else options.stability
        yield Style(settings.vividness, saturation * settings.saturation, stability, shot.leave)
