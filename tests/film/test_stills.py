from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data

from support.bad_films import frames_of, grey_film, luma_of, plane_of
from vintage_colorizer import color
from vintage_colorizer.colorizer import Colorizer
from vintage_colorizer.errors import InputError, OptionError
from vintage_colorizer.film.plan import Plan, film_fingerprint, make_plan
from vintage_colorizer.film.records import of_json, to_json
from vintage_colorizer.film.stills import Keyframe
from vintage_colorizer.hints import Hint
from vintage_colorizer.options import FilmOptions, PhotoOptions

pytestmark = pytest.mark.long
SIZE = (180, 240)


def pans(scenes: list[str], frames: int) -> list[np.ndarray]:
    """A slow pan over each photo, one after the other, RGB."""
    made = []
    for scene in scenes:
        photo = cv2.resize(np.asarray(getattr(data, scene)()), (320, 240), interpolation=cv2.INTER_AREA)
        made += [photo[2 * n : 2 * n + SIZE[0], 3 * n : 3 * n + SIZE[1]] for n in range(frames)]
    return made


def pans_film(path: Path, frames: list[np.ndarray]) -> Path:
    return grey_film(path, [np.rint(color.luma(pixels) * 255).astype(np.uint8) for pixels in frames])


def errors(colorizer: Colorizer, source: Path, truth: list[np.ndarray], **settings: Any) -> list[float]:
    """How far each frame's chroma is from the truth's."""
    shown = colorizer.frames(source, threads=1, separate_scenes=True, **settings)
    return [
        float(np.sqrt(np.mean((color.chroma_of(frame.shown) - color.chroma_of(right)) ** 2)))
        for frame, right in zip(shown, truth, strict=True)
    ]


def save(pixels: np.ndarray, path: Path) -> str:
    Image.fromarray(pixels).save(path)
    return str(path)


def test_a_still_guides_its_shot_and_no_other(colorizer: Colorizer, tmp_path: Path) -> None:
    truth = pans(["astronaut", "coffee"], 12)
    source = pans_film(tmp_path / "in.mkv", truth)
    still = save(truth[6], tmp_path / "still.png")
    plain = errors(colorizer, source, truth)
    guided = errors(colorizer, source, truth, keyframes=(f"0.6={still}",))
    assert np.mean(guided[:12]) < 0.7 * np.mean(plain[:12])
    assert guided[12:] == plain[12:]


def test_a_scene_that_returns_is_guided_on_request(colorizer: Colorizer, tmp_path: Path) -> None:
    truth = pans(["astronaut", "coffee", "astronaut"], 8)
    source = pans_film(tmp_path / "in.mkv", truth)
    settings = {"keyframes": (f"0.3={save(truth[3], tmp_path / 'still.png')}",)}
    plain = errors(colorizer, source, truth)
    once = errors(colorizer, source, truth, **settings)
    all_of_it = errors(colorizer, source, truth, recurring=True, **settings)
    assert once[16:] == plain[16:] and all_of_it[:16] == once[:16]
    assert np.mean(all_of_it[16:]) < 0.7 * np.mean(plain[16:])


def test_a_hint_holds_for_its_shot(colorizer: Colorizer, tmp_path: Path) -> None:
    truth = pans(["astronaut", "coffee"], 6)
    source = pans_film(tmp_path / "in.mkv", truth)
    frames = list(colorizer.frames(source, threads=1, hints=["0.3,0.85@0.3=#2040d0"]))
    plain = list(colorizer.frames(source, threads=1))
    for index in range(6):  # the suit, which moves by 3 pixels a frame
        x, y = int(0.3 * SIZE[1]) - 3 * (index - 3), int(0.85 * SIZE[0]) - 2 * (index - 3)
        u, v = (
            color.chroma_of(one[index].shown)[y - 3 : y + 4, x - 3 : x + 4].mean(axis=(0, 1)) for one in (frames, plain)
        )
        assert u[0] > v[0] + 0.05
    for one, other in zip(frames[6:], plain[6:], strict=True):
        assert all(np.array_equal(*planes) for planes in zip(one.chroma, other.chroma, strict=True))


def test_guided_segments_are_pure_functions_of_the_plan(color: Any, colorizer: Colorizer, tmp_path: Path) -> None:
    truth = pans(["astronaut"], 12)
    source = pans_film(tmp_path / "in.mkv", truth)
    keyframes = (f"0.2={save(truth[2], tmp_path / 'still.png')}",)
    plan = make_plan(source, colorizer.networks, FilmOptions.of(keyframes=keyframes, threads=1), "ffv1")
    assert len(plan.stills) == 1 and of_json(Plan, to_json(plan)) == plan
    whole, _ = color(source, "whole.mkv", keyframes=keyframes)
    part, _ = color(source, "part.mkv", keyframes=keyframes, start=0.5)
    assert all(np.array_equal(one, other) for one, other in zip(luma_of(source), luma_of(whole), strict=True))
    planes = [plane_of(frame, 1) for frame in frames_of(whole)][5:]
    assert all(np.array_equal(one, plane_of(two, 1)) for one, two in zip(planes, frames_of(part), strict=True))


def test_a_fingerprint_knows_the_stills(tmp_path: Path) -> None:
    source = pans_film(tmp_path / "in.mkv", pans(["coffee"], 2))
    still = Path(save(pans(["coffee"], 1)[0], tmp_path / "still.png"))
    options = FilmOptions.of(keyframes=[f"0={still}"])
    before = film_fingerprint(source, options, "n", ".mkv")
    assert before != film_fingerprint(source, FilmOptions(), "n", ".mkv")
    save(pans(["chelsea"], 1)[0], still)
    assert before != film_fingerprint(source, options, "n", ".mkv")


@pytest.mark.parametrize("text", ["still.png", "=still.png", "x=still.png", "-1=still.png", "3="])
def test_keyframes_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(OptionError, match="is no keyframe"):
        Keyframe.parse(text)


def test_bad_stills_are_said(color: Any, tmp_path: Path) -> None:
    truth = pans(["coffee"], 3)
    source = pans_film(tmp_path / "in.mkv", truth)
    grey = save(np.full((*SIZE, 3), 99, np.uint8), tmp_path / "grey.png")
    tall = save(truth[0][:, :100], tmp_path / "tall.png")
    good = save(truth[0], tmp_path / "good.png")
    (tmp_path / "text.png").write_text("x")
    for keyframe, error, words in (
        (f"0={grey}", OptionError, "no color"),
        (f"0={tall}", OptionError, "another shape"),
        (f"9={good}", OptionError, "the film is over"),
        (f"0={tmp_path / 'text.png'}", InputError, "cannot be read as a picture"),
        (f"0={tmp_path / 'none.png'}", InputError, "cannot be read"),
    ):
        with pytest.raises(error, match=words):
            color(source, keyframes=(keyframe,))


def test_hints_have_times_in_films_and_none_in_photos() -> None:
    hint = Hint.parse("0.25,0.5@1:30=navy (Aunt May)")
    assert hint.time == 90 and str(hint) == "0.25,0.5@90=#000080 (Aunt May)"
    assert Hint.parse(str(hint)) == hint
    with pytest.raises(OptionError, match="says no time"):
        FilmOptions.of(hints=["0.5,0.5=navy"])
    with pytest.raises(OptionError, match="says a time"):
        PhotoOptions.of(hints=["0.5,0.5@3=navy"])
    for text in ("0.5,0.5@=navy", "0.5,0.5@x=navy", "0.5,0.5@-1=navy", "0.5@3,0.5=navy"):
        with pytest.raises(OptionError, match="hint"):
            Hint.parse(text)


def test_a_scene_that_returns_gets_its_colors_again(colorizer: Colorizer, tmp_path: Path) -> None:
    one, other = pans(["astronaut"], 8), pans(["coffee"], 8)
    darker = [(pixels * 0.85).astype(np.uint8) for pixels in one]
    source = pans_film(tmp_path / "in.mkv", [*one, *other, *darker])

    def drift(separate: bool) -> float:
        frames = list(colorizer.frames(source, threads=1, separate_scenes=separate))
        chroma = [color.chroma_of(frame.shown) for frame in frames]
        pairs = zip(chroma[:8], chroma[16:], strict=True)
        away = [np.hypot(*np.moveaxis(first - again, -1, 0)).mean() / color.strength(first) for first, again in pairs]
        return float(np.mean(away))

    assert drift(separate=False) < 0.75 * drift(separate=True)


def test_scenes_that_do_not_return_are_left(colorizer: Colorizer, tmp_path: Path) -> None:
    source = pans_film(tmp_path / "in.mkv", pans(["astronaut", "coffee", "chelsea", "rocket"], 6))
    apart, together = (
        [frame.chroma for frame in colorizer.frames(source, threads=1, separate_scenes=separate)]
        for separate in (True, False)
    )
    assert all(
        np.array_equal(a, b) for one, two in zip(apart, together, strict=True) for a, b in zip(one, two, strict=True)
    )
