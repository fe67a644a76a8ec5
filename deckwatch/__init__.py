"""Deckwatch: log aggregation and monitoring for containers."""

__version__ = "0.1.0"
