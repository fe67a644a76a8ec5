"""Alerts over a real database: what joins the outbox when, and what outlives restarts, reloads and failures."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from alerting.notify.alerts import AlertRecord
from alerting.notify.channels.model import Notification, Receipt
from alerting.notify.dispatch import Dispatcher
from alerting.notify.inhibition import InhibitRule
from alerting.notify.intervals import TimeInterval
from alerting.notify.matchers import parse_matchers
from alerting.notify.message import fingerprint
from alerting.notify.muting import Muted
from alerting.notify.routes import IntegrationInfo, Route, Routing
from alerting.silences.model import Silence
from alerting.state_store import StateStore

S = 10**9
T = 1_700_000_000 * S
HOOK = IntegrationInfo("webhook[0]", True)
QUIET = IntegrationInfo("webhook[1]", False)
ROOT = Route(
    *("{}", "{}", "ops"),
    group_by=("alertname",),
    group_wait_ns=10 * S,
    group_interval_ns=60 * S,
    repeat_interval_ns=3600 * S,
)
NIGHT = Route(
    *('{}/{team="night"}/0', '{}/{team="night"}', "ops", parse_matchers('team="night"')),
    group_by=("alertname",),
    group_wait_ns=0,
    mute=("always",),
)
DAY = msgspec.structs.replace(NIGHT, id="{}/day/1", matchers=parse_matchers('team="day"'), mute=(), active=("never",))
INHIBIT = InhibitRule(parse_matchers('alertname="Down"'), parse_matchers('severity="warning"'), ("host",))


def routing(*integrations: IntegrationInfo, root: Route = ROOT, resolve_timeout_ns: int = 300 * S) -> Routing:
    made = Routing(
        msgspec.structs.replace(root, routes=(NIGHT, DAY)),
        {"ops": integrations or (HOOK,)},
        (INHIBIT,),
        {"always": (TimeInterval(),), "never": (TimeInterval(years=((1990, 1990),)),)},
    )
    return msgspec.structs.replace(made, resolve_timeout_ns=resolve_timeout_ns)


class Desk:
    """`at_s` is seconds after the beginning."""

    def __init__(self, path: Path, made: Routing | None = None, tenant: str = "default") -> None:
        self.path = path
        self.tenant = tenant
        self.routing = made or routing()
        self.held: list[Muted] = []
        self.woken = 0
        self.open()

    def open(self, at_s: float = 0) -> None:
        self.store = StateStore(self.path / "alerts.sqlite")
        self.dispatcher = Dispatcher(
            self.tenant,
            self.store,
            self.routing,
            T + int(at_s * S),
            external_url="http://me",
            wake=self.wake,
            held=self.held.append,
        )
        self.store.database.after_each_rollback(self.dispatcher.went_stale)
        self.store.finish_listeners.append(self.dispatcher.finished)

    def restart(self, at_s: float) -> None:
        self.store.close()
        self.open(at_s)

    def wake(self) -> None:
        self.woken += 1

    def put(self, at_s: float, *alerts: AlertRecord) -> None:
        now_ns = T + int(at_s * S)
        self.dispatcher.put([msgspec.structs.replace(each, updated_ns=now_ns) for each in alerts], now_ns)

    def look(self, at_s: float) -> None:
        self.dispatcher.flush_due(T + int(at_s * S))

    def next_s(self) -> float | None:
        due_ns = self.dispatcher.next_due_ns(T)
        return None if due_ns is None else (due_ns - T) / S

    def queued(self, integration: str = "webhook[0]") -> list[dict[str, str]]:
        """What waits: host -> status."""
        with self.store.database.transaction() as connection:
            rows = connection.execute(
                "SELECT notification FROM outbox WHERE integration = ? ORDER BY id", (integration,)
            )
            blobs = [blob for (blob,) in rows.fetchall()]
        return [statuses(msgspec.msgpack.decode(blob, type=Notification)) for blob in blobs]

    def deliver(
        self, outcome: str = "delivered", integration: str = "webhook[0]", most: int = 99
    ) -> list[dict[str, str]]:
        told: list[dict[str, str]] = []
        outbox = self.store.outbox()
        while len(told) < most and (queued := outbox.next("ops", integration)) is not None:
            told.append(statuses(queued.notification))
            outbox.finish(queued, [receipt(outcome)])
        return told

    def alerts(self, at_s: float) -> list[str]:
        return sorted(dict(each.labels).get("host", "") for each in self.dispatcher.alerts(T + int(at_s * S)))

    def kept(self) -> tuple[int, int]:
        """(alerts, groups) on disk."""
        return len(self.store.alerts.alerts(self.tenant)), len(self.store.alerts.groups(self.tenant))


def statuses(notification: Notification) -> dict[str, str]:
    return {
        dict(each.labels).get("host", ""): "firing" if each.is_firing else "resolved" for each in notification.alerts
    }


def receipt(outcome: str) -> Receipt:
    return Receipt(
        *("key", "ops", "webhook[0]", "http://r", "group", "reason"),
        outcome=outcome,
        code=200,
        business_code="",
        attempts=1,
        latency_s=0.0,
        retry_after_s=None,
        created_ns=T,
        ended_ns=T,
    )


def alert(host: str, name: str = "Hot", *, starts: float = 0, ends: float = 0, **labels: str) -> AlertRecord:
    own = tuple(sorted({"alertname": name, "host": host, **labels}.items()))
    ends_ns = T + int(ends * S) if ends else 0
    return AlertRecord(fingerprint(own), own, (), T + int(starts * S), ends_ns, T, by_rule=True)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    made = Desk(tmp_path)
    yield made
    made.store.close()


def test_wait_then_interval_then_repeat(desk: Desk) -> None:
    desk.put(0, alert("a"))
    assert (desk.queued(), desk.next_s()) == ([], 10)
    desk.put(5, alert("b", starts=5))
    desk.look(9.9)
    assert desk.queued() == []
    desk.look(10)
    assert desk.deliver() == [{"a": "firing", "b": "firing"}]
    desk.put(11, alert("c", starts=11))
    assert (desk.queued(), desk.next_s()) == ([], 70)
    desk.look(70)
    assert desk.deliver() == [{"a": "firing", "b": "firing", "c": "firing"}]
    for at_s in range(130, 3670, 60):
        desk.look(at_s)
        assert desk.deliver() == []
    desk.look(3670)
    assert desk.deliver() == [{"a": "firing", "b": "firing", "c": "firing"}]


def test_an_alert_that_waited_elsewhere_is_told_at_once(desk: Desk) -> None:
    desk.put(20, alert("a", starts=0))
    assert desk.deliver() == [{"a": "firing"}]


def test_what_ends_before_its_first_turn_is_never_told(desk: Desk) -> None:
    desk.put(0, alert("a"))
    desk.put(5, alert("a", ends=5))
    desk.look(10)
    assert desk.queued() == []
    assert desk.kept() == (0, 0)


def test_the_end_is_told_and_all_is_forgotten(desk: Desk) -> None:
    desk.put(0, alert("a"), alert("b"))
    desk.look(10)
    desk.deliver()
    desk.put(20, alert("a", ends=20))
    desk.look(70)
    assert desk.deliver() == [{"a": "resolved", "b": "firing"}]
    assert desk.kept() == (1, 1)
    desk.put(80, alert("b", ends=80))
    desk.look(130)
    assert desk.deliver() == [{"b": "resolved"}]
    assert desk.kept() == (0, 0)
    desk.put(140, alert("b", starts=140))
    desk.look(149)
    assert desk.queued() == []  # a new group waits again
    desk.look(150)
    assert desk.deliver() == [{"b": "firing"}]


def test_a_refused_end_is_told_again_at_the_next_turn(desk: Desk) -> None:
    desk.put(0, alert("a"))
    desk.look(10)
    desk.deliver()
    desk.put(20, alert("a", ends=20))
    desk.look(70)
    assert desk.deliver("refused") == [{"a": "resolved"}]
    assert desk.kept() == (1, 1)
    desk.look(130)
    assert desk.deliver() == [{"a": "resolved"}]
    assert desk.kept() == (0, 0)


def test_a_refused_message_is_told_again_as_it_is_then(desk: Desk) -> None:
    desk.put(0, alert("a"))
    desk.look(10)
    assert desk.deliver("refused") == [{"a": "firing"}]
    desk.put(20, alert("b", starts=20))
    desk.look(70)
    assert desk.deliver() == [{"a": "firing", "b": "firing"}]


def test_without_send_resolved_the_end_is_noted_only(tmp_path: Path) -> None:
    desk = Desk(tmp_path, routing(HOOK, QUIET))
    desk.put(0, alert("a"))
    desk.look(10)
    assert desk.deliver() == desk.deliver(integration="webhook[1]") == [{"a": "firing"}]
    desk.put(20, alert("a", ends=20))
    desk.look(70)
    assert (desk.deliver(), desk.deliver(integration="webhook[1]")) == ([{"a": "resolved"}], [])
    desk.put(80, alert("a", starts=80))
    desk.look(90)
    assert desk.deliver(integration="webhook[1]") == [{"a": "firing"}]
    desk.store.close()


def test_without_send_resolved_an_end_behind_a_message_on_its_way_is_noted_too(tmp_path: Path) -> None:
    desk = Desk(tmp_path, routing(QUIET))
    desk.put(0, alert("a"))
    desk.look(10)
    desk.put(20, alert("a", ends=20))
    desk.look(70)
    assert desk.queued("webhook[1]") == [{"a": "firing"}]
    desk.deliver(integration="webhook[1]")
    desk.put(80, alert("a", starts=80))
    desk.look(140)
    assert desk.queued("webhook[1]") == [{"a": "firing"}]  # told anew: the log says that it had ended
    desk.store.close()


def test_while_a_receiver_is_away_one_message_is_kept_as_it_is_and_one_says_what_is_so_now(desk: Desk) -> None:
    desk.put(0, alert("a"))
    desk.look(10)
    desk.put(20, alert("b", starts=20))
    desk.look(70)
    desk.put(80, alert("a", ends=80), alert("c", starts=80))
    desk.look(130)
    desk.put(140, alert("c", starts=80, ends=140))
    desk.look(190)
    assert desk.queued() == [{"a": "firing"}, {"a": "resolved", "b": "firing", "c": "resolved"}]
    desk.deliver()
    assert desk.alerts(200) == ["b"]
    assert desk.kept() == (1, 1)


def test_a_message_that_is_no_longer_so_is_taken_back_while_it_waits_behind_another(desk: Desk) -> None:
    desk.put(0, alert("a"))
    desk.look(10)
    desk.put(20, alert("b", starts=20))
    desk.look(70)
    assert len(desk.queued()) == 2
    desk.dispatcher.silences.set(silence('host="b"', 80, 9000), T + 80 * S)
    desk.look(130)
    assert desk.queued() == [{"a": "firing"}]


def silence(matchers: str, starts: float, ends: float) -> Silence:
    return Silence("", parse_matchers(matchers), T + int(starts * S), T + int(ends * S), 0)


def test_silenced_alerts_are_not_told_until_it_is_over(desk: Desk) -> None:
    desk.dispatcher.silences.set(silence('host="a"', 0, 100), T)
    desk.put(1, alert("a", starts=1), alert("b", starts=1))
    desk.look(11)
    assert desk.deliver() == [{"b": "firing"}]
    assert desk.held == [Muted.SILENCED]
    desk.restart(60)
    desk.look(71)
    assert desk.deliver() == []
    desk.look(131)
    assert desk.deliver() == [{"a": "firing", "b": "firing"}]


def test_what_ends_silenced_is_forgotten(desk: Desk) -> None:
    desk.put(0, alert("a"))
    desk.look(10)
    desk.deliver()
    desk.dispatcher.silences.set(silence('host="a"', 20, 9000), T + 20 * S)
    desk.put(30, alert("a", ends=30))
    desk.look(70)
    assert desk.deliver() == []
    assert desk.kept() == (0, 0)


@pytest.mark.parametrize(("team", "why"), [("night", Muted.MUTE_TIME), ("day", Muted.NOT_ACTIVE)])
def test_time_intervals(desk: Desk, team: str, why: Muted) -> None:
    desk.put(0, alert("a", team=team))
    desk.look(10)
    assert desk.queued() == []
    assert desk.held == [why]


@pytest.mark.parametrize("how", ["restart", "reload", "failure"])
def test_an_inhibited_alert_never_gets_through(tmp_path: Path, how: str) -> None:
    """A hundred times: source and targets come in any order, and everything is read again before each turn."""
    desk = Desk(tmp_path)
    for number in range(100):
        chance = random.Random(number)
        source = alert(f"h{number}", "Down", severity="critical")
        targets = [alert(f"h{number}", f"T{number}-{each}", severity="warning") for each in range(3)]
        alerts = [source, *targets]
        chance.shuffle(alerts)
        desk.put(0, *alerts)
    again: dict[str, Callable[[], None]] = {
        "restart": lambda: desk.restart(5),
        "reload": lambda: desk.dispatcher.configure(routing(), T + 5 * S),
        "failure": lambda: fail(desk),
    }
    for at_s in (5, 10, 20, 70, 130):
        again[how]()
        desk.look(at_s)
    told = [each for message in desk.queued() for each in message]
    assert len(told) == 100  # the sources, in one message
    with desk.store.database.transaction() as connection:
        keys = {key for (key,) in connection.execute("SELECT DISTINCT group_key FROM outbox").fetchall()}
    assert keys == {'{}:{alertname="Down"}'}
    desk.store.close()


def fail(desk: Desk) -> None:
    with pytest.raises(sqlite3.OperationalError), desk.store.database.transaction() as connection:
        connection.execute("nonsense")


def test_the_inhibited_are_told_when_the_source_is_over(desk: Desk) -> None:
    desk.put(0, alert("h", "Down"), alert("h", "Slow", severity="warning"))
    desk.look(10)
    desk.deliver()
    desk.put(20, alert("h", "Down", ends=20))
    desk.look(70)
    assert {"h": "firing"} in desk.deliver()


def test_a_restart_keeps_the_times_of_groups(desk: Desk) -> None:
    desk.put(0, alert("a"))
    desk.restart(3)
    assert desk.next_s() == 10
    desk.look(10)
    assert desk.deliver() == [{"a": "firing"}]
    desk.restart(30)
    assert desk.next_s() == 70
    desk.put(31, alert("b", starts=5))  # it waited elsewhere, but the group had its first turn
    assert (desk.queued(), desk.next_s()) == ([], 70)


def test_a_reload_regroups_and_repeats_nothing(desk: Desk) -> None:
    desk.put(0, alert("a"))
    desk.look(10)
    desk.deliver()
    other = msgspec.structs.replace(ROOT, group_by=("host",))
    desk.dispatcher.configure(routing(root=other), T + 20 * S)
    desk.look(20)
    assert desk.deliver() == [{"a": "firing"}]  # another group: its receivers have not heard of it
    desk.dispatcher.configure(routing(), T + 30 * S)
    desk.look(100)
    assert desk.deliver() == []
    assert desk.kept() == (1, 1)


def test_what_can_not_be_saved_did_not_happen(desk: Desk) -> None:
    desk.put(0, alert("a"))
    with desk.store.database.transaction() as connection:
        connection.execute("ALTER TABLE outbox RENAME TO away")
    with pytest.raises(sqlite3.OperationalError):
        desk.put(20, alert("b", starts=0))
    with desk.store.database.transaction() as connection:
        connection.execute("ALTER TABLE away RENAME TO outbox")
    assert desk.alerts(20) == ["a"]
    assert desk.woken == 0
    desk.look(20)
    assert desk.deliver() == [{"a": "firing"}]
    assert desk.woken == 1


def test_a_posted_alert_that_is_not_told_of_again_ends(desk: Desk) -> None:
    posted = msgspec.structs.replace(alert("a", ends=100), by_rule=False, timed_out=True)
    desk.put(0, posted)
    desk.look(10)
    desk.deliver()
    desk.look(70)
    assert desk.deliver() == []
    assert desk.alerts(99) == ["a"]
    assert desk.alerts(100) == []
    desk.look(130)
    assert desk.deliver() == [{"a": "resolved"}]


def test_told_at_once(tmp_path: Path) -> None:
    at_once = msgspec.structs.replace(ROOT, group_wait_ns=0, at_once=True)
    desk = Desk(tmp_path, routing(root=at_once))
    desk.put(0, alert("a"))
    assert desk.deliver() == [{"a": "firing"}]
    desk.put(1, alert("b", starts=1))
    assert desk.deliver() == [{"a": "firing", "b": "firing"}]
    desk.put(2, alert("b", starts=1))
    assert desk.deliver() == []
    desk.put(3, alert("b", starts=1, ends=3))
    assert desk.deliver() == [{"a": "firing", "b": "resolved"}]
    posted = msgspec.structs.replace(alert("c", starts=4, ends=34), by_rule=False, timed_out=True)
    desk.put(4, posted)
    assert desk.deliver() == [{"a": "firing", "c": "firing"}]
    assert desk.next_s() == 34
    desk.look(34)
    assert desk.deliver() == [{"a": "firing", "c": "resolved"}]
    desk.store.close()


def test_groups_of_another_tenant_are_told_apart(tmp_path: Path) -> None:
    desk = Desk(tmp_path, tenant="blue")
    desk.put(0, alert("a", tenant="blue"))
    desk.look(10)
    queued = desk.store.outbox().next("ops", "webhook[0]")
    assert queued is not None
    assert queued.notification.group_key == '{}:{alertname="Hot", tenant="blue"}'
    assert queued.notification.tenant == "blue"
    desk.store.close()
