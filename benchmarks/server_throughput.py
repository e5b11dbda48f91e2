"""How much of the bare library's throughput the server keeps, with 16 clients at a time.

Both color the same photo again and again on as many threads as there are processors, in turns; the median.

    python benchmarks/server_throughput.py [--quick]
"""

from __future__ import annotations

import argparse
import http.client
import io
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from PIL import Image

from photos_at_hand import color_photos
from vintage_colorizer import Colorizer

CLIENTS = 16


def photo(width: int, height: int) -> bytes:
    """A grey JPEG of that size."""
    file = io.BytesIO()
    Image.fromarray(color_photos("astronaut.png")[0]).convert("L").resize((width, height)).save(
        file, "JPEG", quality=92
    )
    return file.getvalue()


def rate(ask: Callable[[int], object], workers: int, count: int) -> float:
    """Calls a second."""
    start = time.perf_counter()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(ask, range(count)))
    return count / (time.perf_counter() - start)


def bare(data: bytes) -> Callable[[int], object]:
    """The library alone."""
    colorizer = Colorizer(threads=1)
    colorizer.engine()

    def color(number: int) -> None:
        colorizer.photo(data).write(io.BytesIO())

    return color


def over_http(data: bytes, port: int) -> Callable[[int], object]:
    """One request to the server on a connection of its own; waits as told when the server is full."""

    def ask(number: int) -> None:
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", port)
            connection.request("POST", "/api/photo", data, {"Content-Type": "image/jpeg"})
            answer = connection.getresponse()
            answer.read()
            connection.close()
            if answer.status == 200:
                return
            time.sleep(float(answer.headers["Retry-After"]))

    return ask


def main() -> None:
    """Print both rates and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer photos")
    count, runs = (80, 5) if parser.parse_args().quick else (160, 7)
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "vintage_colorizer", "serve", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as server:
        try:
            assert server.stderr is not None
            found = re.search(r":(\d+)/", server.stderr.readline())
            assert found
            for width, height in ((1225, 816), (4000, 3000)):
                data = photo(width, height)
                alone, served = bare(data), over_http(data, int(found[1]))
                ratios, rates = [], []
                for _ in range(runs):
                    ours, base = rate(served, CLIENTS, count), rate(alone, os.cpu_count() or 1, count)
                    ratios.append(ours / base)
                    rates.append(ours)
                print(
                    f"{width} x {height}: {statistics.median(rates):.1f} photos a second over HTTP with {CLIENTS}"
                    f" clients, {statistics.median(ratios):.2f} of the bare library's"
                    f" ({min(ratios):.2f} to {max(ratios):.2f})"
                )
                count //= 4
        finally:
            server.terminate()


if __name__ == "__main__":
    main()
