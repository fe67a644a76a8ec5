"""Who follows what alerts do and what becomes of their messages: incidents. Each call is part of the transaction in
which it happens."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from alerting.notify.message import GroupAlert


class Follower(Protocol):
    def observe(self, tenant: str, alerts: Iterable[GroupAlert], now_ns: int) -> object:
        """Alerts fire, or have ended. Told twice counts once."""
        ...

    def not_told(self, tenant: str, alerts: Iterable[GroupAlert], receiver: str, why: str, now_ns: int) -> None:
        """A receiver is not told of alerts that fire."""
        ...

    def held(self, tenant: str, alerts: Iterable[GroupAlert], now_ns: int) -> str:
        """Why a group of these is not to be repeated now; "" where it is."""
        ...


class Nobody:
    """Follows nothing."""

    def observe(self, tenant: str, alerts: Iterable[GroupAlert], now_ns: int) -> None:
        pass

    def not_told(self, tenant: str, alerts: Iterable[GroupAlert], receiver: str, why: str, now_ns: int) -> None:
        pass

    def held(self, tenant: str, alerts: Iterable[GroupAlert], now_ns: int) -> str:
        return ""
