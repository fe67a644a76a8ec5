from __future__ import annotations

import msgspec
import pytest

from agent.ship.answer import Smaller, Taken, Wait, judge
from deckwatch.wire.model import VERSION, Refusal


def ours(error: str, retry_after_s: float | None = None) -> bytes:
    return msgspec.json.encode(Refusal(VERSION, error, "because", retry_after_s))


FOREIGN = "something between us and it answered"


@pytest.mark.parametrize(
    ("status", "headers", "body", "verdict"),
    [
        (200, {}, b"", Taken()),
        (429, {}, ours("busy", 3.0), Wait("busy: because", 3.0, ours=True)),
        (503, {"Retry-After": "7"}, ours("full"), Wait("full: because", 7.0, ours=True)),
        (401, {}, ours("unauthorized"), Wait("unauthorized: because", None, ours=True)),
        (413, {}, ours("too_large"), Smaller("too_large: because")),
        (400, {}, ours("malformed"), Smaller("malformed: because")),
        (413, {}, b"<html>", Wait(f"HTTP 413, not from a Deckwatch collector: {FOREIGN}", None)),
        (400, {}, b'{"error":"malformed"}', Wait(f"HTTP 400, not from a Deckwatch collector: {FOREIGN}", None)),
        (502, {"Retry-After": "2"}, b"", Wait(f"HTTP 502, not from a Deckwatch collector: {FOREIGN}", 2.0)),
        (503, {"Retry-After": "Wed, 21 Oct"}, b"\xff", Wait(f"HTTP 503, not from a Deckwatch collector: {FOREIGN}")),
        (307, {}, b"", Wait(f"HTTP 307, not from a Deckwatch collector: {FOREIGN}")),
        (429, {}, ours("busy", 1e9), Wait("busy: because", 3600.0, ours=True)),
    ],
)
def test_judge(status: int, headers: dict[str, str], body: bytes, verdict: object) -> None:
    assert judge(status, headers, body) == verdict
