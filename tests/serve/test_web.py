"""The page in a real browser: what a person sees and does, that nothing leaves the machine, and accessibility."""

from __future__ import annotations

import io
import shutil
import time
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from support import bad_films
from support.browsers import browsing, elsewhere, requested
from support.servers import Running, running
from vintage_colorizer import Colorizer, color
from vintage_colorizer.hints import as_hints
from vintage_colorizer.options import LOOKS, PhotoSettings
from vintage_colorizer.photo.reading import probe


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(max_megabytes=5) as one:
        yield one


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("browser")


@pytest.fixture(scope="module")
def pictures(folder: Path, grey: NDArray[np.uint8]) -> list[Path]:
    """Three photos of different formats and shapes."""
    named = {"portrait.jpg": grey[:, 60:420], "rocket & sky.png": grey[100:400], "third.webp": grey[:200]}
    for name, pixels in named.items():
        Image.fromarray(pixels).save(folder / name)
    return [folder / name for name in named]


@pytest.fixture(scope="module")
def browser(folder: Path) -> Iterator[Any]:
    with browsing(folder) as driver:
        yield driver


@pytest.fixture
def page(browser: Any, server: Running) -> Iterator[Any]:
    """The freshly opened page. At the end nothing has left the machine and nothing was complained of."""
    requested(browser), browser.get_log("browser")
    open_page(browser, server)
    yield browser
    browser.execute_script("sessionStorage.clear()")  # which ends what a reload brings back
    assert elsewhere(requested(browser)) == []
    assert [one for one in browser.get_log("browser") if one["source"] == "security"] == []


def open_page(browser: Any, server: Running) -> None:
    browser.get(server.url)
    until(lambda: browser.execute_script("return document.body.dataset.ready"))


def until(condition: Callable[[], Any], seconds: float = 30) -> Any:
    """Wait for a condition; return what it is."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.03)
    return value


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


# --- Photos ---------------------------------------------------------------------------------------------


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


def labels(page: Any) -> list[Any]:
    return list(page.find_elements("css selector", "#looks label"))


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


def test_each_look_is_a_small_picture_of_the_photo(page: Any, pictures: list[Path], colorizer: Colorizer) -> None:
    choose(page, pictures[0])
    requested(page)
    for look in LOOKS:
        thumb = canvas(page, f"#looks [data-look={look}]")
        wanted = colorizer.photo(pictures[0], look=look).image.resize(thumb.shape[1::-1], Image.Resampling.BOX)
        assert np.abs(np.asarray(wanted).astype(int) - thumb).mean() < 3
    move(page, "#saturation", 0)
    assert colorfulness(canvas(page, "#looks [data-look=video]")) == 0
    assert requested(page) == []


def test_a_look_of_ones_own_is_kept_in_the_browser(page: Any, pictures: list[Path]) -> None:
    choose(page, pictures[0])
    assert not one(page, "#my-look").is_displayed()
    press(page, "#looks [value=artistic]")
    settled(page)
    move(page, "#saturation", 1.5)
    move(page, "#warmth", 0.2)
    press(page, "#keep-look")
    mine = canvas(page)
    press(page, "#reset")
    settled(page)
    page.refresh()
    until(lambda: page.execute_script("return document.body.dataset.ready"))
    until(lambda: colorfulness(canvas(page)) > 5)
    press(page, "#my-look")
    settled(page)
    assert np.array_equal(canvas(page), mine)
    press(page, "#undo")
    settled(page)
    assert not np.array_equal(canvas(page), mine)
    assert problems(page) == []
    page.execute_script("localStorage.clear()")


def test_a_contact_sheet_offers_render_factors(page: Any, pictures: list[Path]) -> None:
    choose(page, pictures[0])
    press(page, "#compare")
    until(lambda: one(page, "#sheet-image").is_displayed() and one(page, "#sheet-image").get_property("naturalWidth"))
    press(page, "#sheet-choices button:nth-child(3)")
    settled(page)
    assert one(page, "output[for=render_factor]").text == "24"


def test_several_photos_come_as_one_zip(page: Any, pictures: list[Path], folder: Path) -> None:
    choose(page, *pictures, pictures[0])
    until(lambda: len(page.find_elements("css selector", "#gallery .thumb")) == 4)
    press(page, "#gallery li:nth-child(2) .thumb")
    settled(page)
    assert "rocket & sky.png" in one(page, "#status").text
    move(page, "#saturation", 0)
    press(page, "#save-all")
    with zipfile.ZipFile(downloaded(folder, "colored-photos.zip")) as archive:
        assert archive.testzip() is None
        names = ["portrait-color.jpg", "rocket & sky-color.png", "third-color.webp", "portrait-color (2).jpg"]
        assert archive.namelist() == names
        grey, colored = (np.asarray(Image.open(io.BytesIO(archive.read(names[i])))) for i in (1, 0))
    assert colorfulness(grey) == 0 < colorfulness(colored)
    press(page, "#gallery li:nth-child(1) .remove")
    assert len(page.find_elements("css selector", "#gallery .thumb")) == 3


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


OFFLINE = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}


def drop(page: Any, *paths: Path) -> None:
    """Drop files and folders on the page as a hand does."""
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    for kind in ("dragEnter", "dragOver", "drop"):
        page.execute_cdp_cmd("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 300, "data": data})


def test_a_dropped_folder_is_looked_through(page: Any, pictures: list[Path], folder: Path) -> None:
    box = folder / "shoebox"
    for place, number in (("", 10), ("", 9), ("1950", 1), ("@eaDir", 1)):
        (box / place).mkdir(parents=True, exist_ok=True)
        shutil.copy(pictures[2], box / place / f"p{number}.webp")
    (box / "notes.txt").write_text("Aunt May")
    (folder / "empty").mkdir()
    drop(page, folder / "empty")
    until(lambda: one(page, "#errors").text == "There are no photos or films in this folder.\n×")
    drop(page, box)
    until(lambda: names(page) == ["p1.webp", "p9.webp", "p10.webp"])
    until(lambda: one(page, "#status").text == "1 of 3: p1.webp, 512 × 200 pixels")
    assert page.find_elements("css selector", "body.over") == []


def names(page: Any) -> list[str]:
    return [str(thumb.get_attribute("aria-label")) for thumb in page.find_elements("css selector", "#gallery .thumb")]


def test_a_pasted_picture_is_taken(page: Any) -> None:
    page.execute_async_script(
        "const done = arguments[0]; const canvas = new OffscreenCanvas(64, 48);"
        "canvas.getContext('2d').fillRect(9, 9, 30, 20);"
        "canvas.convertToBlob().then((blob) => { const data = new DataTransfer();"
        "data.items.add(new File([blob], 'image.png', {type: 'image/png'}));"
        "document.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data})); done(); })"
    )
    until(lambda: one(page, "#status").text == "image.png, 64 × 48 pixels")


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


def test_films_and_photos_find_their_tab(page: Any, pictures: list[Path], folder: Path) -> None:
    (folder / "empty.mp4").write_bytes(bytes(9000))
    one(page, "#files").send_keys(str(folder / "empty.mp4"))
    until(lambda: "empty.mp4 cannot be read" in one(page, "#errors").text)
    press(page, "#reels [data-act=remove]")
    drop(page, pictures[0])
    until(one(page, "#photos").is_displayed)


def test_changes_are_undone_and_done_again(page: Any, pictures: list[Path]) -> None:
    choose(page, *pictures[:2])
    until(lambda: "2" in one(page, "#status").text and len(names(page)) == 2)
    first = canvas(page)
    move(page, "#saturation", 0)
    press(page, "#spread")
    press(page, "#gallery li:nth-child(2) .thumb")
    settled(page)
    assert colorfulness(canvas(page)) == 0
    press(page, "#undo")  # for all photos at once
    settled(page)
    assert colorfulness(canvas(page)) > 5
    press_keys(page, "z", 90, CTRL)
    settled(page)
    assert "portrait.jpg" in one(page, "#status").text and np.array_equal(canvas(page), first)
    press_keys(page, "Z", 90, CTRL + SHIFT)
    settled(page)
    assert colorfulness(canvas(page)) == 0
    assert one(page, "#redo").get_attribute("aria-disabled") == "false"


def test_what_the_look_means_comes_back_without_the_network(page: Any, pictures: list[Path]) -> None:
    choose(page, pictures[0])
    plain = canvas(page)
    requested(page)
    move(page, "#vividness", 0.9)
    move(page, "#saturation", 1.5)
    press(page, "#reset")
    settled(page)
    assert np.array_equal(canvas(page), plain) and requested(page) == []
    assert one(page, "output[for=vividness]").text == "30 %"


def test_the_same_slider_on_two_photos_is_two_changes(page: Any, pictures: list[Path]) -> None:
    choose(page, *pictures[:2])
    plain = canvas(page)
    move(page, "#saturation", 0)
    press(page, "#gallery li:nth-child(2) .thumb")
    move(page, "#saturation", 0)
    for _ in range(2):
        press(page, "#undo")
    settled(page)
    assert "portrait.jpg" in one(page, "#status").text and np.array_equal(canvas(page), plain)


def test_a_reload_keeps_photos_and_edits(page: Any, server: Running, pictures: list[Path]) -> None:
    choose(page, *pictures)
    move(page, "#warmth", 0.5)
    warm = canvas(page)
    stored = (
        "const done = arguments[0]; indexedDB.open('vintage-colorizer').onsuccess = ({target}) => target.result"
        ".transaction('photos').objectStore('photos').getAll().onsuccess = (got) => done(got.target.result"
        ".filter((one) => one.key[0] === sessionStorage['vintage-colorizer']).map((one) => one.settings.warmth))"
    )
    until(lambda: page.execute_async_script(stored) == [0.5, 0, 0])
    open_page(page, server)
    until(lambda: colorfulness(canvas(page)) > 5)
    assert np.array_equal(canvas(page), warm) and len(names(page)) == 3
    press(page, "#remove-all")
    assert page.execute_async_script(stored) == [] and not one(page, "#work").is_displayed()


def test_only_a_few_previews_are_kept_and_the_others_come_back(page: Any, pictures: list[Path]) -> None:
    choose(page, *(pictures[2] for _ in range(13)))
    until(lambda: "13" in one(page, "#status").text)
    drawn = (
        "return [...document.querySelectorAll('#gallery canvas')].every((one) =>"
        " one.getContext('2d').getImageData(88, 88, 1, 1).data[3])"
    )
    until(partial(page.execute_script, drawn))
    press(page, "#gallery li:nth-child(13) .thumb")
    until(lambda: not page.find_elements("css selector", "#view.plain"))
    assert one(page, "#status").text == "13 of 13: third.webp, 512 × 200 pixels"
    assert colorfulness(canvas(page)) > 5
    tab_to = page.find_element("css selector", "#gallery [aria-current=true]")
    tab_to.send_keys("\ue012")  # arrow left
    until(lambda: one(page, "#status").text.startswith("12 of 13"))


def test_a_color_that_is_known_is_said_on_the_photo(page: Any, pictures: list[Path], folder: Path) -> None:
    choose(page, pictures[0])
    grey = canvas(page)
    press(page, "#tell")
    click_at(page, "#pins", 0.5, 0.8)
    until(lambda: page.find_elements("css selector", ".swatch"))
    likely = [swatch.get_attribute("title") for swatch in page.find_elements("css selector", ".swatch")]
    assert likely[-1] == "no color: it is grey" and likely[0].endswith(" % likely") and len(likely) >= 2
    say_color(page, 1, "#204080")
    blue = canvas(page)
    place = (slice(407, 413), slice(177, 183))
    assert blue[place][..., 2].mean() > blue[place][..., 0].mean() + 20
    assert np.abs(color.luma(blue[place]) - color.luma(grey[place])).max() < 0.02
    (folder / "downloads" / "portrait-color.jpg").unlink(missing_ok=True)
    press(page, "#save")
    saved = downloaded(folder, "portrait-color.jpg")
    (hint,) = as_hints(probe(saved).hints)
    assert hint.color == "#204080" and np.hypot(hint.x - 0.5, hint.y - 0.8) < 0.004  # a click falls on a pixel
    drag(page, ".pin", (0, -100))
    settled(page)
    assert not np.array_equal(canvas(page), blue)
    press(page, "#undo")
    settled(page)
    assert np.array_equal(canvas(page), blue)
    page.find_element("css selector", ".pin").send_keys("\ue013")  # arrow up
    settled(page)
    assert one(page, "#hints li input:nth-of-type(3)").get_property("value") in ("78.9", "79.0", "79.1")
    assert problems(page) == []
    press(page, "#hints .remove")
    settled(page)
    assert np.array_equal(canvas(page), grey)


def test_a_place_where_a_color_helps_is_found(page: Any, pictures: list[Path]) -> None:
    choose(page, pictures[0])
    press(page, "#tell")
    press(page, "#tell-where")
    until(lambda: page.find_elements("css selector", ".swatch"))
    press(page, ".swatch")
    settled(page)
    assert one(page, ".pin").get_attribute("aria-label").startswith("Place 1, #")


def test_another_photo_is_followed_over_a_reload_and_in_what_is_saved(
    page: Any, pictures: list[Path], folder: Path, astronaut: NDArray[np.uint8]
) -> None:
    Image.fromarray(astronaut[:, 60:420, ::-1]).save(folder / "blue face.png")
    choose(page, pictures[0])
    alone = canvas(page)
    one(page, "#reference").send_keys(str(folder / "blue face.png"))
    settled(page)
    guided = canvas(page)
    assert np.abs(guided.astype(int) - alone).mean() > 2
    assert one(page, "#followed span").text == "Follows blue face.png"
    assert "the reference was followed" in one(page, "#notes").text and problems(page) == []
    (folder / "downloads" / "portrait-color.jpg").unlink(missing_ok=True)
    press(page, "#save")
    saved = np.asarray(Image.open(downloaded(folder, "portrait-color.jpg")))
    assert np.abs(saved.astype(int) - guided).mean() < 4
    time.sleep(0.5)  # settings are kept when they rest
    page.refresh()
    until(lambda: page.execute_script("return document.body.dataset.ready"))
    until(lambda: np.array_equal(canvas(page), guided))
    press(page, "#unfollow")
    settled(page)
    assert np.array_equal(canvas(page), alone) and not one(page, "#followed").is_displayed()


def test_colors_stated_in_a_result_are_taken_from_it(page: Any, pictures: list[Path], folder: Path) -> None:
    stated = Colorizer().photo(pictures[0], hints=["0.5,0.8=#204080", "0.2,0.2,0.1=none (Aunt May)"])
    stated.save(folder / "stated.jpg")
    choose(page, pictures[0])
    one(page, "#hints-file").send_keys(str(folder / "stated.jpg"))
    until(lambda: len(page.find_elements("css selector", "#hints li")) == 2)
    settled(page)
    assert np.abs(stated.pixels.astype(int) - canvas(page)).mean() < 2
    (folder / "downloads" / "portrait-color.jpg").unlink(missing_ok=True)
    press(page, "#save")
    assert probe(downloaded(folder, "portrait-color.jpg")).hints == "0.5,0.8=#204080; 0.2,0.2,0.1=none (Aunt May)"
    one(page, "#hints-file").send_keys(str(pictures[0]))
    until(lambda: "portrait.jpg: The file holds no hints" in one(page, "#errors").text)


def test_the_photo_is_seen_from_near_in_its_own_pixels(
    page: Any, folder: Path, colorizer: Colorizer, grey: NDArray[np.uint8]
) -> None:
    rng = np.random.default_rng(0)
    fine = np.kron(grey, np.ones((5, 5))) + rng.normal(0, 12, (2560, 2560))
    Image.fromarray(np.clip(fine, 0, 255).astype(np.uint8)).save(folder / "large.png")
    choose(page, folder / "large.png")
    assert one(page, "#zoom").text == "Whole photo" and canvas(page).shape[0] == 1280
    press(page, "#zoom")
    until(one(page, "#nearby").is_displayed)
    assert one(page, "#zoom").text == "100 %"
    part = page.execute_script(
        "const {left, top, width} = document.querySelector('#nearby').style; return [left, top, width].map(parseFloat)"
    )
    left, top, width = (round(one * 25.6) for one in part)
    near, before = canvas(page, "#nearby"), canvas(page, "#nearby-before")
    place = slice(top, top + near.shape[0]), slice(left, left + near.shape[1])
    assert abs(near.shape[1] - width) <= 1 and left > 0 and top > 0
    assert np.abs(before[..., 0].astype(int) - np.clip(fine, 0, 255).astype(np.uint8)[place]).max() <= 1
    wanted = colorizer.photo(folder / "large.png").pixels[place].astype(int)
    assert np.abs(wanted - near).mean() < 1
    move(page, "#saturation", 0)
    until(lambda: one(page, "#nearby").is_displayed() and colorfulness(canvas(page, "#nearby")) == 0)
    box = "const box = document.querySelector('#layers').getBoundingClientRect(); return [box.left, box.width]"
    (at, wide), away = page.execute_script(box), -60
    drag(page, "#view", (away, 0), start=(0.75, 0.75))
    (moved, still), split = page.execute_script(box), one(page, "#split").get_property("value")
    assert abs(moved - at - away) < 3 and abs(still - wide) < 1 and split == "50"
    drag(page, "#view", (away, 0))  # from the middle, where before and after meet
    assert float(one(page, "#split").get_property("value")) < 50
    assert abs(page.execute_script(box)[0] - moved) < 1
    assert problems(page) == []
    one(page, "#nearer").send_keys("0")
    assert one(page, "#zoom").text == "Whole photo" and not one(page, "#nearby").is_displayed()
    for turn in (-400, 900):
        page.execute_script(
            "const [view, turn] = arguments; const {left, top} = view.getBoundingClientRect(); view.dispatchEvent("
            "new WheelEvent('wheel', {deltaY: turn, clientX: left, clientY: top, cancelable: true}))",
            one(page, "#view"),
            turn,
        )
        assert (one(page, "#zoom").text == "Whole photo") == (turn > 0)


def test_a_photo_is_turned_with_the_colors_said_on_it(page: Any, pictures: list[Path], folder: Path) -> None:
    choose(page, pictures[0])
    first = canvas(page)
    press(page, "#tell")
    click_at(page, "#pins", 0.25, 0.75)
    say_color(page, 1, "#204080")
    press(page, "#turn-right")
    settled(page)
    assert one(page, "#status").text == "portrait.jpg, 512 × 360 pixels"
    turned = canvas(page)
    assert turned.shape[:2] == first.shape[1::-1]
    x, y = (float(one(page, f"#hints input:nth-of-type({n})").get_property("value")) for n in (2, 3))
    assert abs(x - 25) < 0.5 and abs(y - 25) < 0.5  # it was at 25, 75
    place = turned[85:95, 123:133]
    assert place[..., 2].mean() > place[..., 0].mean() + 20
    press(page, "#show-guessed")
    until(one(page, "#guessed").is_displayed)
    veil = canvas(page, "#guessed").shape
    assert veil[1] > veil[0]
    (folder / "downloads" / "portrait-color.jpg").unlink(missing_ok=True)
    press(page, "#save")
    with Image.open(downloaded(folder, "portrait-color.jpg")) as saved:
        assert saved.size == (512, 360)
        assert np.abs(np.asarray(saved).astype(int) - turned).mean() < 4
    press(page, "#turn-left")
    settled(page)
    press(page, "#hints .remove")
    settled(page)
    assert np.array_equal(canvas(page), first) and problems(page) == []


def test_some_photos_are_selected_changed_and_saved(page: Any, pictures: list[Path], folder: Path) -> None:
    choose(page, *pictures)
    until(lambda: len(names(page)) == 3)
    move(page, "#saturation", 0)
    page.execute_script(
        "const [thumb] = arguments; thumb.dispatchEvent(new MouseEvent('click', {ctrlKey: true, bubbles: true}))",
        page.find_elements("css selector", "#gallery .thumb")[2],
    )
    assert one(page, "#spread").text == "Use for the selected photos (1)"
    assert problems(page) == []
    press(page, "#spread")
    for old in (folder / "downloads").glob("colored-photos*"):
        old.unlink()
    press(page, "#save-all")
    with zipfile.ZipFile(downloaded(folder, "colored-photos.zip")) as archive:
        assert archive.namelist() == ["third-color.webp"]
        assert colorfulness(np.asarray(Image.open(io.BytesIO(archive.read("third-color.webp"))))) < 0.1
    press(page, "#gallery li:nth-child(2) .thumb")
    settled(page)
    assert one(page, "#spread").text == "Use for all photos" and colorfulness(canvas(page)) > 5


def test_pins_are_set_where_they_point_from_near(page: Any, pictures: list[Path]) -> None:
    choose(page, pictures[0])
    press(page, "#tell")
    for _ in range(3):
        press(page, "#nearer")
    click_at(page, "#view", 0.5, 0.5)
    until(lambda: page.find_elements("css selector", ".pin"))
    x, y = (float(one(page, f"#hints input:nth-of-type({n})").get_property("value")) for n in (2, 3))
    assert abs(x - 50) < 0.5 and abs(y - 50) < 0.5
    drag(page, "#view", (80, 60), start=(0.3, 0.3))
    assert len(page.find_elements("css selector", ".pin")) == 1  # to move the photo says no color
    click_at(page, "#view", 0.25, 0.5)
    until(lambda: len(page.find_elements("css selector", ".pin")) == 2)
    assert float(one(page, "#hints li:nth-child(2) input:nth-of-type(2)").get_property("value")) < 45


def test_where_it_guessed_is_shown(page: Any, pictures: list[Path]) -> None:
    choose(page, pictures[0])
    press(page, "#show-guessed")
    until(one(page, "#guessed").is_displayed)
    veil = canvas(page, "#guessed")
    assert colorfulness(veil) == 0 and np.ptp(veil) > 30
    press(page, "#show-guessed")
    until(lambda: not one(page, "#guessed").is_displayed())


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


def test_one_photo_that_fails_does_not_cost_the_others(page: Any, pictures: list[Path], folder: Path) -> None:
    (folder / "torn.jpg").write_text("<html>not a photo</html>")
    choose(page, pictures[0], folder / "torn.jpg", pictures[2])
    until(lambda: "torn.jpg (failed)" in names(page))
    downloads = folder / "downloads"
    for old in downloads.glob("colored-photos*"):
        old.unlink()
    press(page, "#save-all")
    with zipfile.ZipFile(downloaded(folder, "colored-photos.zip")) as archive:
        assert archive.namelist() == ["portrait-color.jpg", "third-color.webp"]
    until(lambda: "1 of 3 could not be saved. torn.jpg: " in one(page, "#errors").text)


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


def test_damage_is_repaired_on_request_and_shown_before_and_after(page: Any, folder: Path, tmp_path: Path) -> None:
    pixels = np.full((200, 240), 90, np.uint8)
    pixels[:, 118:121] = 240
    Image.fromarray(pixels).save(tmp_path / "scratched.png")
    choose(page, tmp_path / "scratched.png")
    assert canvas(page)[100, 119].mean() > 200
    press(page, "#repair [value=scratches]")
    settled(page)
    until(lambda: "repaired: scratches" in one(page, "#notes").text)
    assert canvas(page)[100, 119].mean() < 130
    assert canvas(page, "#before")[100, 119].mean() > 200
    press(page, "#save")
    with Image.open(downloaded(folder, "scratched-color.png")) as saved:
        assert np.asarray(saved)[100, 119].mean() < 130
    press(page, "#undo")
    settled(page)
    until(lambda: canvas(page)[100, 119].mean() > 200)


# --- Films ----------------------------------------------------------------------------------------------


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


def test_a_film_is_sent_colored_kept_over_a_reload_played_and_removed(
    page: Any, server: Running, folder: Path, grey: NDArray[np.uint8]
) -> None:
    film = bad_films.make_film(folder / "reel.mp4", codec="h264", size=(240, 320), frames=150)
    send_film(page, film)
    assert problems(page) == []
    press(page, "#reels [type=submit]")
    until(lambda: "Coloring" in one(page, ".results").text or "Looking" in one(page, ".results").text)
    page.refresh()
    until(lambda: one(page, "#films").is_displayed())
    until(lambda: "Done" in one(page, "#reels").text, 60)
    video = "const video = document.querySelector('#reels video');"
    until(lambda: page.execute_script(video + "return video.duration > 5 && video.videoWidth === 320"))
    press(page, "#reels a")
    saved = downloaded(folder, "reel-color.mp4")
    assert saved.read_bytes()[4:8] == b"ftyp"
    assert problems(page) == []
    assert one(page, "#said").get_property("textContent") == "reel.mp4: Done."
    press(page, ".results button")
    until(lambda: page.find_elements("css selector", ".results li") == [])
    no_films(page)


def test_a_still_answers_to_the_sliders_and_a_part_is_tried(page: Any, folder: Path) -> None:
    film = bad_films.make_film(folder / "desk.mp4", codec="h264", size=(240, 320), frames=300)
    send_film(page, film)
    canvas_of = "#reels canvas"
    first = canvas(page, canvas_of)
    move(page, "[name=saturation]", 0)
    assert colorfulness(first) > 1 > colorfulness(canvas(page, canvas_of)) == 0
    move(page, "[name=saturation]", 1)
    move(page, "[name=at]", 4)
    until(lambda: page.find_elements("css selector", ".still:not(.busy)"))
    assert not np.array_equal(canvas(page, canvas_of), first)
    assert one(page, "[name=at]").get_attribute("aria-valuetext") == "0:04 of 0:12"
    page.execute_script("document.querySelector('#reels details').open = true")
    press(page, "#reels [value=flicker]")
    press(page, "#reels [data-act=try]")
    until(lambda: "0:04 to 0:14, Video" in one(page, ".results").text)
    until(lambda: "Done" in one(page, ".results").text, 90)
    (job,) = page.execute_async_script("fetch('api/jobs').then((a) => a.json()).then(arguments[0])")
    assert job["options"]["repair"] == ["flicker"] and job["options"]["start"] == 4
    no_films(page)


def test_a_film_is_sent_on_after_a_reload(page: Any, server: Running, folder: Path) -> None:
    film = bad_films.make_film(folder / "broken off.mp4", codec="h264", frames=12)
    size = film.stat().st_size
    page.execute_async_script(
        "const done = arguments[2]; (async () => {"
        "const answer = await fetch(`api/films?name=${arguments[0]}&size=${arguments[1]}`, {method: 'POST'});"
        "const {id} = await answer.json();"
        "await fetch(`api/films/${id}?offset=0`, {method: 'PATCH', body: new Blob([new Uint8Array(0)])}); done();})()",
        film.name,
        size,
    )
    press(page, "#tab-films")
    page.refresh()
    until(lambda: "Choose the file again" in one(page, "#reels").text)
    send_film(page, film)
    assert len(page.find_elements("css selector", "#reels > li")) == 1
    no_films(page)


def test_a_still_that_is_corrected_guides_its_film(page: Any, folder: Path) -> None:
    film = bad_films.make_film(folder / "still.mp4", codec="h264", size=(240, 320), frames=50)
    send_film(page, film)
    press(page, "#reels [data-act=correct]")
    until(lambda: one(page, "#status").text.startswith("still.mp4 at 0:00.png"))
    settled(page)
    press(page, "#tell")
    click_at(page, "#pins", 0.5, 0.5)
    say_color(page, 1, "#804020")
    press(page, "#guide")
    until(lambda: "guides its film now" in one(page, "#said").get_property("textContent"))
    page.refresh()
    until(lambda: one(page, "#guide").is_displayed())  # it is still known whose still it is
    press(page, "#tab-films")
    until(lambda: "Follows the still at 0:00." in one(page, "#reels").text)
    press(page, "#reels [data-act=forget]")
    until(lambda: "Follows" not in one(page, "#reels").text)
    no_films(page)


def test_a_film_that_fails_says_why(page: Any, folder: Path) -> None:
    (folder / "broken.mp4").write_bytes(bytes(9000))
    press(page, "#tab-films")
    one(page, "#film-file").send_keys(str(folder / "broken.mp4"))
    until(lambda: "broken.mp4 cannot be read" in one(page, "#errors").text)
    press(page, "#reels [type=submit]")
    until(lambda: "broken.mp4 cannot be read" in one(page, ".results").text)
    assert "broken.mp4 cannot be read" in one(page, "#said").get_property("textContent")
    assert problems(page) == []
    no_films(page)


# --- For everyone ---------------------------------------------------------------------------------------


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
