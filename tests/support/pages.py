"""The page in a browser: what hands do there, and what is seen."""

from __future__ import annotations

import io
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from support.servers import Running
from support.waiting import until


def open_page(browser: Any, server: Running) -> None:
    browser.get(server.url)
    until(lambda: browser.execute_script("return document.body.dataset.ready"))


def one(page: Any, selector: str) -> Any:
    return page.find_element("css selector", selector)


def press(page: Any, selector: str) -> None:
    page.execute_script("document.querySelector(arguments[0]).click()", selector)


def choose(page: Any, *paths: Path) -> None:
    one(page, "#files").send_keys("\n".join(map(str, paths)))
    settled(page)


def settled(page: Any) -> None:
    """All requests are answered and drawn."""
    until(lambda: page.execute_script("return !document.querySelector('#view').matches('.busy')"))
    page.execute_async_script("requestAnimationFrame(() => requestAnimationFrame(arguments[0]))")


def move(page: Any, selector: str, value: float) -> None:
    """Move a slider as a hand does, and wait for the picture."""
    page.execute_script(
        "const [slider, value] = arguments; slider.value = value;"
        "for (const kind of ['input', 'change']) slider.dispatchEvent(new Event(kind, {bubbles: true}));",
        one(page, selector),
        value,
    )
    settled(page)


def canvas(page: Any, selector: str = "#after") -> NDArray[np.uint8]:
    """What is on a canvas."""
    import base64

    data = page.execute_script("return document.querySelector(arguments[0]).toDataURL()", selector)
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data.split(",")[1]))).convert("RGB"))


def downloaded(folder: Path, name: str) -> Path:
    path = folder / "downloads" / name
    until(path.exists)
    return path


def colorfulness(pixels: NDArray[np.uint8]) -> float:
    return float(np.ptp(pixels.astype(int), axis=2).mean())


def labels(page: Any) -> list[Any]:
    return list(page.find_elements("css selector", "#looks label"))


OFFLINE = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}


def drop(page: Any, *paths: Path) -> None:
    """Drop files and folders on the page as a hand does."""
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        page.execute_cdp_cmd("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 300, "data": data})


def names(page: Any) -> list[str]:
    return [str(thumb.get_attribute("aria-label")) for thumb in page.find_elements("css selector", "#gallery .thumb")]


def touch(page: Any, *points: list[tuple[float, float]]) -> None:
    """Put fingers down and move them, one list of places after the other, and lift them."""
    kinds = ["touchStart", *["touchMove"] * (len(points) - 1)]
    for kind, places in zip(kinds, points, strict=True):
        fingers = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(places)]
        page.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": fingers})
    page.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    settled(page)


def say_color(page: Any, number: int, name: str) -> None:
    """Take a color from the field of a place."""
    page.execute_script(
        "arguments[0].value = arguments[1]; arguments[0].dispatchEvent(new Event('change'))",
        one(page, f"#hints li:nth-child({number}) input[type=color]"),
        name,
    )
    settled(page)


def at(page: Any, selector: str, x: float, y: float) -> tuple[float, float]:
    """Where on the screen a place of an element is."""
    element = one(page, selector)
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
    box = page.execute_script("return arguments[0].getBoundingClientRect()", element)
    return box["x"] + x * box["width"], box["y"] + y * box["height"]


def mouse(page: Any, kind: str, x: float, y: float) -> None:
    pressed = {"type": kind, "x": x, "y": y, "button": "left", "buttons": 1, "clickCount": 1}
    page.execute_cdp_cmd("Input.dispatchMouseEvent", pressed)


def click_at(page: Any, selector: str, x: float, y: float) -> None:
    place = at(page, selector, x, y)
    for kind in ("mousePressed", "mouseReleased"):
        mouse(page, kind, *place)
    settled(page)


def drag(page: Any, selector: str, by: tuple[int, int], start: tuple[float, float] = (0.5, 0.5)) -> None:
    x, y = at(page, selector, *start)
    mouse(page, "mousePressed", x, y)
    mouse(page, "mouseMoved", x + by[0], y + by[1])
    mouse(page, "mouseReleased", x + by[0], y + by[1])


def send_film(page: Any, path: Path) -> None:
    """Send a film and wait until its desk shows a still."""
    press(page, "#tab-films")
    one(page, "#film-file").send_keys(str(path))
    until(lambda: page.find_elements("css selector", ".still:not(.empty, .busy)"))


def no_films(page: Any) -> None:
    """Remove all films."""
    for button in page.find_elements("css selector", "#reels [data-act=remove]"):
        button.click()
    until(lambda: page.find_elements("css selector", "#reels li") == [])


AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


CONTROLS = {"button", "checkbox", "combobox", "image", "link", "progressbar", "radio", "slider", "tab", "Video"}


def problems(page: Any) -> list[Any]:
    """What axe-core finds wrong with what is shown now, and controls that a screen reader has no name for."""
    axe = pytest.importorskip("axe_core_python.base").AXE_SCRIPT
    page.execute_cdp_cmd("Runtime.evaluate", {"expression": axe})
    results = page.execute_async_script("axe.run({runOnly: arguments[0]}).then(arguments[1])", AXE_TAGS)
    assert len(results["passes"]) > 15
    found = [(rule["id"], [node["html"] for node in rule["nodes"]]) for rule in results["violations"]]
    nodes = page.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    controls = [node for node in nodes if not node["ignored"] and node["role"]["value"] in CONTROLS]
    assert len(controls) > 4
    return found + [node for node in controls if not node["name"]["value"]]


CTRL, SHIFT = 2, 8


def tab(page: Any, key: str = "Tab", code: int = 9) -> Any:
    """Press a key as a hand does; the element that has the focus then."""
    press_keys(page, key, code)
    return page.execute_script("return document.activeElement")


def press_keys(page: Any, key: str, code: int, modifiers: int = 0) -> None:
    text = {"text": "\r"} if key == "Enter" else {}
    for kind in ("keyDown", "keyUp"):
        pressed = {"type": kind, "key": key, "windowsVirtualKeyCode": code, "modifiers": modifiers, **text}
        page.execute_cdp_cmd("Input.dispatchKeyEvent", pressed)


def swipe(page: Any, selector: str, by: tuple[int, int]) -> None:
    """Swipe with a finger from the middle of an element."""
    x, y = at(page, selector, 0.5, 0.5)
    steps = [(x + by[0] * i / 10, y + by[1] * i / 10) for i in range(11)]
    for i, (a, b) in enumerate(steps):
        kind = "touchMove" if i else "touchStart"
        page.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": a, "y": b}]})
        time.sleep(0.03)
    page.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
