"""Alertmanager's matchers: `severity="critical"`, `host=~"web.*"`, of routes, inhibitions, silences and filters.

Two syntaxes are read (https://prometheus.io/docs/alerting/latest/configuration/#matcher). *Classic*: label names are
letters, digits, `_` and `:`, quotes around the value are optional. *UTF-8* (since Alertmanager 0.27): names may be any
text in quotes, and what stands without quotes must not hold `{}!=~,\\"'` or a backquote. As Alertmanager does, a text
that both understand in different ways means what it always meant, the classic one.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from collector.metrics.selector import Matcher, MatchOp, check_regex
from deckwatch.runtime.faults import Reject

T = TypeVar("T")

CLASSIC_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
"""A label name of Prometheus' data model before UTF-8."""
_CLASSIC = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|=|!=|!~)\s*(.*?)\s*", re.DOTALL)
_TOKEN = re.compile(
    r"\s*(?:(?P<op>=~|!=|!~|=)|(?P<mark>[{},])|"
    r'(?P<quoted>"(?:[^"\\]|\\.)*")|'
    r"""(?P<bare>[^\s{}!=~,\\"'`]+))""",
    re.DOTALL,
)
_GO_ESCAPE = re.compile(
    r"""\\(?:[abfnrtv\\"]|x[0-9a-fA-F]{2}|[0-7]{3}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|(?P<bad>.))""", re.DOTALL
)
_REGEX = (MatchOp.REGEX, MatchOp.NOT_REGEX)


def parse_matcher(text: str) -> Matcher:
    """Exactly one. Raises Reject in Alertmanager's words."""
    classic = _tried(_classic_matcher, text)
    modern = _tried(_utf8_matchers, text)
    if not isinstance(modern, Reject) and len(modern) == 1 and (isinstance(classic, Reject) or classic == modern[0]):
        return _checked(modern[0])
    if isinstance(classic, Reject):
        raise classic
    return _checked(classic)


def parse_matchers(text: str) -> tuple[Matcher, ...]:
    """Any number, with or without braces around them. Raises Reject in Alertmanager's words."""
    classic = _tried(_classic_matchers, text)
    modern = _tried(_utf8_matchers, text)
    if not isinstance(modern, Reject) and (isinstance(classic, Reject) or classic == modern):
        return tuple(map(_checked, modern))
    if isinstance(classic, Reject):
        raise classic
    return tuple(map(_checked, classic))


def all_match(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """A label that isn't there counts as the empty string."""
    return all(matcher.matches(labels.get(matcher.label, "")) for matcher in matchers)


def passes_filter(matchers: Iterable[Matcher], labels: Mapping[str, str]) -> bool:
    """The API's filters: `name=""` also finds what lacks the label, `name!=""` what has it (api/v2/api.go)."""
    for matcher in matchers:
        there = matcher.label in labels
        negative = matcher.op in (MatchOp.NOT_EQUAL, MatchOp.NOT_REGEX)
        if not matcher.value and there is negative:
            continue
        if not matcher.matches(labels.get(matcher.label, "")):
            return False
    return True


def sorted_matchers(matchers: Iterable[Matcher]) -> tuple[Matcher, ...]:
    """In the order in which they stand in a route's key."""
    order = list(MatchOp)
    return tuple(sorted(matchers, key=lambda one: (one.label, one.value, order.index(one.op))))


def matcher_text(matcher: Matcher) -> str:
    name = matcher.label if CLASSIC_NAME.fullmatch(matcher.label) else _quoted(matcher.label)
    return f"{name}{matcher.op.value}{_quoted(matcher.value)}"


def matchers_text(matchers: Iterable[Matcher]) -> str:
    """`{a="b",c=~"d"}`, as it stands in group keys."""
    return "{" + ",".join(map(matcher_text, matchers)) + "}"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("\n", "\\n").replace('"', '\\"')
    return f'"{escaped}"'


def _checked(matcher: Matcher) -> Matcher:
    if matcher.op in _REGEX:
        check_regex(matcher.value)
    return matcher


def _tried(parse: Callable[[str], T], text: str) -> T | Reject:
    try:
        return parse(text)
    except Reject as error:
        return error


def _classic_matchers(text: str) -> tuple[Matcher, ...]:
    inner = text.removeprefix("{").removesuffix("}")
    return tuple(map(_classic_matcher, _split_at_commas(inner)))


def _split_at_commas(text: str) -> list[str]:
    """At those that stand outside quotes; an empty last part is none."""
    parts, part = [], ""
    quoted = escaped = False
    for char in text:
        if char == "," and not quoted:
            parts.append(part)
            part = ""
            continue
        if char == '"' and not escaped:
            quoted = not quoted
        escaped = char == "\\" and not escaped
        part += char
    if part.strip():
        parts.append(part)
    return parts


def _classic_matcher(text: str) -> Matcher:
    found = _CLASSIC.fullmatch(text)
    if found is None:
        raise Reject(f"bad matcher format: {text}")
    name, op, raw = found.groups()
    return Matcher(name, MatchOp(op), _classic_value(raw))


def _classic_value(raw: str) -> str:
    """Quotes must be both there or both absent; a backslash that escapes nothing is itself."""
    inner = raw.removeprefix('"')
    quoted = inner != raw
    if quoted and inner.endswith('"') and not _ends_escaped(inner[:-1]):
        inner, quoted = inner[:-1], False
    if quoted or re.search(r'(?<!\\)(?:\\\\)*"', inner):
        raise Reject(f"matcher value contains unescaped double quote: {raw}")
    return re.sub(r'\\([n"\\])', lambda found: "\n" if found[1] == "n" else found[1], inner)


def _ends_escaped(text: str) -> bool:
    return (len(text) - len(text.rstrip("\\"))) % 2 == 1


def _utf8_matcher_tokens(text: str) -> list[tuple[str, str]]:
    tokens, place = [], 0
    while place < len(text.rstrip()):
        found = _TOKEN.match(text, place)
        if found is None or found.lastgroup is None:
            raise Reject(f"bad matcher format: {text}")
        tokens.append((found.lastgroup, found[found.lastgroup]))
        place = found.end()
    return tokens


def _utf8_matchers(text: str) -> tuple[Matcher, ...]:
    tokens = _utf8_matcher_tokens(text)
    bad = Reject(f"bad matcher format: {text}")
    if tokens[:1] == [("mark", "{")]:
        if tokens[-1] != ("mark", "}") or len(tokens) == 1:
            raise bad
        tokens = tokens[1:-1]
    matchers = []
    for start in range(0, len(tokens), 4):
        kinds = [kind for kind, _ in tokens[start : start + 3]]
        values = [value for _, value in tokens[start : start + 3]]
        texts = ("quoted", "bare")
        if len(kinds) < 3 or kinds[0] not in texts or kinds[1] != "op" or kinds[2] not in texts:
            raise bad
        if tokens[start + 3 : start + 4] not in ([], [("mark", ",")]):
            raise bad
        matchers.append(Matcher(_unquoted(values[0], bad), MatchOp(values[1]), _unquoted(values[2], bad)))
    return tuple(matchers)


def _unquoted(token: str, bad: Reject) -> str:
    """Go's escapes are Python's, all but those that Go lacks."""
    if not token.startswith('"'):
        return token
    if "\n" in token or any(found["bad"] is not None for found in _GO_ESCAPE.finditer(token)):
        raise bad
    return str(ast.literal_eval(token))
