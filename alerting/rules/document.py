"""YAML with the place of everything, so that a fault can be pointed at. Reading goes on behind a fault: all are told
at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import yaml

from alerting.rules.durations import parse_duration_ns
from alerting.rules.model import RuleFault
from deckwatch.runtime.faults import Reject

Fields = dict[str, yaml.Node]

T = TypeVar("T")
_NULL = "tag:yaml.org,2002:null"


class Document:
    """One file's first YAML document, and the faults found in it so far."""

    def __init__(self, path: str, text: str) -> None:
        self._path = path
        self._group = ""
        self._rule = ""
        self.faults: list[RuleFault] = []
        self.root: yaml.Node | None = None
        try:
            self._loader = yaml.SafeLoader(text)
            if self._loader.check_node():
                self.root = self._loader.get_node()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark
            problem = f"not valid YAML: {error.problem}"
            self.faults.append(RuleFault(path, problem, mark.line + 1 if mark else 0, mark.column + 1 if mark else 0))
        except yaml.YAMLError as error:
            self.faults.append(RuleFault(path, f"not valid YAML: {error}"))

    def fault(self, node: yaml.Node | None, problem: str) -> None:
        line, column = (node.start_mark.line + 1, node.start_mark.column + 1) if node else (0, 0)
        self.faults.append(RuleFault(self._path, problem, line, column, self._group, self._rule))

    @contextmanager
    def group(self, name: str) -> Iterator[None]:
        self._group = name
        yield
        self._group = ""

    @contextmanager
    def rule(self, name: str) -> Iterator[None]:
        self._rule = name
        yield
        self._rule = ""

    def mapping(self, node: yaml.Node, what: str, allowed: tuple[str, ...]) -> Fields:
        """Fields of a mapping that are known here; others, and repeated ones, are faults."""
        if not isinstance(node, yaml.MappingNode):
            if node.tag != _NULL:
                self.fault(node, f"{what} must be a mapping with the fields {', '.join(allowed)}")
            return {}
        fields: Fields = {}
        for key, value in self.pairs(node):
            name = key.value if isinstance(key, yaml.ScalarNode) else ""
            if name not in allowed:
                self.fault(key, f'unknown field "{name}" in {what}; known are {", ".join(allowed)}')
            elif name in fields:
                self.fault(key, f'field "{name}" stands twice in {what}')
            else:
                fields[name] = value
        return fields

    def pairs(self, node: yaml.MappingNode) -> list[tuple[yaml.Node, yaml.Node]]:
        """With what `<<` merges in; a mapping's own keys win over merged ones."""
        own = [pair for pair in node.value if pair[0].tag != "tag:yaml.org,2002:merge"]
        if len(own) < len(node.value):
            self._loader.flatten_mapping(node)  # the merged pairs first, then its own
            names = {key.value for key, _ in own}
            merged = [pair for pair in node.value[: -len(own) or None] if pair[0].value not in names]
            node.value = merged + own
        return list(node.value)

    def items(self, node: yaml.Node | None, what: str) -> list[yaml.Node]:
        if node is None or node.tag == _NULL:
            return []
        if not isinstance(node, yaml.SequenceNode):
            self.fault(node, f"{what} must be a list")
            return []
        return list(node.value)

    def text(self, node: yaml.Node | None, what: str) -> str:
        """Any scalar is taken as it is written, as Prometheus does: `expr: 1` is the expression "1"."""
        if node is None or node.tag == _NULL:
            return ""
        if not isinstance(node, yaml.ScalarNode):
            self.fault(node, f"{what} must be a text")
            return ""
        return str(node.value)

    def texts(self, node: yaml.Node | None, what: str) -> list[tuple[yaml.Node, str, str]]:
        """(where, name, text) of a mapping of texts, sorted by name."""
        if node is None or node.tag == _NULL:
            return []
        if not isinstance(node, yaml.MappingNode):
            self.fault(node, f"{what} must be a mapping of names to texts")
            return []
        found: dict[str, tuple[yaml.Node, str, str]] = {}
        for key, value in self.pairs(node):
            name = self.text(key, f"a name in {what}")
            if name in found:
                self.fault(key, f'"{name}" stands twice in {what}')
            found[name] = (value, name, self.text(value, f'"{name}" in {what}'))
        return [found[name] for name in sorted(found)]

    def duration_ns(self, node: yaml.Node | None, what: str, default_ns: int = 0) -> int:
        if node is None or node.tag == _NULL:
            return default_ns
        read = self.checked(node, parse_duration_ns, self.text(node, what), f"{what}: ")
        return default_ns if read is None else read

    def integer(self, node: yaml.Node | None, what: str) -> int:
        if node is None or node.tag == _NULL:
            return 0
        try:
            return int(self.text(node, what))
        except ValueError:
            self.fault(node, f"{what} must be a whole number")
            return 0

    def checked(self, node: yaml.Node, check: Callable[[str], T], text: str, prefix: str = "") -> T | None:
        """The check's result; None after a Reject, which became a fault here."""
        try:
            return check(text)
        except Reject as error:
            self.fault(node, f"{prefix}{error}")
            return None
