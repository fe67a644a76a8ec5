"""When certificates expire, and a TLS context that lets its handshake be seen.

Certificates are read as bytes (X.509, RFC 5280 4.1): Python tells the dates of a certificate only where it was
verified.
"""

from __future__ import annotations

import calendar
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache

from deckwatch.runtime.http_client import new_tls_context
from deckwatch.runtime.http_settings import TlsConfig

_SEQUENCE, _VERSION, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18


class Handshakes:
    """Sees the TLS handshakes that are begun within `watched`: the last connection, and the seconds of all of them."""

    def __init__(self) -> None:
        self.last: ssl.SSLObject | None = None
        self.seconds = 0.0

    def expiries(self) -> list[float]:
        """Of the certificates that the server sent last, in Unix seconds; before Python 3.13 its own alone."""
        if self.last is None:
            return []
        chain = getattr(self.last, "get_unverified_chain", None)
        leaf = self.last.getpeercert(binary_form=True)
        certificates = chain() if chain is not None else [leaf] if leaf else []
        return [expiry_s(certificate) for certificate in certificates]


_watching: ContextVar[Handshakes | None] = ContextVar("_watching", default=None)
"""asyncio starts a connection in a copy of its task's context, so each probe finds its own here."""


class _SeenObject(ssl.SSLObject):
    _begun_s: float | None = None
    _watcher: Handshakes | None = None

    def do_handshake(self) -> None:
        if self._begun_s is None:
            self._begun_s, self._watcher = time.monotonic(), _watching.get()
        super().do_handshake()  # raises SSLWantReadError until it is over
        if self._watcher is not None:
            self._watcher.seconds += time.monotonic() - self._begun_s
            self._watcher.last = self


@cache
def seen_context(tls: TlsConfig) -> ssl.SSLContext:
    """Shared by the probes that have the same settings. Raises Unusable: half a pair, a missing or broken file."""
    context = new_tls_context(tls)
    context.sslobject_class = _SeenObject
    return context


@contextmanager
def watched() -> Iterator[Handshakes]:
    """Connections that are made within it over a `seen_context` are seen."""
    handshakes = Handshakes()
    before = _watching.set(handshakes)
    try:
        yield handshakes
    finally:
        _watching.reset(before)


def expiry_s(der: bytes) -> float:
    """notAfter in Unix seconds. Raises ValueError where it is no certificate."""
    try:
        at = _enter(der, _enter(der, 0, _SEQUENCE), _SEQUENCE)
        if der[at] == _VERSION:
            at = _skip(der, at)
        for _ in range(3):  # serial number, signature, issuer
            at = _skip(der, at)
        at = _skip(der, _enter(der, at, _SEQUENCE))  # notBefore
        kind, begin, end = _head(der, at)
        return _time_s(kind, der[begin:end].decode("ascii"))
    except (IndexError, UnicodeDecodeError) as error:
        raise ValueError(f"no certificate: {error}") from None


def _head(der: bytes, at: int) -> tuple[int, int, int]:
    """Tag, and where the content begins and ends."""
    tag, length, begin = der[at], der[at + 1], at + 2
    if length & 0x80:
        size = length & 0x7F
        length, begin = int.from_bytes(der[begin : begin + size], "big"), begin + size
    return tag, begin, begin + length


def _enter(der: bytes, at: int, tag: int) -> int:
    found, begin, _ = _head(der, at)
    if found != tag:
        raise ValueError(f"no certificate: tag {found:#x} at byte {at}, expected {tag:#x}")
    return begin


def _skip(der: bytes, at: int) -> int:
    return _head(der, at)[2]


def _time_s(kind: int, text: str) -> float:
    if kind == _UTC_TIME:  # YYMMDDHHMMSSZ, 1950 to 2049
        text = ("19" if text[:2] >= "50" else "20") + text
    elif kind != _GENERALIZED_TIME:
        raise ValueError(f"no certificate: tag {kind:#x} where a time was expected")
    return float(calendar.timegm(time.strptime(text, "%Y%m%d%H%M%SZ")))
