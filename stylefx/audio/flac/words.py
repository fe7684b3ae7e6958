"""Single instructions that numba has no names for: eight bytes at once, leading zeros, exact products of doubles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from stylefx.effects.kernels.jit import vector_fma

LAGS, LANES, FAR = 9, 4, 6

if TYPE_CHECKING:

    def load_word(address: Any) -> Any:
        """What a kernel sees of the intrinsic below."""

    def store_word(address: Any, word: Any) -> Any:
        """What a kernel sees of the intrinsic below."""

    def leading_zeros(word: Any) -> Any:
        """What a kernel sees of the intrinsic below."""

    def multiply_add(a: Any, b: Any, c: Any) -> Any:
        """What a kernel sees of the intrinsic below."""

    def lagged_products(values: Any, count: Any, sums: Any) -> Any:
        """What a kernel sees of the intrinsic below."""

    def weigh_history(values: Any, weights: Any, sums: Any) -> Any:
        """What a kernel sees of the intrinsic below."""

else:
    _VECTOR = ir.VectorType(ir.DoubleType(), LANES)

    @intrinsic
    def load_word(typing_context, address):
        """The eight bytes at an address (int64), the first the highest; the memory behind them must be there."""

        def code(context, builder, signature, arguments):
            word = builder.load(builder.inttoptr(arguments[0], ir.IntType(64).as_pointer()))
            word.align = 1
            return builder.bswap(word)

        return types.uint64(types.int64), code

    @intrinsic
    def store_word(typing_context, address, word):
        """Write eight bytes, the highest first."""

        def code(context, builder, signature, arguments):
            place = builder.inttoptr(arguments[0], ir.IntType(64).as_pointer())
            builder.store(builder.bswap(arguments[1]), place).align = 1
            return context.get_dummy_value()

        return types.void(types.int64, types.uint64), code

    @intrinsic
    def leading_zeros(typing_context, word):
        """Of a uint64, as int64; 64 for 0."""

        def code(context, builder, signature, arguments):
            return builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 0))

        return types.int64(types.uint64), code

    @intrinsic
    def multiply_add(typing_context, a, b, c):
        """a * b + c of whole numbers that doubles hold exactly, the result too: in one instruction where there is one."""
        double = types.float64

        def code(context, builder, signature, arguments):
            return vector_fma(builder, *arguments, "fmuladd")

        return double(double, double, double), code

    @intrinsic
    def lagged_products(typing_context, values, count, sums):
        """The doubles (LAGS, LANES) at the address ``sums`` become those of values[i] * values[i - lag], i from 0 up to
        ``count``, a multiple of LANES, each lane those of every LANES-th i. All have to be exact, as in ``multiply_add``."""

        def code(context, builder, signature, arguments):
            values, count, sums = arguments
            single = builder.inttoptr(values, ir.DoubleType().as_pointer())
            whole = builder.inttoptr(sums, _VECTOR.as_pointer())

            def load(index):
                value = builder.load(builder.bitcast(builder.gep(single, [index]), _VECTOR.as_pointer()))
                value.align = 8
                return value

            held = [cgutils.alloca_once_value(builder, ir.Constant(_VECTOR, [0.0] * LANES)) for _ in range(LAGS)]
            step = ir.Constant(count.type, LANES)
            with cgutils.for_range_slice(builder, ir.Constant(count.type, 0), count, step, count.type) as (index, _):
                now = load(index)
                for lag, total in enumerate(held):
                    then = load(builder.sub(index, ir.Constant(count.type, lag)))
                    builder.store(vector_fma(builder, now, then, builder.load(total), "fmuladd"), total)
            for lag, total in enumerate(held):
                place = builder.gep(whole, [ir.Constant(count.type, lag)])
                builder.store(builder.load(total), place).align = 8
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, types.int64), code

    @intrinsic
    def weigh_history(typing_context, values, weights, sums):
        """int64 at three addresses: of (FAR, LANES) weights the first row times the third last value before the first address,
        the second times the fourth last and so on, added up to LANES sums. Values and weights count as numbers of 32 bits."""

        def code(context, builder, signature, arguments):
            long, vector = ir.IntType(64), ir.VectorType(ir.IntType(64), LANES)
            nothing, unused = ir.Constant(vector, ir.Undefined), ir.Constant(vector, [32] * LANES)
            everywhere = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
            values = builder.inttoptr(arguments[0], long.as_pointer())
            weights, sums = (builder.inttoptr(address, vector.as_pointer()) for address in arguments[1:])

            def narrow(numbers):  # so that the machine may multiply halves of words
                return builder.ashr(builder.shl(numbers, unused), unused)

            total = ir.Constant(vector, [0] * LANES)
            for row in reversed(range(FAR)):  # the last value last, since it comes last
                value = builder.load(builder.gep(values, [ir.Constant(long, -3 - row)]))
                value = builder.insert_element(nothing, value, ir.Constant(ir.IntType(32), 0))
                weight = builder.load(builder.gep(weights, [ir.Constant(long, row)]))
                weight.align = 8
                product = builder.mul(narrow(builder.shuffle_vector(value, nothing, everywhere)), narrow(weight))
                total = builder.add(total, product)
            builder.store(total, sums).align = 8
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, types.int64), code
