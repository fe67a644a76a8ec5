"""The collector whole, over real HTTP: what is pushed is acknowledged once, found, counted, kept over restarts."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from collector.app import DATA_VERSION, Collector
from collector.intake.journal_file import Entry
from collector.intake.settings import IntakeSettings
from collector.settings import CollectorSettings
from deckwatch.runtime.clock import SystemClock
from deckwatch.runtime.datadir import DataDir
from deckwatch.runtime.faults import Unusable
from deckwatch.wire.codec import BatchCompressor
from deckwatch.wire.model import Batch, Chunk, Format, Gap, GapReason, Outcome, Position, Refusal, StreamEnd, Welcome
from tests.fixtures.push import Pusher, Stream

TOKEN = "0123456789abcdef-token"


class Running:
    def __init__(self, collector: Collector, url: str, session: aiohttp.ClientSession) -> None:
        self.collector = collector
        self.url = url
        self.session = session
        self.push = Pusher(url, session)

    async def get(self, path: str, **params: str) -> tuple[int, str]:
        async with self.session.get(self.url + path, params=params) as answer:
            return answer.status, await answer.text()

    async def logs(self, query: str = "", **params: str) -> list[dict[str, Any]]:
        status, text = await self.get("/api/v1/logs", query=query, limit="0", order="asc", **params)
        assert status == 200, text
        return [json.loads(line) for line in text.splitlines()]

    async def drained(self) -> None:
        async with asyncio.timeout(10):
            while self.collector.pipeline.pending_bytes():
                await asyncio.sleep(0.02)


@asynccontextmanager
async def running(
    folder: Path, *, kill: bool = False, env: dict[str, str] | None = None, **changes: Any
) -> AsyncIterator[Running]:
    """A collector in this process. `kill`: it ends without draining or sealing, as after kill -9."""
    settings = msgspec.structs.replace(CollectorSettings(listen="127.0.0.1:0", data_dir=folder), **changes)
    with DataDir.open(folder, DATA_VERSION, part="collector") as data_dir:
        collector = Collector(settings, data_dir, SystemClock())
        if kill:

            async def no_drain(timeout_s: float) -> bool:
                return False

            collector.pipeline.drain = no_drain  # type: ignore[method-assign]
        stop = asyncio.Event()
        address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        task = asyncio.create_task(collector.run(stop, address.set_result, env or {}))
        either: list[asyncio.Future[Any]] = [task, address]
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        async with aiohttp.ClientSession() as session:
            yield Running(collector, await address, session)
        stop.set()
        await task


async def test_a_line_is_acknowledged_and_found_with_everything_known_of_it(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        stream = Stream("web")
        ack = await one.push.push(stream.batch([stream.chunk(b"2026-01-02T03:04:05Z ERROR disk is full\n")]))
        (result,) = ack.results
        assert (result.key, result.outcome, result.position) == (
            stream.key,
            Outcome.ACCEPTED,
            Position(stream.offset, stream.crc),
        )
        await one.drained()
        (record,) = await one.logs("disk")
        assert record["@timestamp"].startswith("2026-01-02T03:04:05")
        assert record["message"].endswith("ERROR disk is full")
        assert record["log.level"] == "error"
        assert record["container.name"] == "web"
        assert record["container.image.name"] == "test/web:1"
        assert record["host.name"] == "host-1"
        assert record["log.offset"] == 0
        assert record["deckwatch.seq"] in (0, 1)  # 1: closed by time, which is an entry of its own
        status, text = await one.get("/api/v1/logs/count", query="full")
        assert (status, json.loads(text)) == (200, {"count": 1})


async def test_repeats_leave_one_record_each_also_over_restarts(tmp_path: Path) -> None:
    stream = Stream("web")
    batches = [stream.batch([stream.chunk(f"line {n}\n".encode())]) for n in range(30)]
    async with running(tmp_path, kill=True) as one:
        for batch in batches[:20]:
            await one.push.push(batch)
            await one.push.push(batch)
    async with running(tmp_path, kill=True) as one:
        welcome = await one.push.hello(stream.key)
        assert isinstance(welcome, Welcome)
        assert welcome.positions[stream.key].offset == sum(len(f"line {n}\n") for n in range(20))
        for batch in batches[15:]:
            await one.push.push(batch)
        await one.drained()
        await one.collector.pipeline._begin_seal()
    async with running(tmp_path) as one:
        for batch in batches[25:]:
            await one.push.push(batch)
        await one.drained()
        assert sorted(r["message"] for r in await one.logs()) == sorted(f"line {n}" for n in range(30))
    async with running(tmp_path) as one:
        assert len(await one.logs()) == 30
        assert one.collector.store.committed_seq == one.collector.journal.durable_seq


async def test_an_open_group_survives_a_kill_and_is_joined(tmp_path: Path) -> None:
    stream = Stream("java")
    async with running(tmp_path, kill=True) as one:
        await one.push.push(stream.batch([stream.chunk(b"java.lang.Error: boom\n\tat a.B.c(B.java:1)\n")]))
    async with running(tmp_path) as one:
        await one.push.push(stream.batch([stream.chunk(b"\tat a.B.d(B.java:2)\n")]))
        await one.drained()
        assert [r["message"] for r in await one.logs()] == [
            "java.lang.Error: boom\n\tat a.B.c(B.java:1)\n\tat a.B.d(B.java:2)"
        ]


async def test_what_is_open_stays_with_the_tenant_that_wrote_it(tmp_path: Path) -> None:
    """A container's label may name another tenant from one batch to the next."""
    stream = Stream("web")
    async with running(tmp_path) as one:
        await one.push.push(stream.batch([stream.chunk(b"java.lang.Error: of ours\n\tat a.B.c(B.java:1)\nhalf a li")]))
        stream.info = msgspec.structs.replace(stream.info, tenant="other")
        await one.push.push(stream.batch([stream.chunk(b"ne\n\tat x.Y.z(Y.java:2)\n")]))
        await one.drained()
        ours, theirs = await one.logs(), await one.logs(tenant="other")
        assert [r["message"] for r in ours] == ["java.lang.Error: of ours\n\tat a.B.c(B.java:1)", "half a li"]
        assert "of ours" not in str(theirs)
        assert "Y.java:2" in str(theirs)


async def test_positions_outlive_the_journal_and_let_go_streams_are_marked(tmp_path: Path) -> None:
    stream = Stream("web")
    async with running(tmp_path) as one:
        await one.push.push(stream.batch([stream.chunk(b"bye\n")]))
        end = StreamEnd(0, stream.offset, stream.crc)
        await one.push.push(stream.batch(ends=[end]))
    async with running(tmp_path) as one:
        assert one.collector.store.manifest.positions() == {stream.key: Position(stream.offset, stream.crc)}
        assert one.collector.store.manifest.forget_streams(2**62) == [stream.key]


async def test_a_gap_is_kept_counted_and_told(tmp_path: Path) -> None:
    stream = Stream("web")
    async with running(tmp_path) as one:
        await one.push.push(stream.batch([stream.chunk(b"a\n")]))
        await one.push.push(stream.batch([], [stream.gap(500)]))
        await one.push.push(stream.batch([stream.chunk(b"b\n")]))
        await one.drained()
        assert [r["message"] for r in await one.logs()] == ["a", "b"]
        _, metrics = await one.get("/metrics")
        assert 'deckwatch_intake_gaps_total{reason="truncated"} 1\n' in metrics
    async with running(tmp_path) as one:
        (gap,) = one.collector.store.manifest.gaps("default")
        assert (gap.start, gap.end, gap.reason) == (2, 502, "truncated")


async def test_unreadable_samples_become_a_dead_letter_and_the_rest_goes_on(tmp_path: Path) -> None:
    spool, web = Stream("spool", form=Format.FRAMES), Stream("web")
    async with running(tmp_path) as one:
        await one.push.push(spool.batch([spool.chunk(b"\xff\xff\xff\xffno frame")]))
        await one.push.push(web.batch([web.chunk(b"still here\n")]))
        await one.drained()
        assert [r["message"] for r in await one.logs()] == ["still here"]
        _, metrics = await one.get("/metrics")
        assert "deckwatch_collector_dead_letters_total 1\n" in metrics
    async with running(tmp_path) as one:
        assert one.collector.store.manifest.dead_letter_count() == 1


async def test_a_fault_of_ours_in_parsing_buries_the_bytes_and_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stream = Stream("web")
    async with running(tmp_path) as one:
        real = one.collector.parser.parse

        def fragile(entry: Any) -> Any:
            if b"poison" in entry.batch.chunks[0].data:
                raise ZeroDivisionError("a bug")
            return real(entry)

        one.collector.parser.parse = fragile  # type: ignore[method-assign]
        for text in (b"good\n", b"poison\n", b"good again\n"):
            await one.push.push(stream.batch([stream.chunk(text)]))
        await one.drained()
        assert [r["message"] for r in await one.logs()] == ["good", "good again"]
        assert "kept as dead letters" in caplog.text


@pytest.mark.parametrize(
    ("body", "kind", "status", "error"),
    [
        (b"not zstd", None, 400, "malformed"),
        (BatchCompressor().encode(Stream().batch())[:-3], None, 400, "malformed"),
        (b"{}", "application/json", 415, "malformed"),
        (b"x" * 70_000, None, 413, "too_large"),
    ],
)
async def test_bad_bodies_are_refused_in_our_words(
    tmp_path: Path, body: bytes, kind: str | None, status: int, error: str
) -> None:
    async with running(tmp_path, intake=IntakeSettings(max_body_bytes=1 << 16)) as one:
        answer = await (one.push.post(body) if kind is None else one.push.post(body, kind))
        assert answer.refusal is not None
        assert (answer.status, answer.refusal.error) == (status, error)
        assert answer.refusal.detail
        (await one.push.push(Stream().batch([Stream().chunk(b"fine\n")])))


def odd_batch(**changes: Any) -> Batch:
    stream = Stream()
    return msgspec.structs.replace(stream.batch([stream.chunk(b"line\n")]), **changes)


def gap(**changes: Any) -> Gap:
    return msgspec.structs.replace(Gap(0, 0, 5, 0, GapReason.DELETED, 1), **changes)


@pytest.mark.parametrize(
    "batch",
    [
        odd_batch(gaps=(gap(end=1 << 63),)),
        odd_batch(gaps=(gap(start=-1),)),
        odd_batch(gaps=(gap(crc_end=1 << 32),)),
        odd_batch(gaps=(gap(ts_ns=1 << 63),)),
        odd_batch(chunks=(Chunk(0, (1 << 63) - 3, 0, 0, b"line\n"),)),
        odd_batch(streams=(Stream().info, Stream(tenant="b").info)),
    ],
)
async def test_what_could_never_be_stored_is_not_journaled(tmp_path: Path, batch: Batch) -> None:
    async with running(tmp_path) as one:
        answer = await one.push.post(BatchCompressor().encode(batch))
        assert answer.refusal is not None
        assert (answer.status, answer.refusal.error) == (400, "malformed")
        assert one.collector.journal.durable_seq == -1


async def test_bodies_that_wait_for_the_disk_count_as_being_taken_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream, released = Stream(), threading.Event()
    body = BatchCompressor().encode(stream.batch([stream.chunk(os.urandom(700_000) + b"\n", eof=True)]))
    async with running(tmp_path, intake=IntakeSettings(max_inflight_bytes=1 << 20)) as one:
        write = one.collector.journal._write

        def slow(entries: list[Entry]) -> None:
            released.wait(10)
            write(entries)

        monkeypatch.setattr(one.collector.journal, "_write", slow)
        first = asyncio.create_task(one.push.post(body))
        try:
            async with asyncio.timeout(5):
                while not one.collector.journal._waiting and one.collector.journal._writer is None:
                    await asyncio.sleep(0.01)
            assert (await one.push.post(body)).status == 429
        finally:
            released.set()
        assert (await first).status == 200
        assert (await one.push.post(body)).status == 200


async def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    stream = Stream()
    body = BatchCompressor().encode(stream.batch([stream.chunk(bytes(4 << 20))]))
    async with running(tmp_path, intake=IntakeSettings(max_batch_bytes=1 << 20)) as one:
        answer = await one.push.post(body)
        assert answer.refusal is not None
        assert (answer.status, answer.refusal.error) == (400, "malformed")
        assert "at most 1048576 are taken" in answer.refusal.detail


async def test_many_small_bodies_that_unpack_to_much_take_turns(tmp_path: Path) -> None:
    """2 KiB on the wire, 40 MiB in memory: what is unpacked at once is limited, whoever sends how many of them."""
    chunks = [Stream().chunk(bytes(8 << 20)) for _ in range(5)]
    body = BatchCompressor(19).encode(Stream().batch(chunks))
    assert len(body) < 4096
    async with running(tmp_path) as one:
        most = 0

        async def watch() -> None:
            nonlocal most
            while True:
                most = max(most, one.collector.intake._unpacked_bytes)
                await asyncio.sleep(0)

        watching = asyncio.create_task(watch())
        answers = await asyncio.gather(*(one.push.post(body) for _ in range(20)))
        watching.cancel()
        assert most <= 64 << 20
        assert {answer.status for answer in answers} == {200, 429}


async def test_a_batch_of_countless_parts_is_refused(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        answer = await one.push.post(BatchCompressor().encode(Stream().batch([Stream().chunk(b"")] * 100_001)))
        assert answer.refusal is not None
        assert (answer.status, answer.refusal.error) == (413, "too_large")


async def test_versions_are_negotiated(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        welcome = await one.push.hello(versions=(1, 2))
        assert isinstance(welcome, Welcome)
        assert welcome.version == 1
        refusal = await one.push.hello(versions=(2,))
        assert isinstance(refusal, Refusal)
        assert refusal.error == "version"
        assert "upgrade the older" in refusal.detail


async def test_the_epoch_stays_over_restarts_and_changes_with_a_restored_copy(tmp_path: Path) -> None:
    async def epoch(folder: Path) -> str:
        async with running(folder) as one:
            welcome = await one.push.hello()
            assert isinstance(welcome, Welcome)
            return welcome.epoch

    first = await epoch(tmp_path / "a")
    assert await epoch(tmp_path / "a") == first
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    assert await epoch(tmp_path / "b") != first


async def test_too_much_pending_makes_agents_wait(tmp_path: Path) -> None:
    async with running(tmp_path, intake=IntakeSettings(max_pending_bytes=1 << 20)) as one:
        one.collector.intake._pending_bytes = lambda: 2 << 20
        answer = await one.push.post(BatchCompressor().encode(Stream().batch()))
        assert answer.refusal is not None
        assert (answer.status, answer.refusal.error) == (429, "busy")
        assert answer.refusal.retry_after_s


async def test_a_token_is_asked_for_where_one_is_set(tmp_path: Path) -> None:
    async with running(tmp_path, env={"DECKWATCH_TOKEN": TOKEN}) as one:
        assert (await one.get("/api/v1/logs/count"))[0] == 401
        assert (await one.get("/healthz"))[0] == 200
        headers = {"Authorization": f"Bearer {TOKEN}"}
        async with one.session.get(one.url + "/api/v1/logs/count", headers=headers) as answer:
            assert answer.status == 200


async def test_other_machines_need_a_token_or_a_wish(tmp_path: Path) -> None:
    with pytest.raises(Unusable, match="no bearer token"):
        async with running(tmp_path, listen="0.0.0.0:0"):
            pass


async def test_the_address_is_written_and_health_and_metrics_answer(tmp_path: Path) -> None:
    async with running(tmp_path) as one:
        assert (tmp_path / "address").read_text().strip() == one.url
        assert await one.get("/healthz") == (200, "ok\n")
        assert "/api/v1/logs" in (await one.get("/"))[1]
        stream = Stream()
        await one.push.push(stream.batch([stream.chunk(b"x\n")], lag_bytes=2))
        await one.drained()
        _, text = await one.get("/metrics")
        assert 'deckwatch_agent_lag_bytes{host="host-1"} 0\n' in text
        assert "deckwatch_collector_pending_bytes 0\n" in text
        assert "deckwatch_collector_records_total 1\n" in text
