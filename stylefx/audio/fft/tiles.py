"""Rows to columns, a tile of both at once, as vector instructions: the way into lanes and out of them. Addresses and distances
are in bytes.

``lanes`` states a digest of this file, which changes with it: numba's cache knows a kernel by the content of its own file alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

TILE = 8  # rows and columns that are turned at once

if TYPE_CHECKING:

    def turn_tile(source: Any, row: Any, target: Any, column: Any) -> Any:
        """What a kernel sees of the intrinsic below."""

    turn_tile_exchanged = turn_tile

    def turn_windowed(rows: Any, offset: Any, taper: Any, target: Any, column: Any) -> Any:
        """What a kernel sees of the intrinsic below."""

else:
    from llvmlite import ir
    from numba import types
    from numba.extending import intrinsic

    _INDEX, _ROW = ir.IntType(64), ir.VectorType(ir.FloatType(), TILE)

    def _row_at(builder, address):
        return builder.inttoptr(address, _ROW.as_pointer())

    def _load(builder, address):
        line = builder.load(_row_at(builder, address))
        line.align = 4
        return line

    def _apart(builder, base, k, distance):
        return builder.add(base, builder.mul(distance, _INDEX(k)))

    def _turn(builder, lines, target, column):
        """Store the columns of these rows, ``column`` apart."""
        width = TILE // 2
        while width:
            for i in range(TILE):
                if not i & width:
                    lines[i], lines[i + width] = _swap(builder, lines[i], lines[i + width], width)
            width //= 2
        for k, line in enumerate(lines):
            builder.store(line, _row_at(builder, _apart(builder, target, k, column))).align = 4

    def _swap(builder, upper, lower, width):
        """The right half of every 2 x width lanes of ``upper`` changes places with the left half of ``lower``'s."""
        kind = ir.VectorType(ir.IntType(32), TILE)
        first = [TILE + j - width if j & width else j for j in range(TILE)]
        second = [TILE + j if j & width else j + width for j in range(TILE)]
        return tuple(builder.shuffle_vector(upper, lower, ir.Constant(kind, mask)) for mask in (first, second))

    def _turn_tile(order):
        """TILE x TILE float32 from rows ``row`` bytes apart, taken in this order, to columns ``column`` bytes apart."""

        def code(context, builder, signature, arguments):
            source, row, target, column = arguments
            _turn(builder, [_load(builder, _apart(builder, source, k, row)) for k in order], target, column)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 4), code

    @intrinsic
    def turn_tile(typing_context, source, row, target, column):
        """Rows to columns."""
        return _turn_tile(range(TILE))

    @intrinsic
    def turn_tile_exchanged(typing_context, source, row, target, column):
        """Rows to columns, every two rows in the other order."""
        return _turn_tile([k ^ 1 for k in range(TILE)])

    @intrinsic
    def turn_windowed(typing_context, rows, offset, taper, target, column):
        """Rows that lie anywhere, times a window, to columns. rows: the address of TILE addresses (int64), of which each row lies
        ``offset`` behind; taper: the address of the window's part."""

        def code(context, builder, signature, arguments):
            rows, offset, taper, target, column = arguments
            rows, weight = builder.inttoptr(rows, _INDEX.as_pointer()), _load(builder, taper)
            starts = [builder.add(builder.load(builder.gep(rows, [_INDEX(k)])), offset) for k in range(TILE)]
            _turn(builder, [builder.fmul(_load(builder, start), weight) for start in starts], target, column)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 5), code
