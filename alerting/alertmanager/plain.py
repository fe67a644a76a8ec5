"""Parts of a YAML document as plain values, and where in the file each of them stands.

Scalars are what Go's YAML reader would make of them: a number only where it is written back the same, true and false
as switches, all else text (PyYAML would take 17:00 for 1020 and on for true).
"""

from __future__ import annotations

import re

import yaml

from alerting.rules.document import Document

_INT = re.compile(r"-?(?:0|[1-9][0-9]*)")
_FLOAT = re.compile(r"-?(?:0|[1-9][0-9]*)\.[0-9]+")
_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")
_NULL = "tag:yaml.org,2002:null"


def plain(doc: Document, node: yaml.Node | None, path: str) -> object:
    """A field that stands twice is a fault."""
    if isinstance(node, yaml.MappingNode):
        made: dict[str, object] = {}
        for key, value in doc.pairs(node):
            name = doc.text(key, f"a field of {path}")
            if name in made:
                doc.fault(key, f'field "{name}" stands twice in {path}')
            made[name] = plain(doc, value, f"{path}.{name}" if path else name)
        return made
    if isinstance(node, yaml.SequenceNode):
        return [plain(doc, value, f"{path}[{place}]") for place, value in enumerate(node.value)]
    return _scalar(node) if isinstance(node, yaml.ScalarNode) else None


def _scalar(node: yaml.ScalarNode) -> object:
    text = str(node.value)
    if node.style is not None:  # quoted, or a block: text, whatever it looks like
        return text
    if node.tag == _NULL:
        return None
    if text in ("true", "True", "TRUE"):
        return True
    if text in ("false", "False", "FALSE"):
        return False
    if _INT.fullmatch(text):
        return int(text)
    return float(text) if _FLOAT.fullmatch(text) else text


def node_at(root: yaml.Node | None, path: str) -> yaml.Node | None:
    """Of `receivers[2].slack_configs[0].api_url`; of the nearest part around it where there is no such field."""
    node = root
    for name, place in _STEP.findall(path):
        inner: yaml.Node | None = None
        if name and isinstance(node, yaml.MappingNode):
            inner = next((value for key, value in node.value if key.value == name), None)
        elif place and isinstance(node, yaml.SequenceNode) and int(place) < len(node.value):
            inner = node.value[int(place)]
        if inner is None:
            return node
        node = inner
    return node
