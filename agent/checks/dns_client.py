"""Questions to DNS servers: over UDP, and over TCP where the answer was cut or TCP is asked for."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

from agent.checks.dns_message import Message, RecordType, question, read_message
from deckwatch.runtime.faults import Reject, Retry

PORT = 53
RESOLV_CONF = Path("/etc/resolv.conf")


class _Exchange(asyncio.DatagramProtocol):
    """Waits for the datagram with the question's number; others (forged, late) are left."""

    def __init__(self, ident: int) -> None:
        self._ident = ident
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()

    def datagram_received(self, data: bytes, addr: object) -> None:
        if data[:2] == self._ident.to_bytes(2, "big") and not self.answer.done():
            self.answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self.answer.done():
            self.answer.set_exception(exc)


async def ask(
    server: tuple[str, int], name: str, kind: RecordType, *, tcp: bool = False, recurse: bool = True
) -> Message:
    """The caller bounds the time. Raises Reject (no DNS message), OSError."""
    ident = secrets.randbits(16)
    query = question(ident, name, kind, recurse=recurse)
    if not tcp:
        message = read_message(await _over_udp(server, ident, query))
        if not message.truncated:
            return message
    return read_message(await _over_tcp(server, query))


async def look_up(name: str, kind: RecordType, *, try_s: float = 5.0, resolv_conf: Path = RESOLV_CONF) -> Message:
    """By the system's servers, in their order. Raises Retry where none answers; an answer is NOERROR or NXDOMAIN."""
    troubles = []
    for server in nameservers(resolv_conf):
        try:
            async with asyncio.timeout(try_s):
                message = await ask(server, name, kind)
        except (TimeoutError, OSError, Reject) as error:
            troubles.append(f"{server[0]}: {str(error) or f'no answer within {try_s:g} s'}")
            continue
        if message.status in ("NOERROR", "NXDOMAIN"):
            return message
        troubles.append(f"{server[0]}: {message.status}")
    raise Retry(f"DNS, {kind.name} of {name}: {'; '.join(troubles)}")


def nameservers(resolv_conf: Path) -> list[tuple[str, int]]:
    """As resolv.conf(5): this host itself where none is named. `address#port` as systemd-resolved writes it."""
    try:
        lines = resolv_conf.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        lines = []
    words = [line.split() for line in lines]
    named = [word[1].partition("#") for word in words if len(word) > 1 and word[0] == "nameserver"]
    return [(address, int(port) if port.isdecimal() else PORT) for address, _, port in named] or [("127.0.0.1", PORT)]


async def _over_udp(server: tuple[str, int], ident: int, query: bytes) -> bytes:
    loop = asyncio.get_running_loop()
    transport, exchange = await loop.create_datagram_endpoint(lambda: _Exchange(ident), remote_addr=server)
    try:
        transport.sendto(query)
        return await exchange.answer
    finally:
        transport.close()


async def _over_tcp(server: tuple[str, int], query: bytes) -> bytes:
    reader, writer = await asyncio.open_connection(*server)
    try:
        writer.write(len(query).to_bytes(2, "big") + query)
        length = int.from_bytes(await reader.readexactly(2), "big")
        return await reader.readexactly(length)
    except asyncio.IncompleteReadError as error:
        raise Reject(f"{server[0]} closed the connection: {error}") from None
    finally:
        writer.transport.abort()
