"""A small DNS server on loopback, over UDP and TCP: it answers from a list, and cuts long answers sent by UDP."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import struct
from collections.abc import AsyncIterator
from typing import cast

from agent.checks.dns_message import RecordType


class DnsServer(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.records: dict[tuple[str, int], list[bytes]] = {}
        self.rcode = 0
        self.cut = False
        self.silent = False
        self.asked: list[str] = []
        self.port = 0
        self._transport: asyncio.DatagramTransport | None = None

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def add(self, name: str, kind: RecordType, *contents: bytes) -> None:
        self.records.setdefault((name, kind), []).extend(contents)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self._transport is not None and not self.silent:
            forged = b"\xff\xff\x81\x85" + self.answer(data)[4:]  # another number, and "refused"
            self._transport.sendto(forged, addr)
            self._transport.sendto(self.answer(data, cut=self.cut), addr)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = int.from_bytes(await reader.readexactly(2), "big")
        answer = self.answer(await reader.readexactly(length))
        writer.write(len(answer).to_bytes(2, "big") + answer)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    def answer(self, query: bytes, *, cut: bool = False) -> bytes:
        at, parts = 12, []
        while query[at]:
            parts.append(query[at + 1 : at + 1 + query[at]].decode())
            at += 1 + query[at]
        name, kind = ".".join(parts), int.from_bytes(query[at + 1 : at + 3], "big")
        self.asked.append(name)
        found = [] if cut else self.records.get((name, kind), [])
        records = b"".join(b"\xc0\x0c" + struct.pack(">HHIH", kind, 1, 300, len(one)) + one for one in found)
        flags = 0x8180 | (0x0200 if cut else 0) | self.rcode
        return query[:2] + struct.pack(">HHHHH", flags, 1, len(found), 0, 0) + query[12 : at + 5] + records


def name_bytes(name: str) -> bytes:
    return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".")) + b"\0"


def a(address: str) -> bytes:
    return ipaddress.ip_address(address).packed


def srv(priority: int, weight: int, port: int, target: str) -> bytes:
    return struct.pack(">HHH", priority, weight, port) + name_bytes(target)


@contextlib.asynccontextmanager
async def dns_server() -> AsyncIterator[DnsServer]:
    one = DnsServer()
    tcp = await asyncio.start_server(one.serve, "127.0.0.1", 0)
    async with tcp:
        one.port = tcp.sockets[0].getsockname()[1]
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: one, local_addr=("127.0.0.1", one.port))
        try:
            yield one
        finally:
            transport.close()
