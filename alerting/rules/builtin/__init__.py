"""Rule files that come with Deckwatch."""

from __future__ import annotations

from pathlib import Path

BUILTIN = str(Path(__file__).parent / "*.yml")
"""Glob of them."""
