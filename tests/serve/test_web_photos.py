"""The page in a real browser: one photo, from its choice to its saving."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from support.browsers import requested
from support.pages import (
    OFFLINE,
    canvas,
    choose,
    colorfulness,
    downloaded,
    labels,
    move,
    one,
    open_page,
    press,
    settled,
)
from support.servers import running
from support.waiting import until
from vintage_colorizer import Colorizer
from vintage_colorizer.options import LOOKS, PhotoSettings


def test_a_photo_is_colored_and_saved_at_full_quality(page: Any, pictures: list[Path], folder: Path) -> None:
    choose(page, pictures[0])
    assert colorfulness(canvas(page)) > 5 > colorfulness(canvas(page, "#before")) == 0
    assert one(page, "#status").text == "portrait.jpg, 360 × 512 pixels"
    press(page, "#save")
    saved = Image.open(downloaded(folder, "portrait-color.jpg"))
    assert (saved.format, saved.size) == ("JPEG", (360, 512))
    assert np.abs(np.asarray(saved).astype(int) - canvas(page)).mean() < 4


def test_sliders_answer_without_the_server_and_what_is_saved_is_what_is_shown(
    page: Any, pictures: list[Path], folder: Path, colorizer: Colorizer
) -> None:
    choose(page, pictures[1])
    before = colorfulness(canvas(page))
    requested(page)
    move(page, "#saturation", 0)
    assert colorfulness(canvas(page)) == 0
    move(page, "#saturation", 2)
    assert colorfulness(canvas(page)) > 1.4 * before
    move(page, "#vividness", 0.8)
    move(page, "#warmth", 0.5)
    assert requested(page) == []
    wanted = colorizer.photo(pictures[1], saturation=2, vividness=0.8, warmth=0.5).pixels
    assert np.abs(wanted.astype(int) - canvas(page)).mean() < 2
    press(page, "#save")
    saved = np.asarray(Image.open(downloaded(folder, "rocket & sky-color.png")))
    assert np.array_equal(saved, wanted)


def test_ranges_defaults_and_words_are_those_of_the_library(page: Any, pictures: list[Path]) -> None:
    choose(page, pictures[0])
    fields = PhotoSettings.model_json_schema()["properties"]
    for name in ("vividness", "saturation", "warmth", "render_factor"):
        slider, numbers = one(page, f"#{name}"), fields[name]
        numbers = next(kind for kind in numbers.get("anyOf", [numbers]) if "maximum" in kind)
        ends = [float(slider.get_attribute(end)) for end in ("min", "max")]
        assert ends == [numbers["minimum"], numbers["maximum"]]
    assert float(one(page, "#saturation").get_property("value")) == fields["saturation"]["default"]
    assert one(page, "#factor-help").text == fields["render_factor"]["description"]
    about = {look: f"{words.capitalize()}." for look, words in LOOKS.items()}
    shown = {label.find_element("css selector", "input").get_property("value"): label for label in labels(page)}
    assert {look: label.find_element("css selector", "small").text for look, label in shown.items()} == about


def test_another_look_and_render_factor_ask_the_network_again(page: Any, pictures: list[Path]) -> None:
    choose(page, pictures[0])
    stable = canvas(page)
    press(page, "#looks [value=artistic]")
    settled(page)
    artistic = canvas(page)
    assert colorfulness(artistic) > colorfulness(stable)
    move(page, "#render_factor", 30)
    assert not np.array_equal(canvas(page), artistic)
    press(page, "#auto")
    settled(page)
    assert one(page, "#render_factor").get_attribute("disabled")
    press(page, "#reset")
    settled(page)
    assert np.array_equal(canvas(page), stable)


def test_the_slider_between_before_and_after_obeys_keys(page: Any, pictures: list[Path]) -> None:
    choose(page, pictures[0])
    split = one(page, "#split")
    read = "return getComputedStyle(document.querySelector('#sources')).clipPath"
    half = page.execute_script(read)
    for _ in range(10):
        split.send_keys("\ue012")  # arrow left
    assert one(page, "#split").get_property("value") == "40"
    assert page.execute_script(read) != half


def test_a_contact_sheet_offers_render_factors(page: Any, pictures: list[Path]) -> None:
    choose(page, pictures[0])
    press(page, "#compare")
    until(lambda: one(page, "#sheet-image").is_displayed() and one(page, "#sheet-image").get_property("naturalWidth"))
    press(page, "#sheet-choices button:nth-child(3)")
    settled(page)
    assert one(page, "output[for=render_factor]").text == "24"


def test_errors_are_said_in_words(page: Any, pictures: list[Path], folder: Path) -> None:
    (folder / "notes.jpg").write_text("<html>not a photo</html>")
    (folder / "large.png").write_bytes(bytes(6_000_000))
    choose(page, folder / "notes.jpg")
    said = until(lambda: one(page, "#errors").text)
    assert said.startswith("notes.jpg: ") and "Traceback" not in said
    assert one(page, "#save").get_attribute("disabled")
    choose(page, folder / "large.png")
    until(lambda: "Over the server's limit of 5 MB: large.png." in one(page, "#errors").text)
    press(page, "#errors p:last-child button")
    assert one(page, "#errors").text.startswith("notes.jpg: ")  # beside the one that was closed
    press(page, "#remove")
    assert one(page, "#errors").text == "" and not one(page, "#work").is_displayed()
    choose(page, pictures[0])
    assert colorfulness(canvas(page)) > 5 and one(page, "#errors").text == ""


def test_the_page_says_when_the_server_is_gone(browser: Any, pictures: list[Path]) -> None:
    with running() as server:
        open_page(browser, server)
    choose(browser, pictures[0])
    until(lambda: "does not answer" in one(browser, "#errors").text)
    assert canvas(browser).shape == (512, 360, 3)  # the photo is there, as it was
    browser.get_log("browser")


def test_what_failed_is_tried_again(page: Any, pictures: list[Path]) -> None:
    page.execute_cdp_cmd("Network.enable", {})
    page.execute_cdp_cmd("Network.emulateNetworkConditions", OFFLINE | {"offline": True})
    choose(page, pictures[0])
    until(one(page, "#retry").is_displayed)
    page.execute_cdp_cmd("Network.emulateNetworkConditions", OFFLINE)
    press(page, "#retry")
    until(lambda: colorfulness(canvas(page)) > 5)
    assert one(page, "#errors").text == "" and not one(page, "#retry").is_displayed()
