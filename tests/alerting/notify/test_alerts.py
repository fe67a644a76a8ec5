"""What is known of an alert after it was told of again. Times in seconds."""

from __future__ import annotations

import pytest

from alerting.notify.alerts import AlertRecord, updated

S = 10**9
NOW = 1000


def posted(starts: int, ends: int, *, timed_out: bool = False, text: str = "") -> AlertRecord:
    return AlertRecord("f", (("a", "1"),), (("text", text),), starts * S, ends * S, 0, timed_out=timed_out)


def ruled(starts: int, ends: int = 0) -> AlertRecord:
    return AlertRecord("f", (("a", "1"),), (), starts * S, ends * S, 0, by_rule=True)


@pytest.mark.parametrize(
    ("old", "new", "want"),
    [
        (None, posted(10, 20), (10, 20)),
        # the earliest start wins while they overlap
        (posted(100, 1200), posted(900, 1300), (100, 1300)),
        (posted(900, 1200), posted(100, 1100), (100, 1200)),  # an end that was meant and is later rules
        (posted(900, 1200, timed_out=True), posted(100, 1100), (100, 1100)),  # a time-out gives way
        (posted(900, 1200, timed_out=True), posted(950, 1300, timed_out=True), (900, 1300)),
        # resolved: what comes now ends it
        (posted(100, 1200, timed_out=True), posted(990, 999), (100, 999)),
        (posted(100, 1200), posted(990, 999), (100, 999)),
        (posted(100, 998), posted(500, 600), (100, 998)),  # both are over: the later end
        # no overlap: another alert of the same name
        (posted(100, 200), posted(900, 1300), (900, 1300)),
        (posted(100, 900), posted(900, 1300), (900, 1300)),
        # rules
        (None, ruled(900), (900, 0)),
        (ruled(900), ruled(900, 999), (900, 999)),
        (ruled(100, 200), ruled(900), (900, 0)),
        (posted(100, 1200), ruled(900), (100, 0)),
        (ruled(900), posted(990, 995), (900, 0)),  # nobody outside ends what a rule holds firing
        (ruled(900, 950), posted(990, 1300), (990, 1300)),
    ],
)
def test_updated(old: AlertRecord | None, new: AlertRecord, want: tuple[int, int]) -> None:
    known = updated(old, new, NOW * S)
    assert (known.starts_ns // S, known.ends_ns // S) == want


def test_the_newest_supplies_annotations() -> None:
    known = updated(posted(100, 1200, text="old"), posted(900, 1300, text="new"), NOW * S)
    assert known.annotations == (("text", "new"),)


@pytest.mark.parametrize(("ends", "want"), [(0, False), (999, True), (1000, True), (1001, False)])
def test_resolved(ends: int, want: bool) -> None:
    alert = posted(1, ends)
    assert alert.resolved(NOW * S) is want
    assert alert.told(NOW * S).is_firing is not want
