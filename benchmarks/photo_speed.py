"""How much coloring costs, against a script that only decodes and re-encodes with Pillow.

Whole processes, imports included, in turns; the median of several runs, and the peak memory.

    python benchmarks/photo_speed.py [--quick]
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from multiprocessing import Process
from pathlib import Path

import numpy as np
from PIL import Image

from photos_at_hand import color_photos

PILLOW = """
import sys
from PIL import Image
Image.MAX_IMAGE_PIXELS = None
Image.open(sys.argv[1]).convert("RGB").save(sys.argv[2], quality=95)
"""
OURS = [sys.executable, "-m", "vintage_colorizer", "photo", "--quiet", "--overwrite"]


def grey_jpeg(path: Path, width: int, height: int) -> Path:
    """A grey photo of that size with fine grain, as scans have; made in a process of its own.

    A process starts its life with its parent's memory, which counts as its peak: this one must stay small.
    """
    worker = Process(target=_make_grey_jpeg, args=(path, width, height))
    worker.start()
    worker.join()
    return path


def _make_grey_jpeg(path: Path, width: int, height: int) -> None:
    photo = Image.fromarray(color_photos("astronaut.png")[0]).convert("L").resize((width, height))
    grain = np.random.default_rng(0).normal(0, 3, (height, width)).astype(np.float32)
    Image.fromarray((np.asarray(photo) + grain).clip(0, 255).astype(np.uint8)).save(path, quality=92)


def measure(command: list[str]) -> tuple[float, float, float]:
    """Wall seconds, processor seconds and peak megabytes of a process."""
    start = time.perf_counter()
    process = subprocess.Popen(command)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{command} failed.")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def compare(title: str, source: Path, runs: int) -> None:
    """Print our median time and memory, Pillow's, and the ratio of run pairs."""
    target = source.with_name("out.jpg")
    pairs = []
    for _ in range(runs):
        baseline = measure([sys.executable, "-c", PILLOW, str(source), str(target)])
        target.unlink()
        pairs.append((measure([*OURS, str(source), "-o", str(target)]), baseline))
        target.unlink()
    ours, pillow = (
        [statistics.median(column) for column in zip(*side, strict=True)] for side in zip(*pairs, strict=True)
    )
    wall = statistics.median(one[0] / other[0] for one, other in pairs)
    cpu = statistics.median(one[1] / other[1] for one, other in pairs)
    print(f"{title}: ours {ours[0]:.2f} s ({ours[1]:.2f} s of processor, {ours[2]:.0f} MB), ", end="")
    print(
        f"Pillow {pillow[0]:.2f} s ({pillow[1]:.2f} s, {pillow[2]:.0f} MB); ratio {wall:.2f} ({cpu:.2f} of processor)"
    )


def throughput(folder: Path, count: int) -> None:
    """Print photos a second over a folder of 1-megapixel photos."""
    first = grey_jpeg(folder / "0.jpg", 1225, 816).read_bytes()
    for number in range(1, count):
        (folder / f"{number}.jpg").write_bytes(first)
    wall, cpu, memory = measure([*OURS, str(folder), "-o", str(folder.parent / "out")])
    print(
        f"{count} photos of 1 megapixel: {count / wall:.1f} a second ({cpu / count * 1000:.0f} ms of processor each, ",
        end="",
    )
    print(f"{memory:.0f} MB)")


def main() -> None:
    """Print the three figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer runs and photos")
    quick = parser.parse_args().quick
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        compare("12 megapixels", grey_jpeg(folder / "small.jpg", 4000, 3000), 3 if quick else 9)
        compare("100 megapixels", grey_jpeg(folder / "large.jpg", 12_500, 8000), 1 if quick else 3)
        (folder / "many").mkdir()
        throughput(folder / "many", 20 if quick else 200)


if __name__ == "__main__":
    main()
