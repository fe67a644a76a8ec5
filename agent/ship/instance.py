"""Who this agent is: a digest of the machine id, and a random id that lives in the state directory.

Cloned machines share the one or the other, never both for long: where the machine id has changed under a state
directory, it is a clone's, and gets a new instance. Losing the state directory makes a new instance too: the files that
are still there are then sent again, as streams of the new instance.
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
    random: str

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


def load_instance(state_dir: Path, machine: str | None = None) -> Instance:
    """Made at the first start. Raises Unusable where the file can't be read: a new id would send everything again."""
    machine = machine_digest() if machine is None else machine
    path = state_dir / INSTANCE_FILE
    try:
        known = msgspec.json.decode(path.read_bytes(), type=Instance)
    except FileNotFoundError:
        return _make(path, machine)
    except (OSError, msgspec.DecodeError) as error:
        raise Unusable(
            f"{path}: can't be read: {error}; restore it, or move it away: the agent then begins as a new one and "
            "sends all files again"
        ) from None
    if machine and known.machine and machine != known.machine:
        log.warning("%s: made on another machine; this one gets an instance id of its own", path)
        return _make(path, machine)
    return known


def _make(path: Path, machine: str) -> Instance:
    made = Instance(machine, secrets.token_hex(8))
    write_atomically(path, msgspec.json.encode(made))
    return made
