"""A template in pieces: text as it stands, and actions as tokens (go/src/text/template/parse)."""

from __future__ import annotations

import re

import msgspec

from alerting.templates.nodes import TemplateError, Text

_ACTION = re.compile(
    r"\{\{(?P<trim_left>-[ \t\r\n])?"
    r"(?P<body>(?:\"(?:\\.|[^\"\\\n])*\"|`[^`]*`|'(?:\\.[^'\n]*|[^'\\\n])'|/\*.*?\*/|\}(?!\})|[^\"`}])*?)"
    r"(?P<trim_right>[ \t\r\n]-)?\}\}",
    re.DOTALL,
)
_TOKEN = re.compile(
    r"""\s+ | (?P<string>"(?:\\.|[^"\\\n])*"|`[^`]*`)
    | (?P<rune>'(?:\\.[^']*|[^'\\\n])')
    | (?P<number>[-+]?(?:0[xXbBoO][0-9a-fA-F_]+|(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?))
    | (?P<path>\$\w*(?:\.[^\W\d]\w*)*|(?:\.[^\W\d]\w*)+|\.)
    | (?P<word>[^\W\d]\w*) | (?P<mark>:=|[|()=,])""",
    re.VERBOSE,
)
Token = tuple[str, str, int]
"""(kind, text, place in the template)"""


class Action(msgspec.Struct, frozen=True):
    tokens: tuple[Token, ...]
    at: int


def pieces(text: str) -> list[Text | Action]:
    found: list[Text | Action] = []
    at = 0
    trim = False
    while True:
        start = text.find("{{", at)
        plain = text[at:] if start < 0 else text[at:start]
        match = None if start < 0 else _ACTION.match(text, start)
        plain = plain.lstrip(" \t\r\n") if trim else plain
        plain = plain.rstrip(" \t\r\n") if match and match["trim_left"] else plain
        if plain:
            found.append(Text(plain))
        if start < 0:
            return found
        if match is None:
            raise TemplateError(f"unclosed action at character {start + 1}")
        if not match["body"].strip().startswith("/*"):
            found.append(Action(_tokens(match["body"], match.start("body")), match.start("body")))
        trim = match["trim_right"] is not None
        at = match.end()


def _tokens(body: str, offset: int) -> tuple[Token, ...]:
    found: list[Token] = []
    at = 0
    while at < len(body):
        match = _TOKEN.match(body, at)
        if match is None:
            raise TemplateError(f"unexpected {body[at]!r} in an action at character {offset + at + 1}")
        if match.lastgroup:
            found.append((match.lastgroup, match.group(), offset + at))
        at = match.end()
    return tuple(found)
