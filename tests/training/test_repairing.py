from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import load_file

from support.training_photos import write_photos
from vintage_colorizer.errors import OptionError
from vintage_colorizer.networks.architectures.repair import KNOTS, TERMS, Defects, Fade, Fill, restored
from vintage_colorizer.training.nogan import train
from vintage_colorizer.training.runs import Run

pytestmark = pytest.mark.long
SHORT = [
    "pretrain=[{size: 64, batch: 4, epochs: 1, rates: [1e-3, 1e-3]}]",
    "data.held_out=0.2",
    "inflection.photos=4",
    "run.previews=2",
    "run.log_every=1",
    "run.judge_every=4",
    "run.checkpoint_every=2",
    "run.accelerator=cpu",
]


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    write_photos(folder, each=8)
    return folder


@pytest.mark.parametrize("recipe", ["repair-defects", "repair-fade", "repair-fill"])
def test_a_run_makes_a_network_file(recipe: str, photos: Path, tmp_path: Path) -> None:
    path = train(recipe, photos, tmp_path / "run", overrides=SHORT)
    session = onnxruntime.InferenceSession(str(path))
    assert session.get_modelmeta().custom_metadata_map["task"] == recipe.removeprefix("repair-")
    luma = np.random.default_rng(0).random((1, 1, 64, 64), dtype=np.float32)
    if recipe == "repair-fade":
        curve, field = session.run(None, {"thumb": luma})
        assert curve.shape == (KNOTS,) and field.shape == (TERMS,)
    elif recipe == "repair-fill":
        mask = (luma > 0.9).astype(np.float32)
        (filled,) = session.run(None, {"luma": luma, "mask": mask})
        assert np.array_equal(filled[mask == 0], luma[mask == 0]) and (filled != luma).any()
    else:
        (damage,) = session.run(None, {"luma": np.tile(luma, (1, 1, 1, 2))})
        assert damage.shape == (1, 1, 64, 128) and 0 <= damage.min() <= damage.max() <= 1
    assert (tmp_path / "run" / "card.md").exists() and (tmp_path / "run" / "sheets" / "pretrain-1.png").exists()


def test_a_run_that_was_killed_goes_on_as_it_would_have(photos: Path, tmp_path: Path) -> None:
    train("repair-fade", photos, tmp_path / "whole", overrides=SHORT)
    code = (
        "import sys; from vintage_colorizer.training.nogan import train;"
        "train('repair-fade', sys.argv[1], sys.argv[2], True, sys.argv[3:])"
    )
    command = [sys.executable, "-c", code, str(photos), str(tmp_path / "cut"), *SHORT]
    with subprocess.Popen(command) as process:
        while not (tmp_path / "cut" / "last.pt").exists() and process.poll() is None:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    train("repair-fade", photos, tmp_path / "cut", resume=True, overrides=SHORT)
    whole, cut = (load_file(tmp_path / name / "network.safetensors") for name in ("whole", "cut"))
    assert all(torch.equal(value, cut[key]) for key, value in whole.items())


GAN = [
    "adversarial=true",
    "critic={width: 4, phases: [{size: 64, batch: 4, epochs: 1, rate: 1e-3}]}",
    "gan={size: 64, batch: 4, share: 1, rate: 1e-3, threshold: 0.8}",
]


def test_a_network_that_fills_learns_against_a_critic(photos: Path, tmp_path: Path) -> None:
    before = train("repair-fill", photos, tmp_path / "before", overrides=SHORT).with_name("network.safetensors")
    start = [*SHORT, *GAN, "pretrain=[]", f"generator.start={before}"]
    after = train("repair-fill", photos, tmp_path / "after", overrides=start).with_name("network.safetensors")
    assert not torch.equal(load_file(before)["head.weight"], load_file(after)["head.weight"])
    lines = [json.loads(line) for line in (tmp_path / "after" / "log.jsonl").read_text().splitlines()]
    turns = [set(line) & {"critic_loss", "deceit"} for line in lines if line["tag"].startswith("gan")]
    assert {"critic_loss"} in turns and {"deceit"} in turns
    held_out = [line for line in lines if line["tag"] == "held-out"]
    assert held_out and all(0 < line["texture"] < 10 and line["psnr"] > 5 for line in held_out)


def test_adversarial_training_that_was_stopped_goes_on_as_it_would_have(photos: Path, tmp_path: Path) -> None:
    settings = [*SHORT, *GAN, "run.checkpoint_every=1", "run.judge_every=1000"]
    train("repair-fill", photos, tmp_path / "whole", overrides=settings)
    save, saved = Run.save, []

    def stop(self: Run, state: dict[str, object]) -> None:
        save(self, state)
        saved.append(state["stage"])
        if saved.count(2) == 3:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Run, "save", stop)
        train("repair-fill", photos, tmp_path / "cut", overrides=settings)
    train("repair-fill", photos, tmp_path / "cut", resume=True, overrides=settings)
    whole, cut = (load_file(tmp_path / name / "network.safetensors") for name in ("whole", "cut"))
    assert all(torch.equal(value, cut[key]) for key, value in whole.items())


def test_only_networks_that_fill_have_a_critic(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="no critic"):
        train("repair-fade", photos, tmp_path, overrides=[*SHORT, "adversarial=true"])
    with pytest.raises(OptionError, match="no task"):
        train("repair-fade", photos, tmp_path / "b", overrides=[*SHORT, "task=tears"])


def test_an_untrained_network_leaves_tones_as_they_are() -> None:
    thumb = torch.rand(3, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        curve, field = Fade().eval()(thumb)
    torch.testing.assert_close(restored(thumb, curve, field), thumb, atol=1e-5, rtol=0)
    assert bool((curve.diff(dim=1) > 0).all())


def test_an_untrained_network_fills_nothing_and_is_small() -> None:
    network = Fill().eval()
    luma, mask = torch.rand(2, 2, 1, 48, 80, generator=torch.Generator().manual_seed(0)).round(decimals=3)
    with torch.inference_mode():
        assert torch.equal(network(luma, mask), luma)
    assert 0.3e6 < sum(parameter.numel() for parameter in network.parameters()) < 0.5e6


def test_the_defect_network_is_small_and_takes_any_multiple_of_16() -> None:
    network = Defects().eval()
    assert 0.3e6 < sum(parameter.numel() for parameter in network.parameters()) < 0.5e6
    with torch.inference_mode():
        assert network(torch.rand(2, 1, 48, 80)).shape == (2, 1, 48, 80)
