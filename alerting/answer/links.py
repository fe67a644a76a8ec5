"""Links that carry their own permission: whoever holds one may open one page, for one thing, for a time.

A token is base64url(payload, MAC); the MAC is HMAC-SHA-256 of the payload, cut to 128 bits (RFC 2104, 5). What it
permits can't be altered without the key, and nothing needs to be remembered to read it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from enum import StrEnum
from pathlib import Path

import msgspec

from deckwatch.runtime.faults import Reject, Unusable
from deckwatch.runtime.files import write_atomically

_CONTEXT = b"deckwatch link 1\0"
"""What else the key may sign can't be taken for a link."""
_MAC_BYTES = 16
_LEAST_KEY_BYTES = 32
_LONGEST_TOKEN = 2000


class Permits(StrEnum):
    ANSWER = "answer"  # acknowledge, snooze, comment
    ACKNOWLEDGE = "acknowledge"
    SNOOZE = "snooze"
    COMMENT = "comment"
    CALENDAR = "calendar"  # of a schedule


class Link(msgspec.Struct, frozen=True, array_like=True):
    permits: Permits
    tenant: str
    subject: str  # id of an incident, name of a schedule
    expires_s: int  # Unix time; 0: never


class BadLink(Reject):
    """Altered, cut off, or signed with a key that is no longer in use."""


class ExpiredLink(Reject):
    """It was good once."""


_link = msgspec.msgpack.Decoder(Link)


class Signer:
    """The first key signs; the others are those of before, whose links are still good."""

    def __init__(self, keys: tuple[bytes, ...]) -> None:
        self._keys = keys

    def sign(self, link: Link) -> str:
        payload = msgspec.msgpack.encode(link)
        return _text(payload + _mac(self._keys[0], payload))

    def read(self, token: str, now_ns: int) -> Link:
        """Raises BadLink, ExpiredLink."""
        bad = BadLink("this link is not valid: it was altered, cut off, or its key is no longer in use")
        try:
            raw = base64.b64decode(token[:_LONGEST_TOKEN] + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raise bad from None
        if _text(raw) != token:  # its last character has bits to spare
            raise bad
        payload, mac = raw[:-_MAC_BYTES], raw[-_MAC_BYTES:]
        if not any(hmac.compare_digest(_mac(key, payload), mac) for key in self._keys):  # each, in constant time
            raise bad
        link = _link.decode(payload)
        if link.expires_s and now_ns >= link.expires_s * 1_000_000_000:
            raise ExpiredLink(
                "this link has expired: the incident can be answered with `deckwatch ack`, or by a newer one"
            )
        return link


def load_signer(key_file: str, folder: Path) -> Signer:
    """Keys are lines of the file, the newest first. Without a file one is made in the folder. Raises Unusable."""
    path = Path(key_file) if key_file else folder / "link.key"
    try:
        if not key_file and not path.exists():
            write_atomically(path, secrets.token_hex(_LEAST_KEY_BYTES).encode() + b"\n")
        lines = path.read_bytes().split()
    except OSError as error:
        raise Unusable(f"{path}: the key that signs links can't be used: {error.strerror}") from None
    if not lines or min(map(len, lines)) < _LEAST_KEY_BYTES:
        raise Unusable(
            f"{path}: a key that signs links has at least {_LEAST_KEY_BYTES} characters; "
            "make one with `openssl rand -hex 32`"
        )
    return Signer(tuple(lines))


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _mac(key: bytes, payload: bytes) -> bytes:
    return hmac.digest(key, _CONTEXT + payload, hashlib.sha256)[:_MAC_BYTES]
