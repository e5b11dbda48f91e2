"""The main path with the embedded network: luma kept, looks that differ, no second inference, honest notes."""

from __future__ import annotations

import io
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import ExifTags, Image

from vintage_colorizer import Colorizer, color
from vintage_colorizer.color import Floats, eight_bit
from vintage_colorizer.errors import OptionError, OutOfMemoryError, OutputExistsError
from vintage_colorizer.evaluate.metrics import colorfulness, psnr
from vintage_colorizer.networks.engines import Engine
from vintage_colorizer.networks.inference import Networks
from vintage_colorizer.options import ColorOptions, PhotoOptions
from vintage_colorizer.photo.reading import PhotoSource

Grey = NDArray[np.uint8]


def test_a_photo_gets_closer_to_its_true_colors(colorizer: Colorizer, astronaut: Grey, grey: Grey) -> None:
    result = np.asarray(colorizer.photo(grey).image)
    assert colorfulness(result) > 15
    assert psnr(result, astronaut) > psnr(np.repeat(grey[..., None], 3, axis=-1), astronaut)


def test_looks_differ_in_color(colorizer: Colorizer, grey: Grey) -> None:
    strengths = [colorizer.photo(grey, look=look).strength for look in ("artistic", "stable", "video")]
    assert strengths[0] > 1.2 * strengths[1]
    assert strengths[1] > 1.1 * strengths[2]


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    size=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    channels=st.sampled_from([0, 3, 4]),
    dtype=st.sampled_from([np.uint8, np.uint16]),
    seed=st.integers(0, 1000),
)
def test_any_array_keeps_size_depth_and_luma(
    colorizer: Colorizer, size: tuple[int, int], channels: int, dtype: type, seed: int
) -> None:
    shape = (*size, channels) if channels else size
    pixels = np.random.default_rng(seed).integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)
    result = colorizer.photo(pixels, render_factor=7, vividness=1.0)
    assert result.pixels.shape == (*size, 3)
    assert result.pixels.dtype == dtype
    source = pixels[..., :3] if channels else pixels
    error = np.abs(color.luma(result.pixels) - color.luma(source)).max() * np.iinfo(dtype).max
    assert error <= 1
    if channels == 4:
        assert result.photo.alpha is not None
        assert np.array_equal(result.photo.alpha, pixels[..., 3])


@pytest.mark.parametrize("value", [0, 128, 255])
def test_constant_pictures_color_without_nonsense(colorizer: Colorizer, value: int) -> None:
    result = colorizer.photo(np.full((60, 80), value, np.uint8))
    assert np.isfinite(result.chroma).all()
    assert np.abs(color.luma(result.pixels) * 255 - value).max() <= 1
    if value in (0, 255):  # no color fits black or white
        assert (result.pixels == value).all()


def test_little_color_is_said(colorizer: Colorizer, grey: Grey) -> None:
    assert any("little color" in one for one in colorizer.photo(grey, saturation=0.05).warnings)
    assert not colorizer.photo(grey).warnings


def test_hue_collapse_is_said(colorizer: Colorizer, grey: Grey) -> None:
    result = colorizer.photo(grey, saturation=0, warmth=1)
    assert any("one hue covers nearly everything" in one for one in result.warnings)


def test_color_of_the_source_is_not_used(colorizer: Colorizer, astronaut: Grey) -> None:
    sepia = (color.luma(astronaut)[..., None] * np.array([240, 200, 150])).astype(np.uint8)
    from_sepia = colorizer.photo(sepia).pixels
    luma = (color.luma(sepia) * 255 + 0.5).astype(np.uint8)
    assert np.abs(from_sepia.astype(int) - colorizer.photo(luma).pixels).mean() < 1


def test_every_kind_of_source_gives_the_same(colorizer: Colorizer, photo_file: Path) -> None:
    data = photo_file.read_bytes()
    with Image.open(photo_file) as image:
        sources: list[PhotoSource] = [photo_file, str(photo_file), data, io.BytesIO(data), image, np.asarray(image)]
        results = [colorizer.photo(source).pixels for source in sources]
    assert all(np.array_equal(results[0], other) for other in results[1:])


def test_saturation_and_warmth_need_no_network(
    colorizer: Colorizer, grey: Grey, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = colorizer.photo(grey)
    fresh = colorizer.photo(grey, saturation=0.5, warmth=0.3).pixels
    monkeypatch.setattr(
        "vintage_colorizer.networks.engines.OnnxEngine.chroma", None
    )  # any further inference would fail
    assert np.array_equal(result.adjust(saturation=0.5, warmth=0.3).pixels, fresh)
    assert result.adjust(saturation=0.5).strength == pytest.approx(result.strength / 2)


def test_render_factor_changes_what_the_network_sees(colorizer: Colorizer, grey: Grey) -> None:
    small, large = (colorizer.photo(grey, render_factor=factor) for factor in (8, 24))
    assert small.chroma.shape == (32, 32, 2)
    assert large.chroma.shape == (96, 96, 2)


def test_auto_picks_one_of_its_sizes_and_says_which(colorizer: Colorizer, grey: Grey) -> None:
    result = colorizer.photo(grey, render_factor="auto")
    assert result.render_factor in (10, 12, 16, 20)
    assert np.array_equal(result.pixels, colorizer.photo(grey, render_factor=result.render_factor).pixels)


def test_chroma_of_a_luma_plane(colorizer: Colorizer, grey: Grey) -> None:
    chroma = colorizer.chroma(color.luma(grey[:300, :400]))
    assert chroma.shape == (300, 400, 2)
    assert chroma.dtype == np.float32
    assert np.allclose(color.merge(grey[:300, :400], chroma), colorizer.photo(grey[:300, :400]).pixels, atol=1)


def test_one_network_serves_many_threads(grey: Grey) -> None:
    colorizer = Colorizer(threads=1)
    views = [np.ascontiguousarray(np.roll(grey, 37 * shift, axis=1)) for shift in range(8)]
    expected = [colorizer.photo(view).pixels for view in views]
    fresh = Colorizer(threads=1)
    barrier = threading.Barrier(8)

    def work(view: Grey) -> NDArray[np.uint8]:
        barrier.wait()
        return fresh.photo(view).pixels

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(work, views))
    assert all(np.array_equal(one, other) for one, other in zip(results, expected, strict=True))
    assert len(fresh.networks._engines) == 1


def test_fingerprint_changes_with_what_shapes_the_picture(colorizer: Colorizer, photo_file: Path) -> None:
    base = colorizer.photo(photo_file)
    assert colorizer.photo(photo_file).fingerprint == base.fingerprint
    assert colorizer.photo(photo_file, look="stable", threads=2).fingerprint == base.fingerprint
    changes: list[dict[str, Any]] = [{"look": "video"}, {"render_factor": 12}, {"warmth": 0.1}, {"strip": True}]
    others = {colorizer.photo(photo_file, **change).fingerprint for change in changes}
    assert len(others | {base.fingerprint}) == 5
    photo_file.touch()
    assert colorizer.photo(photo_file).fingerprint != base.fingerprint


def test_a_name_without_a_suffix_says_no_format(colorizer: Colorizer, photo_file: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="A name without a suffix does not say a format"):
        colorizer.photo(photo_file).save(tmp_path / "out")


def test_save_writes_the_format_of_the_name(colorizer: Colorizer, photo_file: Path, tmp_path: Path) -> None:
    target = colorizer.photo(photo_file).save(tmp_path / "new" / "out.png")
    with Image.open(target) as image:
        assert (image.format, image.mode, image.size) == ("PNG", "RGB", (512, 512))


def test_the_source_is_never_overwritten(colorizer: Colorizer, photo_file: Path) -> None:
    before = photo_file.read_bytes()
    with pytest.raises(OutputExistsError, match="is the source itself"):
        colorizer.photo(photo_file).save(photo_file)
    assert photo_file.read_bytes() == before


def test_mark_is_seen_in_the_file_only_when_asked(colorizer: Colorizer, photo_file: Path, tmp_path: Path) -> None:
    arrays = []
    for mark in (False, True):
        with Image.open(colorizer.photo(photo_file, mark=mark).save(tmp_path / f"{mark}.png")) as image:
            arrays.append(np.asarray(image).astype(int))
    difference = np.abs(arrays[0] - arrays[1])
    assert difference[-30:, :150].max() > 50
    assert difference[:-40].max() == 0


def test_settings_are_checked_before_anything_is_done() -> None:
    with pytest.raises(OptionError):
        Colorizer(look="sepia")  # type: ignore[arg-type]
    with pytest.raises(OptionError):
        Colorizer().photo("missing.jpg", saturation=-1)


class ShortOfMemory:
    """The real engine, which says it is out of memory above a size."""

    def __init__(self, engine: Engine, limit: int, device: str = "cpu") -> None:
        self.info, self.threads, self.device = engine.info, engine.threads, device
        self._engine, self._limit = engine, limit

    def chroma(self, luma: Floats, vividness: float | None = None, hints: Floats | None = None) -> Floats:
        if max(luma.shape) > self._limit:
            raise OutOfMemoryError("There is not enough memory.")
        return self._engine.chroma(luma, vividness, hints)

    def proposal(
        self, luma: Floats, vividness: float | None = None, hints: Floats | None = None
    ) -> tuple[Floats, Floats | None]:
        return self.chroma(luma, vividness, hints), None

    def posterior(self, luma: Floats, hints: Floats | None = None) -> Floats:
        return self._engine.posterior(luma, hints)

    def features(self, luma: Floats) -> Floats:
        return self._engine.features(luma)


class ShortNetworks(Networks):
    """Uses the given engine for the device asked for, and the real ones for others."""

    def __init__(self, engine: Engine, device: str) -> None:
        super().__init__()
        self._short, self._device = engine, device

    def engine(self, options: ColorOptions) -> Engine:
        return self._short if options.device == self._device else super().engine(options)


def short_colorizer(engine: Engine) -> Colorizer:
    device = "auto" if engine.device == "cpu" else engine.device
    colorizer = Colorizer(PhotoOptions.of(threads=1, device=device))
    colorizer.networks = ShortNetworks(engine, colorizer.options.device)
    return colorizer


def test_short_of_memory_renders_smaller_and_says_so(colorizer: Colorizer, grey: Grey) -> None:
    short = short_colorizer(ShortOfMemory(colorizer.engine(), limit=12 * 16))
    result = short.photo(grey)
    assert result.render_factor == 12
    assert "not enough memory at render factor 16" in result.warnings
    assert result.strength > 0.02


def test_short_of_memory_for_auto_takes_the_ladder(colorizer: Colorizer, grey: Grey) -> None:
    short = short_colorizer(ShortOfMemory(colorizer.engine(), limit=8 * 16))
    result = short.photo(grey, render_factor="auto")
    assert result.render_factor == 7
    assert "not enough memory to compare render factors" in result.warnings


def test_a_gpu_short_of_memory_hands_over_to_the_processor(colorizer: Colorizer, grey: Grey) -> None:
    short = short_colorizer(ShortOfMemory(colorizer.engine(), limit=0, device="cuda"))
    result = short.photo(grey)
    assert result.render_factor == 16
    assert any("the processor was used" in one for one in result.warnings)


def test_no_memory_at_all_is_an_error_never_a_grey_picture(colorizer: Colorizer, grey: Grey) -> None:
    short = short_colorizer(ShortOfMemory(colorizer.engine(), limit=0))
    with pytest.raises(OutOfMemoryError, match="even at render factor 7"):
        short.photo(grey)


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_deep_pixels_are_rounded_to_256_levels(dtype: type[np.uint16] | type[np.float32]) -> None:
    levels = np.tile(np.arange(256), (5, 1))
    white = np.iinfo(np.uint16).max if dtype is np.uint16 else 1.0
    assert np.array_equal(eight_bit((levels * (white / 255)).astype(dtype)), levels)


def test_vividness_of_a_network_without_it(tmp_path: Path, grey: Grey) -> None:
    from support.networks import tiny_network

    colorizer = Colorizer(weights=str(tiny_network(tmp_path / "tiny.onnx")))
    with pytest.raises(OptionError, match="use --saturation"):
        colorizer.photo(grey, vividness=0.5)
    result = colorizer.photo(grey)
    assert (result.network.name, result.render_factor) == ("test", 10)
    assert result.chroma.shape == (160, 160, 2)


def test_options_object_works_in_place_of_settings(colorizer: Colorizer, grey: Grey) -> None:
    options = PhotoOptions(look="video", threads=1)
    assert colorizer.photo(grey, options).look == "video"
    assert Colorizer(options).photo(grey).look == "video"


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_a_photo_is_turned_before_it_is_colored(colorizer: Colorizer, grey: Grey, tmp_path: Path, degrees: int) -> None:
    lying = np.rot90(grey[:300], degrees // 90)  # counterclockwise
    Image.fromarray(lying).save(tmp_path / "lying.jpg", quality=95, dpi=(300, 200))
    upright = np.rot90(np.asarray(Image.open(tmp_path / "lying.jpg")), -(degrees // 90))
    result = colorizer.photo(tmp_path / "lying.jpg", rotate=degrees)
    assert np.array_equal(result.pixels, colorizer.photo(np.ascontiguousarray(upright)).pixels)
    assert np.abs(color.luma(result.pixels) * 255 - upright).max() <= 1
    saved = result.save(tmp_path / "out.jpg")
    with Image.open(saved) as image:
        assert image.size == (512, 300)
        assert [round(one) for one in image.info["dpi"]] == ([300, 200] if degrees % 180 == 0 else [200, 300])
    other = colorizer.photo(tmp_path / "lying.jpg", rotate=(degrees + 90) % 360)
    assert other.fingerprint != result.fingerprint


@pytest.mark.parametrize("name", ["whole.jpg", "whole.png", "whole.tif"])
def test_a_part_of_a_photo_is_colored(colorizer: Colorizer, grey: Grey, tmp_path: Path, name: str) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "Agfa"
    exif[ExifTags.IFD.Exif] = {ExifTags.Base.ExifImageWidth: 300, ExifTags.Base.ExifImageHeight: 512}
    whole = np.rot90(grey[:300])  # counterclockwise
    picture = Image.fromarray(np.dstack([whole, whole[::-1]]) if name == "whole.png" else whole)
    picture.save(tmp_path / name, dpi=(300, 300), exif=exif.tobytes() if name == "whole.jpg" else b"")
    part = "0.1,0,0.75,0.5"
    result = colorizer.photo(tmp_path / name, rotate=90, crop=part)
    seen = np.rot90(np.asarray(Image.open(tmp_path / name)), -1)[:150, 51:384]
    luma = np.ascontiguousarray(seen[..., 0] if seen.ndim == 3 else seen)
    assert np.array_equal(result.pixels, colorizer.photo(luma).pixels)
    with Image.open(result.save(tmp_path / f"out-{name}")) as saved:
        assert saved.size == (333, 150) and [round(one) for one in saved.info["dpi"]] == [300, 300]
        if seen.ndim == 3:
            assert np.array_equal(np.asarray(saved)[..., 3], seen[..., 1])
        if name == "whole.jpg":
            stated = saved.getexif().get_ifd(ExifTags.IFD.Exif)
            assert (stated[ExifTags.Base.ExifImageWidth], stated[ExifTags.Base.ExifImageHeight]) == (333, 150)
    others = [colorizer.photo(tmp_path / name, rotate=90, crop=one) for one in (None, (0.1, 0, 0.75, 0.6))]
    assert len({one.fingerprint for one in [result, *others]}) == 3


def test_a_part_has_a_pixel_at_least_and_may_be_all(colorizer: Colorizer, grey: Grey) -> None:
    assert colorizer.photo(grey, crop="0.5,0.999,0.5001,1").pixels.shape == (1, 1, 3)
    assert PhotoOptions(crop="0,0,1,1.0").crop is None


@pytest.mark.parametrize("part", ["0.1,0.2,0.9", "0.5,0,0.5,1", "-0.1,0,1,1", "0,0,1.1,1", "a,b,c,d", "nan,0,1,1", 3])
def test_other_parts_are_refused(colorizer: Colorizer, grey: Grey, part: Any) -> None:
    with pytest.raises(OptionError, match=r"crop cannot be .*LEFT,TOP,RIGHT,BOTTOM"):
        colorizer.photo(grey, crop=part)


@pytest.mark.parametrize("degrees", [45, 360, -90])
def test_other_turns_are_refused(colorizer: Colorizer, grey: Grey, degrees: int) -> None:
    with pytest.raises(OptionError, match="rotate cannot be"):
        colorizer.photo(grey, rotate=degrees)
