"""A file that can't be read: the others go on, and the fault is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fixtures.agent_rig import AgentRig
from tests.fixtures.fake_collector import FakeCollector


async def test_a_read_error_of_one_file_does_not_stop_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """/proc/self/mem answers a read at 0 with EIO, as a bad disk does."""
    (tmp_path / "bad.log").symlink_to("/proc/self/mem")
    (tmp_path / "good.log").write_bytes(b"one\n")
    async with FakeCollector() as collector:
        agent = AgentRig(tmp_path / "state", collector)
        agent.follow(tmp_path / "bad.log")
        good = agent.follow(tmp_path / "good.log")
        await agent.start()
        try:
            await collector.until(lambda: collector.text_of(good.name) == b"one\n")
            with (tmp_path / "good.log").open("ab") as file:
                file.write(b"two\n")
            await collector.until(lambda: collector.text_of(good.name) == b"one\ntwo\n")
            assert caplog.text.count("bad.log: can't be read: Input/output error") == 1
        finally:
            await agent.stop()
