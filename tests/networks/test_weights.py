"""Weights of the original are imported once and then found by look; each way to go wrong says what to do."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

from vintage_colorizer import Colorizer
from vintage_colorizer.cli.app import app
from vintage_colorizer.errors import MissingError, OptionError, OutputExistsError, WeightsError
from vintage_colorizer.networks import catalog, weights
from vintage_colorizer.networks.catalog import Remote

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

SIZE = 48

EMBEDDED = ("compact", "repair-defects", "repair-fill", "repair-fade")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store."""
    monkeypatch.setenv("VINTAGE_COLORIZER_HOME", str(tmp_path / "store"))
    return tmp_path / "store"


def gradient() -> NDArray[np.float32]:
    return np.linspace(0, 1, SIZE * SIZE, dtype=np.float32).reshape(SIZE, SIZE)


def test_the_store_is_where_the_user_wants_it(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert weights.home() == home
    monkeypatch.delenv("VINTAGE_COLORIZER_HOME")
    assert weights.home().name == "vintage-colorizer"


@pytest.mark.parametrize("look", ["artistic", "stable", "video"])
def test_absent_weights_are_named_with_the_commands_that_bring_them(home: Path, look: Any) -> None:
    with pytest.raises(MissingError) as caught:
        Colorizer(network="deoldify", look=look).engine()
    assert f"'vintage-colorizer weights fetch {look}'" in str(caught.value)
    assert f"'vintage-colorizer weights import {catalog.ORIGINALS[look].file}'" in str(caught.value)


def test_the_command_line_exits_with_3_without_weights(home: Path, photo_file: Path) -> None:
    run = CliRunner().invoke(app, ["photo", str(photo_file), "--network", "deoldify"])
    assert run.exit_code == 3
    assert "weights fetch" in run.output


def test_unknown_looks_are_usage_errors(home: Path, tmp_path: Path) -> None:
    with pytest.raises(OptionError, match="artistic, stable, video"):
        weights.fetch("vivid")
    with pytest.raises(OptionError, match="artistic, stable, video"):
        weights.import_file(tmp_path / "x.pth", "vivid")


def test_a_wide_generator_needs_to_be_told_its_look() -> None:
    path = Path("wide.pth")
    with pytest.raises(OptionError, match="stable or video; say which with --as"):
        weights._look_of(path, "stable", None, None)
    assert weights._look_of(path, "stable", None, "video") == "video"
    assert weights._look_of(path, "stable", "video", None) == "video"
    with pytest.raises(OptionError, match="is for video, not for stable"):
        weights._look_of(path, "stable", "video", "stable")
    with pytest.raises(OptionError, match="is for artistic, not for stable"):
        weights._look_of(path, "artistic", None, "stable")


def test_nothing_is_left_of_a_refused_file(home: Path, tmp_path: Path) -> None:
    (tmp_path / "x.pth").write_bytes(b"<html>")
    with pytest.raises(WeightsError, match="web page"):
        weights.import_file(tmp_path / "x.pth")
    assert not home.exists() or not list(home.iterdir())


def test_listing_names_what_is_missing(home: Path) -> None:
    rows = {name: (ready, remark) for name, ready, remark in weights.listing()}
    assert rows["compact"][0] is True
    assert rows["deoldify-video"] == (False, "run 'vintage-colorizer weights fetch video' (874 MB)")
    assert [(name, sound) for name, sound, _ in weights.verify()] == [(name, True) for name in EMBEDDED]


def test_export_of_the_embedded_network_is_a_copy(home: Path, tmp_path: Path) -> None:
    weights.export("compact", tmp_path / "x.onnx")
    assert hashlib.sha256((tmp_path / "x.onnx").read_bytes()).hexdigest() == catalog.NETWORKS["compact"].sha256
    with pytest.raises(OutputExistsError):
        weights.export("compact", tmp_path / "x.onnx")
    with pytest.raises(OptionError, match="vivid"):
        weights.export("vivid", tmp_path / "y.onnx")


@pytest.mark.slow
def test_an_imported_network_colors_and_both_engines_agree(store: Path) -> None:
    chroma = {}
    for kind in ("onnx", "torch"):
        engine = Colorizer(network="deoldify", look="artistic", engine=kind, threads=2, device="cpu").engine()
        info = engine.info
        assert (info.name, info.stride, info.multiple, info.fit) == ("deoldify-artistic", 1, 16, "square")
        assert (info.render_factor, info.has_vividness) == (35, False)
        chroma[kind] = engine.chroma(gradient()[None, None])
    assert chroma["onnx"].shape == (1, 2, SIZE, SIZE)
    assert np.abs(chroma["onnx"]).max() > 0.05
    assert np.abs(chroma["onnx"] - chroma["torch"]).max() <= 1e-3


@pytest.mark.slow
def test_an_imported_network_runs_without_torch(store: Path) -> None:
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np\n"
        "from vintage_colorizer import Colorizer\n"
        "colorizer = Colorizer(network='deoldify', look='artistic', render_factor=7)\n"
        "assert np.abs(colorizer.chroma(np.full((20, 30), 0.5, np.float32))).max() > 0.01\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)


@pytest.mark.slow
def test_export_is_one_file_that_gives_the_same_color(store: Path, tmp_path: Path) -> None:
    weights.export("artistic", tmp_path / "x.onnx")
    stored = Colorizer(network="deoldify", look="artistic", render_factor=7).chroma(gradient())
    alone = Colorizer(weights=str(tmp_path / "x.onnx"), render_factor=7).chroma(gradient())
    assert np.array_equal(stored, alone)
    with pytest.raises(OptionError, match="--saturation"):
        Colorizer(weights=str(tmp_path / "x.onnx"), vividness=0.5).chroma(gradient())


@pytest.mark.slow
def test_damage_is_found(store: Path) -> None:
    assert [(name, sound) for name, sound, _ in weights.verify()] == [
        (name, True) for name in (*EMBEDDED, "deoldify-artistic")
    ]
    tensors = store / "deoldify-artistic.safetensors"
    with open(tensors, "r+b") as file:
        file.seek(-1, 2)
        last = file.read(1)
        file.seek(-1, 2)
        file.write(bytes([last[0] ^ 1]))
    try:
        assert ("deoldify-artistic", False) in [(name, sound) for name, sound, _ in weights.verify()]
        with pytest.raises(WeightsError, match="is damaged"):
            Colorizer(network="deoldify", look="artistic").engine()
    finally:
        with open(tensors, "r+b") as file:
            file.seek(-1, 2)
            file.write(last)


@pytest.mark.slow
def test_a_published_file_is_fetched_known_and_converted(
    home: Path, artistic_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a server on this machine, with the table of published files saying what that serves."""
    from support.downloads import Server

    with Server() as server:
        server.content = artistic_file.read_bytes()
        digest = hashlib.sha256(server.content).hexdigest()
        remote = Remote(artistic_file.name, len(server.content), digest, (server.url,))
        monkeypatch.setitem(catalog.ORIGINALS, "artistic", remote)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        assert "the published file" in weights.fetch("artistic")
        assert weights.fetch("artistic") == "artistic: already here."
        server.shutdown()
        thread.join()
    assert not (home / "downloads" / artistic_file.name).exists()
    assert Colorizer(network="deoldify", look="artistic", render_factor=7).chroma(gradient()).shape == (SIZE, SIZE, 2)
