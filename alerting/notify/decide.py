"""Whether a group of alerts is to be told to a receiver now, and why. Pure (alertmanager/notify, DedupStage)."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class NotifyReason(StrEnum):
    NEW_GROUP = "new group"
    NEW_IN_GROUP = "new in group"
    SOME_RESOLVED = "some resolved"
    ALL_RESOLVED = "all resolved"
    REPEAT = "repeat"


class Told(msgspec.Struct, frozen=True):
    """What a receiver was last told of a group: fingerprints."""

    firing: frozenset[str]
    resolved: frozenset[str]
    at_ns: int


def reason_to_notify(
    told: Told | None,
    firing: frozenset[str],
    resolved: frozenset[str],
    now_ns: int,
    *,
    repeat_interval_ns: int,
    send_resolved: bool,
) -> NotifyReason | None:
    if told is None or not told.firing:
        # Nothing fires as far as the receiver knows: what was resolved meanwhile is none of its business.
        return NotifyReason.NEW_GROUP if firing else None
    if not firing <= told.firing:
        return NotifyReason.NEW_IN_GROUP
    if not firing:
        return NotifyReason.ALL_RESOLVED
    if send_resolved and not resolved <= told.resolved:
        return NotifyReason.SOME_RESOLVED
    if now_ns - told.at_ns >= repeat_interval_ns:
        return NotifyReason.REPEAT
    return None
