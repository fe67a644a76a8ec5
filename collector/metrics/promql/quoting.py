"""String literals: Go's quoting and its escapes. Bytes that are no UTF-8 live in Python as lone surrogates."""

from __future__ import annotations

import re

_SIMPLE = {
    "a": "\a",
    "b": "\b",
    "f": "\f",
    "n": "\n",
    "r": "\r",
    "t": "\t",
    "v": "\v",
    "\\": "\\",
    "'": "'",
    '"': '"',
}
_WRITTEN = {value: name for name, value in _SIMPLE.items() if name != "'"}
_LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*", re.ASCII)


class BadEscape(ValueError):
    """`at` counts from the opening quote."""

    def __init__(self, at: int, reason: str) -> None:
        super().__init__(reason)
        self.at = at


def unquote(literal: str) -> str:
    """The text of a literal with its quotes; in backticks nothing is escaped. Raises BadEscape."""
    if literal[0] == "`":
        return literal[1:-1]
    out = bytearray()
    at, end = 1, len(literal) - 1
    while at < end:
        if literal[at] == "\\":
            piece, at = _escape(literal, at, literal[0])
            out += piece
        else:
            out += literal[at].encode("utf-8", "surrogateescape")
            at += 1
    return out.decode("utf-8", "surrogateescape")


def _escape(literal: str, at: int, quote: str) -> tuple[bytes, int]:
    """The bytes of the escape that begins at `at`, and where it ends. Formats: Go's specification, rune literals."""
    letter = literal[at + 1]
    if letter in _SIMPLE and (letter not in "'\"" or letter == quote):
        return _SIMPLE[letter].encode(), at + 2
    if letter in "xuU":
        length = {"x": 2, "u": 4, "U": 8}[letter]
        value = _code(literal, at, at + 2, length, 16)
        return (bytes([value]) if letter == "x" else _rune(value, at)), at + 2 + length
    if letter in "01234567":
        value = _code(literal, at, at + 1, 3, 8)
        if value > 255:
            raise BadEscape(at, "octal escape value > 255")
        return bytes([value]), at + 4
    raise BadEscape(at, f"unknown escape sequence {describe_rune(letter)}")


def _code(literal: str, at: int, start: int, length: int, base: int) -> int:
    digits = literal[start : start + length].rstrip(literal[0])
    allowed = "0123456789abcdefABCDEF" if base == 16 else "01234567"
    for digit in digits:
        if digit not in allowed:
            raise BadEscape(at, f"illegal character {describe_rune(digit)} in escape sequence")
    if len(digits) < length:
        raise BadEscape(at, "escape sequence not terminated")
    return int(digits, base)


def _rune(value: int, at: int) -> bytes:
    if value > 0x10FFFF or 0xD800 <= value < 0xE000:
        raise BadEscape(at, "escape sequence is an invalid Unicode code point")
    return chr(value).encode()


def describe_rune(letter: str) -> str:
    """Go's `%#U`: U+0021 '!'."""
    return f"U+{ord(letter):04X}" + (f" '{letter}'" if letter.isprintable() else "")


def quote(text: str) -> str:
    """strconv.Quote: `unquote` gives the same text back."""
    return '"' + "".join(map(_written, text)) + '"'


def _written(letter: str) -> str:
    if letter in _WRITTEN:
        return f"\\{_WRITTEN[letter]}"
    if letter.isprintable():
        return letter
    code = ord(letter)
    if 0xDC80 <= code <= 0xDCFF:  # a byte that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def is_plain_label(name: str) -> bool:
    """Can it be written without quotes?"""
    return _LABEL_NAME.fullmatch(name) is not None


def is_label(name: str) -> bool:
    """Prometheus 3 allows every UTF-8 name that isn't empty."""
    return bool(name) and is_utf8(name)


def is_utf8(text: str) -> bool:
    return not any(0xD800 <= ord(letter) <= 0xDFFF for letter in text)
