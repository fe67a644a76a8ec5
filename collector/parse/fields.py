"""Fields of a body: all of one record's, for display, and one of many records', by column operations.

Both have the same meaning, Elasticsearch's. JSON: members of nested objects are joined by dots; each element of an
array is a value of the field, and so is each member of the objects in it; null and what is empty is absent. Pairs
(kernels/pairs.py): the first of two equal keys counts; values are text.

A body that isn't valid JSON shows no fields; a search may still find those that stand before its damage.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import msgspec
import numpy as np
import numpy.typing as npt
import polars as pl
import pyarrow as pa

from collector.parse.kernels.extract import OBJECT, ODD_NUMBER, VALUE, extract
from collector.parse.kernels.pairs import list_pairs
from collector.parse.kernels.simd import PAD
from collector.parse.layout import Bytes
from collector.records import BODIES

Scalar = str | int | float | bool
Value = Scalar | list[Scalar]

JSON, LOGFMT = BODIES.index("json"), BODIES.index("logfmt")

_MAX_PAIRS = 1000
"""Pairs of one record that are shown."""

_PLAIN_KEY = re.compile(r"[ !#-.0-\[\]-~]+")
"""What nobody needs to escape in JSON; PHP escapes the slash."""


# One record ----------------------------------------------------------------------------------------------------


def body_fields(message: str, body: int) -> dict[str, Value]:
    """All fields of one message; empty where the text isn't what its body code says."""
    if body == JSON:
        return _json_fields(message)
    if body == LOGFMT:
        return _pairs(message)
    return {}


def _json_fields(message: str) -> dict[str, Value]:
    try:
        members = msgspec.json.decode(message)
        found = list(_flat("", members)) if isinstance(members, dict) else []
    except (msgspec.DecodeError, RecursionError, UnicodeEncodeError):
        return {}  # it looked like an object; the message is shown as it is
    fields: dict[str, Value] = {}
    for name, scalar, in_array in found:
        known = fields.get(name)
        if isinstance(known, list):
            known.append(scalar)
        elif known is not None:
            fields[name] = [known, scalar]
        else:
            fields[name] = [scalar] if in_array else scalar
    return fields


def _flat(prefix: str, members: dict[str, Any], in_array: bool = False) -> Iterator[tuple[str, Scalar, bool]]:
    """(name, value, does it stand in an array) of each value, in the order of the text."""
    for name, value in members.items():
        yield from _values(prefix + name, value, in_array)


def _values(name: str, value: object, in_array: bool) -> Iterator[tuple[str, Scalar, bool]]:
    if isinstance(value, dict):
        yield from _flat(f"{name}.", value, in_array)
    elif isinstance(value, list):
        for element in value:
            yield from _values(name, element, in_array=True)
    elif isinstance(value, bool | float | str):
        yield name, value, in_array
    elif isinstance(value, int) and (number := _number(value)) is not None:
        yield name, number, in_array


def _number(value: int) -> int | float | None:
    """An integer of more than 64 bits is a float; None beyond what a float holds."""
    if -(1 << 63) <= value < 1 << 64:
        return value
    try:
        return float(value)
    except OverflowError:
        return None


def _pairs(message: str) -> dict[str, Value]:
    text = message.encode()
    data = np.frombuffer(text + bytes(PAD), np.uint8)
    places = np.empty((min(_MAX_PAIRS, text.count(b"=")), 4), np.int64)
    out = np.empty(len(data), np.uint8)
    count = list_pairs(data, len(text), places, out)
    values = out.tobytes()
    fields: dict[str, Value] = {}
    for key, key_end, value, value_end in places[:count].tolist():
        fields.setdefault(text[key:key_end].decode(), values[value:value_end].decode())
    return fields


# Many records --------------------------------------------------------------------------------------------------


def field_expr(name: str) -> pl.Expr:
    """The text of a field of the body (String, null where it is absent), from the columns `message` and `body`: of its
    first value where an array has several.

    Numbers read as JSON writes them (1.5, 100000.0), booleans as true and false.
    """
    return _over_bodies(partial(_first_values, name), pl.String())


def any_value(name: str, condition: pl.Expr) -> pl.Expr:
    """Is there a value of the field for which `condition`, about the String column `value`, holds?"""
    return _over_bodies(partial(_any_value, name, condition), pl.Boolean())


def has_field(name: str) -> pl.Expr:
    """Is the field present: by a value, or as an object that has members?"""
    return _over_bodies(partial(_has_field, name), pl.Boolean())


def field_values(name: str, rows: pl.DataFrame) -> pl.Series:
    """The texts of all values of the field in the rows (`message` and `body`): of each row every distinct one once."""
    found = _found(name, rows.select("message", "body").to_struct())
    return pl.DataFrame({"row": found.rows, "value": found.values}).unique()["value"]


def _over_bodies(function: Callable[[pl.Series], pl.Series], dtype: pl.DataType) -> pl.Expr:
    return pl.struct("message", "body").map_batches(function, return_dtype=dtype, is_elementwise=True)


def _first_values(name: str, bodies: pl.Series) -> pl.Series:
    found = _found(name, bodies)
    rows, first = np.unique(found.rows, return_index=True)
    empty = pl.Series([None], dtype=pl.String).new_from_index(0, len(bodies))
    return empty.scatter(pl.Series(rows), found.values[first]) if len(rows) else empty


def _any_value(name: str, condition: pl.Expr, bodies: pl.Series) -> pl.Series:
    found = _found(name, bodies)
    holds = found.values.to_frame("value").select(condition.fill_null(False)).to_series()
    return _marked(len(bodies), found.rows[holds.to_numpy()])


def _has_field(name: str, bodies: pl.Series) -> pl.Series:
    found = _found(name, bodies)
    return _marked(len(bodies), np.concatenate([found.rows, found.objects]))


def _marked(count: int, rows: npt.NDArray[np.int64]) -> pl.Series:
    marks = np.zeros(count, np.bool_)
    marks[rows] = True
    return pl.Series(marks)


class _Found(msgspec.Struct, frozen=True, gc=False):
    """The values of a field in many bodies."""

    rows: npt.NDArray[np.int64]  # of each value, ascending
    values: pl.Series
    objects: npt.NDArray[np.int64]  # rows in which the field is an object


def _found(name: str, bodies: pl.Series) -> _Found:
    """Only rows in which the name's last part stands at all are looked into."""
    message, body = bodies.struct.field("message"), bodies.struct.field("body")
    last = name.rpartition(".")[2]
    candidates = (body == LOGFMT) & message.str.contains(f"{name}=", literal=True)
    if _PLAIN_KEY.fullmatch(last):
        candidates |= (body == JSON) & message.str.contains(f'{last}"', literal=True)
    else:
        candidates |= body == JSON
    places = candidates.fill_null(False).arg_true()
    rows = places.to_numpy().astype(np.int64)
    values, texts = _extract(name.encode(), message.gather(places), body.gather(places).to_numpy())
    objects = values["kind"] == OBJECT
    kept = _repaired_numbers(texts, np.flatnonzero(values["kind"] == ODD_NUMBER)).filter(pl.Series(~objects))
    present = kept.is_not_null()
    at = rows[values["row"][~objects]]
    return _Found(at[present.to_numpy()], kept.filter(present), rows[values["row"][objects]])


def _extract(name: bytes, messages: pl.Series, bodies: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[Any], pl.Series]:
    text = messages.to_arrow().cast(pa.large_string())
    _, ends_buffer, text_buffer = text.buffers()
    ends = np.frombuffer(ends_buffer, np.int64)[text.offset : text.offset + len(text) + 1]
    size = int(ends[-1]) if len(ends) else 0
    data = np.empty(size + PAD, np.uint8)
    data[:size] = np.frombuffer(text_buffer, np.uint8)[:size] if size else 0
    out: Bytes = np.empty(size + PAD, np.uint8)
    key = np.frombuffer(name, np.uint8)
    room = len(bodies) + 16
    while True:
        values = np.empty(room, VALUE)
        count = extract(data, ends, bodies, key, out, values)
        if count >= 0:
            break
        room *= 4
    offsets = np.zeros(count + 1, np.int64)
    offsets[1:] = values["end"][:count]
    array = pa.LargeStringArray.from_buffers(count, pa.py_buffer(offsets), pa.py_buffer(out))
    return values[:count], pl.Series("value", array, dtype=pl.String)


def _repaired_numbers(texts: pl.Series, odd: npt.NDArray[np.int64]) -> pl.Series:
    """Numbers that can be written in several ways, as Python writes them; null for what is none."""
    if not len(odd):
        return texts
    return texts.scatter(odd, pl.Series([_as_written(text) for text in texts.gather(odd)], dtype=pl.String))


def _as_written(text: str) -> str | None:
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return None
    number = _number(value) if isinstance(value, int) else value
    return None if number is None else repr(number)
