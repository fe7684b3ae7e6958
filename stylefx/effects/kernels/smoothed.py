"""Levels, static curve and smoother of ``dynamics`` in one loop over WIDTH samples at a time, written as vector instructions.

Level and static curve of a sample wait for no other sample, so vectors hold them. The smoother waits for itself from sample
to sample; meanwhile the processor has time for the vectors of the next WIDTH samples, as they are near enough in the program
for it to see them. A sample meets the operations of the plain loops of ``dynamics``, in the same order, with the same
rounding: the same bits.

numba's cache knows a kernel by the content of its own file: change that too where something changes here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

WIDTH = 8
#: log2 m = s P(s^2), s = (m - 1) / (m + 1), m in [2/3, 4/3): P from the highest power down
LOG2 = (0.3407256187413615, 0.4116729645151736, 0.5770835808404059, 0.9617966733629311, 2.8853900817900757)

if TYPE_CHECKING:

    def smoothed_reductions(peak: Any, count: Any, curve: Any, smoother: Any, out: Any, y: Any) -> Any:
        """What a kernel sees of the intrinsic below."""

    def smoothed_reductions_of_two(
        peaks: Any, apart: Any, count: Any, constants: Any, out: Any, out_apart: Any, states: Any
    ) -> Any:
        """What a kernel sees of the intrinsic below."""

else:
    from llvmlite import ir
    from numba import types
    from numba.core import cgutils
    from numba.extending import intrinsic

    from stylefx.effects.kernels.jit import vector_fma

    _DOUBLE, _INT32, _INDEX = ir.DoubleType(), ir.IntType(32), ir.IntType(64)
    _VECTOR, _FLOATS, _INTS = (ir.VectorType(t, WIDTH) for t in (_DOUBLE, ir.FloatType(), _INT32))

    def _all(builder, value):
        """A double in all lanes."""
        empty = ir.Constant(_VECTOR, ir.Undefined)
        only = builder.insert_element(empty, value, _INT32(0))
        return builder.shuffle_vector(only, empty, ir.Constant(_INTS, [0] * WIDTH))

    def _same(kind, value):
        return ir.Constant(kind, [value] * WIDTH)

    def _larger(builder, a, b):
        return builder.select(builder.fcmp_ordered(">", a, b), a, b)

    def _smaller(builder, a, b):
        return builder.select(builder.fcmp_ordered("<", a, b), a, b)

    def _reductions(builder, peak, unit, offset, half_knee, inverse, slope, limit):
        """``dynamics._reductions`` of WIDTH peaks."""
        bits = builder.bitcast(peak, _INTS)
        exponent = builder.ashr(builder.sub(bits, _same(_INTS, 0x3F2AAAAB)), _same(_INTS, 23))
        mantissa = builder.bitcast(builder.sub(bits, builder.shl(exponent, _same(_INTS, 23))), _FLOATS)
        m, one, zero = builder.fpext(mantissa, _VECTOR), _same(_VECTOR, 1.0), _same(_VECTOR, 0.0)
        s = builder.fdiv(builder.fsub(m, one), builder.fadd(m, one))
        square = builder.fmul(s, s)
        series = _same(_VECTOR, LOG2[0])
        for coefficient in LOG2[1:]:
            series = vector_fma(builder, square, series, _same(_VECTOR, coefficient))
        octaves = builder.fadd(builder.sitofp(exponent, _VECTOR), builder.fmul(s, series))
        d = builder.fadd(builder.fmul(unit, octaves), offset)
        knee = builder.fmul(_same(_VECTOR, 2.0), half_knee)
        inside = _smaller(builder, _larger(builder, builder.fadd(d, half_knee), zero), knee)
        above = _larger(builder, builder.fsub(d, half_knee), zero)
        height = builder.fadd(builder.fmul(builder.fmul(inside, inside), inverse), above)
        return _smaller(builder, builder.fmul(slope, height), limit)

    class _Ring:
        """Steps of the smoother's rising and falling, b r, of the samples that it is at and of the next WIDTH. They pass through
        memory, of which single doubles cost nothing to read."""

        def __init__(self, builder, rise, fall):
            self._factors = _all(builder, rise), _all(builder, fall)
            self._place = cgutils.alloca_once(builder, ir.ArrayType(ir.ArrayType(ir.ArrayType(_DOUBLE, WIDTH), 2), 2))

        def _at(self, builder, group, *more):
            half = builder.and_(group, _INDEX(1))
            return builder.gep(self._place, [_INDEX(0), half, *(_INDEX(index) for index in more)])

        def put(self, builder, group, reductions):
            for which, factor in enumerate(self._factors):
                place = builder.bitcast(self._at(builder, group, which), _VECTOR.as_pointer())
                builder.store(builder.fmul(reductions, factor), place).align = 8

        def take(self, builder, group, k):
            return (builder.load(self._at(builder, group, which, k)) for which in range(2))

    class _Signal:
        """What one signal needs: constants, the ring, the smoother's state."""

        def __init__(self, builder, peak, curve, smoother, out, y):
            self._peak = builder.inttoptr(peak, _FLOATS.as_pointer())
            curve, smoother, self._out = (builder.inttoptr(a, _DOUBLE.as_pointer()) for a in (curve, smoother, out))
            self._curve = [_all(builder, builder.load(builder.gep(curve, [_INDEX(k)]))) for k in range(6)]
            constants = [builder.load(builder.gep(smoother, [_INDEX(k)])) for k in range(4)]
            self._a_rise, b_rise, self._a_fall, b_fall = constants
            # max(p, q) where it rises faster than it falls, else min(p, q) = -max(-p, -q): the state and b change their signs
            faster = builder.fcmp_ordered("<=", self._a_rise, self._a_fall)
            self._sign = builder.select(faster, _DOUBLE(1.0), _DOUBLE(-1.0))
            self._ring = _Ring(builder, builder.fmul(self._sign, b_rise), builder.fmul(self._sign, b_fall))
            self._state = cgutils.alloca_once_value(builder, builder.fmul(self._sign, y))

        def read(self, builder, group):
            peaks = builder.load(builder.gep(self._peak, [group]))
            peaks.align = 4
            self._ring.put(builder, group, _reductions(builder, peaks, *self._curve))

        def advance(self, builder, group, first, k):
            rise, fall = self._ring.take(builder, group, k)
            y = builder.load(self._state)
            y = _larger(builder, vector_fma(builder, self._a_rise, y, rise), vector_fma(builder, self._a_fall, y, fall))
            builder.store(builder.fmul(self._sign, y), builder.gep(self._out, [builder.add(first, _INDEX(k))]))
            builder.store(y, self._state)

        def state(self, builder):
            return builder.fmul(self._sign, builder.load(self._state))

    def _run(builder, signals, count):
        """Signals take turns at every sample: while one's smoother waits for itself, another's goes on."""
        for signal in signals:
            signal.read(builder, _INDEX(0))
        with cgutils.for_range(builder, builder.udiv(count, _INDEX(WIDTH))) as loop:
            for signal in signals:
                signal.read(builder, builder.add(loop.index, _INDEX(1)))
            first = builder.mul(loop.index, _INDEX(WIDTH))
            for k in range(WIDTH):
                for signal in signals:
                    signal.advance(builder, loop.index, first, k)

    @intrinsic
    def smoothed_reductions(typing_context, peak, count, curve, smoother, out, y):
        """Peaks -> smoothed reductions in dB. The addresses of float32 (count + WIDTH,), of which the last WIDTH do not matter;
        count, a multiple of WIDTH; the addresses of the curve (6 doubles), of the smoother (4), and of doubles out (count,);
        the smoother's state, a double. Returns that state."""

        def code(context, builder, signature, arguments):
            peak, count, curve, smoother, out, y = arguments
            signal = _Signal(builder, peak, curve, smoother, out, y)
            _run(builder, [signal], count)
            return signal.state(builder)

        return types.float64(*[types.int64] * 5, types.float64), code

    @intrinsic
    def smoothed_reductions_of_two(typing_context, peaks, apart, count, constants, out, out_apart, states):
        """The same for two signals of their own curves and smoothers: the second's peaks lie ``apart`` bytes behind the first's,
        its constants (curve, then smoother) behind those, its output ``out_apart`` bytes; ``states``, two doubles, change."""

        def code(context, builder, signature, arguments):
            peaks, apart, count, constants, out, out_apart, states = arguments
            states = builder.inttoptr(states, _DOUBLE.as_pointer())
            signals = []
            for number in range(2):
                place = builder.gep(states, [_INDEX(number)])
                curve = builder.add(constants, _INDEX(80 * number))
                addresses = peaks, curve, builder.add(curve, _INDEX(48)), out
                signals.append(_Signal(builder, *addresses, builder.load(place)))
                peaks, out = builder.add(peaks, apart), builder.add(out, out_apart)
            _run(builder, signals, count)
            for number, signal in enumerate(signals):
                builder.store(signal.state(builder), builder.gep(states, [_INDEX(number)]))
            return context.get_dummy_value()

        return types.void(*[types.int64] * 7), code
