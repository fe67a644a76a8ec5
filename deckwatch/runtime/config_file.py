"""Configuration files, YAML or TOML by suffix, with the line of each option where the format lets us know it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import yaml

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


def _toml(path: Path, text: str) -> ConfigFile:
    try:
        return ConfigFile(path, tomllib.loads(text), {}, ())
    except tomllib.TOMLDecodeError as error:
        raise Unusable(f"{path}: not valid TOML: {error}") from None


def _yaml(path: Path, text: str) -> ConfigFile:
    loader = yaml.SafeLoader(text)
    try:
        node = loader.get_single_node()
        data = {} if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        raise Unusable(f"{path}: not valid YAML: {place}{error.problem or error.context}") from None
    except yaml.YAMLError as error:
        raise Unusable(f"{path}: not valid YAML: {error}") from None
    finally:
        loader.dispose()
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise Unusable(f"{path}: expected sections like `agent:` at the top, got {type(data).__name__}")
    places = list(_places(node, (), set())) if node is not None else []
    seen: dict[Steps, int] = {}
    repeated = []
    for steps, line in places:
        if steps in seen:
            repeated.append((steps, line))
        seen[steps] = line
    return ConfigFile(path, data, seen, tuple(repeated))


def _places(node: yaml.Node, steps: Steps, visited: set[int]) -> Iterator[tuple[Steps, int]]:
    """The line of every option and list item. An anchor's node is walked once: aliases may refer to themselves."""
    if id(node) in visited:
        return
    visited.add(id(node))
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            below = (*steps, str(key.value))
            if key.tag != "tag:yaml.org,2002:merge":
                yield below, key.start_mark.line + 1
            yield from _places(value, below, visited)
    elif isinstance(node, yaml.SequenceNode):
        for number, item in enumerate(node.value):
            below = (*steps, str(number))
            yield below, item.start_mark.line + 1
            yield from _places(item, below, visited)
