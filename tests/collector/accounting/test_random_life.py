"""The account balances after every step of a random life: chunks, repeats, gaps, traces, seals, kills, retention."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from collector.store.embedded.settings import EmbeddedStoreSettings
from deckwatch.wire.model import Batch, Format, Gap, GapReason
from tests.collector.accounting.test_accounts import ndjson, verified
from tests.collector.test_app import Running, running
from tests.fixtures.push import Stream

STEPS = 40
TEXTS = (
    "a plain line\n",
    "\n",
    "java.lang.Error: boom\n",
    "\tat a.B.c(B.java:1)\n",
    '{"level":"info","msg":"whole"}\n',
    "x" * 16384,
    "the end of a piece\n",
)


class Life:
    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.streams = [
            Stream("web", form=Format.DOCKER_JSON),
            Stream("plain"),
            Stream("cri", form=Format.CRI),
            Stream("theirs", tenant="other"),
        ]
        self.last: Batch | None = None
        self.lost_bytes = 0

    def line(self, stream: Stream) -> bytes:
        text, iostream = self.random.choice(TEXTS), self.random.choice(("stdout", "stderr"))
        if stream.info.format is Format.DOCKER_JSON:
            return json.dumps({"log": text, "stream": iostream, "time": "2026-01-02T03:04:05Z"}).encode() + b"\n"
        if stream.info.format is Format.CRI:
            tag = "F" if text.endswith("\n") else "P"
            return f"2026-01-02T03:04:05Z {iostream} {tag} {text.rstrip()}\n".encode()
        return text.encode()

    async def push(self, one: Running) -> None:
        stream = self.random.choice(self.streams)
        lines = b"".join(self.line(stream) for _ in range(self.random.randint(1, 12)))
        cut = self.random.randint(1, len(lines))  # the agent cuts at line ends; nothing relies on it
        self.last = stream.batch([stream.chunk(lines[:cut]), stream.chunk(lines[cut:])])
        await one.push.push(self.last)

    async def repeat(self, one: Running) -> None:
        if self.last is not None:
            await one.push.push(self.last)

    async def gap(self, one: Running) -> None:
        stream, size = self.random.choice(self.streams), self.random.randint(1, 1000)
        self.lost_bytes += size
        await one.push.push(stream.batch([], [stream.gap(size)]))

    async def open_gap(self, one: Running) -> None:
        stream = self.random.choice(self.streams)
        await one.push.push(stream.batch([], [Gap(0, stream.offset, -1, 0, GapReason.ROTATED_AWAY, 1)]))

    async def seal(self, one: Running) -> None:
        await one.collector.pipeline.cut()  # whatever is open stays so: some lines have no end
        await one.collector.pipeline._begin_seal()
        sealing = one.collector.pipeline._sealing
        assert sealing is not None
        await sealing

    async def compact(self, one: Running) -> None:
        one.collector.store.compact_all()

    async def retain(self, one: Running) -> None:
        rows = sorted(one.collector.store.segment_rows, key=lambda row: row.max_ingested)
        if len(rows) > 2:
            one.collector.store.drop_before(rows[1].max_ingested)

    async def wait(self, one: Running) -> None:
        await asyncio.sleep(0.4)  # open lines are closed by time

    def step(self) -> Callable[[Running], Coroutine[Any, Any, None]]:
        weighed = {
            self.push: 12,
            self.repeat: 2,
            self.gap: 2,
            self.open_gap: 1,
            self.seal: 3,
            self.compact: 1,
            self.retain: 1,
            self.wait: 1,
        }
        return self.random.choices(list(weighed), list(weighed.values()))[0]


async def check(one: Running, life: Life) -> None:
    tenants = [await ndjson(one, "/api/v1/accounting", tenant=tenant) for tenant in ("default", "other")]
    accounts = [line for lines in tenants for line in lines]
    for line in accounts:
        assert line["balanced"], json.dumps(line)
        parts = line["stored"] + line["open"] + line["dead_letters"] + sum(line["dropped"].values())
        assert line["offset"] == parts + sum(line["lost"].values()), line
    offsets = {line["deckwatch.stream"]: line["offset"] for line in accounts}
    assert offsets == {stream.key: stream.offset for stream in life.streams if stream.offset or stream.key in offsets}
    assert sum(sum(line["lost"].values()) for line in accounts) == life.lost_bytes


@pytest.mark.parametrize("seed", range(4))
async def test_it_balances_after_every_step(tmp_path: Path, seed: int) -> None:
    life = Life(seed)
    store = EmbeddedStoreSettings(compaction_bytes=1 << 20)
    done = 0
    while done < STEPS:
        async with running(tmp_path, kill=life.random.random() < 0.7, store=store) as one:
            for _ in range(life.random.randint(3, 12)):
                await life.step()(one)
                await check(one, life)
                done += 1
    async with running(tmp_path, store=store) as one:
        await check(one, life)
        for tenant in ("default", "other"):
            verdicts, _ = await verified(one, tenant=tenant)
            for verdict in verdicts.values():
                assert not verdict["repeated_records"]
                assert {gap["reason"] for gap in verdict["missing"]} <= {"truncated", "rotated away"}
