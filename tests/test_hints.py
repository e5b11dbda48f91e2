from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from skimage.color import deltaE_ciede2000, rgb2lab

from vintage_colorizer import Colorizer, color
from vintage_colorizer.errors import OptionError
from vintage_colorizer.hints import MOST, Hint, as_hints, obeyed, painted
from vintage_colorizer.options import Look, PhotoOptions
from vintage_colorizer.photo.reading import probe

Grey = NDArray[np.uint8]
UNIT = st.floats(0, 1).map(lambda number: round(number, 6))
WHO = st.text(st.characters(blacklist_categories=("C", "Z"), blacklist_characters=";()"), max_size=20)


@given(UNIT, UNIT, st.integers(0, 2**24 - 1), st.floats(0, 0.5).map(lambda number: round(number, 6)), WHO)
def test_hints_come_back_from_text(x: float, y: float, code: int, radius: float, by: str) -> None:
    hint = Hint(x, y, f"#{code:06x}", radius, by)
    assert Hint.parse(str(hint)) == hint


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("0.42,0.63=navy", Hint(0.42, 0.63, "#000080")),
        (" .5 , 1 = #ABC ", Hint(0.5, 1, "#aabbcc")),
        ("0,0,0.1=none", Hint(0, 0, "none", 0.1)),
        ("0,0=rgb(10, 20, 30) (Aunt May)", Hint(0, 0, "#0a141e", by="Aunt May")),
        ("1,1=SkyBlue (1923)", Hint(1, 1, "#87ceeb", by="1923")),
    ],
)
def test_hints_are_read(text: str, hint: Hint) -> None:
    assert Hint.parse(text) == hint


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1.1,0=red", "outside"),
        ("0,-0.1=red", "outside"),
        ("nan,0=red", "outside"),
        ("0,0,0.6=red", "radius"),
        ("0,0=dress", "no color"),
        ("0,0", "no hint"),
        ("0=red", "no hint"),
        ("0,0,0,0=red", "no hint"),
        ("a,b=red", "no hint"),
        ("", "no hint"),
        ("0,0=red (a\nb)", "name"),
    ],
)
def test_wrong_hints_are_named(text: str, words: str) -> None:
    with pytest.raises(OptionError, match=words):
        Hint.parse(text)


def test_several_hints_are_given_as_they_come() -> None:
    both = (Hint(0, 0, "red"), Hint(1, 1, "none"))
    assert as_hints("0,0=red; 1,1=none;") == as_hints([both[0], "1,1=none"]) == as_hints(both) == both
    assert as_hints("") == ()
    with pytest.raises(OptionError, match="501 hints"):
        as_hints([both[0]] * (MOST + 1))


def test_options_keep_them_as_text_and_say_what_is_wrong() -> None:
    assert PhotoOptions.of(hints=[Hint(0.5, 0.5, "navy")]).hints == ("0.5,0.5=#000080",)
    with pytest.raises(OptionError, match=r"^'0.5=red' is no hint"):
        PhotoOptions.of(hints=["0.5=red"])


def test_a_network_is_told_what_the_luma_can_hold() -> None:
    luma = np.full((8, 16), 0.9, np.float32)
    grid = painted([Hint(0.5, 0.5, "navy"), Hint(0, 1, "none", 0.1)], luma)
    told = grid[2] == 1
    assert told[4, 8] and told[7, 0] and not told[0, 15]
    assert 0 < grid[0, 4, 8] <= 0.1 * color.U_SCALE + 1e-6
    assert not grid[:2, 7, 0].any() and not grid[:, ~told].any()


@given(st.lists(st.tuples(UNIT, UNIT, st.sampled_from(["red", "#336699", "none", "gold"])), min_size=1, max_size=12))
def test_the_last_hint_of_a_place_has_its_color(given: list[tuple[float, float, str]]) -> None:
    luma = np.linspace(0.3, 0.6, 24 * 32, dtype=np.float32).reshape(24, 32)
    hints = [Hint(x, y, name) for x, y, name in given]
    chroma = obeyed(np.full((24, 32, 2), 0.1, np.float32), luma, hints)
    assert np.isfinite(chroma).all()
    last = hints[-1]
    row, column = min(23, int(last.y * 24)), min(31, int(last.x * 32))
    expected = color.attainable(np.array([[last.chroma]], np.float32), luma[row : row + 1, column : column + 1])[0, 0]
    np.testing.assert_allclose(chroma[row, column], expected, atol=0.02)


def test_without_hints_nothing_changes(colorizer: Colorizer, grey: Grey) -> None:
    chroma = np.ones((4, 4, 2), np.float32)
    assert obeyed(chroma, np.ones((4, 4), np.float32), ()) is chroma
    plain, empty = colorizer.photo(grey), colorizer.photo(grey, hints=[])
    np.testing.assert_array_equal(plain.pixels, empty.pixels)
    assert plain.fingerprint == empty.fingerprint


def test_the_embedded_network_is_not_told(colorizer: Colorizer, grey: Grey) -> None:
    plain, hinted = colorizer.photo(grey), colorizer.photo(grey, hints=["0.4,0.9=#d0662a"])
    np.testing.assert_array_equal(plain.chroma, hinted.chroma)
    changed = np.linalg.norm(hinted.final_chroma - plain.final_chroma, axis=-1) > 0.02
    assert 0.05 < changed.mean() < 0.6  # the thing there, and not the picture


def test_across_an_edge_little_leaks() -> None:
    luma = np.where(np.arange(40) < 20, 0.3, 0.7) * np.ones((40, 1))
    chroma = obeyed(np.zeros((40, 40, 2), np.float32), luma.astype(np.float32), [Hint(0.45, 0.5, "red")])
    inside, outside = np.abs(chroma[20, 17]).max(), np.abs(chroma[20, 21]).max()
    assert inside > 20 * outside


NAMES = ["navy", "#804020", "green", "none", "#c08090", "gold"]


@pytest.mark.parametrize("look", ["artistic", "stable", "video"])
@pytest.mark.parametrize("name", NAMES)
def test_a_photo_has_the_colors_that_are_stated(colorizer: Colorizer, grey: Grey, look: Look, name: str) -> None:
    """Within CIEDE2000 6 of what that luma can hold, whatever the look does to colors."""
    places = [(0.4, 0.25), (0.1, 0.5), (0.7, 0.9)]
    hints = [Hint(x, y, name, 0.02) for x, y in places]
    result = colorizer.photo(grey, look=look, saturation=1.4, warmth=0.3, hints=hints)
    plane = color.luma(grey)
    for hint in hints:
        row, column = round(hint.y * grey.shape[0]), round(hint.x * grey.shape[1])
        near = np.s_[row - 2 : row + 3, column - 2 : column + 3]
        stated = color.merge(grey[near], np.array([[hint.chroma]], np.float32))
        lab, expected = (rgb2lab(one).mean(axis=(0, 1)) for one in (result.pixels[near], stated))
        assert deltaE_ciede2000(lab, expected) < 6
        assert np.abs(color.luma(result.pixels[near]) - plane[near]).max() <= 1 / 255


def test_hints_speak_of_the_upright_picture(colorizer: Colorizer, grey: Grey, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.rot90(grey)).save(tmp_path / "turned.png", exif=exif)
    Image.fromarray(grey).save(tmp_path / "upright.png")
    one, other = (
        colorizer.photo(tmp_path / name, hints=["0.2,0.7=red"]).pixels for name in ("turned.png", "upright.png")
    )
    np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("name", ["out.png", "out.jpg", "out.tiff", "out.webp"])
def test_what_was_stated_is_in_the_file(colorizer: Colorizer, grey: Grey, tmp_path: Path, name: str) -> None:
    hints = [Hint(0.25, 0.5, "navy", by="Aunt May & Ömer"), Hint(1, 1, "none", 0.1)]
    first = colorizer.photo(grey, hints=hints)
    first.save(tmp_path / name)
    stated = as_hints(probe(tmp_path / name).hints)
    assert stated == tuple(hints)
    again = colorizer.photo(grey, hints=stated)
    assert again.fingerprint == first.fingerprint != colorizer.photo(grey).fingerprint
    np.testing.assert_array_equal(again.pixels, first.pixels)
    colorizer.photo(grey).save(tmp_path / name)
    assert probe(tmp_path / name).hints == ""


def test_the_luma_plane_way_obeys_too(colorizer: Colorizer, grey: Grey) -> None:
    luma = color.luma(grey)
    chroma = colorizer.chroma(luma, hints=["0.5,0.5,0.05=red"])
    expected = color.attainable(np.array([[Hint(0, 0, "red").chroma]], np.float32), luma[256:257, 256:257])[0, 0]
    shown = color.attainable(chroma[256:257, 256:257], luma[256:257, 256:257])[0, 0]
    np.testing.assert_allclose(shown, expected, atol=0.02)
