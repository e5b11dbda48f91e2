"""What a base install takes: its size on disk, whether torch came along, and how soon `--help` answers.

python benchmarks/install.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    """Install into a fresh virtual environment and print the figures."""
    with tempfile.TemporaryDirectory() as name:
        environment = Path(name)
        subprocess.run([sys.executable, "-m", "venv", environment], check=True)
        programs = environment / ("Scripts" if sys.platform == "win32" else "bin")
        packages = next(environment.rglob("site-packages"))
        empty = size_of(packages)
        subprocess.run([programs / "python", "-m", "pip", "install", "-q", ROOT], check=True)
        print(f"base install: {(size_of(packages) - empty) / 1e6:.0f} MB", end="")
        print(f", {'WITH' if (packages / 'torch').exists() else 'without'} torch")
        times = [seconds([str(programs / "vintage-colorizer"), "--help"]) for _ in range(11)]
        print(f"--help: {statistics.median(times):.2f} s (median of 11; slowest {max(times):.2f} s)")


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def seconds(command: list[str]) -> float:
    """Wall seconds of a command."""
    start = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
