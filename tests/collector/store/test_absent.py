"""Which fields and values of a query the embedded store says that no record has: never one that a record has."""

# ruff: noqa: E501 - a row of a table is one line

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from collector.search.absent import Absent
from collector.search.language import parse
from collector.store.embedded import scan
from collector.store.embedded.search import EmbeddedSearch
from collector.store.embedded.settings import EmbeddedStoreSettings
from collector.store.embedded.snapshot import Block
from collector.store.embedded.store import EmbeddedStore
from deckwatch.runtime.clock import SystemClock
from tests.fixtures.records import SECOND, T0, Line, frame, origin

WEB, DB = origin("web", image="registry.test/web:1.0"), origin("db", host="host-2")
LINES = [
    Line('{"status":500,"user":{"name":"ann"}}', 1, body="json"),
    Line("took=13ms msg=hello", 2, body="logfmt"),
    Line("GET /status 200 localhost:8080 other=1", 3, origin=1),
]


@pytest.fixture(params=["hot", "sealed"])
async def reader(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[EmbeddedSearch]:
    store = EmbeddedStore(tmp_path, EmbeddedStoreSettings(), SystemClock())
    store.append(frame(0, (WEB, DB), LINES))
    if request.param == "sealed":
        seal(store, 0)
    reader = EmbeddedSearch(store, lambda: 0)
    yield reader
    reader.close()
    store.close()


def seal(store: EmbeddedStore, seq: int) -> None:
    store.finish_seal(store.begin_seal(seq, b"", {}, (), (), ()))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("status:500", []),
        ("status:404", []),  # the field is there
        ("NOT took:>1s", []),
        ("user:*", []),  # an object
        ("body.status:1", []),
        ("stauts:500", [Absent("stauts", None, ("status",))]),
        ("Status:500", [Absent("Status", None, ("status",))]),
        ("localhost:8080", [Absent("localhost")]),  # its words are there, the field isn't
        ("other:1", [Absent("other")]),  # pairs of a line that was not read as any
        ("status:500 OR nope:1", [Absent("nope")]),
        ("name:ann", [Absent("name", None, ("host.name", "user.name", "service.name"))]),
        ("container:web", []),
        ("container:w*", []),
        ("container:WEB", [Absent("container.name", "WEB", ("web",))]),
        ("container:(web OR dbb)", [Absent("container.name", "dbb", ("db",))]),
        ("container:deadbeef OR container.id:deadbeef", []),  # what --container asks for
        ("image:registry.test/web", []),
        ("image:registry.test/wbe", [Absent("container.image.name", "registry.test/wbe", ("registry.test/web:1.0", "registry.test/db:1.0"))]),
        ("container:zzz", [Absent("container.name", "zzz", ("db", "web"))]),  # all that there are
        ("container.labels.app:*", []),
        ("container.labels.application:*", [Absent("container.labels.application", None, ("container.labels.app", "container.labels.team"))]),
        ("host:host-3", [Absent("host.name", "host-3", ("host-2", "host-1"))]),
        ("timeout level:error @timestamp:>2020-01-01", []),
    ],
)  # fmt: skip
async def test_what_no_record_has(reader: EmbeddedSearch, query: str, found: list[Absent]) -> None:
    everything = await reader.absent("default", parse(query), T0, T0 + 10 * SECOND)
    assert everything == found
    assert await reader.absent("default", parse(query), T0, T0 + 10 * SECOND) == found  # what was remembered is true


async def test_only_the_range_counts(reader: EmbeddedSearch) -> None:
    assert await reader.absent("default", parse("status:500"), T0, T0 + 2 * SECOND) == []
    (one,) = await reader.absent("default", parse("status:500"), T0 + 2 * SECOND, T0 + 3 * SECOND)
    assert one.field == "status"
    assert await reader.absent("default", parse("status:500"), T0 + 90 * SECOND, T0 + 99 * SECOND) == []  # no records
    assert await reader.absent("nobody", parse("status:500"), T0, T0 + 9 * SECOND) == []


async def test_the_cost_has_a_bound_and_doubt_is_silence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty blocks hold the word and none of them, so far as they are read, the field."""
    store = EmbeddedStore(tmp_path, EmbeddedStoreSettings(compaction_bytes=0), SystemClock())
    for seq in range(20):
        store.append(frame(seq, (WEB,), [Line('{"msg":"rare word"}', seq, body="json")]))
        seal(store, seq)
    looked: list[int] = []
    monkeypatch.setattr(scan, "count", counting(looked))
    reader = EmbeddedSearch(store, lambda: 0)
    assert await reader.absent("default", parse("rare:1"), T0, T0 + 99 * SECOND) == []
    assert len(looked) == 4
    assert await reader.absent("default", parse("rare:1"), T0, T0 + 99 * SECOND) == []
    assert len(looked) == 4  # it is remembered
    assert [one.field for one in await reader.absent("default", parse("gone:1"), T0, T0 + 99 * SECOND)] == ["gone"]
    assert len(looked) == 4  # the word filters told
    reader.close()
    store.close()


def counting(looked: list[int]) -> Callable[..., int]:
    count = scan.count

    def counted(plan: scan.Plan, block: Block) -> int:
        looked.append(1)
        return count(plan, block)

    return counted
