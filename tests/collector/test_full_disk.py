"""The real collector on a file system that fills up: nothing that was accepted is lost, and it goes on by itself."""

from __future__ import annotations

import os
import subprocess
import urllib.error
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from deckwatch.wire.model import Outcome
from tests.chaos.daemons import Daemon, free_port
from tests.fixtures.push import Pusher, Stream
from tests.scenario.test_bad_input import wait_until

MIB = 1 << 20


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """24 MiB."""
    if os.geteuid() != 0:
        pytest.skip("only root may mount a small tmpfs")
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m,mode=0700", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def health(collector: Daemon) -> tuple[int, str]:
    try:
        return 200, collector.get("/healthz")
    except urllib.error.HTTPError as answer:
        return answer.code, answer.read().decode()


def fill(disk: Path) -> Path:
    """Take all the room there is."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (MIB, 4096, 1):
            try:
                while True:
                    file.write(os.urandom(size))
            except OSError:
                continue
    return ballast


async def test_a_full_disk_loses_nothing_and_is_told(small_disk: Path, tmp_path: Path) -> None:
    port = free_port()
    data = small_disk / "data"
    config = tmp_path / "deckwatch.yml"
    config.write_text("collector:\n  store:\n    seal_age_s: 1\n  intake:\n    journal_segment_bytes: 1048576\n")
    collector = Daemon(
        "collector",
        tmp_path,
        ["collector", "--data-dir", str(data), "--listen", f"127.0.0.1:{port}", "--config", str(config)],
        data / "address",
    )
    collector.start()
    try:
        async with aiohttp.ClientSession() as session:
            await filled_and_emptied(collector, Pusher(collector.url, session), small_disk)
    finally:
        collector.stop()


async def filled_and_emptied(collector: Daemon, pusher: Pusher, disk: Path) -> None:
    stream, accepted = Stream(), 0

    def count() -> int:
        return int(collector.get("/api/v1/logs/count").split(":")[1].strip(" }\n"))

    first = stream.chunk(b"before\n" * 100)
    assert (await pusher.push(stream.batch([first]))).results[0].outcome is Outcome.ACCEPTED
    accepted += 100
    wait_until(lambda: count() == accepted)
    ballast = fill(disk)
    refused = stream.batch([stream.chunk(os.urandom(64 << 10).hex().encode() + b"\n")])
    answer = await pusher.post(pusher.compressed(refused))
    assert (answer.status, answer.refusal and answer.refusal.error) == (503, "full")
    status, told = health(collector)
    assert status == 503
    assert "No space left on device" in told
    assert count() == accepted  # questions are answered meanwhile
    ballast.unlink()
    wait_until(lambda: health(collector) == (200, "ok\n"))  # though nobody has sent anything
    assert (await pusher.push(refused)).results[0].outcome is Outcome.ACCEPTED
    accepted += 1
    wait_until(lambda: count() == accepted)
    collector.kill()
    collector.start()
    wait_until(lambda: count() == accepted)


async def test_a_sealing_for_which_there_is_no_room_waits_for_it(small_disk: Path, tmp_path: Path) -> None:
    """The journal has room in its file; the segment and the manifest have none."""
    port, data = free_port(), small_disk / "data"
    config = tmp_path / "deckwatch.yml"
    config.write_text("collector:\n  store:\n    seal_age_s: 4\n")
    collector = Daemon(
        "collector",
        tmp_path,
        ["collector", "--data-dir", str(data), "--listen", f"127.0.0.1:{port}", "--config", str(config)],
        data / "address",
    )
    collector.start()
    try:
        async with aiohttp.ClientSession() as session:
            pusher, stream = Pusher(collector.url, session), Stream()
            lines = [os.urandom(2000).hex() for _ in range(300)]
            await pusher.push(stream.batch([stream.chunk("".join(f"{line}\n" for line in lines).encode())]))
            ballast = fill(small_disk)
            wait_until(lambda: "the store cannot be sealed" in health(collector)[1])
            assert not list(data.glob("store/segments/*/*/*"))  # nothing half is left in a place that has no room
            ballast.unlink()
            wait_until(lambda: health(collector)[0] == 200 and bool(list(data.glob("store/segments/*/*/*.parquet"))))
            assert collector.get("/api/v1/logs/count").split(":")[1].strip(" }\n") == "300"
    finally:
        collector.stop()
