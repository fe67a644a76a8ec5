"""Rows: agents that are one too many, and clocks that are wrong."""

from __future__ import annotations

import shutil
from collections.abc import Callable

from tests.chaos.row import Row
from tests.chaos.shifted import set_offset
from tests.chaos.stage import Stage
from tests.chaos.writer import LogWriter

DAY_S = 86_400.0
YEAR_NS = 31_557_600_000_000_000


def two_agents_one_folder(stage: Stage) -> None:
    """By mistake: another agent of this host, with a state folder of its own and the same globs."""
    log = stage.docker_log()
    stage.start()
    log.write(stage.lines // 4)
    stage.wait_acked()
    second = stage.second_agent(stage.folder / "agent-2")
    second.start()
    with stage.writing(log, lines=stage.lines // 2):
        pass
    stage.wait_acked()
    stage.agent.kill()
    log.write(stage.lines // 4)
    stage.agent.start()


def two_agents_new_files(stage: Stage) -> None:
    """Both have run for long and follow one folder; each file is new to both, and grows while they find it. Each of
    them names it when it looks, and sees more of it or less."""
    stage.start()
    second = stage.second_agent(stage.folder / "agent-2")
    second.start()
    log = stage.docker_log(max_bytes=4000, max_files=1000)
    plain = [stage.plain_log(f"app-{n:03}") for n in range(min(200, stage.lines // 100))]
    with stage.writing(log, *plain, lines=stage.lines // 2, per_s=stage.per_s / 10):
        pass
    stage.wait_acked()
    for victim in (stage.agent, second):
        stage.restart(victim)
    with stage.writing(log, *plain, lines=stage.lines - log.ledger.sent):
        pass


def cloned_host(stage: Stage) -> None:
    """A machine's disk is copied, agent state, logs and machine id with it; both go on. What was written before is on
    both disks: each of them may send it once."""
    one, two = stage.folder / "host-1", stage.folder / "host-2"
    (one / "var").mkdir(parents=True)
    stage.start(agent={"discover": {"host_root": str(one)}}, globs=["/var/*.log"])
    log = LogWriter(one / "var" / "app.log", stage.ledger)
    log.write(stage.lines // 4)
    stage.wait_acked()
    stage.agent.stop()
    shutil.copytree(one, two)
    stage.ledger.copied = stage.ledger.sent
    state_two = stage.folder / "agent-2"
    shutil.copytree(stage.state_dir, state_two)
    (two / "var" / "app.log").touch()
    twin = LogWriter(two / "var" / "app.log", stage.ledger)
    twin.generation.size = log.generation.size
    config = stage.configure({"agent": {"discover": {"host_root": str(two)}}}, "twin.yml")
    second = stage.second_agent(state_two, "--config", str(config))
    stage.agent.start()
    second.start()
    for _ in range(3):
        log.write(stage.lines // 8)
        twin.write(stage.lines // 8)
        stage.nap(0.2, 0.6)
    stage.restart(second)
    log.close()
    twin.close()


def clock_jumps(seconds: float) -> Callable[[Stage], None]:
    """Of both daemons, at moments of their own; the log is rotated meanwhile, and both are killed."""

    def act(stage: Stage) -> None:
        stage.build()
        clocks = [stage.shift_clock(daemon) for daemon in (stage.agent, stage.collector)]
        stage.collector.start()
        stage.agent.start()
        log = stage.docker_log(max_bytes=max(200_000, stage.lines * 40), max_files=50)
        with stage.writing(log) as paced:
            for clock in clocks:
                stage.nap_within(paced, 3)
                set_offset(clock, seconds)
            stage.nap_within(paced, 1)
            for daemon in (stage.agent, stage.collector):
                stage.restart(daemon)

    return act


def clock_jumps_and_returns(stage: Stage) -> None:
    clock = clock_jumps(DAY_S)
    clock(stage)
    for name in ("agent", "collector"):
        set_offset(stage.folder / f"{name}.offset", 0)
    log = stage.docker_log("behind")
    log.write(stage.lines // 10)
    stage.nap(0.5, 1.0)
    stage.restart(stage.collector)
    log.write(stage.lines // 10)


def lying_clocks(stage: Stage) -> None:
    """Time stamps of containers, by years and centuries; sealed in between."""
    years = (-56, -20, 0, 5, 70, 200)
    log = stage.docker_log(jump_ns=lambda number: years[number // 100 % len(years)] * YEAR_NS)
    stage.start(collector={"store": {"seal_bytes": 1 << 20}})
    with stage.writing(log) as paced:
        for left in (2, 1):
            stage.nap_within(paced, left)
            stage.restart(stage.collector)


ROWS = (
    Row("two agents read one folder", two_agents_one_folder, peers=False, in_short=False),
    Row("two agents name new files at once", two_agents_new_files, peers=False, most_lines=100_000),
    Row("host cloned with its state folder", cloned_host, peers=False),
    Row("clocks a day back", clock_jumps(-DAY_S), peers=False),
    Row("clocks a day forward", clock_jumps(DAY_S), peers=False, in_short=False),
    Row("clocks a day forward and back again", clock_jumps_and_returns, in_short=False, peers=False),
    Row("clocks of containers lie by years", lying_clocks),
)
