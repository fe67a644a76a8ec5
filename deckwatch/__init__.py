"""Deckwatch: log aggregation and monitoring for containers."""

from importlib.metadata import version

__version__ = version("deckwatch")
