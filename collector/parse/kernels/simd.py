"""Sixteen bytes at a time, which numba's loops with an early exit would not do by themselves.

LLVM turns a compare of <16 x i8> into one instruction on x86-64 and a few on arm64. Callers pad their arrays by PAD
bytes, since all of these read (and `copy16` writes) 16 bytes from the place they are given, whatever is wanted of them.
Indices are not checked.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from collector.parse.kernels.compiling import inner

Bytes = npt.NDArray[np.uint8]

PAD = 32
"""Bytes that an array must have behind the last one of interest."""

_intrinsic: Any = intrinsic  # a kernel calls it without the typing context that its definition takes

_I8 = ir.IntType(8)
_I16 = ir.IntType(16)
_I32 = ir.IntType(32)
_I64 = ir.IntType(64)
_V16 = ir.VectorType(_I8, 16)


def _address(context: Any, builder: Any, array_type: Any, array: Any, index: Any, to: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [index]), to.as_pointer())


def _load16(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    return builder.load(_address(context, builder, array_type, array, index, _V16), align=1)


def _splat(builder: Any, byte: Any) -> Any:
    undefined = ir.Constant(_V16, ir.Undefined)
    one = builder.insert_element(undefined, byte, ir.Constant(_I32, 0))
    return builder.shuffle_vector(one, undefined, ir.Constant(ir.VectorType(_I32, 16), [0] * 16))


def _bits(builder: Any, lanes: Any) -> Any:
    return builder.zext(builder.bitcast(lanes, _I16), _I64)


@_intrinsic
def equal_mask(typingctx: Any, array: Any, index: Any, byte: Any, other: Any) -> Any:
    """Bit k is set where array[index + k] is `byte` or `other`."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = _load16(context, builder, signature.args[0], args[0], args[1])
        hits = [builder.icmp_unsigned("==", lanes, _splat(builder, arg)) for arg in args[2:]]
        return _bits(builder, builder.or_(*hits))

    return types.int64(array, types.int64, types.uint8, types.uint8), codegen


@_intrinsic
def high_mask(typingctx: Any, array: Any, index: Any) -> Any:
    """Bit k is set where array[index + k] is not ASCII."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = _load16(context, builder, signature.args[0], args[0], args[1])
        return _bits(builder, builder.icmp_signed("<", lanes, ir.Constant(_V16, [0] * 16)))

    return types.int64(array, types.int64), codegen


@_intrinsic
def copy16(typingctx: Any, source: Any, index: Any, target: Any, at: Any) -> Any:
    """target[at:at + 16] = source[index:index + 16]."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = _load16(context, builder, signature.args[0], args[0], args[1])
        builder.store(lanes, _address(context, builder, signature.args[2], args[2], args[3], _V16), align=1)
        return context.get_dummy_value()

    return types.void(source, types.int64, target, types.int64), codegen


@_intrinsic
def load64(typingctx: Any, array: Any, index: Any) -> Any:
    """Eight bytes as a little endian number."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load(_address(context, builder, signature.args[0], args[0], args[1], _I64), align=1)

    return types.uint64(array, types.int64), codegen


@_intrinsic
def lowest_bit(typingctx: Any, mask: Any) -> Any:
    """Place of the lowest set bit of a mask that is not 0."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))

    return types.int64(types.int64), codegen


@inner
def signed(value: Any) -> int:
    """A byte or another unsigned number for arithmetic with signed ones; numba would make a float of the two."""
    return np.int64(value)  # type: ignore[return-value]


@inner
def find_newline(data: Bytes, i: int, end: int) -> int:
    """Place of the first newline in [i, end), or -1."""
    while i < end:
        mask = equal_mask(data, i, 10, 10)
        if mask:
            i += lowest_bit(mask)
            return i if i < end else -1
        i += 16
    return -1
