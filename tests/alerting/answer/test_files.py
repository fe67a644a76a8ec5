"""On-call files: what a good one means, every fault of a bad one, several files and tenants."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from alerting.answer.files import load_plan
from alerting.answer.model import Kind, Step, User, Whom, Window
from alerting.answer.schedule_files import read_clock, read_days, read_local, read_turn, read_week_time, read_zone
from alerting.rules.files import BadRules
from deckwatch.runtime.faults import Reject
from tests.alerting.answer.test_oncall import at

DATA = Path(__file__).parent / "data"
M = 60_000_000_000


def test_a_good_file() -> None:
    plan = load_plan([str(DATA / "good.yml")])
    assert plan.users["default", "alice"] == User(
        "alice", "Alice Liddell", "alice@example.org", ("alice-phone", "alice-mail")
    )
    web = plan.schedules["default", "web"]
    assert web.timezone.key == "Europe/Berlin"
    assert [(one.name, one.users, one.start, one.turn) for one in web.layers] == [
        ("nights and weekends", ("alice", "bob"), datetime(2026, 1, 5, 9), timedelta(days=7)),
        ("working hours", ("carol",), datetime(2026, 1, 5, 8), timedelta(days=1)),
    ]
    assert web.layers[1].end == datetime(2027, 1, 1)
    assert web.layers[1].windows == (
        *(Window(day * 1440 + 540, day * 1440 + 1020) for day in range(4)),
        Window(4 * 1440 + 540, 4 * 1440 + 900),
    )
    assert [(one.user, one.start_ns, one.end_ns) for one in web.overrides] == [
        ("bob", at("2026-12-24T18:00"), at("2026-12-27")),
        ("alice", at("2026-04-03T09:00"), at("2026-04-06T09:00")),
    ]
    (layer,) = plan.schedules["default", "db"].layers
    assert (layer.name, layer.turn) == ("layer 1", timedelta(hours=12))
    assert layer.windows == (Window(4 * 1440 + 1080, 7 * 1440 + 540),)
    critical, everything = plan.policies
    assert [str(matcher) for matcher in critical.matchers] == ['severity="critical"', 'team=~"web|api"']
    assert critical.steps == (
        Step(0, (Whom(Kind.SCHEDULE, "web"),)),
        Step(15 * M, (Whom(Kind.USER, "alice"), Whom(Kind.USER, "bob")), 10 * M, 3),
        Step(60 * M, (Whom(Kind.RECEIVER, "management"),)),
    )
    assert everything.matchers == ()
    assert plan.calendars == (str(DATA / "holidays.ics"),)


def test_every_fault_of_a_bad_file_with_its_place() -> None:
    with pytest.raises(BadRules) as caught:
        load_plan([str(DATA / "bad.yml")])
    faults = [(fault.line, fault.problem) for fault in caught.value.faults]
    expected = [
        (2, 'unknown field "phone" in a user'),
        (3, 'the user "alice" is there already'),
        (4, "a user needs a name"),
        (7, 'there is no time zone "Europe/Atlantis"; expected an IANA name such as Europe/Berlin'),
        (9, 'there is no user "dave"; known are: alice'),
        (9, "rotation: not a duration"),
        (9, 'start: not a time: "next monday"; expected 2026-01-31'),
        (10, "users are missing"),
        (10, "rotation: a turn lasts an hour at least"),
        (10, "start names a time already: give either that or handover"),
        (11, 'days: not a day of the week: "mo"'),
        (11, 'from: not a time of day: "25:00"'),
        (11, 'to: not a time of day: "26:00"'),
        (11, 'from: not a time of day: ""'),
        (13, "an override needs to"),
        (14, "an override ends after it begins"),
        (15, "missing.ics can't be read: No such file or directory"),
        (16, "layers are missing"),
        (16, 'the schedule "web" is there already'),
        (20, "matcher value contains unescaped double quote"),
        (22, 'there is no schedule "db"; known are: web'),
        (22, 'there is no user "dave"'),
        (22, 'unknown field "pager" in an entry of notify'),
        (22, "an entry of notify names one of schedule, user, receiver"),
        (23, "a step notifies somebody"),
        (23, "repeat needs `every`, of 1m at least"),
        (23, "repeat needs `times`"),
        (23, "a step comes after the one before it"),
        (24, 'the escalation policy "p" is there already'),
        (24, "steps are missing"),
        (26, "an escalation policy needs a name"),
        (27, 'unknown field "colour"'),
    ]
    assert [line for line, _ in faults] == sorted(line for line, _ in faults)
    for line, problem in expected:
        assert any(at_line == line and problem in told for at_line, told in faults), (line, problem, faults)


def test_users_of_one_file_serve_in_another_but_not_in_another_tenant(tmp_path: Path) -> None:
    (tmp_path / "b.yml").write_text("users: [{name: alice}]\n")
    schedule = "schedules: [{name: web, layers: [{users: [alice], rotation: daily, start: 2026-01-05}]}]\n"
    (tmp_path / "a.yml").write_text(schedule)
    plan = load_plan([str(tmp_path / "*.yml")])
    assert list(plan.schedules) == [("default", "web")]
    (tmp_path / "a.yml").write_text(f"tenant: other\n{schedule}")
    with pytest.raises(BadRules, match='there is no user "alice"; known are: none'):
        load_plan([str(tmp_path / "*.yml")])


@pytest.mark.parametrize("text", ["", "# nothing yet\n"])
def test_an_empty_file_is_good(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.yml").write_text(text)
    assert load_plan([str(tmp_path / "a.yml")]).policies == ()


def test_a_file_that_cant_be_read_is_a_fault(tmp_path: Path) -> None:
    with pytest.raises(BadRules, match="can't be read: No such file"):
        load_plan([str(tmp_path / "a.yml")])


@pytest.mark.parametrize(
    ("text", "days"),
    [("mon", [0]), ("mon-fri", [0, 1, 2, 3, 4]), ("sat,sun", [5, 6]), ("sat-mon", [0, 5, 6]), ("Monday", [0])],
)
def test_days(text: str, days: list[int]) -> None:
    assert read_days(text) == days


@pytest.mark.parametrize(("text", "minutes"), [("09:00", 540), ("9:05", 545), ("00:00", 0), ("24:00", 1440)])
def test_clock(text: str, minutes: int) -> None:
    assert read_clock(text) == minutes


@pytest.mark.parametrize("text", ["24:01", "9", "9:5", "-1:00", "", "٠٩:٠٠x"])
def test_no_clock(text: str) -> None:
    with pytest.raises(Reject):
        read_clock(text)


@pytest.mark.parametrize("zone", ["", "Europe", "../etc/passwd", "/etc/passwd", "Europe/Berlin\0"])
def test_no_zone(zone: str) -> None:
    with pytest.raises(Reject):
        read_zone(zone)


@pytest.mark.parametrize("text", ["1969-12-31", "2200-01-01", "9999-12-31T23:59", "0001-01-01"])
def test_years_that_no_clock_of_ours_reaches(text: str) -> None:
    with pytest.raises(Reject, match="out of range"):
        read_local(text)


def test_a_turn_of_a_century_is_refused() -> None:
    with pytest.raises(Reject, match="a year at most"):
        read_turn("100y")


def test_times() -> None:
    assert read_week_time("fri 18:00") == 4 * 1440 + 1080
    assert read_turn("3d") == timedelta(days=3)
    assert read_local("2026-01-31T09:00+01:00").utcoffset() == timedelta(hours=1)
