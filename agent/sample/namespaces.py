"""In which network namespace each container lives, and under whose name its traffic is counted. Pure."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

import msgspec

from agent.sample.network import Claim

_LINK = re.compile(r"net:\[(\d+)\]")


class NetworkNamespace(msgspec.Struct, frozen=True):
    inode: str  # its number, as `lsns` and `ip netns` show it
    counted_in: str = ""  # id of the container whose series have its counters; empty: this one's, or nobody's (host)


def network_namespaces(
    claims: Iterable[tuple[str, Claim | None]], speaking: Collection[str]
) -> dict[str, NetworkNamespace]:
    """`claims` with the container's id; the answer is by id. `speaking`: cgroup paths of those that speak for a
    namespace (`network.owners`)."""
    known = [(ident, claim.path, match[1]) for ident, claim in claims if claim and (match := _match(claim))]
    speakers = {inode: ident for ident, path, inode in known if path in speaking}
    return {
        ident: NetworkNamespace(inode, speaker if (speaker := speakers.get(inode, "")) != ident else "")
        for ident, _, inode in known
    }


def _match(claim: Claim) -> re.Match[str] | None:
    return _LINK.fullmatch(claim.namespace) if claim.namespace else None
