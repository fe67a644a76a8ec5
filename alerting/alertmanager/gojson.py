"""JSON bodies, and what Go's decoder says of those that are none: Alertmanager's clients show its words to people."""

from __future__ import annotations

import json
from typing import Any

_EXPECTED = {
    "Expecting property name enclosed in double quotes": "looking for beginning of object key string",
    "Illegal trailing comma before end of object": "looking for beginning of object key string",
    "Expecting ':' delimiter": "after object key",
    "Expecting ',' delimiter": "after array element or object key:value pair",
    "Expecting value": "looking for beginning of value",
    "Illegal trailing comma before end of array": "looking for beginning of value",
    "Extra data": "after top-level value",
    "Invalid control character at": "in string literal",
    "Invalid \\escape": "in string escape code",
    "Invalid \\uXXXX escape": "in \\u hexadecimal character escape",
}


class BadJson(ValueError):
    """Its text is Go's."""


def decode(raw: bytes) -> Any:
    """Raises BadJson."""
    try:
        text = raw.decode()
        if not text.strip():
            raise BadJson("EOF")
        return json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        raise BadJson(_problem(error)) from None
    except UnicodeDecodeError:
        raise BadJson("invalid UTF-8 in the body") from None
    except RecursionError:
        raise BadJson("exceeded max depth") from None


def _no_constant(name: str) -> Any:
    """Python takes NaN and Infinity; JSON has neither."""
    raise BadJson(f"invalid character '{name[0]}' looking for beginning of value")


def _problem(error: json.JSONDecodeError) -> str:
    place = error.pos + error.msg.startswith("Invalid \\escape")  # Python points at the backslash
    while place < len(error.doc) and error.doc[place].isspace():
        place += 1
    if place >= len(error.doc) or error.msg.startswith("Unterminated string"):
        return "unexpected EOF"
    reason = next((go for python, go in _EXPECTED.items() if error.msg.startswith(python)), "looking for a value")
    return f"invalid character {_rune(error.doc[place])} {reason}"


def _rune(char: str) -> str:
    """As Go's quoteChar writes it."""
    if char == "'":
        return r"'\''"
    if char == '"':
        return "'\"'"
    return f"'{char}'" if char.isprintable() else f"'\\u{ord(char):04x}'"
