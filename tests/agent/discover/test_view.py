"""Several views become one."""

from __future__ import annotations

from agent.discover.docker_catalog import Catalog
from agent.discover.docker_reader import Seen
from agent.discover.view import View, merge
from agent.model import ContainerState, FoundContainer, LogSource
from deckwatch.wire.model import Container


def container(ident: str, name: str = "") -> FoundContainer:
    return FoundContainer(Container(ident, name), ContainerState.RUNNING)


def view(*sources: LogSource, **containers: str) -> View:
    found = {ident: container(ident, name) for ident, name in containers.items()}
    return View(found, {source.name: source for source in sources})


def seen(ident: str, name: str = "web", *, ended: bool = False) -> Seen:
    return Seen(container(ident, name), LogSource(f"{ident}/json.log", f"/c/{ident}", ended=ended))


def test_the_earlier_finder_wins() -> None:
    merged = merge([view(a="by docker"), view(a="by file", b="by file"), View()])
    assert {ident: found.container.name for ident, found in merged.containers.items()} == {
        "a": "by docker",
        "b": "by file",
    }


def test_a_file_is_followed_once() -> None:
    docker = LogSource("id/json.log", "/c/id-json.log")
    twice, pod, own = (
        LogSource("/c/id-json.log", "/c/id-json.log"),
        LogSource("ns/0.log", "/p/0.log"),
        LogSource("x", "/x"),
    )
    merged = merge([view(docker), view(pod), view(twice, own)])
    assert list(merged.sources) == ["id/json.log", "ns/0.log", "x"]
    assert merge([view(docker), view(LogSource("id/json.log", "/elsewhere"))]).sources == {"id/json.log": docker}


def test_the_younger_description_counts() -> None:
    catalog = Catalog()
    older, younger = catalog.ticket(), catalog.ticket()
    assert catalog.apply("a", seen("a", "new"), younger)
    assert not catalog.apply("a", seen("a", "old"), older)
    assert not catalog.apply("a", seen("a", "new"), catalog.ticket())
    assert catalog.view().containers["a"].container.name == "new"


def test_a_removed_containers_log_stays_for_a_while() -> None:
    catalog = Catalog()
    catalog.apply("a", seen("a"), catalog.ticket())
    assert catalog.forget("a")
    assert not catalog.forget("a")
    assert catalog.view().containers == {}
    assert catalog.view().sources["a/json.log"].ended
    assert not catalog.apply("a", seen("a"), catalog.ticket())  # an answer that comes late makes it not live again
    assert catalog.view().sources["a/json.log"].ended
    assert catalog.ids() == {"a"}
    assert catalog.present() == set()
    catalog.drop("a")
    assert catalog.view() == View()


def test_gone_before_it_was_described() -> None:
    catalog = Catalog()
    assert catalog.forget("a")
    assert catalog.view() == View()
    assert catalog.apply("a", seen("a"), catalog.ticket())
    assert catalog.view().sources["a/json.log"].ended
    assert catalog.view().containers == {}
