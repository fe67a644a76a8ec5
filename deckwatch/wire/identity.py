"""Names of agents, streams and generations, and the running checksum."""

from __future__ import annotations

import hashlib

import google_crc32c

from deckwatch.wire.model import StreamId

FINGERPRINT_BYTES = 1024
"""At most this much of a file's beginning makes its generation."""


_MOST_TENANT_BYTES = 200


def tenant_fault(name: str) -> str:
    """Why a text can't name a tenant; empty: it can."""
    too_long = len(name.encode(errors="surrogatepass")) > _MOST_TENANT_BYTES
    if not too_long and name not in ("", ".", "..") and not {"/", "\0"} & set(name):
        return ""
    return f"{name[:40]!r} can't be a tenant: it becomes the name of a folder"


def crc32c(data: bytes, crc: int = 0) -> int:
    """CRC-32C (Castagnoli, RFC 3720) of what `crc` covered and `data` behind it."""
    return int(google_crc32c.extend(crc, data))


def stream_key(stream: StreamId) -> str:
    """32 hex digits (BLAKE2b-128 over the three parts, NUL between them). The key in stores, acks and queries."""
    text = "\0".join((stream.agent, stream.source, stream.generation))
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def fingerprint(first_bytes: bytes) -> str:
    """`<length>-<16 hex digits>` of a file's first bytes (at most FINGERPRINT_BYTES are taken)."""
    head = first_bytes[:FINGERPRINT_BYTES]
    return f"{len(head)}-{hashlib.blake2b(head, digest_size=8).hexdigest()}"


def is_of_generation(generation: str, first_bytes: bytes) -> bool:
    """Do a file's first bytes still match a frozen generation? False too where the file is now shorter, and for the
    generation of no bytes: it stands for files that nobody could open."""
    length = int(generation.split("-", 1)[0])
    if not 0 < length <= len(first_bytes):
        return False
    return fingerprint(first_bytes[:length]) == generation.split(".", 1)[0]


def next_generation(generation: str, first_bytes: bytes) -> str:
    """The name of what stands in the same place with the same first bytes, but is another file's text."""
    base, _, count = generation.partition(".")
    fresh = fingerprint(first_bytes)
    return f"{base}.{int(count or 0) + 1}" if fresh == base else fresh
