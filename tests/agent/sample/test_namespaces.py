from __future__ import annotations

from agent.sample.namespaces import NetworkNamespace, network_namespaces
from agent.sample.network import Claim

HOST, POD = "net:[4026531992]", "net:[4026532281]"


def test_who_lives_where_and_whose_counters_tell() -> None:
    claims = [
        ("web", Claim("/docker/web", POD)),
        ("side", Claim("/docker/side", POD, "container:web")),
        ("agent", Claim("/docker/agent", HOST, "host")),
        ("hidden", Claim("/docker/hidden", None)),
        ("ended", None),
    ]
    assert network_namespaces(claims, {"/docker/web"}) == {
        "web": NetworkNamespace("4026532281"),
        "side": NetworkNamespace("4026532281", counted_in="web"),
        "agent": NetworkNamespace("4026531992"),
    }
