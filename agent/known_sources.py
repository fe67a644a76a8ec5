"""Sources of application metrics that were there before this agent started, so that those that are no longer configured
end.

Only the agent that measures a series ends it: without this, the series of a job that was taken out of the settings
would count as unknown for a day, and no alert over them could resolve.
"""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec

from deckwatch.runtime.files import write_atomically
from deckwatch.wire.model import Labels, Samples

log = logging.getLogger(__name__)

FILE = "application-sources.json"


class Known(msgspec.Struct, frozen=True, array_like=True):
    tenant: str
    labels: Labels  # of its target: these sources have one


class KnownSources:
    def __init__(self, folder: Path) -> None:
        """A file that can't be read is as good as none: what it knew counts as unknown until it is forgotten."""
        self._path = folder / FILE
        self._known: dict[str, Known] = {}
        self._before = self._load()
        self._dirty = False

    def note(self, frame: Samples) -> None:
        """Of each frame that is handed on."""
        self._dirty |= self._before.pop(frame.source, None) is not None
        if not frame.targets:
            self._dirty |= self._known.pop(frame.source, None) is not None
            return
        known = Known(frame.tenant, frame.targets[0].labels)
        if self._known.get(frame.source) != known:
            self._known[frame.source] = known
            self._dirty = True

    def left_behind(self, now_ns: int) -> list[Samples]:
        """Frames that end what nobody has measured since the start."""
        return [
            Samples(source, now_ns, known.tenant, (), (), (known.labels,)) for source, known in self._before.items()
        ]

    def save(self) -> None:
        """Where anything has changed. Raises OSError."""
        if self._dirty:
            write_atomically(self._path, msgspec.json.encode({**self._before, **self._known}))
            self._dirty = False

    def _load(self) -> dict[str, Known]:
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=dict[str, Known])
        except FileNotFoundError:
            return {}
        except (OSError, msgspec.DecodeError) as error:
            log.warning("%s can't be read (%s); series of what is no longer configured end late", self._path, error)
            return {}
