"""kill -9 at random points: what was durable stays, what stands in the database agrees with itself."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from alerting.track.events import Escalated
from tests.alerting.answer.desk import Desk

KILLS = int(os.environ.get("DECKWATCH_TEST_KILLS", "5"))
ROOT = Path(__file__).parents[3]


def run_and_kill(folder: Path, seed: int, after_s: float) -> dict[str, int]:
    """incident -> how many events it had for sure"""
    command = (sys.executable, "-m", "tests.alerting.answer.endless", str(folder), str(seed))
    with subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True) as process:
        assert process.stdout is not None
        first = process.stdout.readline()
        assert first, "it ended before it did anything"
        time.sleep(after_s)
        process.kill()
        lines = [first, *process.stdout]
    whole = [line.split() for line in lines if line.endswith("\n")]
    durable: dict[str, int] = {}
    for id_, events in whole:
        durable[id_] = max(durable.get(id_, 0), int(events))
    return durable


def check(folder: Path, durable: dict[str, int]) -> None:
    desk = Desk(folder)
    store = desk.tracker.store
    assert store.differing() == []
    incidents = {each.id: each for each in store.all()}
    for id_, events in durable.items():
        assert incidents[id_].events >= events, id_
    assert {each.id for each in store.open()} == {each.id for each in incidents.values() if each.firing}
    keys = Counter(each.key for each in store.open())
    assert set(keys.values()) <= {1}  # never two for one and the same thing
    assert told(desk) == escalated(desk)
    desk.database.close()


def told(desk: Desk) -> Counter[tuple[str, str]]:
    """(incident, receiver) of messages of steps that wait, none of which is ever sent here."""
    with desk.database.transaction() as connection:
        rows = connection.execute("SELECT group_key, receiver, notification FROM outbox").fetchall()
    return Counter(
        (key.removeprefix("incident:"), receiver) for key, receiver, body in rows if b"escalation critical" in body
    )


def escalated(desk: Desk) -> Counter[tuple[str, str]]:
    store = desk.tracker.store
    events = [(each.id, event) for each in store.all() for event in store.timeline(each.id)]
    return Counter(
        (id_, receiver) for id_, event in events if isinstance(event, Escalated) for receiver in event.receivers
    )


def test_whatever_was_durable_survives(tmp_path: Path) -> None:
    dice = random.Random(7)
    durable: dict[str, int] = {}
    for kill in range(KILLS):
        for id_, events in run_and_kill(tmp_path, kill, dice.uniform(0, 0.4)).items():
            durable[id_] = max(durable.get(id_, 0), events)
        check(tmp_path, durable)
    assert sum(durable.values()) > KILLS
