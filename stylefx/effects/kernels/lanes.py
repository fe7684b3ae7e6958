"""Two signals side by side in a vector: a recursion waits for itself, and one of two doubles waits no longer than one of one.

LLVM makes no vectors of a recursion by itself, so what happens to a sample is written down here as vector instructions. They are
those of the loops for one signal, in the same order, with the same rounding: the same bits. Any x86-64 or ARM64 processor has
vectors of two doubles.

numba's cache knows a kernel by the content of its own file: change that too where something changes here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

    _VECTOR = ir.VectorType(ir.DoubleType(), LANES)
    _Step = Callable[[Any, Any, Sequence[Any], Sequence[Any]], tuple[Any, Sequence[Any]]]

    def _loop(num_fixed: int, num_states: int, step: _Step) -> Any:
        """The code of an intrinsic of four int64: the address of doubles (count, LANES), count, the addresses of doubles
        (num_fixed, LANES) and of the states (num_states, LANES), which are updated. ``step`` (builder, sample, fixed, states)
        returns what replaces the sample, or None, and the next states."""

        def code(context, builder, signature, arguments):
            samples, count, fixed, state = arguments
            samples, fixed, state = (builder.inttoptr(a, _VECTOR.as_pointer()) for a in (samples, fixed, state))

            def place(base, index):
                return builder.gep(base, [index if not isinstance(index, int) else ir.Constant(ir.IntType(64), index)])

            def load(base, index):
                value = builder.load(place(base, index))
                value.align = 8
                return value

            constants = [load(fixed, k) for k in range(num_fixed)]
            states = [cgutils.alloca_once(builder, _VECTOR) for _ in range(num_states)]
            for k, held in enumerate(states):
                builder.store(load(state, k), held)
            with cgutils.for_range(builder, count) as loop:
                new, after = step(builder, load(samples, loop.index), constants, [builder.load(held) for held in states])
                if new is not None:
                    builder.store(new, place(samples, loop.index)).align = 8
                for value, held in zip(after, states, strict=True):
                    builder.store(value, held)
            for k, held in enumerate(states):
                builder.store(builder.load(held), place(state, k)).align = 8
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, types.int64, types.int64), code

    def _fma(builder, a, b, c):
        """a * b + c with one rounding."""
        name = f"llvm.fma.v{LANES}f64"
        module = builder.module
        function = module.globals.get(name) or ir.Function(module, ir.FunctionType(_VECTOR, [_VECTOR] * 3), name)
        return builder.call(function, [a, b, c])

    def _weigh(builder, x, fixed, states):
        """Two sections in the form of ``cascade.step_form``, and the sum of their output's squares."""
        *states, total = states
        after = []
        for s in range(2):
            c0, c1, c2, c3, c4 = fixed[5 * s : 5 * s + 5]
            a, b = states[2 * s : 2 * s + 2]
            y = _fma(builder, c0, x, a)
            after += [_fma(builder, c3, a, _fma(builder, c1, x, b)), _fma(builder, c4, a, builder.fmul(c2, x))]
            x = y
        return None, [*after, _fma(builder, x, x, total)]

    @intrinsic
    def weigh_two(typing_context, samples, count, fixed, state):
        """The K-weighting of ``audio.loudness``: fixed (10, LANES), states (5, LANES), the last the sum of squares."""
        return _loop(10, 5, _weigh)
