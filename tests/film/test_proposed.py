from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from skimage import data

from support.bad_films import frames_of, grey_film, make_film, plane_of
from vintage_colorizer.color import Floats
from vintage_colorizer.colorizer import Colorizer
from vintage_colorizer.errors import EngineError
from vintage_colorizer.film import proposed
from vintage_colorizer.film.job import color_film
from vintage_colorizer.film.progress import Progress
from vintage_colorizer.film.proposed import KEY_BYTES, STEP, Colors, KeptColors
from vintage_colorizer.networks.engines import Engine
from vintage_colorizer.networks.inference import propose_batch
from vintage_colorizer.options import FilmOptions

pytestmark = pytest.mark.long


def made(count: int = 7) -> dict[bytes, Floats]:
    """Chroma that wanders over its whole range, in steps."""
    values = np.random.default_rng(3).uniform(-0.6, 0.6, (count, 6, 8, 2)).cumsum(axis=0).clip(-1, 1)
    steps = np.rint(values / STEP).astype(np.float32) * np.float32(STEP)
    return {bytes([n]) * KEY_BYTES: chroma for n, chroma in enumerate(steps)}


def test_what_is_kept_comes_back_the_same_in_another_process_too(tmp_path: Path) -> None:
    folder, colors = tmp_path / "colors", made()
    kept = KeptColors(folder)
    kept.look()
    kept.add(colors)
    elsewhere = KeptColors(folder)
    elsewhere.look()
    for one in (kept, elsewhere):
        assert all(np.array_equal(one.get(key), chroma) for key, chroma in colors.items())  # type: ignore[arg-type]
        assert one.get(b"\xff" * KEY_BYTES) is None
    kept.add({b"\xee" * KEY_BYTES: colors[bytes(KEY_BYTES)]})
    assert elsewhere.get(b"\xee" * KEY_BYTES) is None
    elsewhere.look()
    assert elsewhere.get(b"\xee" * KEY_BYTES) is not None


@pytest.mark.parametrize("damage", ["cut", "flipped", "other", "gone"])
def test_what_is_damaged_is_as_if_it_was_not_there(tmp_path: Path, damage: str) -> None:
    colors = made()
    KeptColors(tmp_path).add(colors)
    (path,) = tmp_path.glob("*.npz")
    known = KeptColors(tmp_path)
    known.look()
    content = bytearray(path.read_bytes())
    if damage == "gone":
        path.unlink()
    elif damage == "other":
        np.savez(path, other=np.zeros(3))
    else:
        content[len(content) // 2] ^= 0xFF
        path.write_bytes(content[: len(content) // 2] if damage == "cut" else content)
    after = KeptColors(tmp_path)
    after.look()
    for kept in (known, after):
        assert kept.get(bytes(KEY_BYTES)) is None


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """About how many lumas the network was asked, each time."""
    counts: list[int] = []

    def counting(engine: Engine, lumas: Floats, vividness: float | None) -> Floats:
        counts.append(len(lumas))
        return propose_batch(engine, lumas, vividness)

    monkeypatch.setattr(proposed, "propose_batch", counting)
    return counts


def test_a_luma_is_asked_about_once_and_answers_are_in_steps(
    colorizer: Colorizer, tmp_path: Path, asked: list[int]
) -> None:
    one, other = np.random.default_rng(0).random((2, 64, 64), dtype=np.float32)
    colors = Colors(colorizer.engine(), 0.1, KeptColors(tmp_path))
    first = colors.of([one, one, other])
    again = colors.of([other, one])
    assert asked == [2] and np.array_equal(first[0], first[1])
    assert np.array_equal(first[0], again[1]) and np.array_equal(first[2], again[0])
    assert np.array_equal(first[0], np.rint(first[0] / STEP) * STEP)
    assert np.abs(first[0] - propose_batch(colorizer.engine(), one[None], 0.1)[0]).max() <= STEP / 2
    colors.keep()
    later = Colors(colorizer.engine(), 0.1, KeptColors(tmp_path)).of([one, other])
    assert asked == [2] and np.array_equal(later[0], first[0])
    Colors(colorizer.engine(), 0.7, KeptColors(tmp_path)).of([one])  # bolder: that is another question
    assert asked == [2, 1]


def chroma_of(path: Path) -> list[Any]:
    return [plane_of(frame, 1) for frame in frames_of(path)]


def test_another_saturation_or_codec_does_not_ask_the_network(
    colorizer: Colorizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_film(tmp_path / "in.mkv", frames=40, rate=10)
    options = FilmOptions.of(threads=1, render_factor=7, codec="ffv1", colors=str(tmp_path / "colors"))

    def colored(name: str, **settings: Any) -> Path:
        target = tmp_path / name
        report: Any = lambda progress: None  # noqa: E731
        color_film(source, target, colorizer.networks, options.replace(**settings), overwrite=False, report=report)
        return target

    before = chroma_of(colored("one.mkv"))
    wanted = chroma_of(colored("elsewhere.mkv", saturation=0.5, colors=None))

    def refused(*_: Any) -> Floats:
        raise EngineError("asked")

    monkeypatch.setattr(proposed, "propose_batch", refused)
    again, paler = colored("again.mkv"), colored("paler.mkv", saturation=0.5)
    assert all(np.array_equal(one, other) for one, other in zip(before, chroma_of(again), strict=True))
    assert all(np.array_equal(one, other) for one, other in zip(wanted, chroma_of(paler), strict=True))
    assert len(chroma_of(colored("part.mp4", codec="h264", stop=2.0))) == 20
    with pytest.raises(EngineError):
        colored("bolder.mkv", vividness=0.9)


def test_colors_of_a_run_that_was_stopped_serve_one_with_other_options(
    colorizer: Colorizer, tmp_path: Path, asked: list[int]
) -> None:
    photo, target = data.camera(), tmp_path / "out.mkv"
    source = grey_film(tmp_path / "in.mkv", [photo[n : n + 32, 2 * n : 2 * n + 32] for n in range(210)])
    options = FilmOptions.of(threads=1, render_factor=7, codec="ffv1")

    def stop(progress: Progress) -> None:
        if progress.stage == "coloring" and progress.done > 120:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        color_film(source, target, colorizer.networks, options, overwrite=False, report=stop)
    asked.clear()
    color_film(
        source, target, colorizer.networks, options.replace(saturation=0.7), overwrite=False, report=lambda _: None
    )
    assert 0 < sum(asked) < 90  # of 105, as the first of three segments was kept
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == ["out.mkv"]
