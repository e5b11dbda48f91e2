"""The settings of a job, validated here and nowhere else.

Command line, Python API, HTTP API and web page all read these classes: names, ranges, defaults
and help texts come from the fields.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from vintage_colorizer.errors import OptionError

Look = Literal["artistic", "stable", "video"]
RenderFactor = Annotated[int, Field(ge=7, le=64)]
Vividness = Annotated[float, Field(ge=0, le=1)]
Preset = Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"]

# Fields that say where and how a network runs. They are the owner's of the machine: no HTTP request may set them.
MACHINE_FIELDS = frozenset({"weights", "engine", "device", "threads", "max_megapixels"})

MAX_MEGAPIXELS = 300.0  # of a picture, unless told otherwise

Options = TypeVar("Options", bound="BaseOptions")
Element = TypeVar("Element")


def _split(values: Any) -> Any:
    """Values given one by one, or several in one text with commas between them."""
    given = (values,) if isinstance(values, str) else values
    return tuple(part for one in given for part in (one.split(",") if isinstance(one, str) else (one,)))


Several = Annotated[tuple[Element, ...], BeforeValidator(_split)]


class BaseOptions(BaseModel):
    """What all groups of options share: they are immutable, and unknown names are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @classmethod
    def of(cls: type[Options], **values: Any) -> Options:
        """Build the options from plain values.

        Raises:
            OptionError: a value is out of range or an option is unknown; the message names it.
        """
        try:
            return cls(**values)
        except ValidationError as error:
            raise OptionError(_sentence(cls, error)) from None

    def replace(self: Options, **changes: Any) -> Options:
        """Return a copy with some values changed, validated like new ones."""
        return self.of(**{**self.model_dump(), **changes}) if changes else self


class ColorOptions(BaseOptions):
    """How the color is made, for photos and films alike."""

    look: Look | None = Field(
        None,
        description="artistic (vivid), stable (few mistakes) or video (calm); "
        "photos are stable and films video unless you say so.",
    )
    network: Literal["compact", "deoldify"] = Field(
        "compact",
        description="Which network proposes the color: compact is embedded, deoldify needs weights (see weights).",
    )
    weights: str | None = Field(None, description="Use this ONNX network file instead of one by name.")
    render_factor: RenderFactor | Literal["auto"] | None = Field(
        None,
        description="Size at which the network sees the scene, in steps of 16 pixels: 7 to 64, or auto. "
        "Not a quality setting; try a few.",
    )
    vividness: float | None = Field(
        None, ge=0, le=1, description="From cautious (0) to bold (1) colors, instead of the look's own."
    )
    saturation: float = Field(1.0, ge=0, le=3, description="Multiply the color: 0 is grey, 1 as it is.")
    warmth: float = Field(0.0, ge=-1, le=1, description="Shift mid-tones toward blue (-1) or orange (1).")
    engine: Literal["auto", "onnx", "torch"] = Field("auto", description="What runs the network.")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Where the network runs.")
    threads: int | None = Field(None, ge=1, le=1024, description="Processor threads to use; all by default.")


class PhotoOptions(ColorOptions):
    """What a photo needs besides."""

    format: Literal["jpeg", "png", "tiff", "webp", "avif", "heif"] | None = Field(
        None, description="Format of the result; the source's by default."
    )
    quality: int | None = Field(
        None, ge=1, le=100, description="JPEG, WebP or AVIF quality; by default 95 or as fine as the source's."
    )
    strip: bool = Field(False, description="Leave out the source's metadata (EXIF, GPS, XMP).")
    mark: bool = Field(False, description="Add a small visible mark that says the color is not original.")
    max_megapixels: float = Field(MAX_MEGAPIXELS, gt=0, le=10_000, description="Refuse larger pictures.")


class FilmOptions(ColorOptions):
    """What a film needs besides."""

    codec: Literal["h264", "h265", "vp9", "av1", "ffv1", "prores"] | None = Field(
        None, description="Codec of the result: h264 (vp9 for .webm) unless you say so; ffv1 is lossless."
    )
    crf: int | None = Field(
        None, ge=0, le=63, description="Quality of the encoder: lower is better and larger; 18 for h264 by default."
    )
    preset: Preset | None = Field(None, description="Speed of the h264 or h265 encoder against the size of its files.")
    stability: float | None = Field(
        None, ge=0, le=1, description="How much color is calmed over time, from not at all (0) to most (1)."
    )
    no_resume: bool = Field(False, description="Start over instead of going on with what an earlier run left.")
    preview: float | None = Field(
        None, gt=0, description="Only color this many seconds, side by side with the source, into NAME-preview."
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
    network: Several[Literal["compact", "deoldify"]] = Field((), description="Networks to evaluate, by name.")
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
    resamples: int = Field(1000, ge=10, le=100_000, description="Resamples of the bootstrap.")
    seed: int = Field(0, ge=0, description="Seed of the bootstrap.")
    engine: Literal["auto", "onnx", "torch"] = Field("auto", description="What runs the networks.")
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Where the networks run.")
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
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="Where the network runs.")
    workers: int | None = Field(None, ge=1, le=256, description="Photos colored at a time; one a processor by default.")
    queue: int = Field(16, ge=0, le=1000, description="Photos that may wait; more are asked to come back later.")
    timeout: float = Field(120.0, gt=0, le=3600, description="Seconds a photo may take, waiting included.")
    max_megapixels: float = Field(100.0, gt=0, le=10_000, description="Refuse larger pictures.")
    max_megabytes: float = Field(100.0, gt=0, le=2000, description="Refuse larger picture files.")
    max_film_megabytes: float = Field(4000.0, gt=0, le=1_000_000, description="Refuse larger film files.")
    keep_hours: float = Field(24.0, gt=0, le=1000, description="Remove films that nobody fetched in this time.")


def _sentence(cls: type[BaseOptions], error: ValidationError) -> str:
    """Say the first problem pydantic found in one sentence of ours."""
    problem = error.errors()[0]
    name = str(problem["loc"][0]) if problem["loc"] else "options"
    if problem["type"] == "extra_forbidden":
        return f"There is no option {name!r}; there are: {', '.join(sorted(cls.model_fields))}."
    expected = "; or ".join(dict.fromkeys(_expectation(one) for one in error.errors() if one["loc"][0] == name))
    return f"{name.replace('_', '-')} cannot be {problem['input']!r}: {expected}."


def _expectation(problem: Any) -> str:
    """What would have been right, in lower case and without the library's name for the type."""
    message = str(problem["msg"])
    return message[0].lower() + message[1:].removesuffix(".")
