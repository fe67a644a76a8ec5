"""Webhooks of the settings, without a configuration file: each is told of every alert, by `alertname`, at once."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec.structs import replace

from alerting.notify.routes import Route, child_id, child_key

NOBODY = "nobody"
"""The receiver where none is configured."""
_ROOT = "{}"


def webhook_route(receivers: Sequence[str], repeat_interval_ns: int) -> Route:
    root = Route(
        _ROOT,
        _ROOT,
        receivers[0],
        group_by=("alertname",),
        group_wait_ns=0,
        repeat_interval_ns=repeat_interval_ns,
        at_once=True,
    )
    if len(receivers) == 1:
        return root
    children = tuple(
        replace(root, id=child_id(_ROOT, (), place), key=child_key(_ROOT, ()), receiver=name, goes_on=True)
        for place, name in enumerate(receivers)
    )
    return replace(root, routes=children)
