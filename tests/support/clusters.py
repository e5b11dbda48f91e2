"""What tests of archives share: an S3 server of this machine, and one local Ray for all of them."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

BUCKET = "archive"


@contextmanager
def s3_server() -> Iterator[None]:
    """An S3 server on this machine with an empty bucket; every process started meanwhile finds it by itself."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "nobody",
        "AWS_SECRET_ACCESS_KEY": "nothing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    try:
        import s3fs

        s3fs.S3FileSystem(use_listings_cache=False).mkdir(BUCKET)
        yield
    finally:
        server.stop()


@contextmanager
def s3_requests() -> Iterator[list[str]]:
    """The requests that the S3 server answers meanwhile, such as 'GET /bucket/name?list-type=2'."""
    requests: list[str] = []
    log, handler = logging.getLogger("werkzeug"), logging.Handler()

    def note(record: logging.LogRecord) -> None:
        if request := re.search(r"(GET|HEAD|PUT|POST|DELETE) \S+", record.getMessage()):
            requests.append(request[0])

    handler.emit = note  # type: ignore[method-assign]
    log.addHandler(handler)
    try:
        yield requests
    finally:
        log.removeHandler(handler)


def grey_picture(path: Path, seed: int = 0, size: tuple[int, int] = (48, 32)) -> Path:
    """Write a small grey picture."""
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 256, (4, 6), dtype=np.uint8)
    Image.fromarray(values).resize(size, Image.Resampling.BICUBIC).save(path)
    return path


def pictures(folder: Path, count: int) -> list[Path]:
    """So many different grey pictures in a folder."""
    return [grey_picture(folder / f"{number:03d}.png", number) for number in range(count)]
