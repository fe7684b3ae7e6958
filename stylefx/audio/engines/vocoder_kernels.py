"""The loops of the phase vocoder. Spectra are (frames, channels, bins)."""

from __future__ import annotations

import math

import numpy as np

from stylefx.effects.kernels.jit import kernel

_SPAN = 8  # bins: more than most have around a peak


@kernel
def overlap_add(frames, window, hop, start, out):
    """Add windowed frames (frames, channels, window) to out (channels, n), the first at ``start``, which may be negative."""
    size, length = len(window), out.shape[1]
    for i in range(frames.shape[0]):
        at = start + i * hop
        first, last = max(0, -at), min(size, length - at)
        for c in range(frames.shape[1]):
            part, taper, source = out[c, at + first : at + last], window[first:last], frames[i, c, first:last]
            for j in range(last - first):
                part[j] += source[j] * taper[j]


@kernel
def attack_bins(before, after, rise, out):
    """Bins whose power, over three bins and all channels, rises at least ``rise`` times, bool out (onsets, bins)."""
    bins = before.shape[2]
    old, new = np.zeros(bins + 2), np.zeros(bins + 2)
    for i in range(before.shape[0]):
        old[:], new[:] = 0.0, 0.0
        for c in range(before.shape[1]):
            for b in range(bins):
                old[b + 1] += before[i, c, b].real ** 2 + before[i, c, b].imag ** 2
                new[b + 1] += after[i, c, b].real ** 2 + after[i, c, b].imag ** 2
        for b in range(bins):
            out[i, b] = new[b] + new[b + 1] + new[b + 2] > rise * (old[b] + old[b + 1] + old[b + 2]) + 1e-12


@kernel
def propagate(now, earlier, last, which, flags, attacks):
    """Give the frames ``now`` the phases that continue the synthesis, in place.

    now, earlier: spectra at the analysis positions and one synthesis hop before them; last: the synthesis frame before
    the first, (channels, bins), overwritten by the last one. All spectra here are float32 with real and imaginary parts
    in turn. Around every spectral peak the bins turn together, by the turn that takes ``earlier`` to the synthesis frame
    before: a unit complex number, the same for all channels, so that the phases within a peak and between channels stay
    (identity phase locking). Where which[i] >= 0, the bins of that row of ``flags`` are taken from the next of
    ``attacks`` instead, unturned. A constant offset, a peak in bin 0, has no phase to turn: it is kept aside.
    """
    frames, bins = now.shape[0], now.shape[2] // 2
    power = np.zeros(bins + 4, np.float32)
    peaks, parts, units = np.zeros(bins, np.int64), np.zeros((2, bins), np.float32), np.zeros(2 * bins, np.float32)
    turns = np.zeros(2 * (bins + _SPAN), np.float32)  # with room behind for what is written too far
    turns[::2] = 1.0
    attack = 0
    for i in range(frames):
        _powers(now[i], power)
        offset = power[2] > power[3] and power[2] > power[4]
        if offset:
            _shift_means(now[i], 0.5)
            _shift_means(earlier[i], 0.5)
            _shift_means(last, 0.5)
            _powers(now[i], power)
            power[2], turns[0], turns[1] = 0.0, 1.0, 0.0
        count = _find_peaks(power, bins, peaks)
        _find_units(last, earlier[i], peaks[:count], int(offset), parts, units)
        _spread_units(peaks[:count], units.view(np.int64), int(offset), bins, turns.view(np.int64))
        _turn(now[i], turns[: 2 * bins], last)
        if which[i] >= 0:
            if offset:
                _shift_means(attacks[attack], 0.5)
            _copy_bins(attacks[attack], flags[which[i]], last)
            attack += 1
        if offset:
            _shift_means(last, -0.5)
        now[i] = last


@kernel
def _shift_means(spectra, share):
    """Add that share of bin 0 to bin 1: 0.5 removes the -1/2 of a constant that a Hann window leaves there, -0.5 puts it back."""
    for c in range(spectra.shape[0]):
        spectra[c, 2] += np.float32(share) * spectra[c, 0]
        spectra[c, 3] += np.float32(share) * spectra[c, 1]


@kernel
def _turn(spectra, turns, out):
    """Complex products of (channels, bins) with (bins,)."""
    for c in range(spectra.shape[0]):
        x, y = spectra[c], out[c]
        for b in range(len(turns) // 2):
            y[2 * b] = x[2 * b] * turns[2 * b] - x[2 * b + 1] * turns[2 * b + 1]
            y[2 * b + 1] = x[2 * b] * turns[2 * b + 1] + x[2 * b + 1] * turns[2 * b]


@kernel
def _copy_bins(spectra, flags, out):
    """The flagged bins of (channels, bins)."""
    for c in range(spectra.shape[0]):
        x, y = spectra[c], out[c]
        for b in range(len(flags)):
            if flags[b]:
                y[2 * b], y[2 * b + 1] = x[2 * b], x[2 * b + 1]


@kernel
def _powers(spectra, power):
    """Power per bin, summed over the channels, float32 (bins + 4) with two zeros at either end."""
    bins = spectra.shape[1] // 2
    for b in range(bins):
        power[b + 2] = spectra[0, 2 * b] * spectra[0, 2 * b] + spectra[0, 2 * b + 1] * spectra[0, 2 * b + 1]
    for c in range(1, spectra.shape[0]):
        for b in range(bins):
            power[b + 2] += spectra[c, 2 * b] * spectra[c, 2 * b] + spectra[c, 2 * b + 1] * spectra[c, 2 * b + 1]


@kernel
def _find_peaks(power, bins, peaks):
    """Bins that are larger than the two on either side; returns how many."""
    found = np.empty(bins, np.bool_)
    left, near_left, here, near_right, right = power[:-4], power[1:-3], power[2:-2], power[3:-1], power[4:]
    for b in range(bins):
        p = here[b]
        found[b] = (p > near_left[b]) & (p > left[b]) & (p >= near_right[b]) & (p >= right[b])
    count = 0
    for b in range(bins):  # written always and kept where it is one: no branch to guess
        peaks[count] = b
        count += found[b]
    return count


@kernel
def _find_units(last, earlier, peaks, low, parts, units):
    """The turn at each peak, of its bin and the two beside it, none below ``low``: units (2 x peaks), real and imaginary part in
    turn. parts: room, (2, bins)."""
    bins, count = last.shape[1] // 2, len(peaks)
    real, imaginary = parts[0, :bins], parts[1, :bins]
    real[:], imaginary[:] = np.float32(0.0), np.float32(0.0)
    for c in range(last.shape[0]):
        x, y = last[c], earlier[c]
        for b in range(bins):
            real[b] += x[2 * b] * y[2 * b] + x[2 * b + 1] * y[2 * b + 1]
            imaginary[b] += x[2 * b + 1] * y[2 * b] - x[2 * b] * y[2 * b + 1]
    for k in range(count):
        b = peaks[k]
        low_too, high_too = b - 1 >= low, b + 1 < bins
        near, far = b - 1 if low_too else b, b + 1 if high_too else b
        none = np.float32(0.0)
        units[2 * k] = (real[near] if low_too else none) + real[b] + (real[far] if high_too else none)
        units[2 * k + 1] = (imaginary[near] if low_too else none) + imaginary[b] + (imaginary[far] if high_too else none)
    for k in range(count):
        re, im = units[2 * k], units[2 * k + 1]
        size = np.float32(math.sqrt(re * re + im * im))
        sound = size > np.float32(1e-20)
        scale = np.float32(1.0) / (size if sound else np.float32(1.0))
        units[2 * k] = re * scale if sound else np.float32(1.0)
        units[2 * k + 1] = im * scale if sound else np.float32(0.0)


@kernel
def _spread_units(peaks, units, low, bins, turns):
    """One turn for the bins around each peak, from bin ``low`` on, up to the middle between peaks; silence (no peak) keeps
    the turns it had. _SPAN are written at once, and what is too far is overwritten by the next peak's. units, turns: a complex
    float32 as one int64 each."""
    for k in range(len(peaks)):
        high = bins if k + 1 == len(peaks) else (peaks[k] + peaks[k + 1]) // 2 + 1
        some, turn = turns[low : low + _SPAN], units[k]
        for b in range(_SPAN):
            some[b] = turn
        for b in range(low + _SPAN, high):
            turns[b] = turn
        low = high
