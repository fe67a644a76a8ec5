from __future__ import annotations

import pytest

from agent.sample.network import Claim, InterfaceCounters, container_counters, owners, parse_net_dev

TITLES = b"Inter-|   Receive    |  Transmit\n face |bytes packets errs drop ... |bytes packets ...\n"
NET_DEV = TITLES + (
    b"    lo: 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9 9\n"
    b"  eth0:1900087024   79152    1    2    3  4  5  6  6567950   53276    7    8    9    10  11  12\n"
    b"veth12: 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1\n"
)


def test_counters() -> None:
    assert container_counters(NET_DEV) == (InterfaceCounters("eth0", 1900087024, 79152, 1, 2, 6567950, 53276, 7, 8),)
    assert list(parse_net_dev(NET_DEV)) == ["lo", "eth0", "veth12"]


HOST = "net:[1]"


@pytest.mark.parametrize(
    ("claims", "before", "want"),
    [
        # each its own
        ([Claim("/a", "net:[2]", "bridge"), Claim("/b", "net:[3]", "bridge")], (), {"/a", "/b"}),
        # the host's own, whether the link or the engine says so
        ([Claim("/a", HOST, ""), Claim("/b", None, "host")], (), set()),
        # network_mode container:<id>: the other one speaks, however they sort
        ([Claim("/a", "net:[2]", "container:bb"), Claim("/b", "net:[2]", "bridge")], (), {"/b"}),
        # its owner is gone: somebody still speaks
        ([Claim("/a", "net:[2]", "container:bb")], (), {"/a"}),
        # a pod: its sandbox speaks, where it is known for one
        ([Claim("/a", "net:[2]"), Claim("/b", "net:[2]", sandbox=True)], ("/a",), {"/b"}),
        # a pod without a known sandbox: one of them, and the same one when a neighbour comes
        ([Claim("/a", "net:[2]"), Claim("/b", "net:[2]")], (), {"/a"}),
        ([Claim("/a", "net:[2]"), Claim("/b", "net:[2]")], ("/b",), {"/b"}),
        # links that can't be read: the engine's word, or nothing
        ([Claim("/a", None, "bridge"), Claim("/b", None, ""), Claim("/c", None, "container:x")], (), {"/a"}),
    ],
)
def test_owners(claims: list[Claim], before: tuple[str, ...], want: set[str]) -> None:
    assert owners(claims, HOST, before) == want
