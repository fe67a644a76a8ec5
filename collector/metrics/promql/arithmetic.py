"""The operators on numbers. Each works on whole arrays."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from collector.metrics.promql.ast import Op
from collector.metrics.promql.matrix import Bools, Floats

ARITHMETIC: dict[Op, Callable[[Floats, Floats], Floats]] = {
    Op.ADD: np.add,
    Op.SUB: np.subtract,
    Op.MUL: np.multiply,
    Op.DIV: np.divide,
    Op.MOD: np.fmod,  # the sign of the dividend, as in Go
    Op.POW: np.power,
    Op.ATAN2: np.arctan2,
}

COMPARISON: dict[Op, Callable[[Floats, Floats], Bools]] = {
    Op.EQL: np.equal,
    Op.NEQ: np.not_equal,
    Op.LTE: np.less_equal,
    Op.LSS: np.less,
    Op.GTE: np.greater_equal,
    Op.GTR: np.greater,
}
