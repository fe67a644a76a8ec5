"""What is wrong with one stream costs that stream alone: by tables, and over a whole collector that is killed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from collector.intake.soundness import mended, unsound_streams
from deckwatch.wire.codec import pack_frame
from deckwatch.wire.model import (
    VERSION,
    Batch,
    Container,
    Context,
    Event,
    Format,
    Outcome,
    Position,
    StreamId,
    StreamInfo,
)
from tests.collector.accounting.test_accounts import account, sealed
from tests.collector.deadletters.test_redrive import PATH, call, letters
from tests.collector.test_app import Running, running
from tests.fixtures.push import Stream


def batch(*streams: StreamInfo) -> Batch:
    return Batch(VERSION, "agent", "host", 0, (Context("host", "/a"), Context("host", "/b")), streams)


def info(context: int = 0, tenant: str = "red") -> StreamInfo:
    return StreamInfo(StreamId("agent", f"{tenant} {context}", "1-0"), tenant, Format.PLAIN, context)


@pytest.mark.parametrize(
    ("stream", "why"),
    [
        (info(), ""),
        (info(1), ""),
        (info(2), "context 2 is not among the 2 of the batch"),
        (info(-1), "context -1 is not among the 2"),
        (info(tenant=""), "'' can't be a tenant"),
        (info(tenant=".."), "'..' can't be a tenant"),
        (info(tenant="../evil"), "'../evil' can't be a tenant"),
        (info(tenant="a\0b"), "can't be a tenant"),
        (info(tenant="ä" * 100), ""),
        (info(tenant="ä" * 101), "can't be a tenant"),
        (info(7, tenant=""), "context 7 is not among the 2"),
    ],
)
def test_which_streams_are_unsound(stream: StreamInfo, why: str) -> None:
    unsound = unsound_streams(batch(info(1, "fine"), stream))
    assert list(unsound) == ([1] if why else [])
    assert why in unsound.get(1, "")


def test_a_mended_batch_has_a_context_and_a_tenant_for_each_stream() -> None:
    odd = batch(info(), info(5), info(1, ""), info(-1, "/"))
    whole = mended(odd, unsound_streams(odd))
    assert [(whole.contexts[one.context], one.tenant) for one in whole.streams] == [
        (Context("host", "/a"), "red"),
        (Context("host"), "red"),
        (Context("host", "/b"), "default"),
        (Context("host"), "default"),
    ]
    assert [one.id for one in whole.streams] == [one.id for one in odd.streams]
    sound = batch(info())
    assert mended(sound, unsound_streams(sound)) is sound


def together(streams: Sequence[tuple[Stream, bytes]]) -> Batch:
    """One batch of several streams, each with bytes of its own."""
    chunks = [msgspec.structs.replace(one.chunk(data), stream=place) for place, (one, data) in enumerate(streams)]
    infos = tuple(
        one.info if one.info.context else msgspec.structs.replace(one.info, context=place)
        for place, (one, _) in enumerate(streams)
    )
    whole = streams[0][0].batch(chunks)
    return msgspec.structs.replace(whole, contexts=tuple(one.context for one, _ in streams), streams=infos)


def odd(source: str, **changes: object) -> Stream:
    stream = Stream(source)
    stream.info = msgspec.structs.replace(stream.info, **changes)
    return stream


async def outcomes(one: Running, sent: Batch) -> list[tuple[Outcome, Position]]:
    return [(result.outcome, result.position) for result in (await one.push.push(sent)).results]


@pytest.mark.parametrize("kill", [False, True])
async def test_a_refused_stream_is_kept_and_goes_on_and_costs_nobody_else_anything(tmp_path: Path, kill: bool) -> None:
    web, lost, nobody = Stream("web"), odd("lost", context=9), odd("nobody", tenant="")
    async with running(tmp_path, kill=kill) as one:
        for n in range(2):
            sent = together([(lost, b"lost %d\n" % n), (web, b"web %d\n" % n), (nobody, b"nobody %d\n" % n)])
            there = [Position(stream.offset, stream.crc) for stream in (lost, web, nobody)]
            expected = [Outcome.REFUSED, Outcome.ACCEPTED, Outcome.REFUSED]
            assert await outcomes(one, sent) == list(zip(expected, there, strict=True))
            # The ack was lost: all of it was here before, as with any other stream.
            assert await outcomes(one, sent) == [(Outcome.EXPECTED, position) for position in there]
    async with running(tmp_path) as one:
        await one.drained()
        assert [record["message"] for record in await one.logs()] == ["web 0", "web 1"]
        for seal in (False, True):
            if seal:
                await sealed(one)
            for stream, figure in ((lost, "dead_letters"), (nobody, "dead_letters"), (web, "stored")):
                found = await account(one, stream)
                assert (found[figure], found["balanced"]) == (stream.offset, True), found
        kept = await letters(one)
        assert [(letter["source"], letter["offset"], letter["bytes"]) for letter in kept] == [
            ("lost", 0, 7),
            ("nobody", 0, 9),
            ("lost", 7, 7),
            ("nobody", 9, 9),
        ]
        assert "context 9 is not among the 3 of the batch" in kept[0]["reason"]
        assert "'' can't be a tenant" in kept[1]["reason"]
        # Mended, the agent's next lines are taken, and what was kept can be had again.
        lost.info = msgspec.structs.replace(lost.info, context=0)
        await one.push.push(lost.batch([lost.chunk(b"found again\n")]))
        status, answer = await call(one, "POST", f"{PATH}/retry", all="true")
        assert (status, answer["stored"]) == (200, 4)
        await one.drained()
        assert sorted(str(record["message"]) for record in await one.logs()) == [
            "found again", "lost 0", "lost 1", "nobody 0", "nobody 1", "web 0", "web 1",
        ]  # fmt: skip
        assert (await account(one, lost))["balanced"]


async def test_a_refused_part_leaves_what_is_known_of_its_stream(tmp_path: Path) -> None:
    """One batch of a broken agent does not move a tenant's stream into another one, nor take its name away."""
    stream = Stream("web", tenant="red")
    async with running(tmp_path) as one:
        await one.push.push(stream.batch([stream.chunk(b"first\n")]))
        broken = stream.batch([stream.chunk(b"second\n")])
        infos = (msgspec.structs.replace(stream.info, tenant="", context=3),)
        await one.push.push(msgspec.structs.replace(broken, streams=infos))
        known = one.collector.pipeline.account_of(stream.key)
        await one.drained()
        assert known is not None
        assert (known.tenant, known.context, known.offset) == ("red", stream.context, stream.offset)
        assert [record["message"] for record in await one.logs(tenant="red")] == ["first"]
        assert [letter["offset"] for letter in await letters(one)] == [6]


async def test_refused_samples_are_kept_as_they_came(tmp_path: Path) -> None:
    spool = odd("spool", format=Format.FRAMES, context=4)
    frame = pack_frame(Event(1, "default", "container", "die", Container("c0ffee", "web")))
    async with running(tmp_path) as one:
        assert (await outcomes(one, spool.batch([spool.chunk(frame)])))[0][0] is Outcome.REFUSED
        (letter,) = await letters(one)
        assert (letter["format"], letter["bytes"]) == ("frames", len(frame))
        status, answer = await call(one, "POST", f"{PATH}/retry", all="true")
        assert (status, answer["stored"], answer["failed"]) == (200, 1, 0)
