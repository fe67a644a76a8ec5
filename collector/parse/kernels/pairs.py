"""`key=value` pairs in a line of text: logfmt, and pairs behind other text.

The one reading of them: which line has any, what its level key says, and the value of a field all come from here.
A pair is a token: it begins the line, or stands behind a blank, one opening bracket, or the comma or semicolon of the
pair before. So these are none: the parameters of a URL (`/x?a=1&b=2`), options (`--a=1`), `a==b`, `a=>b`, `a += 1`,
padded base64, `Foo::operator=(...)`. A quoted text by itself is skipped, whatever stands in it.

Keys are letters, digits and _ . - / @, not beginning with a digit. A value is in double quotes, with backslash as
escape, or in single ones, or goes to the next blank; a comma, semicolon or bracket at its end that it did not open
belongs to the text around it. A key without a value is no pair. Pairs end with the first line.
"""

from __future__ import annotations

from collector.parse.kernels.compiling import inner, kernel
from collector.parse.kernels.docker import skip_string
from collector.parse.kernels.simd import equal_mask, find_newline, lowest_bit
from collector.parse.layout import Bytes, Table

BARE, DOUBLE, SINGLE = 0, 1, 2
"""How a value is quoted."""

_QUOTE, _APOSTROPHE, _EQUALS, _COMMA, _SEMICOLON, _AND, _BACKSLASH = 34, 39, 61, 44, 59, 38, 92


@inner
def next_pair(data: Bytes, i: int, end: int) -> tuple[int, int, int, int, int, int]:
    """(key, = sign, value, its end, quoting, place behind) of the first pair in [i, end); key is -1 without one.

    `i` is the beginning of the line or the place behind a pair, `end` at most the end of the line. The value is told
    without its quotes.
    """
    begin = i
    while i < end:
        mask = equal_mask(data, i, _EQUALS, _QUOTE)
        if mask == 0:
            i += 16
            continue
        i += lowest_bit(mask)
        if i >= end:
            break
        if data[i] == _QUOTE:
            stop = skip_string(data, i + 1, end) if _begins_token(data, begin, i) else -1
            i = begin = stop if stop > 0 and _ends_token(data, stop, end) else i + 1
            continue
        key = i
        while key > begin and is_key_byte(data[key - 1]):
            key -= 1
        if key < i and is_key_start(data[key]) and _begins_token(data, begin, key):
            value, value_end, quoting, behind = _value(data, i + 1, end)
            if value_end >= 0:
                return key, i, value, value_end, quoting, behind
        i += 1
    return -1, 0, 0, 0, 0, end


@inner
def _begins_token(data: Bytes, begin: int, i: int) -> bool:
    if i == begin or is_blank(data[i - 1]):
        return True
    opened = data[i - 1] == 40 or data[i - 1] == 91 or data[i - 1] == 123
    return opened and (i - 1 == begin or is_blank(data[i - 2]))


@inner
def _ends_token(data: Bytes, i: int, end: int) -> bool:
    return i >= end or is_blank(data[i]) or _is_separator(data[i]) or _is_closing(data[i])


@inner
def _value(data: Bytes, i: int, end: int) -> tuple[int, int, int, int]:
    """(value, its end, quoting, place behind it and its separator); the end is -1 where none begins at i."""
    if i >= end or is_blank(data[i]):
        return 0, -1, 0, 0
    c = data[i]
    if c == _EQUALS or c == 62 or c == 126:  # a==b, a=>b, a=~b
        return 0, -1, 0, 0
    if c == _QUOTE:
        stop = skip_string(data, i + 1, end)
        if stop < 0 or not _ends_token(data, stop, end):
            return 0, -1, 0, 0
        return i + 1, stop - 1, DOUBLE, _behind(data, stop, end)
    if c == _APOSTROPHE:
        stop = i + 1
        while stop < end and not (data[stop] == _APOSTROPHE and _ends_token(data, stop + 1, end)):
            stop += 1
        if stop < end:
            return i + 1, stop, SINGLE, _behind(data, stop + 1, end)
    return _bare(data, i, end)


@inner
def _bare(data: Bytes, i: int, end: int) -> tuple[int, int, int, int]:
    """To the next blank, or to the separator with the next pair right behind it; what the text around it closes is
    not of the value. None: parameters of a form (`a=1&b=2`), and what opens a bracket that it doesn't close."""
    stop, equals, ands = i, 0, 0
    while stop < end and not is_blank(data[stop]):
        c = data[stop]
        if _is_separator(c) and equals == 0 and _begins_key(data, stop + 1, end):
            break
        ands += c == _AND
        equals += c == _EQUALS
        stop += 1
    if ands and equals:
        return 0, -1, 0, 0
    value_end = stop
    while value_end > i and (
        _is_separator(data[value_end - 1]) or (_is_closing(data[value_end - 1]) and not _closes(data, i, value_end))
    ):
        value_end -= 1
    c = data[i]
    opens = c == 40 or c == 91 or c == 123
    if value_end == i or (opens and not _is_closing(data[value_end - 1])):
        return 0, -1, 0, 0
    return i, value_end, BARE, _behind(data, stop, end)


@inner
def _behind(data: Bytes, i: int, end: int) -> int:
    return i + 1 if i < end and _is_separator(data[i]) else i


@inner
def _begins_key(data: Bytes, i: int, end: int) -> bool:
    if i >= end or not is_key_start(data[i]):
        return False
    while i < end and is_key_byte(data[i]):
        i += 1
    return i < end and data[i] == _EQUALS


@inner
def _closes(data: Bytes, i: int, stop: int) -> bool:
    """Does the bracket before `stop` close one that was opened in [i, stop)?"""
    closing = data[stop - 1]
    opening = 40 if closing == 41 else closing - 2
    depth = 0
    for k in range(i, stop):
        depth += data[k] == opening
        depth -= data[k] == closing
    return depth >= 0


@inner
def is_blank(c: int) -> bool:
    return c == 32 or c == 9


@inner
def _is_separator(c: int) -> bool:
    return c in (_COMMA, _SEMICOLON)


@inner
def _is_closing(c: int) -> bool:
    return c == 41 or c == 93 or c == 125


@inner
def is_key_start(c: int) -> bool:
    return 97 <= c <= 122 or 65 <= c <= 90 or c == 95 or c == 64


@inner
def is_key_byte(c: int) -> bool:
    return is_key_start(c) or 48 <= c <= 57 or 45 <= c <= 47  # - . /


@inner
def line_end(data: Bytes, at: int, end: int) -> int:
    newline = find_newline(data, at, end)
    return end if newline < 0 else newline


@inner
def unquote(data: Bytes, i: int, end: int, out: Bytes, o: int) -> int:
    """Write the inside of a double-quoted value; the place behind it. Other escapes than these stay as they are."""
    while i < end:
        c = data[i]
        if c == _BACKSLASH and i + 1 < end:
            meant = _escaped(data[i + 1])
            if meant:
                c = meant
                i += 1
        out[o] = c
        i += 1
        o += 1
    return o


@inner
def _escaped(c: int) -> int:
    if c in (_QUOTE, _BACKSLASH):
        return c
    return 10 if c == 110 else 9 if c == 116 else 13 if c == 114 else 0


@kernel
def list_pairs(data: Bytes, end: int, found: Table, out: Bytes) -> int:
    """How many pairs the text [0, end) has, at most len(found): rows of (key, its end, value, its end) as int64, keys
    in `data`, values in `out`, which has room for as many bytes."""
    stop = line_end(data, 0, end)
    i, o, count = 0, 0, 0
    while count < len(found):
        key, equals, value, value_end, quoting, i = next_pair(data, i, stop)
        if key < 0:
            break
        row = found[count]
        row[0], row[1], row[2] = key, equals, o
        o = copy_value(data, value, value_end, quoting, out, o)
        row[3] = o
        count += 1
    return count


@inner
def copy_value(data: Bytes, value: int, value_end: int, quoting: int, out: Bytes, o: int) -> int:
    if quoting == DOUBLE:
        return unquote(data, value, value_end, out, o)
    for k in range(value, value_end):
        out[o + k - value] = data[k]
    return o + value_end - value
