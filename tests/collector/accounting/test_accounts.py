"""The account over a whole collector: what is pushed balances, what is missing is named."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from collector.store.embedded.settings import EmbeddedStoreSettings
from deckwatch.wire.model import Format, Gap, GapReason
from tests.collector.test_app import Running, running
from tests.fixtures.push import Stream


async def ndjson(one: Running, path: str, **params: str) -> list[dict[str, Any]]:
    status, text = await one.get(path, **params)
    assert status == 200, text
    return [json.loads(line) for line in text.splitlines()]


async def account(one: Running, stream: Stream) -> dict[str, Any]:
    lines = await ndjson(one, "/api/v1/accounting")
    return next(line for line in lines if line["deckwatch.stream"] == stream.key)


async def verified(one: Running, **params: str) -> tuple[dict[str, dict[str, Any]], dict[str, Any]]:
    """(verdict by container name, the last line)."""
    lines = await ndjson(one, "/api/v1/verify", **params)
    (end,) = lines[-1].values()
    assert list(lines[-1]) == ["deckwatch.verified"]
    return {line["container.name"]: line for line in lines if "container.name" in line}, end


async def sealed(one: Running) -> None:
    await one.drained()
    await one.collector.pipeline._begin_seal()
    sealing = one.collector.pipeline._sealing
    assert sealing is not None
    await sealing


async def test_every_byte_is_somewhere(tmp_path: Path) -> None:
    """Stored, open, in a gap, sealed or in memory: at any moment, and over kills."""
    stream = Stream("web")
    async with running(tmp_path, kill=True) as one:
        await one.push.push(stream.batch([stream.chunk(b"one\ntwo\n\nfour\n")]))
        await one.drained()
        first = await account(one, stream)
        assert (first["offset"], first["admitted"], first["stored"], first["records"]) == (14, 14, 14, 4)
        assert first["balanced"]
        await sealed(one)
        gap = stream.gap(100)
        await one.push.push(stream.batch([stream.chunk(b"behind it\nhalf a li")], [gap]))
        mixed = await account(one, stream)
        assert mixed["open"] == mixed["offset"] - mixed["stored"] - 100
        assert mixed["lost"] == {"truncated": 100}
        assert mixed["balanced"], mixed
    async with running(tmp_path) as one:
        await one.push.push(stream.batch([stream.chunk(b"ne\n", eof=True)]))
        await one.drained()
        last = await account(one, stream)
        assert last["offset"] == stream.offset
        assert (last["stored"], last["open"], last["lost"]) == (stream.offset - 100, 0, {"truncated": 100})
        assert (last["records"], last["found_records"], last["missing_records"]) == (6, 6, 0)
        assert last["balanced"]


async def test_records_that_lie_inside_others_are_counted(tmp_path: Path) -> None:
    """A stack trace of stderr encloses a line of stdout; pieces of 16 KiB are one record."""
    stream = Stream("java", form=Format.DOCKER_JSON)

    def line(text: str, iostream: str) -> bytes:
        return json.dumps({"log": text, "stream": iostream, "time": "2026-01-02T03:04:05Z"}).encode() + b"\n"

    text = line("java.lang.Error: boom\n", "stderr") + line("served /\n", "stdout") + line("\tat a.B.c\n", "stderr")
    text += line("x" * 16384, "stdout") + line("end of the long line\n", "stdout")
    async with running(tmp_path) as one:
        await one.push.push(stream.batch([stream.chunk(text, eof=True)]))
        await one.drained()
        await sealed(one)
        found = await account(one, stream)
        assert (found["records"], found["stored"], found["balanced"]) == (3, len(text), True)
        assert found["lines"] == 4  # the trace has two; the pieces are one
        verdicts, _ = await verified(one)
        assert verdicts["java"]["complete"], verdicts


async def test_retention_is_an_explained_end(tmp_path: Path) -> None:
    stream = Stream("web")
    async with running(tmp_path) as one:
        await one.push.push(stream.batch([stream.chunk(b"old\n")]))
        await sealed(one)
        assert one.collector.store.drop_before(2**62) == 1
        await one.push.push(stream.batch([stream.chunk(b"new\n")]))
        await one.drained()
        verdicts, end = await verified(one)
        web = verdicts["web"]
        assert (web["dropped"], web["dropped_records"]) == ({"dropped by retention": 4}, 1)
        assert (web["complete"], web["missing"]) == (True, [])
        assert end["incomplete"] == 0


async def test_compaction_keeps_the_account(tmp_path: Path) -> None:
    stream = Stream("web")
    async with running(tmp_path) as one:
        for n in range(5):
            await one.push.push(stream.batch([stream.chunk(f"line {n}\n".encode())]))
            await sealed(one)
        one.collector.store.compact_all()
        verdicts, end = await verified(one)
        assert end["segments"] < 5
        assert (verdicts["web"]["complete"], verdicts["web"]["stored"]) == (True, stream.offset)


async def two_segments(one: Running) -> tuple[Stream, list[Path]]:
    stream, other = Stream("web"), Stream("db")
    for n in range(2):
        await one.push.push(stream.batch([stream.chunk(f"line {n}\n".encode() * 10)]))
        await one.push.push(other.batch([other.chunk(b"of another\n")]))
        await sealed(one)
    return stream, sorted((one.collector.data_dir.path / "store" / "segments").rglob("*.parquet"))


KEEP: dict[str, Any] = {"store": EmbeddedStoreSettings(compaction_bytes=0)}


async def test_a_segment_deleted_by_hand_is_named(tmp_path: Path) -> None:
    async with running(tmp_path, **KEEP) as one:
        _, (_, second) = await two_segments(one)
        second.unlink()
        verdicts, end = await verified(one)
        (missing,) = verdicts["web"]["missing"]
        assert (missing["start"], missing["end"], missing["reason"]) == (70, 140, "segment")
        assert missing["detail"].endswith(f"{second.name} is gone")
        assert missing["after"] <= missing["noticed"]
        assert not verdicts["web"]["complete"]
        assert not verdicts["db"]["complete"]
        assert end["incomplete"] == 2
        only, end = await verified(one, query="container:db")
        assert (list(only), end["streams"]) == (["db"], 1)


async def test_a_segment_replaced_by_an_older_one_is_named(tmp_path: Path) -> None:
    async with running(tmp_path, **KEEP) as one:
        _, (first, second) = await two_segments(one)
        second.unlink()
        second.write_bytes(first.read_bytes())
        verdicts, _ = await verified(one)
        assert [(gap["start"], gap["end"]) for gap in verdicts["web"]["missing"]] == [(70, 140)]


async def test_a_segment_that_nobody_knows_any_more_leaves_bytes_unaccounted(tmp_path: Path) -> None:
    async with running(tmp_path, **KEEP) as one:
        await two_segments(one)
    with sqlite3.connect(tmp_path / "store" / "manifest.sqlite") as db:
        db.execute("DELETE FROM segments WHERE id = 1")
    db.close()
    async with running(tmp_path, **KEEP) as one:
        verdicts, _ = await verified(one)
        (missing,) = verdicts["web"]["missing"]
        assert (missing["start"], missing["end"], missing["reason"]) == (0, 70, "unaccounted")
        assert verdicts["web"]["missing_records"] == 10
        assert not verdicts["web"]["balanced"]


async def test_records_that_are_there_twice_are_counted(tmp_path: Path) -> None:
    """Not only by the books: both segments are sound and in the manifest."""
    async with running(tmp_path, **KEEP) as one:
        await two_segments(one)
        store = one.collector.store
        (first, _) = store.segment_rows
        blocks = store._segments[first.id].blocks
        copied = store.folder.write("default", blocks, store.snapshot().origins, 99)
        store.folder.settle(copied)
        store.manifest.replace([], copied)
    async with running(tmp_path, **KEEP) as one:
        verdicts, _ = await verified(one)
        assert verdicts["web"]["repeated_records"] == 10
        assert verdicts["web"]["missing_records"] == -10
        assert not verdicts["web"]["complete"]


@pytest.mark.parametrize(
    ("reason", "complete"), [(GapReason.TRUNCATED, False), (GapReason.BEFORE_START, True), (GapReason.DELETED, False)]
)
async def test_declared_gaps_are_listed_by_verify_and_by_gaps(
    tmp_path: Path, reason: GapReason, complete: bool
) -> None:
    stream = Stream("web")
    async with running(tmp_path) as one:
        await one.push.push(stream.batch([stream.chunk(b"2026-01-02T03:04:05Z the last one\n")]))
        gap = Gap(0, stream.offset, -1, 0, reason, 1_800_000_000_000_000_000, "why it went")
        await one.push.push(stream.batch([], [gap]))
        await one.drained()
        verdicts, _ = await verified(one)
        (missing,) = verdicts["web"]["missing"]
        assert (missing["start"], missing["end"], missing["reason"]) == (stream.offset, None, reason)
        assert verdicts["web"]["complete"] is complete
        for seal in (False, True):
            if seal:
                await sealed(one)
            (told,) = await ndjson(one, "/api/v1/gaps")
            assert told["container.name"] == "web"
            assert told["deckwatch.gap.reason"] == reason
            assert (told["deckwatch.gap.start"], told["deckwatch.gap.end"]) == (stream.offset, None)
            assert told["deckwatch.gap.after"].startswith("2026-01-02T03:04:05")
            assert told["@timestamp"].startswith("2027-01-15")
            assert told["deckwatch.gap.detail"] == "why it went"


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({}, 1),
        ({"query": "container:web"}, 1),
        ({"query": "container:db"}, 0),
        ({"query": "container:web level:error timeout"}, 1),
        ({"query": "NOT container:web"}, 0),
        ({"start": "2026-01-02T03:04:06Z"}, 1),  # the line before it was written earlier
        ({"end": "2026-01-02T03:04:05Z"}, 0),  # nothing older than that can be missing
        ({"end": "2026-01-02T03:04:06Z"}, 1),
        ({"start": "2027-01-15T08:00:01Z"}, 0),  # noticed before
        ({"tenant": "other"}, 0),
    ],
)
async def test_which_gaps_are_told(tmp_path: Path, params: dict[str, str], found: int) -> None:
    stream = Stream("web")
    async with running(tmp_path) as one:
        await one.push.push(stream.batch([stream.chunk(b"2026-01-02T03:04:05Z the last one\n")]))
        gap = Gap(0, stream.offset, stream.offset + 9, stream.crc, GapReason.DELETED, 1_800_000_000_000_000_000)
        await one.push.push(stream.batch([], [gap]))
        await one.drained()
        assert len(await ndjson(one, "/api/v1/gaps", **params)) == found


async def test_the_document_has_all_of_it(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        _, text = await one.get("/api/v1/openapi.json")
        assert {"/api/v1/gaps", "/api/v1/accounting", "/api/v1/verify"} <= set(json.loads(text)["paths"])


async def test_answers_say_whether_they_are_complete(tmp_path: Path) -> None:
    stream = Stream("web")
    async with running(tmp_path) as one:
        await one.push.push(stream.batch([stream.chunk(b"2026-01-02T03:04:05Z the last one\n")]))
        await one.drained()

        async def complete(path: str, **params: str) -> str:
            async with one.session.get(one.url + path, params=params) as answer:
                assert answer.status == 200
                return answer.headers["Deckwatch-Complete"]

        for path in ("/api/v1/logs", "/api/v1/logs/count", "/api/v1/logs/histogram"):
            assert await complete(path) == "true"
        await one.push.push(stream.batch([], [stream.gap(50)]))  # noticed in 1970: before every line
        await one.push.push(
            stream.batch([], [Gap(0, stream.offset, -1, 0, GapReason.DELETED, 1_800_000_000_000_000_000)])
        )
        await one.drained()
        assert await complete("/api/v1/logs", start="2026-01-01") == "gaps=1"
        assert await complete("/api/v1/logs", limit="0") == "gaps=2"
        assert await complete("/api/v1/logs", query="container:db") == "true"
        assert len(await one.logs()) == 1  # and one record a line is all there is


async def test_a_live_tail_tells_of_each_gap_once(tmp_path: Path) -> None:
    stream, other = Stream("web"), Stream("db")
    async with running(tmp_path) as one:
        await one.push.push(stream.batch([stream.chunk(b"before\n")], [stream.gap(5)]))
        await one.drained()
        params = {"query": "container:web"}
        async with one.session.get(one.url + "/api/v1/logs/tail", params=params) as answer:
            await one.push.push(other.batch([other.chunk(b"not asked for\n")], [other.gap(5)]))
            gap = stream.gap(7)
            await one.push.push(stream.batch([stream.chunk(b"behind\n")], [gap]))
            text = b""
            while b"behind" not in text:
                text += await answer.content.readany()
            while b"event: gap" not in text:
                text += await answer.content.readany()
        events = [event for event in text.decode().split("\n\n") if "data: " in event]
        names = ["gap" if "event: gap" in event else "record" for event in events]
        assert sorted(names) == ["gap", "record"]
        document = json.loads(next(event for event in events if "event: gap" in event).split("data: ")[1])
        assert (document["deckwatch.gap.start"], document["deckwatch.gap.bytes"]) == (gap.start, 7)
        # a client that comes back with an id from before the gap is told of it again, one from behind it isn't
        for after, told in (("0", True), (str(one.collector.store.snapshot().newest_seq), False)):
            async with one.session.get(one.url + "/api/v1/logs/tail", params=params | {"after": after}) as answer:
                await one.push.push(stream.batch([stream.chunk(b"later\n")]))
                text = b""
                while b"later" not in text:
                    text += await answer.content.readany()
                assert (f'"deckwatch.gap.start":{gap.start}'.encode() in text) is told
