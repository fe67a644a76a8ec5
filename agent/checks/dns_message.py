"""DNS messages as bytes, and back (RFC 1035, 2782, 3596). Pure; only what probes and SRV look-ups need."""

from __future__ import annotations

import ipaddress
import struct
from enum import IntEnum

import msgspec

from deckwatch.runtime.faults import Reject

_HEADER = struct.Struct(">HHHHHH")
_RECORD = struct.Struct(">HHIH")
_IN = 1
_MOST_POINTERS = 64


class RecordType(IntEnum):
    A = 1
    NS = 2
    CNAME = 5
    SOA = 6
    PTR = 12
    MX = 15
    TXT = 16
    AAAA = 28
    SRV = 33
    ANY = 255


RCODES = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}


class Record(msgspec.Struct, frozen=True):
    name: str
    type: int
    ttl_s: int
    text: str
    """As zone files write it: an address, `10 mail.example.`, `0 5 8080 host.example.`"""
    serial: int | None = None  # of SOA


class Message(msgspec.Struct, frozen=True):
    ident: int
    rcode: int
    truncated: bool
    answers: tuple[Record, ...] = ()
    authority: tuple[Record, ...] = ()
    additional: tuple[Record, ...] = ()

    @property
    def status(self) -> str:
        return RCODES.get(self.rcode, str(self.rcode))


def question(ident: int, name: str, kind: RecordType, *, recurse: bool = True) -> bytes:
    """Raises Reject where the name can't be asked for."""
    return _HEADER.pack(ident, 0x0100 if recurse else 0, 1, 0, 0, 0) + _packed(name) + struct.pack(">HH", kind, _IN)


def read_message(data: bytes) -> Message:
    """Raises Reject where it is none."""
    try:
        ident, flags, questions, *counts = _HEADER.unpack_from(data)
        if not flags & 0x8000:
            raise Reject("a question came where an answer was expected")
        at = _HEADER.size
        for _ in range(questions):
            at = _name(data, at)[1] + 4
        sections = []
        for count in counts:
            records, at = _records(data, at, count)
            sections.append(records)
    except (struct.error, IndexError, ValueError) as error:
        raise Reject(f"the answer is no DNS message: {error}") from None
    return Message(ident, flags & 0xF, bool(flags & 0x0200), *sections)


def _packed(name: str) -> bytes:
    if name in ("", "."):
        return b"\0"
    try:
        parts = [
            part.encode("ascii") if part.isascii() else part.encode("idna") for part in name.rstrip(".").split(".")
        ]
    except UnicodeError as error:
        raise Reject(f"{name!r} is no domain name: {error}") from None
    if any(not 0 < len(part) < 64 for part in parts) or sum(len(part) + 1 for part in parts) > 254:
        raise Reject(f"{name!r} is no domain name: its parts have 1 to 63 bytes, all of it at most 253")
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def _name(data: bytes, at: int) -> tuple[str, int]:
    """A name, and where what follows it begins."""
    parts: list[str] = []
    end = -1
    for _ in range(_MOST_POINTERS + 128):
        length = data[at]
        if length >= 0xC0:
            end = at + 2 if end < 0 else end
            at = (length & 0x3F) << 8 | data[at + 1]
        elif length == 0:
            return ".".join(parts) + ".", at + 1 if end < 0 else end
        else:
            part = data[at + 1 : at + 1 + length]
            if len(part) < length:
                raise IndexError("a name is cut")
            parts.append(part.decode("ascii", "backslashreplace"))
            at += 1 + length
    raise ValueError("a name goes round in circles")


def _records(data: bytes, at: int, count: int) -> tuple[tuple[Record, ...], int]:
    records = []
    for _ in range(count):
        name, at = _name(data, at)
        kind, _, ttl_s, length = _RECORD.unpack_from(data, at)
        at += _RECORD.size
        if at + length > len(data):
            raise IndexError("a record is cut")
        text, serial = _content(data, at, length, kind)
        records.append(Record(name, kind, ttl_s, text, serial))
        at += length
    return tuple(records), at


def _content(data: bytes, at: int, length: int, kind: int) -> tuple[str, int | None]:
    match kind:
        case RecordType.A | RecordType.AAAA:
            return str(ipaddress.ip_address(data[at : at + length])), None
        case RecordType.NS | RecordType.CNAME | RecordType.PTR:
            return _name(data, at)[0], None
        case RecordType.MX:
            return f"{int.from_bytes(data[at : at + 2], 'big')} {_name(data, at + 2)[0]}", None
        case RecordType.SRV:
            priority, weight, port = struct.unpack_from(">HHH", data, at)
            return f"{priority} {weight} {port} {_name(data, at + 6)[0]}", None
        case RecordType.SOA:
            server, at = _name(data, at)
            person, at = _name(data, at)
            numbers = struct.unpack_from(">IIIII", data, at)
            return " ".join([server, person, *map(str, numbers)]), numbers[0]
        case RecordType.TXT:
            return _texts(data[at : at + length]), None
        case _:
            return data[at : at + length].hex(), None


def _texts(data: bytes) -> str:
    texts, at = [], 0
    while at < len(data):
        texts.append(data[at + 1 : at + 1 + data[at]].decode("utf-8", "replace"))
        at += 1 + data[at]
    return " ".join(f'"{text}"' for text in texts)
