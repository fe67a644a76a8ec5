"""CPU time of containers that ended between two looks. Pure.

A cgroup's counter dies with it, but not with its parent's: what ran below a group stays in the group's own counter. So
for each group that holds containers we keep how much of its CPU time is *accounted*: what its children's counters grew
by. What the group has beyond that was used by children that nobody could read any more: containers that lived between
two looks, and the last seconds of those that were known. That rest is exact; among several containers that ended in the
same interval it is split by the time that they ran unseen.

The groups are read before their children, so a child's progress in between makes the rest smaller, never greater, and
the next look makes up for it: errors don't add up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from agent.sample.workload.key import WorkloadKey
from agent.sample.workload.look import DirectoryLook, Look

SLACK_NS = 1_000_000_000
"""Beside the time that a run is known to have taken: the runtime's work before its start is told, and ours."""


class Node(msgspec.Struct, array_like=True):
    """A group as it was at the last look."""

    inode: int
    accounted_ns: int
    holds: bool  # as in DirectoryLook
    home: bool = False  # containers that the engine tells of were seen in it
    waiting: bool = False  # a rest that nobody is known for waits one look for the engine's events


class EndedRun(msgspec.Struct, frozen=True):
    """A run of a container that ended since the last look."""

    id: str
    key: WorkloadKey
    path: str  # of its cgroup; empty: it was never seen, so it was where its like are
    ended_ns: int
    unseen_ns: int  # how long it ran since it was last read


class Share(msgspec.Struct, frozen=True):
    key: WorkloadKey | None  # None: of `path`, and nobody knows whose
    path: str
    cpu_ns: int


def settle(
    nodes: dict[str, Node],
    look: Look,
    grown_ns: Mapping[str, int],
    ended: Sequence[EndedRun],
    *,
    cpus: int,
    first: bool,
) -> list[Share]:
    """Brings `nodes` up to this look and says to whom the rest belongs.

    `grown_ns`: by the path of a container's cgroup, what was just counted of it. `first`: nothing is known of what was
    before (a start without a state), so no rest either.
    """
    for path in [path for path in nodes if path not in look.directories]:
        del nodes[path]
    at_home = any(node.home for node in nodes.values())
    grown = dict(grown_ns)
    children = _children(look.directories, grown_ns)
    shares: list[Share] = []
    for path in sorted(look.directories, key=lambda path: path.count("/"), reverse=True):
        directory = look.directories[path]
        below_ns = sum(grown[child] for child in children.get(path, ()))
        node, born = _node(nodes, path, directory, known=not first and path in look.fresh)
        if not directory.holds:
            grown[path] = max(0, directory.cpu_ns - node.accounted_ns)
            node.accounted_ns = max(node.accounted_ns, directory.cpu_ns)
            continue
        if not born:
            node.accounted_ns += below_ns
        rest_ns = max(0, directory.cpu_ns - node.accounted_ns)
        may_be_here = node.home or not at_home
        runs = [run for run in ended if (run.path.startswith(path + "/") if run.path else may_be_here)]
        able_ns = min(rest_ns, cpus * sum(run.unseen_ns + SLACK_NS for run in runs))
        if able_ns:
            shares += split(path, able_ns, runs)
        others_ns = rest_ns - able_ns
        if _is_pure(path, children, look.directories):
            others_ns = _nobodys(path, node, others_ns, shares)
        node.accounted_ns += able_ns + others_ns
        grown[path] = below_ns + able_ns + others_ns
    return shares


def _node(nodes: dict[str, Node], path: str, directory: DirectoryLook, *, known: bool) -> tuple[Node, bool]:
    """(the node, does it begin with this look). What came since the last look has all its CPU time before it; of what
    was there before we looked at it, only what comes is our business."""
    node = nodes.get(path)
    if node is not None and node.inode == directory.inode:
        node.holds = directory.holds
        return node, False
    came_since = node is not None or known
    nodes[path] = node = Node(directory.inode, 0 if came_since else directory.cpu_ns, directory.holds)
    return node, not came_since


def _nobodys(path: str, node: Node, rest_ns: int, shares: list[Share]) -> int:
    """What containers used of which nobody told, under their group's name; how much of it is settled by that. The
    engine's news may be on its way: it is waited for one look."""
    if not rest_ns or not node.waiting:
        node.waiting = rest_ns > 0
        return 0
    node.waiting = False
    shares.append(Share(None, path, rest_ns))
    return rest_ns


def split(path: str, rest_ns: int, runs: Sequence[EndedRun]) -> list[Share]:
    """By the time that each ran unseen; to the nanosecond."""
    weights = [max(1, run.unseen_ns) for run in runs]
    total, before, given_ns = sum(weights), 0, 0
    shares = []
    for run, weight in zip(runs, weights, strict=True):
        before += weight
        upto_ns = rest_ns * before // total
        shares.append(Share(run.key, path, upto_ns - given_ns))
        given_ns = upto_ns
    return shares


def _children(directories: Mapping[str, DirectoryLook], groups: Mapping[str, int]) -> dict[str, list[str]]:
    children: dict[str, list[str]] = {}
    for path in (*directories, *groups):
        children.setdefault(path.rpartition("/")[0], []).append(path)
    return children


def _is_pure(path: str, children: Mapping[str, list[str]], directories: Mapping[str, DirectoryLook]) -> bool:
    """Nothing but containers lives there. In system.slice services come and go too."""
    return not path.endswith(".slice") and all(
        child not in directories or directories[child].holds for child in children.get(path, ())
    )
