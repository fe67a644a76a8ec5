from __future__ import annotations

import pytest

from agent.inotify import Change, Notice
from agent.tail.births import Births, unseen

DIR = Change.ISDIR


def told(*steps: str) -> Births:
    """`+a`: created, `-a`: deleted, `a>b`: renamed, `>a` moved in from elsewhere, `a>` moved out, `/a`: a folder."""
    births = Births("x")
    for cookie, step in enumerate(steps):
        if step[0] == "+":
            births.take(Notice(1, Change.CREATE, 0, step[1:]))
        elif step[0] == "/":
            births.take(Notice(1, Change.CREATE | DIR, 0, step[1:]))
        elif step[0] == "-":
            births.take(Notice(1, Change.DELETE, 0, step[1:]))
        else:
            old, new = step.split(">")
            if old:
                births.take(Notice(1, Change.MOVED_FROM, cookie + 1, old))
            if new:
                births.take(Notice(1, Change.MOVED_TO, cookie + 1, new))
    return births


DOCKER = ("-x.2", "x.1>x.2", "x>x.1", "+x")
"""One rotation with max-file=3."""


@pytest.mark.parametrize(
    ("steps", "count", "names"),
    [
        (("+x",), 1, ["x"]),
        (("x>x.1", "+x"), 1, ["x"]),  # logrotate's create; the old one was there before
        (("-x", "+x"), 1, ["x"]),  # by hand, or max-file=1
        (DOCKER * 2, 2, ["x.1", "x"]),
        (DOCKER * 5, 5, ["x.2", "x.1", "x"]),  # two of them came and went
        (("x>y", "+x"), 1, ["x"]),
        (("+x", "x>y", "y>x"), 1, ["x"]),  # there and back: no other file
        (("x>y", "y>x"), 1, ["x"]),  # unknown ones count, and are opened as well
        ((">x",), 1, ["x"]),  # an editor's rename over the live file
        (("+x", ">x"), 2, ["x"]),
        (("+x", "x>"), 1, []),
        (("+x.1", "+x.1.gz", "-x.1"), 0, []),  # copytruncate and compression
        (("+x", "x>x.1", "+x", "+x.1.gz", "-x.1"), 2, ["x"]),
        (("/x",), 0, []),
        (("+x", "x>x.1", "+y", "y>x.1"), 1, []),  # another file was moved over it
    ],
)
def test_births(steps: tuple[str, ...], count: int, names: list[str]) -> None:
    births = told(*steps)
    assert (births.count, births.names) == (count, names)


@pytest.mark.parametrize(("births", "opened", "missed"), [(3, 3, 0), (5, 2, 3), (1, 2, 0)])
def test_unseen(births: int, opened: int, missed: int) -> None:
    assert unseen(births, opened) == missed


def test_lost_events_end_the_count() -> None:
    births = told(*DOCKER)
    births.forget()
    assert (births.count, births.names) == (0, [])
