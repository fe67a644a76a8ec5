"""Fields of bodies: one record's and a column's have the same meaning."""

# ruff: noqa: E501 - a row of a table is one line

from __future__ import annotations

import json

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.parse.fields import JSON, LOGFMT, Value, body_fields, field_expr
from deckwatch.wire.model import Format
from tests.collector.parse.feeding import Feed

BODIES: list[tuple[str, int, dict[str, Value]]] = [
    ('{"a":1,"b":"x","c":true,"d":1.5,"e":null}', JSON, {"a": 1, "b": "x", "c": True, "d": 1.5, "e": None}),
    ('{"a":{"b":{"c":"deep"}},"x":{"y.z":"q"}}', JSON, {"a.b.c": "deep", "x.y.z": "q"}),
    ('{"a":{"b":1},"a.b":2}', JSON, {"a.b": 2}),
    ('{"a.b":{"c":"mixed"},"f":[1,"z",{"g":2}],"h":{}}', JSON, {"a.b.c": "mixed", "f": '[1,"z",{"g":2}]', "h": "{}"}),
    ('{"msg":"said \\"no\\"\\n","é":"ü","quo\'te":"1","d e":2}', JSON, {"msg": 'said "no"\n', "é": "ü", "quo'te": "1", "d e": 2}),
    ('{"big":12345678901234567890123,"u":18446744073709551615}', JSON, {"big": 1.2345678901234568e22, "u": 2**64 - 1}),
    ('{"a\\"b":"1","caf\\u00e9":"2"}', JSON, {'a"b': "1", "café": "2"}),
    ('{"broken":', JSON, {}),
    ("[1]", JSON, {}),
    ("level=info msg=\"a \\\"b\\\" c=3\" d= e=5", LOGFMT, {"level": "info", "msg": 'a "b" c=3', "d": "", "e": "5"}),
    ("a=1 a=2 bare http.status=200 x-y=/z@1", LOGFMT, {"a": "1", "http.status": "200", "x-y": "/z@1"}),
    ('msg="x level=debug" level=info', LOGFMT, {"msg": "x level=debug", "level": "info"}),
    ('t="a\\nb\\\\c" u="" v="é"', LOGFMT, {"t": "a\nb\\c", "u": "", "v": "é"}),
    ("a=1 b=2\nTraceback c=3", LOGFMT, {"a": "1", "b": "2"}),
    ("a=1 b=2", 0, {}),
]  # fmt: skip


@pytest.mark.parametrize(("message", "body", "fields"), BODIES)
def test_all_fields_of_a_body(message: str, body: int, fields: dict[str, Value]) -> None:
    assert body_fields(message, body) == fields


def test_a_field_of_many_bodies() -> None:
    rows = pl.DataFrame(
        {"message": [message for message, _, _ in BODIES], "body": [body for _, body, _ in BODIES]},
        schema={"message": pl.String(), "body": pl.UInt8()},
    )
    names = {name for _, _, fields in BODIES for name in fields} | {"nope", "a.b.c.d.e.f.g"}
    for name in names:
        column = rows.select(field_expr(name)).to_series()
        assert column.dtype == pl.String
        expected = [as_text(fields.get(name)) for _, _, fields in BODIES]
        found = [text if text is None or not text.startswith('{"') else None for text in column]  # objects themselves
        assert found == expected, name
    assert rows.lazy().filter(field_expr("level") == "info").collect().height == 2


def as_text(value: Value) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value)


def test_a_number_beyond_all_floats_is_absent() -> None:
    assert body_fields('{"a":1' + "0" * 400 + "}", JSON) == {"a": None}


def test_depth_without_end_is_no_fault() -> None:
    deep = '{"a":' * 100_000 + "1" + "}" * 100_000
    assert body_fields(deep, JSON) == {}
    rows = pl.DataFrame({"message": [deep], "body": [JSON]}, schema={"message": pl.String(), "body": pl.UInt8()})
    assert rows.select(field_expr("a.a")).to_series().to_list() == [None]


@settings(max_examples=200, deadline=None)
@given(
    pairs=st.lists(
        st.tuples(st.from_regex(r"[a-z]{1,3}", fullmatch=True), st.text('abc ="\\xé', max_size=6)),
        min_size=2,
        max_size=5,
    )
)
def test_logfmt_as_loggers_write_it_is_read_back(pairs: list[tuple[str, str]]) -> None:
    def written(value: str) -> str:
        plain = value and not set(value) & set(' ="\\')
        return value if plain else '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'

    line = " ".join(f"{key}={written(value)}" for key, value in pairs)
    feed = Feed(Format.PLAIN)
    feed.give(line.encode() + b"\n")
    (record,) = feed.close()
    assert (record.message, record.body) == (line, "logfmt")
    expected = dict(reversed(pairs))
    assert body_fields(line, LOGFMT) == expected
    rows = pl.DataFrame({"message": [line], "body": [LOGFMT]}, schema={"message": pl.String(), "body": pl.UInt8()})
    for key, value in expected.items():
        assert rows.select(field_expr(key)).to_series().to_list() == [value]
