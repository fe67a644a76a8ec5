"""YAML configuration with the line of every option, and keys that are given twice found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import yaml

from deckwatch.runtime.config_file import ConfigFile, Steps
from deckwatch.runtime.faults import Unusable


def parse_yaml(path: Path, text: str) -> ConfigFile:
    """Raises Unusable: not YAML, or no mapping at the top."""
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
