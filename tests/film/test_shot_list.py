from __future__ import annotations

import base64
import io
import json
import re
import subprocess
import sys
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from PIL import Image
from skimage import data

from support.bad_films import frames_of, luma_of, plane_of
from vintage_colorizer import color
from vintage_colorizer.colorizer import Colorizer
from vintage_colorizer.errors import InputError, OptionError
from vintage_colorizer.film.coloring import color_segment
from vintage_colorizer.film.kept import is_colored
from vintage_colorizer.film.plan import Segment, film_fingerprint, make_plan
from vintage_colorizer.film.records import of_json, to_json
from vintage_colorizer.film.shot_list import ListedShot, first_frames, read_shots
from vintage_colorizer.film.shot_sheet import write_shots
from vintage_colorizer.options import FilmOptions

pytestmark = pytest.mark.long
SIZE = (96, 128)
LONG = 10  # frames of a shot
Shots = list[dict[str, Any]]


def scene(name: str) -> np.ndarray:
    return np.asarray(cv2.resize(np.asarray(getattr(data, name)()), (160, 128), interpolation=cv2.INTER_AREA))


def film(path: Path, shots: list[tuple[str, bool]], pixel_format: str = "yuv420p", *, turned: bool = False) -> Path:
    """Pans over photos, each in color or grey, 10 frames a second."""
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("ffv1", rate=10)
        stream.width, stream.height, stream.pix_fmt = SIZE[1], SIZE[0], pixel_format
        if turned:
            stream.set_display_matrix((0, 65536, 0, -65536, 0, 0, 0, 0, 1 << 30))
        for name, is_grey in shots:
            photo = scene(name)
            photo = color.merge(photo, np.zeros((1, 1, 2), np.float32)) if is_grey else photo
            for n in range(LONG):
                view = np.ascontiguousarray(photo[n : n + SIZE[0], n : n + SIZE[1]])
                frame = av.VideoFrame.from_ndarray(view, format="rgb24")
                out.mux(stream.encode(frame.reformat(format=pixel_format)))
        out.mux(stream.encode(None))
    return path


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A grey shot, one in color, a grey one, and the first scene again."""
    shots = [("astronaut", True), ("chelsea", False), ("coffee", True), ("astronaut", True)]
    return film(tmp_path_factory.mktemp("mixed") / "mixed.mkv", shots)


@pytest.fixture
def listed(colorizer: Colorizer, mixed: Path, tmp_path: Path) -> Path:
    """The list of its shots."""
    target = tmp_path / "reel.json"
    assert write_shots(mixed, target, colorizer.networks, FilmOptions.of(threads=1), lambda progress: None) == 4
    return target


def edited(path: Path, change: Any) -> str:
    """The same list with its shots changed."""
    record = json.loads(path.read_text())
    change(record["shots"])
    path.write_text(json.dumps(record))
    return str(path)


def chroma_of(path: Path) -> list[np.ndarray]:
    return [np.stack([plane_of(frame, 1), plane_of(frame, 2)]) for frame in frames_of(path)]


def test_shots_in_color_among_grey_ones_are_kept_and_it_is_said(color: Any, mixed: Path) -> None:
    target, result = color(mixed)
    assert any(note.startswith("1 of 4 shots are kept as they are") for note in result.notes)
    kept = slice(LONG, 2 * LONG)
    for before, after in zip(chroma_of(mixed)[kept], chroma_of(target)[kept], strict=True):
        assert np.array_equal(before, after)
    assert all(np.ptp(one) > 8 for one in chroma_of(target))
    assert all(np.array_equal(*pair) for pair in zip(luma_of(mixed), luma_of(target), strict=True))


def test_they_are_colored_on_request(color: Any, mixed: Path) -> None:
    target, result = color(mixed, recolor=True)
    assert not any("kept as they are" in note for note in result.notes)
    assert not np.array_equal(chroma_of(mixed)[LONG], chroma_of(target)[LONG])


def test_a_film_all_in_color_is_colored(color: Any, tmp_path: Path) -> None:
    source = film(tmp_path / "in.mkv", [("chelsea", False), ("coffee", False)])
    target, result = color(source)
    assert not any("kept as they are" in note for note in result.notes)
    assert not np.array_equal(chroma_of(source)[0], chroma_of(target)[0])


@pytest.mark.parametrize("pixel_format", ["bgr0", "yuv444p", "yuv422p10le", "gbrp16le"])
def test_other_pixels_keep_their_colors_too(color: Any, tmp_path: Path, pixel_format: str) -> None:
    source = film(tmp_path / "in.mkv", [("coffee", True), ("chelsea", False)], pixel_format)
    target, _ = color(source)
    for before, after in list(zip(frames_of(source), frames_of(target), strict=True))[LONG::4]:
        wanted, got = (frame.to_ndarray(format="rgb24").astype(int) for frame in (before, after))
        assert np.abs(wanted - got).mean() < 2


def toned(light: np.ndarray) -> np.ndarray:
    return (light[..., None] * [255, 232, 190]).astype(np.uint8)


def tinted(light: np.ndarray) -> np.ndarray:
    return (light[..., None] * [120, 160, 230] + [10, 20, 25]).astype(np.uint8)


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
def test_toned_and_tinted_frames_are_not_in_color(name: str) -> None:
    photo = scene(name)
    light = color.luma(photo)
    for pixels, wanted in ((photo, True), (toned(light), False), (tinted(light), False)):
        frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")
        assert is_colored(frame) == wanted


def test_a_list_given_back_as_it_is_changes_nothing(color: Any, mixed: Path, listed: Path) -> None:
    shots = json.loads(listed.read_text())["shots"]
    assert [shot["from"] for shot in shots] == [f"0:00:0{n}.000" for n in range(4)]
    assert [shot["group"] for shot in shots] == [1, 2, 3, 1]
    assert [shot["leave"] for shot in shots] == [False, True, False, False]
    page = listed.with_suffix(".html").read_text()
    assert page.count("data:image/jpeg;base64,") == 4 and "left as it is" in page
    alone, _ = color(mixed, "alone.mkv")
    again, _ = color(mixed, "again.mkv", shots=str(listed))
    assert all(np.array_equal(*pair) for pair in zip(chroma_of(alone), chroma_of(again), strict=True))


def test_thumbnails_stand_upright(colorizer: Colorizer, tmp_path: Path) -> None:
    source = film(tmp_path / "in.mkv", [("coffee", True), ("chelsea", False)], turned=True)
    options = FilmOptions.of(threads=1)
    assert write_shots(source, tmp_path / "reel.json", colorizer.networks, options, lambda progress: None) == 2
    pictures = re.findall(r"base64,([^\"]+)", (tmp_path / "reel.html").read_text())
    sizes = [Image.open(io.BytesIO(base64.b64decode(one))).size for one in pictures]
    assert len(sizes) == 2 and all(height > width for width, height in sizes)


def test_an_edited_list_steers(color: Any, mixed: Path, listed: Path) -> None:
    def change(shots: Shots) -> None:
        shots[0]["saturation"] = 0
        shots[1]["leave"] = False
        shots[2]["look"] = "artistic"
        shots[3]["leave"] = True
        shots.insert(1, {"from": 0.5})  # splits the first

    plain = chroma_of(color(mixed, "plain.mkv", recolor=True)[0])
    steered = chroma_of(color(mixed, "steered.mkv", shots=edited(listed, change))[0])
    grey, split, colored, artistic, left = (steered[first] for first in (2, 7, 15, 25, 35))
    assert np.ptp(grey) == 0 and np.ptp(split) > 8
    assert not np.array_equal(colored, chroma_of(mixed)[15])
    assert strength(artistic) > 1.2 * strength(plain[25])
    assert np.array_equal(left, chroma_of(mixed)[35])


def strength(planes: np.ndarray) -> float:
    return float(np.abs(planes.astype(int) - 128).mean())


def test_groups_share_their_colors_and_others_do_not(
    colorizer: Colorizer, color: Any, mixed: Path, listed: Path
) -> None:
    def regroup(shots: Shots) -> None:
        shots[3]["group"] = 9

    options = FilmOptions.of(threads=1)
    assert len(make_plan(mixed, colorizer.networks, options, "ffv1").stills) == 1
    apart = options.replace(shots=edited(listed, regroup))
    assert make_plan(mixed, colorizer.networks, apart, "ffv1").stills == ()

    def merge(shots: Shots) -> None:
        del shots[1:3]

    merged = options.replace(shots=edited(listed, merge))
    assert make_plan(mixed, colorizer.networks, merged, "ffv1").shots == (0, 3 * LONG)


def test_segments_are_pure_and_plans_are_kept(colorizer: Colorizer, mixed: Path, listed: Path, tmp_path: Path) -> None:
    options = FilmOptions.of(threads=1, render_factor=7, shots=str(listed))
    plan = make_plan(mixed, colorizer.networks, options, "ffv1")
    again = of_json(type(plan), to_json(plan))
    whole, part = tmp_path / "whole.mkv", tmp_path / "part.mkv"
    color_segment(plan, Segment(0, 0, 4 * LONG), whole, colorizer.networks, lambda: None)
    color_segment(again, Segment(0, 8, 24), part, colorizer.networks, lambda: None)
    for one, other in zip(chroma_of(whole)[8:24], chroma_of(part), strict=True):
        assert np.array_equal(one, other)
    runs = [(run.start, run.stop, leave) for _, run, leave in plan.runs(Segment(0, 8, 24))]
    assert runs == [(8, 10, False), (10, 20, True), (20, 24, False)]
    before = film_fingerprint(mixed, options, "n", ".mkv")
    edited(listed, lambda shots: shots.pop())
    assert film_fingerprint(mixed, options, "n", ".mkv") != before


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "is no list of shots"),
        ("[]", "is no list of shots"),
        ('{"shots": []}', "shots cannot be"),
        ('{"shots": [5]}', "shot 1 is not an object"),
        ('{"shots": [{"from": 0}, {"from": 1, "saturation": 7}]}', "shot 2: saturation cannot be 7"),
        ('{"shots": [{"from": 0, "colour": 1}]}', "shot 1: There is no option 'colour'"),
        ('{"shots": [{"group": 1}]}', "shot 1: from is missing"),
    ],
)
def test_a_wrong_list_says_where(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "reel.json"
    path.write_text(text)
    with pytest.raises(OptionError, match=words):
        read_shots(path)
    with pytest.raises(InputError):
        read_shots(tmp_path / "missing.json")


def test_times_find_the_nearest_frames() -> None:
    starts = [0, 40, 80, 120]

    def found(*times: float) -> tuple[int, ...]:
        return first_frames([ListedShot(start=time) for time in times], starts, Fraction(1, 1000))

    assert found(0.01, 0.0795, 0.13) == (0, 2, 3)
    for times, words in (((0, 0.08, 0.07), "Shot 3 of the list"), ((0, 5), "the film is over")):
        with pytest.raises(OptionError, match=words):
            found(*times)


def test_single_shots_have_no_look_where_the_network_has_one(colorizer: Colorizer, store: Path) -> None:
    from vintage_colorizer.film.shot_list import styles_of

    options = FilmOptions.of(network="deoldify", look="artistic")
    info = colorizer.networks.engine(options).info
    assert next(styles_of([ListedShot(start=0)], options, info)).vividness is None
    with pytest.raises(OptionError, match="one look"):
        list(styles_of([ListedShot(start=0, look="video")], options, info))


def test_the_command_writes_the_list_and_then_follows_it(mixed: Path, tmp_path: Path) -> None:
    def run(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "vintage_colorizer", "film", *words, "--threads", "1"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300)

    refused = run(str(mixed), "--shots", "reel.txt")
    assert refused.returncode == 2 and "reel.json" in refused.stderr
    first = run(str(mixed), "--shots", "reel.json")
    assert first.returncode == 0 and "Wrote 4 shots to reel.json" in first.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["reel.html", "reel.json"]
    second = run(str(mixed), "--shots", "reel.json", "-o", "out.mkv")
    assert second.returncode == 0 and "1 of 4 shots are kept" in second.stderr
    assert len(frames_of(tmp_path / "out.mkv")) == 4 * LONG
