"""Types: what may stand where. Messages and their order are Prometheus' (promql/parser/parse.go, checkAST)."""

from __future__ import annotations

from collector.metrics.promql import ast
from collector.metrics.promql.ast import Cardinality, Expr, Span, ValueType
from collector.metrics.promql.faults import ParseError
from collector.metrics.promql.quoting import quote
from collector.metrics.promql.selectors import check_selector
from collector.metrics.promql.signatures import AGGREGATIONS, FUNCTIONS, UNLIMITED

_OPERANDS = (ValueType.SCALAR, ValueType.VECTOR)


def type_of(expr: Expr) -> ValueType:
    """Of a checked tree."""
    match expr:
        case ast.Number():
            return ValueType.SCALAR
        case ast.String():
            return ValueType.STRING
        case ast.MatrixSelector() | ast.Subquery():
            return ValueType.MATRIX
        case ast.Paren() | ast.Unary():
            return type_of(expr.expr)
        case ast.Call():
            return FUNCTIONS[expr.function].returns
        case ast.Binary():
            first, chain = ast.spine(expr)
            operands = [first, *(node.right for node in chain)]
            scalars = all(type_of(operand) is ValueType.SCALAR for operand in operands)
            return ValueType.SCALAR if scalars else ValueType.VECTOR
        case _:
            return ValueType.VECTOR


def check(text: str, expr: Expr) -> ValueType:
    """The type of the whole. Raises ParseError at the first place that doesn't fit."""
    return _Checker(text).visit(expr)


class _Checker:
    def __init__(self, text: str) -> None:
        self._text = text

    def _error(self, span: Span, reason: str) -> ParseError:
        return ParseError(self._text, span, reason)

    def visit(self, expr: Expr) -> ValueType:
        match expr:
            case ast.VectorSelector():
                check_selector(self._text, expr)
            case ast.MatrixSelector():
                check_selector(self._text, expr.vector)
            case ast.Subquery():
                self._subquery(expr)
            case ast.Paren():
                return self.visit(expr.expr)
            case ast.Unary():
                return self._unary(expr)
            case ast.Binary():
                return self._chain(expr)
            case ast.Aggregate():
                self._aggregate(expr)
            case ast.Call():
                self._call(expr)
        return type_of(expr)

    def _expect(self, expr: Expr, wanted: ValueType, context: str) -> None:
        found = self.visit(expr)
        if found is not wanted:
            reason = f"expected type {wanted.documented} in {context}, got {found.documented}"
            raise self._error(expr.span, reason)

    def _subquery(self, expr: ast.Subquery) -> None:
        found = self.visit(expr.expr)
        if found is not ValueType.VECTOR:
            raise self._error(expr.span, f"subquery is only allowed on instant vector, got {found.value} instead")

    def _unary(self, expr: ast.Unary) -> ValueType:
        found = self.visit(expr.expr)
        if found not in _OPERANDS:
            allowed = "unary expression only allowed on expressions of type scalar or instant vector"
            raise self._error(expr.span, f"{allowed}, got {quote(found.documented)}")
        return found

    def _aggregate(self, expr: ast.Aggregate) -> None:
        self._expect(expr.expr, ValueType.VECTOR, "aggregation expression")
        wanted = AGGREGATIONS[expr.op].param
        if expr.param is not None and wanted is not None:
            self._expect(expr.param, wanted, "aggregation parameter")

    def _chain(self, expr: ast.Binary) -> ValueType:
        first, chain = ast.spine(expr)
        left = self.visit(first)
        for node in chain:
            left = self._binary(node, left, self.visit(node.right))
        return left

    def _binary(self, node: ast.Binary, left: ValueType, right: ValueType) -> ValueType:
        both_scalar = left is right is ValueType.SCALAR
        if node.as_bool and not node.op.compares:
            raise self._error(node.op_span, "bool modifier can only be used on comparison operators")
        if node.op.compares and not node.as_bool and both_scalar:
            raise self._error(node.op_span, "comparisons between scalars must use BOOL modifier")
        if node.matching.on:
            for label in node.matching.labels:
                if label in node.matching.include:
                    reason = f"label {quote(label)} must not occur in ON and GROUP clause at once"
                    raise self._error(node.op_span, reason)
        for operand, found in ((node.left, left), (node.right, right)):
            if found not in _OPERANDS:
                reason = "binary expression must contain only scalar and instant vector types"
                raise self._error(operand.span, reason)
        self._matching(node, left is right is ValueType.VECTOR)
        return ValueType.SCALAR if both_scalar else ValueType.VECTOR

    def _matching(self, node: ast.Binary, vectors: bool) -> None:
        if not vectors:
            if node.matching.labels:
                raise self._error(node.span, "vector matching only allowed between instant vectors")
            if node.op.is_set:
                reason = f"set operator {quote(node.op.value)} not allowed in binary scalar expression"
                raise self._error(node.span, reason)
        elif node.op.is_set and node.matching.cardinality is not Cardinality.ONE_TO_ONE:
            raise self._error(node.span, f"no grouping allowed for {quote(node.op.value)} operation")

    def _call(self, expr: ast.Call) -> None:
        signature = FUNCTIONS[expr.function]
        self._count(expr)
        for place, arg in enumerate(expr.args):
            wanted = signature.args[min(place, len(signature.args) - 1)]
            self._expect(arg, wanted, f"call to function {quote(expr.function)}")

    def _count(self, expr: ast.Call) -> None:
        signature = FUNCTIONS[expr.function]
        wanted, got = len(signature.args), len(expr.args)
        call = f"argument(s) in call to {quote(expr.function)}, got {got}"
        if signature.variadic == 0:
            if got != wanted:
                raise self._error(expr.span, f"expected {wanted} {call}")
            return
        least = wanted - 1
        if got < least:
            raise self._error(expr.span, f"expected at least {least} {call}")
        if signature.variadic != UNLIMITED and got > least + signature.variadic:
            raise self._error(expr.span, f"expected at most {least + signature.variadic} {call}")
