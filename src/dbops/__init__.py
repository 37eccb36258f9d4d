"""One command for the people who keep a data platform alive."""

__version__ = "0.1.0"
