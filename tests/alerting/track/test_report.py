"""The post-mortem: whole, and not to be broken by what stands in labels and comments."""

from __future__ import annotations

from pathlib import Path

import pytest

from alerting.track.commands import Acknowledge, Comment, Review
from alerting.track.report import escape, markdown
from alerting.track.view import shown, shown_alerts, shown_timeline
from tests.alerting.track.timelines import Desk, S, alert, at

HOSTILE = "|x|\n# Heading <script>alert(1)</script> [link](javascript:1) `code` @team #12 **b** \x1b[31m"


def report(desk: Desk, id_: str) -> str:
    incident = desk.tracker.get("default", id_)
    return markdown(incident, desk.store.timeline(id_), at(900))


def test_a_post_mortem_says_what_is_known(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    (incident,) = desk.observe(0, alert(instance="a", team="web"))
    assert "| Ended | it goes on |" in report(desk, incident.id)
    desk.tracker.do("default", incident.id, Acknowledge(by="alice", for_ns=600 * S, why="on it"), at(65))
    desk.observe(3725, alert(3725, instance="a", team="web"))
    text = report(desk, incident.id)
    assert text.startswith(f"# Incident {incident.id}: Slow\n")
    for line in (
        "| State | resolved |",
        "| Duration | 1h 02m 05s |",
        "| Time to acknowledge | 1m 05s |",
        "| Time to resolve | 1h 02m 05s |",
        "| Acknowledged by | alice |",
        '| {alertname="Slow", instance="a", team="web"} | Slow it is | 2023-11-14T22:13:20Z | 2023-11-14T23:15:25Z |',
        "| 2023-11-14T22:14:25Z | alice | acknowledged by alice until 2023-11-14T22:24:25Z: on it |",
        "| 2023-11-14T22:24:25Z | clock | the acknowledgement of alice ran out |",
        "## Root cause",
    ):
        assert line in text, line
    assert "## Review\n\n_To be written" in text
    desk.tracker.do("default", incident.id, Review(by="bob", text="The disk was full.\n\nAdd a quota."), at(9000))
    assert "## Review\n\nbob: The disk was full.\n\nAdd a quota.\n" in report(desk, incident.id)


def test_nothing_from_outside_changes_the_document(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    (incident,) = desk.observe(0, alert(instance=HOSTILE, team=HOSTILE))
    desk.tracker.do("default", incident.id, Comment(by=HOSTILE, text=HOSTILE), at(1))
    text = report(desk, incident.id)
    assert [line for line in text.splitlines() if line.startswith("#")] == [
        f"# Incident {incident.id}: Slow",
        *("## What happened", "## Alerts", "## Timeline", "## Review", "## Root cause"),
        *("## What went well, what did not", "## What is to be done"),
    ]
    assert "<script" not in text.replace("\\<", "")
    assert "\x1b" not in text
    for row in (line for line in text.splitlines() if line.startswith("|")):
        cells = row.replace("\\|", "").count("|") - 1
        assert cells in (2, 3, 5), row


@pytest.mark.parametrize(
    ("text", "escaped"),
    [("a|b", "a\\|b"), ("a\n b", "a b"), ("`x`", "\\`x\\`"), ("\\", "\\\\"), ("2026-01-05 v1.2", "2026-01-05 v1.2")],
)
def test_escape(text: str, escaped: str) -> None:
    assert escape(text) == escaped


def test_many_alerts_are_cut_with_a_mark(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    (incident,) = desk.observe(0, *(alert(instance=str(number)) for number in range(130)))
    assert "30 more alerts are in the JSON export." in report(desk, incident.id)


def test_as_json(tmp_path: Path) -> None:
    desk = Desk(tmp_path)
    (incident,) = desk.observe(0, alert(instance="a"), alert(instance="b"))
    desk.observe(5, alert(5, instance="a"))
    desk.tracker.do("default", incident.id, Acknowledge(by="alice", for_ns=60 * S), at(7))
    now = desk.tracker.get("default", incident.id)
    view = shown(now, at(10))
    assert view["duration_s"] == 10
    assert (view["state"], view["owner"], view["alerts_firing"], view["alerts"]) == ("acknowledged", "alice", 1, 2)
    assert view["periods"][0]["to_acknowledge_s"] == 7
    assert "ended" not in view
    assert [row["state"] for row in shown_alerts(now)] == ["firing", "resolved"]
    timeline = shown_timeline(desk.store.timeline(incident.id))
    assert [entry["kind"] for entry in timeline] == ["opened", "alerts joined", "alerts resolved", "acknowledged"]
    assert timeline[1]["alerts"][0]["labels"]["instance"] == "a"
    assert timeline[3]["until"] == "2023-11-14T22:14:27Z"
    assert timeline[3]["message"] == "acknowledged by alice until 2023-11-14T22:14:27Z"
