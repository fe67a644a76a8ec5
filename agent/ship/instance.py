"""Who this agent is: a digest of the machine id, and a second part that lives in the state directory.

The second part is made of machine id and host name, so that whoever loses the state directory gets the same instance
again: the collector knows then how far each file was sent. So does a second agent that reads the same files by mistake:
their bytes are recognised and taken once. Cloned machines differ by the one or the other; where the machine id has
changed under a state directory, it is a clone's, and gets an instance of its own. A machine without an id gets a random
one: what it sent before is sent again, as streams of another instance, where its state directory is lost.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from pathlib import Path

import msgspec

from deckwatch.runtime.faults import Unusable
from deckwatch.runtime.files import write_atomically

log = logging.getLogger(__name__)

INSTANCE_FILE = "instance.json"
MACHINE_ID_FILES = (Path("/etc/machine-id"), Path("/var/lib/dbus/machine-id"))


class Instance(msgspec.Struct, frozen=True):
    machine: str  # digest; machine-id(5) asks not to publish the id itself. Empty: the machine has none
    random: str  # digest of machine id and host name; really random where there is no machine id

    @property
    def id(self) -> str:
        return f"{self.machine or 'none'}-{self.random}"


def machine_digest(files: tuple[Path, ...] = MACHINE_ID_FILES) -> str:
    for path in files:
        try:
            text = path.read_text().strip()
        except OSError:
            continue
        if text and text != "uninitialized":
            return hashlib.blake2b(text.encode(), digest_size=8, person=b"deckwatch").hexdigest()
    return ""


def load_instance(state_dir: Path, machine: str | None = None, *, host: str = "") -> Instance:
    """Made at the first start; later another name of the host changes nothing. Raises Unusable where the file can't be
    read: a new id might send everything again."""
    machine = machine_digest() if machine is None else machine
    path = state_dir / INSTANCE_FILE
    try:
        known = msgspec.json.decode(path.read_bytes(), type=Instance)
    except FileNotFoundError:
        return _make(path, machine, host)
    except (OSError, msgspec.DecodeError) as error:
        raise Unusable(
            f"{path}: can't be read: {error}; restore it, or move it away: the agent then asks the collector "
            "for all positions"
        ) from None
    if machine and known.machine and machine != known.machine:
        log.warning("%s: made on another machine; this one gets an instance id of its own", path)
        return _make(path, machine, host)
    return known


def _make(path: Path, machine: str, host: str) -> Instance:
    made = Instance(machine, _digest_of(machine, host) if machine else secrets.token_hex(8))
    write_atomically(path, msgspec.json.encode(made))
    return made


def _digest_of(machine: str, host: str) -> str:
    return hashlib.blake2b(f"{machine}\0{host}".encode(), digest_size=8, person=b"deckwatch-host").hexdigest()
