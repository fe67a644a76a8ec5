"""The life of an alert as a dialogue: at each time a vector, and what becomes of the alerts."""

from __future__ import annotations

import pytest

from alerting.rules.asking import Answer
from alerting.rules.model import AlertRule
from alerting.rules.state import Alert, AlertState, Change, EvaluationError, Step, Surroundings, advance, clear
from alerting.rules.template import Template
from collector.metrics.promql.parser import parse
from collector.metrics.series import Sample, Vector
from deckwatch.wire.model import Labels

S = 1_000_000_000


def rule(for_s: int = 0, keep_s: int = 0, **labels: str) -> AlertRule:
    return AlertRule(
        "Hot",
        "t > 80",
        parse("t > 80"),
        for_s * S,
        keep_s * S,
        labels=tuple((name, Template(text)) for name, text in labels.items()),
        annotations=(("summary", Template("{{ $labels.name }} at {{ $value }}")),),
    )


def series(name: str) -> Labels:
    return (("__name__", "t"), ("name", name))


def vector(unknown: tuple[str, ...] = (), **values: float) -> Answer:
    missing = tuple(map(series, unknown))
    return Answer(Vector(tuple(Sample(series(name), value) for name, value in values.items())), missing)


def shown(step: Step) -> dict[str, str]:
    return {dict(labels)["name"]: alert.state.value for labels, alert in step.alerts.items()}


def changes(step: Step) -> list[str]:
    return [f"{dict(t.alert.labels)['name']} {t.change.value}" for t in step.transitions]


Turn = tuple[int, Answer, dict[str, str], list[str]]
"""(second, vector, alerts after it, transitions)"""

DIALOGUES: dict[str, tuple[AlertRule, list[Turn]]] = {
    "without for it fires at the first evaluation and resolves when its series goes": (
        rule(),
        [
            (0, vector(), {}, []),
            (10, vector(web=90), {"web": "firing"}, ["web fired"]),
            (20, vector(web=95), {"web": "firing"}, []),
            (30, vector(), {}, ["web resolved"]),
            (40, vector(web=90), {"web": "firing"}, ["web fired"]),
        ],
    ),
    "for: pending until it has lasted, and dropped at once when it goes before": (
        rule(for_s=20),
        [
            (0, vector(web=90), {"web": "pending"}, ["web became pending"]),
            (10, vector(web=90, db=90), {"web": "pending", "db": "pending"}, ["db became pending"]),
            (20, vector(web=90), {"web": "firing"}, ["web fired", "db no longer pending"]),
            (30, vector(web=90, db=90), {"web": "firing", "db": "pending"}, ["db became pending"]),
        ],
    ),
    "keep_firing_for: counted from the first evaluation without the series": (
        rule(keep_s=20),
        [
            (0, vector(web=90), {"web": "firing"}, ["web fired"]),
            (10, vector(), {"web": "firing"}, []),
            (20, vector(), {"web": "firing"}, []),
            (30, vector(), {}, ["web resolved"]),
        ],
    ),
    "keep_firing_for starts again when the series was back": (
        rule(keep_s=20),
        [
            (0, vector(web=90), {"web": "firing"}, ["web fired"]),
            (10, vector(), {"web": "firing"}, []),
            (20, vector(web=90), {"web": "firing"}, []),
            (30, vector(), {"web": "firing"}, []),
            (45, vector(), {"web": "firing"}, []),
            (50, vector(), {}, ["web resolved"]),
        ],
    ),
    "a silent agent neither resolves nor fires": (
        rule(for_s=20),
        [
            (0, vector(web=90), {"web": "pending"}, ["web became pending"]),
            (20, vector(web=90, db=90), {"web": "firing", "db": "pending"}, ["web fired", "db became pending"]),
            (330, vector(unknown=("web", "db")), {"web": "firing", "db": "pending"}, []),
            (999, vector(unknown=("web", "db", "new")), {"web": "firing", "db": "pending"}, []),
            (1000, vector(web=90, db=90), {"web": "firing", "db": "pending"}, []),  # 980 s unwatched don't count
            (1019, vector(web=90, db=90), {"web": "firing", "db": "pending"}, []),
            (1020, vector(db=90), {"db": "firing"}, ["db fired", "web resolved"]),
        ],
    ),
    "a short pause of ours counts as watched": (
        rule(for_s=120),
        [
            (0, vector(web=90), {"web": "pending"}, ["web became pending"]),
            (200, vector(web=90), {"web": "firing"}, ["web fired"]),
        ],
    ),
}


@pytest.mark.parametrize("name", DIALOGUES)
def test_dialogue(name: str) -> None:
    about, turns = DIALOGUES[name]
    alerts: dict[Labels, Alert] = {}
    for second, seen, state, transitions in turns:
        step = advance(about, alerts, seen, second * S, Surroundings())
        assert (second, shown(step)) == (second, state)
        assert (second, changes(step)) == (second, transitions)
        alerts = step.alerts


def only(step: Step) -> Alert:
    (alert,) = step.alerts.values()
    return alert


def test_labels_values_annotations_and_times() -> None:
    about = rule(for_s=10, severity="page", team="{{ $labels.name }}-team", empty="", name_is="{{ $labels.__name__ }}")
    first = only(advance(about, {}, vector(web=90), 5 * S, Surroundings()))
    assert dict(first.labels) == {
        "alertname": "Hot",
        "name": "web",
        "severity": "page",
        "team": "web-team",
        "name_is": "t",
    }
    assert first.annotations == (("summary", "web at 90"),)
    second = only(advance(about, {first.labels: first}, vector(web=95), 15 * S, Surroundings()))
    assert (second.active_ns, second.fired_ns, second.value) == (5 * S, 15 * S, 95)
    assert second.annotations == (("summary", "web at 95"),)


def test_value_and_annotations_are_frozen_while_it_is_kept() -> None:
    about = rule(keep_s=60)
    first = only(advance(about, {}, vector(web=90), 0, Surroundings()))
    kept = only(advance(about, {first.labels: first}, vector(), 10 * S, Surroundings()))
    assert (kept.value, kept.annotations, kept.keep_since_ns) == (90, (("summary", "web at 90"),), 10 * S)


def test_the_rules_labels_win_over_the_series_and_alertname_over_both() -> None:
    about = rule(name="other", alertname="mine")
    assert dict(only(advance(about, {}, vector(web=90), 0, Surroundings())).labels) == {
        "alertname": "Hot",
        "name": "other",
    }


def test_two_alerts_with_one_label_set_are_an_error() -> None:
    with pytest.raises(EvaluationError, match=r'two alerts would have the labels \{alertname="Hot", name="same"\}'):
        advance(rule(name="same"), {}, vector(web=90, db=90), 0, Surroundings())


def test_more_alerts_than_the_limit_are_an_error_that_clears() -> None:
    advance(rule(), {}, vector(web=90, db=90), 0, Surroundings(limit=2))
    with pytest.raises(EvaluationError, match="exceeded limit of 1 with 2 alerts") as caught:
        advance(rule(), {}, vector(web=90, db=90), 0, Surroundings(limit=1))
    assert caught.value.clears


def test_clear_resolves_what_fired() -> None:
    firing = only(advance(rule(), {}, vector(web=90), 0, Surroundings()))
    pending = only(advance(rule(for_s=9), {}, vector(db=90), 0, Surroundings()))
    step = clear({firing.labels: firing, pending.labels: pending}, 10 * S)
    assert step.alerts == {}
    assert [t.change for t in step.transitions] == [Change.RESOLVED, Change.NO_LONGER_PENDING]
    assert firing.state is AlertState.FIRING
