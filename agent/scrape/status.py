"""What the agent's /status tells of a scraped target."""

from __future__ import annotations

import msgspec

from deckwatch.wire.model import Labels


class TargetStatus(msgspec.Struct, frozen=True):
    job: str  # that found it; its series' label may be another
    url: str
    labels: Labels
    up: bool | None = None  # None: not scraped yet
    trouble: str = ""  # why it is down
    scraped_ns: int = 0
    duration_s: float = 0.0
    samples: int = 0  # after metric relabelling
