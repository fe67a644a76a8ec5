"""Where to cut a block of bytes, and what it is: pure decisions about framing."""

from __future__ import annotations

import re
import struct

import msgspec

from deckwatch.wire.identity import FINGERPRINT_BYTES, fingerprint
from deckwatch.wire.model import Format

_LENGTH = struct.Struct("<I")
_DOCKER = re.compile(rb'\s*\{\s*"(log|stream|time|attrs)"\s*:')
# 2016-10-06T00:17:09.669794202Z stdout F text: Kubernetes, design-proposals/node/kubelet-cri-logging.md
_CRI = re.compile(rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d[^ ]* (stdout|stderr) [FP]( |:|\n)")


class Cut(msgspec.Struct, frozen=True):
    """`length` leading bytes go; 0: wait for more. `eof`: they are a last line without its newline."""

    length: int
    eof: bool = False
    need_bytes: int = 0  # a longer block is needed to hold even one frame


WAIT = Cut(0)


def cut_lines(block: bytes, *, full: bool, final: bool) -> Cut:
    """Behind the last newline. `full`: the block is as long as a block may be; `final`: nothing will follow it."""
    newline = block.rfind(b"\n")
    if newline >= 0:
        return Cut(newline + 1)
    if full:
        return Cut(len(block))
    return Cut(len(block), eof=True) if final and block else WAIT


def cut_frames(block: bytes) -> Cut:
    """Behind the last whole frame of a spool. A torn frame at the end of a crash is never sent."""
    at = 0
    while at + _LENGTH.size <= len(block):
        end = at + _LENGTH.size + int(_LENGTH.unpack_from(block, at)[0])
        if end > len(block):
            return Cut(at) if at else Cut(0, need_bytes=end)
        at = end
    return Cut(at)


def sniff(first_bytes: bytes) -> Format:
    """The format that the first line tells."""
    if _DOCKER.match(first_bytes):
        return Format.DOCKER_JSON
    return Format.CRI if _CRI.match(first_bytes) else Format.PLAIN


def naming_bytes(first_bytes: bytes, form: Format) -> bytes:
    """What of a file's first bytes names its stream: its first line, for that is the same whenever somebody looks. Two
    agents that follow one file by mistake give it one name, though one of them saw more of it. A spool is its agent's
    alone, and has no lines."""
    newline = first_bytes.find(b"\n", 0, FINGERPRINT_BYTES)
    if form is Format.FRAMES or newline < 0:
        return first_bytes[:FINGERPRINT_BYTES]
    return first_bytes[: newline + 1]


def possible_generations(first_bytes: bytes) -> tuple[str, ...]:
    """Every name that a stream of this file can have been given: it was taken at its first line's end (by older agents
    at that of another one), or at the limit.

    Needed where the checkpoint is lost, so that the collector can be asked which of them it knows.
    """
    head = first_bytes[:FINGERPRINT_BYTES]
    lengths = {i + 1 for i, byte in enumerate(head) if byte == 0x0A} | {len(head)}
    return tuple(fingerprint(head[:length]) for length in sorted(lengths, reverse=True) if length)
