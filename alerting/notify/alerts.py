"""An alert as it is known here, whoever raised it, and what becomes of it when it is told of again. Pure
(alertmanager/types, provider/mem)."""

from __future__ import annotations

import msgspec

from alerting.notify.message import GroupAlert
from deckwatch.wire.model import Labels


class AlertRecord(msgspec.Struct, frozen=True):
    """`ends_ns` 0: it fires until told otherwise (our own rules). `timed_out`: nobody said when it ends; it does after
    `resolve_timeout` unless it is told of again."""

    fingerprint: str
    labels: Labels
    annotations: Labels
    starts_ns: int
    ends_ns: int
    updated_ns: int
    generator_url: str = ""
    timed_out: bool = False
    by_rule: bool = False

    def resolved(self, now_ns: int) -> bool:
        return 0 < self.ends_ns <= now_ns

    def told(self, now_ns: int) -> GroupAlert:
        ends_ns = self.ends_ns if self.resolved(now_ns) else 0
        return GroupAlert(self.labels, self.annotations, self.starts_ns, ends_ns, self.generator_url)


def updated(old: AlertRecord | None, new: AlertRecord, now_ns: int) -> AlertRecord:
    """What is known after `new` came. An alert that one of our rules holds firing can't be ended from outside."""
    if old is None:
        return new
    if new.by_rule:
        overlaps = not old.resolved(new.starts_ns)
        return msgspec.structs.replace(new, starts_ns=min(old.starts_ns, new.starts_ns)) if overlaps else new
    if old.by_rule and not old.ends_ns:
        return old
    return _merged(old, new, now_ns) if _overlap(old, new) else new


def _overlap(old: AlertRecord, new: AlertRecord) -> bool:
    return old.starts_ns < new.ends_ns < old.ends_ns or old.starts_ns < new.starts_ns < old.ends_ns


def _merged(old: AlertRecord, new: AlertRecord, now_ns: int) -> AlertRecord:
    """The earliest start wins. Of two ends the later one, where both have passed or the old one was meant."""
    later = old.ends_ns > new.ends_ns
    kept = later and (old.resolved(now_ns) if new.resolved(now_ns) else not old.timed_out)
    return msgspec.structs.replace(
        new,
        starts_ns=min(old.starts_ns, new.starts_ns),
        ends_ns=old.ends_ns if kept else new.ends_ns,
    )
