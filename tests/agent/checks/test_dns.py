"""Questions to a DNS server on loopback, and the probe of it."""

from __future__ import annotations

import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.checks.dns_client import look_up, nameservers
from agent.checks.dns_message import RecordType, question, read_message
from agent.checks.dns_probe import server_address
from deckwatch.runtime.faults import Reject, Retry
from tests.agent.checks.dns_server import DnsServer, a, dns_server, name_bytes, srv
from tests.agent.checks.rig import Rig

SOA = name_bytes("ns.x.example") + name_bytes("me.x.example") + struct.pack(">IIIII", 2024010101, 1, 2, 3, 4)


@pytest.fixture
async def server() -> AsyncIterator[DnsServer]:
    async with dns_server() as running:
        yield running


def resolv(tmp_path: Path, *servers: str) -> Path:
    path = tmp_path / "resolv.conf"
    path.write_text("# made by hand\n" + "".join(f"nameserver {one.replace(':', '#')}\n" for one in servers))
    return path


@pytest.mark.parametrize(
    ("kind", "content", "text"),
    [
        (RecordType.A, a("10.0.0.1"), "10.0.0.1"),
        (RecordType.AAAA, a("2001:db8::1"), "2001:db8::1"),
        (RecordType.CNAME, name_bytes("y.example"), "y.example."),
        (RecordType.MX, b"\0\x0a" + name_bytes("mail.example"), "10 mail.example."),
        (RecordType.SRV, srv(1, 2, 8080, "h.example"), "1 2 8080 h.example."),
        (RecordType.TXT, b"\x03abc\x01d", '"abc" "d"'),
        (RecordType.SOA, SOA, "ns.x.example. me.x.example. 2024010101 1 2 3 4"),
        (RecordType.A, b"\xc0\x0c", None),  # two bytes are no address
    ],
)
async def test_records(server: DnsServer, tmp_path: Path, kind: RecordType, content: bytes, text: str | None) -> None:
    server.add("x.example", kind, content)
    if text is None:
        with pytest.raises(Retry, match="no DNS message"):
            await look_up("x.example", kind, try_s=2, resolv_conf=resolv(tmp_path, server.address))
    else:
        message = await look_up("x.example.", kind, try_s=2, resolv_conf=resolv(tmp_path, server.address))
        assert [record.text for record in message.answers] == [text]


async def test_a_cut_answer_is_asked_for_by_tcp(server: DnsServer, tmp_path: Path) -> None:
    server.add("x.example", RecordType.A, *(a(f"10.0.0.{n}") for n in range(100)))
    server.cut = True
    message = await look_up("x.example", RecordType.A, try_s=2, resolv_conf=resolv(tmp_path, server.address))
    assert len(message.answers) == 100


async def test_the_next_server_is_asked_when_one_fails(server: DnsServer, tmp_path: Path) -> None:
    server.add("x.example", RecordType.A, a("10.0.0.1"))
    async with dns_server() as ill, dns_server() as silent:
        ill.rcode, silent.silent = 2, True
        path = resolv(tmp_path, ill.address, silent.address, server.address)
        message = await look_up("x.example", RecordType.A, try_s=0.3, resolv_conf=path)
        assert len(message.answers) == 1
        only_ill = resolv(tmp_path, ill.address, silent.address)
        with pytest.raises(Retry, match=r"SERVFAIL; 127\.0\.0\.1: no answer within 0\.3 s"):
            await look_up("x.example", RecordType.A, try_s=0.3, resolv_conf=only_ill)


@pytest.mark.parametrize("name", ["a..b", "x" * 64, ".".join(["x" * 60] * 5)])
def test_names_that_can_not_be_asked_for(name: str) -> None:
    with pytest.raises(Reject, match="no domain name"):
        question(1, name, RecordType.A)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\1\1\0\0\0\0\0\0\0\0\0",  # a question
        b"\0\1\x81\x80\0\0\0\1\0\0\0\0\xc0\x0c",  # a name that points at itself
        b"\0\1\x81\x80\0\0\0\1\0\0\0\0\0\0\1\0\1\0\0\0\0\0\4\1",  # a cut record
        b"\0\1\x81\x80\xff\xff\0\0\0\0\0\0",
    ],
)
def test_what_is_no_message(data: bytes) -> None:
    with pytest.raises(Reject):
        read_message(data)


def test_servers_of_this_system(tmp_path: Path) -> None:
    assert nameservers(tmp_path / "none") == [("127.0.0.1", 53)]
    path = tmp_path / "resolv.conf"
    path.write_text(
        "; old\nsearch x.example\nnameserver 10.0.0.1\nnameserver ::1\nnameserver 10.0.0.2#5353\nnameserver\n"
    )
    assert nameservers(path) == [("10.0.0.1", 53), ("::1", 53), ("10.0.0.2", 5353)]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("h", ("h", 53)),
        ("h:5353", ("h", 5353)),
        ("::1", ("::1", 53)),
        ("[::1]:5353", ("::1", 5353)),
        ("[::1]", ("::1", 53)),
    ],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert server_address(text) == address


async def test_probe(server: DnsServer) -> None:
    server.add("x.example", RecordType.SOA, SOA)
    probe = {"server": server.address, "query_name": "x.example", "query_type": "SOA"}
    rig = Rig(dns=[probe])
    found = await rig.look()
    labels = {"instance": server.address, "job": "probe", "query_name": "x.example", "query_type": "SOA"}
    assert dict(rig.frames[0].targets[0].labels) == labels
    assert found.pop("probe_duration_seconds") >= found.pop("probe_dns_duration_seconds phase=request") > 0
    assert found == {
        "probe_success": 1,
        "probe_dns_query_succeeded": 1,
        "probe_dns_answer_rrs": 1,
        "probe_dns_authority_rrs": 0,
        "probe_dns_additional_rrs": 0,
        "probe_dns_serial": 2024010101,
    }


@pytest.mark.parametrize(
    ("options", "rcode", "success"),
    [
        ({}, 0, 1),
        ({}, 3, 0),
        ({"valid_rcodes": ["NXDOMAIN"]}, 3, 1),
        ({"fail_if_none_matches_regexp": ["A 10\\.0\\.0\\.1$"]}, 0, 1),
        ({"fail_if_none_matches_regexp": ["A 10\\.0\\.0\\.1$", "10\\.9"]}, 0, 0),
        ({"transport_protocol": "tcp"}, 0, 1),
    ],
)
async def test_what_is_a_success(server: DnsServer, options: dict[str, object], rcode: int, success: float) -> None:
    server.add("x.example", RecordType.A, a("10.0.0.1"))
    server.rcode = rcode
    found = await Rig(dns=[{"server": server.address, "query_name": "x.example", **options}]).look()
    assert found["probe_success"] == success


async def test_a_silent_server_fails_in_time(server: DnsServer) -> None:
    server.silent = True
    rig = Rig(dns=[{"server": server.address, "query_name": "x.example", "timeout_s": 0.2}])
    found = await rig.look()
    assert (found["probe_success"], found["probe_dns_query_succeeded"]) == (0, 0)
    assert rig.runs("dns", "timeout") == 1
