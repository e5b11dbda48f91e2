from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from support.training_photos import write_photos
from vintage_colorizer.datasets import open_source
from vintage_colorizer.errors import InputError
from vintage_colorizer.training.data import (
    Held,
    Streamed,
    decode,
    draw,
    shuffled,
    survey,
)

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    write_photos(folder / "n01440764", each=3)  # ImageNet's layout: a folder a class
    return folder


def test_draws_come_from_seed_epoch_and_number_alone() -> None:
    numbers, epochs = np.array([5, 0, 2**40]), np.array([0, 1, 0])
    drawn = draw(42, epochs, numbers, 4)
    np.testing.assert_allclose(drawn[0], [0.270716, 0.248044, 0.361661, 0.884903], atol=1e-6)
    np.testing.assert_array_equal(draw(42, epochs[1:2], numbers[1:2], 4)[0], drawn[1])
    assert not np.array_equal(draw(43, epochs, numbers, 4), drawn)
    assert not np.array_equal(draw(42, epochs + 1, numbers, 4), drawn)


def test_draws_are_uniform_and_independent() -> None:
    drawn = draw(1, np.zeros(4000, np.int64), np.arange(4000), 8)
    assert drawn.min() > 0 and drawn.max() < 1
    np.testing.assert_allclose(drawn.mean(axis=0), 0.5, atol=0.02)
    np.testing.assert_allclose(np.corrcoef(drawn.T), np.eye(8), atol=0.06)


def test_an_epoch_holds_every_photo_once() -> None:
    numbers = np.array([3, 8, 9, 20])
    assert sorted(shuffled(numbers, 1, 7)) == [3, 8, 9, 20]
    assert list(shuffled(np.arange(50), 1, 7)) == list(shuffled(np.arange(50), 1, 7))
    assert list(shuffled(np.arange(50), 1, 7)) != list(shuffled(np.arange(50), 1, 8))


def test_corrupt_and_grey_photos_are_left_out_and_counted(tmp_path: Path) -> None:
    paths = write_photos(tmp_path, each=2)
    cut = paths[1].read_bytes()
    paths[1].write_bytes(cut[: len(cut) // 2])
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "page.jpg").write_bytes(b"<html>not found</html>")
    Image.open(paths[0]).convert("L").save(tmp_path / "grey.png")
    (tmp_path / "notes.txt").write_text("no picture")
    found = survey(open_source(tmp_path), 6.0)
    assert (len(found.usable), found.corrupt, found.grey) == (7, 3, 1)


def test_the_survey_is_kept_until_the_photos_change(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", each=1)
    cache = tmp_path / "photos.npz"
    first = survey(open_source(tmp_path / "photos"), 6.0, cache)
    written = cache.stat().st_mtime_ns
    again = survey(open_source(tmp_path / "photos"), 6.0, cache)
    assert list(again.usable) == list(first.usable)
    assert cache.stat().st_mtime_ns == written
    write_photos(tmp_path / "photos", each=2)
    assert len(survey(open_source(tmp_path / "photos"), 6.0, cache).usable) == 8


def test_nothing_to_learn_from_is_refused(tmp_path: Path) -> None:
    for number in range(3):
        Image.new("L", (80, 80), 40 * number).save(tmp_path / f"{number}.png")
    with pytest.raises(InputError, match="3 near grey"):
        survey(open_source(tmp_path), 6.0)


def test_decoding_turns_upright_and_bounds_the_longer_side() -> None:
    photo = Image.new("RGB", (60, 300), "red")
    exif = photo.getexif()
    exif[0x0112] = 6  # turn by 90 degrees
    buffer = io.BytesIO()
    photo.save(buffer, "jpeg", exif=exif)
    pixels = decode(buffer.getvalue(), 32)
    assert pixels.shape == (32, 64, 3)


@pytest.mark.parametrize("workers", [0, 2])
def test_streamed_windows_equal_held_ones(photos: Path, workers: int) -> None:
    source = open_source(photos)
    numbers = np.arange(len(source))
    places = np.linspace(0, 1, len(source), dtype=np.float32) * np.float32(0.999)
    wanted = [(numbers[:4], places[:4]), (numbers[4:][::-1], places[4:])]
    held = list(Held(source, numbers, 40, CPU).stream(iter(wanted)))
    streamed = list(Streamed(source, 40, workers, CPU).stream(iter(wanted)))
    assert [tuple(batch.shape) for batch in held] == [(4, 3, 40, 40), (len(source) - 4, 3, 40, 40)]
    assert all(torch.equal(a, b) for a, b in zip(held, streamed, strict=True))
