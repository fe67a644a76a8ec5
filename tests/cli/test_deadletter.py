"""`deckwatch deadletter` against a collector that keeps some."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from collector.parse.work import Work
from deckwatch.cli import run
from tests.collector.test_app import running
from tests.fixtures.push import Stream


async def deckwatch(url: str, *words: str) -> int:
    return await asyncio.to_thread(run, ["deadletter", *words, "--collector", url])


async def test_listed_shown_tried_again_deleted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    describe, mended = Work.describe, False

    def failing(work: Work) -> None:
        if not mended and any(b"POISON" in part for segment in work.segments for part in segment.parts):
            raise IndexError("a fault of ours")
        describe(work)

    monkeypatch.setattr(Work, "describe", failing)

    def printed() -> str:
        return capfdbinary.readouterr().out.decode()

    async with running(tmp_path) as one:
        assert await deckwatch(one.url, "list") == 0
        assert printed() == "no dead letters\n"
        stream = Stream("web")
        await one.push.push(stream.batch([stream.chunk(b"POISON \x1b[31m one\nfine\nPOISON two\n", eof=True)]))
        assert await deckwatch(one.url, "list", "--json") == 0
        first, second = [json.loads(line) for line in printed().splitlines()]
        assert (first["container"], first["bytes"], second["offset"], second["end"]) == ("web", 17, 22, 33)
        assert await deckwatch(one.url, "list") == 0
        assert printed().splitlines()[0].split("\t") == [
            *(first["id"], first["received"], "host-1", "web", "0-17", "17", "0", "IndexError: a fault of ours")
        ]
        assert await deckwatch(one.url, "show", first["id"]) == 0
        shown = printed()
        assert "reason:   IndexError: a fault of ours\n" in shown
        assert "end:      17\n" in shown
        assert "POISON \ufffd[31m one" in shown
        assert await deckwatch(one.url, "show", first["id"], "--raw") == 0
        assert capfdbinary.readouterr().out == b"POISON \x1b[31m one\n"
        assert await deckwatch(one.url, "show", "1.99") == 1
        assert b"there is no dead letter 1.99" in capfdbinary.readouterr().err
        assert await deckwatch(one.url, "retry") == 2
        assert await deckwatch(one.url, "retry", "--all") == 1
        assert printed() == "0 became 0 records, 2 stay\n"
        mended = True
        assert await deckwatch(one.url, "retry", first["id"], "--as", "plain") == 0
        assert printed() == "1 became 1 records, 0 stay\n"
        assert await deckwatch(one.url, "delete", "--all") == 0
        assert printed() == "1 deleted\n"
        await one.drained()
        assert sorted(r["message"] for r in await one.logs()) == ["POISON \x1b[31m one", "fine"]
