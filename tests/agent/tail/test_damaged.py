"""A file that can't be read: the others go on, the fault is named, and what can never be read is one declared gap."""

from __future__ import annotations

import asyncio
import gzip
import logging
import os
import random
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from deckwatch.wire.model import Gap, GapReason
from tests.fixtures.agent_rig import AgentRig, tail_settings
from tests.fixtures.bad_disk import PAGE, BadDisk, mounted
from tests.fixtures.fake_collector import FakeCollector, Held

TAIL = msgspec.structs.replace(tail_settings(), unreadable_s=0.4)


@pytest.fixture
async def collector() -> AsyncIterator[FakeCollector]:
    async with FakeCollector() as running:
        yield running


@pytest.fixture
async def agent(tmp_path: Path, collector: FakeCollector, request: pytest.FixtureRequest) -> AsyncIterator[AgentRig]:
    if "disk" in request.fixturenames:
        request.getfixturevalue("disk")  # first, so that it goes last
    rig = AgentRig(tmp_path / "state", collector, tail=TAIL)
    yield rig
    await rig.stop()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[BadDisk]:
    for name in ("disk", "behind"):
        (tmp_path / name).mkdir()
    try:
        with mounted(tmp_path / "disk", tmp_path / "behind") as running:
            yield running
    except OSError as error:
        pytest.skip(f"a file system of our own can't be mounted: {error}")


def lines(count: int, seed: int = 1) -> bytes:
    rng = random.Random(seed)
    return b"".join(b"line %d %d\n" % (n, rng.getrandbits(64)) for n in range(count))


TEXT = lines(60_000)


def torn(packed: bytes) -> bytes:
    return packed[: len(packed) // 2]


def flipped(packed: bytes) -> bytes:
    at = len(packed) // 2
    return packed[:at] + bytes(byte ^ 0xFF for byte in packed[at : at + 64]) + packed[at + 64 :]


def wrong_checksum(packed: bytes) -> bytes:
    return packed[:-8] + bytes([packed[-8] ^ 0xFF]) + packed[-7:]


def torn_in_its_first_kib(packed: bytes) -> bytes:
    return packed[:200]


def no_gzip(packed: bytes) -> bytes:
    return b"\0" * 10 + packed[10:]


DAMAGES = [torn, flipped, wrong_checksum, torn_in_its_first_kib, no_gzip]


def gaps(collector: FakeCollector, source: str) -> list[Gap]:
    return [gap for held in collector.of_source(source) for gap in held.gaps]


async def rest(agent: AgentRig) -> None:
    """Everything is acked, and stays so."""
    await agent.drained()
    await asyncio.sleep(0.6)
    await agent.drained()


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda one: one.__name__)
async def test_a_damaged_compressed_file(
    tmp_path: Path,
    agent: AgentRig,
    collector: FakeCollector,
    damage: Callable[[bytes], bytes],
    caplog: pytest.LogCaptureFixture,
) -> None:
    rotated = tmp_path / "a.log.1.gz"
    rotated.write_bytes(damage(gzip.compress(TEXT)))
    (tmp_path / "a.log").write_bytes(b"live\n")
    (tmp_path / "b.log").write_bytes(b"other\n")
    source, other = agent.follow(tmp_path / "a.log"), agent.follow(tmp_path / "b.log")
    await agent.start()
    await collector.until(lambda: collector.text_of(other.name) == b"other\n")
    await collector.until(lambda: bool(gaps(collector, source.name)))
    await rest(agent)
    held = damaged_of(collector, source.name)
    assert TEXT.startswith(bytes(held.data)) or damage is flipped
    assert held.data.endswith(b"\n") or not held.data
    assert len(held.data) > 10_000 or damage in {torn_in_its_first_kib, no_gzip}
    assert (damage is wrong_checksum) == (held.data == TEXT)
    assert caplog.text.count("a.log.1.gz: can't be read") == 1
    for _ in range(2):
        await agent.stop()
        await agent.start()
        await rest(agent)
    assert [(g.start, g.end, g.reason) for g in gaps(collector, source.name)] == [
        (len(held.data), -1, GapReason.UNREADABLE)
    ]
    shipped = collector.text_of(source.name)
    assert shipped.count(b"live\n") == 1

    if damage in {flipped, torn_in_its_first_kib}:  # what was read is wrong, or too little to know it by
        rotated.write_bytes(gzip.compress(TEXT))
    else:
        (tmp_path / "repaired").write_bytes(gzip.compress(TEXT))
        (tmp_path / "repaired").rename(rotated)
    await rest(agent)
    again = collector.text_of(source.name)
    if held.data:  # the gap is final
        assert again == shipped
    else:  # nothing of it was ever sent: it is another file
        assert again == shipped + TEXT
    assert len(gaps(collector, source.name)) == 1


def damaged_of(collector: FakeCollector, source: str) -> Held:
    [held] = [held for held in collector.of_source(source) if held.gaps]
    return held


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda one: one.__name__)
async def test_a_damaged_copy_of_what_was_read_is_no_gap(
    tmp_path: Path, agent: AgentRig, collector: FakeCollector, damage: Callable[[bytes], bytes]
) -> None:
    live, plain = tmp_path / "a.log", tmp_path / "a.log.1"
    live.write_bytes(TEXT)
    source = agent.follow(live)
    await agent.start()
    await agent.drained()
    live.rename(plain)
    live.write_bytes(b"live\n")
    await rest(agent)
    packed = tmp_path / "a.log.1.gz"
    packed.write_bytes(damage(gzip.compress(TEXT)))
    os.utime(packed, ns=(0, plain.stat().st_mtime_ns))  # as gzip does
    plain.unlink()
    for _ in range(2):
        await rest(agent)
        await asyncio.sleep(0.6)
        await agent.stop()
        await agent.start()
    await rest(agent)
    assert collector.text_of(source.name) == TEXT + b"live\n"
    assert gaps(collector, source.name) == []


async def test_what_is_damaged_while_the_agent_is_down(
    tmp_path: Path, agent: AgentRig, collector: FakeCollector
) -> None:
    live = tmp_path / "a.log"
    live.write_bytes(TEXT[:200_000])
    source = agent.follow(live)
    await agent.start()
    await agent.drained()
    await agent.stop()
    acked = len(collector.text_of(source.name))
    (tmp_path / "a.log.1.gz").write_bytes(torn(gzip.compress(TEXT)))
    live.write_bytes(b"live\n")
    await agent.start()
    await collector.until(lambda: bool(gaps(collector, source.name)))
    await rest(agent)
    held = damaged_of(collector, source.name)
    assert TEXT.startswith(bytes(held.data))
    assert len(held.data) > acked
    assert [(g.start, g.end, g.reason) for g in held.gaps] == [(len(held.data), -1, GapReason.UNREADABLE)]


@pytest.mark.parametrize(
    ("bad", "lost"),
    [
        ([3], (3, 3)),
        ([0], (0, 0)),  # not even its first bytes tell what it is
        ([5, 6, 7], (5, 7)),
        (list(range(20, 180)), (20, 179)),  # more than is looked at page by page
        ([198, 199], (198, 199)),  # to the end
        (list(range(200)), (0, 199)),  # nothing can be read
    ],
)
async def test_pages_that_a_disk_can_not_read(
    tmp_path: Path,
    agent: AgentRig,
    collector: FakeCollector,
    disk: BadDisk,
    bad: list[int],
    lost: tuple[int, int],
    caplog: pytest.LogCaptureFixture,
) -> None:
    text = lines(40_000)[: 200 * PAGE - 1] + b"\n"
    disk.put("a.log", text, bad)
    (tmp_path / "b.log").write_bytes(b"other\n")
    source, other = agent.follow(tmp_path / "disk" / "a.log"), agent.follow(tmp_path / "b.log")
    await agent.start()
    await collector.until(lambda: collector.text_of(other.name) == b"other\n")
    await collector.until(lambda: bool(gaps(collector, source.name)))
    await rest(agent)
    start = text.rfind(b"\n", 0, lost[0] * PAGE) + 1
    end = text.find(b"\n", (lost[1] + 1) * PAGE) + 1 or len(text)
    [gap] = gaps(collector, source.name)
    assert (gap.start, gap.end, gap.reason) == (start, end, GapReason.UNREADABLE)
    [held] = collector.of_source(source.name)
    assert bytes(held.data) == text[:start] + text[end:]
    assert caplog.text.count("a.log: can't be read: Input/output error") == 1
    disk.append("a.log", b"later\n")
    await collector.until(lambda: collector.text_of(source.name).endswith(b"later\n"))
    await agent.stop()
    disk.append("a.log", b"last\n")
    await agent.start()
    await collector.until(lambda: collector.text_of(source.name).endswith(b"last\n"))
    await rest(agent)
    disk.spoil("a.log", [])
    await rest(agent)
    assert collector.text_of(source.name) == text[:start] + text[end:] + b"later\nlast\n"
    assert len(gaps(collector, source.name)) == 1
    assert disk.refused("a.log") < 300


async def test_a_closed_file_that_grew_onto_a_bad_page(
    tmp_path: Path, agent: AgentRig, collector: FakeCollector, disk: BadDisk
) -> None:
    text = b"line\n" * 1000
    disk.put("b1.log", text)
    source = agent.follow(tmp_path / "disk" / "a.log", rotated=str(tmp_path / "disk" / "b*.log"))
    await agent.start()
    await collector.until(lambda: any(held.ends for held in collector.of_source(source.name)))
    await agent.stop()
    disk.append("b1.log", b"x" * (2 * PAGE))
    disk.spoil("b1.log", [1, 2])
    await agent.start()
    await collector.until(lambda: bool(gaps(collector, source.name)))
    await rest(agent)
    [gap] = gaps(collector, source.name)
    assert (gap.start, gap.end) == (len(text), len(text) + 2 * PAGE)
    assert collector.text_of(source.name) == text


async def test_an_error_that_goes_away_costs_nothing(
    tmp_path: Path, agent: AgentRig, collector: FakeCollector, disk: BadDisk, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    text = lines(1000)
    disk.put("a.log", text, [2])
    source = agent.follow(tmp_path / "disk" / "a.log")
    await agent.start()
    await collector.until(lambda: disk.refused("a.log") > 0)
    await asyncio.sleep(0.05)
    disk.spoil("a.log", [])
    await collector.until(lambda: collector.text_of(source.name) == text)
    await rest(agent)
    assert gaps(collector, source.name) == []
    assert "a.log: readable again" in caplog.text


async def test_a_lost_ack_behind_a_gap(
    tmp_path: Path, agent: AgentRig, collector: FakeCollector, disk: BadDisk
) -> None:
    """The collector is ahead, behind bytes that can't be read: its position is checked from the gap's end on."""
    text = lines(20_000)
    disk.put("a.log", text, [3])
    source = agent.follow(tmp_path / "disk" / "a.log")
    await agent.start()
    await collector.until(lambda: bool(gaps(collector, source.name)))
    await collector.stop()
    await agent.kill()
    await collector.start()
    await agent.start()
    await rest(agent)
    [gap] = gaps(collector, source.name)
    assert collector.text_of(source.name) == text[: gap.start] + text[gap.end :]


async def test_a_read_error_of_one_file_does_not_stop_the_others(
    tmp_path: Path, agent: AgentRig, collector: FakeCollector, caplog: pytest.LogCaptureFixture
) -> None:
    """/proc/self/mem answers a read at 0 with EIO, as a bad disk does, also to those who may not mount one."""
    (tmp_path / "bad.log").symlink_to("/proc/self/mem")
    (tmp_path / "good.log").write_bytes(b"one\n")
    agent.follow(tmp_path / "bad.log")
    good = agent.follow(tmp_path / "good.log")
    await agent.start()
    await collector.until(lambda: collector.text_of(good.name) == b"one\n")
    with (tmp_path / "good.log").open("ab") as file:
        file.write(b"two\n")
    await collector.until(lambda: collector.text_of(good.name) == b"one\ntwo\n")
    assert caplog.text.count("bad.log: can't be read: Input/output error") == 1


def test_the_disk_answers_as_a_bad_one(tmp_path: Path, disk: BadDisk) -> None:
    disk.put("a.log", b"x" * (2 * PAGE + 9), [1])
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["a.log"]
    with (tmp_path / "disk" / "a.log").open("rb", buffering=0) as file:
        assert len(os.pread(file.fileno(), 1 << 20, 0)) == PAGE  # up to the bad page, as a disk does
        with pytest.raises(OSError, match="Input/output error"):
            os.pread(file.fileno(), 1, PAGE)
        assert os.pread(file.fileno(), 100, 2 * PAGE) == b"x" * 9
