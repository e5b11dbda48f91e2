"""Options are checked in one place, and each message is one sentence that names the option."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, get_type_hints

import pytest

from vintage_colorizer.errors import OptionError
from vintage_colorizer.film.plan import film_fingerprint
from vintage_colorizer.hints import Hint
from vintage_colorizer.keywords import ColorKeywords, FilmKeywords, PhotoKeywords
from vintage_colorizer.networks.catalog import LookSettings
from vintage_colorizer.options import (
    BaseOptions,
    ColorOptions,
    FilmOptions,
    FilmRepair,
    FilmSettings,
    JobOptions,
    MachineOptions,
    PhotoOptions,
    PhotoSettings,
    Repair,
)
from vintage_colorizer.photo.result import fingerprint


@pytest.mark.parametrize("factor", [7, 64, "auto", "12", None])
def test_render_factors_that_are_accepted(factor: Any) -> None:
    options = PhotoOptions.of(render_factor=factor)
    assert options.render_factor == (int(factor) if factor == "12" else factor)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("render_factor", 6, "greater than or equal to 7"),
        ("render_factor", 65, "less than or equal to 64"),
        ("render_factor", "big", "'auto'"),
        ("render_factor", 1e9, "less than or equal to 64"),
        ("vividness", float("nan"), "finite"),
        ("vividness", 1.1, "less than or equal to 1"),
        ("saturation", -1, "greater than or equal to 0"),
        ("warmth", "hot", "valid number"),
        ("look", "sepia", "'artistic'"),
        ("quality", 0, "greater than or equal to 1"),
        ("threads", 0, "greater than or equal to 1"),
        ("max_megapixels", 0, "greater than 0"),
        ("format", "gif", "'jpeg'"),
    ],
)
def test_wrong_values_are_named(name: str, value: Any, says: str) -> None:
    with pytest.raises(OptionError) as error:
        PhotoOptions.of(**{name: value})
    message = str(error.value)
    assert message.startswith(name.replace("_", "-"))
    assert says in message
    assert message.endswith(".") and "\n" not in message


def test_unknown_options_are_errors() -> None:
    with pytest.raises(OptionError, match="There is no option 'renderfactor'"):
        PhotoOptions.of(renderfactor=12)


def test_replace_validates_and_leaves_the_original() -> None:
    options = PhotoOptions(look="artistic")
    assert options.replace(saturation=0.5).look == "artistic"
    assert options.saturation == 1
    with pytest.raises(OptionError):
        options.replace(saturation=9)


def test_every_option_says_what_it_is() -> None:
    for group in (PhotoOptions, JobOptions):
        for name, field in group.model_fields.items():
            assert field.description, name
            assert field.description.endswith("."), name


@pytest.mark.parametrize(
    ("keywords", "group"), [(ColorKeywords, ColorOptions), (PhotoKeywords, PhotoOptions), (FilmKeywords, FilmOptions)]
)
def test_the_keywords_of_a_colorizer_are_the_options(keywords: Any, group: type[BaseOptions]) -> None:
    fields = {name: kind for name, kind in get_type_hints(group).items() if name in group.model_fields}
    if "hints" in fields:
        fields["hints"] = Sequence[Hint | str]  # kept as text
    if "repair" in fields:
        fields["repair"] = Sequence[FilmRepair] | str if group is FilmOptions else Sequence[Repair] | str
    if "crop" in fields:
        fields["crop"] = Sequence[float] | str | None  # kept as text
    if "start" in fields:
        fields["start"] = fields["stop"] = float | str | None  # a clock as text
    assert get_type_hints(keywords) == fields
    assert not keywords.__required_keys__


def test_what_a_visitor_may_set_is_all_but_the_machine() -> None:
    machine = {"weights", "engine", "device", "threads"}
    assert MachineOptions.model_fields.keys() == machine
    owners = machine | {"max_megapixels", "reference"}
    assert PhotoOptions.model_fields.keys() - PhotoSettings.model_fields.keys() == owners
    films = machine | {"keyframes", "recurring", "shots", "colors"}
    assert FilmOptions.model_fields.keys() - FilmSettings.model_fields.keys() == films
    with pytest.raises(OptionError, match="weights is for the owner of the machine to choose"):
        PhotoSettings.of(weights="x.onnx")


def test_fingerprints_are_those_of_the_first_version(tmp_path: Path) -> None:
    """Otherwise results that are done would be made again."""
    film = tmp_path / "film"
    film.write_bytes(b"1")
    os.utime(film, (1, 1))
    network: Any = SimpleNamespace(sha256="x")
    photo_options = PhotoOptions(look="video", warmth=0.2, quality=3, threads=4)
    film_options = FilmOptions(crf=3, look="video", threads=2, no_resume=True)
    settings = LookSettings(render_factor=16, vividness=0.0, stability=0.8)
    assert fingerprint("a", photo_options, "video", settings, network, "") == "78840ddc67ebc4fb756e10463c4cc3d2"
    assert film_fingerprint(film, film_options, "n", ".mp4") == "8d7b5145eb9eda3a25a85715b43fa7e6"
