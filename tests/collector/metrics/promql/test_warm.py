"""Warming reaches every kernel that there is."""

from __future__ import annotations

import importlib
import pkgutil

from collector.metrics.promql import kernels, warm


def compiled() -> dict[str, int]:
    """Signatures that are there, by kernel."""
    found = {}
    for module in pkgutil.iter_modules(kernels.__path__):
        loaded = importlib.import_module(f"{kernels.__name__}.{module.name}")
        for name, value in vars(loaded).items():
            if not hasattr(value, "signatures") or value.__module__ != loaded.__name__:
                continue
            if not value.targetoptions.get("no_cpython_wrapper"):  # else only kernels call it
                found[f"{module.name}.{name}"] = len(value.signatures)
    return found


def test_no_kernel_is_left_to_the_first_query() -> None:
    warm.warm()
    counts = compiled()
    assert len(counts) > 20
    assert {name for name, count in counts.items() if count == 0} == set()


def test_no_kernel_is_compiled_twice() -> None:
    """Other kinds of arrays would compile it anew in the middle of a query."""
    warm.warm()
    before = compiled()
    warm.warm()
    assert compiled() == before
