"""Network interfaces by /sys/class/net, under node_exporter's names (its collectors netclass and bonding).

What may change from one look to the next (is it up, has it flapped) is read each time, the rest seldom: reading
`speed` takes a lock that a busy driver holds for long, so all of this belongs to a source that may be late.
"""

from __future__ import annotations

import re

from agent.sample.host_files import Series, column
from agent.sample.sysfs import SmallFiles

_NET = "/sys/class/net"
_MEGABIT_BYTES = 125_000

_OFTEN = (
    # file, name
    ("carrier", "node_network_carrier"),
    ("carrier_changes", "node_network_carrier_changes_total"),
    ("carrier_up_count", "node_network_carrier_up_changes_total"),
    ("carrier_down_count", "node_network_carrier_down_changes_total"),
    ("statistics/rx_nohandler", "node_network_receive_nohandler_total"),
)
_SELDOM = (
    ("addr_assign_type", "node_network_address_assign_type"),
    ("dev_id", "node_network_device_id"),
    ("dormant", "node_network_dormant"),
    ("flags", "node_network_flags"),
    ("ifindex", "node_network_iface_id"),
    ("iflink", "node_network_iface_link"),
    ("link_mode", "node_network_iface_link_mode"),
    ("mtu", "node_network_mtu_bytes"),
    ("name_assign_type", "node_network_name_assign_type"),
    ("netdev_group", "node_network_net_dev_group"),
    ("type", "node_network_protocol_type"),
    ("tx_queue_len", "node_network_transmit_queue_length"),
)
_INFO = ("address", "broadcast", "duplex", "ifalias", "operstate")


def devices(files: SmallFiles, exclude: re.Pattern[str]) -> list[str]:
    """Interfaces; `bonding_masters` beside them is a file."""
    return [name for name in files.names(_NET) if name != "bonding_masters" and not exclude.search(name)]


def changing(files: SmallFiles, device: str) -> Series:
    """`up` as node_exporter means it: the operational state, which `lo` and bridges without a port don't have."""
    labels = (("device", device),)
    state = files.text(f"{_NET}/{device}/operstate")
    if state is None:
        return  # it has gone
    yield column("node_network_up", labels), float(state == "up")
    for file, name in _OFTEN:
        if (value := files.number(f"{_NET}/{device}/{file}")) is not None:
            yield column(name, labels), value


def lasting(files: SmallFiles, device: str) -> Series:
    """A speed that the driver does not know (-1, or an error) is absent."""
    labels = (("device", device),)
    for file, name in _SELDOM:
        if (value := files.number(f"{_NET}/{device}/{file}")) is not None:
            yield column(name, labels), value
    speed = files.number(f"{_NET}/{device}/speed")
    if speed is not None and speed > 0:
        yield column("node_network_speed_bytes", labels), speed * _MEGABIT_BYTES
    facts = {name: files.text(f"{_NET}/{device}/{name}") or "" for name in _INFO}
    yield column("node_network_info", _sorted(facts | {"device": device})), 1


def bonding(files: SmallFiles) -> Series:
    """Bonds: ports that a master has, and those of them whose link is up."""
    for master in (files.text(f"{_NET}/bonding_masters") or "").split():
        ports = (files.text(f"{_NET}/{master}/bonding/slaves") or "").split()
        states = [files.text(f"{_NET}/{master}/lower_{port}/bonding_slave/mii_status") for port in ports]
        yield column("node_bonding_slaves", (("master", master),)), len(ports)
        yield column("node_bonding_active", (("master", master),)), states.count("up")


def _sorted(facts: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """As labels: an empty one is the same as none."""
    return tuple(sorted((name, value) for name, value in facts.items() if value))
