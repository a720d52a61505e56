"""Waymeet: the multiplayer edge that you run yourself."""

__version__ = "0.1.0"
