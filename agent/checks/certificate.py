"""When certificates expire, and a TLS context that lets its handshake be seen. Pure but for the clock.

Certificates are read as bytes (X.509, RFC 5280 4.1): Python tells the dates of a certificate only where it was
verified.
"""

from __future__ import annotations

import calendar
import ssl
import time
from collections.abc import Callable

_SEQUENCE, _VERSION, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18


class Handshakes:
    """Sees the TLS handshakes made with its context: the last connection, and the seconds that all of them took."""

    def __init__(self, context: ssl.SSLContext, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.last: ssl.SSLObject | None = None
        self.seconds = 0.0
        seen = self

        class Seen(ssl.SSLObject):
            _begun_s: float | None = None

            def do_handshake(self) -> None:
                if self._begun_s is None:
                    self._begun_s = monotonic()
                super().do_handshake()  # raises SSLWantRead until it is over
                seen.seconds += monotonic() - self._begun_s
                seen.last = self

        context.sslobject_class = Seen

    def expiries(self) -> list[float]:
        """Of the certificates that the server sent last, in Unix seconds; before Python 3.13 its own alone."""
        if self.last is None:
            return []
        chain = getattr(self.last, "get_unverified_chain", None)
        leaf = self.last.getpeercert(binary_form=True)
        certificates = chain() if chain is not None else [leaf] if leaf else []
        return [expiry_s(certificate) for certificate in certificates]


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
