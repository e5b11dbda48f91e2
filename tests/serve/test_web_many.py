"""The page in a real browser: many photos, undo, and what survives a reload."""

from __future__ import annotations

import io
import shutil
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from support.browsers import requested
from support.pages import (
    CTRL,
    SHIFT,
    canvas,
    choose,
    colorfulness,
    downloaded,
    drop,
    move,
    names,
    one,
    open_page,
    press,
    press_keys,
    problems,
    settled,
)
from support.servers import Running
from support.waiting import until


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


def test_a_pasted_picture_is_taken(page: Any) -> None:
    page.execute_async_script(
        "const done = arguments[0]; const canvas = new OffscreenCanvas(64, 48);"
        "canvas.getContext('2d').fillRect(9, 9, 30, 20);"
        "canvas.convertToBlob().then((blob) => { const data = new DataTransfer();"
        "data.items.add(new File([blob], 'image.png', {type: 'image/png'}));"
        "document.dispatchEvent(new ClipboardEvent('paste', {clipboardData: data})); done(); })"
    )
    until(lambda: one(page, "#status").text == "image.png, 64 × 48 pixels")


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
    until(lambda: one(page, "#status").text == "13 of 13: third.webp, 512 × 200 pixels")
    settled(page)
    assert colorfulness(canvas(page)) > 5
    tab_to = page.find_element("css selector", "#gallery [aria-current=true]")
    tab_to.send_keys("\ue012")  # arrow left
    until(lambda: one(page, "#status").text.startswith("12 of 13"))


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
