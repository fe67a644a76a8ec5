"""Rows: daemons that are killed or stopped at any moment."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from tests.chaos.daemons import Daemon
from tests.chaos.row import Row
from tests.chaos.stage import Stage
from tests.chaos.stored import segment_files
from tests.chaos.writer import LogWriter


def kills(stage: Stage) -> int:
    """As the name of the row says; fewer where it is short."""
    return 5 if stage.lines >= 50_000 else 2


def kill_agent(stage: Stage) -> None:
    stage.start()
    with stage.writing(stage.docker_log()) as paced:
        for left in range(kills(stage), 0, -1):
            stage.nap_within(paced, left)
            stage.restart(stage.agent, wait=stage.rng.random() < 0.5)


def kill_agent_rotating(stage: Stage) -> None:
    stage.start()
    log = stage.docker_log(max_bytes=max(200_000, stage.lines * 20), max_files=50)
    with stage.writing(log) as paced:
        for left in range(kills(stage), 0, -1):
            stage.nap_within(paced, left)
            stage.restart(stage.agent, wait=stage.rng.random() < 0.5)


def kill_agent_alone(stage: Stage) -> None:
    """The collector is down at each kill, and comes back behind the last."""
    stage.start()
    with stage.writing(stage.docker_log()) as paced:
        stage.nap_within(paced, 3)
        stage.collector.kill()
        for left in range(kills(stage), 0, -1):
            stage.nap_within(paced, left)
            stage.restart(stage.agent, wait=stage.rng.random() < 0.5)
        stage.collector.start()


def terminate_agent(stage: Stage) -> None:
    stage.start()
    with stage.writing(stage.docker_log()) as paced:
        for left in range(2, 0, -1):
            stage.nap_within(paced, left)
            stage.agent.stop()
            stage.nap(0, 0.3)
            stage.agent.start()


def terminate_agent_alone(stage: Stage) -> None:
    stage.start(agent={"ship": {"drain_s": 1.0, "retry_most_s": 2.0}})
    with stage.writing(stage.docker_log()) as paced:
        stage.nap_within(paced, 3)
        stage.collector.stop()
        stage.nap_within(paced, 2)
        stage.agent.stop()
        stage.nap_within(paced, 1)
        stage.agent.start()
        stage.collector.start()


def kill_both(stage: Stage) -> None:
    stage.start()
    with stage.writing(stage.docker_log(max_bytes=max(200_000, stage.lines * 20), max_files=50)) as paced:
        victims = [stage.agent] * kills(stage) + [stage.collector] * kills(stage)
        stage.rng.shuffle(victims)
        for left, victim in enumerate(victims):
            stage.nap_within(paced, len(victims) - left)
            stage.restart(victim, wait=stage.rng.random() < 0.5)


def terminate_both(stage: Stage) -> None:
    stage.start()
    with stage.writing(stage.docker_log()) as paced:
        for left, daemon in enumerate((stage.agent, stage.collector, stage.agent)):
            stage.nap_within(paced, 3 - left)
            daemon.stop()
            stage.nap(0, 0.3)
            daemon.start()


def kill_collector_in_intake(stage: Stage) -> None:
    stage.start()
    with stage.writing(stage.docker_log()) as paced:
        for left in range(kills(stage), 0, -1):
            stage.nap_within(paced, left)
            stage.restart(stage.collector)


def kill_collector_in_sealing(stage: Stage) -> None:
    """A segment a MiB: it is killed as soon as the file of a new one is there, which is before it is committed."""
    stage.start(collector={"store": {"seal_bytes": 1 << 20}})
    with stage.writing(stage.docker_log(), per_s=max(stage.per_s, 20_000)):
        for _ in range(2 if stage.lines < 100_000 else 5):
            if not wait_for_segment(stage, timeout_s=20):
                raise RuntimeError("there was no sealing")
            stage.restart(stage.collector)


def kill_collector_in_compaction(stage: Stage) -> None:
    """Many small segments, at rest; the next new file is that of a compaction."""
    stage.start(collector={"store": {"seal_bytes": 1 << 20, "compaction_bytes": 0}})
    with stage.writing(stage.docker_log(), per_s=max(stage.per_s, 20_000)):
        pass
    stage.wait_drained()
    stage.agent.stop()
    stage.collector.stop()
    again = {"collector": {"store": {"seal_bytes": 1 << 20, "compaction_bytes": 32 << 20}}}
    stage.configure(again)
    for _ in range(2):
        stage.collector.start()
        if not wait_for_segment(stage, timeout_s=15):
            raise RuntimeError("there was no compaction")
        stage.collector.kill()
    stage.ready()
    time.sleep(7)  # one that nobody disturbs


def kill_collector_in_retention(stage: Stage) -> None:
    """What is to be dropped was written before the row's own lines: of those none may go."""
    old = LogWriter(stage.logs / "old.log", say=lambda number: f"old {number} {stage.rng.randbytes(200).hex()}")
    stage.start(collector={"store": {"seal_bytes": 1 << 20, "compaction_bytes": 0}})
    old.write(40_000)
    old.close()
    stage.wait_drained()
    stage.agent.stop()
    stage.collector.stop()
    held = sum(file.stat().st_size for file in segment_files(stage.data_dir))
    stage.configure(
        {"collector": {"store": {"seal_bytes": 1 << 20, "compaction_bytes": 0, "retention_bytes": held // 2}}}
    )
    stage.ready()
    with stage.writing(stage.docker_log()):
        for _ in range(2):
            before = set(segment_files(stage.data_dir))
            wait_until(lambda before=before: any(not file.exists() for file in before), 20)  # type: ignore[misc]
            stage.restart(stage.collector)


def wait_for_segment(stage: Stage, *, timeout_s: float) -> bool:
    """Until a file of a segment is there that was not, about its first millisecond."""
    folder = stage.data_dir / "store" / "segments"
    before = _files(folder)
    return wait_until(lambda: bool(_files(folder) - before), timeout_s)


def _files(folder: Path) -> set[Path]:
    return set(folder.glob("*/*/*"))


def wait_until(true: Callable[[], bool], timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while not true():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True


def away(seconds: float, *, rotates: bool = True) -> Callable[[Stage], None]:
    """The collector is gone; what is written meanwhile stays where it is, in the files."""

    def act(stage: Stage) -> None:
        stage.start()
        log = stage.docker_log(max_bytes=max(200_000, stage.lines * 30) if rotates else 0, max_files=50)
        with stage.writing(log, per_s=max(stage.per_s, stage.lines / max(1, seconds))):
            stage.nap(0.1, 0.5)
            stage.collector.kill()
            time.sleep(seconds)
        stage.collector.start()

    return act


def group_closed_by_time(stage: Stage) -> None:
    """The first half of a stack trace waits so long that time closes it; the collector is killed around that moment."""
    log = stage.docker_log()
    stage.start()
    traces = max(2, min(stage.lines // 5000, 12))
    size = stage.lines // traces // 2
    for _ in range(traces):
        with stage.ledger.lock:
            first = stage.ledger.sent
            log.put([log.line(trace_text(number, first), number) for number in range(first, first + size)])
        stage.nap(0.9, 1.5)
        stage.restart(stage.collector)
        with stage.ledger.lock:
            first = stage.ledger.sent
            log.put([log.line(trace_text(number, -1), number) for number in range(first, first + size)])


def trace_text(number: int, first: int) -> str:
    """Lines of a Java stack trace; `first` begins it."""
    if number == first:
        return f"java.lang.IllegalStateException: number {number} of the series"
    return f"\tat org.example.Deep.call(Deep.java:{number % 500}) // number {number} of the series"


def kill_in_trace(stage: Stage) -> None:
    """Both daemons in turn, between the lines of stack traces."""
    log = stage.docker_log()
    stage.start()
    victims: list[Daemon] = [stage.agent, stage.collector] * 2
    for victim in victims:
        for half in range(2):
            with stage.ledger.lock:
                begin = stage.ledger.sent
                size = stage.lines // len(victims) // 2
                head = begin if half == 0 else -1
                log.put([log.line(trace_text(number, head), number) for number in range(begin, begin + size)])
            stage.nap(0, 0.3)
            if half == 0:
                stage.restart(victim)


ROWS = (
    Row("kill -9: agent x5", kill_agent, in_short=False),
    Row("kill -9: agent x5, log rotates", kill_agent_rotating, in_short=False),
    Row("kill -9: agent x5, collector down", kill_agent_alone),
    Row("SIGTERM: agent", terminate_agent, in_short=False),
    Row("SIGTERM: agent, collector down", terminate_agent_alone),
    Row("SIGTERM: both", terminate_both, in_short=False),
    Row("kill -9: agent x5, collector x5, log rotates", kill_both),
    Row("kill -9: collector x5 in intake", kill_collector_in_intake, in_short=False),
    Row("kill -9: collector in sealing", kill_collector_in_sealing, least_lines=60_000, peers=False),
    Row(
        "kill -9: collector in compaction",
        kill_collector_in_compaction,
        least_lines=200_000,
        in_short=False,
        peers=False,
    ),
    Row("kill -9: collector in retention", kill_collector_in_retention, in_short=False, peers=False),
    Row("collector away 2 s", away(2.0), in_short=False),
    Row("collector away 2 s, no rotation", away(2.0, rotates=False), in_short=False),
    Row("collector away 40 s", away(40.0), in_short=False),
    Row("collector away 10 min", away(600.0), in_short=False),
    Row("group closed by time, collector killed", group_closed_by_time),
    Row("killed between lines of a stack trace", kill_in_trace, in_short=False),
)
