# ruff: noqa: E501 - a row of a table is one line

from __future__ import annotations

import pytest

from collector.search.absent import Absent, asked_fields, nearest, notice, value_of
from collector.search.language import parse


@pytest.mark.parametrize(
    ("name", "known", "found"),
    [
        ("Status", ["state", "status"], ("status", "state")),  # what differs in case comes first
        ("user", ["user.name", "http.user.id", "users"], ("user.name", "http.user.id", "users")),
        ("stauts", ["status", "msg", "path"], ("status",)),
        ("wbe", ["web", "db"], ("web",)),
        ("localhost", ["status", "msg"], ()),
        ("x", [], ()),
        ("aaaa", [f"aaaa{n}" for n in range(9)], ("aaaa8", "aaaa7", "aaaa6")),
    ],
)
def test_nearest(name: str, known: list[str], found: tuple[str, ...]) -> None:
    assert nearest(name, known) == found


@pytest.mark.parametrize(
    ("query", "absent", "message"),
    [
        ("localhost:8080", Absent("localhost"), 'no record in this range has a field \'localhost\'; to find it as text, quote it: "localhost:8080"'),
        ("stauts:>500", Absent("stauts", None, ("status",)), "no record in this range has a field 'stauts'; there is status"),
        ("container:Web", Absent("container.name", "Web", ("web",)), "no record in this range has the container 'Web' (case matters); there is web"),
        ("namespace:*", Absent("orchestrator.namespace"), "no record in this range has a field 'namespace'"),
        ("container.labels.x:1", Absent("container.labels.x"), "no record in this range has a field 'container.labels.x'"),
    ],
)  # fmt: skip
def test_how_it_is_told(query: str, absent: Absent, message: str) -> None:
    assert notice(absent, parse(query)).message == message


def test_what_is_asked_of_fields_that_may_be_missing() -> None:
    query = parse("timeout level:error container:we* NOT a.b:1 (a.b:1 OR x:/y/) z:>5 @timestamp:2026 u:*")
    asked = [(leaf.field, value_of(leaf)) for leaf in asked_fields(query)]
    assert asked == [("container.name", "we*"), ("a.b", "1"), ("x", "/y/"), ("z", None), ("u", None)]
