"""A server, its page in a browser, and photos, for the tests of the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from support.browsers import browsing, elsewhere, requested
from support.pages import open_page
from support.servers import Running, running


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running(max_megabytes=5) as one:
        yield one


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("browser")


@pytest.fixture(scope="module")
def pictures(folder: Path, grey: NDArray[np.uint8]) -> list[Path]:
    """Three photos of different formats and shapes."""
    named = {"portrait.jpg": grey[:, 60:420], "rocket & sky.png": grey[100:400], "third.webp": grey[:200]}
    for name, pixels in named.items():
        Image.fromarray(pixels).save(folder / name)
    return [folder / name for name in named]


@pytest.fixture(scope="module")
def browser(folder: Path) -> Iterator[Any]:
    with browsing(folder) as driver:
        yield driver


@pytest.fixture
def page(browser: Any, server: Running) -> Iterator[Any]:
    """The freshly opened page. At the end nothing has left the machine and nothing was complained of."""
    requested(browser), browser.get_log("browser")
    open_page(browser, server)
    yield browser
    browser.execute_script("sessionStorage.clear()")  # which ends what a reload brings back
    assert elsewhere(requested(browser)) == []
    assert [one for one in browser.get_log("browser") if one["source"] == "security"] == []
