"""The steps of a Fourier transform as vector instructions: a vector holds one number of each of 16 signals.

Signals side by side need no shuffling inside a transform and have no remainder, whatever the size; LLVM splits the vectors into
those that the processor has. No sum is reordered, and multiply-adds have one rounding where they are written down and nowhere
else: the same bits on every processor. A number of all signals is LANES real parts, then LANES imaginary parts, float32;
addresses and distances are in bytes.

``lanes`` states a digest of this file, which changes with it: numba's cache knows a kernel by the content of its own file alone.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

LANES = 16

if TYPE_CHECKING:

    def butterflies_2(source: Any, step: Any, target: Any, spread: Any, turns: Any, count: Any) -> Any:
        """What a kernel sees of the intrinsic below."""

    butterflies_3 = butterflies_4 = butterflies_5 = butterflies_2

    def part_ways(near: Any, far: Any, near_out: Any, far_out: Any, turn: Any, scale: Any) -> Any:
        """What a kernel sees of the intrinsic below."""

    part_ways_back = part_ways

else:
    from llvmlite import ir
    from numba import types
    from numba.core import cgutils
    from numba.extending import intrinsic

    from stylefx.effects.kernels.jit import vector_fma

    _FLOAT = ir.FloatType()
    _VECTOR = ir.VectorType(_FLOAT, LANES)
    _SIZE = LANES * 4

    class _Complex(NamedTuple):
        re: Any
        im: Any

    class _Code:
        """Instructions on complex vectors."""

        def __init__(self, builder):
            self.b = builder

        def place(self, base, offset, kind):
            return self.b.inttoptr(self.b.add(base, offset), kind.as_pointer())

        def at(self, base, k, distance):
            return self.b.add(base, self.b.mul(distance, ir.Constant(distance.type, k)))

        def load_part(self, address, part, kind=_VECTOR):
            value = self.b.load(self.place(address, ir.Constant(address.type, part), kind))
            value.align = 4
            return value

        def load(self, address):
            return _Complex(self.load_part(address, 0), self.load_part(address, _SIZE))

        def store(self, address, value):
            for part, number in zip((0, _SIZE), value, strict=True):
                self.b.store(number, self.place(address, ir.Constant(address.type, part), _VECTOR)).align = 4

        def spread(self, address, part):
            """One float32 of memory in all lanes."""
            one = self.load_part(address, part, _FLOAT)
            first = self.b.insert_element(ir.Constant(_VECTOR, ir.Undefined), one, ir.Constant(ir.IntType(32), 0))
            mask = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
            return self.b.shuffle_vector(first, ir.Constant(_VECTOR, ir.Undefined), mask)

        def constant(self, value):
            return ir.Constant(_VECTOR, [value] * LANES)

        def add(self, x, y):
            return _Complex(self.b.fadd(x.re, y.re), self.b.fadd(x.im, y.im))

        def sub(self, x, y):
            return _Complex(self.b.fsub(x.re, y.re), self.b.fsub(x.im, y.im))

        def scaled(self, x, factor):
            return _Complex(self.b.fmul(x.re, factor), self.b.fmul(x.im, factor))

        def fma(self, a, b, c):
            return vector_fma(self.b, a, b, c)

        def more(self, x, y, value):
            """x + y value, of a real number."""
            factor = self.constant(value)
            return _Complex(self.fma(y.re, factor, x.re), self.fma(y.im, factor, x.im))

        def less_i(self, x, y):
            """x - i y, x + i y."""
            b = self.b
            return (
                _Complex(b.fadd(x.re, y.im), b.fsub(x.im, y.re)),
                _Complex(b.fsub(x.re, y.im), b.fadd(x.im, y.re)),
            )

        def less_i_times(self, x, y, value):
            """x - i y value, x + i y value."""
            plus, minus = self.constant(value), self.constant(-value)
            return (
                _Complex(self.fma(y.im, plus, x.re), self.fma(y.re, minus, x.im)),
                _Complex(self.fma(y.im, minus, x.re), self.fma(y.re, plus, x.im)),
            )

        def mul(self, x, w):
            b = self.b
            re = self.fma(b.fneg(x.im), w.im, b.fmul(x.re, w.re))
            return _Complex(re, self.fma(x.im, w.re, b.fmul(x.re, w.im)))

    def _of_two(c, x):
        return [c.add(x[0], x[1]), c.sub(x[0], x[1])]

    def _of_three(c, x):
        both = c.add(x[1], x[2])
        return [c.add(x[0], both), *c.less_i_times(c.more(x[0], both, -0.5), c.sub(x[1], x[2]), math.sqrt(0.75))]

    def _of_four(c, x):
        even, odd = c.add(x[0], x[2]), c.add(x[1], x[3])
        low, high = c.less_i(c.sub(x[0], x[2]), c.sub(x[1], x[3]))
        return [c.add(even, odd), low, c.sub(even, odd), high]

    def _of_five(c, x):
        outer, inner = c.add(x[1], x[4]), c.add(x[2], x[3])
        apart, within = c.sub(x[1], x[4]), c.sub(x[2], x[3])
        c1, c2 = math.cos(math.tau / 5), math.cos(2 * math.tau / 5)
        s1, s2 = math.sin(math.tau / 5), math.sin(2 * math.tau / 5)
        near = c.more(c.more(x[0], outer, c1), inner, c2)
        far = c.more(c.more(x[0], outer, c2), inner, c1)
        first, fourth = c.less_i_times(near, c.more(apart, within, s2 / s1), s1)
        second, third = c.less_i_times(far, c.more(within, apart, -s2 / s1), -s1)
        return [c.add(c.add(x[0], outer), inner), first, second, third, fourth]

    _SHORT = {2: _of_two, 3: _of_three, 4: _of_four, 5: _of_five}

    def _butterflies(radix):
        """The intrinsic of ``count`` short transforms of neighbouring numbers, whose inputs lie ``step`` and whose outputs lie
        ``spread`` apart. The outputs but the first are then turned by the complex float32 at ``turns``, unless that is 0."""

        def loop(c, source, step, target, spread, around, count):
            with cgutils.for_range(c.b, count) as loop:
                here, there = (c.at(base, 2 * _SIZE, loop.index) for base in (source, target))
                first, *others = _SHORT[radix](c, [c.load(c.at(here, k, step)) for k in range(radix)])
                if around:
                    others = [c.mul(value, turn) for value, turn in zip(others, around, strict=True)]
                for k, value in enumerate((first, *others)):
                    c.store(c.at(there, k, spread), value)

        @intrinsic
        def transforms(typing_context, source, step, target, spread, turns, count):
            def code(context, builder, signature, arguments):
                c = _Code(builder)
                *places, turns, count = arguments
                with builder.if_else(builder.icmp_unsigned("!=", turns, ir.Constant(turns.type, 0))) as (turned, last):
                    with turned:
                        around = [_Complex(c.spread(turns, 8 * k), c.spread(turns, 8 * k + 4)) for k in range(radix - 1)]
                        loop(c, *places, around, count)
                    with last:
                        loop(c, *places, [], count)
                return context.get_dummy_value()

            return types.void(*[types.int64] * 6), code

        return transforms

    butterflies_2, butterflies_3, butterflies_4, butterflies_5 = (_butterflies(radix) for radix in (2, 3, 4, 5))

    def _part_ways(exchanged):
        """Bins k (near) and n - k (far) of a transform of pairs of samples <-> those of the transform of all samples.

        E = (z_k + conj z_f) scale, O = (z_k - conj z_f) turn, then E + O and conj(E - O); ``turn``: a complex float32, scaled
        too. ``exchanged``: real and imaginary parts change places in what is stored, as a transform back needs them.
        """

        def code(context, builder, signature, arguments):
            c = _Code(builder)
            near, far, near_out, far_out, turn, scale = arguments
            x, y = c.load(near), c.load(far)
            y = _Complex(y.re, builder.fneg(y.im))
            factor = c.spread(scale, 0)
            even = c.scaled(c.add(x, y), factor)
            odd = c.mul(c.sub(x, y), _Complex(c.spread(turn, 0), c.spread(turn, 4)))
            last = c.sub(even, odd)
            for address, value in ((near_out, c.add(even, odd)), (far_out, _Complex(last.re, builder.fneg(last.im)))):
                c.store(address, value[::-1] if exchanged else value)
            return context.get_dummy_value()

        return types.void(*[types.int64] * 6), code

    @intrinsic
    def part_ways(typing_context, near, far, near_out, far_out, turn, scale):
        """From the transform of pairs."""
        return _part_ways(exchanged=False)

    @intrinsic
    def part_ways_back(typing_context, near, far, near_out, far_out, turn, scale):
        """To the transform of pairs, exchanged."""
        return _part_ways(exchanged=True)
