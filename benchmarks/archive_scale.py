"""What Ray costs and gains over an archive: whole commands, against the plain one with one thread.

python benchmarks/archive_scale.py throughput FOLDER [--photos N]   photos of FOLDER brought to a megapixel
python benchmarks/archive_scale.py memory [--files N]               resident memory over many small files
python benchmarks/archive_scale.py dispatch [--workers N]           what handing out a photo costs the one process
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from vintage_colorizer.archive import journal
from vintage_colorizer.archive.inputs import Item, Outcome
from vintage_colorizer.archive.photos import run
from vintage_colorizer.options import JobOptions
from vintage_colorizer.workers import open_runner

PHOTO = [sys.executable, "-m", "vintage_colorizer", "photo"]
PIXELS = 1_000_000
PAGE = os.sysconf("SC_PAGE_SIZE")


def grey_megapixels(folder: Path, out: Path, count: int) -> None:
    """Write so many grey JPEG files of a megapixel, made from the photos in `folder` in turn."""
    out.mkdir(parents=True)
    sources = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png", ".webp"))
    for number, source in zip(range(count), itertools.cycle(sources)):
        photo = Image.open(source).convert("L")
        scale = (PIXELS / (photo.width * photo.height)) ** 0.5
        size = round(photo.width * scale), round(photo.height * scale)
        photo.resize(size, Image.Resampling.BICUBIC).save(out / f"{number:05d}.jpg", quality=90)


def seconds_of(folder: Path, *words: str) -> float:
    """Wall time of a whole command over a folder, in seconds."""
    with tempfile.TemporaryDirectory() as out:
        start = time.perf_counter()
        subprocess.run([*PHOTO, str(folder), "-o", out, "--quiet", *words], check=True)
        return time.perf_counter() - start


def throughput(folder: Path, count: int, rounds: int) -> None:
    """Print what a photo costs once all is running, from runs over few and many in turns, and what starting costs."""
    by_ray = ("--ray", "local")
    ways = {
        "plain, 1 thread": ("1",),
        "plain, 2 threads": ("2",),
        "Ray, 1 worker": ("1", *by_ray),
        "Ray, 2 workers": ("2", *by_ray),
    }
    few = count // 3
    times: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    with tempfile.TemporaryDirectory() as name:
        for part in (few, count):
            grey_megapixels(folder, Path(name, str(part)), part)
        for _ in range(rounds):
            for way, words in ways.items():
                short, long = (seconds_of(Path(name, str(part)), "--threads", *words) for part in (few, count))
                times[way].append(((long - short) / (count - few), long))
    plain = [each for each, _ in times["plain, 1 thread"]]
    for way, measured in times.items():
        each = statistics.median(each for each, _ in measured)
        ratio = statistics.median(one / each for one, (each, _) in zip(plain, measured, strict=True))
        start = statistics.median(long - count * each for each, long in measured)
        rates = ", ".join(f"{1 / each:.1f}" for each, _ in measured)
        print(f"{way}: {1 / each:.2f} photos/s ({rates}), {ratio:.2f} of plain; start and end {start:.1f} s")


def memory(files: int) -> None:
    """Print the resident memory of the command and its largest worker as small files are done."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "in")
        folder.mkdir()
        values = np.random.default_rng(0).integers(0, 256, (24, 32), dtype=np.uint8)
        Image.fromarray(values).save(folder / "00000.png")
        picture = (folder / "00000.png").read_bytes()
        for number in range(1, files):
            (folder / f"{number:05d}.png").write_bytes(picture)
        report = Path(name, "report.jsonl")
        words = ["--ray", "local", "--threads", "2", "--render-factor", "7", "--quiet", "--report", str(report)]
        start = time.perf_counter()
        process = subprocess.Popen([*PHOTO, str(folder), "-o", str(Path(name, "out")), *words])
        wanted = [share * files // 10 for share in range(1, 10)]
        while process.poll() is None:
            time.sleep(0.2)
            done = report.read_bytes().count(b"\n") if report.exists() else 0
            if wanted and done >= wanted[0]:
                wanted = [one for one in wanted if one > done]
                largest = max(map(megabytes, workers()))
                print(f"{done} files: command {megabytes(process.pid):.0f} MB, worker {largest:.0f} MB")
        seconds = time.perf_counter() - start
        done = sum(json.loads(line)["status"] == "done" for line in report.open())
        print(f"{done} of {files} done in {seconds:.0f} s: {files / seconds:.0f} a second")


def megabytes(process: int) -> float:
    """Resident memory of a process."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * PAGE / 1e6


def workers() -> list[int]:
    """The processes of the workers."""
    lines = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True).stdout.splitlines()
    return [int(line.split()[0]) for line in lines if "ray::_Worker" in line]


def nothing(item: Item) -> Outcome:
    """The least of work."""
    return Outcome(str(item.source), "done", output=f"out/{item.source.name}", width=1, height=1, size=1)


def dispatch(count: int, tasks: int = 20_000) -> None:
    """Print what handing out a photo and its journal cost the process that does it."""
    with tempfile.TemporaryDirectory() as name, open_runner("local", count) as runner:
        items = (Item(Path(name, f"{number}.jpg"), Path("out")) for number in range(tasks))
        with journal.opened(Path(name, "out"), lambda identity: identity, again=False) as book:
            outcomes: Iterator[Outcome] = run(items, nothing, runner, JobOptions(), book)
            for _ in itertools.islice(outcomes, 2000):
                pass  # all workers have started
            start, used = time.perf_counter(), time.process_time()
            done = sum(1 for _ in outcomes)
            wall, used = time.perf_counter() - start, time.process_time() - used
    print(f"{count} workers: {done / wall:.0f} tasks a second, {used / done * 1000:.2f} ms of processor each")


def main() -> None:
    """Print the figures asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    scale = commands.add_parser("throughput")
    scale.add_argument("folder", type=Path)
    scale.add_argument("--photos", type=int, default=240)
    scale.add_argument("--rounds", type=int, default=3)
    commands.add_parser("memory").add_argument("--files", type=int, default=20_000)
    commands.add_parser("dispatch").add_argument("--workers", type=int, default=2)
    given = parser.parse_args()
    os.environ.setdefault(
        "RAY_worker_niceness", "0"
    )  # Ray's 15 would yield to whatever else runs; the plain one does not
    actions = {
        "throughput": lambda: throughput(given.folder, given.photos, given.rounds),
        "memory": lambda: memory(given.files),
        "dispatch": lambda: dispatch(given.workers),
    }
    actions[given.command]()


if __name__ == "__main__":
    main()
