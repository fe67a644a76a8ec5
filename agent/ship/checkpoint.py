"""What outlives the agent: each stream's name, place and acked position, the ledger, the collector's epoch.

Written beside its place, made durable, renamed over it. It is saved before the first bytes of a stream are sent (the
frozen name must be known again whatever happens then), and otherwise now and then: the collector knows the positions
better anyway.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec

from agent.tail.state import StreamState
from deckwatch.runtime.faults import Unusable
from deckwatch.runtime.files import write_atomically

log = logging.getLogger(__name__)

CHECKPOINT_FILE = "checkpoint.json"
VERSION = 1
_AT_ONCE = 256
"""Streams encoded at a time: with thousands of files all of the text would be megabytes, every second."""


class _Head(msgspec.Struct, frozen=True):
    version: int


class Checkpoint(msgspec.Struct, frozen=True):
    version: int
    agent: str
    epoch: str  # of the collector that the positions are from
    saved_ns: int
    streams: tuple[StreamState, ...] = ()  # the last field: see _encoded


class Loaded(msgspec.Struct, frozen=True):
    """`lost`: there was one, or there should be; positions come from the collector then."""

    checkpoint: Checkpoint | None
    lost: bool = False


def load_checkpoint(state_dir: Path, agent: str, *, seen_before: bool) -> Loaded:
    """Raises Unusable for one of a newer version. A damaged one is set aside."""
    path = state_dir / CHECKPOINT_FILE
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        if seen_before:
            log.error("%s: missing, though this agent ran before; the collector is asked for all positions", path)
        return Loaded(None, lost=seen_before)
    except OSError as error:
        raise Unusable(f"{path}: can't be read: {error.strerror}; give the agent's user access to it") from None
    try:
        version = msgspec.json.decode(data, type=_Head).version
        if version > VERSION:
            raise Unusable(
                f"{path}: version {version}, written by a newer agent; this one reads up to {VERSION}: install that one"
            )
        found = msgspec.json.decode(data, type=Checkpoint)
    except msgspec.DecodeError as error:
        return _set_aside(path, f"damaged ({error})")
    if found.agent != agent:
        return _set_aside(path, f"of another agent, {found.agent}")
    return Loaded(found)


def _set_aside(path: Path, why: str) -> Loaded:
    aside = path.with_name(f"{path.name}.{time.time_ns()}.bad")
    path.rename(aside)
    log.error("%s: %s; set aside as %s, the collector is asked for all positions", path, why, aside.name)
    return Loaded(None, lost=True)


def save_checkpoint(state_dir: Path, checkpoint: Checkpoint) -> None:
    """Durable when it returns. Raises OSError."""
    write_atomically(state_dir / CHECKPOINT_FILE, _encoded(checkpoint))


def _encoded(checkpoint: Checkpoint) -> Iterator[bytes]:
    """As msgspec.json.encode(checkpoint), in pieces."""
    whole, streams = msgspec.json.encode(msgspec.structs.replace(checkpoint, streams=())), checkpoint.streams
    yield whole.removesuffix(b"]}")
    for at in range(0, len(streams), _AT_ONCE):
        yield b"," if at else b""
        yield msgspec.json.encode(streams[at : at + _AT_ONCE])[1:-1]
    yield b"]}"
