"""How fast films are, whole process, against a plain decode and encode with the same codec settings in the same run.

    python benchmarks/film_speed.py [--seconds 20] [FILM ...]

Without films a textured, grainy pan with cuts is made at 640 x 480 and at 1920 x 1080. Memory is the
largest of the coloring process at that length and at twice the length: equal means flat.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from skimage import data

RATE = 24
SIZES = ((480, 640), (1080, 1920))


def make(path: Path, height: int, width: int, seconds: float) -> Path:
    """A film of pans over photos, four seconds a shot, with grain."""
    rng = np.random.default_rng(0)
    photos = [cv2.cvtColor(one, cv2.COLOR_RGB2GRAY) for one in (data.astronaut(), data.coffee(), data.chelsea())]
    large = [cv2.resize(one, (width * 5 // 4, height * 5 // 4), interpolation=cv2.INTER_CUBIC) for one in photos]
    grain = [(4 * rng.standard_normal((height, width))).astype(np.float32) for _ in range(8)]
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream("libx264", rate=RATE)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        stream.codec_context.options = {"crf": "16", "preset": "veryfast"}
        for index in range(int(seconds * RATE)):
            shot, place = divmod(index, 4 * RATE)
            left = place * width // 4 // (4 * RATE)
            view = large[shot % len(large)][height // 8 : height // 8 + height, left : left + width]
            grey = np.clip(view + grain[index % len(grain)], 0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(grey, format="gray").reformat(format="yuv420p")
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def cpu_seconds() -> float:
    """Processor time all finished children used so far; unlike the clock it hardly depends on other work."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def plain(source: Path, target: Path) -> float:
    """Decode and encode, nothing else, as tightly as can be: seconds."""
    program = (
        "import av,sys\n"
        "i=av.open(sys.argv[1]);o=av.open(sys.argv[2],'w');v=i.streams.video[0];v.thread_type='AUTO'\n"
        "s=o.add_stream('libx264',rate=v.average_rate);s.width,s.height,s.pix_fmt=v.width,v.height,'yuv420p'\n"
        "s.codec_context.options={'crf':'18'};s.codec_context.thread_type='FRAME'\n"
        "for f in i.decode(v):\n f.pict_type=0;o.mux(s.encode(f))\n"
        "o.mux(s.encode(None));o.close()"
    )
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", program, str(source), str(target)], check=True)
    return time.perf_counter() - start


def colored(source: Path, target: Path) -> tuple[float, float]:
    """Seconds of the whole command, and the largest memory of all its processes together, in MiB."""
    program = [sys.executable, "-m", "vintage_colorizer", "film"]
    words = [*program, str(source), "-o", str(target), "--quiet", "--codec", "h264"]
    start = time.perf_counter()
    process = subprocess.Popen(words)
    peak = [0.0]
    watcher = threading.Thread(target=_watch, args=(process, peak))
    watcher.start()
    if process.wait():
        sys.exit("coloring failed")
    seconds = time.perf_counter() - start
    watcher.join()
    return seconds, peak[0]


def _watch(process: subprocess.Popen[bytes], peak: list[float]) -> None:
    while process.poll() is None:
        listing = subprocess.run(["ps", "-eo", "pid,ppid,rss"], capture_output=True, text=True).stdout
        rows = [[int(word) for word in line.split()] for line in listing.splitlines()[1:]]
        family = [rss for pid, parent, rss in rows if process.pid in (pid, parent)]
        peak[0] = max(peak[0], sum(family) / 1024)
        time.sleep(0.25)


def frames_in(path: Path) -> int:
    """Frames of a film, counted from its packets."""
    with av.open(str(path)) as container:
        return sum(1 for packet in container.demux(video=0) if packet.size)


def report(source: Path, folder: Path) -> None:
    """Measure one film."""
    frames = frames_in(source)
    begin = cpu_seconds()
    base = plain(source, folder / "plain.mp4")
    middle = cpu_seconds()
    seconds, memory = colored(source, folder / "colored.mkv")
    busy, base_busy = cpu_seconds() - middle, middle - begin
    (folder / "colored.mkv").unlink()
    print(
        f"{source.name:16} {frames} frames: {frames / seconds:6.1f} frames/s colored, {frames / base:6.1f} plain,"
        f" ratio {base / seconds:4.2f}; processor {1000 * busy / frames:.0f} against {1000 * base_busy / frames:.0f}"
        f" ms a frame, ratio {base_busy / busy:4.2f}; memory {memory:.0f} MiB",
        flush=True,
    )


def main() -> None:
    """Print a line for each film."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("films", nargs="*", type=Path)
    given = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for film in given.films:
            report(film, folder)
        for height, width in () if given.films else SIZES:
            for times in (1, 2):
                film = make(folder / f"{width}x{height} x{times}.mp4", height, width, given.seconds * times)
                report(film, folder)


if __name__ == "__main__":
    main()
