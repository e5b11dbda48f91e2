"""The settings of a job, validated here and nowhere else.

Command line, Python API, HTTP API and web page all read these classes: names, ranges, defaults
and help texts come from the fields. What shapes a picture is in `...Settings`, which anybody may choose who can
reach the server; `...Options` add where and how a network runs, which is for the owner of the machine.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError

from vintage_colorizer.clock import as_seconds
from vintage_colorizer.errors import OptionError
from vintage_colorizer.hints import as_hints, require_times

Look = Literal["artistic", "stable", "video"]
Network = Literal["compact", "deoldify"]
RenderFactor = Annotated[int, Field(ge=7, le=64)]
Vividness = Annotated[float, Field(ge=0, le=1)]
EngineName = Literal["auto", "onnx", "torch"]
Device = Literal["auto", "cpu", "cuda", "mps"]
Repair = Literal["fade", "scratches", "dust"]
PhotoFormat = Literal["jpeg", "png", "tiff", "webp", "avif", "heif"]
Codec = Literal["h264", "h265", "vp9", "av1", "ffv1", "prores", "dnxhr"]
Preset = Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"]

LOOKS: dict[Look, str] = {
    "artistic": "vivid and detailed",
    "stable": "few mistakes: portraits and landscapes",
    "video": "calm, made for films",
}
FilmRepair = Literal["dust", "scratches", "flicker"]
REPAIRS: tuple[Repair, ...] = get_args(Repair)
FILM_REPAIRS: tuple[FilmRepair, ...] = get_args(FilmRepair)
MAX_MEGAPIXELS = 300.0  # of a picture, unless told otherwise

Options = TypeVar("Options", bound="BaseOptions")
Element = TypeVar("Element")


def _split(values: Any) -> Any:
    """Values given one by one, or several in one text with commas between them."""
    given = (values,) if isinstance(values, str) else values
    return tuple(part for one in given for part in (one.split(",") if isinstance(one, str) else (one,)))


def _of(known: Sequence[str]) -> BeforeValidator:
    """Values of a few that are known, given as `_split` takes them, or all of them as `all`; each once, in order."""

    def chosen(values: Any) -> Any:
        given = _split(values)
        return tuple(known) if "all" in given else tuple(sorted(set(given), key=[*known, *given].index))

    return BeforeValidator(chosen)


Seconds = Annotated[float, BeforeValidator(as_seconds)]
Several = Annotated[tuple[Element, ...], BeforeValidator(_split)]


class BaseOptions(BaseModel):
    """What all groups of options share: they are immutable, and unknown names are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)

    @classmethod
    def of(cls: type[Options], **values: Any) -> Options:
        """Build the options from plain values.

        Raises:
            OptionError: a value is out of range or an option is unknown; the message names it.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            raise OptionError(error.errors()[0]["msg"]) from None

    def replace(self: Options, **changes: Any) -> Options:
        """Return a copy with some values changed, validated like new ones."""
        return self.of(**{**self.model_dump(), **changes}) if changes else self

    def part(self, group: type[BaseOptions]) -> dict[str, Any]:
        """The values of the fields that `group` has."""
        return self.model_dump(include=set(group.model_fields))

    @model_validator(mode="wrap")
    @classmethod
    def _say_in_one_sentence(cls, values: Any, validate: Any) -> Any:
        """Whoever validates, FastAPI too, hears of one problem, in our words."""
        try:
            return validate(values)
        except ValidationError as error:
            raise PydanticCustomError("option", "{sentence}", {"sentence": _sentence(cls, error)}) from None


class ColorSettings(BaseOptions):
    """What color is wanted, for photos and films alike."""

    look: Look | None = Field(
        None,
        description=", ".join(f"{look} ({about})" for look, about in LOOKS.items())
        + "; photos are stable and films video unless you say so.",
        examples=["artistic"],
    )
    network: Network = Field(
        "compact",
        description="Which network proposes the color: compact is embedded, deoldify needs weights (see weights).",
    )
    render_factor: RenderFactor | Literal["auto"] | None = Field(
        None,
        description="Size at which the network sees the scene, in steps of 16 pixels: 7 to 64, or auto. "
        "Not a quality setting; try a few.",
        examples=[20],
    )
    vividness: Vividness | None = Field(
        None, description="From cautious (0) to bold (1) colors, instead of the look's own.", examples=[0.6]
    )
    saturation: float = Field(1.0, ge=0, le=3, description="Multiply the color: 0 is grey, 1 as it is.", examples=[1.2])
    warmth: float = Field(
        0.0, ge=-1, le=1, description="Shift mid-tones toward blue (-1) or orange (1).", examples=[0.1]
    )


def _hints(values: Any) -> tuple[str, ...]:
    """Hints given as objects or text, each in its one form as text."""
    try:
        return tuple(str(hint) for hint in as_hints(values))
    except OptionError as error:
        raise PydanticCustomError("hint", "{sentence}", {"sentence": str(error)}) from None


Repairs = Annotated[tuple[Repair, ...], _of(REPAIRS)]
FilmRepairs = Annotated[tuple[FilmRepair, ...], _of(FILM_REPAIRS)]


def _part(values: Any) -> str | None:
    """A part of a picture in its one form as text; None for all of it."""
    if values is None:
        return None
    try:
        given = values.split(",") if isinstance(values, str) else values
        left, top, right, bottom = (float(one) for one in given)
        if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
            raise ValueError
    except (TypeError, ValueError):
        text = f"crop cannot be {values!r}: give LEFT,TOP,RIGHT,BOTTOM from 0 to 1, such as 0.1,0,0.9,0.75."
        raise PydanticCustomError("part", "{sentence}", {"sentence": text}) from None
    return None if (left, top, right, bottom) == (0, 0, 1, 1) else f"{left:g},{top:g},{right:g},{bottom:g}"


class SavedSettings(BaseOptions):
    """How the result of a photo is written."""

    format: PhotoFormat | None = Field(None, description="Format of the result; the source's by default.")
    quality: int | None = Field(
        None,
        ge=1,
        le=100,
        description="JPEG, WebP or AVIF quality; by default 95 or as fine as the source's.",
        examples=[90],
    )
    strip: bool = Field(False, description="Leave out the source's metadata (EXIF, GPS, XMP).")


def _check_times(hints: Sequence[str], *, wanted: bool) -> None:
    try:
        require_times(as_hints(hints), wanted=wanted)
    except OptionError as error:
        raise PydanticCustomError("hint", "{sentence}", {"sentence": str(error)}) from None


class PlacedSettings(BaseOptions):
    """Which way up a photo is taken, and how much of it."""

    rotate: int = Field(
        0, ge=0, le=270, multiple_of=90, description="Turn the photo clockwise by so many degrees before anything else."
    )
    crop: Annotated[str | None, BeforeValidator(_part)] = Field(
        None,
        description="Take only this part of the turned photo: LEFT,TOP,RIGHT,BOTTOM, each from 0 to 1.",
        examples=["0.1,0,0.9,0.75"],
    )


class PhotoSettings(ColorSettings, PlacedSettings, SavedSettings):
    """What a photo needs besides."""

    hints: Annotated[tuple[str, ...], BeforeValidator(_hints)] = Field(
        (),
        description="A color you know, at a place from 0,0 (top left) to 1,1, with a radius if it is large: "
        "0.42,0.63=navy or 0.1,0.9,0.05=#804020; none for what has no color. May be repeated.",
        examples=[["0.42,0.63=navy"]],
    )
    repair: Repairs = Field(
        (),
        description="Repair the photo before it is colored: fade, scratches, dust, several with commas, or all.",
        examples=["fade,scratches"],
    )
    mark: bool = Field(False, description="Add a small visible mark that says the color is not original.")

    @model_validator(mode="after")
    def _hints_have_no_times(self) -> PhotoSettings:
        _check_times(self.hints, wanted=False)
        return self


class RepairSettings(PlacedSettings, SavedSettings):
    """How a photo is repaired."""

    only: Repairs = Field(
        REPAIRS, description="Only repair these: fade, scratches, dust; all by default.", examples=["fade,scratches"]
    )


class FilmSettings(ColorSettings):
    """What a film needs besides."""

    hints: Annotated[tuple[str, ...], BeforeValidator(_hints)] = Field(
        (),
        description="A color you know, at a place and a time: 0.42,0.63@0:12=navy. It holds for that shot; see photos.",
        examples=[["0.42,0.63@0:12=navy"]],
    )

    codec: Codec | None = Field(
        None, description="Codec of the result: h264 (vp9 for .webm) unless you say so; ffv1 is lossless."
    )
    crf: int | None = Field(
        None, ge=0, le=63, description="Quality of the encoder: lower is better and larger; 18 for h264 by default."
    )
    preset: Preset | None = Field(None, description="Speed of the h264 or h265 encoder against the size of its files.")
    stability: float | None = Field(
        None, ge=0, le=1, description="How much color is calmed over time, from not at all (0) to most (1)."
    )
    repair: FilmRepairs = Field(
        (),
        description="Repair the film, which changes its luma: dust, scratches, flicker, with commas, or all.",
        examples=["dust,flicker"],
    )
    field_rate: bool = Field(
        False, description="Make a frame of each field of an interlaced film, at twice the rate, instead of each pair."
    )
    keep_interlaced: bool = Field(
        False, description="Keep the fields of an interlaced film as they are: each is colored by itself."
    )
    no_resume: bool = Field(False, description="Start over instead of going on with what an earlier run left.")
    preview: float | None = Field(
        None, gt=0, description="Only color this many seconds, side by side with the source, into NAME-preview."
    )
    start: Seconds | None = Field(
        None,
        alias="from",
        ge=0,
        description="Leave out what comes before: seconds, or hours:minutes:seconds.",
        examples=["1:30"],
    )
    stop: Seconds | None = Field(
        None,
        alias="to",
        gt=0,
        description="Leave out what comes after; of a part, NAME-part is made.",
        examples=["2:00"],
    )
    separate_scenes: bool = Field(
        False, description="Color each shot by itself, also where a scene returns that was shown before."
    )
    recolor: bool = Field(
        False, description="Color shots too that are in color already; among grey ones they are kept as they are."
    )
    tone_map: bool = Field(
        False, description="Bring an HDR film to the range of ordinary screens; without this, it is refused."
    )
    rate: float | None = Field(
        None, gt=0, le=1000, description="Frames a second of numbered frames, such as reel_%04d.dpx.", examples=[18]
    )
    side_by_side: bool = Field(False, description="Show the source beside the color in the whole film.")

    @model_validator(mode="after")
    def _hints_have_times(self) -> FilmSettings:
        _check_times(self.hints, wanted=True)
        return self

    @model_validator(mode="after")
    def _has_length(self) -> FilmSettings:
        if self.stop is not None and self.stop <= (self.start or 0):
            raise PydanticCustomError("part", "{sentence}", {"sentence": "The part ends before it begins."})
        return self

    @property
    def is_part(self) -> bool:
        """Whether only a part of the film is wanted, and no preview."""
        return self.preview is None and (self.start is not None or self.stop is not None)

    @property
    def shows_both(self) -> bool:
        """Whether the result shows the source beside the color."""
        return self.side_by_side or self.preview is not None

    @property
    def end(self) -> float | None:
        """The second of the film after which nothing matters; None for all of it."""
        ends = [] if self.stop is None else [self.stop]
        if self.preview is not None:
            ends.append((self.start or 0) + self.preview)
        return min(ends, default=None)


class MachineOptions(BaseOptions):
    """Where and how a network runs."""

    weights: str | None = Field(None, description="Use this ONNX network file instead of one by name.")
    engine: EngineName = Field("auto", description="What runs the network.")
    device: Device = Field("auto", description="Where the network runs.")
    threads: int | None = Field(None, ge=1, le=1024, description="Processor threads to use; all by default.")


class ColorOptions(ColorSettings, MachineOptions):
    """How the color is made, for photos and films alike."""


class PhotoOptions(PhotoSettings, ColorOptions):
    """All there is to say of how a photo is colored."""

    reference: str | None = Field(
        None,
        min_length=1,
        description="A picture in color of the same scene, person or series, whose colors are followed.",
    )
    max_megapixels: float = Field(MAX_MEGAPIXELS, gt=0, le=10_000, description="Refuse larger pictures.")


class RepairOptions(RepairSettings):
    """All there is to say of how a photo is repaired."""

    marks: str | None = Field(
        None, min_length=1, description="Fill what is white in this picture, a corrected mask, not what is found."
    )
    threads: int | None = Field(None, ge=1, le=1024, description="Processor threads to use; all by default.")
    max_megapixels: float = Field(MAX_MEGAPIXELS, gt=0, le=10_000, description="Refuse larger pictures.")


class FilmOptions(FilmSettings, ColorOptions):
    """All there is to say of how a film is colored."""

    keyframes: tuple[str, ...] = Field(
        (),
        description="A still of the film in its right colors, which guide its shot: 0:12=still.png. May be repeated.",
        examples=[["0:12=still.png"]],
    )
    recurring: bool = Field(False, description="Let stills guide other shots of the same scene too.")
    shots: str | None = Field(None, min_length=1, description="A list of shots to follow; if there is none, write it.")
    colors: str | None = Field(
        None,
        min_length=1,
        description="Keep what the network says in this folder: with another codec, saturation or list of shots, only "
        "frames that are not there are asked about.",
    )


class JobOptions(BaseOptions):
    """How a run over many files behaves; none of it changes a picture."""

    overwrite: bool = Field(False, description="Replace existing files that are not up-to-date results.")
    report: str | None = Field(None, description="Write one JSON line about each input to this file.")
    fail_fast: bool = Field(False, description="Stop at the first input that fails.")
    ray: str | None = Field(
        None,
        min_length=1,
        description="Work on this Ray cluster, such as HOST:6379 or auto; local starts one on this machine.",
    )


class EvaluateOptions(BaseOptions):
    """What is evaluated, and how."""

    look: Several[Look] = Field((), description="Looks to evaluate; all three by default.")
    network: Several[Network] = Field((), description="Networks to evaluate, by name.")
    weights: tuple[str, ...] = Field((), description="ONNX network files to evaluate.")
    render_factor: Several[RenderFactor | Literal["auto"]] = Field(
        (), description="Render factors, instead of the looks' own."
    )
    vividness: Several[Vividness] = Field((), description="Values of vividness, instead of the looks' own.")
    saturation: float = Field(1.0, ge=0, le=3, description="Multiply the color of all of them.")
    limit: int | None = Field(None, ge=1, description="Only take the first so many photos.")
    only: str | None = Field(None, description="Only take photos with this in their file names, such as portrait.")
    agreement: int = Field(100, ge=0, description="Photos also colored smaller and mirrored, to compare the results.")
    pans: int = Field(32, ge=0, description="Photos made into short films, to see how calm their color is.")
    extractor: Literal["efficientnet-lite2", "none"] | None = Field(
        None, description="What describes pictures for the distribution distance; by default used if it is installed."
    )
    repair: bool = Field(False, description="Measure how well damage is repaired, instead of colors.")
    resamples: int = Field(1000, ge=10, le=100_000, description="Resamples of the bootstrap.")
    seed: int = Field(0, ge=0, description="Seed of the bootstrap.")
    engine: EngineName = Field("auto", description="What runs the networks.")
    device: Device = Field("auto", description="Where the networks run.")
    threads: int | None = Field(
        None, ge=1, le=1024, description="Photos worked on at a time; all processors by default."
    )
    report: tuple[str, ...] = Field((), description="Write the figures to this .json, or with pictures to this .html.")
    ray: str | None = Field(
        None,
        min_length=1,
        description="Work on this Ray cluster, such as HOST:6379 or auto; local starts one on this machine.",
    )


class ServeOptions(BaseOptions):
    """How the server listens, and what it lets people do."""

    host: str = Field("127.0.0.1", description="Address to listen at; 0.0.0.0 lets other machines in.")
    port: int = Field(7860, ge=0, le=65535, description="Port to listen at; 0 takes any free one.")
    token: str | None = Field(
        None, min_length=8, description="Ask every visitor for this secret, as ?token=... or as a bearer token."
    )
    allow_host: str | None = Field(
        None, description="Further names the server goes by, separated by commas, such as photos.example.org."
    )
    frame_host: str | None = Field(
        None, pattern=r"^https://[\w.-]+$", description="A site that may show the page inside its own, by its address."
    )
    device: Device = Field("auto", description="Where the network runs.")
    workers: int | None = Field(None, ge=1, le=256, description="Photos colored at a time; one a processor by default.")
    queue: int = Field(16, ge=0, le=1000, description="Photos that may wait; more are asked to come back later.")
    timeout: float = Field(120.0, gt=0, le=3600, description="Seconds a photo may take, waiting included.")
    max_megapixels: float = Field(100.0, gt=0, le=10_000, description="Refuse larger pictures.")
    max_megabytes: float = Field(100.0, gt=0, le=2000, description="Refuse larger picture files.")
    max_film_megabytes: float = Field(4000.0, gt=0, le=1_000_000, description="Refuse larger film files.")
    keep_hours: float = Field(24.0, gt=0, le=1000, description="Remove films that nobody touched in this time.")
    films: str | None = Field(
        None,
        min_length=1,
        description="Folder in which films wait, over a restart of the server too; one of the user's by default.",
    )


def _sentence(group: type[BaseOptions], error: ValidationError) -> str:
    """Say the first problem pydantic found in one sentence of ours."""
    problem = error.errors()[0]
    name = str(problem["loc"][0]) if problem["loc"] else "options"
    field = group.model_fields.get(name)
    shown = (field.alias if field and field.alias else name).replace("_", "-")
    if problem["type"] in ("hint", "part"):
        return str(problem["msg"])
    if problem["type"] == "extra_forbidden":
        if name in _for_the_owner():
            return f"{shown} is for the owner of the machine to choose; leave it out."
        known = sorted(field.alias or one for one, field in group.model_fields.items())
        return f"There is no option {name!r}; there are: {', '.join(known)}."
    if problem["type"] == "missing":
        return f"{shown} is missing; give it."
    expected = "; or ".join(dict.fromkeys(_expectation(one) for one in error.errors() if one["loc"][:1] == (name,)))
    return f"{shown} cannot be {problem['input']!r}: {expected}."


def _for_the_owner() -> set[str]:
    """The options that a visitor of a server may not choose."""
    pairs = ((PhotoOptions, PhotoSettings), (FilmOptions, FilmSettings), (RepairOptions, RepairSettings))
    return {name for all_of_them, settings in pairs for name in all_of_them.model_fields.keys() - settings.model_fields}


def _expectation(problem: Any) -> str:
    """What would have been right, in lower case and without the library's name for the type."""
    message = str(problem["msg"])
    return message[0].lower() + message[1:].removesuffix(".")
