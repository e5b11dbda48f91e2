"""The page in a real browser: for everyone, in every language, and safe."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from support.browsers import browsing
from support.pages import at, choose, one, open_page, press, problems, settled, swipe, tab
from support.servers import Running
from support.waiting import until


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("de-AT,de", "Noch einmal versuchen"),
        ("fr", "Réessayer"),
        ("es-MX", "Intentar de nuevo"),
        ("ja", "もう一度試す"),
    ],
)
def test_the_page_speaks_the_language_of_the_browser(
    page: Any, server: Running, pictures: list[Path], language: str, words: str
) -> None:
    agent = page.execute_script("return navigator.userAgent")
    page.execute_cdp_cmd("Network.setUserAgentOverride", {"userAgent": agent, "acceptLanguage": language})
    try:
        open_page(page, server)
        choose(page, pictures[0])
        assert one(page, "#retry").get_property("textContent") == words
        assert page.execute_script("return document.documentElement.lang") == language[:2]
        assert "portrait.jpg" in one(page, "#status").text and "360 × 512" in one(page, "#status").text
        assert problems(page) == []
    finally:
        page.execute_cdp_cmd("Network.setUserAgentOverride", {"userAgent": agent, "acceptLanguage": "en-US"})


def test_names_of_files_are_text_and_nothing_else(page: Any, folder: Path, grey: NDArray[np.uint8]) -> None:
    path = folder / "<img src=x onerror=alert(1)>.png"
    Image.fromarray(grey[:100, :100]).save(path)
    choose(page, path, path)
    assert (
        page.execute_script("return document.querySelectorAll('main img:not(#sheet-image, #reference-image)').length")
        == 0
    )
    assert "<img" in one(page, "#status").text


def test_the_policy_holds_in_the_browser(browser: Any, server: Running) -> None:
    open_page(browser, server)
    tried = browser.execute_async_script(
        "const done = arguments[0]; fetch('http://192.0.2.1/').then(() => done('reached'), () => done('refused'))"
    )
    inline = browser.execute_script(
        "const s = document.createElement('script'); s.textContent = 'window.ran = 1';"
        "document.body.append(s); return window.ran"
    )
    assert (tried, inline) == ("refused", None)


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data"])
def test_a_form_on_another_page_is_refused(browser: Any, server: Running, kind: str) -> None:
    form = f"<form method=post enctype={kind} action={server.url}/api/photo><input name=a value=b></form>"
    browser.get(f"data:text/html,{form}")
    browser.execute_script("document.forms[0].submit()")
    until(lambda: "another site's page" in one(browser, "body").text)


@pytest.fixture(params=[(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")], ids=str)
def screen(page: Any, request: pytest.FixtureRequest) -> Iterator[Any]:
    """The page on a wide and on a narrow screen, in light and in dark."""
    width, scheme = request.param
    size = {"height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    for wide, features in ((width, [{"name": "prefers-color-scheme", "value": scheme}]), (1280, [])):
        page.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": wide, **size})
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        if features:
            yield page


def test_axe_finds_nothing_in_any_state(screen: Any, pictures: list[Path], folder: Path) -> None:
    assert problems(screen) == []
    choose(screen, *pictures)
    press(screen, "details summary")
    assert problems(screen) == []
    press(screen, "#compare")
    until(one(screen, "#sheet-image").is_displayed)
    assert problems(screen) == []
    press(screen, "#sheet-close")
    (folder / "page.jpg").write_text("<html>not a photo</html>")
    choose(screen, folder / "page.jpg")
    until(lambda: one(screen, "#errors").text)
    assert problems(screen) == []
    press(screen, "#tab-films")
    assert problems(screen) == []


@pytest.mark.browser
def test_a_finger_that_scrolls_changes_no_slider(folder: Path, server: Running, pictures: list[Path]) -> None:
    with browsing(folder / "phone", 390, 844) as page:
        page.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
        open_page(page, server)
        choose(page, pictures[0])
        at(page, "#saturation", 0, 0)
        here = page.execute_script("return scrollY")
        swipe(page, "#saturation", (40, -200))
        assert one(page, "#saturation").get_property("value") == "1"
        until(lambda: page.execute_script("return scrollY") > here + 50)
        swipe(page, "#saturation", (60, 0))
        assert float(one(page, "#saturation").get_property("value")) > 1.1


def test_everything_can_be_reached_with_the_keyboard_and_seen_there(page: Any, pictures: list[Path]) -> None:
    choose(page, *pictures[:2])
    one(page, "h1").click()  # from here on
    outlined = (
        "const here = document.activeElement; return [here, here.closest('label'), here.closest('figure')]"
        ".some((one) => one && getComputedStyle(one).outlineStyle !== 'none')"
    )
    reached: list[str | None] = []
    while (focused := tab(page)).tag_name != "body" or not reached:
        reached.append(focused.get_attribute("id") or focused.get_attribute("class"))
        assert focused.tag_name == "body" or page.execute_script(outlined), reached
    order = [
        name for name in reached if name in ("files", "split", "thumb", "vividness", "compare", "save", "save-all")
    ]
    assert order == ["files", "split", "thumb", "thumb", "vividness", "compare", "save", "save-all"]


def test_the_focus_stays_where_it_was_and_what_happens_is_said(page: Any, pictures: list[Path], folder: Path) -> None:
    choose(page, *pictures[:2])
    for selector, words in (("#gallery li:nth-child(2) .thumb", ""), ("#save", "Saved rocket & sky-color")):
        page.execute_script("document.querySelector(arguments[0]).focus()", selector)
        assert tab(page, "Enter", 13) == one(page, selector)
        wait = "return document.querySelector('#said').textContent.includes(arguments[0])"
        until(partial(page.execute_script, wait, words))
        settled(page)
        assert page.switch_to.active_element == one(page, selector)
    assert "rocket & sky.png" in one(page, "#status").text
    one(page, "#saturation").send_keys("\ue014")  # arrow right
    assert one(page, "#saturation").get_attribute("aria-valuetext") == "105 %"


@pytest.mark.browser
@pytest.mark.parametrize(("width", "height"), [(1280, 900), (390, 844)])
def test_nothing_sticks_out(
    folder: Path, server: Running, pictures: list[Path], width: int, height: int, request: pytest.FixtureRequest
) -> None:
    with browsing(folder / str(width), width, height) as page:
        open_page(page, server)
        choose(page, *pictures)
        until(lambda: len(page.find_elements("css selector", "#gallery .thumb")) == 3)
        settled(page)
        wide = page.execute_script("return document.documentElement.scrollWidth")
        assert wide <= width
        small = page.execute_script(
            "return [...document.querySelectorAll('main button, main select')].filter((one) => one.offsetParent"
            " && !one.matches('.remove') && one.offsetHeight < 40).map((one) => one.outerHTML)"
        )
        assert small == []
        page.save_screenshot(str(folder / f"page-{width}.png"))
