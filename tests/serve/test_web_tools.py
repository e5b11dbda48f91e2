"""The page in a real browser: colors that are known, references, the loupe, turning, repair, looks."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from support.browsers import requested
from support.pages import (
    at,
    canvas,
    choose,
    click_at,
    colorfulness,
    downloaded,
    drag,
    move,
    one,
    press,
    problems,
    say_color,
    settled,
    touch,
)
from support.waiting import until
from vintage_colorizer import Colorizer, color
from vintage_colorizer.hints import as_hints
from vintage_colorizer.options import LOOKS
from vintage_colorizer.photo.reading import probe


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


def test_colors_are_said_moved_and_looked_at_with_fingers(page: Any, pictures: list[Path]) -> None:
    page.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True, "maxTouchPoints": 2})
    choose(page, pictures[0])
    press(page, "#tell")
    touch(page, [at(page, "#pins", 0.5, 0.8)])
    until(lambda: page.find_elements("css selector", ".swatch"))
    say_color(page, 1, "#204080")
    blue = canvas(page)
    x, y = at(page, ".pin", 0.5, 0.5)
    touch(page, [(x, y)], [(x, y - 40)], [(x, y - 80)])
    assert not np.array_equal(canvas(page), blue)
    assert len(page.find_elements("css selector", ".pin")) == 1
    press(page, "#tell")
    x, y = at(page, "#view", 0.5, 0.5)
    touch(page, [(x - 20, y), (x + 20, y)], [(x - 60, y), (x + 60, y)], [(x - 90, y), (x + 90, y)])
    assert one(page, "#zoom").text != "Whole photo"
    page.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})


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


def test_a_part_of_a_photo_is_kept(page: Any, pictures: list[Path], folder: Path) -> None:
    choose(page, pictures[0])
    first = canvas(page, "#before")
    press(page, "#tell")
    for number, x in ((1, 0.5), (2, 0.9)):
        click_at(page, "#pins", x, 0.25)
        say_color(page, number, "#204080")
    press(page, "#crop")
    assert page.execute_script("return document.activeElement.getAttribute('aria-label')") == (
        "Upper left corner: 10 % from the left, 10 % from the top"
    )
    assert problems(page) == []
    width, height = page.execute_script(
        "return [arguments[0].clientWidth, arguments[0].clientHeight]", one(page, "#frame")
    )
    drag(page, "#frame .corner:nth-child(4)", (-round(0.4 * width), -round(0.3 * height)))
    drag(page, "#frame .kept", (round(0.2 * width), -height), (0.5, 0.3))  # not beyond the edge
    for key in ("\ue012", "\ue013"):  # arrows left and up, which is no farther than the edge
        one(page, "#frame .corner").send_keys(key)
    sides = (
        "const {style} = arguments[0]; return ['left', 'top', 'width', 'height'].map((one) => parseFloat(style[one]))"
    )
    box = page.execute_script(sides, one(page, ".kept"))
    assert np.abs(np.array(box) - [29, 0, 41, 50]).max() < 1
    press(page, "#crop-use")
    settled(page)
    assert not one(page, "#frame").is_displayed() and not one(page, "#crop-bar").is_displayed()
    left, top, right, bottom = (round(v) for v in (3.6 * box[0], 0, 3.6 * (box[0] + box[2]), 5.12 * box[3]))
    shown = canvas(page, "#before")
    assert np.abs(shown.astype(int) - first[top:bottom, left:right]).mean() < 1
    assert one(page, "#status").text == f"portrait.jpg, {right - left} × {bottom - top} pixels"
    assert len(page.find_elements("css selector", "#hints li")) == 1  # the other lay outside
    x, y = (float(one(page, f"#hints input:nth-of-type({n})").get_property("value")) for n in (2, 3))
    assert abs(x - 51) < 2 and abs(y - 50) < 2
    (folder / "downloads" / "portrait-color.jpg").unlink(missing_ok=True)
    press(page, "#save")
    with Image.open(downloaded(folder, "portrait-color.jpg")) as saved:
        assert saved.size == (right - left, bottom - top)
        assert np.abs(np.asarray(saved).astype(int) - canvas(page)).mean() < 4
    press(page, "#turn-right")
    settled(page)
    assert np.abs(canvas(page, "#before").astype(int) - np.rot90(shown, -1)).mean() < 1
    press(page, "#turn-left")
    settled(page)
    press(page, "#crop")
    press(page, "#crop-whole")
    settled(page)
    assert abs(float(one(page, "#hints input:nth-of-type(2)").get_property("value")) - 50) < 1
    assert np.array_equal(canvas(page, "#before"), first)
    press(page, "#crop")
    one(page, "#frame .corner").send_keys("\ue00c")  # escape
    assert not one(page, "#frame").is_displayed()


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


def test_what_is_filled_is_shown_and_corrected_with_a_brush(page: Any, folder: Path, tmp_path: Path) -> None:
    pixels = np.full((200, 240), 90, np.uint8)
    pixels[:, 118:121] = 240  # found
    pixels[60:66, 30:60] = 160  # not found
    Image.fromarray(pixels).save(tmp_path / "worn.png")
    choose(page, tmp_path / "worn.png")
    assert not one(page, "#mending").is_displayed()
    press(page, "#repair [value=scratches]")
    settled(page)
    press(page, "#show-filled")
    until(lambda: one(page, "#filled").is_displayed() and canvas(page, "#filled")[100, 119, 0] > 100)
    assert canvas(page, "#filled")[100, 50].max() == 0 and problems(page) == []
    press(page, "#without-color")
    settled(page)
    until(lambda: colorfulness(canvas(page)) == 0)
    assert one(page, ".tag.right").text == "Repaired" and canvas(page, "#before")[100, 119].mean() > 200
    press(page, "#brush")
    assert page.execute_script("return document.activeElement.id") == "filled" and problems(page) == []
    move(page, "#brush-size", 20)
    width = page.execute_script("return arguments[0].clientWidth", one(page, "#filled"))
    drag(page, "#filled", (round(width * 40 / 240), 0), (25 / 240, 63 / 200))
    assert canvas(page, "#filled")[63, 45, 0] > 100  # at once
    until(lambda: canvas(page)[63, 45].mean() < 130)
    press(page, "#brush-tools [value=take]")
    drag(page, "#filled", (0, round(width * 60 / 240)), (119 / 240, 20 / 200))
    until(lambda: canvas(page)[50, 119].mean() > 200 and canvas(page)[150, 119].mean() < 130)
    (folder / "downloads" / "worn-color.png").unlink(missing_ok=True)
    press(page, "#save")
    with Image.open(downloaded(folder, "worn-color.png")) as saved:
        grey = np.asarray(saved.convert("L"))
        assert grey[63, 45] < 130 and grey[50, 119] > 200 and grey[150, 119] < 130
    press(page, "#undo")
    until(lambda: canvas(page)[50, 119].mean() < 130 and canvas(page)[63, 45].mean() < 130)
    press(page, "#brush-clear")
    until(lambda: canvas(page)[63, 45].mean() > 150)
    one(page, "#filled").send_keys("\ue00c")  # escape
    assert not one(page, "#brush-tools").is_displayed()
    press(page, "#repair [value=scratches]")
    settled(page)
    until(lambda: not one(page, "#filled").is_displayed())


def test_frame_and_strokes_belong_to_their_photo(page: Any, pictures: list[Path]) -> None:
    choose(page, *pictures[:2])
    press(page, "#crop")
    other = one(page, "#gallery li:nth-child(2) .thumb")
    other.send_keys("\ue007")  # enter
    settled(page)
    assert not one(page, "#frame").is_displayed()
    assert page.execute_script("return document.activeElement === arguments[0]", other)  # no focus is taken away
    press(page, "#repair [value=scratches]")
    settled(page)
    press(page, "#brush")
    until(one(page, "#filled").is_displayed)
    drag(page, "#filled", (60, 0))
    until(one(page, "#brush-clear").is_displayed)
    settled(page)
    press(page, "#gallery li:nth-child(1) .thumb")
    settled(page)
    press(page, "#repair [value=scratches]")
    settled(page)
    assert not one(page, "#brush-clear").is_displayed()
    press(page, "#gallery li:nth-child(2) .thumb")
    settled(page)
    assert one(page, "#brush-clear").is_displayed()
    assert problems(page) == []
