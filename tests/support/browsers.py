"""A headless Chromium that can reach nothing but loopback, driven by Selenium."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --disable-component-update --disable-sync --disable-dev-shm-usage --hide-scrollbars"
)
LOOPBACK = {"127.0.0.1", "localhost", "::1"}


def find_browser() -> tuple[str, str]:
    """The programs of the browser and of its driver; the test is skipped, loudly, where they are missing."""
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if browser is None or driver is None:
        pytest.skip("NO BROWSER: the page is not tested. Install chromium and chromium-driver (Debian) for that.")
    return browser, driver


@contextmanager
def browsing(folder: Path, width: int = 1280, height: int = 900) -> Iterator[Any]:
    """A browser with a new profile below `folder`; downloads land in `folder/downloads`."""
    webdriver = pytest.importorskip("selenium.webdriver")
    from selenium.webdriver.chrome.service import Service

    program, driver_program = find_browser()
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in [*FLAGS.split(), f"--user-data-dir={folder / 'profile'}", f"--window-size={width},{height}"]:
        options.add_argument(flag)
    options.add_experimental_option("prefs", {"download.default_directory": str(folder / "downloads")})
    options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(driver_program))
    try:
        driver.set_script_timeout(60)
        driver.execute_cdp_cmd(
            "Emulation.setDeviceMetricsOverride",
            {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600},
        )
        yield driver
    finally:
        driver.quit()


def requested(driver: Any) -> list[str]:
    """The addresses of all requests since the last call, from the browser's own record."""
    messages = (json.loads(entry["message"])["message"] for entry in driver.get_log("performance"))
    return [one["params"]["request"]["url"] for one in messages if one["method"] == "Network.requestWillBeSent"]


def elsewhere(addresses: list[str]) -> list[str]:
    """Those that leave this machine."""
    return [
        one
        for one in addresses
        if urlsplit(one).scheme not in ("data", "blob") and urlsplit(one).hostname not in LOOPBACK
    ]
