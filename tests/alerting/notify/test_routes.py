from __future__ import annotations

import pytest

from alerting.notify.matchers import parse_matchers
from alerting.notify.routes import Route, child_id, child_key


def route(name: str, matchers: str = "", *routes: Route, goes_on: bool = False) -> Route:
    return Route(name, name, name, parse_matchers(matchers), goes_on=goes_on, routes=routes)


TREE = route(
    "root",
    "",
    route("team", 'team="a"', route("page", 'severity="page"'), route("mail", 'severity=~"warn.*"')),
    route("first", 'kind="both"', goes_on=True),
    route("second", 'kind="both"'),
    route("never", 'kind="both"'),
    route("deep", 'kind="deep"', route("inner", 'x="1"', goes_on=True), goes_on=True),
    route("empty", 'host=""', route("only", 'kind="e"')),
)


@pytest.mark.parametrize(
    ("labels", "want"),
    [
        ({"host": "h"}, ["root"]),
        ({"host": "h", "team": "a"}, ["team"]),  # no child takes it
        ({"host": "h", "team": "a", "severity": "page"}, ["page"]),
        ({"host": "h", "team": "a", "severity": "warning"}, ["mail"]),
        ({"host": "h", "team": "a", "severity": "awarning"}, ["team"]),  # anchored
        ({"host": "h", "kind": "both"}, ["first", "second"]),
        ({"host": "h", "kind": "both", "team": "a"}, ["team"]),  # the first that matches ends it
        ({"host": "h", "kind": "deep", "x": "1"}, ["inner"]),
        ({}, ["empty"]),  # a label that isn't there is empty
        ({"kind": "deep"}, ["deep", "empty"]),
    ],
)
def test_matching(labels: dict[str, str], want: list[str]) -> None:
    assert [each.receiver for each in TREE.matching(labels)] == want


@pytest.mark.parametrize(
    ("by", "by_all", "always", "want"),
    [
        ((), False, "", ()),
        (("b", "nope"), False, "", (("b", "2"),)),
        ((), True, "", (("a", "1"), ("b", "2"), ("tenant", "t"))),
        (("a",), False, "tenant", (("a", "1"), ("tenant", "t"))),
    ],
)
def test_group_labels(by: tuple[str, ...], by_all: bool, always: str, want: tuple[tuple[str, str], ...]) -> None:
    made = Route("r", "r", "r", group_by=by, group_by_all=by_all)
    assert made.group_labels((("a", "1"), ("b", "2"), ("tenant", "t")), always) == want


def test_keys_are_paths() -> None:
    matchers = parse_matchers('kind="both"')
    assert child_key("{}", matchers) == '{}/{kind="both"}'
    assert child_id('{}/{kind="both"}/1', matchers, 0) == '{}/{kind="both"}/1/{kind="both"}/0'
