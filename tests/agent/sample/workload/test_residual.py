"""Each test is a dialogue: what the groups' counters say, who ended, who gets the rest."""

from __future__ import annotations

from agent.sample.workload.key import WorkloadKey
from agent.sample.workload.look import DirectoryLook, Look
from agent.sample.workload.residual import EndedRun, Node, Share, settle, split

WEB, JOB = WorkloadKey("compose", "shop", "web"), WorkloadKey("compose", "shop", "job")


def ended(key: WorkloadKey, unseen_ns: int = 1, path: str = "") -> EndedRun:
    return EndedRun("id", key, path, 0, unseen_ns)


class Host:
    """Groups that are looked at again and again."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self._looks = 0
        self._before: set[str] = set()

    def look(
        self,
        usage: dict[str, int],
        grown: dict[str, int] | None = None,
        *runs: EndedRun,
        neighbours: tuple[str, ...] = (),
        inode: int = 1,
    ) -> list[tuple[WorkloadKey | None, int]]:
        directories = {path: DirectoryLook(inode, ns, path not in neighbours) for path, ns in usage.items()}
        fresh = frozenset(usage.keys() - self._before) if self._looks else frozenset()
        look = Look(0, (), directories, fresh, {})
        shares = settle(self.nodes, look, grown or {}, runs, cpus=2, first=not self._looks)
        self._looks += 1
        self._before = set(usage)
        return [(share.key, share.cpu_ns) for share in shares]


def test_what_was_before_the_first_look_is_nobodys() -> None:
    host = Host()
    assert host.look({"/docker": 500}, {"/docker/a": 100}, ended(WEB)) == []
    assert host.look({"/docker": 500}, {"/docker/a": 0}, ended(WEB)) == []


def test_the_rest_goes_to_who_ended() -> None:
    host = Host()
    host.look({"/docker": 500}, {"/docker/a": 100})
    assert host.look({"/docker": 900}, {"/docker/a": 150}, ended(JOB)) == [(JOB, 250)]
    assert host.look({"/docker": 900}, {"/docker/a": 0}, ended(JOB)) == []


def test_by_the_time_that_each_ran_unseen() -> None:
    host = Host()
    host.look({"/docker": 0})
    assert host.look({"/docker": 100}, {}, ended(JOB, 3), ended(WEB, 1)) == [(JOB, 75), (WEB, 25)]


def test_only_below_the_group_that_it_was_in() -> None:
    host = Host()
    host.look({"/docker": 0, "/lxc": 0})
    shares = host.look({"/docker": 100, "/lxc": 10}, {}, ended(JOB, path="/docker/x"), ended(WEB, path="/lxc/x"))
    assert sorted(shares, key=str) == [(JOB, 100), (WEB, 10)]


def test_who_was_never_seen_was_where_its_like_are() -> None:
    """Another engine's containers are in a group of their own."""
    host = Host()
    host.look({"/docker": 0, "/other": 0})
    host.nodes["/docker"].home = True
    assert host.look({"/docker": 100, "/other": 70}, {}, ended(JOB)) == [(JOB, 100)]
    assert host.look({"/docker": 100, "/other": 70}) == [(None, 70)]


def test_reading_takes_time_and_no_error_adds_up() -> None:
    """The group was read before its children: they are ahead of it."""
    host = Host()
    host.look({"/docker": 500}, {"/docker/a": 500})
    assert host.look({"/docker": 600}, {"/docker/a": 130}, ended(JOB)) == []
    assert host.look({"/docker": 700}, {"/docker/a": 70}, ended(JOB)) == []
    assert host.look({"/docker": 850}, {"/docker/a": 100}, ended(JOB)) == [(JOB, 50)]


def test_a_rest_of_nobody_waits_for_news_and_then_counts_under_its_group() -> None:
    host = Host()
    host.look({"/docker": 0})
    assert host.look({"/docker": 100}) == []
    assert host.look({"/docker": 100}, {}, ended(JOB)) == [(JOB, 100)]
    assert host.look({"/docker": 150}) == []
    assert host.look({"/docker": 160}) == [(None, 60)]
    assert host.look({"/docker": 160}) == []


def test_services_beside_containers() -> None:
    """system.slice: what a service uses is the service's; what it used before it went is nobody's."""
    host = Host()
    nginx = "/system.slice/nginx.service"
    host.look({"/system.slice": 1000, nginx: 300}, {"/system.slice/docker-a.scope": 50}, neighbours=(nginx,))
    grown = {"/system.slice/docker-a.scope": 10}
    assert host.look({"/system.slice": 1160, nginx: 400}, grown, ended(JOB), neighbours=(nginx,)) == [(JOB, 50)]
    assert host.look({"/system.slice": 1260}, {"/system.slice/docker-a.scope": 0}) == []
    assert host.look({"/system.slice": 1260}, {"/system.slice/docker-a.scope": 0}) == []
    assert host.look({"/system.slice": 1290}, {"/system.slice/docker-a.scope": 0}, ended(JOB)) == [(JOB, 30)]


def test_pods_come_and_go() -> None:
    host = Host()
    host.look({"/kubepods": 1000, "/kubepods/pod1": 400}, {"/kubepods/pod1/a": 400})
    # a container ends in a pod that stays, and a pod comes whose first container has ended already
    shares = host.look(
        {"/kubepods": 1250, "/kubepods/pod1": 500, "/kubepods/pod2": 150},
        {"/kubepods/pod2/c": 90},
        ended(WEB, path="/kubepods/pod1/a"),
        ended(JOB, path="/kubepods/pod2/b"),
    )
    assert sorted(shares, key=str) == [(JOB, 60), (WEB, 100)]
    # the second pod goes with what its last container did
    assert host.look({"/kubepods": 1330, "/kubepods/pod1": 500}, {}, ended(JOB, path="/kubepods/pod2/c")) == [(JOB, 80)]


def test_a_group_that_was_made_anew_begins_at_zero() -> None:
    host = Host()
    host.look({"/docker": 500})
    assert host.look({"/docker": 40}, {"/docker/a": 10}, ended(JOB), inode=2) == [(JOB, 30)]


def test_a_service_that_is_found_to_hold_a_container() -> None:
    host = Host()
    group = "/system.slice/podman.service"
    host.look({"/system.slice": 1000, group: 300}, neighbours=(group,))
    shares = host.look({"/system.slice": 1100, group: 400}, {group + "/libpod-a": 70}, ended(JOB, path=group + "/b"))
    assert shares == [(JOB, 30)]


def test_nobody_gets_more_than_it_can_have_used() -> None:
    """Two CPUs; a job of a minute ended beside the 3 s of a service that nobody could read."""
    second = 1_000_000_000
    host = Host()
    host.look({"/system.slice": 0, "/docker": 0})
    rest = {"/system.slice": 500 * second, "/docker": 500 * second}
    shares = host.look(rest, {}, ended(JOB, 60 * second))
    assert sorted(shares, key=str) == [(JOB, 2 * 61 * second), (JOB, 2 * 61 * second)]
    assert host.look(rest) == [(None, (500 - 122) * second)]  # of /docker, where there are only containers


def test_split_to_the_nanosecond() -> None:
    shares = split("/docker", 100, [ended(JOB), ended(JOB), ended(WEB)])
    assert shares == [Share(JOB, "/docker", 33), Share(JOB, "/docker", 33), Share(WEB, "/docker", 34)]
    assert [share.cpu_ns for share in split("/docker", 7, [ended(JOB, 0), ended(WEB, 0)])] == [3, 4]
