"""Two signals side by side in a vector: a recursion waits for itself, and one of two doubles waits no longer than one of one.

LLVM makes no vectors of a recursion by itself, so what happens to a sample is written down here as vector instructions. They are
those of the loops for one signal, in the same order, with the same rounding: the same bits. Any x86-64 or ARM64 processor has
vectors of two doubles.

numba's cache knows a kernel by the content of its own file: change that too where something changes here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

LANES = 2

if TYPE_CHECKING:

    def weigh_two(samples: Any, count: Any, fixed: Any, state: Any) -> Any:
        """What a kernel sees of the intrinsic below."""

else:
    from llvmlite import ir
    from numba import types
    from numba.core import cgutils
    from numba.extending import intrinsic

    from stylefx.effects.kernels.jit import vector_fma

    _VECTOR = ir.VectorType(ir.DoubleType(), LANES)

    def _weigh(builder, x, fixed, states):
        """Two sections in the form of ``cascade.step_form``, and the sum of their output's squares: the next states."""
        *states, total = states
        after = []
        for s in range(2):
            c0, c1, c2, c3, c4 = fixed[5 * s : 5 * s + 5]
            a, b = states[2 * s : 2 * s + 2]
            y = vector_fma(builder, c0, x, a)
            inner = vector_fma(builder, c1, x, b)
            after += [vector_fma(builder, c3, a, inner), vector_fma(builder, c4, a, builder.fmul(c2, x))]
            x = y
        return [*after, vector_fma(builder, x, x, total)]

    @intrinsic
    def weigh_two(typing_context, samples, count, fixed, state):
        """The K-weighting of ``audio.loudness``. The address of doubles (count, LANES), count, the addresses of the constants
        (10, LANES) and of the states (5, LANES), the last of them the sum of squares, which are updated."""

        def code(context, builder, signature, arguments):
            samples, count, fixed, state = arguments
            samples, fixed, state = (builder.inttoptr(a, _VECTOR.as_pointer()) for a in (samples, fixed, state))

            def place(base, index):
                return builder.gep(base, [index if not isinstance(index, int) else ir.Constant(ir.IntType(64), index)])

            def load(base, index):
                value = builder.load(place(base, index))
                value.align = 8
                return value

            constants = [load(fixed, k) for k in range(10)]
            states = [cgutils.alloca_once_value(builder, load(state, k)) for k in range(5)]
            with cgutils.for_range(builder, count) as loop:
                after = _weigh(builder, load(samples, loop.index), constants, [builder.load(held) for held in states])
                for value, held in zip(after, states, strict=True):
                    builder.store(value, held)
            for k, held in enumerate(states):
                builder.store(builder.load(held), place(state, k)).align = 8
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, types.int64, types.int64), code
