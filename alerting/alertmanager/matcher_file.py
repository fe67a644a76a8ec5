"""Matchers as they stand in routes and inhibition rules: a list of texts, and the two older forms by mappings."""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from alerting.notify.matchers import CLASSIC_NAME, parse_matchers
from alerting.rules.document import Document
from collector.metrics.selector import Matcher, MatchOp, check_regex


def read_matchers(doc: Document, fields: Mapping[str, yaml.Node], path: str, prefix: str = "") -> tuple[Matcher, ...]:
    """Of `match`, `match_re` and `matchers`, with a prefix such as `source_`."""
    found: list[Matcher] = []
    for field, op in ((f"{prefix}match", MatchOp.EQUAL), (f"{prefix}match_re", MatchOp.REGEX)):
        for node, name, value in doc.texts(fields.get(field), f"{path}.{field}"):
            if not CLASSIC_NAME.fullmatch(name):
                doc.fault(node, f'{path}.{field}: invalid label name "{name}"')
            if op is MatchOp.REGEX:
                doc.checked(node, check_regex, value, f"{path}.{field}.{name}: ")
            found.append(Matcher(name, op, value))
    field = f"{prefix}matchers"
    for place, node in enumerate(doc.items(fields.get(field), f"{path}.{field}")):
        at = f"{path}.{field}[{place}]"
        found += doc.checked(node, parse_matchers, doc.text(node, at), f"{at}: ") or ()
    return tuple(found)
