from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data

from vintage_colorizer import color
from vintage_colorizer.colorizer import Colorizer
from vintage_colorizer.errors import OptionError, OutputExistsError, UnreadableError
from vintage_colorizer.evaluate.repair import auto_levels, f1, mask_scores, ssim, tone_error
from vintage_colorizer.networks.repair import RepairNetworks
from vintage_colorizer.options import REPAIRS, PhotoOptions, RepairOptions
from vintage_colorizer.photo.reading import probe, read_photo
from vintage_colorizer.repair import sidecar
from vintage_colorizer.repair.damage import DAMAGES, KINDS, THINGS, damaged, faded
from vintage_colorizer.repair.defects import find_damage, sorted_marks, tiles
from vintage_colorizer.repair.fade import Fading, smooth
from vintage_colorizer.repair.filling import WIDEST, fill, fillable

NETWORKS = RepairNetworks(threads=1)


def grey() -> np.ndarray:
    return np.rint(color.luma(np.asarray(data.astronaut())) * 255).astype(np.uint8)


def scratched(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two white scratches and some dust, and where they are."""
    marks = np.zeros(pixels.shape[:2], np.uint8)
    cv2.line(marks, (300, 20), (310, 480), 255, 2)
    cv2.line(marks, (40, 400), (200, 360), 255, 2)
    for x, y in ((420, 60), (450, 90), (100, 40), (380, 30), (60, 120)):
        cv2.circle(marks, (x, y), 2, 255, -1)
    where = marks > 0
    damaged_pixels = pixels.copy()
    damaged_pixels[where] = int(0.95 * color.full_scale(pixels.dtype))
    return damaged_pixels, where


# --- Damage made in code --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_follows_from_its_seed(name: str) -> None:
    luma = color.luma(grey())[100:260, 100:280]
    one, other = (DAMAGES[name](luma, np.random.default_rng(5)) for _ in range(2))
    assert all(np.array_equal(*planes) for planes in zip(one, other, strict=True))
    for seed in range(20):
        found, goal = DAMAGES[name](luma, np.random.default_rng(seed))
        assert found.shape[-2:] == goal.shape == luma.shape and found.dtype == goal.dtype == np.float32
        assert found.min() >= 0 and found.max() <= 1


def test_masks_are_where_the_photo_was_changed() -> None:
    luma = color.luma(grey())[100:260, 100:280]
    for seed in range(30):
        found, mask = damaged(luma, np.random.default_rng(seed), clean_share=0.0)
        assert set(np.unique(mask)) <= {0.0, 1.0}
        away = cv2.dilate(mask.astype(np.uint8), np.ones((9, 9), np.uint8)) == 0
        if mask.any() and away.any():
            difference = np.abs(found - luma)
            assert difference[mask > 0].mean() > 2 * difference[away].mean()


def test_clean_photos_have_no_mask() -> None:
    luma = color.luma(grey())[100:260, 100:280]
    for seed in range(20):
        _, mask = damaged(luma, np.random.default_rng(seed), clean_share=1.0)
        assert not mask.any()
        same, was = faded(luma, np.random.default_rng(seed), clean_share=1.0)
        assert same is luma and was is luma


@pytest.mark.parametrize("kind", [*KINDS.values(), *THINGS.values()], ids=[*KINDS, *THINGS])
def test_every_kind_draws_something(kind: Any) -> None:
    drawn = 0
    for seed in range(12):
        canvas = np.zeros((160, 200), np.uint8)
        kind[1](canvas, np.random.default_rng(seed))
        drawn += bool(canvas.any())
    assert drawn >= 6


# --- Fading ---------------------------------------------------------------------------------------------


def test_smooth_curves_go_through_their_knots_and_never_fall() -> None:
    random = np.random.default_rng(0)
    for _ in range(50):
        knots = np.sort(random.random(8)).astype(np.float32)
        curve = smooth(knots, 7 * 100 + 1)
        np.testing.assert_allclose(curve[::100], knots, atol=1e-6)
        assert np.diff(curve).min() >= -1e-6
    even = np.linspace(0, 1, 8, dtype=np.float32)
    np.testing.assert_allclose(smooth(even, 200), np.linspace(0, 1, 200), atol=1e-6)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_fading_that_is_none_changes_nothing(dtype: Any, channels: int) -> None:
    pixels = np.asarray(data.astronaut())[:90, :70] if channels == 3 else grey()[:90, :70]
    full = {np.uint8: 255, np.uint16: 65535, np.float32: 1}[dtype]
    pixels = (pixels / 255 * full).astype(dtype)
    still = Fading(np.linspace(0, 1, 8, dtype=np.float32), np.zeros(6, np.float32))
    assert still.apply(pixels).dtype == dtype
    np.testing.assert_allclose(still.apply(pixels).astype(float), pixels.astype(float), atol=full / 60000)
    assert still.is_slight(color.luma(pixels))


def test_a_faded_photo_comes_back_nearer_than_auto_levels_bring_it() -> None:
    ours, levels = [], []
    photos = (
        grey(),
        *(np.rint(color.luma(np.asarray(photo)) * 255).astype(np.uint8) for photo in (data.coffee(), data.chelsea())),
    )
    for photo in photos:
        luma = color.luma(photo)
        for seed in range(6):
            found, was = faded(luma, np.random.default_rng(seed), clean_share=0.0)
            ours.append(tone_error(Fading.of(found, NETWORKS).apply(found), was))
            levels.append(tone_error(auto_levels(found), was))
    assert np.mean(ours) < np.mean(levels)


def test_a_photo_that_has_not_faded_is_left() -> None:
    luma = color.luma(grey())
    assert Fading.of(luma, NETWORKS).is_slight(luma)


# --- Scratches and dust ---------------------------------------------------------------------------------


def test_scratches_are_found_and_told_from_dust() -> None:
    found, where = scratched(grey())
    mask = find_damage(found, NETWORKS)
    _, recall = mask_scores(mask, where)
    assert recall > 0.5
    scratches, dust = sorted_marks(where)
    assert np.array_equal(scratches | dust, where) and not (scratches & dust).any()
    assert scratches[250, 305] and dust[60, 420] and not scratches[60, 420]


def test_tiles_cover_a_picture_once() -> None:
    seen = np.zeros((230, 170), int)
    for rows, columns in tiles(230, 170, 64):
        seen[rows, columns] += 1
    assert (seen == 1).all()


@pytest.mark.parametrize("shape", [(1, 1), (3, 200), (17, 16), (1100, 1030)])
def test_pictures_of_any_size_are_looked_at(shape: tuple[int, int]) -> None:
    assert find_damage(np.full(shape, 128, np.uint8), NETWORKS).shape == shape


def test_a_seam_between_tiles_does_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    found, _ = scratched(grey())
    whole = find_damage(found, NETWORKS)
    monkeypatch.setattr("vintage_colorizer.repair.defects.TILE", 128)
    assert (find_damage(found, NETWORKS) != whole).mean() < 0.002


# --- Filling --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3])
def test_only_marks_are_filled_and_nearer_to_what_was_there(dtype: Any, channels: int) -> None:
    pixels = np.asarray(data.astronaut()) if channels == 3 else grey()
    full = {np.uint8: 255, np.uint16: 65535, np.float32: 1}[dtype]
    pixels = (pixels / 255 * full).astype(dtype)
    found, where = scratched(pixels)
    filled = fill(found, where, NETWORKS)
    assert filled.dtype == dtype and np.array_equal(filled[~where], found[~where])
    before = np.abs(found[where].astype(float) - pixels[where]).mean()
    assert np.abs(filled[where].astype(float) - pixels[where]).mean() < before / 3


def test_filled_places_have_the_grain_of_their_surroundings() -> None:
    random = np.random.default_rng(0)
    grainy = np.clip(0.5 + random.normal(0, 0.05, (200, 200)), 0, 1).astype(np.float32)
    where = np.zeros((200, 200), bool)
    where[60:140, 90:102] = True
    deviation = fill(grainy, where, NETWORKS)[where].std()
    assert 0.02 < deviation < 0.07


def test_wide_marks_are_left() -> None:
    mask = np.zeros((100, 200), bool)
    mask[20:24, 10:190] = True
    mask[50:90, 50:90] = True
    kept = fillable(mask)
    assert kept[22, 100] and not kept[60, 60]
    assert np.array_equal(fillable(mask[:40]), mask[:40])
    assert WIDEST == 16


# --- All of it ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_what_is_not_marked_stays_bit_for_bit(colorizer: Colorizer, dtype: Any) -> None:
    pixels = (grey() / 255 * np.iinfo(dtype).max).astype(dtype)
    found, _ = scratched(pixels)
    result = colorizer.repair(found, only="scratches,dust")
    assert result.mask.any() and "scratches" in result.found
    assert np.array_equal(result.pixels[~result.mask], found[~result.mask])
    assert result.pixels.dtype == dtype


def test_clean_photos_are_left_nearly_whole(colorizer: Colorizer) -> None:
    marked, like = [], []
    for photo in (data.astronaut(), data.coffee(), data.chelsea(), data.rocket()):
        luma = np.rint(color.luma(np.asarray(photo)) * 255).astype(np.uint8)
        result = colorizer.repair(luma)
        assert "fade" not in result.found
        marked.append(result.mask.mean())
        like.append(ssim(color.luma(result.pixels), color.luma(luma)))
    assert np.mean(marked) < 0.015 and np.mean(like) > 0.98


def test_a_repaired_photo_says_so_and_may_be_colored(colorizer: Colorizer, tmp_path: Path) -> None:
    found, _ = scratched(grey())
    Image.fromarray(found).save(tmp_path / "print.png")
    result = colorizer.repair(tmp_path / "print.png", only="scratches")
    path = result.save(tmp_path / "repaired.png")
    header = probe(path)
    assert header.repaired == "scratches" and not header.is_colored
    assert header.fingerprint == result.fingerprint
    assert np.array_equal(read_photo(path).pixels[..., 0], result.pixels)
    colored = colorizer.photo(path).save(tmp_path / "colored.png")
    assert probe(colored).is_colored and probe(colored).repaired == "scratches"


def test_photos_are_repaired_before_they_are_colored(colorizer: Colorizer) -> None:
    found, _ = scratched(grey())
    result = colorizer.photo(found, repair="scratches,dust")
    expected = colorizer.repair(found, only="scratches,dust").pixels
    assert np.array_equal(result.photo.pixels, expected)
    assert np.abs(color.luma(result.pixels) - color.luma(expected)).max() <= 1.01 / 255
    assert result.fingerprint != colorizer.photo(found).fingerprint


@pytest.mark.parametrize("only", ["scratches", "dust"])
def test_whatever_is_filled_is_said(colorizer: Colorizer, tmp_path: Path, only: str) -> None:
    found, where = scratched(grey())
    result = colorizer.repair(found, only=only)
    assert result.mask.any() and result.found == (only,) and result.photo.repaired == only
    Image.fromarray((where * 255).astype(np.uint8)).save(tmp_path / "marks.png")
    marked = colorizer.repair(found, only=only, marks=str(tmp_path / "marks.png"))
    assert marked.found == ("scratches", "dust") and np.array_equal(marked.mask, where)


def test_marks_of_somebody_are_filled_and_no_others(colorizer: Colorizer, tmp_path: Path) -> None:
    found, where = scratched(grey())
    mine = where.copy()
    mine[:, 250:] = False
    Image.fromarray((mine * 255).astype(np.uint8)).save(tmp_path / "marks.png")
    result = colorizer.repair(found, marks=str(tmp_path / "marks.png"), only="scratches,dust")
    assert np.array_equal(result.mask, mine)
    assert np.array_equal(result.pixels[~mine], found[~mine])
    with pytest.raises(OptionError, match="another size"):
        colorizer.repair(found[:100], marks=str(tmp_path / "marks.png"))


def test_strokes_add_to_what_is_found_and_take_from_it(colorizer: Colorizer) -> None:
    found, _ = scratched(grey())
    plain = colorizer.repair(found, only="scratches,dust")
    strokes = np.zeros((256, 256, 4), np.uint8)  # half as large as the photo
    strokes[10:12, 20:60] = 255  # fill this too
    strokes[:, 140:, 3] = 255  # black: leave the right half
    options = RepairOptions(only=("scratches", "dust"))
    result = colorizer.repaired(read_photo(found), options, read_photo(strokes))
    assert plain.mask[:, 280:].any() and not result.mask[:, 280:].any()
    assert result.mask[20:24, 40:120].all() and not plain.mask[20:24, 40:120].all()
    rest = np.ones_like(result.mask)
    rest[:, 280:] = rest[20:24, 40:120] = False
    assert np.array_equal(result.mask[rest], plain.mask[rest])
    assert result.photo.marks and not plain.photo.marks
    with pytest.raises(OptionError, match="another size"):
        colorizer.repaired(read_photo(found), options, read_photo(strokes[:100]))


def test_a_turned_part_is_repaired(colorizer: Colorizer, tmp_path: Path) -> None:
    found, _ = scratched(grey())
    result = colorizer.repair(found, only="scratches,dust", rotate=90, crop="0,0,1,0.5")
    expected = colorizer.repair(np.ascontiguousarray(np.rot90(found, -1)[:256]), only="scratches,dust")
    assert np.array_equal(result.pixels, expected.pixels) and np.array_equal(result.mask, expected.mask)
    colored = colorizer.photo(found, repair="scratches,dust", rotate=90, crop="0,0,1,0.5")
    assert np.array_equal(colored.photo.pixels, expected.pixels)
    assert result.fingerprint != colorizer.repair(found, only="scratches,dust").fingerprint


@pytest.mark.parametrize(
    ("given", "repairs"),
    [("all", REPAIRS), ("dust,fade", ("fade", "dust")), (["dust", "dust"], ("dust",)), ((), ())],
)
def test_repairs_are_chosen_by_name(given: Any, repairs: Any) -> None:
    assert PhotoOptions.of(repair=given).repair == repairs
    assert RepairOptions.of(only=given).only == repairs


def test_unknown_repairs_are_refused() -> None:
    with pytest.raises(OptionError, match=r"^repair cannot be"):
        PhotoOptions.of(repair="tears")


def test_the_source_comes_back_byte_for_byte(tmp_path: Path) -> None:
    source, result = tmp_path / "scan.jpg", tmp_path / "out" / "scan.jpg"
    Image.fromarray(grey()).save(source, quality=33)
    result.parent.mkdir()
    result.write_bytes(b"repaired")
    mask = np.zeros((512, 512), bool)
    mask[3, 4] = True
    kept = sidecar.keep(result, source, mask)
    assert kept.name == "scan.jpg.source.zip"
    back = sidecar.undo(result, tmp_path / "back")
    assert back == tmp_path / "back" / "scan.jpg" and back.read_bytes() == source.read_bytes()
    assert sidecar.undo(result, tmp_path / "x.jpg").read_bytes() == source.read_bytes()
    with pytest.raises(OutputExistsError):  # the result has the source's name
        sidecar.undo(result, None)
    kept.write_bytes(b"PK\3\4 broken")
    with pytest.raises(UnreadableError, match="damaged"):
        sidecar.undo(result, None)
    kept.unlink()
    with pytest.raises(UnreadableError):
        sidecar.undo(result, None)
    with Image.open(io.BytesIO(sidecar.mask_picture(mask))) as picture:
        assert np.array_equal(np.asarray(picture) == 255, mask)


# --- Measures -------------------------------------------------------------------------------------------


def test_marks_count_within_two_pixels() -> None:
    truth, found = np.zeros((40, 40), bool), np.zeros((40, 40), bool)
    truth[10, 5:35], found[12, 5:35] = True, True
    assert mask_scores(found, truth) == (1.0, 1.0)
    found[:] = False
    found[14, 5:35] = True
    assert mask_scores(found, truth) == (0.0, 0.0)
    assert mask_scores(np.zeros_like(truth), truth) == (1.0, 0.0)
    assert f1(0.5, 1.0) == pytest.approx(2 / 3)


def test_similarity_is_1_for_equal_pictures_and_less_for_others() -> None:
    luma = color.luma(grey())
    assert ssim(luma, luma) == pytest.approx(1, abs=1e-5)
    assert (
        ssim(np.clip(luma + np.random.default_rng(0).normal(0, 0.1, luma.shape), 0, 1).astype(np.float32), luma) < 0.7
    )


def test_auto_levels_spread_tones_and_errors_are_in_levels() -> None:
    luma = np.linspace(0.3, 0.5, 10_000, dtype=np.float32).reshape(100, 100)
    assert auto_levels(luma).min() == 0 and auto_levels(luma).max() == 1
    assert tone_error(luma, luma + np.float32(0.1)) == pytest.approx(25.5, rel=1e-3)
