"""The branching smoother of the dynamics alone, and its adjoint, compiled for the CPU."""

from __future__ import annotations

from stylefx.differentiable.operators.compiled.jit import TINY, recursion_kernel


@recursion_kernel
def smooth_items(first, last, reduction, rise, fall, out):
    """The smoother alone, rows first..last of reduction and out float64 (items, n); rise and fall (items,)."""
    for item in range(first, last):
        y = 0.0
        for i in range(reduction.shape[1]):
            r = reduction[item, i]
            y += (rise[item] if r > y else fall[item]) * (r - y)
            y = y if abs(y) > TINY else 0.0
            out[item, i] = y


@recursion_kernel
def smooth_adjoint_items(first, last, sign, reduction, rise, fall, smooth, upstream, d_reduction, d_rise, d_fall):
    """Gradients of ``smooth_items``: upstream and d_reduction float64 (items, n), d_rise and d_fall (items,)."""
    for item in range(first, last):
        carried, risen, fallen, tied_rises = 0.0, 0.0, 0.0, sign < 0.0
        for i in range(reduction.shape[1] - 1, -1, -1):
            difference = reduction[item, i] - (smooth[item, i - 1] if i > 0 else 0.0)
            rising = (difference > 0.0) | ((difference == 0.0) & tied_rises)  # "or" would be a jump, and often one not foreseen
            value = carried + upstream[item, i]
            k = rise[item] if rising else fall[item]
            product = value * difference
            of_rise = product if rising else 0.0
            risen, fallen = risen + of_rise, fallen + (product - of_rise)
            d_reduction[item, i] = k * value
            carried = (1.0 - k) * value
            carried = carried if abs(carried) > TINY else 0.0
        d_rise[item] += risen
        d_fall[item] += fallen
