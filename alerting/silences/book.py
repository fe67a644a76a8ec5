"""The silences of one tenant: in memory as they are on disk."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

import msgspec

from alerting.silences.model import Silence, SilenceState, check, expired, listed, may_change_into
from alerting.silences.store import SilenceStore
from deckwatch.runtime.faults import Reject

KEPT_NS = 120 * 3600 * 10**9
"""An expired silence is kept and shown for so long (Alertmanager's --data.retention)."""


class UnknownSilence(Reject):
    def __init__(self) -> None:
        super().__init__("silence not found")


class SilenceBook:
    def __init__(self, tenant: str, store: SilenceStore) -> None:
        self._tenant = tenant
        self._store = store
        self._silences = {silence.id: silence for silence in store.all(tenant)}

    def get(self, id_: str) -> Silence | None:
        return self._silences.get(id_)

    def all(self, now_ns: int) -> list[Silence]:
        """As the API lists them."""
        return listed(list(self._silences.values()), now_ns)

    def muting(self, labels: Mapping[str, str], now_ns: int) -> list[str]:
        """Ids of those because of which an alert with these labels isn't told of."""
        return sorted(
            silence.id
            for silence in self._silences.values()
            if silence.state(now_ns) is SilenceState.ACTIVE and silence.mutes(labels)
        )

    def set(self, wanted: Silence, now_ns: int, *, utf8_names: bool = False) -> str:
        """The id under which it is in force. Without an id it is a new one; one that can't be changed so is expired and
        replaced. Raises UnknownSilence, Reject."""
        check(wanted, utf8_names=utf8_names)
        old = self._silences.get(wanted.id)
        if wanted.id and old is None:
            raise UnknownSilence
        wanted = msgspec.structs.replace(wanted, updated_ns=now_ns)
        if old is not None and may_change_into(old, wanted, now_ns):
            self._save(wanted)
            return wanted.id
        new = msgspec.structs.replace(wanted, id=str(uuid.uuid4()), starts_ns=max(wanted.starts_ns, now_ns))
        self._save(*(() if old is None else (expired(old, now_ns),)), new)
        return new.id

    def expire(self, id_: str, now_ns: int) -> None:
        """Raises UnknownSilence."""
        silence = self._silences.get(id_)
        if silence is None:
            raise UnknownSilence
        ended = expired(silence, now_ns)
        if ended is not silence:
            self._save(ended)

    def forget(self, now_ns: int) -> None:
        for silence in list(self._silences.values()):
            if silence.ends_ns + KEPT_NS <= now_ns:
                self._store.drop(self._tenant, silence.id)
                del self._silences[silence.id]

    def _save(self, *silences: Silence) -> None:
        self._store.save(self._tenant, *silences)
        self._silences |= {silence.id: silence for silence in silences}
