"""Relabelling with Prometheus' meaning (prometheus/model/relabel). Pure.

A rule sees the labels as the rules before it left them; a label set to the empty text is gone. Go's regular
expressions are written almost as Python's; what differs (`\\z`, `\\p{...}`, flags in the middle) is refused when the
settings are read.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import Literal

import msgspec

Action = Literal[
    "replace",
    "keep",
    "drop",
    "hashmod",
    "labelmap",
    "labeldrop",
    "labelkeep",
    "lowercase",
    "uppercase",
    "keepequal",
    "dropequal",
]
NEEDS_TARGET = frozenset({"replace", "hashmod", "lowercase", "uppercase", "keepequal", "dropequal"})
_ONLY_REGEX = frozenset({"labeldrop", "labelkeep"})
_FLAGS = re.compile(r"\(\?([a-zA-Z]+)\)")
_REFERENCE = re.compile(r"\$(?:\$|\{(\w+)\}|(\w+))", re.ASCII)
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")


class Rule(msgspec.Struct, frozen=True):
    action: Action
    regex: re.Pattern[str]
    source_labels: tuple[str, ...] = ()
    separator: str = ";"
    target_label: str = ""
    replacement: str = "$1"
    modulus: int = 0


def anchored(regex: str) -> re.Pattern[str]:
    """For fullmatch, as Go's `^(?s:regex)$`. Raises ValueError."""
    flags = "s"
    if (leading := _FLAGS.match(regex)) is not None:
        flags, regex = "s" + leading[1].replace("U", "").replace("s", ""), regex[leading.end() :]
    try:
        return re.compile(f"(?{flags}:{regex})")
    except re.error as error:
        raise ValueError(f"regex {regex!r} can't be read: {error}") from None


def relabel(labels: Mapping[str, str], rules: Iterable[Rule]) -> dict[str, str] | None:
    """The labels that are left, or None where a rule dropped the target or series."""
    current = {name: value for name, value in labels.items() if value}
    for rule in rules:
        kept = _apply(current, rule)
        if kept is None:
            return None
        current = kept
    return current


def _apply(labels: dict[str, str], rule: Rule) -> dict[str, str] | None:
    if rule.action == "labelmap":
        return _map(labels, rule)
    if rule.action in _ONLY_REGEX:
        wanted = rule.action == "labelkeep"
        return {name: value for name, value in labels.items() if (rule.regex.fullmatch(name) is not None) is wanted}
    source = rule.separator.join([labels.get(name, "") for name in rule.source_labels])
    match rule.action:
        case "keep":
            return labels if rule.regex.fullmatch(source) else None
        case "drop":
            return None if rule.regex.fullmatch(source) else labels
        case "keepequal":
            return labels if labels.get(rule.target_label, "") == source else None
        case "dropequal":
            return None if labels.get(rule.target_label, "") == source else labels
        case "lowercase":
            return _set(labels, rule.target_label, source.lower())
        case "uppercase":
            return _set(labels, rule.target_label, source.upper())
        case "hashmod":
            return _set(labels, rule.target_label, str(_hash(source) % rule.modulus))
        case _:
            return _replace(labels, rule, source)


def _replace(labels: dict[str, str], rule: Rule, source: str) -> dict[str, str]:
    match = rule.regex.fullmatch(source)
    if match is None:
        return labels
    name = expand(rule.target_label, match)
    if not _LABEL_NAME.fullmatch(name):
        return labels
    return _set(labels, name, expand(rule.replacement, match))


def _map(labels: dict[str, str], rule: Rule) -> dict[str, str]:
    mapped = dict(labels)
    for name, value in labels.items():
        if (match := rule.regex.fullmatch(name)) is not None and (new := expand(rule.replacement, match)):
            mapped[new] = value
    return mapped


def _set(labels: dict[str, str], name: str, value: str) -> dict[str, str]:
    if value:
        return {**labels, name: value}
    return {known: text for known, text in labels.items() if known != name}


def expand(template: str, match: re.Match[str]) -> str:
    """Go's regexp.Expand: `$1`, `${1}`, `${name}`, `$$`; the longest word counts, an unknown group is empty."""
    if "$" not in template:
        return template

    def group(found: re.Match[str]) -> str:
        name = found[1] or found[2]
        if name is None:
            return "$"
        try:
            return match[int(name) if name.isdecimal() else name] or ""
        except IndexError:
            return ""

    return _REFERENCE.sub(group, template)


def _hash(text: str) -> int:
    """The last eight bytes of MD5, big endian, as Prometheus takes them."""
    return int.from_bytes(hashlib.md5(text.encode("utf-8", "replace"), usedforsecurity=False).digest()[8:], "big")
