from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data

from vintage_colorizer import color
from vintage_colorizer.colorizer import Colorizer
from vintage_colorizer.errors import InputError, OptionError
from vintage_colorizer.networks.guides import Described, Guide, compared_size, moved_together, small_chroma


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / np.mean((one.astype(float) - other) ** 2)))


def grey_of(pixels: np.ndarray) -> np.ndarray:
    return np.rint(color.luma(pixels) * 255).astype(np.uint8)


def views() -> tuple[np.ndarray, np.ndarray]:
    """Two pictures of one scene: cut elsewhere, one lit otherwise."""
    photo = np.asarray(data.astronaut())
    lit = (255 * (photo[40:, 60:].astype(float) / 255) ** 0.85).astype(np.uint8)
    return photo[:460, :430], np.ascontiguousarray(lit)


@pytest.fixture
def guide_file(tmp_path: Path) -> Path:
    Image.fromarray(views()[1]).save(tmp_path / "guide.png")
    return tmp_path / "guide.png"


def test_another_view_of_the_scene_is_followed(colorizer: Colorizer, guide_file: Path) -> None:
    truth = views()[0]
    plain = colorizer.photo(grey_of(truth))
    guided = colorizer.photo(grey_of(truth), reference=str(guide_file))
    assert psnr(guided.pixels, truth) > psnr(plain.pixels, truth) + 1.5
    assert any("the reference was followed in" in note for note in guided.notes)
    assert np.abs(color.luma(guided.pixels) - color.luma(truth)).max() <= 1.01 / 255
    assert guided.fingerprint != plain.fingerprint


@pytest.mark.parametrize("scene", ["coffee", "chelsea", "rocket"])
def test_a_foreign_picture_does_no_harm(colorizer: Colorizer, tmp_path: Path, scene: str) -> None:
    truth = views()[0]
    Image.fromarray(getattr(data, scene)()).save(tmp_path / "foreign.png")
    plain = colorizer.photo(grey_of(truth))
    guided = colorizer.photo(grey_of(truth), reference=str(tmp_path / "foreign.png"))
    assert psnr(guided.pixels, truth) > psnr(plain.pixels, truth) - 0.05


def test_a_reference_that_is_none_is_said(colorizer: Colorizer, tmp_path: Path) -> None:
    Image.fromarray(grey_of(views()[0])).save(tmp_path / "grey.png")
    with pytest.raises(OptionError, match=r"grey\.png has no color"):
        colorizer.photo(views()[0], reference=str(tmp_path / "grey.png"))
    with pytest.raises(InputError, match="missing"):
        colorizer.photo(views()[0], reference=str(tmp_path / "missing.png"))


def test_places_are_described_by_vectors_of_length_1(colorizer: Colorizer) -> None:
    engine = colorizer.engine()
    luma = color.luma(np.asarray(data.astronaut()))
    described = Described.of(engine, cv2.resize(luma, compared_size(engine, *luma.shape)[::-1]))
    assert described.features.shape[:2] == (64, 64)
    for one in (described, described.coarse()):
        np.testing.assert_allclose(np.linalg.norm(one.features, axis=-1), 1, atol=1e-3)
    assert described.coarse().features.shape[:2] == (32, 32)


@pytest.mark.parametrize(("height", "width"), [(100, 100), (3000, 40), (7, 900), (480, 640)])
def test_pictures_of_any_shape_are_compared(colorizer: Colorizer, height: int, width: int) -> None:
    engine = colorizer.engine()
    size = compared_size(engine, height, width)
    assert max(size) <= 256 and min(size) >= engine.info.multiple
    described = Described.of(engine, np.full(size, 0.5, np.float32))
    assert described.features.shape[:2] == (size[0] // engine.info.stride, size[1] // engine.info.stride)


def test_a_guide_of_the_very_picture_gives_its_colors_back() -> None:
    random = np.random.default_rng(0)
    features = random.normal(size=(8, 9, 32)).astype(np.float32)
    described = Described(features / np.linalg.norm(features, axis=-1, keepdims=True))
    truth = random.normal(0, 0.1, (8, 9, 2)).astype(np.float32)
    proposed = np.zeros_like(truth)
    guide = Guide.of(described, truth, proposed)
    followed, share = guide.followed(proposed, described)
    assert share == 1 and moved_together(described, described) == 1
    np.testing.assert_allclose(followed, truth, atol=1e-3)


def test_chroma_of_a_grey_picture_is_none() -> None:
    assert not small_chroma(np.zeros((20, 30), np.uint8), 4, 5).any()


def test_places_of_one_scene_move_together_and_of_others_do_not(colorizer: Colorizer) -> None:
    engine = colorizer.engine()

    def described(pixels: np.ndarray) -> Described:
        luma = color.luma(pixels)
        return Described.of(engine, cv2.resize(luma, (256, 192), interpolation=cv2.INTER_AREA)).coarse()

    scenes = [np.asarray(photo)[:384, :384] for photo in (data.astronaut(), data.chelsea(), data.rocket())]
    for scene in scenes:
        nearer = (scene[20:340, 30:350] * 0.9).astype(np.uint8)  # shifted, nearer, darker
        assert moved_together(described(nearer), described(scene)) > 0.05
    for one, other in ((0, 1), (1, 2), (2, 0)):
        assert moved_together(described(scenes[one]), described(scenes[other])) < 0.03
