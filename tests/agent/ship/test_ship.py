"""Files in, bytes at the collector out, over real HTTP: each test is a short dialogue."""

from __future__ import annotations

import asyncio
import random
import shutil
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from agent.tail.settings import Begin
from deckwatch.wire.model import Event, GapReason, Position
from tests.fixtures.agent_rig import SHIP, AgentRig, tail_settings
from tests.fixtures.fake_collector import FakeCollector, Fault


@pytest.fixture
async def collector() -> AsyncIterator[FakeCollector]:
    async with FakeCollector() as running:
        yield running


@pytest.fixture
async def agent(tmp_path: Path, collector: FakeCollector) -> AsyncIterator[AgentRig]:
    rig = AgentRig(tmp_path / "state", collector)
    yield rig
    await rig.stop()


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def lines(start: int, end: int) -> bytes:
    return b"".join(b"line %d\n" % i for i in range(start, end))


async def test_what_is_written_arrives(tmp_path: Path, agent: AgentRig, collector: FakeCollector) -> None:
    log = tmp_path / "a.log"
    append(log, b"one\ntwo\n")
    source = agent.follow(log)
    await agent.start()
    await agent.drained()
    append(log, b"three\n")
    await agent.drained()
    assert collector.text_of(source.name) == b"one\ntwo\nthree\n"
    assert len(collector.streams) == 1


@pytest.mark.parametrize("fault", list(Fault), ids=[fault.name.lower() for fault in Fault])
async def test_no_fault_loses_or_repeats(
    tmp_path: Path, agent: AgentRig, collector: FakeCollector, fault: Fault
) -> None:
    log = tmp_path / "a.log"
    append(log, lines(0, 200))
    source = agent.follow(log)
    collector.faults.extend([fault, fault])
    await agent.start()
    await agent.drained()
    append(log, lines(200, 300))
    collector.faults.append(fault)
    await agent.drained()
    assert collector.text_of(source.name) == lines(0, 300)
    assert len(collector.of_source(source.name)) == 1
    assert fault in collector.seen_faults


async def test_retry_after_is_honoured(tmp_path: Path, agent: AgentRig, collector: FakeCollector) -> None:
    append(tmp_path / "a.log", b"one\n")
    agent.follow(tmp_path / "a.log")
    collector.retry_after_s = 0.5
    collector.faults.append(Fault.BUSY)
    started = time.monotonic()
    await agent.start()
    await agent.drained()
    assert time.monotonic() - started >= 0.5
    assert agent.metric("deckwatch_agent_retries_total") == 1


async def test_413_makes_batches_smaller_down_to_pieces_of_a_line(tmp_path: Path) -> None:
    text = lines(0, 2000) + b"z" * 50_000 + b"\n" + lines(2000, 2100)
    append(tmp_path / "a.log", text)
    async with FakeCollector(max_raw_bytes=9000) as collector:
        agent = AgentRig(tmp_path / "state", collector)
        source = agent.follow(tmp_path / "a.log")
        await agent.start()
        await agent.drained()
        assert agent.metric("deckwatch_agent_batches_total", outcome="too_large") >= 1
        await agent.stop()
        assert collector.text_of(source.name) == text
        assert max(len(chunk.data) for batch in collector.batches for chunk in batch.chunks) <= 9000


async def test_the_collectors_compressed_limit_is_kept(tmp_path: Path) -> None:
    noise = random.Random(1).randbytes(300_000).replace(b"\n", b" ")
    append(tmp_path / "a.log", noise + b"\n")
    async with FakeCollector(max_batch_bytes=20_000) as collector:
        agent = AgentRig(tmp_path / "state", collector)
        source = agent.follow(tmp_path / "a.log")
        await agent.start()
        await agent.drained()
        await agent.stop()
        assert collector.text_of(source.name) == noise + b"\n"


async def test_refused_bytes_are_a_gap_and_reading_goes_on(
    tmp_path: Path, agent: AgentRig, collector: FakeCollector
) -> None:
    log = tmp_path / "a.log"
    append(log, b"good\n")
    source = agent.follow(log)
    collector.refuse = lambda data: b"poison" in data
    await agent.start()
    await agent.drained()
    append(log, b"poison\n")
    await collector.until(lambda: bool(collector.dead_letters))
    await agent.drained()
    append(log, b"good again\n")
    await agent.drained()
    [held] = collector.of_source(source.name)
    assert bytes(held.data) == b"good\ngood again\n"
    assert [(gap.start, gap.end, gap.reason) for gap in held.gaps] == [(5, 12, GapReason.REFUSED)]


async def test_a_stream_that_is_refused_whole_goes_on_and_is_told_of_once(
    tmp_path: Path, agent: AgentRig, collector: FakeCollector, caplog: pytest.LogCaptureFixture
) -> None:
    """As with a tenant that can't be one: the collector has the bytes and has moved on. No gap, nothing sent again."""
    log, other = tmp_path / "a.log", tmp_path / "b.log"
    source, fellow = agent.follow(log), agent.follow(other)
    collector.unsound[source.name] = "'..' can't be a tenant"
    await agent.start()
    with caplog.at_level("INFO"):
        for turn in range(3):
            append(log, b"line %d\n" % turn)
            append(other, b"line %d\n" % turn)
            await agent.drained()
        assert caplog.text.count("'..' can't be a tenant; the collector keeps it among its dead letters") == 1
        collector.unsound.clear()
        append(log, b"line 3\n")
        await agent.drained()
        assert caplog.text.count("taken again") == 1
    [held], [beside] = collector.of_source(source.name), collector.of_source(fellow.name)
    assert held.pieces == [(7 * turn, 7 * turn + 7) for turn in range(4)]
    assert bytes(beside.data) == b"line 0\nline 1\nline 2\n"
    assert held.gaps == []
    assert agent.metric("deckwatch_agent_stream_results_total", outcome="refused") == 3


async def test_other_bytes_under_our_name_go_as_a_new_stream(
    tmp_path: Path, agent: AgentRig, collector: FakeCollector
) -> None:
    log = tmp_path / "a.log"
    append(log, lines(0, 50))
    source = agent.follow(log)
    await agent.start()
    await agent.drained()
    [key] = [key for key, held in collector.streams.items() if held.info.id.source == source.name]
    collector.positions[key] = Position(len(lines(0, 50)) + 4, 12345)
    append(log, lines(50, 60))
    await agent.drained()
    first, second = collector.of_source(source.name)
    assert second.info.id.generation != first.info.id.generation
    assert bytes(second.data) == lines(0, 60)


async def test_a_restored_collector_is_sent_again_what_it_lost(
    tmp_path: Path, agent: AgentRig, collector: FakeCollector
) -> None:
    log = tmp_path / "a.log"
    append(log, lines(0, 50))
    source = agent.follow(log)
    await agent.start()
    await agent.drained()
    backup = collector.backup()
    append(log, lines(50, 100))
    await agent.drained()
    log.rename(tmp_path / "a.log.1")
    append(log, b"next file\n")
    await agent.drained()
    await asyncio.sleep(0.5)  # the rotated one is closed by now: only the ledger knows it
    collector.restore(backup, epoch="e2")
    append(log, b"more\n")
    await agent.drained()
    texts = sorted(bytes(held.data) for held in collector.of_source(source.name))
    assert texts == sorted([lines(0, 100), b"next file\nmore\n"])
    assert not any(held.gaps for held in collector.of_source(source.name))


async def test_what_a_restored_collector_lost_and_we_have_no_more_is_a_gap(
    tmp_path: Path, agent: AgentRig, collector: FakeCollector
) -> None:
    log = tmp_path / "a.log"
    append(log, lines(0, 50))
    source = agent.follow(log)
    await agent.start()
    await agent.drained()
    backup = collector.backup()
    append(log, lines(50, 100))
    await agent.drained()
    log.unlink()
    append(log, b"next file\n")
    await agent.drained()
    await asyncio.sleep(0.5)
    collector.restore(backup, epoch="e2")
    append(log, b"more\n")
    await agent.drained()
    await collector.until(lambda: any(held.gaps for held in collector.of_source(source.name)))
    gaps = [gap for held in collector.of_source(source.name) for gap in held.gaps]
    assert [(g.start, g.end, g.reason) for g in gaps] == [(len(lines(0, 50)), len(lines(0, 100)), GapReason.RESTORED)]
    assert bytes(collector.of_source(source.name)[-1].data) == b"next file\nmore\n"


async def test_a_lost_checkpoint_repeats_nothing(tmp_path: Path, agent: AgentRig, collector: FakeCollector) -> None:
    log = tmp_path / "a.log"
    append(log, b"short\n")
    source = agent.follow(log)
    await agent.start()
    await agent.drained()
    append(log, lines(0, 100))
    await agent.drained()
    await agent.stop()
    (agent.state_dir / "checkpoint.json").write_bytes(b'{"version":1,"agent":')
    append(log, b"later\n")
    await agent.start()
    await agent.drained()
    assert collector.text_of(source.name) == b"short\n" + lines(0, 100) + b"later\n"
    assert len(collector.of_source(source.name)) == 1
    assert list(agent.state_dir.glob("checkpoint.json.*.bad"))


async def test_a_file_that_went_while_we_were_away_is_a_gap(
    tmp_path: Path, agent: AgentRig, collector: FakeCollector
) -> None:
    log = tmp_path / "a.log"
    append(log, b"one\n")
    source = agent.follow(log)
    await agent.start()
    await agent.drained()
    await agent.stop()
    log.unlink()
    del agent.sources[source.name]
    await agent.start()
    await collector.until(lambda: bool(collector.of_source(source.name)[0].gaps))
    [gap] = collector.of_source(source.name)[0].gaps
    assert (gap.start, gap.end, gap.reason) == (4, -1, GapReason.DELETED)


async def test_the_file_of_a_removed_container_is_read_to_its_end(
    tmp_path: Path, agent: AgentRig, collector: FakeCollector
) -> None:
    """It was discovered, wrote and was removed, all while the collector was away."""
    log = tmp_path / "a.log"
    await collector.stop()
    append(log, b"first\nlast words")
    source = agent.follow(log)
    await agent.start()
    await asyncio.sleep(0.2)
    log.unlink()
    agent.forget(source.name)
    await collector.start()
    await collector.until(lambda: collector.text_of(source.name) == b"first\nlast words")
    await collector.until(lambda: bool(collector.of_source(source.name)[0].ends))
    [held] = collector.of_source(source.name)
    assert held.eof
    assert (held.ends[0].end, held.ends[0].listed) == (16, False)


async def test_an_unterminated_line_waits_until_its_source_has_ended(
    tmp_path: Path, agent: AgentRig, collector: FakeCollector
) -> None:
    log = tmp_path / "a.log"
    append(log, b"one\ntw")
    source = agent.follow(log)
    await agent.start()
    await agent.drained()
    assert collector.text_of(source.name) == b"one\n"
    agent.follow(log, ended=True)
    await collector.until(lambda: collector.text_of(source.name) == b"one\ntw")
    assert collector.of_source(source.name)[0].eof


async def test_one_file_under_two_names_is_one_stream(
    tmp_path: Path, agent: AgentRig, collector: FakeCollector
) -> None:
    log, link = tmp_path / "a.log", tmp_path / "link.log"
    append(log, b"one\n")
    link.symlink_to(log)
    agent.follow(log)
    agent.follow(link)
    await agent.start()
    await agent.drained()
    append(log, b"two\n")
    await agent.drained()
    assert [bytes(held.data) for held in collector.streams.values()] == [b"one\ntwo\n"]


async def test_truncated_and_grown_past_the_position_with_the_same_beginning(
    tmp_path: Path, agent: AgentRig, collector: FakeCollector
) -> None:
    banner = b"starting up, build 7\n" * 60
    log = tmp_path / "a.log"
    append(log, banner + b"first life\n")
    source = agent.follow(log)
    await agent.start()
    await agent.drained()
    with log.open("r+b") as file:
        file.truncate(0)
        file.write(banner + b"second life, which is longer\n")
    await collector.until(lambda: len(collector.of_source(source.name)) == 2)
    await agent.drained()
    first, second = collector.of_source(source.name)
    assert bytes(second.data) == banner + b"second life, which is longer\n"
    assert second.info.id.generation == first.info.id.generation + ".1"
    await collector.until(lambda: bool(first.gaps))
    assert first.gaps[0].reason is GapReason.TRUNCATED


async def test_begin_at_the_end_is_a_declared_gap(tmp_path: Path, collector: FakeCollector) -> None:
    log = tmp_path / "a.log"
    append(log, b"old\nold part")
    agent = AgentRig(tmp_path / "state", collector, tail=tail_settings(begin=Begin.END))
    source = agent.follow(log)
    await agent.start()
    await agent.drained()
    append(log, b" goes on\nnew\n")
    await agent.drained()
    await agent.stop()
    [held] = collector.of_source(source.name)
    assert bytes(held.data) == b"old part goes on\nnew\n"
    assert [(gap.start, gap.end, gap.reason) for gap in held.gaps] == [(0, 4, GapReason.BEFORE_START)]


async def test_polling_alone_is_enough(tmp_path: Path, collector: FakeCollector) -> None:
    log = tmp_path / "a.log"
    agent = AgentRig(tmp_path / "state", collector, tail=tail_settings(inotify=False))
    source = agent.follow(log)
    await agent.start()
    append(log, b"one\n")
    await collector.until(lambda: collector.text_of(source.name) == b"one\n")
    log.rename(tmp_path / "a.log.1")
    append(log, b"two\n")
    await collector.until(lambda: collector.text_of(source.name) == b"one\ntwo\n")
    await agent.stop()


async def test_a_hot_stream_does_not_starve_others(tmp_path: Path, agent: AgentRig, collector: FakeCollector) -> None:
    hot, quiet = tmp_path / "hot.log", tmp_path / "quiet.log"
    append(hot, lines(0, 100_000))
    append(quiet, b"one\n")
    agent.follow(hot)
    agent.follow(quiet)
    await agent.start()
    await agent.drained()
    first = collector.batches[0]
    sources = {first.streams[chunk.stream].id.source for chunk in first.chunks}
    assert sources == {str(hot), str(quiet)}


async def test_whoever_lost_the_state_folder_sends_nothing_twice(
    tmp_path: Path, agent: AgentRig, collector: FakeCollector
) -> None:
    """The file is longer now than when its stream got its name, an older one is rotated."""
    log = tmp_path / "a.log"
    source = agent.follow(log)
    append(log, lines(0, 3))
    await agent.start()
    await agent.drained()
    log.rename(tmp_path / "a.log.1")
    append(log, lines(3, 5))
    await agent.drained()
    await agent.kill()
    shutil.rmtree(agent.state_dir)
    append(log, lines(5, 100))
    await agent.start()
    await agent.drained()
    assert sorted(collector.text_of(source.name).splitlines()) == sorted(lines(0, 100).splitlines())
    assert len(collector.streams) == 2


async def test_two_agents_of_one_machine_send_a_file_once(
    tmp_path: Path, agent: AgentRig, collector: FakeCollector
) -> None:
    log = tmp_path / "a.log"
    append(log, lines(0, 3))
    second = AgentRig(tmp_path / "second", collector)
    for rig in (agent, second):
        source = rig.follow(log)
        await rig.start()
        await rig.drained()
    try:
        for n in range(3, 53, 10):
            append(log, lines(n, n + 10))
            await agent.drained()
            await second.drained()
    finally:
        await second.stop()
    assert collector.text_of(source.name) == lines(0, 53)


async def test_a_new_file_that_begins_like_an_older_one_is_another_stream(
    tmp_path: Path, agent: AgentRig, collector: FakeCollector
) -> None:
    """At a first start the collector is asked for names; those that this agent has given are no answer."""
    log = tmp_path / "a.log"
    banner = b"b" * 2000 + b"\n"
    append(log, banner)
    source = agent.follow(log)
    await agent.start()
    await agent.drained()
    log.rename(tmp_path / "a.log.1")
    append(log, banner)
    await agent.drained()
    append(log, lines(0, 3))
    await agent.drained()
    assert sorted(bytes(held.data) for held in collector.of_source(source.name)) == [banner, banner + lines(0, 3)]


async def test_five_thousand_files(tmp_path: Path, agent: AgentRig, collector: FakeCollector) -> None:
    for i in range(5000):
        log = tmp_path / f"{i}.log"
        log.write_bytes(b"line of %d\n" % i)
        agent.follow(log)
    await agent.start()
    await agent.drained(60)
    append(tmp_path / "77.log", b"another\n")
    started = time.monotonic()
    await collector.until(lambda: collector.text_of(str(tmp_path / "77.log")) == b"line of 77\nanother\n")
    assert time.monotonic() - started < 2
    assert len(collector.streams) == 5000


async def test_a_spool_file_is_deleted_only_once_that_is_remembered(tmp_path: Path, collector: FakeCollector) -> None:
    """Killed behind its deletion and before a checkpoint, the next start would find it gone and declare a gap."""
    rig = AgentRig(tmp_path / "state", collector, ship=msgspec.structs.replace(SHIP, checkpoint_s=60))
    for number in range(4):
        await rig.start(spool=True)
        assert rig.spool is not None
        assert rig.spool.append(Event(number, "default", "agent", "test", None))
        await rig.drained()
        await asyncio.sleep(0.5)  # an older spool file is closed once it has been still for a while
        await rig.drained()
        await rig.kill()
    await rig.start(spool=True)
    await rig.drained()
    await asyncio.sleep(0.6)
    await rig.drained()
    await rig.stop()
    assert [gap for held in collector.streams.values() for gap in held.gaps] == []
    assert len(collector.frames()) == 4


async def test_the_collector_learns_that_we_have_caught_up(
    tmp_path: Path, agent: AgentRig, collector: FakeCollector
) -> None:
    append(tmp_path / "a.log", lines(0, 10))
    agent.follow(tmp_path / "a.log")
    await agent.start()
    await agent.drained()
    await collector.until(lambda: collector.batches[-1].lag_bytes == 0)
    assert collector.batches[0].lag_bytes == len(lines(0, 10))


async def test_samples_and_events_arrive_once_whatever_happens(
    tmp_path: Path, agent: AgentRig, collector: FakeCollector
) -> None:
    await agent.start(spool=True)
    sent = []
    for i in range(300):
        event = Event(i, "default", "agent", "test", None, (("filler", "x" * 2000),))
        assert agent.spool
        agent.spool.append(event)
        sent.append(event)
        if i in (100, 200):
            await (agent.kill() if i == 100 else agent.stop())
            await agent.start(spool=True)
        if i % 37 == 0:
            collector.faults.append(Fault.LOST_ACK)
    await agent.drained()
    assert sorted(collector.frames(), key=lambda frame: frame.ts_ns) == sent
    await collector.until(lambda: len(list((agent.state_dir / "spool").iterdir())) == 1)  # what is acked is deleted


async def test_a_full_spool_drops_its_oldest_as_a_declared_gap(
    tmp_path: Path, agent: AgentRig, collector: FakeCollector
) -> None:
    await collector.stop()
    await agent.start(spool=True)
    assert agent.spool
    for i in range(700):
        agent.spool.append(Event(i, "default", "agent", "test", None, (("filler", "x" * 2000),)))
    await asyncio.sleep(0.5)
    assert sum(path.stat().st_size for path in (agent.state_dir / "spool").iterdir()) <= SHIP.spool.limit_bytes
    await collector.start()
    await agent.drained()
    spools = collector.of_source("spool")
    gaps = [gap for held in spools for gap in held.gaps]
    assert {gap.reason for gap in gaps} == {GapReason.SPOOL_FULL}
    numbers = sorted(frame.ts_ns for frame in collector.frames())
    assert numbers[-1] == 699
    assert numbers == list(range(numbers[0], 700))
    assert sum(gap.end - gap.start for gap in gaps) + sum(len(held.data) for held in spools) > 700 * 2000


async def test_deleted_files_are_held_up_to_a_limit(tmp_path: Path, collector: FakeCollector) -> None:
    await collector.stop()
    settings = msgspec.structs.replace(tail_settings(), held_bytes=1500)
    agent = AgentRig(tmp_path / "state", collector, tail=settings)
    logs = [tmp_path / f"{i}.log" for i in range(3)]
    for log in logs:
        append(log, lines(0, 100))
        agent.follow(log)
    await agent.start()
    await asyncio.sleep(0.2)
    for log in logs:
        log.unlink()
    await asyncio.sleep(0.6)
    await collector.start()
    await collector.until(lambda: len(collector.streams) == 3)
    await agent.drained()
    await agent.stop()
    whole = [held for held in collector.streams.values() if bytes(held.data) == lines(0, 100)]
    gaps = [gap for held in collector.streams.values() for gap in held.gaps]
    assert len(whole) == 1
    assert [(g.start, g.end, g.reason) for g in gaps] == [(0, len(lines(0, 100)), GapReason.HELD_TOO_MUCH)] * 2
