"""Looks and events, one after the other, and what a workload's counters say in the end."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from agent.model import ContainerState, FoundContainer
from agent.sample.workload import kept
from agent.sample.workload.key import OTHER, WorkloadKey
from agent.sample.workload.ledger import PATIENCE, Ledger, State
from agent.sample.workload.look import DirectoryLook, GroupLook, Look
from agent.sample.workload.settings import WorkloadSettings
from agent.sample.workload.totals import Totals
from deckwatch.wire.model import Container, Event, Workload

S = 1_000_000_000
WEB, JOB = WorkloadKey("compose", "shop", "web"), WorkloadKey("compose", "shop", "job")


def container(ident: str, service: str = "web") -> Container:
    return Container(ident, name=ident, image="shop:1", workload=Workload("compose", "shop", service, "1"))


def group(ident: str, cpu_s: float, *, inode: int = 1, path: str = "", **more: object) -> GroupLook:
    made = GroupLook(path=path or f"/docker/{ident}", id=ident, inode=inode, cpu_ns=int(cpu_s * S))
    return msgspec.structs.replace(made, **more)


class Host:
    """A ledger, and looks every 10 s from 10 s on."""

    def __init__(self, *services: str, **settings: float) -> None:
        self.settings = WorkloadSettings(**settings)  # type: ignore[arg-type]
        self.ledger = Ledger(self.settings, State(), "boot-1")
        self.containers = {
            ident: FoundContainer(container(ident, service), ContainerState.RUNNING, started_ns=S)
            for ident, service in (pair.split(":") for pair in services)
        }
        self.now_s = 0.0
        self.forgotten: list[WorkloadKey] = []
        self._paths: set[str] = set()

    def look(self, *groups: GroupLook, docker_s: float | None = None, after_s: float = 10, events: str = "") -> Host:
        """`events`: `12.5 start abc, 12.9 die abc`, of the service job unless the container is listed."""
        self.now_s += after_s
        directories = {} if docker_s is None else {"/docker": DirectoryLook(1, int(docker_s * S), True)}
        look = Look(int(self.now_s * S), groups, directories, frozenset(), dict(self.containers))
        self.ledger.lives.describe(look.containers)  # they were listed at the look before: see `lives.DOUBTS`
        told = [self._event(*words.split()) for words in events.split(", ") if words]
        self.forgotten += self.ledger.take(look, told)
        return self

    def _event(self, at_s: str, action: str, ident: str) -> Event:
        found = self.containers.get(ident)
        who = found.container if found else container(ident, "job")
        attributes = (("exitCode", "0"),) if action == "die" else ()
        return Event(int(float(at_s) * S), "default", "container", action, who, attributes)

    def restart_agent(self, folder: Path, boot: str = "boot-1") -> Host:
        kept.save(folder, self.ledger.state)
        self.ledger = Ledger(self.settings, kept.load(folder), boot)
        return self

    def totals(self, key: WorkloadKey = WEB) -> Totals:
        return next((one for one in self.ledger.state.totals if one.key == key), Totals(key=key))

    def cpu_s(self, key: WorkloadKey = WEB) -> float:
        return (self.totals(key).cpu_ns or 0) / S


def test_it_goes_on_over_restarts_and_replacements() -> None:
    host = Host("a:web").look(group("a", 5)).look(group("a", 7))
    assert host.cpu_s() == 7
    host.look(group("a", 3, inode=2))  # restarted: another cgroup in the same place
    assert host.cpu_s() == 10
    host.look(group("a", 9, inode=3))  # again, and used more than before: the inode tells
    assert host.cpu_s() == 19
    host.containers = Host("b:web").containers
    host.look(group("b", 4, inode=4))
    assert host.cpu_s() == 23


def test_replicas_count_together_and_others_apart() -> None:
    host = Host("a:web", "b:web", "c:job").look(group("a", 1), group("b", 2, inode=2), group("c", 4, inode=3))
    assert (host.cpu_s(WEB), host.cpu_s(JOB)) == (3, 4)


def test_a_counter_that_goes_back_is_no_new_life() -> None:
    """A device that goes takes its bytes along."""
    host = Host("a:web").look(group("a", 1, read_bytes=500)).look(group("a", 1, read_bytes=100))
    host.look(group("a", 1, read_bytes=150))
    assert host.totals().read_bytes == 550


def test_what_the_kernel_does_not_tell_is_unknown() -> None:
    host = Host("a:web").look(group("a", 1, cpu_ns=None))
    assert (host.totals().cpu_ns, host.totals().written_bytes) == (None, None)


def test_a_cgroup_that_changed_while_it_was_read_waits_for_the_next_look() -> None:
    host = Host("a:web").look(group("a", 5)).look(group("a", 1, inode=0))
    assert host.cpu_s() == 5
    assert host.look(group("a", 2, inode=2)).cpu_s() == 7


def test_a_cgroup_without_a_name_is_waited_for() -> None:
    host = Host()
    for cpu_s in range(1, PATIENCE + 1):
        host.look(group("a", cpu_s), docker_s=cpu_s)
    assert host.ledger.state.totals == []
    host.containers = Host("a:web").containers
    assert host.look(group("a", 9), docker_s=9).cpu_s() == 9


def test_but_not_for_ever() -> None:
    host = Host()
    for cpu_s in range(1, PATIENCE + 2):
        host.look(group("a", cpu_s))
    assert host.cpu_s(WorkloadKey("cgroup", "", "/docker")) == PATIENCE + 1


def test_a_life_between_two_looks() -> None:
    host = Host("a:web").look(group("a", 1), docker_s=100)
    host.look(group("a", 2), docker_s=102.5, events="12 start x, 13 die x, 13.1 destroy x")
    assert (host.cpu_s(WEB), host.cpu_s(JOB)) == (2, 1.5)
    assert (host.totals(JOB).starts, host.totals(JOB).exits, host.totals(JOB).run_ns) == (1, {"completed": 1}, S)
    assert host.look(group("a", 2), docker_s=102.5).cpu_s(JOB) == 1.5
    assert "x" not in host.ledger.lives.known


def test_the_last_seconds_of_a_known_life() -> None:
    host = Host("a:web", "b:job").look(group("a", 1), group("b", 5, inode=2), docker_s=100)
    del host.containers["b"]
    host.look(group("a", 1), docker_s=103, events="15 die b, 15.1 destroy b")
    assert host.cpu_s(JOB) == 8


def test_an_end_that_only_the_cgroup_tells() -> None:
    host = Host("a:web", "b:job").look(group("a", 1), group("b", 5, inode=2), docker_s=100)
    assert host.look(group("a", 1), docker_s=103).cpu_s(JOB) == 8


def test_a_cgroup_that_lingers_gets_its_rest_with_the_next_look() -> None:
    host = Host("a:web", "b:job").look(group("a", 1), group("b", 5, inode=2), docker_s=100)
    host.look(group("a", 1), group("b", 6, inode=2), docker_s=101, events="19.9 die b")
    assert host.cpu_s(JOB) == 6
    assert host.look(group("a", 1), docker_s=101.5).cpu_s(JOB) == 6.5


def test_what_still_lingers_takes_nothing_from_who_is_gone() -> None:
    host = Host("a:web", "b:web").look(group("a", 1), group("b", 5, inode=2), docker_s=100)
    events = "15 start x, 17 die x, 17.1 destroy x, 19.9 die b"
    host.look(group("a", 1), group("b", 6, inode=2), docker_s=103, events=events)
    assert (host.cpu_s(WEB), host.cpu_s(JOB)) == (7, 2)


def test_an_end_that_engine_and_cgroup_tell_counts_once() -> None:
    host = Host("a:web", "b:web").look(group("a", 1), group("b", 5, inode=2), docker_s=100)
    host.look(group("a", 1), docker_s=104, events="10 start x, 15 die b, 15 die x")
    assert (host.cpu_s(WEB), host.cpu_s(JOB)) == (1 + 5 + 2, 2)  # both ran for 5 s since


def test_one_that_went_before_it_had_a_name() -> None:
    host = Host("a:web").look(group("a", 1), group("b", 5, inode=2), docker_s=100)
    host.look(group("a", 1), docker_s=100)
    assert host.cpu_s(WorkloadKey("cgroup", "", "/docker")) == 5


def test_news_of_an_end_behind_the_look_waits_for_the_next_one() -> None:
    host = Host("a:web").look(group("a", 1), docker_s=100)
    host.look(group("a", 1), docker_s=101, events="19 start x, 20.01 die x, 20.02 destroy x")
    assert host.cpu_s(JOB) == 0
    assert host.look(group("a", 1), docker_s=101.5).cpu_s(JOB) == 1.5


def test_a_crash_loop_that_no_look_saw() -> None:
    host = Host("a:web", "x:job").look(group("a", 1), docker_s=100)
    host.look(
        group("a", 1), group("x", 0.5, inode=9), docker_s=104,
        events="12 start x, 13 die x, 14 start x, 15 die x, 16 start x",
    )  # fmt: skip
    assert (host.cpu_s(JOB), host.cpu_s(WEB)) == (4, 1)  # half a second of it is that of the run that goes on


def test_nobody_known_for_it_counts_under_the_group() -> None:
    host = Host("a:web").look(group("a", 1), docker_s=100)
    host.look(group("a", 1), docker_s=103).look(group("a", 1), docker_s=103)
    assert host.cpu_s(WorkloadKey("cgroup", "", "/docker")) == 3


def test_home_is_where_named_containers_are() -> None:
    host = Host("a:web").look(group("a", 1), group("x", 1, inode=2, path="/other/x"), docker_s=100)
    assert [(path, node.home) for path, node in host.ledger.state.nodes.items()] == [("/docker", True)]


def test_shared_networks_count_once_whoever_speaks() -> None:
    host = Host("a:web", "b:web")
    net = "net:[7]"
    guest = group("b", 0, inode=2, network=net)
    host.look(group("a", 0, network=net, received_bytes=100, sent_bytes=10), guest)
    host.look(group("a", 0, network=net, received_bytes=150, sent_bytes=20), guest)
    # the other has gone: b speaks now
    host.look(group("b", 0, inode=2, network=net, received_bytes=170, sent_bytes=25))
    assert (host.totals().received_bytes, host.totals().sent_bytes) == (170, 25)
    # others join, the founders leave: still the same
    third = group("d", 0, inode=4, network=net)
    host.look(group("b", 0, inode=2, network=net, received_bytes=170, sent_bytes=25), third)
    host.look(group("d", 0, inode=4, network=net, received_bytes=170, sent_bytes=25))
    # the same number, and nobody of those who lived there: another namespace
    host.look(group("c", 0, inode=3, network=net, received_bytes=200, sent_bytes=30))
    host.containers = Host("c:job").containers
    host.look(group("c", 0, inode=3, network=net, received_bytes=210, sent_bytes=30))
    assert host.totals().received_bytes == 170
    assert sum(one.received_bytes or 0 for one in host.ledger.state.totals) == 380


def test_kill_and_restart_take_nothing_back_and_count_nothing_twice(tmp_path: Path) -> None:
    host = Host("a:web", "b:job").look(group("a", 5), group("b", 2, inode=2), docker_s=100)
    host.look(group("a", 6), group("b", 3, inode=2), docker_s=102).restart_agent(tmp_path)
    assert (host.cpu_s(WEB), host.cpu_s(JOB)) == (6, 3)
    before = host.totals(WEB)
    del host.containers["b"]  # it ended meanwhile, and ran for 4 more seconds of CPU time
    host.look(group("a", 8), docker_s=108)
    assert (host.cpu_s(WEB), host.cpu_s(JOB)) == (8, 7)
    assert (before.starts, host.totals(WEB).starts) == (1, 1)


def test_another_boot_begins_with_new_cgroups(tmp_path: Path) -> None:
    host = Host("a:web").look(group("a", 5), docker_s=5).restart_agent(tmp_path, boot="boot-2")
    assert host.look(group("a", 7), docker_s=7).cpu_s() == 12  # the same inode by chance


def test_idle_workloads_are_forgotten_in_the_end() -> None:
    host = Host("a:web", forget_after_s=100).look(group("a", 5))
    host.containers = {}
    for _ in range(PATIENCE + 1):
        host.look(after_s=1)
    host.look(after_s=95)
    assert host.forgotten == []
    host.look(after_s=95)
    assert host.forgotten == [WEB]
    assert host.ledger.state.totals == []


def test_more_workloads_than_are_counted() -> None:
    host = Host("a:web", most=2).look(group("a", 1))
    host.look(group("a", 1), events="12 start x, 13 die x, 13.1 destroy x")
    host.containers |= Host("b:cache").containers
    host.look(group("a", 1), group("b", 2, inode=2)).look(group("a", 1), group("b", 2, inode=2))
    assert [one.key.name for one in host.ledger.state.totals] == ["web", "cache"]  # job was idle
    host.containers |= Host("c:third").containers
    host.look(group("a", 1), group("b", 2, inode=2), group("c", 4, inode=3))
    assert host.cpu_s(OTHER) == 4


def test_the_last_event_that_is_counted_is_known_after_a_restart(tmp_path: Path) -> None:
    assert kept.last_event_ns(tmp_path) == 0
    host = Host("a:web").look(events="12.5 start x, 12 start y").restart_agent(tmp_path)
    assert kept.last_event_ns(tmp_path) == 12_500_000_000
    assert host.ledger.state.heard_ns == 12_500_000_000
    assert host.restart_agent(tmp_path, boot="boot-2").ledger.state.heard_ns == 12_500_000_000
    (tmp_path / kept.FILE).write_bytes(b"nonsense")
    assert kept.last_event_ns(tmp_path) == 0


def test_who_ended_before_a_restart_still_gets_its_rest(tmp_path: Path) -> None:
    host = Host("a:web").look(group("a", 1), docker_s=100)
    host.look(group("a", 1), docker_s=101, events="19 start x, 20.01 die x").restart_agent(tmp_path)
    assert host.look(group("a", 1), docker_s=101.5).cpu_s(JOB) == 1.5


@pytest.mark.parametrize("broken", [b"", b"nonsense", msgspec.msgpack.encode({"version": 99})])
def test_an_unreadable_file_is_set_aside(tmp_path: Path, broken: bytes, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / kept.FILE).write_bytes(broken)
    assert kept.load(tmp_path) == State()
    assert (tmp_path / "workloads.unreadable").read_bytes() == broken
    assert "begin at 0" in caplog.text
    assert kept.load(tmp_path) == State()
