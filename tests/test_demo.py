"""The demo picture, and how the command line comes to it."""

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vintage_colorizer import Colorizer
from vintage_colorizer.cli import app as cli
from vintage_colorizer.demo import HEIGHT, WIDTH, demo_picture, landscape


def exit_code(monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: str) -> int | str | None:
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["vintage-colorizer", "photo", *arguments])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code


def test_the_landscape_is_grey_and_the_same_each_time() -> None:
    picture = landscape()
    assert (picture.mode, picture.size) == ("L", (WIDTH, HEIGHT))
    assert picture.tobytes() == landscape().tobytes()


def test_the_landscape_is_colored_as_anyone_would_expect(colorizer: Colorizer) -> None:
    colored = colorizer.photo(landscape()).pixels.astype(float)
    red, _, blue = colored[100:180, 100:400].mean(axis=(0, 1))
    assert blue > red + 40, "the sky is not blue"
    red, green, blue = colored[430:530, 100:-100].mean(axis=(0, 1))
    assert green > red and green > blue + 30, "the meadow is not green"


def test_a_photo_is_taken_where_scikit_image_is_installed() -> None:
    pytest.importorskip("skimage")
    assert demo_picture().mode == "L"
    assert demo_picture().size == (512, 512)


def test_without_scikit_image_the_landscape_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "skimage", None)
    assert demo_picture().size == (WIDTH, HEIGHT)


def test_no_picture_is_a_usage_error(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert exit_code(monkeypatch, tmp_path) == 2
    assert "--demo" in capsys.readouterr().err
    assert exit_code(monkeypatch, tmp_path, "a.jpg", "--demo") == 2
    assert list(tmp_path.iterdir()) == []


def test_a_picture_named_like_the_demo_is_not_replaced(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    Image.fromarray(np.full((64, 64), 90, np.uint8)).save(tmp_path / "demo.jpg")
    before = (tmp_path / "demo.jpg").read_bytes()
    assert exit_code(monkeypatch, tmp_path, "--demo") == 0
    assert (tmp_path / "demo.jpg").read_bytes() == before
    assert (tmp_path / "demo-color.jpg").is_file()
