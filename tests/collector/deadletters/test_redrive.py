"""Dead letters over the whole collector: kept, listed, tried again exactly once whatever is killed, deleted."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from collector.parse.work import Work
from collector.store.embedded.settings import EmbeddedStoreSettings
from deckwatch.wire.codec import pack_frame
from deckwatch.wire.model import Column, Event, Format, Samples, Target
from tests.collector.test_app import Running, running
from tests.fixtures.push import Stream

POISON = b"POISON"
PATH = "/api/v1/dead-letters"


class Fault:
    """A fault of parsing that can be mended."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.mended = False
        describe = Work.describe

        def failing(work: Work) -> None:
            texts = [part for segment in work.segments for part in segment.parts]
            if not self.mended and POISON in b"".join(texts):
                raise IndexError("a fault of ours")
            describe(work)

        monkeypatch.setattr(Work, "describe", failing)


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> Fault:
    return Fault(monkeypatch)


async def call(one: Running, method: str, path: str, **query: str) -> tuple[int, Any]:
    async with one.session.request(method, one.url + path, params=query) as answer:
        return answer.status, await answer.json()


async def letters(one: Running, **query: str) -> list[dict[str, Any]]:
    status, answer = await call(one, "GET", PATH, **query)
    assert status == 200, answer
    found = answer["dead_letters"]
    assert isinstance(found, list)
    return found


async def messages(one: Running) -> list[str]:
    await one.drained()
    return sorted(record["message"] for record in await one.logs())


@asynccontextmanager
async def with_a_letter(folder: Path, *, kill: bool = False) -> AsyncIterator[tuple[Running, dict[str, Any]]]:
    stream = Stream("web")
    async with running(folder, kill=kill) as one:
        await one.push.push(stream.batch([stream.chunk(b"before\nPOISON is here\nbehind\n", eof=True)]))
        assert await messages(one) == ["before", "behind"]
        (letter,) = await letters(one)
        yield one, letter


async def test_a_letter_says_what_is_needed_to_judge_it(tmp_path: Path, fault: Fault) -> None:
    async with with_a_letter(tmp_path) as (one, letter):
        stream = Stream("web")
        assert letter | {"received": "", "id": ""} == {
            "id": "",
            "received": "",
            "reason": "IndexError: a fault of ours",
            "host": "host-1",
            "source": "web",
            "container": "web",
            "stream": stream.key,
            "offset": 7,
            "end": 22,
            "format": "plain",
            "bytes": 15,
            "attempts": 0,
        }
        status, shown = await call(one, "GET", f"{PATH}/show", id=letter["id"])
        assert (status, shown["payload"]) == (200, {"text": "POISON is here\n", "base64": "UE9JU09OIGlzIGhlcmUK"})
        assert (await call(one, "GET", f"{PATH}/show", id="99.9"))[0] == 404
        assert (await call(one, "GET", f"{PATH}/show", id=letter["id"], tenant="other"))[0] == 404
        assert (await call(one, "GET", f"{PATH}/show", id="nonsense"))[0] == 400
        assert await letters(one, tenant="other") == []
        assert await letters(one, end="2001-01-01T00:00:00Z") == []
        assert await letters(one, after=letter["id"]) == []


async def test_a_mended_fault_makes_records_of_letters_exactly_once(tmp_path: Path, fault: Fault) -> None:
    async with with_a_letter(tmp_path) as (one, letter):
        status, answer = await call(one, "POST", f"{PATH}/retry", id=letter["id"])
        assert (status, answer["stored"], answer["failed"]) == (200, 0, 1)
        assert answer["failures"] == [{"id": letter["id"], "error": "IndexError: a fault of ours"}]
        (still,) = await letters(one)
        assert (still["id"], still["attempts"]) == (letter["id"], 1)
        assert still["tried"] > still["received"]
        fault.mended = True
        status, answer = await call(one, "POST", f"{PATH}/retry", all="true")
        assert (status, answer) == (200, {"stored": 1, "records": 1, "failed": 0, "failures": []})
        (record,) = await one.logs("POISON")
        assert (record["log.offset"], record["container.name"], record["message"]) == (7, "web", "POISON is here")
        assert (await call(one, "POST", f"{PATH}/retry", id=letter["id"]))[0] == 404
        assert await letters(one) == []
    async with running(tmp_path) as one:
        assert await messages(one) == ["POISON is here", "before", "behind"]
        assert await letters(one) == []


async def test_two_wishes_for_the_same_letter_store_it_once(tmp_path: Path, fault: Fault) -> None:
    """The second is journaled before the first is committed."""
    async with with_a_letter(tmp_path) as (one, letter):
        fault.mended = True
        from collector.deadletters.redrive import GONE, Wish

        pipeline = one.collector.pipeline
        first = await pipeline.redrive(Wish((letter["id"],)))
        second = await pipeline.redrive(Wish((letter["id"],)))
        assert (first.done, [outcome.error for outcome in second.outcomes]) == ([letter["id"]], [GONE])
        assert one.collector.store.letters.delete("default", [letter["id"]], 0) == 0
        assert await messages(one) == ["POISON is here", "before", "behind"]


@pytest.mark.parametrize("committed", [False, True])
async def test_a_retry_that_was_killed_is_done_once(tmp_path: Path, fault: Fault, committed: bool) -> None:
    async with with_a_letter(tmp_path, kill=True) as (one, letter):
        fault.mended = True
        await call(one, "POST", f"{PATH}/retry", id=letter["id"])
        if committed:
            await one.collector.pipeline.commit_letters()
        assert (one.collector.store.letters.get(letter["id"]) is None) == committed
    for _ in range(2):
        async with running(tmp_path, kill=True) as one:
            assert await messages(one) == ["POISON is here", "before", "behind"]
            await one.collector.pipeline.commit_letters()
            assert one.collector.store.letters.get(letter["id"]) is None


async def test_bytes_may_be_read_as_something_else(tmp_path: Path, fault: Fault) -> None:
    stream = Stream("web", form=Format.DOCKER_JSON)
    line = b'{"log":"POISON\\n","stream":"stderr","time":"2026-01-01T00:00:00Z"}\n'
    async with running(tmp_path) as one:
        await one.push.push(stream.batch([stream.chunk(line, eof=True)]))
        (letter,) = await letters(one)
        assert letter["format"] == "docker-json"
        fault.mended = True
        assert (await call(one, "POST", f"{PATH}/retry", **{"all": "true", "as": "words"}))[0] == 400
        status, answer = await call(one, "POST", f"{PATH}/retry", **{"all": "true", "as": "plain"})
        assert (status, answer["stored"]) == (200, 1)
        assert await messages(one) == [line.decode().rstrip("\n")]


async def test_letters_are_deleted_and_stay_accounted_for(tmp_path: Path, fault: Fault) -> None:
    async with with_a_letter(tmp_path) as (one, letter):
        assert (await call(one, "DELETE", PATH))[0] == 400
        assert (await call(one, "DELETE", PATH, id=letter["id"], all="true"))[0] == 400
        assert (await call(one, "DELETE", PATH, id="5.5"))[0] == 404
        assert await call(one, "DELETE", PATH, id=letter["id"]) == (200, {"deleted": 1})
        assert await letters(one) == []
        (why, runs) = one.collector.store.manifest.query("SELECT why, runs FROM dropped")[0]
        assert (why, msgspec.msgpack.decode(bytes(runs))) == ("dead letter deleted", [[7, 22]])  # type: ignore[call-overload]


@pytest.mark.parametrize(
    "limits", [{"dead_letter_retention_s": 1e-9}, {"dead_letter_bytes": 10}], ids=["by age", "by size"]
)
async def test_letters_expire(tmp_path: Path, fault: Fault, limits: dict[str, float]) -> None:
    async with with_a_letter(tmp_path) as (one, _):
        store = one.collector.store
        store.retain()
        assert store.letters.totals.count == 1
        store.settings = msgspec.convert(msgspec.to_builtins(EmbeddedStoreSettings()) | limits, EmbeddedStoreSettings)
        store.retain()
        assert store.letters.totals.count == 0
        assert store.manifest.query("SELECT why FROM dropped") == [("dead letter expired",)]


def samples(value: bytes = bytes(8), *, schema: int = 0) -> Samples:
    return Samples("cgroup", 1, "default", ((Column("m"),),), (Target((("id", "a"),), schema, value),))


async def test_a_frame_that_cannot_be_read_costs_no_other_one(tmp_path: Path) -> None:
    """Not msgpack, no frame, arrays that don't fit, and a length that leads nowhere: four letters, two events."""
    stream = Stream("spool", form=Format.FRAMES)
    event = pack_frame(Event(1, "default", "container", "start", None))
    bad = [b"\x03\0\0\0\xc1\xc1\xc1", b"\x01\0\0\0\x05", pack_frame(samples(b"short")), pack_frame(samples(schema=7))]
    data = event + b"".join(bad) + event + b"\xff\xff\xff\x7f rest"
    async with running(tmp_path) as one:
        await one.push.push(stream.batch([stream.chunk(data)]))
        await one.drained()
        found = await letters(one)
        assert [letter["bytes"] for letter in found] == [7, 5, len(bad[2]), len(bad[3]), 9]
        assert found[0]["offset"] == len(event)
        assert [letter["format"] for letter in found] == ["frames"] * 5
        assert "names schema 7" in found[3]["reason"]
        assert len(one.collector.head.events.of("default", "")) == 2


async def test_a_consumer_that_fails_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        name = "failing"

        def position(self) -> int:
            return -1

        def consume(self, frame: object) -> None:
            raise KeyError("a fault of ours")

        def commit(self, seq: int) -> None: ...

        def rewind(self, seq: int) -> None: ...

    async with running(tmp_path) as one:
        one.collector.add_records(Failing())
        monkeypatch.setattr(one.collector.head, "take_event", lambda *what: 1 // 0)
        stream, spool = Stream("web"), Stream("spool", form=Format.FRAMES)
        event = pack_frame(Event(1, "default", "container", "start", None))
        await one.push.push(spool.batch([spool.chunk(event)]))
        await one.push.push(stream.batch([stream.chunk(b"a line\n", eof=True)]))
        assert await messages(one) == ["a line"]
        _, text = await one.get("/metrics")
        assert 'deckwatch_collector_consumer_failures_total{consumer="failing"} 1' in text
        assert "deckwatch_collector_samples_not_taken_total 1" in text


async def test_an_entry_that_cannot_be_decoded_is_kept_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with running(tmp_path) as one:
        stream = Stream("web")
        from collector import apply
        from deckwatch.runtime.faults import Reject

        def failing(payload: bytes) -> None:
            raise Reject("a fault of ours")

        with monkeypatch.context() as patch:
            patch.setattr(apply, "decode_record", failing)
            await one.push.push(stream.batch([stream.chunk(b"a line\n", eof=True)]))
            await one.drained()
        (letter,) = await letters(one)
        assert (letter["source"], letter["format"]) == ("journal", "")
        await one.push.push(stream.batch([stream.chunk(b"another\n", eof=True)]))
        assert await messages(one) == ["another"]


async def test_every_endpoint_is_in_the_document(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        document = json.loads((await one.get("/api/v1/openapi.json"))[1])
        assert set(document["paths"][PATH]) == {"get", "delete"}
        assert set(document["paths"][f"{PATH}/retry"]) == {"post"}
        ids = [operation["operationId"] for path in document["paths"].values() for operation in path.values()]
        assert len(ids) == len(set(ids))
