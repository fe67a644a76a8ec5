"""Discovery with a real Docker engine."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Iterator

import pytest

from agent.discover.settings import CriSettings, DiscoverSettings, DockerSettings
from agent.model import ContainerState, Health
from deckwatch.wire.model import Format, Workload
from tests.agent.discover.watching import watching
from tests.fixtures.docker_engine import Engine, OwnEngine

pytestmark = pytest.mark.docker


def settings(engine: Engine, **docker: float) -> DiscoverSettings:
    return DiscoverSettings(
        docker=DockerSettings(socket=str(engine.socket), containers_dir=str(engine.containers_dir), **docker),  # type: ignore[arg-type]
        cri=CriSettings(enabled=False),
    )


def unique(name: str) -> str:
    return f"dw-{name}-{uuid.uuid4().hex[:8]}"


@pytest.fixture
def engine(docker_engine: Engine) -> Iterator[Engine]:
    yield docker_engine
    docker_engine.close_containers()


async def test_what_was_there_before(engine: Engine) -> None:
    name = unique("web")
    labels = {"com.docker.compose.project": "shop", "com.docker.compose.service": "web", "secret": "x"}
    ident = await asyncio.to_thread(
        engine.run, name, "sleep 100", labels=labels, env={"PASSWORD": "x", "OTEL_SERVICE_NAME": "front"}
    )
    async with watching(settings(engine)) as watcher:
        found, source = watcher.container(ident), watcher.source(ident)
        assert found
        assert source
        assert (found.container.name, found.container.image, found.container.runtime) == (name, engine.image, "docker")
        assert found.container.workload == Workload("compose", "shop", "web")
        assert found.container.service == "front"
        assert dict(found.container.labels).keys() == {"com.docker.compose.project", "com.docker.compose.service"}
        assert (found.state, found.network_mode, found.restart_count) == (ContainerState.RUNNING, "none", 0)
        assert found.pid == engine.api.get(f"/containers/{ident}/json")["State"]["Pid"]
        assert (source.path, source.format) == (str(engine.log_path(ident)), Format.DOCKER_JSON)
        assert watcher.metric("engine_up") == 1
        told = watcher.discovery.findings()[0]
        assert told.reached
        assert "Docker" in told.detail


async def test_a_life(engine: Engine) -> None:
    name = unique("life")

    async def do(action: str) -> None:
        await asyncio.to_thread(engine.post, ident, action)

    async with watching(settings(engine)) as watcher:
        ident = await asyncio.to_thread(engine.create, name, "trap 'exit 3' TERM; while :; do sleep 0.1; done")
        await watcher.until(lambda: watcher.source(ident) is not None, "listed before its first start")

        def state() -> ContainerState | None:
            found = watcher.container(ident)
            return found.state if found else None

        async def until_state(want: ContainerState) -> None:
            await watcher.until(lambda: state() is want, want)

        def ended() -> bool | None:
            source = watcher.source(ident)
            return source.ended if source else None

        assert (state(), ended()) == (ContainerState.CREATED, False)
        for action, want, is_ended in (
            ("start", ContainerState.RUNNING, False),
            ("pause", ContainerState.PAUSED, False),
            ("unpause", ContainerState.RUNNING, False),
            ("stop?t=5", ContainerState.EXITED, True),
            ("start", ContainerState.RUNNING, False),
            ("kill", ContainerState.EXITED, True),
        ):
            await do(action)
            await until_state(want)
            assert ended() is is_ended, action
        found = watcher.container(ident)
        assert found
        assert (found.exit_code, found.pid, found.oom_killed) == (137, None, False)
        assert (found.finished_ns or 0) > (found.created_ns or 0) > 0
        await do(f"rename?name={name}-2")
        await watcher.until_container(ident, lambda seen: seen.container.name == f"{name}-2", "renamed")
        await asyncio.to_thread(engine.rm, ident)
        await watcher.until_gone(ident)
        assert ended() is True
        words = [word for word in watcher.actions(ident) if word not in ("kill", "stop")]
        assert words == [
            "create", "start", "pause", "unpause", "die", "start", "die", "rename", "destroy",
        ]  # fmt: skip
        died = [event for event in watcher.events if event.action == "die"]
        assert [dict(event.attributes)["exitCode"] for event in died] == ["3", "137"]


async def test_containers_of_a_blink(engine: Engine) -> None:
    """Each lives for a fraction of a second and removes itself; each log must have been listed."""
    async with watching(settings(engine)) as watcher:
        name = unique("blink")
        idents = []
        for number in range(10):
            run = asyncio.to_thread(engine.run, f"{name}-{number}", "echo hello", auto_remove=True)
            idents.append(await run)
        await watcher.until(lambda: all(watcher.actions(ident)[-1:] == ["destroy"] for ident in idents), "all gone")
        for ident in idents:
            source = watcher.ever[f"{ident}/json.log"]
            assert source.path == str(engine.log_path(ident))
            assert source.container
            assert source.container.name.startswith(name)
            assert watcher.actions(ident) == ["create", "start", "die", "destroy"]


async def test_gone_before_it_could_be_asked_for(engine: Engine) -> None:
    """Created and removed at once, without a start: the event alone tells of it."""
    async with watching(settings(engine)) as watcher:
        for _ in range(5):
            ident = await asyncio.to_thread(engine.create, unique("gone"), "true", labels={"app": "shop"})
            await asyncio.to_thread(engine.rm, ident)
            await watcher.until_actions(ident, "create", "destroy")
            await watcher.until_listed(ident)
            await watcher.until_gone(ident)


async def test_health(engine: Engine) -> None:
    check = {"Healthcheck": {"Test": ["CMD-SHELL", "test -e /ok"], "Interval": 200_000_000, "Retries": 1}}
    async with watching(settings(engine)) as watcher:
        ident = await asyncio.to_thread(engine.create, unique("health"), "sleep 1; touch /ok; sleep 100", config=check)
        await asyncio.to_thread(engine.start, ident)
        await watcher.until_container(ident, lambda seen: seen.health is Health.UNHEALTHY, "unhealthy")
        await watcher.until_container(ident, lambda seen: seen.health is Health.HEALTHY, "healthy")
        statuses = [event.attributes for event in watcher.events if event.action == "health_status"]
        assert statuses[:2] == [(("status", "unhealthy"),), (("status", "healthy"),)]
        assert not [event for event in watcher.events if event.action.startswith("exec")]


async def test_logs_that_are_not_read(engine: Engine) -> None:
    quiet = await asyncio.to_thread(engine.run, unique("quiet"), "sleep 100", labels={"deckwatch.logs": "false"})
    binary_name = unique("binary")
    binary = await asyncio.to_thread(engine.create, binary_name, "sleep 100", log_driver="local")
    async with watching(settings(engine)) as watcher:
        assert watcher.container(quiet)
        assert watcher.container(binary)
        assert watcher.source(quiet) is None
        assert watcher.source(binary) is None
        (finding,) = (one for one in watcher.discovery.findings() if one.what == "logs by local")
        assert binary_name in finding.detail
        assert "json-file" in finding.remedy


async def test_a_daemon_that_hangs(private_docker_engine: OwnEngine) -> None:
    engine = private_docker_engine
    ident = await asyncio.to_thread(engine.run, unique("stays"), "sleep 100")
    fast = settings(engine, connect_timeout_s=0.5, request_timeout_s=0.5, ping_interval_s=0.2, retry_most_s=0.5)
    async with watching(fast) as watcher:
        await watcher.until(lambda: watcher.metric("engine_sessions_total") == 1, "in session")
        engine.hang()
        try:
            await watcher.until(lambda: watcher.metric("engine_up") == 0, "noticed")
            told = watcher.discovery.findings()[0]
            assert not told.reached
            assert "hangs" in told.remedy
            assert watcher.container(ident)
            assert (source := watcher.source(ident))
            assert not source.ended
        finally:
            engine.wake()
        await watcher.until(lambda: watcher.metric("engine_up") == 1, "it answers again")
        await asyncio.to_thread(engine.rm, ident)
        await watcher.until(lambda: watcher.actions(ident)[-1:] == ["destroy"], "events again")
        assert watcher.actions(ident).count("destroy") == 1


async def test_a_hanging_daemon_at_the_start(private_docker_engine: OwnEngine) -> None:
    engine = private_docker_engine
    ident = await asyncio.to_thread(engine.run, unique("there"), "sleep 100")
    engine.hang()
    try:
        async with watching(settings(engine, connect_timeout_s=0.5, retry_most_s=0.5)) as watcher:
            found = watcher.container(ident)
            assert found
            assert found.state is ContainerState.RUNNING  # told by the disk
            assert watcher.source(ident)
            engine.wake()
            await watcher.until(lambda: watcher.metric("engine_up") == 1, "it answers")
    finally:
        engine.wake()
    await asyncio.to_thread(engine.rm, ident)


async def test_no_event_is_lost_or_told_twice_over_a_broken_stream(private_docker_engine: OwnEngine) -> None:
    """The daemon hangs so long that the session is given up; what happened meanwhile is told after it."""
    engine = private_docker_engine
    ident = await asyncio.to_thread(engine.run, unique("dies"), "sleep 2; exit 5")
    fast = settings(engine, connect_timeout_s=0.3, request_timeout_s=0.3, ping_interval_s=0.1, retry_most_s=0.5)
    async with watching(fast) as watcher:
        await watcher.until(lambda: watcher.metric("engine_sessions_total") == 1, "in session")
        engine.hang()
        await asyncio.sleep(3)
        engine.wake()
        await watcher.until(lambda: "die" in watcher.actions(ident), "told")
        await watcher.until_container(ident, lambda seen: seen.exit_code == 5, "described")
        await asyncio.sleep(1)
        assert watcher.actions(ident) == ["die"]
        assert watcher.metric("engine_sessions_total") >= 2


async def test_the_daemon_goes_and_comes(private_docker_engine: OwnEngine) -> None:
    engine = private_docker_engine
    ident = await asyncio.to_thread(engine.run, unique("ends"), "sleep 100")
    async with watching(settings(engine, retry_most_s=0.5, disk_interval_s=0.2)) as watcher:
        await watcher.until(lambda: watcher.metric("engine_sessions_total") == 1, "in session")
        await asyncio.to_thread(engine.down)
        await watcher.until(lambda: watcher.metric("engine_up") == 0, "noticed")
        await watcher.until_container(ident, lambda seen: seen.state is ContainerState.EXITED, "told by the disk")
        await asyncio.to_thread(engine.up)
        await watcher.until(lambda: watcher.metric("engine_up") == 1, "it is back")
        new = await asyncio.to_thread(engine.run, unique("new"), "echo x")
        await watcher.until(lambda: watcher.source(new) is not None, "a new one")
        assert watcher.metric("faults_total", part="docker", reason="unexpected") == 0
