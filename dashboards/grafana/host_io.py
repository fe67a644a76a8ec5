"""What a host reads, writes and sends: disks, file systems, network."""

from __future__ import annotations

from dashboards.grafana import symptoms
from dashboards.grafana.board import Board
from dashboards.grafana.panels import RATE, SHARE, Query, graph
from dashboards.grafana.table import Column, figures

H = 'host="$host"'
DISKS = f"{H}, {symptoms.DISKS}"
LINKS = f'{H}, device!~"lo|veth.*|br-.*|docker.*"'


def rate(metric: str, legend: str, scope: str = H, by: str = "") -> Query:
    inner = f"rate({metric}{{{scope}}}{RATE})"
    return Query(f"sum by ({by}) ({inner})" if by else inner, legend)


def disks(made: Board) -> None:
    def per_op(time: str, ops: str, legend: str) -> Query:
        return Query(f"rate({time}{{{H}}}{RATE}) / (rate({ops}{{{H}}}{RATE}) > 0)", legend)

    made.row(
        "Disks",
        graph(
            "Throughput",
            "Bytes read (above) and written (below).",
            rate("node_disk_read_bytes_total", "{{device}} read"),
            rate("node_disk_written_bytes_total", "{{device}} written"),
            unit="Bps",
            below=".*written",
        ),
        graph(
            "Operations",
            "Completed reads (above) and writes (below) a second.",
            rate("node_disk_reads_completed_total", "{{device}} reads"),
            rate("node_disk_writes_completed_total", "{{device}} writes"),
            unit="iops",
            below=".*writes",
        ),
        graph(
            "Time of an operation",
            "From queue to completion, on average: a disk that gets slow shows here first.",
            per_op("node_disk_read_time_seconds_total", "node_disk_reads_completed_total", "{{device}} read"),
            per_op("node_disk_write_time_seconds_total", "node_disk_writes_completed_total", "{{device}} write"),
            unit="s",
        ),
        graph(
            "Busy",
            "Share of time with an operation under way. 100 % is the limit of a hard disk, but not of an SSD.",
            rate("node_disk_io_time_seconds_total", "{{device}}"),
            unit="percentunit",
            most=1,
        ),
        graph(
            "Queue",
            "Operations under way, on average.",
            rate("node_disk_io_time_weighted_seconds_total", "{{device}}"),
            unit="none",
            width=24,
        ),
    )


def filesystems(made: Board) -> None:
    by = "device, fstype, mountpoint"
    used = f"1 - node_filesystem_avail_bytes{{{DISKS}}} / (node_filesystem_size_bytes{{{DISKS}}} > 0)"
    made.row(
        "File systems",
        figures(
            "File systems",
            "The fullest on top. Days left go by the last six hours; nothing stands there where it isn't filling up.",
            {"mountpoint": "Mounted at", "device": "Device", "fstype": "Type"},
            [
                Column("Used", f"max by ({by}) ({used})", "percentunit", SHARE),
                Column("Size", f"max by ({by}) (node_filesystem_size_bytes{{{DISKS}}})", "bytes"),
                Column("Free", f"max by ({by}) (node_filesystem_avail_bytes{{{DISKS}}})", "bytes"),
                Column(
                    "Inodes used",
                    f"max by ({by}) (1 - node_filesystem_files_free{{{DISKS}}}"
                    f" / (node_filesystem_files{{{DISKS}}} > 0))",
                    "percentunit",
                    SHARE,
                ),
                Column(
                    "Full in",
                    f"max by ({by}) (node_filesystem_avail_bytes{{{DISKS}}}"
                    f" / (-deriv(node_filesystem_avail_bytes{{{DISKS}}}[6h]) > 0))",
                    "dtdurations",
                    ((None, "red"), (86400, "#EAB839"), (7 * 86400, "green")),
                ),
            ],
            worst="Used",
            width=14,
        ),
        graph(
            "Used",
            "Share of each file system that isn't free to everybody.",
            Query(f"max by (mountpoint) ({used})", "{{mountpoint}}"),
            unit="percentunit",
            most=1,
            width=10,
            height=10,
        ),
    )


def network(made: Board) -> None:
    def tcp(name: str, legend: str) -> Query:
        return rate(f"node_netstat_{name}", legend)

    made.row(
        "Network",
        graph(
            "Traffic",
            "Bits received (above) and sent (below), without loopback and the host's ends of containers' links.",
            Query(f"rate(node_network_receive_bytes_total{{{LINKS}}}{RATE}) * 8", "{{device}} received"),
            Query(f"rate(node_network_transmit_bytes_total{{{LINKS}}}{RATE}) * 8", "{{device}} sent"),
            unit="bps",
            below=".*sent",
        ),
        graph(
            "Errors and drops",
            "Packets a second that came damaged or found no room. Anything lasting above 0 is worth a look.",
            rate("node_network_receive_errs_total", "{{device}} receive errors", LINKS),
            rate("node_network_receive_drop_total", "{{device}} receive drops", LINKS),
            rate("node_network_transmit_errs_total", "{{device}} send errors", LINKS),
            rate("node_network_transmit_drop_total", "{{device}} send drops", LINKS),
            unit="pps",
        ),
        graph(
            "Connections",
            "TCP: established, waiting to be forgotten (time wait), and made a second.",
            Query(f"node_netstat_Tcp_CurrEstab{{{H}}}", "established"),
            Query(f"node_sockstat_TCP_tw{{{H}}}", "time wait"),
            tcp("Tcp_ActiveOpens", "opened a second"),
            tcp("Tcp_PassiveOpens", "accepted a second"),
            unit="none",
        ),
        graph(
            "TCP trouble",
            "Segments sent again, resets, and connections that found a full listen queue, a second.",
            tcp("Tcp_RetransSegs", "retransmitted"),
            tcp("Tcp_OutRsts", "resets sent"),
            tcp("TcpExt_ListenDrops", "listen drops"),
            tcp("TcpExt_ListenOverflows", "listen overflows"),
            unit="ops",
        ),
        graph(
            "Tracked connections",
            "Of the firewall (conntrack), against their limit; nothing where it isn't loaded.",
            Query(f"node_nf_conntrack_entries{{{H}}}", "tracked"),
            Query(f"node_nf_conntrack_entries_limit{{{H}}}", "limit"),
            unit="none",
            dashed="limit",
        ),
        graph(
            "UDP",
            "Datagrams in and out, those for no port, and those that found no room.",
            tcp("Udp_InDatagrams", "received"),
            tcp("Udp_OutDatagrams", "sent"),
            tcp("Udp_NoPorts", "no port"),
            tcp("Udp_RcvbufErrors", "buffer full"),
            unit="pps",
        ),
    )
