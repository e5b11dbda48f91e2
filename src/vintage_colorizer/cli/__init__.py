"""Command-line interface."""

from __future__ import annotations

import atexit
import gc


def main() -> None:
    """Run the command line; see app.py.

    What is imported stays to the end. Looking through it for garbage, at start and at exit, took a tenth of the time
    of one photo.
    """
    gc.disable()
    from vintage_colorizer.cli import app

    gc.freeze()
    gc.enable()
    atexit.register(gc.freeze)
    app.main()
