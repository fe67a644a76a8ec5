"""Lives of containers as dialogues: events, descriptions, the cgroup's count; and what is counted in the end."""

from __future__ import annotations

import pytest

from agent.model import ContainerState, FoundContainer
from agent.sample.workload.key import WorkloadKey
from agent.sample.workload.lives import DOUBTS, Lives
from agent.sample.workload.totals import ExitReason, Totals, exit_reason
from deckwatch.wire.model import Container, Event, Workload

ID = "a" * 64
WEB = Workload("compose", "shop", "web", "1")
S = 1_000_000_000
RUNNING, EXITED, CREATED = ContainerState.RUNNING, ContainerState.EXITED, ContainerState.CREATED


def pod_container(ident: str) -> Container:
    return Container(ident, workload=Workload("kubernetes", "shop", "web", "web-0", "nginx"))


class Story:
    def __init__(self) -> None:
        self.totals: dict[WorkloadKey, Totals] = {}
        self.lives = Lives({}, [], lambda key: self.totals.setdefault(key, Totals(key=key)))
        self.containers: dict[str, FoundContainer] = {}

    def hear(self, at_s: float, action: str, *, workload: Workload | None = WEB, **attributes: str) -> Story:
        container = Container(ID, name="web", image="web:1", runtime="docker", workload=workload)
        told = tuple(sorted(attributes.items()))
        self.lives.hear(Event(int(at_s * S), "default", "container", action, container, told), 0)
        return self

    def told(
        self,
        state: ContainerState,
        *,
        started_s: float | None = None,
        finished_s: float | None = None,
        code: int | None = None,
        restarts: int = 0,
        oom: bool = False,
        looks: int = 1,
        container: Container | None = None,
    ) -> Story:
        one = FoundContainer(
            container or Container(ID, name="web", image="web:1", runtime="docker", workload=WEB),
            state,
            started_ns=None if started_s is None else int(started_s * S),
            finished_ns=None if finished_s is None else int(finished_s * S),
            exit_code=code,
            restart_count=restarts,
            oom_killed=oom,
        )
        unknown = one.container.id not in self.lives.known
        for _ in range(looks + unknown):
            self.lives.describe({one.container.id: one})
        return self

    def read_oom(self, inode: int, kills: int) -> Story:
        self.lives.read_oom(self.lives.known[ID], inode, kills)
        return self

    @property
    def all(self) -> Totals:
        """Of the one workload that there is."""
        (totals,) = self.totals.values()
        return totals

    @property
    def counts(self) -> tuple[int, int, dict[str, int]]:
        return self.all.starts, self.all.restarts, {reason.value: n for reason, n in self.all.exits.items()}


@pytest.mark.parametrize(
    ("code", "out_of_memory", "want"),
    [
        (0, False, ExitReason.COMPLETED),
        (0, True, ExitReason.COMPLETED),  # a child was killed, the program ended well
        (1, False, ExitReason.ERROR),
        (1, True, ExitReason.ERROR),
        (137, True, ExitReason.OOM_KILLED),
        (137, False, ExitReason.SIGNAL),
        (143, False, ExitReason.SIGNAL),
        (255, False, ExitReason.ERROR),
        (None, True, ExitReason.UNKNOWN),
    ],
)
def test_exit_reason(code: int | None, out_of_memory: bool, want: ExitReason) -> None:
    assert exit_reason(code, out_of_memory=out_of_memory) is want


def test_a_short_life() -> None:
    story = Story().hear(10, "create").hear(10.1, "start").hear(10.6, "die", exitCode="3").hear(10.7, "destroy")
    assert story.counts == (1, 0, {"error": 1})
    assert story.all.run_ns == 500_000_000
    (run,) = story.lives.ended
    assert (run.key, run.unseen_ns) == (WorkloadKey("compose", "shop", "web"), 500_000_000)
    assert story.lives.known[ID].gone


def test_news_of_a_stranger_may_be_on_its_way() -> None:
    """After a start of the agent: the list is there at once, the events of the time before come a little later."""
    story = Story()
    found = FoundContainer(Container(ID, name="web", workload=WEB), RUNNING, started_ns=S)
    story.lives.describe({ID: found})
    assert not story.lives.known
    story.hear(0.9, "create").hear(1.001, "start")
    story.lives.describe({ID: found})
    story.lives.describe({ID: found})
    assert story.counts == (1, 0, {})


def test_what_events_and_descriptions_both_tell_counts_once() -> None:
    story = Story().hear(10, "create").told(CREATED)
    story.hear(11, "start").told(RUNNING, started_s=10.99, looks=3)
    story.hear(20, "die", exitCode="0").told(EXITED, started_s=10.99, finished_s=19.99, code=0, looks=3)
    assert story.counts == (1, 0, {"completed": 1})
    story.hear(30, "start").told(RUNNING, started_s=29.99, looks=3)
    assert story.counts == (2, 1, {"completed": 1})


def test_a_crash_loop_by_the_restart_policy() -> None:
    story = Story().hear(1, "start")
    for n in range(1, 6):
        story.hear(n + 0.5, "die", exitCode="1").told(EXITED, finished_s=n + 0.5, started_s=n, code=1, restarts=n)
        story.hear(n + 1, "start").told(RUNNING, started_s=n + 1, restarts=n)
    assert story.counts == (6, 5, {"error": 5})


def test_restarts_that_nobody_heard_are_in_the_engines_counter() -> None:
    story = Story().hear(1, "start").told(RUNNING, started_s=1, restarts=0)
    story.told(RUNNING, started_s=50, restarts=7, looks=DOUBTS)
    assert story.counts == (8, 7, {"unknown": 1})
    story.hear(60, "die", exitCode="1").hear(61, "start").told(RUNNING, started_s=61, restarts=8, looks=DOUBTS)
    assert story.counts[:2] == (9, 8)


def test_a_start_by_hand_sets_the_engines_counter_back() -> None:
    story = Story().hear(1, "start").told(RUNNING, started_s=1, restarts=3)
    assert story.counts[:2] == (4, 3)
    story.hear(2, "die", exitCode="0").hear(3, "start").told(RUNNING, started_s=3, restarts=0)
    assert story.all.restarts == 3  # one of those three may be this one: it was heard, they were told
    story.hear(4, "die", exitCode="0").hear(5, "start").told(RUNNING, started_s=5, restarts=1)
    assert story.all.restarts == 4


def test_an_end_that_nobody_heard() -> None:
    story = Story().hear(1, "start").told(RUNNING, started_s=1)
    story.told(EXITED, started_s=1, finished_s=9, code=137, oom=True)
    assert story.counts == (1, 0, {})  # news of it may be on its way
    story.told(EXITED, started_s=1, finished_s=9, code=137, oom=True)
    assert story.counts == (1, 0, {"oom_killed": 1})
    assert story.all.run_ns == 8 * S
    assert story.all.oom_kills == 1


def test_an_older_description_is_not_believed() -> None:
    story = Story().hear(1, "start").hear(2, "die", exitCode="0").hear(3, "start")
    story.told(EXITED, started_s=1, finished_s=2, code=0, looks=5)
    assert story.counts == (2, 1, {"completed": 1})
    story.hear(4, "die", exitCode="0").told(RUNNING, started_s=3, looks=5)
    assert story.counts == (2, 1, {"completed": 2})


@pytest.mark.parametrize(
    ("state", "finished_s", "code", "want"),
    [
        (RUNNING, None, None, (3, 2, {})),
        (EXITED, 9.0, 1, (3, 2, {"error": 1})),
        (CREATED, None, None, (0, 0, {})),
    ],
)
def test_found_at_the_start(
    state: ContainerState, finished_s: float | None, code: int | None, want: tuple[int, int, dict[str, int]]
) -> None:
    started_s = None if state is CREATED else 1.0
    story = Story().told(state, started_s=started_s, finished_s=finished_s, code=code, restarts=2, looks=3)
    assert (story.counts if story.totals else (0, 0, {})) == want


def test_the_name_that_the_start_tells_is_the_one_that_counts() -> None:
    """Marathon's stands in the environment, which events don't tell."""
    story = Story().hear(1, "create", workload=None).hear(2, "start").hear(3, "die", exitCode="0", workload=None)
    assert set(story.totals) == {WorkloadKey("compose", "shop", "web")}


def test_kubernetes_restarts_by_another_container_in_the_same_place() -> None:
    story = Story()
    story.told(RUNNING, container=pod_container("1" * 64))
    story.told(RUNNING, container=pod_container("2" * 64), looks=2)
    assert story.counts == (2, 1, {})


def test_oom_kills_of_all_runs_once_each() -> None:
    story = Story().hear(1, "start").read_oom(7, 0)
    story.hear(2, "oom").read_oom(7, 1)
    assert story.all.oom_kills == 1
    story.read_oom(7, 3)  # the engine tells several at once as one
    assert story.all.oom_kills == 3
    story.hear(3, "oom").hear(3.1, "die", exitCode="137").read_oom(7, 3)  # read before its end, told of after it
    assert story.counts == (1, 0, {"oom_killed": 1})
    assert story.all.oom_kills == 3
    story.hear(4, "start").hear(4.1, "oom").hear(4.2, "die", exitCode="137")  # nobody could read that cgroup
    assert story.all.oom_kills == 4
    story.hear(5, "start").read_oom(8, 1)
    assert story.all.oom_kills == 5
    assert story.lives.known[ID].oom_kills == 5
    story.read_oom(9, 1)  # a cgroup that is another's, without a word of the engine
    assert story.all.oom_kills == 6


def test_events_of_strangers() -> None:
    story = Story().hear(1, "destroy")
    assert not story.lives.known
    story.lives.hear(Event(1, "default", "image", "delete", None), 0)
    story.lives.hear(Event(1, "default", "image", "start", Container(ID)), 0)
    assert not story.totals
