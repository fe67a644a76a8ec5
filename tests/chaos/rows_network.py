"""Rows: answers that are none, connections that break, something between agent and collector that has a say."""

from __future__ import annotations

from collections.abc import Callable

from tests.chaos.proxy import Fault
from tests.chaos.row import Row
from tests.chaos.stage import Stage


def spoiled(*faults: Fault, chance: float = 0.4, kill: bool = False) -> Callable[[Stage], None]:
    def act(stage: Stage) -> None:
        stage.start(faults=faults, chance=chance)
        log = stage.docker_log(max_bytes=max(200_000, stage.lines * 40), max_files=50)
        with stage.writing(log) as paced:
            for left in range(2 if kill else 0, 0, -1):
                stage.nap_within(paced, left)
                stage.restart(stage.agent if left % 2 else stage.collector)
        stage.wait_acked()
        if stage.proxy is None or not stage.proxy.done:
            raise RuntimeError("no request was spoiled")
        stage.retry_dead_letters()

    return act


SHORT = (Fault.ACK_LOST, Fault.NO_CONTEXT)
"""In `make test`; all of them together are a row, too."""

ROWS = (
    *(Row(fault.value, spoiled(fault), in_short=fault in SHORT) for fault in Fault),
    Row("all of these, both killed", spoiled(*Fault, kill=True)),
)
