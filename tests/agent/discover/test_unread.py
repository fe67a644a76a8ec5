from __future__ import annotations

import logging

import pytest
from prometheus_client import CollectorRegistry

from agent.discover.docker_reader import Seen
from agent.discover.metrics import DiscoverMetrics
from agent.discover.unread import UnreadLogs
from agent.model import ContainerState, FoundContainer
from deckwatch.wire.model import Container


def seen(name: str, driver: str = "") -> Seen:
    return Seen(FoundContainer(Container(name * 64, name), ContainerState.RUNNING), None, driver)


def test_each_is_named_once_and_counted(caplog: pytest.LogCaptureFixture) -> None:
    registry = CollectorRegistry()
    unread = UnreadLogs(DiscoverMetrics(registry))

    def counted(driver: str) -> float | None:
        return registry.get_sample_value("deckwatch_discover_unread_containers", {"driver": driver})

    with caplog.at_level(logging.WARNING):
        unread.look([seen("a", "local"), seen("b")], told=True)
        assert caplog.messages == []  # the findings of the start named it
        for _ in range(2):
            unread.look([seen("a", "local"), seen("b"), seen("c", "local"), seen("d", "none")])
    assert sorted(caplog.messages) == [
        "container c: its logs are not read: the log driver local keeps logs in a binary form; start it with "
        "--log-driver json-file",
        "container d: its logs are not read: the log driver none keeps no logs; start it with --log-driver json-file "
        "if they are wanted",
    ]
    assert (counted("local"), counted("none")) == (2, 1)
    unread.look([seen("d", "none")])
    assert (counted("local"), counted("none")) == (None, 1)
