"""One row of the table: what is done, what it may cost, and the run of it with its account."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import numpy as np

from tests.chaos.account import account, excuse, keys_of
from tests.chaos.stage import CannotRun, Stage
from tests.chaos.stored import Numbers, account_faults, by_api, by_parquet, declared_gaps, has_store

MOST_AGENT_BYTES = 60_000_000


class Row(msgspec.Struct, frozen=True):
    """`act` builds and starts the daemons, has all lines written and does the row's harm to them; what is left of it is
    started again and drained afterwards."""

    name: str
    act: Callable[[Stage], None]
    destroys: bool = False  # bytes that nobody could read: they are excused where a gap declares them
    doubts: bool = False  # files go while the agent is down: it can't know whether they had more, and says so
    in_short: bool = True  # in `make test`
    least_lines: int = 0
    most_lines: int = 0  # 0: as many as asked for
    cut_records: bool = False  # lines so long that a record's end may cut a number: only their text in a row tells
    drain_s: float = 180.0
    settle_s: float = 0.0  # until a gap is declared, or a log that is gone is given up: a copy of it may yet turn up
    peers: bool = True  # it says something of other shippers too

    def lines_of(self, asked: int) -> int:
        return max(self.least_lines, min(asked, self.most_lines or asked))


class Outcome(msgspec.Struct, frozen=True):
    row: str
    seed: int
    sent: int = 0
    stored: int = 0
    lost: tuple[int, ...] = ()  # not excused
    repeated: tuple[int, ...] = ()
    gaps: int = 0
    excused_bytes: int = 0
    agent_rss_bytes: int = 0
    seconds: float = 0.0
    faults: tuple[str, ...] = ()
    skipped: str = ""

    @property
    def good(self) -> bool:
        return not (self.lost or self.repeated or self.faults)


def run(row: Row, folder: Path, *, lines: int, per_s: float, seed: int) -> Outcome:
    started = time.monotonic()
    stage = Stage(folder, lines=row.lines_of(lines), per_s=per_s, seed=seed)
    try:
        outcome = _verified(row, seed, stage, _acted(row, stage))
    except CannotRun as why:
        return Outcome(row.name, seed, skipped=str(why))
    finally:
        stage.close()
    return msgspec.structs.replace(outcome, seconds=time.monotonic() - started)


def _acted(row: Row, stage: Stage) -> list[str]:
    """What went wrong until everything is at rest; the account is taken then, however that went."""
    try:
        row.act(stage)
        stage.ready()
        stage.wait_drained(row.drain_s)
        if row.settle_s:
            time.sleep(row.settle_s)
            stage.wait_drained(row.drain_s)
    except (TimeoutError, RuntimeError, OSError) as error:
        return [f"{row.name}: {type(error).__name__}: {error}"]
    return []


def _verified(row: Row, seed: int, stage: Stage, faults: list[str]) -> Outcome:
    by_search = by_api(stage.collector.url) if stage.is_up and not row.cut_records else None
    if stage.is_up and not faults:
        faults += account_faults(stage.collector.url)
    rss = max((agent.peak_rss_bytes() for agent in stage.agents), default=0)
    try:
        stage.stop()
    except (RuntimeError, subprocess.TimeoutExpired) as error:
        faults.append(str(error))
    if not has_store(stage.data_dir):
        return Outcome(row.name, seed, sent=stage.ledger.sent, faults=(*faults, "there is no store"))
    numbers, gaps = by_parquet(stage.data_dir), declared_gaps(stage.data_dir)
    found = account(stage.ledger.sent, numbers, copied=stage.ledger.copied)
    excused = excuse(found.lost, stage.ledger, gaps, keys_of(sorted(stage.instances), stage.source_of))
    if by_search is not None and not faults:  # what never came to rest went on between the two
        faults += _differences(by_search, numbers)
    if found.stranger:
        faults.append(f"{found.stranger} numbers that nobody wrote")
    if excused.undeclared:
        faults.append(f"{excused.undeclared} numbers were destroyed unread and no gap declares them")
    if baseless := [gap for gap in gaps if not (row.destroys or (row.doubts and gap.end < 0))]:
        faults.append(f"gaps without a cause: {baseless[:3]}")
    if rss > MOST_AGENT_BYTES:
        faults.append(f"the agent took {rss / 1e6:.1f} MB")
    faults += [f"a traceback in the log of {name}" for name in stage.tracebacks()]
    return Outcome(
        row=row.name,
        seed=seed,
        sent=found.sent,
        stored=found.stored,
        lost=excused.unexcused,
        repeated=found.repeated,
        gaps=len(gaps),
        excused_bytes=excused.excused_bytes,
        agent_rss_bytes=rss,
        faults=tuple(faults),
    )


def _differences(by_search: Numbers, by_files: Numbers) -> list[str]:
    """The API and the files must hold the same, as often."""
    if np.array_equal(np.sort(by_search), np.sort(by_files)):
        return []
    return [f"the API gave {by_search.size} numbers, the segments hold {by_files.size}, or others"]
