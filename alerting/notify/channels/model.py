"""What crosses the seam between those who decide what is told and the channels that tell it.

A *receiver* (of the configuration file) has *integrations*, numbered as Alertmanager numbers them (`webhook[0]`). An
integration is handed a `Notification` and gives back an `Answer`; how a notification ended is kept as its `Receipt`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from alerting.notify.message import GroupAlert
from deckwatch.wire.model import DEFAULT_TENANT, Labels


class Undelivered(msgspec.Struct, frozen=True):
    """Whom a message did not reach. A notification that carries one was sent to the fallback receiver for it."""

    receiver: str
    integration: str
    targets: tuple[str, ...]  # as they may be shown: hosts, mail addresses
    error: str


class Notification(msgspec.Struct, frozen=True):
    """One group of alerts as one integration is to tell it; a row of the outbox holds it.

    `key` is the receiver's means to recognise a repeat (Idempotency-Key): it stays the same over all tries and
    restarts. `reached`: targets of the integration that took it in an earlier try and are not to get it twice.
    `fell_back`: the fallback receiver was told that it is late.
    """

    receiver: str
    integration: str
    key: str
    reason: str
    group_key: str
    group_labels: Labels
    alerts: tuple[GroupAlert, ...]  # at least one
    created_ns: int
    external_url: str = ""
    tenant: str = DEFAULT_TENANT
    reached: tuple[str, ...] = ()
    undelivered: Undelivered | None = None
    fell_back: bool = False

    @property
    def firing(self) -> tuple[GroupAlert, ...]:
        return tuple(alert for alert in self.alerts if alert.is_firing)

    @property
    def resolved(self) -> tuple[GroupAlert, ...]:
        return tuple(alert for alert in self.alerts if not alert.is_firing)

    @property
    def status(self) -> str:
        """The group fires while one of its alerts does."""
        return "firing" if self.firing else "resolved"


class Outcome(StrEnum):
    DELIVERED = "delivered"
    RETRY = "retry"  # it may pass: no answer, 5xx, a rate limit
    REFUSED = "refused"  # it never will as it is: a bad token, an unknown chat, a body that isn't taken


class Answer(msgspec.Struct, frozen=True):
    """What one target made of one try. Nothing in it is secret: it is logged, stored and shown."""

    outcome: Outcome
    target: str  # `https://hooks.example.org`, `oncall@example.org`
    code: int = 0  # of HTTP or SMTP; 0 where there was no answer
    business_code: str = ""  # `errcode`, `code`, `error` inside the body, as the service wrote it
    error: str = ""
    retry_after_s: float | None = None  # the service's wish, or what its documentation asks for
    latency_s: float = 0.0


class Sent(msgspec.Struct, frozen=True):
    """One try of an integration: an answer of each of its targets (one, but for e-mail)."""

    answers: tuple[Answer, ...]

    @property
    def outcome(self) -> Outcome:
        """RETRY while one target may still be reached; then REFUSED if one never will be."""
        outcomes = {answer.outcome for answer in self.answers}
        for worst in (Outcome.RETRY, Outcome.REFUSED):
            if worst in outcomes:
                return worst
        return Outcome.DELIVERED

    @property
    def reached(self) -> tuple[str, ...]:
        return tuple(answer.target for answer in self.answers if answer.outcome is Outcome.DELIVERED)

    @property
    def retry_after_s(self) -> float | None:
        return max((answer.retry_after_s for answer in self.answers if answer.retry_after_s is not None), default=None)


class Integration(Protocol):
    """One way to one receiver. `send` never raises for what a service or a network does, may be cancelled at any time,
    and is called for up to `at_once` notifications at a time, of different groups. `wait_s`: how long the service's
    rate limit asks to wait before the next message. `close` ends connections and is idempotent."""

    @property
    def name(self) -> str:
        """`webhook[0]`"""
        ...

    @property
    def send_resolved(self) -> bool: ...

    @property
    def at_once(self) -> int: ...

    def wait_s(self, monotonic_s: float) -> float: ...

    async def send(self, notification: Notification) -> Sent: ...

    async def close(self) -> None: ...


class Receipt(msgspec.Struct, frozen=True):
    """How a notification ended at one target."""

    key: str
    receiver: str
    integration: str
    target: str
    group_key: str
    reason: str
    outcome: str  # delivered, refused, given_up
    code: int
    business_code: str
    attempts: int
    latency_s: float  # of the last try
    retry_after_s: float | None  # as the service last wished
    created_ns: int
    ended_ns: int
    error: str = ""
    fallback: str = ""  # the receiver that was told instead
    tenant: str = DEFAULT_TENANT

    @property
    def delivered(self) -> bool:
        return self.outcome == Outcome.DELIVERED


class Queued(msgspec.Struct, frozen=True):
    """A row of the outbox."""

    id: int
    notification: Notification
    attempts: int


class Outbox(Protocol):
    """What delivery asks of the store that holds notifications. Each call is one transaction."""

    def next(self, receiver: str, integration: str, but: Collection[int] = ()) -> Queued | None:
        """The oldest notification of a group; of several groups the one that was tried least lately. `but`: rows that
        are on their way; nothing of their groups is next."""
        ...

    def tried(self, queued: Queued, at_ns: int) -> None:
        """One more attempt is on its way."""
        ...

    def replace(
        self,
        queued: Queued,
        notification: Notification,
        receipts: Sequence[Receipt] = (),
        instead: Sequence[Notification] = (),
    ) -> None:
        """It stays, with what has become of it so far: `receipts` of targets that took it (`reached` has grown), and
        `instead` for the fallback receiver, which joins the outbox."""
        ...

    def finish(self, queued: Queued, receipts: Sequence[Receipt], instead: Sequence[Notification] = ()) -> None:
        """Out of the outbox, into the receipts. DELIVERED: the group counts as told (the notification log). Otherwise
        the group is told again early if it still fires, and `instead` (for the fallback receiver) joins the outbox."""
        ...

    def queue_lengths(self) -> dict[tuple[str, str], int]:
        """(receiver, integration) -> waiting notifications; only those that have some."""
        ...
