"""How kernels are compiled: cached beside their sources, without the GIL."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from numba import njit

F = TypeVar("F", bound=Callable[..., Any])

_njit: Any = njit


def kernel(function: F) -> F:
    """What Python calls."""
    return _compiled(function)


def inner(function: F) -> F:
    """What only kernels call: it needs no wrapper for calls from Python, which would take time to compile."""
    return _compiled(function, no_cpython_wrapper=True, no_cfunc_wrapper=True)


def _compiled(function: F, **options: bool) -> F:
    compiled: F
    try:
        compiled = _njit(nogil=True, cache=True, **options)(function)
    except RuntimeError:
        # numba finds no folder to write to, neither beside the sources nor in the user's cache (a read-only image
        # without a home): each start compiles anew. NUMBA_CACHE_DIR names another folder.
        compiled = _njit(nogil=True, **options)(function)
    return compiled
