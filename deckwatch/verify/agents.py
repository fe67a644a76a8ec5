"""Asking agents what is in their files."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path

import aiohttp
import msgspec
from yarl import URL

from deckwatch.runtime.datadir import ADDRESS_FILE
from deckwatch.runtime.faults import Unusable
from deckwatch.runtime.places import state_home
from deckwatch.runtime.reach import daemon_url, why_unreachable
from deckwatch.verify.model import AgentAnswer

_TIMEOUT = aiohttp.ClientTimeout(total=60)
"""An agent looks at every file before it answers."""


class AgentUnreachable(Unusable):
    """It can't be said what is in its files."""


def named_agents(given: Sequence[str]) -> list[URL]:
    """Raises Unusable."""
    return [daemon_url(text, "--agent", example="http://127.0.0.1:9429") for text in given]


def local_agent(env: Mapping[str, str]) -> URL | None:
    """The agent of `deckwatch up` in its default directory; None where none was started there."""
    place: Path = state_home(env) / "agent" / ADDRESS_FILE
    try:
        return daemon_url(place.read_text().strip(), str(place), example="http://127.0.0.1:9429")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise Unusable(f"{place}: can't be read ({error}); name the agent with --agent URL") from None


async def ask_agent(url: URL, headers: Mapping[str, str], tls: ssl.SSLContext | None) -> AgentAnswer:
    """Raises AgentUnreachable."""
    status = url.joinpath("status")
    try:
        async with (
            aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(ssl=tls or True), headers=headers, timeout=_TIMEOUT
            ) as session,
            session.get(status, allow_redirects=False) as answer,
        ):
            body, code = await answer.read(), answer.status
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        why = why_unreachable(error, status, options="--")
        raise AgentUnreachable(f"can't reach the agent at {url}: {why}") from None
    except TimeoutError:
        raise AgentUnreachable(f"the agent at {url} does not answer within {_TIMEOUT.total:.0f} s") from None
    except aiohttp.ClientError as error:
        raise AgentUnreachable(f"the answer of the agent at {url} broke off: {error}") from None
    if code in (401, 403):
        raise AgentUnreachable(f"the agent at {url} wants a token, or another: --token-file FILE, or DECKWATCH_TOKEN")
    try:
        return msgspec.json.decode(body, type=AgentAnswer)
    except msgspec.DecodeError:
        raise AgentUnreachable(f"{url} answered {code}, and nothing that an agent of this version says") from None
