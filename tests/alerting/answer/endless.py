"""A process that never stops making, answering and escalating incidents, until it is killed. Each line that it prints
says what was durable by then: an incident and how many events it had."""

from __future__ import annotations

import random
import sys
from pathlib import Path

from alerting.notify.message import GroupAlert
from alerting.track.commands import (
    Acknowledge,
    AnyCommand,
    Comment,
    NotApplicable,
    Respond,
    Review,
    Snooze,
    Unacknowledge,
    Verify,
)
from alerting.track.model import Incident
from tests.alerting.answer.desk import Desk
from tests.alerting.track.timelines import S, T

COMMANDS: tuple[AnyCommand, ...] = (
    Acknowledge(by="alice", for_ns=300 * S),
    Unacknowledge(by="alice"),
    Comment(by="bob", text="hm"),
    Snooze(by="bob", for_ns=120 * S),
    Respond(by="bot", action="restart"),
    Verify(by="bot"),
    Review(by="alice", text="so it was"),
)


class Endless:
    def __init__(self, folder: Path, seed: int) -> None:
        self.desk = Desk(folder)
        self.dice = random.Random(seed)
        self.now_ns = max((each.updated_ns for each in self.desk.tracker.store.all()), default=T)

    def run(self) -> None:
        while True:
            self.now_ns += self.dice.randrange(60) * S
            for incident in self._do(self.dice.random()):
                print(incident.id, incident.events, flush=True)

    def _do(self, chance: float) -> list[Incident]:
        tracker = self.desk.tracker
        if chance < 0.4:
            ids = tracker.observe("default", [self._alert() for _ in range(self.dice.randrange(1, 9))], self.now_ns)
            return [tracker.get("default", id_) for id_ in ids]
        if chance < 0.7:
            self.desk.incidents.escalator.tick(self.now_ns)
            return tracker.store.open()
        found = list(tracker.store.all())[-6:]
        try:
            return [tracker.do("default", self.dice.choice(found).id, self.dice.choice(COMMANDS), self.now_ns)]
        except (IndexError, NotApplicable):
            return []

    def _alert(self) -> GroupAlert:
        name, instance = self.dice.choice("ABCDE"), self.dice.choice("xyz")
        labels = (("alertname", name), ("instance", instance), ("severity", "critical"))
        return GroupAlert(labels, (), self.now_ns, self.dice.choice((0, self.now_ns)))


if __name__ == "__main__":
    Endless(Path(sys.argv[1]), int(sys.argv[2])).run()
