"""Options are checked in one place, and each message is one sentence that names the option."""

from __future__ import annotations

from typing import Any

import pytest

from vintage_colorizer.errors import OptionError
from vintage_colorizer.options import JobOptions, PhotoOptions


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
