"""``select``: which recordings, by a small expression over their columns. Nothing of it is run as Python.

Names are columns (``speaker.age`` too), texts and numbers are compared with ``== != < <= > >= in``, joined by ``and or not`` and
parentheses. A column is compared as a number where the other side is one. A column that a recording does not have equals
nothing: every comparison with it is false, but for ``!=`` and ``not in``.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

_COMPARE: dict[type[ast.cmpop], Callable[[Any, Any], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_WORDS = "columns, texts and numbers, == != < <= > >= in, and, or, not, parentheses"
_LONGEST = 2000

Selection = Callable[[Mapping[str, str]], bool]


@lru_cache(maxsize=64)
def parse_selection(text: str) -> Selection:
    """The expression as a test of a recording's columns. ValueError says what is not understood."""
    if len(text) > _LONGEST:
        raise ValueError(f"the expression has {len(text)} characters, at most {_LONGEST} are read")
    try:
        tree = ast.parse(text.strip(), mode="eval")
        return _test(tree.body)
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError(
            f"{text!r} is not understood ({getattr(error, 'msg', None) or 'nested too deeply'}); use {_WORDS}"
        ) from error


def _test(node: ast.expr) -> Selection:
    if isinstance(node, ast.BoolOp):
        parts, want = [_test(value) for value in node.values], isinstance(node.op, ast.And)
        return (lambda c: all(p(c) for p in parts)) if want else (lambda c: any(p(c) for p in parts))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        inner = _test(node.operand)
        return lambda c: not inner(c)
    if isinstance(node, ast.Compare):
        sides = [node.left, *node.comparators]
        tests = [_comparison(a, op, b) for a, op, b in zip(sides[:-1], node.ops, sides[1:], strict=True)]
        return lambda c: all(t(c) for t in tests)
    raise ValueError(f"{ast.unparse(node)!r} is no comparison; use {_WORDS}")


def _comparison(left: ast.expr, op: ast.cmpop, right: ast.expr) -> Selection:
    if isinstance(op, (ast.In, ast.NotIn)):
        if not isinstance(right, (ast.List, ast.Tuple, ast.Set)):
            raise ValueError(f"{ast.unparse(right)!r} is no list; write: language in ['de', 'fr']")
        among, value, wanted = [_value(e) for e in right.elts], _value(left), isinstance(op, ast.In)
        return lambda c: any(_holds(operator.eq, value(c), other(c)) for other in among) is wanted
    if type(op) not in _COMPARE:
        raise ValueError(f"an expression may not use {type(op).__name__.lower()!r}; use {_WORDS}")
    compare, a, b = _COMPARE[type(op)], _value(left), _value(right)
    return lambda c: _holds(compare, a(c), b(c))


def _holds(compare: Callable[[Any, Any], bool], a: str | float | None, b: str | float | None) -> bool:
    if a is None or b is None:
        return compare is operator.ne
    if isinstance(a, float) or isinstance(b, float):
        try:
            return compare(float(a), float(b))
        except ValueError:
            return compare is operator.ne
    return compare(a, b)


def _value(node: ast.expr) -> Callable[[Mapping[str, str]], str | float | None]:
    if isinstance(node, ast.Constant) and isinstance(node.value, (str, int, float)):
        constant = _plain(node.value)
        return lambda c: constant
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub) and isinstance(node.operand, ast.Constant):
        negative = -float(node.operand.value)  # type: ignore[arg-type]
        return lambda c: negative
    if isinstance(node, (ast.Name, ast.Attribute)):
        name = ast.unparse(node)
        return lambda c: c.get(name)
    raise ValueError(f"{ast.unparse(node)!r} is neither a column nor a text or a number; use {_WORDS}")


def _plain(value: str | float) -> str | float:
    if isinstance(value, bool):  # as JSON's truths are written into columns
        return "true" if value else "false"
    return value if isinstance(value, str) else float(value)
