"""Where things stand when nobody says otherwise (XDG Base Directory Specification)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

DEFAULT_PORT = 9428
"""Of the collector: intake, API and web pages."""


def state_home(env: Mapping[str, str]) -> Path:
    """`$XDG_STATE_HOME/deckwatch`, by default `~/.local/state/deckwatch`. A relative XDG path doesn't count."""
    given = Path(env.get("XDG_STATE_HOME", ""))
    return (given if given.is_absolute() else Path.home() / ".local" / "state") / "deckwatch"
