from __future__ import annotations

import msgspec
import pytest

from alerting.notify.matchers import parse_matchers
from alerting.silences.model import Silence, SilenceState, check, expired, listed, may_change_into
from deckwatch.runtime.faults import Reject

S = 10**9
NOW = 100


def silence(starts: int, ends: int, matchers: str = 'a="1"', id_: str = "x") -> Silence:
    return Silence(id_, parse_matchers(matchers), starts * S, ends * S, 0)


ACTIVE, PENDING, EXPIRED = silence(50, 200), silence(150, 200), silence(10, 50)


@pytest.mark.parametrize(
    ("at", "want"),
    [(49, SilenceState.PENDING), (50, SilenceState.ACTIVE), (199, SilenceState.ACTIVE), (200, SilenceState.EXPIRED)],
)
def test_state(at: int, want: SilenceState) -> None:
    assert ACTIVE.state(at * S) is want


@pytest.mark.parametrize(
    ("old", "new", "want"),
    [
        (ACTIVE, silence(50, 300), True),
        (ACTIVE, silence(50, 101), True),
        (ACTIVE, silence(50, 99), False),  # an end in the past
        (ACTIVE, silence(51, 300), False),  # another start
        (ACTIVE, silence(50, 300, 'a="2"'), False),
        (PENDING, silence(120, 130), True),
        (PENDING, silence(99, 300), False),
        (EXPIRED, silence(10, 300), False),
    ],
)
def test_may_change_into(old: Silence, new: Silence, want: bool) -> None:
    assert may_change_into(old, new, NOW * S) is want


def test_the_start_of_an_active_one_is_compared_to_the_second() -> None:
    new = msgspec.structs.replace(ACTIVE, starts_ns=ACTIVE.starts_ns + 999_999_999)
    assert may_change_into(ACTIVE, new, NOW * S)


@pytest.mark.parametrize(("old", "want"), [(ACTIVE, (50, 100)), (PENDING, (100, 100)), (EXPIRED, (10, 50))])
def test_expired(old: Silence, want: tuple[int, int]) -> None:
    ended = expired(old, NOW * S)
    assert (ended.starts_ns // S, ended.ends_ns // S) == want
    assert ended.state(NOW * S) is SilenceState.EXPIRED


@pytest.mark.parametrize(
    ("matchers", "problem"),
    [
        ("", "at least one matcher required"),
        ('a=~".*"', "at least one matcher must not match the empty string"),
        ('a!="1", b=""', "at least one matcher must not match the empty string"),
        ('a="1", "b c"="2"', 'invalid label matcher 1: invalid label name "b c"'),
    ],
)
def test_what_is_no_silence(matchers: str, problem: str) -> None:
    with pytest.raises(Reject) as caught:
        check(silence(50, 200, matchers))
    assert str(caught.value) == f"silence invalid: {problem}"


def test_utf8_names_are_a_choice() -> None:
    check(silence(50, 200, '"b c"="2"'), utf8_names=True)


def test_order_of_the_list() -> None:
    def named(id_: str, starts: int, ends: int) -> Silence:
        return silence(starts, ends, id_=id_)

    all_of_them = [
        *(named("e1", 10, 50), named("p2", 180, 200), named("a2", 50, 300), named("e2", 10, 90)),
        *(named("p1", 150, 200), named("a1", 60, 200), named("a3", 50, 300)),
    ]
    assert [one.id for one in listed(all_of_them, NOW * S)] == ["a1", "a2", "a3", "p1", "p2", "e2", "e1"]
