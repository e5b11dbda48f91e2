"""Give old black-and-white photos and films their color back."""

__version__ = "0.1.0"
