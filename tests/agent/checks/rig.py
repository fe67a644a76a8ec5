"""Runs one check, and shows its series as text."""

from __future__ import annotations

import struct
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry

from agent.checks.app import Checks
from agent.checks.settings import CheckSettings
from deckwatch.runtime.clock import SystemClock
from deckwatch.wire.model import Samples


class Rig:
    def __init__(self, **settings: Any) -> None:
        """Settings as a file has them: lists of groups."""
        filled = msgspec.convert(settings, CheckSettings, dec_hook=lambda kind, value: kind(value))
        self.frames: list[Samples] = []
        self.registry = CollectorRegistry()
        self.checks = Checks(filled, self.frames.append, SystemClock(), self.registry)

    async def look(self) -> dict[str, float]:
        """Of the first check, once."""
        await self.checks.look(self.checks._checks[0])
        return series(self.frames[-1])

    def runs(self, kind: str, outcome: str) -> float:
        labels = {"kind": kind, "outcome": outcome}
        return self.registry.get_sample_value("deckwatch_agent_check_runs_total", labels) or 0


def series(frame: Samples) -> dict[str, float]:
    found = {}
    for target in frame.targets:
        columns = frame.schemas[target.schema]
        for column, value in zip(columns, struct.unpack(f"<{len(columns)}d", target.values), strict=True):
            found[column.name + "".join(f" {name}={text}" for name, text in column.labels)] = value
    return found
