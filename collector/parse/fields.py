"""Fields of a body: all of one record's, for display, and one of many records', by column operations.

Both have the same meaning. JSON: members of nested objects are joined by dots, a member whose own name has dots comes
before the nested ones, arrays are their JSON text, null is absent. logfmt: tokens from the beginning, key=value or bare
words, as far as they go; the first of two equal keys counts; values are text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import partial
from itertools import combinations

import msgspec
import polars as pl

from collector.records import BODIES

Value = str | int | float | bool | None

JSON, LOGFMT = BODIES.index("json"), BODIES.index("logfmt")

_KEY = r"[A-Za-z_@][0-9A-Za-z_.\-/@]*"
_QUOTED = r'"((?:[^"\\]|\\.)*)"'
_PAIR = re.compile(
    rf'({_KEY})=(?:{_QUOTED}(?=[ \n]|\Z)|([^ \n"][^ \n]*)?(?=[ \n]|\Z))|[^ \n="]+(?=[ \n]|\Z)', re.DOTALL
)
_BEFORE = rf'\A(?:(?:{_KEY}=(?:"(?:[^"\\]|\\.)*"|(?:[^ \n"][^ \n]*)?)|[^ \n="]+) +)*?'
_ESCAPES = {r"\"": '"', r"\\": "\\", r"\n": "\n", r"\t": "\t", r"\r": "\r"}
_ESCAPE = re.compile(r"\\[\"\\ntr]")
_MAX_SPLIT = 5
"""Names of more parts are looked for only as they stand and wholly nested; else there are 2^(n - 1) ways to split."""


def body_fields(message: str, body: int) -> dict[str, Value]:
    """All fields of one message; empty where the text isn't what its body code says."""
    if body == JSON:
        return _json_fields(message)
    if body == LOGFMT:
        return _logfmt_fields(message)
    return {}


def field_expr(name: str) -> pl.Expr:
    """The text of a field of the body (String, null where it is absent), from the columns `message` and `body`.

    Numbers read as JSON writes them (1.5, 100000.0), booleans as true and false; an object's own value is its JSON.
    """
    message, body = pl.col("message"), pl.col("body")
    json = _json_expr(pl.when(body == JSON).then(message), name)
    if not re.fullmatch(_KEY, name):
        return json
    return pl.coalesce(json, _logfmt_expr(pl.when(body == LOGFMT).then(message), name))


def _json_fields(message: str) -> dict[str, Value]:
    try:
        members = msgspec.json.decode(message)
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return {}  # it looked like an object; the message is shown as it is
    if not isinstance(members, dict):
        return {}
    fields: dict[str, Value] = {}
    for name, value in _flat(members):
        fields.setdefault(name, value)
    return fields


def _flat(members: dict[str, object]) -> Iterator[tuple[str, Value]]:
    """Breadth first, so that a name with dots in it comes before the same one by nesting."""
    level: list[tuple[str, dict[str, object]]] = [("", members)]
    while level:
        deeper: list[tuple[str, dict[str, object]]] = []
        for prefix, inner in level:
            for name, value in inner.items():
                if isinstance(value, dict) and value:
                    deeper.append((f"{prefix}{name}.", value))
                else:
                    yield prefix + name, _plain(value)
        level = deeper


def _plain(value: object) -> Value:
    if isinstance(value, bool | float | str) or value is None:
        return value
    if isinstance(value, int):
        return value if -(1 << 63) <= value < 1 << 64 else _as_float(value)
    return msgspec.json.encode(value).decode()


def _as_float(value: int) -> float | None:
    """What column operations read for an integer of more than 64 bits; None beyond what a float holds."""
    try:
        return float(value)
    except OverflowError:
        return None


def _logfmt_fields(message: str) -> dict[str, Value]:
    fields: dict[str, Value] = {}
    at = 0
    while match := _PAIR.match(message, at):
        key, quoted, bare = match.groups()
        if key is not None:
            value = _ESCAPE.sub(lambda escape: _ESCAPES[escape[0]], quoted) if quoted is not None else bare or ""
            fields.setdefault(key, value)
        at = match.end()
        while message[at : at + 1] == " ":
            at += 1
    return fields


def _json_expr(message: pl.Expr, name: str) -> pl.Expr:
    """Only rows in which the name's last part stands at all are parsed: that takes a tenth of the time."""
    last = name.rpartition(".")[2]
    if re.fullmatch(r"[ !#-\[\]-~]+", last):  # what nobody needs to escape
        message = pl.when(message.str.contains(f'{last}"', literal=True)).then(message)
    return pl.coalesce(*(message.str.json_path_match(path) for path in _json_paths(name)))


def _json_paths(name: str) -> list[str]:
    """JSONPath of each way in which the dots of a name may be nesting, the least nested first."""
    parts = name.split(".")
    dots = range(1, len(parts))
    counts = dots if len(parts) <= _MAX_SPLIT else (len(parts) - 1,)
    paths = [_path([name])]
    for cuts in (cuts for count in counts for cuts in combinations(dots, count)):
        ends = (*cuts, len(parts))
        paths.append(_path([".".join(parts[a:b]) for a, b in zip((0, *cuts), ends, strict=True)]))
    return paths


def _path(keys: list[str]) -> str:
    return "$" + "".join("['{}']".format(key.replace("\\", "\\\\").replace("'", "\\'")) for key in keys)


def _logfmt_expr(message: pl.Expr, name: str) -> pl.Expr:
    return message.map_batches(partial(_logfmt_values, name), return_dtype=pl.String, is_elementwise=True)


def _logfmt_values(name: str, messages: pl.Series) -> pl.Series:
    """Values without quotes are found in the text with all quoted ones emptied; what is left, by walking over the
    tokens before it, which takes five times as long."""
    key = pl.escape_regex(name)
    has_key = messages.str.contains(f"{name}=", literal=True).fill_null(False)
    candidates = messages.filter(has_key)
    emptied = candidates.str.replace_all(rf"=(?s:{_QUOTED})", '=""')
    if emptied.str.contains("\n", literal=True).any():  # the pairs end with the first line
        emptied = emptied.str.extract(r"\A([^\n]*)", 1)
    values = emptied.str.extract(rf"(?:\A| ){key}=([^ \n]*)", 1)
    left = (values.is_null() | values.is_in(["", '""'])).fill_null(True)
    if left.any():
        pattern = rf'(?s:{_BEFORE}){key}=(?:{_QUOTED}|((?:[^ \n"][^ \n]*)?))(?:[ \n]|\z)'
        groups = candidates.filter(left).str.extract_groups(pattern).struct
        quoted = groups.field("1").str.replace_many(list(_ESCAPES), list(_ESCAPES.values()))
        values = values.scatter(left.arg_true(), quoted.zip_with(quoted.is_not_null(), groups.field("2")))
    return pl.Series([None], dtype=pl.String).new_from_index(0, len(messages)).scatter(has_key.arg_true(), values)
