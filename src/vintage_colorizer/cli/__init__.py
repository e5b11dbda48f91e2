"""The command line; `main` is the program `vintage-colorizer`."""

from vintage_colorizer.cli.app import main

__all__ = ["main"]
