"""The original's networks here, against the original's own way of running them.

The original runs its generator as it was trained: weights normalized anew at each call, eager, float32, whole maps in
memory. That is written out plainly here (`original`) and measured beside our engines, with the same weights (made by
rule), the same photo and two threads. Each measurement has a process of its own, whose highest memory is taken
with everything in it; seconds are those of the network, the best of the rounds, which take turns.

    python benchmarks/deoldify_speed.py [--looks artistic stable] [--factors 10 21 35] [--rounds 2]

Each measurement is printed on standard error when it is made, the comparison of a render factor on standard output. The
networks are exported once, in about three minutes a look, and kept in the user's cache until their code changes.

"onnx plain" is the folded network as it is, "onnx" what `weights import` writes: its large convolutions in tiles. A
mode's picture is compared with the original's after both got the photo's luma: the share of pixels within one level.
"""

from __future__ import annotations

import argparse
import hashlib
import multiprocessing
import os
import resource
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from platformdirs import user_cache_path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

SOURCES = Path(__file__).parent.parent / "src" / "vintage_colorizer" / "networks"
THREADS = 2
MODES = ("original", "onnx plain", "onnx", "torch", "torch bfloat16")

Floats = NDArray[np.float32]


class Measured(NamedTuple):
    """What one process saw."""

    seconds: float
    cpu_seconds: float
    peak_mib: float
    chroma: Floats


def main() -> None:
    """Print one line for each look, render factor and mode."""
    arguments = parse()
    for look in arguments.looks:
        os.environ["VINTAGE_COLORIZER_HOME"] = str(exported(look))
        for factor in arguments.factors:
            compare(look, factor, arguments.rounds)


def exported(look: str) -> Path:
    """The folder with a look's networks, exported now if they are not there yet."""
    code = hashlib.sha256(str(version("torch")).encode())
    for path in sorted(SOURCES.rglob("*.py")):
        code.update(path.read_bytes())
    folder = user_cache_path("vintage-colorizer") / "benchmarks" / code.hexdigest()[:16] / look
    if folder.exists():
        return folder
    tell(f"Exporting {look} into {folder}, once; this takes about three minutes ...")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as started:
        os.environ["VINTAGE_COLORIZER_HOME"] = started
        begun = time.perf_counter()
        in_own_process(prepare, look)
        os.rename(started, folder)
        Path(started).mkdir()  # for the context manager to remove
    tell(f"Exported in {time.perf_counter() - begun:.0f} s.")
    return folder


def tell(line: str) -> None:
    """Say at once how far it is."""
    print(line, file=sys.stderr, flush=True)


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--looks", nargs="+", default=["artistic", "stable"], choices=["artistic", "stable"])
    parser.add_argument("--factors", nargs="+", default=[10, 21, 35], type=int)
    parser.add_argument("--rounds", default=2, type=int)
    return parser.parse_args()


def compare(look: str, factor: int, rounds: int) -> None:
    """Measure all modes in turns and print them against the original."""
    runs: dict[str, list[Measured]] = {mode: [] for mode in MODES}
    for number in range(rounds):
        for mode in MODES:
            runs[mode].append(in_own_process(measure, look, factor, mode))
            seconds = runs[mode][-1].seconds
            tell(f"{look} render factor {factor}, round {number + 1} of {rounds}, {mode}: {seconds:.2f} s")
    original = runs["original"]
    for mode, measured in runs.items():
        seconds = min(run.seconds for run in measured)
        cpu = min(run.cpu_seconds for run in measured)
        peak = max(run.peak_mib for run in measured)
        speedup = min(run.seconds for run in original) / seconds
        memory = peak / max(run.peak_mib for run in original)
        close = share_within_one_level(measured[0].chroma, original[0].chroma)
        print(
            f"{look:9} render factor {factor:2}  {mode:15} {seconds:6.2f} s ({cpu:6.2f} s of processor) "
            f"{speedup:5.2f} x as fast  peak {peak:5.0f} MiB ({memory:4.0%})  within 1 level {close:8.3%}",
            flush=True,
        )


def share_within_one_level(ours: Floats, theirs: Floats) -> float:
    """The share of pixels all of whose channels differ by one level of 255 at most."""
    from vintage_colorizer import color

    grey = photo(ours.shape[2] // 16)
    pictures = [color.merge(grey, np.moveaxis(chroma[0], 0, -1)).astype(int) for chroma in (ours, theirs)]
    return float((np.abs(pictures[0] - pictures[1]).max(axis=-1) <= 1).mean())


def photo(factor: int) -> NDArray[np.uint8]:
    """The grey photo at the network's size."""
    import skimage.data
    from PIL import Image

    return np.asarray(Image.fromarray(skimage.data.astronaut()).convert("L").resize((16 * factor, 16 * factor)))


def in_own_process(function: Any, *arguments: Any) -> Any:
    """Call a function of this file in a fresh process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def state_by_rule(look: str) -> dict[str, Any]:
    """The generator's weights, made from the names of its parameters."""
    import torch

    from support.fill_rule import filled, key_table

    return {key: torch.from_numpy(np.asarray(value)) for key, value in filled(key_table(look)).items()}


def prepare(look: str) -> None:
    """Write the weights as the original saves them, import that file, and export the network without tiles as well."""
    import torch
    from safetensors import safe_open
    from safetensors.torch import load_file

    from vintage_colorizer.networks import weights
    from vintage_colorizer.networks.architectures import build_contract
    from vintage_colorizer.networks.architectures.contract import export_onnx

    path = weights.home() / f"{look}.pth"
    path.parent.mkdir(exist_ok=True)
    torch.save(state_by_rule(look), path)
    weights.import_file(path, look)
    tensors = weights.home() / f"deoldify-{look}.safetensors"
    contract = build_contract(look)
    contract.load_state_dict(load_file(tensors), assign=True)
    with safe_open(tensors, "pt") as file:
        export_onnx(contract, weights.home() / f"{look}-plain.onnx", file.metadata(), tensors)


def measure(look: str, factor: int, mode: str) -> Measured:
    """Run a mode twice: the first time warms up."""
    run = original(look) if mode == "original" else engine(look, mode)
    luma = photo(factor).astype(np.float32)[None, None] / 255
    for _ in range(2):
        start, cpu = time.perf_counter(), time.process_time()
        chroma = run(luma)
        seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return Measured(seconds, cpu_seconds, peak, chroma)


def original(look: str) -> Any:
    """The generator as it was trained, run plainly."""
    import torch

    from vintage_colorizer.networks import weights
    from vintage_colorizer.networks.architectures import build_generator
    from vintage_colorizer.networks.architectures.contract import DeoldifyContract

    torch.set_num_threads(THREADS)
    with torch.device("meta"):
        generator = build_generator(look)
    generator.load_state_dict(torch.load(weights.home() / f"{look}.pth", mmap=True), assign=True)
    contract = DeoldifyContract(generator.eval())

    def run(luma: Floats) -> Floats:
        with torch.no_grad():
            return np.asarray(contract(torch.from_numpy(luma)).numpy())

    return run


def engine(look: str, mode: str) -> Any:
    """One of our engines; bfloat16 is PyTorch's autocast around the torch engine's network."""
    from vintage_colorizer import Colorizer, PhotoOptions
    from vintage_colorizer.files import sha256_of
    from vintage_colorizer.networks import weights
    from vintage_colorizer.networks.engines import OnnxEngine

    if mode == "onnx plain":
        path = weights.home() / f"{look}-plain.onnx"
        tensors = weights.home() / f"deoldify-{look}.safetensors"
        return OnnxEngine(path, sha256=sha256_of(path), tensors=tensors, device="cpu", threads=THREADS).chroma
    kind = mode.split()[0]
    options = PhotoOptions.of(network="deoldify", look=look, engine=kind, device="cpu", threads=THREADS)
    loaded: Any = Colorizer(options).engine()
    if mode != "torch bfloat16":
        return loaded.chroma

    def run(luma: Floats) -> Floats:
        import torch

        planes = torch.from_numpy(luma).to(memory_format=torch.channels_last)
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
            return np.asarray(loaded._contract(planes).float().numpy())

    return run


if __name__ == "__main__":
    main()
