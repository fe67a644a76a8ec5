"""Fields of bodies: one record's and a column's have the same meaning."""

# ruff: noqa: E501 - a row of a table is one line

from __future__ import annotations

import json

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.parse.fields import JSON, LOGFMT, Value, any_value, body_fields, field_expr, field_values, has_field
from deckwatch.wire.model import Format
from tests.collector.parse.feeding import Feed, parse_all

BODIES: list[tuple[str, int, dict[str, Value]]] = [
    ('{"a":1,"b":"x","c":true,"d":1.5,"e":null}', JSON, {"a": 1, "b": "x", "c": True, "d": 1.5}),
    ('{"a":{"b":{"c":"deep"}},"x":{"y.z":"q"}}', JSON, {"a.b.c": "deep", "x.y.z": "q"}),
    ('{"a":{"b":1},"a.b":2}', JSON, {"a.b": [1, 2]}),
    ('{"a.b":{"c":"mixed"},"f":[1,"z",{"g":2}],"h":{}}', JSON, {"a.b.c": "mixed", "f": [1, "z"], "f.g": [2]}),
    ('{"tags":["a","b"],"one":["x"],"none":[],"nulls":[null],"deep":[[1,[2]],3]}', JSON, {"tags": ["a", "b"], "one": ["x"], "deep": [1, 2, 3]}),
    ('{"items":[{"id":1,"n":{"k":[true]}},{"id":[3,{"x":4}]},7],"z":0}', JSON, {"items.id": [1, 3], "items.n.k": [True], "items.id.x": [4], "items": [7], "z": 0}),
    ('{"msg":"said \\"no\\"\\n","é":"ü","quo\'te":"1","d e":2}', JSON, {"msg": 'said "no"\n', "é": "ü", "quo'te": "1", "d e": 2}),
    ('{"big":12345678901234567890123,"u":18446744073709551615}', JSON, {"big": 1.2345678901234568e22, "u": 2**64 - 1}),
    ('{"x1":1e5,"x2":1.50,"x3":-0.0,"x4":0.00001,"x5":[1E-7,10]}', JSON, {"x1": 100000.0, "x2": 1.5, "x3": -0.0, "x4": 1e-05, "x5": [1e-07, 10]}),
    ('{"a\\"b":"1","caf\\u00e9":"2","p\\/q":"3"}', JSON, {'a"b': "1", "café": "2", "p/q": "3"}),
    (' { "sp" : [ 1 , { "t" : " x " } ] , "l" : "" } ', JSON, {"sp": [1], "sp.t": [" x "], "l": ""}),
    ("[1]", JSON, {}),
    ("level=info msg=\"a \\\"b\\\" c=3\" d= e=5", LOGFMT, {"level": "info", "msg": 'a "b" c=3', "e": "5"}),
    ("a=1 a=2 bare http.status=200 x-y=/z@1", LOGFMT, {"a": "1", "http.status": "200", "x-y": "/z@1"}),
    ('msg="x level=debug" level=info', LOGFMT, {"msg": "x level=debug", "level": "info"}),
    ('t="a\\nb\\\\c\\d" u="" v="é"', LOGFMT, {"t": "a\nb\\c\\d", "u": "", "v": "é"}),
    ("a=1 b=2\nTraceback c=3", LOGFMT, {"a": "1", "b": "2"}),
    # behind other text
    ('2026-01-02 INFO request done status=200 dur=3ms path="/x y"', LOGFMT, {"status": "200", "dur": "3ms", "path": "/x y"}),
    ("took=3ms, rows=7; done=yes.", LOGFMT, {"took": "3ms", "rows": "7", "done": "yes."}),
    ("a=1,b=2;c=\"x y\",d=\"z\" dn=cn=admin,dc=x", LOGFMT, {"a": "1", "b": "2", "c": "x y", "d": "z", "dn": "cn=admin,dc=x"}),
    ("disk failed (HWID=1973) [user=bob] {id=3, name=x}", LOGFMT, {"HWID": "1973", "user": "bob", "id": "3", "name": "x"}),
    ("by user='bob o'neil' f=main.(*T).run() list=[1,2] it's=x", LOGFMT, {"user": "bob o'neil", "f": "main.(*T).run()", "list": "[1,2]"}),
    ('said "x=1 y=2" z=3 key=Zm9v==', LOGFMT, {"z": "3", "key": "Zm9v=="}),
    ('open="no end x=1', LOGFMT, {"x": "1"}),
    ("a=1 b=2", 0, {}),
]  # fmt: skip


@pytest.mark.parametrize(("message", "body", "fields"), BODIES)
def test_all_fields_of_a_body(message: str, body: int, fields: dict[str, Value]) -> None:
    assert body_fields(message, body) == fields


@pytest.mark.parametrize(
    "line",
    [
        "GET /search?q=1&page=2 HTTP/1.1",
        "see https://example.com/a?x=1&y=2#z=3 and ftp://h/;a=1",
        "example.com/search?q=1,b=2",
        "token dGVzdA== Zm9v= end",
        "if a==b or c != d or e <= f or g >= h, i += 1, j=>k, l=~m",
        "std::vector<int, std::allocator<int>>::operator=(std::vector const&) operator=(Foo const&)",
        "java -Dfoo=bar --port=80 $HOME=/root",
        "POST user=bob&password=x",
        "total = 39, boot = 12, empty=",
        "1=2 é=3 =4",
        '"x=1 y=2" was said',
    ],
)
def test_no_pairs(line: str) -> None:
    assert body_fields(line, LOGFMT) == {}
    (record,) = parse_all(line.encode() + b"\n", Format.PLAIN)
    assert record.body == ""


def table(*bodies: tuple[str, int]) -> pl.DataFrame:
    messages, codes = [message for message, _ in bodies], [body for _, body in bodies]
    return pl.DataFrame({"message": messages, "body": codes}, schema={"message": pl.String(), "body": pl.UInt8()})


def as_texts(value: Value | None) -> list[str]:
    values = [] if value is None else value if isinstance(value, list) else [value]
    return [one if isinstance(one, str) else json.dumps(one) for one in values]


def test_a_field_of_many_bodies() -> None:
    rows = table(*((message, body) for message, body, _ in BODIES))
    names = {name for _, _, fields in BODIES for name in fields} | {"nope", "a.b.c.d.e.f.g", "x", "y.z", "b", "id"}
    for name in names:
        expected = [as_texts(fields.get(name)) for _, _, fields in BODIES]
        first = rows.select(field_expr(name)).to_series()
        assert first.dtype == pl.String
        assert first.to_list() == [texts[0] if texts else None for texts in expected], name
        for text in {text for texts in expected for text in texts}:
            found = rows.select(any_value(name, pl.col("value") == text)).to_series().to_list()
            assert found == [text in texts for texts in expected], (name, text)
        assert sorted(field_values(name, rows)) == sorted(text for texts in expected for text in set(texts)), name
    assert rows.lazy().filter(field_expr("level") == "info").collect().height == 2


def test_an_object_is_there_if_it_has_members() -> None:
    rows = table(('{"u":{"x":1},"v":{},"w":[{"y":null}],"z":null}', JSON), ("u=1", LOGFMT), ("u=1", 0))
    present = {name: rows.select(has_field(name)).to_series().to_list() for name in "uvwz"}
    none = [False, False, False]
    assert present == {"u": [True, True, False], "v": none, "w": [True, False, False], "z": none}


def test_a_number_beyond_all_floats_is_absent() -> None:
    body = '{"a":1' + "0" * 400 + "}"
    assert body_fields(body, JSON) == {}
    assert table((body, JSON)).select(field_expr("a"), has_field("a").alias("has")).row(0) == (None, False)


@pytest.mark.parametrize(
    "body", ['{"a":' * 100_000 + "1" + "}" * 100_000, '{"a":' + "[" * 100_000, '{"broken":', '{"a', '{"a":"\\ud800"']
)
def test_what_is_no_json_has_no_fields(body: str) -> None:
    assert body_fields(body, JSON) == {}
    assert table((body, JSON)).select(field_expr("a.a")).to_series().to_list() == [None]


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=5)
)  # fmt: skip
KEYS = st.one_of(st.sampled_from(["a", "b", "a.b", "a.b.c", "x y", 'q"', "é", "\\", ""]), st.text(max_size=3))


@settings(max_examples=300, deadline=None)
@given(
    body=st.dictionaries(
        KEYS, st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)), max_size=4
    ),
    ascii_only=st.booleans(),
    indent=st.sampled_from([None, 1]),
)  # fmt: skip
def test_fields_of_any_json_are_found_by_their_values(
    body: dict[str, object], ascii_only: bool, indent: int | None
) -> None:
    message = json.dumps(body, ensure_ascii=ascii_only, indent=indent)
    rows = table((message, JSON))
    for name, value in body_fields(message, JSON).items():
        texts = as_texts(value)
        assert rows.select(field_expr(name)).to_series().to_list() == texts[:1], name
        assert sorted(field_values(name, rows)) == sorted(set(texts)), name


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
