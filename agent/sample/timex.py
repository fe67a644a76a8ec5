"""How well the host's clock keeps time: adjtimex(2) under node_exporter's names.

The structure and its units are those of <sys/timex.h>; asking (modes 0) needs no rights and changes nothing.
"""

from __future__ import annotations

import ctypes
import os

from agent.sample.host_files import Series, column

_LONG, _INT = ctypes.c_long, ctypes.c_int
_TIME_ERROR = 5
"""Of adjtimex's answer: no reliable server keeps the clock."""
_STA_NANO = 0x2000
_PPM_16 = 1_000_000.0 * 65_536.0
"""Frequencies are parts per million with a fraction of 16 bits."""


class Timex(ctypes.Structure):
    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", _LONG),
        ("freq", _LONG),
        ("maxerror", _LONG),
        ("esterror", _LONG),
        ("status", _INT),
        ("constant", _LONG),
        ("precision", _LONG),
        ("tolerance", _LONG),
        ("time_s", _LONG),
        ("time_us", _LONG),
        ("tick", _LONG),
        ("ppsfreq", _LONG),
        ("jitter", _LONG),
        ("shift", _INT),
        ("stabil", _LONG),
        ("jitcnt", _LONG),
        ("calcnt", _LONG),
        ("errcnt", _LONG),
        ("stbcnt", _LONG),
        ("tai", _INT),
        ("padding", _INT * 11),
    )


_libc = ctypes.CDLL(None, use_errno=True)


def timex() -> Series:
    """Raises OSError where the kernel does not tell (a seccomp filter)."""
    told = Timex()
    state = _libc.adjtimex(ctypes.byref(told))
    if state < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"adjtimex: {os.strerror(code)}")
    return series(told, state)


def series(told: Timex, state: int) -> Series:
    fraction_s = 1e9 if told.status & _STA_NANO else 1e6
    figures = {
        "sync_status": float(state != _TIME_ERROR),
        "offset_seconds": told.offset / fraction_s,
        "frequency_adjustment_ratio": 1 + told.freq / _PPM_16,
        "maxerror_seconds": told.maxerror / 1e6,
        "estimated_error_seconds": told.esterror / 1e6,
        "status": told.status,
        "loop_time_constant": told.constant,
        "tick_seconds": told.tick / 1e6,
        "pps_frequency_hertz": told.ppsfreq / _PPM_16,
        "pps_jitter_seconds": told.jitter / fraction_s,
        "pps_shift_seconds": told.shift,
        "pps_stability_hertz": told.stabil / _PPM_16,
        "pps_jitter_total": told.jitcnt,
        "pps_calibration_total": told.calcnt,
        "pps_error_total": told.errcnt,
        "pps_stability_exceeded_total": told.stbcnt,
        "tai_offset_seconds": told.tai,
    }
    for name, value in figures.items():
        yield column(f"node_timex_{name}"), value
