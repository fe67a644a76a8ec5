"""What /sys tells: small trees of files, made as a kernel lays them out, and this machine."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from agent.sample import machine, netclass, sensors
from agent.sample.hardware import HardwareSource
from agent.sample.host_files import Series
from agent.sample.settings import SampleSettings
from agent.sample.sysfs import SmallFiles
from agent.sample.timex import Timex, series, timex
from deckwatch.wire.metrics_catalogue import CATALOGUE
from deckwatch.wire.model import Labels
from tests.agent.sample.trees import NotedFaults, StrictFaults, series_of


def tree(root: Path, files: dict[str, str]) -> SmallFiles:
    for path, text in files.items():
        file = root / path.removeprefix("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return SmallFiles(str(root), StrictFaults())


def taken(series: Series) -> dict[tuple[str, Labels], float]:
    return {(column.name, column.labels): value for column, value in series}


ETH0 = (("device", "eth0"),)


def test_an_interface(tmp_path: Path) -> None:
    files = tree(
        tmp_path,
        {
            f"/sys/class/net/eth0/{name}": text
            for name, text in {
                "operstate": "up\n",
                "carrier": "1\n",
                "carrier_changes": "5\n",
                "carrier_up_count": "3\n",
                "carrier_down_count": "2\n",
                "statistics/rx_nohandler": "7\n",
                "flags": "0x1003\n",
                "dev_id": "0x0\n",
                "mtu": "1500\n",
                "speed": "1000\n",
                "tx_queue_len": "1000\n",
                "address": "02:fc:00:00:00:01\n",
                "duplex": "full\n",
                "ifalias": "\n",
            }.items()
        },
    )
    assert taken(netclass.changing(files, "eth0")) == {
        ("node_network_up", ETH0): 1,
        ("node_network_carrier", ETH0): 1,
        ("node_network_carrier_changes_total", ETH0): 5,
        ("node_network_carrier_up_changes_total", ETH0): 3,
        ("node_network_carrier_down_changes_total", ETH0): 2,
        ("node_network_receive_nohandler_total", ETH0): 7,
    }
    info = (("address", "02:fc:00:00:00:01"), ("device", "eth0"), ("duplex", "full"), ("operstate", "up"))
    assert taken(netclass.lasting(files, "eth0")) == {
        ("node_network_flags", ETH0): 0x1003,
        ("node_network_device_id", ETH0): 0,
        ("node_network_mtu_bytes", ETH0): 1500,
        ("node_network_speed_bytes", ETH0): 125_000_000,
        ("node_network_transmit_queue_length", ETH0): 1000,
        ("node_network_info", info): 1,
    }
    (tmp_path / "sys/class/net/eth0/speed").write_text("-1\n")  # the driver doesn't know
    assert "node_network_speed_bytes" not in {name for name, _ in taken(netclass.lasting(files, "eth0"))}
    (tmp_path / "sys/class/net/eth0/operstate").write_text("unknown\n")
    assert taken(netclass.changing(files, "eth0"))["node_network_up", ETH0] == 0
    assert taken(netclass.changing(files, "gone")) == {}


def test_a_bond(tmp_path: Path) -> None:
    files = tree(
        tmp_path,
        {
            "/sys/class/net/bonding_masters": "bond0\n",
            "/sys/class/net/bond0/bonding/slaves": "eth0 eth1\n",
            "/sys/class/net/bond0/lower_eth0/bonding_slave/mii_status": "up\n",
            "/sys/class/net/bond0/lower_eth1/bonding_slave/mii_status": "down\n",
        },
    )
    master = (("master", "bond0"),)
    assert taken(netclass.bonding(files)) == {("node_bonding_slaves", master): 2, ("node_bonding_active", master): 1}


def test_chips_are_named_by_where_they_sit(tmp_path: Path) -> None:
    device = "/sys/devices/platform/coretemp.0"
    chip = f"{device}/hwmon/hwmon3"
    files = tree(
        tmp_path,
        {
            f"{chip}/name": "coretemp\n",
            f"{chip}/temp1_input": "47000\n",
            f"{chip}/temp1_crit": "100000\n",
            f"{chip}/temp1_label": "Package id 0\n",
            f"{chip}/fan2_input": "1250\n",
            f"{chip}/power1_average": "15500000\n",
            f"{chip}/in0_input": "1032\n",
            f"{chip}/temp9_frobnicate": "1\n",
        },
    )
    (tmp_path / "sys/class/hwmon").mkdir(parents=True)
    (tmp_path / "sys/class/hwmon/hwmon3").symlink_to(f"../../{chip.removeprefix('/sys/')}")
    (tmp_path / chip.removeprefix("/") / "device").symlink_to("../..")
    name = ("chip", "platform_coretemp_0")
    assert taken(sensors.hwmon(files)) == {
        ("node_hwmon_chip_names", (name, ("chip_name", "coretemp"))): 1,
        ("node_hwmon_sensor_label", (name, ("label", "Package id 0"), ("sensor", "temp1"))): 1,
        ("node_hwmon_temp_celsius", (name, ("sensor", "temp1"))): 47,
        ("node_hwmon_temp_crit_celsius", (name, ("sensor", "temp1"))): 100,
        ("node_hwmon_fan_rpm", (name, ("sensor", "fan2"))): 1250,
        ("node_hwmon_power_average_watt", (name, ("sensor", "power1"))): 15.5,
        ("node_hwmon_in_volts", (name, ("sensor", "in0"))): 1.032,
    }


def test_a_sensor_that_can_not_be_read_leaves_the_others(tmp_path: Path) -> None:
    chip = "/sys/class/hwmon/hwmon0"
    tree(tmp_path, {f"{chip}/name": "acpi tz\n", f"{chip}/temp1_input": "hot\n", f"{chip}/temp2_input": "30000\n"})
    faults = NotedFaults()
    got = taken(sensors.hwmon(SmallFiles(str(tmp_path), faults)))
    assert [name for name, _ in got] == ["node_hwmon_chip_names", "node_hwmon_temp_celsius"]
    assert dict(list(got)[1][1]) == {"chip": "acpi_tz", "sensor": "temp2"}
    assert faults.noted == ["temp1_input: ValueError"]


def test_zones_clocks_and_throttles(tmp_path: Path) -> None:
    cpus = "/sys/devices/system/cpu"
    files = tree(
        tmp_path,
        {
            "/sys/class/thermal/thermal_zone0/temp": "51500\n",
            "/sys/class/thermal/thermal_zone0/type": "x86_pkg_temp\n",
            "/sys/class/thermal/cooling_device0/type": "Processor\n",
            f"{cpus}/online": "0-1\n",
            f"{cpus}/cpufreq/boost": "1\n",
            **{f"{cpus}/cpu{cpu}/topology/physical_package_id": "0\n" for cpu in range(4)},
            **{f"{cpus}/cpu{cpu}/topology/core_id": f"{cpu // 2}\n" for cpu in range(4)},
            **{f"{cpus}/cpu{cpu}/thermal_throttle/core_throttle_count": f"{cpu // 2 + 3}\n" for cpu in range(4)},
            **{f"{cpus}/cpu{cpu}/thermal_throttle/package_throttle_count": "9\n" for cpu in range(4)},
            f"{cpus}/cpu0/cpufreq/scaling_cur_freq": "800000\n",
            f"{cpus}/cpu0/cpufreq/scaling_max_freq": "3900000\n",
        },
    )
    assert taken(sensors.thermal_zones(files)) == {
        ("node_thermal_zone_temp", (("type", "x86_pkg_temp"), ("zone", "0"))): 51.5
    }
    assert taken(sensors.cpu_clocks(files)) == {
        ("node_cpu_scaling_frequency_hertz", (("cpu", "0"),)): 800_000_000,
        ("node_cpu_scaling_frequency_max_hertz", (("cpu", "0"),)): 3_900_000_000,
    }
    assert taken(sensors.throttles(files)) == {
        ("node_cpu_core_throttles_total", (("core", "0"), ("package", "0"))): 3,
        ("node_cpu_core_throttles_total", (("core", "1"), ("package", "0"))): 4,
        ("node_cpu_package_throttles_total", (("package", "0"),)): 9,
    }
    assert taken(machine.topology(files)) == {
        ("machine_cpu_physical_cores", ()): 2,  # four threads
        ("machine_cpu_sockets", ()): 1,
    }


def test_what_the_machine_is(tmp_path: Path) -> None:
    files = tree(
        tmp_path,
        {
            "/proc/sys/kernel/random/boot_id": "8ffe9d1b\n",
            "/etc/machine-id": "3d1219c7\n",
            "/sys/devices/system/edac/mc/mc0/dimm0/dimm_mem_type": "Unbuffered-DDR4\n",
            "/sys/devices/system/edac/mc/mc0/dimm0/size": "16384\n",
            "/sys/devices/system/edac/mc/mc0/dimm1/dimm_mem_type": "Unbuffered-DDR4\n",
            "/sys/devices/system/edac/mc/mc0/dimm1/size": "16384\n",
            "/sys/devices/system/edac/mc/mc0/mc_name": "skx\n",
            "/sys/class/dmi/id/sys_vendor": "ACME\n",
            "/sys/class/dmi/id/product_name": "Anvil\n",
            "/sys/devices/system/clocksource/clocksource0/available_clocksource": "tsc hpet\n",
            "/sys/devices/system/clocksource/clocksource0/current_clocksource": "tsc\n",
            "/sys/fs/selinux/enforce": "0",
            "/sys/block/sda/dev": "8:0\n",
            "/sys/block/loop0/dev": "7:0\n",
            "/run/udev/data/b8:0": "S:disk/by-id/x\nE:ID_MODEL=Disk_9\nE:ID_SERIAL_SHORT=S1\nE:ID_WWN=0x5\n",
        },
    )
    identity = (("boot_id", "8ffe9d1b"), ("machine_id", "3d1219c7"))
    assert taken(machine.identity(files)) == {("machine_info", identity): 1}
    memory = (("type", "Unbuffered-DDR4"),)
    assert taken(machine.memory_modules(files)) == {
        ("machine_dimm_count", memory): 2,
        ("machine_dimm_capacity_bytes", memory): 32 << 30,
    }
    assert taken(machine.firmware(files)) == {
        ("node_dmi_info", (("product_name", "Anvil"), ("system_vendor", "ACME"))): 1
    }
    clocks = taken(machine.clock_sources(files))
    assert len(clocks) == 3
    assert clocks["node_time_clocksource_current_info", (("clocksource", "tsc"), ("device", "0"))] == 1
    assert taken(machine.selinux(files)) == {("node_selinux_enabled", ()): 1, ("node_selinux_current_mode", ()): 0}
    exclude = HardwareSource(SampleSettings(), str(tmp_path), StrictFaults())._disks_exclude
    disk = (*(("device", "sda"), ("major", "8"), ("minor", "0"), ("model", "Disk_9")), ("serial", "S1"), ("wwn", "0x5"))
    assert taken(machine.disks(files, exclude)) == {("node_disk_info", disk): 1}


@pytest.mark.parametrize(
    ("text", "info", "version"),
    [
        (
            'NAME="Debian GNU/Linux"\nVERSION_ID="12"\nID=debian\nHOME_URL="https://x"\n# no\n',
            {"id": "debian", "name": "Debian GNU/Linux", "version_id": "12"},
            12.0,
        ),
        ("ID=ubuntu\nVERSION_ID='24.04'\n", {"id": "ubuntu", "version_id": "24.04"}, 24.04),
        ("ID=arch\nBUILD_ID=rolling\n", {"id": "arch", "build_id": "rolling"}, None),
        ('ID="open\n', {"id": '"open'}, None),
    ],
)
def test_os_release(tmp_path: Path, text: str, info: dict[str, str], version: float | None) -> None:
    got = taken(machine.operating_system(tree(tmp_path, {"/usr/lib/os-release": text})))
    assert [dict(labels) for name, labels in got if name == "node_os_info"] == [info]
    assert [value for (name, _), value in got.items() if name == "node_os_version"] == ([version] if version else [])


def test_a_look_reads_seldom_what_lasts(tmp_path: Path) -> None:
    tree(tmp_path, {"/sys/class/net/eth0/operstate": "up\n", "/sys/class/net/eth0/mtu": "1500\n"})
    source = HardwareSource(SampleSettings(slow_every=2), str(tmp_path), StrictFaults())

    def look() -> dict[tuple[str, Labels], float]:
        return series_of(source.look(1))[()]

    assert (look()["node_network_mtu_bytes", ETH0], look()["node_network_up", ETH0]) == (1500, 1)
    (tmp_path / "sys/class/net/eth0/mtu").write_text("9000\n")
    look()
    (tmp_path / "sys/class/net/eth0/mtu").write_text("1400\n")
    (tmp_path / "sys/class/net/eth0/operstate").write_text("down\n")
    last = look()
    assert (last["node_network_mtu_bytes", ETH0], last["node_network_up", ETH0]) == (9000, 0)
    source.close()


def test_this_machine() -> None:
    source = HardwareSource(SampleSettings(), "/", StrictFaults())
    got = series_of(source.look(1))[()]
    source.close()
    assert {name for name, _ in got} <= set(CATALOGUE)
    here = {dict(labels)["device"] for name, labels in got if name == "node_network_up"}
    stats = psutil.net_if_stats()
    assert here <= {entry.name for entry in Path("/sys/class/net").iterdir()}
    for device in here & set(stats):
        assert got["node_network_mtu_bytes", (("device", device),)] == stats[device].mtu
    cores = psutil.cpu_count(logical=False)
    if cores:
        assert got["machine_cpu_physical_cores", ()] == cores


def test_the_clock_in_words() -> None:
    """Units as <sys/timex.h> has them, which depend on STA_NANO."""
    told = Timex(
        offset=-2_000_000,
        freq=65_536 * 500,
        maxerror=16_000,
        esterror=8,
        status=0x2001,
        constant=7,
        tick=10_000,
        tai=37,
    )
    got = {name.removeprefix("node_timex_"): value for (name, _), value in taken(series(told, 0)).items()}
    assert got["sync_status"] == 1
    assert got["offset_seconds"] == -0.002
    assert got["frequency_adjustment_ratio"] == pytest.approx(1.0005)
    assert (got["maxerror_seconds"], got["estimated_error_seconds"]) == (0.016, 8e-6)
    assert (got["tick_seconds"], got["tai_offset_seconds"], got["loop_time_constant"]) == (0.01, 37, 7)
    told.status = 1
    micro = {name: value for (name, _), value in taken(series(told, 5)).items()}
    assert (micro["node_timex_offset_seconds"], micro["node_timex_sync_status"]) == (-2, 0)
    assert {name for name, _ in taken(timex())} == set(micro)
    assert {name for name, _ in taken(timex())} <= set(CATALOGUE)
