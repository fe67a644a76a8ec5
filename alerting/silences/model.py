"""What a silence is, and what may become of it. Pure (alertmanager/silence)."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

from alerting.notify.matchers import CLASSIC_NAME, all_match
from collector.metrics.selector import Matcher
from deckwatch.runtime.faults import Reject


class SilenceState(StrEnum):
    """In the order in which they are listed."""

    ACTIVE = "active"
    PENDING = "pending"
    EXPIRED = "expired"


class Silence(msgspec.Struct, frozen=True):
    """`starts_ns` is inclusive, `ends_ns` exclusive."""

    id: str
    matchers: tuple[Matcher, ...]
    starts_ns: int
    ends_ns: int
    updated_ns: int
    created_by: str = ""
    comment: str = ""

    def state(self, now_ns: int) -> SilenceState:
        if now_ns < self.starts_ns:
            return SilenceState.PENDING
        return SilenceState.ACTIVE if now_ns < self.ends_ns else SilenceState.EXPIRED

    def mutes(self, labels: Mapping[str, str]) -> bool:
        return all_match(self.matchers, labels)


def check(silence: Silence, *, utf8_names: bool = False) -> None:
    """Raises Reject in Alertmanager's words."""
    if not silence.matchers:
        raise Reject("silence invalid: at least one matcher required")
    for place, matcher in enumerate(silence.matchers):
        if not matcher.label or not (utf8_names or CLASSIC_NAME.fullmatch(matcher.label)):
            raise Reject(f'silence invalid: invalid label matcher {place}: invalid label name "{matcher.label}"')
    if all(matcher.matches("") for matcher in silence.matchers):
        raise Reject("silence invalid: at least one matcher must not match the empty string")


def may_change_into(old: Silence, new: Silence, now_ns: int) -> bool:
    """May it keep its id? Matchers never change, nor the start of one that is active; nothing is moved into the past,
    and what has expired stays so."""
    if old.matchers != new.matchers:
        return False
    match old.state(now_ns):
        case SilenceState.ACTIVE:
            return old.starts_ns // 10**9 == new.starts_ns // 10**9 and new.ends_ns >= now_ns
        case SilenceState.PENDING:
            return new.starts_ns >= now_ns
        case SilenceState.EXPIRED:
            return False


def expired(silence: Silence, now_ns: int) -> Silence:
    """As it is when it is ended now. One that has ended is left alone."""
    match silence.state(now_ns):
        case SilenceState.ACTIVE:
            return msgspec.structs.replace(silence, ends_ns=now_ns, updated_ns=now_ns)
        case SilenceState.PENDING:
            return msgspec.structs.replace(silence, starts_ns=now_ns, ends_ns=now_ns, updated_ns=now_ns)
        case SilenceState.EXPIRED:
            return silence


def listed(silences: list[Silence], now_ns: int) -> list[Silence]:
    """Active ones by their end, then pending ones by their start, then expired ones, the latest first; those alike
    always in the same order."""
    order = list(SilenceState)

    def place(silence: Silence) -> tuple[int, int, int, str]:
        state = silence.state(now_ns)
        at_ns = {
            SilenceState.ACTIVE: silence.ends_ns,
            SilenceState.PENDING: silence.starts_ns,
            SilenceState.EXPIRED: -silence.ends_ns,
        }[state]
        return order.index(state), at_ns, silence.starts_ns, silence.id

    return sorted(silences, key=place)
