"""What is kept of how a notification ended, and what the fallback receiver is told of it. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import msgspec

from alerting.notify.channels.model import Answer, Notification, Outcome, Queued, Receipt, Sent, Undelivered

GIVEN_UP = "given_up"
"""It could not be delivered for too long."""


def receipts_of(
    queued: Queued, answers: Iterable[Answer], now_ns: int, *, given_up: bool = False, fallback: str = ""
) -> tuple[Receipt, ...]:
    """`queued.attempts` are those before the one that was answered."""
    notification = queued.notification
    return tuple(
        Receipt(
            key=notification.key,
            receiver=notification.receiver,
            integration=notification.integration,
            target=answer.target,
            group_key=notification.group_key,
            reason=notification.reason,
            outcome=GIVEN_UP if given_up and answer.outcome is Outcome.RETRY else answer.outcome.value,
            code=answer.code,
            business_code=answer.business_code,
            attempts=queued.attempts + 1,
            latency_s=answer.latency_s,
            retry_after_s=answer.retry_after_s,
            created_ns=notification.created_ns,
            ended_ns=now_ns,
            error=answer.error,
            fallback="" if answer.outcome is Outcome.DELIVERED else fallback,
            tenant=notification.tenant,
        )
        for answer in answers
    )


def after(notification: Notification, sent: Sent) -> Notification:
    """What is left to do: targets that took it, or never will, are not asked again."""
    done = [answer.target for answer in sent.answers if answer.outcome is not Outcome.RETRY]
    if not done:
        return notification
    return msgspec.structs.replace(notification, reached=(*notification.reached, *done))


def for_fallback(
    notification: Notification, sent: Sent, receiver: str, integrations: Sequence[str], now_ns: int
) -> tuple[Notification, ...]:
    """The same alerts for each integration of the fallback receiver, with whom they did not reach. None where this was
    such a message itself, or was meant for that receiver: a failure is not passed round in circles."""
    missed = [answer for answer in sent.answers if answer.outcome is not Outcome.DELIVERED]
    if notification.undelivered is not None or notification.receiver == receiver or not missed:
        return ()
    undelivered = Undelivered(
        notification.receiver,
        notification.integration,
        tuple(answer.target for answer in missed),
        "; ".join(dict.fromkeys(answer.error for answer in missed if answer.error)),
    )
    return tuple(
        msgspec.structs.replace(
            notification,
            receiver=receiver,
            integration=name,
            key=hashlib.blake2b(f"{notification.key} {receiver} {name}".encode(), digest_size=16).hexdigest(),
            created_ns=now_ns,
            reached=(),
            undelivered=undelivered,
        )
        for name in integrations
    )
