"""The values of one field in many bodies, without parsing the rest of them.

A JSON field may have several values, as in Elasticsearch: each element of an array is one, and the members of objects
in an array are told by the same dotted path. The text is trusted to be JSON: behind damage nothing is found.
"""

from __future__ import annotations

import numpy as np

from collector.parse.kernels.bodies import JSON, LOGFMT, next_key
from collector.parse.kernels.compiling import inner, kernel
from collector.parse.kernels.docker import skip_blank, skip_string, skip_value, unescape
from collector.parse.kernels.pairs import copy_value, line_end, next_pair
from collector.parse.layout import Bytes, Table

VALUE = np.dtype([("row", "i8"), ("end", "i8"), ("kind", "u1")], align=True)
"""Its row, the place behind its text in the buffer of texts (it begins where the one before ends), and its kind."""

TEXT, ODD_NUMBER, OBJECT = 0, 1, 2
"""Strings, booleans and numbers as anybody writes them; numbers that may be written in other ways (1e3, 1.50); objects,
which have no value of their own."""

_MAX_DEPTH = 64
"""Of nested objects and arrays on the way to a value; nothing deeper is found."""

_ITSELF = -2
_ELSEWHERE = -1
"""What a key leaves of a name besides a place behind a dot: nothing, since it is the whole; it is another name."""


@kernel
def extract(data: Bytes, ends: Table, bodies: Table, name: Bytes, out: Bytes, values: Table) -> int:
    """The number of values of the field `name`, by row; -1 where `values` (VALUE) is too short for them.

    Row r's text is data[ends[r]:ends[r + 1]] and its body has the code bodies[r]. `out` has room for as many bytes as
    all rows; it and `data` are padded.
    """
    stack = np.empty((_MAX_DEPTH, 2), np.int64)
    o, count = 0, 0
    for r in range(len(bodies)):
        before = count
        if bodies[r] == JSON:
            o, count = _json_values(data, ends[r], ends[r + 1], name, stack, out, o, values, count)
        elif bodies[r] == LOGFMT:
            o, count = _pair_value(data, ends[r], ends[r + 1], name, out, o, values, count)
        if count < 0:
            return -1
        for k in range(before, count):
            values[k].row = r
    return count


@inner
def _pair_value(
    data: Bytes, i: int, end: int, name: Bytes, out: Bytes, o: int, values: Table, count: int
) -> tuple[int, int]:
    """Of the first pair with that key."""
    end = line_end(data, i, end)
    while True:
        key, equals, value, value_end, quoting, i = next_pair(data, i, end)
        if key < 0:
            return o, count
        if _rest(data, key, equals, name, 0) == _ITSELF:
            o = copy_value(data, value, value_end, quoting, out, o)
            return o, _add(values, count, o, TEXT)


@inner
def _add(values: Table, count: int, o: int, kind: int) -> int:
    if count >= len(values):
        return -1
    values[count].end = o
    values[count].kind = kind
    return count + 1


@inner
def _json_values(
    data: Bytes, i: int, end: int, name: Bytes, stack: Table, out: Bytes, o: int, values: Table, count: int
) -> tuple[int, int]:
    """`stack` holds, for each object or array around, whether it is an array and which part of the name is left."""
    i = skip_blank(data, i, end)
    if i >= end or data[i] != 123:
        return o, count
    flat = True  # a name without a dot stands in one place alone
    for c in name:
        flat = flat and c != 46
    depth = 0
    stack[0, 0], stack[0, 1] = 0, 0
    i += 1
    while True:
        i = skip_blank(data, i, end)
        if i < end and data[i] == 44:
            i = skip_blank(data, i + 1, end)
        if i >= end:
            return o, count
        if data[i] == 125 or data[i] == 93:
            depth -= 1
            if depth < 0:
                return o, count
            i += 1
            continue
        rest = stack[depth, 1]
        if stack[depth, 0] == 0:
            key, key_end, i = next_key(data, i, end)
            if i < 0:
                return o, count
            rest = _key_rest(data, key, key_end, name, rest, out, o)
        c = data[i]
        goes_on = rest != _ELSEWHERE and (c == 91 or (c == 123 and rest != _ITSELF))
        if goes_on and depth + 1 < _MAX_DEPTH:
            depth += 1
            stack[depth, 0], stack[depth, 1] = c == 91, rest
            i += 1
            continue
        stop = skip_value(data, i, end)
        if stop < 0:
            return o, count
        if rest == _ITSELF and not goes_on:
            o, count = _value(data, i, stop, out, o, values, count)
            if count < 0 or (depth == 0 and flat):
                return o, count
        i = stop


@inner
def _key_rest(data: Bytes, key: int, key_end: int, name: Bytes, at: int, out: Bytes, o: int) -> int:
    for k in range(key, key_end):
        if data[k] == 92:
            stop, _, _ = unescape(data, key, key_end + 2, out, o)  # room for it: the value has not been written yet
            return _rest(out, o, stop, name, at) if stop >= 0 else _ELSEWHERE
    return _rest(data, key, key_end, name, at)


@inner
def _rest(data: Bytes, key: int, key_end: int, name: Bytes, at: int) -> int:
    """Where in `name` the rest begins behind this key and a dot, if the key stands at `at`."""
    length = key_end - key
    left = len(name) - at
    if length > left or (length < left and name[at + length] != 46):
        return _ELSEWHERE
    for k in range(length):
        if data[key + k] != name[at + k]:
            return _ELSEWHERE
    return _ITSELF if length == left else at + length + 1


@inner
def _value(data: Bytes, i: int, stop: int, out: Bytes, o: int, values: Table, count: int) -> tuple[int, int]:
    """Add the scalar or object [i, stop); null and {} are absent."""
    c = data[i]
    if c == 34:
        if skip_string(data, i + 1, stop) != stop:
            return o, count
        behind, _, _ = unescape(data, i + 1, stop + 1, out, o)
        return (behind, _add(values, count, behind, TEXT)) if behind >= 0 else (o, count)
    if c == 123:
        empty = data[skip_blank(data, i + 1, stop)] == 125
        return o, count if empty else _add(values, count, o, OBJECT)
    while stop > i and (data[stop - 1] <= 32):
        stop -= 1
    if c == 110:  # null
        return o, count
    for k in range(i, stop):
        out[o + k - i] = data[k]
    o += stop - i
    kind = ODD_NUMBER if (c == 45 or 48 <= c <= 57) and not _is_plain_number(data, i, stop) else TEXT
    return o, _add(values, count, o, kind)


@inner
def _is_plain_number(data: Bytes, i: int, stop: int) -> bool:
    """Does Python write the number just so? Up to 15 digits, no exponent, no zero too many at either end."""
    negative = data[i] == 45
    i += negative
    if stop - i > 16 or (data[i] == 48 and (negative or stop - i > 3)):
        return False
    dot = -1
    for k in range(i, stop):
        if data[k] == 46:
            dot = k
        elif data[k] < 48 or data[k] > 57:
            return False
    return dot < 0 or data[stop - 1] != 48 or dot == stop - 2
