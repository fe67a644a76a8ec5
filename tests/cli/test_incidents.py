"""`deckwatch incidents`, `ack` and `oncall` against a collector's API."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deckwatch.cli import run
from deckwatch.incidents.show import length, plain
from tests.alerting.answer.desk import TOKEN, Desk, served
from tests.alerting.track.timelines import alert

HOSTILE = "\x1b[31mred\r\nline\tcell"


class Terminal:
    """Calls the command and gives what it printed; not a terminal, so columns are separated by tabs."""

    def __init__(self, desk: Desk, url: str, capture: pytest.CaptureFixture[bytes]) -> None:
        self.desk = desk
        self._url = url
        self._capture = capture

    async def __call__(self, *words: str) -> tuple[int, str, str]:
        code = await asyncio.to_thread(run, [*words, "--collector", self._url])
        printed = self._capture.readouterr()
        return code, printed.out.decode(), printed.err.decode()

    async def rows(self, *words: str) -> list[list[str]]:
        code, printed, error = await self(*words)
        assert code == 0, error
        return [line.split("\t") for line in printed.splitlines()]


@pytest.fixture
async def deckwatch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> AsyncIterator[Terminal]:
    monkeypatch.setenv("DECKWATCH_TOKEN", TOKEN)
    monkeypatch.setenv("LOGNAME", "alice")
    desk = Desk(tmp_path)
    async with served(desk) as (url, _):
        yield Terminal(desk, url, capfdbinary)


async def test_listed_acknowledged_ended(deckwatch: Terminal) -> None:
    assert await deckwatch("incidents") == (0, "", "")
    incident = deckwatch.desk.observe(alert(instance="a", team="web", severity="critical"))
    assert await deckwatch.rows("incidents") == [[incident.id, "firing", "0s", "1/1", "web", "-", "Slow"]]
    code, printed, _ = await deckwatch("ack", incident.id, "--for", "2h", "--comment", "on it")
    assert (code, printed) == (0, f"{incident.id}  Slow: acknowledged by alice until 2023-11-15T00:13:20Z\n")
    await deckwatch.desk.clock.advance(3725)
    assert await deckwatch.rows("incidents", "--owner", "alice") == [
        [incident.id, "acknowledged", "1h 02m", "1/1", "web", "alice", "Slow"]
    ]
    _, printed, _ = await deckwatch("ack", incident.id, "--undo", "--as", "bob")
    assert printed == f"{incident.id}  Slow: firing\n"
    deckwatch.desk.observe(alert(3725, instance="a"), alert(3725, instance="a", team="web", severity="critical"))
    assert await deckwatch("incidents") == (0, "", "")
    assert [row[1] for row in await deckwatch.rows("incidents", "--all")] == ["resolved"]
    assert [row[1] for row in await deckwatch.rows("incidents", "--state", "ended")] == ["resolved"]
    (line,) = (await deckwatch("incidents", "--all", "--json"))[1].splitlines()
    assert json.loads(line)["periods"][0]["attended"] is True
    assert await deckwatch.rows("incidents", "--statistics", "team", "--since", "7d") == [
        ["web", "1", "1", "0s", "0s", "1", "1h 02m", "1h 02m", "0", "0%", "0"]
    ]


async def test_one_with_its_timeline_and_what_is_done_to_it(deckwatch: Terminal) -> None:
    desk = deckwatch.desk
    incident = desk.observe(alert(instance="a", severity="critical"))
    await desk.tick()
    code, printed, _ = await deckwatch(
        *("incidents", incident.id, "--comment", "the disk is full", "--assign", "bob", "--snooze", "30m")
    )
    assert code == 0
    lines = printed.splitlines()
    assert lines[0] == "firing  Slow"
    assert lines[1].startswith(f"{incident.id}: opened ")
    assert "held: snoozed until 2023-11-14T22:43:20Z" in lines
    assert "assigned to: bob" in lines
    assert 'fires {instance="a", severity="critical"} Slow it is' in lines
    assert [line[21:] for line in lines[-5:]] == [
        "escalation: escalation policy critical began",
        "escalation: escalated, step 1 of critical: schedule web: alice",
        "alice: commented: the disk is full",
        "alice: assigned to bob",
        "alice: snoozed until 2023-11-14T22:43:20Z",
    ]
    assert "held:" not in (await deckwatch("incidents", incident.id, "--unsnooze"))[1]
    code, _, error = await deckwatch("incidents", incident.id, "--review", "x")
    assert (code, "review it when it is resolved" in error) == (1, True)
    whole = json.loads((await deckwatch("incidents", incident.id, "--json"))[1])
    assert [entry["kind"] for entry in whole["timeline"]][-2:] == ["snoozed", "snooze ended"]
    assert (await deckwatch("incidents", incident.id, "--report"))[1].startswith(f"# Incident {incident.id}")


@pytest.mark.parametrize(
    ("words", "code", "error"),
    [
        (("ack", "nonsense"), 1, "there is no incident nonsense"),
        (("ack", "nonsense", "--for", "soon"), 1, "is not a duration"),
        (("ack",), 2, "Missing argument"),
        (("incidents", "--comment", "x"), 2, "which one?"),
        (("incidents", "--report"), 2, "which one?"),
        (("incidents", "--filter", "=x"), 1, "bad matcher format"),
        (("oncall", "--feed"), 2, "of which schedule?"),
        (("oncall", "nothing"), 1, "there is no schedule 'nothing'; known are: empty, web"),
        (("oncall", "web", "--override", "bob"), 2, "needs --from and --to"),
        (("oncall", "web", "--override", "eve", "--from", "2026-01-01", "--to", "2026-01-02"), 1, "no user 'eve'"),
        (("oncall", "--at", "soon"), 1, "is not a time"),
    ],
)
async def test_faults_are_one_message(deckwatch: Terminal, words: tuple[str, ...], code: int, error: str) -> None:
    found, _, said = await deckwatch(*words)
    assert (found, error in said) == (code, True), said
    assert said.count("; expected ") <= 1
    assert "Traceback" not in said


async def test_without_the_token_it_says_how_to_give_it(deckwatch: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DECKWATCH_TOKEN")
    code, _, error = await deckwatch("incidents")
    assert (code, "--token-file or DECKWATCH_TOKEN" in error) == (2, True)


async def test_nothing_from_outside_steers_the_terminal_or_forges_columns(deckwatch: Terminal) -> None:
    incident = deckwatch.desk.observe(alert(name=HOSTILE, instance=HOSTILE, team=HOSTILE))
    (row,) = await deckwatch.rows("incidents")
    assert len(row) == 7
    _, printed, _ = await deckwatch("incidents", incident.id, "--comment", HOSTILE, "--as", HOSTILE)
    assert "\x1b" not in printed
    assert "\r" not in printed
    assert [line[21:] for line in printed.splitlines()][-1].count("commented: red line cell") == 1


async def test_who_is_on_call(deckwatch: Terminal, tmp_path: Path) -> None:
    assert await deckwatch.rows("oncall") == [
        ["empty", "nobody", "-", "-", "-"],
        ["web", "alice (Alice Liddell)", "layer 1", "Mon 2023-11-20 09:00 CET", "bob"],
    ]
    assert (await deckwatch.rows("oncall", "--at", "now+7d"))[1][1] == "bob"
    shifts = await deckwatch.rows("oncall", "web", "--at", "2024-03-25T12:00:00+01:00", "--until", "2024-04-02")
    assert shifts == [
        ["Mon 2024-03-25 12:00 CET", "Mon 2024-04-01 09:00 CEST", "bob", "layer 1"],
        ["Mon 2024-04-01 09:00 CEST", "Tue 2024-04-02 02:00 CEST", "alice (Alice Liddell)", "layer 1"],
    ]
    code, printed, _ = await deckwatch(
        *("oncall", "web", "--override", "bob", "--from", "2023-11-15T09:00", "--to", "2023-11-15T17:00")
    )
    assert code == 0
    assert printed.startswith("bob from Wed 2023-11-15 09:00 CET to Wed 2023-11-15 17:00 CET, by alice (id ")
    made = printed.rpartition("(id ")[2].rstrip(")\n")
    assert (await deckwatch.rows("oncall", "web"))[1][2] == "bob"
    assert (await deckwatch("oncall", "web", "--take-back", made))[1] == f"{made} is taken back\n"
    assert (await deckwatch.rows("oncall", "web"))[1][2] == "bob"  # of the week after
    calendar = tmp_path / "a.ics"
    calendar.write_bytes((await deckwatch("oncall", "web", "--ics"))[1].encode())
    code, printed, _ = await deckwatch("oncall", "web", "--import", str(calendar))
    assert (code, len(printed.splitlines()) > 10) == (0, True)
    assert "UTC" not in printed
    code, printed, _ = await deckwatch("oncall", "web", "--feed")
    assert printed.startswith("http://127.0.0.1:")
    assert printed.endswith(".ics\n")


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59.6, "1m 00s"), (61, "1m 01s"), (7260, "2h 01m"), (90_061, "1d 01h")]
)
def test_length(seconds: float, text: str) -> None:
    assert length(seconds) == text


def test_plain() -> None:
    assert plain(HOSTILE) == "red line cell"
