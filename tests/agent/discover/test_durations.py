from __future__ import annotations

from agent.discover.durations import MOST_RUNS, Durations
from deckwatch.wire.model import Container, Event

S = 1_000_000_000


class Told:
    def __init__(self, described: dict[str, int] | None = None) -> None:
        self.events: list[Event] = []
        self._durations = Durations(self._heard, (described or {}).get)

    def _heard(self, event: Event) -> None:
        self.events.append(event)

    def hear(self, at_s: float, action: str, ident: str = "a") -> dict[str, str]:
        attributes = (("exitCode", "3"),) if action == "die" else ()
        event = Event(int(at_s * S), "default", "container", action, Container(ident), attributes)
        self._durations.take(event)
        assert self.events[-1].action == action
        return dict(self.events[-1].attributes)


def test_from_start_to_end() -> None:
    told = Told()
    assert told.hear(1, "create") == {}
    assert told.hear(1.5, "start") == {}
    assert told.hear(2, "die") == {"exitCode": "3", "started_ns": "1500000000", "duration_ns": "500000000"}
    assert told.hear(3, "die") == {"exitCode": "3"}  # one that never started


def test_who_ran_before_us_is_described() -> None:
    assert Told({"a": S}).hear(3, "die")["duration_ns"] == "2000000000"
    assert Told({"a": 4 * S}).hear(3, "die") == {"exitCode": "3"}  # of its next run already


def test_memory_is_bounded() -> None:
    told = Told()
    for number in range(MOST_RUNS + 1):
        told.hear(1, "start", str(number))
    assert told.hear(2, "die", "0") == {"exitCode": "3"}
    assert told.hear(2, "die", "1")["duration_ns"] == str(S)
