from __future__ import annotations

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.records import LEVELS
from collector.search.language import parse
from collector.search.plan import Compiled, compile, select
from collector.search.query import And, Not, Or, Query
from collector.search.words import may_match, tokens
from collector.store.protocol import STORED_ROWS
from tests.fixtures.records import SECOND, T0, Line, frame, origin

WEB = origin("web", host="h1", image="registry.test:5000/shop/web:1.27", workload="shop")
DB = origin("db", host="h2", image="postgres@sha256:abcd")
CACHE = origin("cache-1", host="h2", image="redis")
ORIGINS = {7: WEB, 3: DB, 12: CACHE}

LINES = [
    Line("Connection refused by 10.0.0.12:5432", 0, 0, "error", "stderr"),  # 0
    Line("GET /api/v1/users/42 200 user-id=7", 1, 0, "info"),  # 1
    Line("connectionless; refused nothing", 2, 1, "", "stdout"),  # 2
    Line("Traceback\n  File x\nValueError: TIMEOUT", 3, 1, "fatal", "stderr", flags=2),  # 3
    Line('{"user":{"name":"ann"},"status":500,"msg":"it failed","path":"\\/api\\/v1"}', 4, 2, "warn", body="json"),  # 4
    Line('{"user":{"name":"bob"},"status":200.0,"ok":true}', 5, 2, "info", body="json"),  # 5
    Line('level=warn status=503 msg="slow answer" took=1.5', 6, 2, "warn", body="logfmt"),  # 6
    Line("数据库错误 while loading", 7, 0, "error"),  # 7
    Line("grüße aus KÖLN", 8, 1, "debug"),  # 8
    Line('{"status":"nan","service":"inner"}', 9, 1, "", body="json"),  # 9
]
ROWS = (
    frame(4, (WEB, DB, CACHE), LINES)
    .rows.with_columns(
        origin=pl.col("origin").replace_strict({0: 7, 1: 3, 2: 12}, return_dtype=pl.UInt32),
        seq=pl.lit(4, pl.Int64),
        ingested=pl.lit(T0 + 60 * SECOND, pl.Int64),
    )
    .select(list(STORED_ROWS))
)
ALL = set(range(len(LINES)))


def found(compiled: Compiled, rows: pl.DataFrame = ROWS) -> set[int]:
    """Numbers of the matching lines, by `filter` and by `expr`, which must agree."""
    numbered = rows.with_columns(n=(pl.col("ts") - T0) // SECOND)
    by_filter = compiled.filter(numbered)["n"].to_list()
    assert by_filter == sorted(by_filter)
    by_expr = numbered.filter(compiled.expr)["n"].to_list()
    assert by_expr == by_filter
    return set(by_filter)


@pytest.mark.parametrize(
    ("query", "lines"),
    [
        ("", ALL),
        ("NOT *", set()),
        # words, in any case; never a part of one
        ("connection", {0}),
        ("REFUSED", {0, 2}),
        ("timeout", {3}),
        ("10.0.0.12", {0}),
        ("10.0.0.1", set()),
        ('"refused by"', {0}),
        ('"by refused"', set()),
        ("/api/v1", {1, 4}),
        ("user-id", {1}),
        ("connection*", {0, 2}),
        ("*less", {2}),
        ("ref?sed", {0, 2}),
        ("users/4*", {1}),
        ("KÖLN", {8}),
        ("köln GRÜSSE", set()),  # no folding of ß to SS
        ("GRüßE", {8}),
        ("错误", {7}),
        ("/ref.sed \\w+ 10/", {0}),
        ("/^GET/", {1}),
        ('"; "', {2}),
        # levels
        ("level:>=error", {0, 3, 7}),
        ("level:warn", {4, 6}),
        ("NOT level:*", {2, 9}),
        ("level:<info", {8}),
        ("level:(debug OR fatal)", {3, 8}),
        # origins
        ("container:web", {0, 1, 7}),
        ("host:h2", {2, 3, 4, 5, 6, 8, 9}),
        ("host:H2", set()),
        ("host:h?", ALL),
        ("NOT host:h2", {0, 1, 7}),
        ("container:cache*", {4, 5, 6}),
        ("image:registry.test\\:5000/shop/web", {0, 1, 7}),
        ("image:registry.test:5000/shop/web:1.27", {0, 1, 7}),
        ("image:registry.test:5000/shop/web", {0, 1, 7}),
        ("image:postgres", {2, 3, 8, 9}),
        ("image:redis", {4, 5, 6}),
        ("image:red", set()),
        ("workload:shop", {0, 1, 7}),
        ("pod:db-0", {2, 3, 8, 9}),
        ("service:db-service", {2, 3, 8, 9}),
        ("container.labels.app:web", {0, 1, 7}),
        ("container.labels.nope:*", set()),
        ("container.labels.team:*", ALL),
        ("path:/logs/web.log", {0, 1, 7}),
        ("path:/.*web.*/", {0, 1, 7}),
        ("path:/web/", set()),  # a regex is the whole value
        (f"deckwatch.stream:{DB.key}", {2, 3, 8, 9}),
        (f"container.id:{(b'db'.hex() * 64)[:12]}", {2, 3, 8, 9}),
        ("deckwatch.tenant:default", ALL),
        ("host:[h1 TO h1]", {0, 1, 7}),
        # columns
        ("stream:stderr", {0, 3}),
        ("stream:std*", ALL),
        ("stream:/.*err/", {0, 3}),
        ("log.flags:multiline", {3}),
        ("log.flags:*", {3}),
        ("NOT log.flags:*", ALL - {3}),
        ("log.flags:partial", set()),
        ("deckwatch.seq:4", ALL),
        ("deckwatch.seq:>4", set()),
        ("log.offset:[4000100 TO 4000200}", {1, 3, 5}),
        ("@timestamp:2023-11-14", ALL),
        ("@timestamp:[2023-11-14T22:13:21 TO 2023-11-14T22:13:23]", {1, 2, 3}),
        ("@timestamp:{2023-11-14T22:13:21 TO 2023-11-14T22:13:23}", {2}),
        ("@timestamp:>2023-11-14T22:13:27Z", {8, 9}),
        ("@timestamp:<1700000001", {0}),
        ("event.ingested:>=2023-11-14T22:14:20Z", ALL),
        # bodies
        ("user.name:ann", {4}),
        ("user.name:*", {4, 5}),
        ("NOT user.name:*", ALL - {4, 5}),
        ("user.name:a*", {4}),
        ("user.name:/.*b/", {5}),
        ("status:500", {4}),
        ("status:200", {5}),  # 200.0 is 200
        ("status:>=500", {4, 6}),
        ("status:[200 TO 503}", {4, 5}),
        ("NOT status:500", ALL - {4}),
        ("NOT status:>=500", ALL - {4, 6}),
        ("took:<2", {6}),
        ('msg:"it failed"', {4}),
        ('msg:"slow answer"', {6}),
        ("msg:failed", set()),  # a value is compared whole
        ("msg:*answer", {6}),
        ("path_:x", set()),
        ("body.path:/api/v1", {4}),
        ("body.service:inner", {9}),
        ("service:inner", set()),
        ("body.level:warn", {6}),
        ("ok:true", {5}),
        # together
        ("level:>=warn NOT container:web", {3, 4, 6}),
        ("container:web OR status:>=500", {0, 1, 4, 6, 7}),
        ("refused container:web", {0}),
        ("(refused OR timeout) host:h2", {2, 3}),
        ("NOT (host:h2 OR level:error)", {1}),
        ("NOT (host:h2 refused)", ALL - {2}),
        ("host:h1 host:h2", set()),
        ("level:info level:warn", set()),
    ],
)
def test_what_a_query_finds(query: str, lines: set[int]) -> None:
    assert found(compile(parse(query), ORIGINS)) == lines


@pytest.mark.parametrize(
    ("query", "expr"),
    [
        ("", True),
        ("host:h?", True),
        ("host:nowhere", False),
        ("refused host:nowhere", False),
        ("refused OR host:h?", True),
        ("NOT host:nowhere", True),
        ("level:[error TO info]", False),
    ],
)
def test_constants_are_folded(query: str, expr: bool) -> None:
    compiled = compile(parse(query), ORIGINS)
    assert compiled.expr is expr
    assert compiled.columns == frozenset()


@pytest.mark.parametrize(
    ("query", "levels", "ids", "columns"),
    [
        ("", None, {3, 7, 12}, set()),
        ("level:>=error", {"error", "fatal"}, {3, 7, 12}, {"level"}),
        ("level:error container:web refused", {"error"}, {7}, {"level", "origin", "message"}),
        ("level:error OR container:web", None, {3, 7, 12}, {"level", "origin"}),
        ("level:error OR level:warn refused", {"error", "warn"}, {3, 7, 12}, {"level", "message"}),
        ("(host:h1 refused) OR container:db", None, {3, 7}, {"origin", "message"}),
        ("NOT level:error", {"", "trace", "debug", "info", "notice", "warn", "fatal"}, {3, 7, 12}, {"level"}),
        ("NOT (level:error refused)", None, {3, 7, 12}, {"level", "message"}),
        ("status:500", None, {3, 7, 12}, {"message", "body"}),
        ("deckwatch.seq:4", None, {3, 7, 12}, {"seq"}),
    ],
)
def test_what_must_hold_and_what_is_read(query: str, levels: set[str] | None, ids: set[int], columns: set[str]) -> None:
    compiled = compile(parse(query), ORIGINS)
    assert {LEVELS[code] for code in compiled.levels} == (set(LEVELS) if levels is None else levels)
    assert compiled.origin_ids == ids
    assert compiled.columns == columns


def test_no_origins_no_matches_of_their_fields() -> None:
    assert compile(parse("host:h1"), {}).expr is False
    assert compile(parse("refused"), {}).expr is not False


def test_bodies_are_read_last_and_only_of_what_is_left() -> None:
    compiled = compile(parse("status:500 container:cache* level:>=warn"), ORIGINS)
    assert [sorted(set(stage.meta.root_names())) for stage in compiled.stages] == [
        ["body", "level", "origin"],
        ["message"],  # the value's words
        ["body", "message"],
    ]


@pytest.mark.parametrize(
    ("query", "messages"),
    [
        ("hello", ["hello one"]),
        ("", ["hello one", "bye"]),
        ("deckwatch.seq:4", ["hello one", "bye"]),
        ("deckwatch.seq:5 hello", []),
        ("event.ingested:>2000-01-01 NOT hello", ["bye"]),
        ("container:db", []),
    ],
)
def test_select_of_a_frame_that_is_not_stored(query: str, messages: list[str]) -> None:
    other = origin("db", tenant="other")
    one = frame(4, (other, WEB), [Line("hello other"), Line("hello one", origin=1), Line("bye", origin=1)])
    selected = select(parse(query), one, "default")
    assert selected["message"].to_list() == messages
    assert selected.schema == one.rows.schema


LEAVES = [
    "refused",
    "/api/v1",
    "time*",
    "level:>=warn",
    "level:error",
    "NOT level:*",
    "container:web",
    "host:h2",
    "stream:stderr",
    "status:500",
    "user.name:*",
    "status:>=500",
    "log.flags:*",
    "log.offset:<4000100",
    "*",
    "host:nowhere",
]
QUERIES = st.recursive(
    st.sampled_from(LEAVES).map(parse),
    lambda inner: st.one_of(
        st.builds(Not, inner),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: And(tuple(parts))),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: Or(tuple(parts))),
    ),
    max_leaves=6,
)


def by_sets(query: Query) -> set[int]:
    """The meaning of a tree by the algebra of its leaves' results."""
    match query:
        case And(parts):
            return ALL.intersection(*(by_sets(part) for part in parts))
        case Or(parts):
            return set().union(*(by_sets(part) for part in parts))
        case Not(part):
            return ALL - by_sets(part)
    return found(compile(query, ORIGINS))


@settings(max_examples=150, deadline=None)
@given(QUERIES)
def test_any_tree_means_what_its_parts_mean(query: Query) -> None:
    compiled = compile(query, ORIGINS)
    matching = found(compiled)
    assert matching == by_sets(query)
    hit = ROWS.filter(((pl.col("ts") - T0) // SECOND).is_in(sorted(matching)))
    assert set(hit["origin"].to_list()) <= compiled.origin_ids
    assert set(hit["level"].to_list()) <= compiled.levels
    for message in hit["message"]:
        assert possible(compiled, set(tokens(message)))


def possible(compiled: Compiled, held: set[str]) -> bool:
    return may_match(compiled.words, held.__contains__, lambda start: any(token.startswith(start) for token in held))
