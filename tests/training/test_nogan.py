from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from PIL import Image
from safetensors.torch import load_file

from support.training_photos import write_photos
from vintage_colorizer import Colorizer
from vintage_colorizer.errors import (
    DiskFullError,
    EngineError,
    InputError,
    MissingError,
    OptionError,
    OutputExistsError,
)
from vintage_colorizer.evaluate.metrics import psnr
from vintage_colorizer.training.feed import make_order
from vintage_colorizer.training.launch import launch
from vintage_colorizer.training.nogan import NoGan, train
from vintage_colorizer.training.recipe import Recipe, load_recipe
from vintage_colorizer.training.runs import Run

pytestmark = pytest.mark.long

# Every phase in a step or two: the same code as any run, on a network with random weights.
SHORT = [
    "generator.start=none",
    "losses.extractor=none",
    "inflection.extractor=none",
    "inflection.photos=2",
    "run.previews=2",
    "run.log_every=1",
    "run.accelerator=cpu",
    "critic.width=4",
    "pretrain=[{size: 64, batch: 2, epochs: 1, rates: [1e-4, 1e-3], frozen: true}, "
    "{size: 64, batch: 2, epochs: 1, rates: [1e-4, 1e-3]}]",
    "critic.phases=[{size: 64, batch: 4, epochs: 2, rate: 1e-3}]",
    "gan.size=64",
    "gan.batch=2",
    "gan.share=2",
    "gan.threshold=10",
    "inflection.every=0.5",
]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    write_photos(folder, each=2)
    return folder


class Stopped(Exception):
    """The run was cut off."""


class Watched(Run):
    """A run that calls `seen` with the number of each step, counted over all phases, before the step is saved."""

    def __init__(self, out: Path, recipe: Recipe, resume: bool, seen: Callable[[int], None]) -> None:
        super().__init__(out, recipe, resume, writes=True)
        self.seen, self.steps = seen, 0

    def record(self, tag: str, step: int, figures: Mapping[str, float]) -> None:
        super().record(tag, step, figures)
        if "held-out" not in tag:
            self.steps += 1
            self.seen(self.steps)


def build(
    photos: Path,
    out: Path,
    *overrides: str,
    recipe: str = "tiny",
    resume: bool = False,
    seen: Callable[[int], None] = lambda step: None,
) -> NoGan:
    settings = load_recipe(recipe, [*SHORT, *overrides])
    return NoGan(settings, str(photos), Watched(out, settings, resume, seen), launch(settings.run))


def go(photos: Path, out: Path, *overrides: str, resume: bool = False, stop_in: int | None = None) -> NoGan:
    """Run all phases; or stop as if killed in the `stop_in`-th step, counted over all phases."""

    def stop(step: int) -> None:
        if step == stop_in:
            raise Stopped

    training = build(photos, out, *overrides, resume=resume, seen=stop)
    training.go()
    training.run.close()
    return training


def weights(training: NoGan) -> dict[str, torch.Tensor]:
    return {**training.generator.network.state_dict(), **training.critic.state_dict()}


@pytest.fixture(scope="module")
def finished(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> NoGan:
    return go(photos, tmp_path_factory.mktemp("runs") / "whole", "run.checkpoint_every=1000")


# ---- Golden values ----------------------------------------------------------------------------------------


def test_an_order_passes_over_all_photos() -> None:
    order = make_order(np.arange(10), 2.5, 4, seed=1, stage=3)
    assert order.numbers.shape == (6, 4)
    assert sorted(order.numbers.flatten()[:10]) == list(range(10))
    assert list(order.epochs.flatten()) == [30000] * 10 + [30001] * 10 + [30002] * 4


def test_fewer_photos_than_a_batch_make_one_batch(caplog: pytest.LogCaptureFixture) -> None:
    order = make_order(np.arange(3), 2, 8, seed=1, stage=0)
    assert order.numbers.shape == (2, 3)
    assert "less than a batch" in caplog.text


# ---- Whole runs -------------------------------------------------------------------------------------------


def test_all_phases_run_and_leave_their_traces(finished: NoGan) -> None:
    out = finished.run.out
    tags = {json.loads(line)["tag"] for line in (out / "log.jsonl").read_text().splitlines()}
    assert {"pretrain-1", "pretrain-2", "critic-1.1", "gan-1", "gan-1/held-out"} <= tags
    lines = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert any("deceit" in line for line in lines)
    assert any("critic_loss" in line for line in lines)
    assert len(list((out / "generated" / "cycle-1").glob("*.png"))) == 3
    assert {path.name for path in (out / "sheets").iterdir()} >= {"gan-1.png", "gan-1-before.png"}
    assert load_recipe(out / "recipe.yaml") == finished.recipe
    assert (out / "gan-1.png").stat().st_size > 1000
    assert list((out / "tensorboard").iterdir())


@pytest.mark.parametrize("stop_in", [3, 6, 9, 14], ids=["pretrain", "unfrozen", "critic", "gan"])
def test_a_run_cut_off_anywhere_goes_on_bit_equal(stop_in: int, photos: Path, finished: NoGan, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        go(photos, tmp_path / "run", "run.checkpoint_every=1000", stop_in=stop_in)
    # A checkpoint in the middle of a stage is what a run with frequent ones leaves.
    with pytest.raises(Stopped):
        go(photos, tmp_path / "often", "run.checkpoint_every=1", stop_in=stop_in)
    resumed = go(photos, tmp_path / "often", "run.checkpoint_every=1", resume=True)
    from_stage = go(photos, tmp_path / "run", "run.checkpoint_every=1000", resume=True)
    for again in (resumed, from_stage):
        for key, value in weights(finished).items():
            assert torch.equal(weights(again)[key], value), key
    assert resumed.state.figures == finished.state.figures


def test_an_interrupt_saves_the_step_it_came_in(photos: Path, finished: NoGan, tmp_path: Path) -> None:

    def interrupt(step: int) -> None:
        if step == 5:  # the second of the second stage
            os.kill(os.getpid(), signal.SIGINT)

    training = build(photos, tmp_path / "run", "run.checkpoint_every=1000", seen=interrupt)
    with pytest.raises(KeyboardInterrupt):
        training.go()
    state = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    assert (state["stage"], state["step"]) == (1, 2)
    again = go(photos, tmp_path / "run", "run.checkpoint_every=1000", resume=True)
    assert all(torch.equal(weights(again)[key], value) for key, value in weights(finished).items())


def test_consistency_and_held_out_photos_during_pretraining(photos: Path, tmp_path: Path) -> None:
    training = go(photos, tmp_path / "run", "losses.consistency=10", "adversarial=false", "run.judge_every=2")
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    judged = [line["step"] for line in lines if line["tag"] == "pretrain-1/held-out"]
    assert judged == [2, 3]
    assert list(training.state.figures) == ["pretrain-1", "pretrain-2"]


def test_every_measured_generator_can_be_kept(photos: Path, tmp_path: Path) -> None:
    training = go(photos, tmp_path / "run", "pretrain=[]", "inflection.keep=true", "inflection.stop=false")
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    measured = [line for line in lines if line["tag"] == "gan-1/held-out"][:-1]  # the last tells of the one kept
    kept = sorted((tmp_path / "run" / "checkpoints").iterdir())
    assert [path.name for path in kept] == [f"gan-1-{number:03d}.safetensors" for number in range(len(measured))]
    assert len(kept) > 1
    final = {key: value.half() for key, value in training.generator.network.state_dict().items() if value.dim()}
    same = [all(torch.equal(load_file(path)[key], value) for key, value in final.items()) for path in kept]
    assert any(same)


@pytest.mark.parametrize("anchor", ["gan.error_weight=10", "losses.consistency=10"])
def test_anchors_steer_the_gan_phase(photos: Path, tmp_path: Path, anchor: str) -> None:
    common = ("pretrain=[]", "critic.phases=[]", "gan.rate=1e-3", "gan.threshold=100", "run.checkpoint_every=1")
    free, held = tmp_path / "free", tmp_path / "held"
    for out, more in ((free, ()), (held, (anchor,))):
        with pytest.raises(Stopped):
            go(photos, out, *common, *more, stop_in=3)  # the critic's turn, then the generator's
    first, second = (torch.load(out / "last.pt", weights_only=True) for out in (free, held))
    assert all(torch.equal(first["critic"][key], value) for key, value in second["critic"].items())
    assert not torch.equal(first["generator"]["head.weight"], second["generator"]["head.weight"])


def test_the_gan_phase_trains_only_the_decoder_and_batch_norm(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        go(
            photos,
            tmp_path / "run",
            "pretrain=[]",
            "critic.phases=[]",
            "gan.rate=1e-3",
            "run.checkpoint_every=1",
            stop_in=5,
        )
    before = build(photos, tmp_path / "fresh", "pretrain=[]").generator.network.state_dict()
    after = torch.load(tmp_path / "run" / "last.pt", weights_only=True)["generator"]
    changed = {key for key in after if not torch.equal(after[key], before[key])}
    encoder = {key for key in changed if key.startswith("encoder.")}
    assert "head.weight" in changed and "steps.0.deep.weight" in changed
    assert encoder and all(".bn" in key for key in encoder)


@pytest.mark.parametrize("every", [1, 1000], ids=["at-a-checkpoint", "in-the-loss"])
def test_what_is_no_number_stops_with_the_last_state_kept(photos: Path, tmp_path: Path, every: int) -> None:

    def poison(step: int) -> None:
        if step == 4:  # the first of the second stage
            with torch.no_grad():
                next(training.generator.parameters()).fill_(torch.nan)

    training = build(photos, tmp_path / "run", f"run.checkpoint_every={every}", seen=poison)
    with pytest.raises(EngineError, match=r"not a number.*last\.pt"):
        training.go()
    state = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    assert all(bool(torch.isfinite(value).all()) for value in state["generator"].values())


def test_a_run_is_not_overwritten_nor_taken_on_with_another_recipe(photos: Path, finished: NoGan) -> None:
    with pytest.raises(OutputExistsError, match="resume"):
        train("tiny", photos, finished.run.out, overrides=SHORT)
    with pytest.raises(OptionError, match="another recipe"):
        train("tiny", photos, finished.run.out, resume=True, overrides=[*SHORT, "gan.rate=1e-9"])


def test_a_run_is_not_taken_on_with_other_photos(photos: Path, finished: NoGan, tmp_path: Path) -> None:
    write_photos(tmp_path / "others", each=3)
    (finished.run.out / "photos.npz").unlink()
    with pytest.raises(OptionError, match="other photos"):
        go(tmp_path / "others", finished.run.out, "run.checkpoint_every=1000", resume=True)


def test_a_damaged_checkpoint_is_named(photos: Path, finished: NoGan, tmp_path: Path) -> None:
    recipe = finished.recipe
    Run(tmp_path / "run", recipe, False, writes=True)
    whole = (finished.run.out / "last.pt").read_bytes()
    (tmp_path / "run" / "last.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"last\.pt is damaged"):
        Run(tmp_path / "run", recipe, True, writes=True).load()


def test_one_photo_is_too_few(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos", each=1)
    for path in sorted((tmp_path / "photos").iterdir())[1:]:
        path.unlink()
    with pytest.raises(InputError, match="too few"):
        go(tmp_path / "photos", tmp_path / "run")


def test_a_full_disk_leaves_the_old_checkpoint(finished: NoGan, tmp_path: Path) -> None:
    run = Run(tmp_path / "run", finished.recipe, False, writes=True)
    run.save({"weights": torch.ones(10)})
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limit[1]))
    try:
        with pytest.raises(DiskFullError, match="free some"):
            run.save({"weights": torch.ones(10**6)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    state = run.load()
    assert state is not None
    assert torch.equal(state["weights"], torch.ones(10))
    assert not list((tmp_path / "run").glob("*.part"))


# ---- Several processes ------------------------------------------------------------------------------------

FOLLOW = """
import sys, torch
from pathlib import Path
from test_nogan import SHORT
from vintage_colorizer.training import nogan
from vintage_colorizer.training.launch import launch
from vintage_colorizer.training.recipe import load_recipe
from vintage_colorizer.training.runs import Run

torch.set_num_threads(1)
photos, out, processes = sys.argv[1:]
recipe = load_recipe("tiny", [*SHORT, "run.frozen_statistics=true", "run.precision=32-true", "gan.share=10",
    "inflection.stop=false",
    f"run.devices={processes}", "pretrain=[{size: 64, batch: 4, epochs: 2, rates: [1e-4, 1e-3]}]",
    "critic.phases=[{size: 64, batch: 4, epochs: 3, rate: 1e-3}]", "gan.batch=4"])
fabric = launch(recipe.run)
training = nogan.NoGan(recipe, photos, Run(Path(out), recipe, False, fabric.is_global_zero), fabric)
for module in training.critic.modules():
    if isinstance(module, torch.nn.Dropout2d):
        module.p = 0.0  # what is dropped depends on the process
training.judge.keep_best = lambda *_: None  # compare the last step's generator
training.go()
training.run.close()
fabric.barrier()
"""


@pytest.mark.slow
def test_two_processes_follow_one(photos: Path, tmp_path: Path) -> None:
    script = tmp_path / "follow.py"
    script.write_text(FOLLOW)
    root = Path(__file__).parents[2]
    here = Path(__file__).parent
    paths = {"PYTHONPATH": os.pathsep.join(map(str, (here, root / "tests", root / "src"))), "OMP_NUM_THREADS": "1"}
    for processes in ("1", "2"):
        subprocess.run(
            [sys.executable, str(script), str(photos), str(tmp_path / processes), processes],
            env={**os.environ, **paths},
            check=True,
            capture_output=True,
            timeout=240,
        )
    one, two = (
        [json.loads(line) for line in (tmp_path / name / "log.jsonl").read_text().splitlines()] for name in ("1", "2")
    )
    assert len(one) >= 20 + 4  # steps and measurements
    for line, other in zip(one, two, strict=True):
        assert {key: other[key] for key in ("tag", "step")} == {key: line[key] for key in ("tag", "step")}
        for name in line.keys() & {"loss", "critic_loss", "deceit", "psnr"}:
            assert other[name] == pytest.approx(line[name], abs=1e-4), line
    first, second = (torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("1", "2"))
    for part in ("generator", "critic"):
        for key, value in first[part].items():
            torch.testing.assert_close(second[part][key], value, atol=1e-4, rtol=0, msg=f"{part} {key}")


@pytest.mark.slow
def test_torchrun_starts_the_processes(photos: Path, tmp_path: Path) -> None:
    """As on several machines: every process is started from outside, and finds the others by gloo."""
    words = ["torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", "vintage_colorizer"]
    pretrain = "pretrain=[{size: 64, batch: 4, epochs: 1, rates: [1e-4, 1e-3]}]"
    settings = [*SHORT, pretrain, "adversarial=false", "run.devices=2", "run.precision=32-true"]
    source = str(Path(__file__).parents[2] / "src")
    done = subprocess.run(
        [sys.executable, "-m", *words, "train", "tiny", "--data", str(photos), "-o", str(tmp_path / "run"), *settings],
        env={**os.environ, "PYTHONPATH": source, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "run" / "network.onnx").exists()
    log = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    steps = [line["step"] for line in log if "loss" in line]
    assert steps and len(steps) == len(set(steps))  # one process writes; a step takes a part of the batch from both


@pytest.mark.parametrize("name", ["lightning_fabric", "onnxscript", "timm"])
def test_what_is_not_installed_is_said_before_anything_starts(
    name: str, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingError, match=rf"needs {name}; .*\[train\]"):
        train("tiny", photos, tmp_path / "run")
    assert not (tmp_path / "run").exists()


# ---- The whole way ----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_tiny_learns_to_color_and_its_file_colors_a_photo(tmp_path: Path) -> None:
    write_photos(tmp_path / "photos")
    network = train("tiny", tmp_path / "photos", tmp_path / "run")
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    last = [line for line in lines if line["tag"] == "gan-1/held-out"][-1]
    assert last["psnr"] > last["psnr_grey"] + 2
    assert 0.4 < last["colorfulness"] < 1.6
    coffee = skimage.data.coffee()
    grey = np.asarray(Image.fromarray(coffee).convert("L"))
    colored = Colorizer(weights=str(network), threads=1, render_factor=7).photo(grey).pixels
    assert psnr(colored, coffee) > psnr(np.repeat(grey[..., None], 3, axis=2), coffee) + 1
    card = (tmp_path / "run" / "card.md").read_text()
    assert "psnr" in card and "name: tiny" in card


@pytest.mark.slow
def test_the_originals_network_goes_through_all_phases(photos: Path, tmp_path: Path) -> None:
    training = build(photos, tmp_path / "run", "repeats=0", "gan.share=1", recipe="artistic")
    before = {key: value.clone() for key, value in training.generator.network.state_dict().items()}
    training.go()
    training.run.close()
    after = training.generator.network.state_dict()
    assert not torch.equal(after["layers.11.0.weight_orig"], before["layers.11.0.weight_orig"])
    assert training.state.figures["gan-1"]["colorfulness"] > 0
    chroma = training.generator.contract().eval()(torch.rand(1, 1, 64, 64))
    assert chroma.shape == (1, 2, 64, 64)
