"""The counters of workloads on disk: `workloads.msgpack` in the agent's state folder.

Written before they are sent, each time: what was sent once is never taken back, whenever the agent is killed.
"""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from agent.sample.workload.ledger import State
from deckwatch.runtime.files import write_atomically

log = logging.getLogger(__name__)

FILE = "workloads.msgpack"
VERSION = 1


class _Version(msgspec.Struct):
    version: int


class _Kept(msgspec.Struct):
    version: int
    state: State


class _Heard(msgspec.Struct):
    heard_ns: int = 0


class _KeptHeard(msgspec.Struct):
    state: _Heard


_encoder = msgspec.msgpack.Encoder()
_version = msgspec.msgpack.Decoder(_Version)
_kept = msgspec.msgpack.Decoder(_Kept)
_heard = msgspec.msgpack.Decoder(_KeptHeard)


def save(folder: Path, state: State) -> None:
    """Raises OSError."""
    write_atomically(folder / FILE, _encoder.encode(_Kept(VERSION, state)))


def load(folder: Path) -> State:
    """An unreadable file is set aside: the counters begin anew, which PromQL sees as a reset."""
    path = folder / FILE
    try:
        data = path.read_bytes()
        version = _version.decode(data).version
        if version == VERSION:
            return _kept.decode(data).state
        reason = f"it is of version {version}, this agent's is {VERSION}"
    except FileNotFoundError:
        return State()
    except (OSError, msgspec.DecodeError) as error:
        reason = str(error)
    aside = path.with_suffix(".unreadable")
    log.warning("%s: %s; set aside as %s, counters of workloads begin at 0", path, reason, aside.name)
    try:
        path.replace(aside)
    except OSError as error:
        log.warning("%s can't be moved: %s; it is overwritten", path, error.strerror)
    return State()


def last_event_ns(folder: Path) -> int:
    """Time of the last event that is counted: from there on the engine is asked for more. 0: none, or not known."""
    try:
        return _heard.decode((folder / FILE).read_bytes()).state.heard_ns
    except (OSError, msgspec.DecodeError):
        return 0  # `load` says why
