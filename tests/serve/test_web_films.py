"""The page in a real browser: the desk for films."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from support import bad_films
from support.pages import (
    canvas,
    click_at,
    colorfulness,
    downloaded,
    move,
    no_films,
    one,
    press,
    problems,
    say_color,
    send_film,
    settled,
)
from support.servers import Running
from support.waiting import until


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
