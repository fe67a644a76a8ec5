"""Limits of the process."""

from __future__ import annotations

import ctypes
import resource
import subprocess
import sys

import pytest

from deckwatch.runtime.limits import raise_file_limit


def test_the_soft_limit_of_open_files_is_raised_to_the_hard_one() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft, 256), hard))
        raise_file_limit()
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


ARENAS = """
import ctypes, sys, threading
from deckwatch.runtime.limits import use_one_heap
use_one_heap()
libc = ctypes.CDLL(None)
libc.malloc.restype = libc.fopen.restype = ctypes.c_void_p
begun = threading.Barrier(5)
def hold():
    libc.malloc(5000)
    begun.wait()
    begun.wait()
for _ in range(4):
    threading.Thread(target=hold).start()
begun.wait()
file = libc.fopen(b"/dev/stdout", b"w")
libc.malloc_info(0, ctypes.c_void_p(file))
libc.fflush(ctypes.c_void_p(file))
begun.wait()
"""


def test_all_threads_share_one_heap() -> None:
    if not hasattr(ctypes.CDLL(None), "mallopt"):
        pytest.skip("this C library is not glibc: it has one heap")
    done = subprocess.run([sys.executable, "-c", ARENAS], capture_output=True, text=True, check=True)
    assert done.stdout.count("<heap nr=") == 1
