"""What an answer means. Pure: the code and the body in, a verdict out. Here is what services share; their own rules
stand beside each channel."""

from __future__ import annotations

import json
from collections.abc import Mapping

import msgspec

from alerting.notify.channels.http_client import Reply
from alerting.notify.channels.lengths import cut
from alerting.notify.channels.markup import one_line
from alerting.notify.channels.model import Outcome

AGAIN = frozenset({408, 425, 429})
"""Codes below 500 that may pass (RFC 9110 15.5.9, RFC 8470 5.2, RFC 6585 4)."""
_SHOWN = 200


class Verdict(msgspec.Struct, frozen=True):
    outcome: Outcome
    business_code: str = ""
    error: str = ""
    retry_after_s: float | None = None
    try_plain: bool = False  # the service can't parse the markup: send the request's plain form instead


DELIVERED = Verdict(Outcome.DELIVERED)


def by_code(reply: Reply) -> Verdict:
    """2xx is success; 408, 425, 429 and 5xx may pass; redirects and the rest are refusals."""
    if 200 <= reply.code < 300:
        return DELIVERED
    if reply.code in AGAIN or reply.code >= 500:
        return Verdict(Outcome.RETRY, error=f"answered {reply.code}{_words(reply)}", retry_after_s=reply.retry_after_s)
    return Verdict(Outcome.REFUSED, error=f"refused the message with {reply.code}{_words(reply)}")


def business(
    reply: Reply, code_field: str, message_field: str, again: Mapping[str, float | None], *, ok: str = "0"
) -> Verdict:
    """Of services that answer 200 and say in the body how it went. `again`: codes that may pass, with the seconds that
    the documentation asks to wait. A 200 without the code is no success: some proxy spoke."""
    if not 200 <= reply.code < 300:
        return by_code(reply)
    body = json_object(reply)
    if code_field not in body:
        return Verdict(Outcome.RETRY, error=f"answered {reply.code} without {code_field}{_words(reply)}")
    code, message = str(body[code_field]), one_line(str(body.get(message_field, "")))
    if code == ok:
        return Verdict(Outcome.DELIVERED, business_code=code)
    error = f"{code_field} {code}: {cut(message, _SHOWN)}"
    if code in again:
        return Verdict(Outcome.RETRY, code, error, again[code] if reply.retry_after_s is None else reply.retry_after_s)
    return Verdict(Outcome.REFUSED, code, error)


def json_object(reply: Reply) -> dict[str, object]:
    """Empty where the body is none."""
    try:
        found = json.loads(reply.body)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def said(reply: Reply) -> str:
    return cut(one_line(reply.text), _SHOWN)


def _words(reply: Reply) -> str:
    return f": {said(reply)}" if said(reply) else ""
