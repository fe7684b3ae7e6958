"""Second-order sections in series as a pipeline in vectors: a lane holds one section, and hears what the lane before it said.

A section waits for itself from sample to sample, and the next section waits for it. Side by side they work on different
samples: section s on that LAG * s before the first one's. With a lag of one sample the way from a section's output into the
next lane would lie on the critical path; with two there is time for it. Each section does what a loop over the sections
one by one would, in the same order, with the same rounding: the same bits.

LLVM cuts vectors of four doubles into what the processor has. numba's cache knows a kernel by the content of its own file:
change that too where something changes here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

LAG = 2  # samples between a section and the next
WIDTH = 4  # lanes of a vector
MOST_VECTORS = 3  # side by side: the registers hold no more
LANES = WIDTH * MOST_VECTORS

if TYPE_CHECKING:

    def one_vector(samples: Any, count: Any, sections: Any, fixed: Any, state: Any) -> Any:
        """What a kernel sees of the intrinsics below."""

    two_vectors = three_vectors = one_vector_of_two = two_vectors_of_two = three_vectors_of_two = one_vector

else:
    from llvmlite import ir
    from numba import types
    from numba.core import cgutils
    from numba.extending import intrinsic

    from stylefx.effects.kernels.jit import vector_fma

    _INDEX, _LANE = ir.IntType(64), ir.IntType(32)
    _VECTOR, _INDICES = ir.VectorType(ir.DoubleType(), WIDTH), ir.VectorType(_INDEX, WIDTH)

    def _shuffled(builder, first, second, lanes):
        return builder.shuffle_vector(first, second, ir.Constant(ir.VectorType(_LANE, WIDTH), lanes))

    def _in_all_lanes(builder, index):
        empty = ir.Constant(_INDICES, ir.Undefined)
        return _shuffled(builder, builder.insert_element(empty, index, _LANE(0)), empty, [0] * WIDTH)

    class _Vector:
        """Four lanes of a pipeline: coefficients, states and the last LAG outputs, which LLVM keeps in registers."""

        def __init__(self, builder, fixed, state, first_section, signals):
            self._places = state
            self._coefficients = [_load(builder, place) for place in fixed]
            self._held = [cgutils.alloca_once_value(builder, _load(builder, place)) for place in state]
            self._said = [cgutils.alloca_once_value(builder, ir.Constant(_VECTOR, None)) for _ in range(LAG)]
            self._lags = ir.Constant(_INDICES, [LAG * (first_section + k // signals) for k in range(WIDTH)])

        def last_heard(self, builder):
            """Its outputs of LAG steps ago."""
            return builder.load(self._said[-1])

        def working(self, builder, step, count):
            """Which lanes are at a sample that exists."""
            place = builder.sub(_in_all_lanes(builder, step), self._lags)
            return builder.icmp_unsigned("<", place, _in_all_lanes(builder, count))

        def advance(self, builder, x, working):
            """One sample of each lane, in the form of ``cascade.step_form``; lanes that do not work keep their states."""
            c0, c1, c2, c3, c4 = self._coefficients
            a, b = (builder.load(held) for held in self._held)
            y = vector_fma(builder, c0, x, a)
            after = [vector_fma(builder, c3, a, vector_fma(builder, c1, x, b)), vector_fma(builder, c4, a, builder.fmul(c2, x))]
            if working is not None:
                after = [builder.select(working, new, old) for new, old in zip(after, (a, b), strict=True)]
            for value, place in zip(
                [*after, *map(builder.load, self._said[:-1]), y], [*self._held, *self._said[1:], self._said[0]]
            ):
                builder.store(value, place)
            return y

        def keep(self, builder):
            for held, place in zip(self._held, self._places, strict=True):
                builder.store(builder.load(held), place).align = 8

    def _load(builder, place):
        value = builder.load(place)
        value.align = 8
        return value

    def _pipeline(num_vectors, signals):
        """The code of an intrinsic of five int64. ``samples``: the address of doubles (count + LAG * (sections - 1), signals),
        where what enters at i leaves at i + LAG * (sections - 1); ``sections``: that many, the last of them in the last vector;
        ``fixed``, ``state``: the addresses of doubles (5, LANES) and (2, LANES), lane = signals * section + signal; states are
        updated."""

        def code(context, builder, signature, arguments):
            samples, count, sections, fixed, state = arguments
            samples = builder.inttoptr(samples, ir.DoubleType().as_pointer())
            fixed, state = (builder.inttoptr(a, _VECTOR.as_pointer()) for a in (fixed, state))
            vectors = []
            for v in range(num_vectors):
                places = [[builder.gep(p, [_INDEX(MOST_VECTORS * k + v)]) for k in range(n)] for p, n in ((fixed, 5), (state, 2))]
                vectors.append(_Vector(builder, *places, v * WIDTH // signals, signals))
            last = builder.sub(sections, _INDEX(1))
            fill = builder.mul(last, _INDEX(LAG))
            last_lane = builder.sub(builder.mul(last, _INDEX(signals)), _INDEX(WIDTH * (num_vectors - 1)))

            def step(index, masked):
                first = builder.mul(index, _INDEX(signals))
                places = [builder.gep(samples, [builder.add(first, _INDEX(k))]) for k in range(signals)]
                before = ir.Constant(_VECTOR, ir.Undefined)  # its last lanes go into the first ones of the next vector
                for k, place in enumerate(places):
                    before = builder.insert_element(before, builder.load(place), _LANE(WIDTH - signals + k))
                for vector in vectors:
                    said = vector.last_heard(builder)
                    x = _shuffled(builder, before, said, [WIDTH - signals + k for k in range(WIDTH)])
                    y = vector.advance(builder, x, vector.working(builder, index, count) if masked else None)
                    before = said
                for k, place in enumerate(places):
                    lane = builder.trunc(builder.add(last_lane, _INDEX(k)), _LANE)
                    builder.store(builder.extract_element(y, lane), place)

            full = builder.select(builder.icmp_signed(">", count, fill), count, fill)
            for start, end, masked in ((_INDEX(0), fill, True), (fill, full, False), (full, builder.add(count, fill), True)):
                with cgutils.for_range(builder, end, start=start) as loop:
                    step(loop.index, masked)
            for vector in vectors:
                vector.keep(builder)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 5), code

    def _intrinsic(num_vectors, signals):
        @intrinsic
        def pipeline(typing_context, samples, count, sections, fixed, state):
            return _pipeline(num_vectors, signals)

        return pipeline

    # 1 to 4, 5 to 8 and 9 to 12 sections of one signal
    one_vector, two_vectors, three_vectors = (_intrinsic(n, 1) for n in range(1, MOST_VECTORS + 1))
    # 1 or 2, 3 or 4 and 5 or 6 sections of two signals
    one_vector_of_two, two_vectors_of_two, three_vectors_of_two = (_intrinsic(n, 2) for n in range(1, MOST_VECTORS + 1))
