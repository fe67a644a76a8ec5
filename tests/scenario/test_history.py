"""Numbers from agent to answer: samples that were acked are there after either daemon is killed, each once."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path

import pytest

from tests.chaos.daemons import Pair

INTERVAL_S = 1.0


@pytest.fixture
def pair(tmp_path: Path) -> Pair:
    (tmp_path / "deckwatch.yml").write_text(f"agent: {{sample: {{interval_s: {INTERVAL_S}}}}}\n")
    return Pair(tmp_path, agent=("--config", str(tmp_path / "deckwatch.yml")))


def samples(pair: Pair, name: str) -> list[tuple[float, str]]:
    """Of its one series, the raw ones of the last five minutes."""
    body = json.loads(pair.collector.get("/api/v1/query", query=f"{name}[5m]"))
    assert body["status"] == "success"
    results = body["data"]["result"]
    assert len(results) <= 1
    return [(at, value) for at, value in results[0]["values"]] if results else []


def wait_for_more(pair: Pair, name: str, count: int) -> list[tuple[float, str]]:
    deadline = time.monotonic() + 60
    while len(found := samples(pair, name)) < count:
        assert time.monotonic() < deadline, (found, pair.agent.printed(), pair.collector.printed())
        time.sleep(0.1)
    return found


def test_a_kill_of_either_daemon_loses_no_sample_that_was_there(pair: Pair) -> None:
    pair.start()
    try:
        before = wait_for_more(pair, "node_boot_time_seconds", 4)
        pair.collector.kill()
        time.sleep(2 * INTERVAL_S)  # sampled meanwhile: the agent's spool has it
        pair.collector.start()
        after = wait_for_more(pair, "node_boot_time_seconds", len(before) + 6)
        assert after[: len(before)] == before
        pair.agent.kill()
        pair.agent.start()
        last = wait_for_more(pair, "node_boot_time_seconds", len(after) + 4)
        assert last[: len(after)] == after
        times = [at for at, _ in last]
        assert times == sorted(set(times))
        whole = [later - earlier for earlier, later in itertools.pairwise(times)][: len(after) - 1]
        assert max(whole) < 10 * INTERVAL_S  # no hole where only the collector was away
        assert {value for _, value in last} == {last[0][1]}
    finally:
        pair.stop()


def test_a_stop_and_a_start_keep_the_history(pair: Pair) -> None:
    pair.start()
    try:
        before = wait_for_more(pair, "node_memory_MemTotal_bytes", 3)
    finally:
        pair.stop()
    pair.collector.start()
    try:
        found = samples(pair, "node_memory_MemTotal_bytes")
        assert found[: len(before)] == before
        names = json.loads(pair.collector.get("/api/v1/label/__name__/values"))["data"]
        assert "node_cpu_seconds_total" in names
    finally:
        pair.collector.stop()
