"""Configuration files, YAML or TOML by suffix, with the line of each option where the format lets us know it."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import msgspec

from deckwatch.runtime.faults import Unusable

Steps = tuple[str, ...]
"""The way to an option: ("agent", "ship", "batch_bytes"); items of lists are named by their number."""


class ConfigFile(msgspec.Struct, frozen=True):
    path: Path
    data: dict[str, Any]
    lines: dict[Steps, int]  # empty for TOML, whose parser doesn't tell
    repeated: tuple[tuple[Steps, int], ...]  # keys given twice: YAML takes the last one silently, we don't


def read_config(path: Path) -> ConfigFile:
    """Raises Unusable: unreadable, neither YAML nor TOML, broken, or no mapping at the top."""
    parse = {".yaml": _yaml, ".yml": _yaml, ".toml": _toml}.get(path.suffix.lower())
    if parse is None:
        raise Unusable(f"{path}: a configuration file is named *.yaml, *.yml or *.toml")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise Unusable(f"{path}: the configuration file can't be read: {reason}") from None
    return parse(path, text)


def _yaml(path: Path, text: str) -> ConfigFile:
    from deckwatch.runtime.config_yaml import parse_yaml  # 3 MB that an agent without a file need not hold

    return parse_yaml(path, text)


def _toml(path: Path, text: str) -> ConfigFile:
    try:
        return ConfigFile(path, tomllib.loads(text), {}, ())
    except tomllib.TOMLDecodeError as error:
        raise Unusable(f"{path}: not valid TOML: {error}") from None
