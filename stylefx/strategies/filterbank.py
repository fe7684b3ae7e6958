"""A start for equalisers: the channels of a TCN as bands whose gains FiLM turns, all of them at zero.

An equaliser's peak is a wire plus (gain - 1) times a band-pass whose phase at its centre is zero. So channel 0 is the wire, and
every other channel, in the block where it is born, is such a band; FiLM's scale there starts at -1, which makes 1 + scale = 0,
the band's (gain - 1). What is left to learn is how the knobs move the gains; nothing is fixed, bands, blocks and slopes train.
A block of dilation d cannot tell frequencies apart beyond 1 / (2 d): it listens to a low-passed channel of the block before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from stylefx.strategies.tcn import ConditionalTcn

LOWEST, HIGHEST = 0.001, 0.42  # centres in cycles per sample
_USABLE = 0.45  # of 1 / dilation
_GRID = np.geomspace(0.0004, 0.5, 600)


@dataclass(frozen=True)
class Channel:
    """``taps`` (kernel,), the oldest sample first as in a convolution's weight, listen to the channel ``source``."""

    number: int
    block: int
    source: int
    taps: np.ndarray
    band: bool


def design(width: int, kernel: int, dilations: Sequence[int]) -> list[Channel]:
    """Bands at centres that are evenly spaced in pitch; low-passed channels for the deeper blocks; channel 0 is the wire."""
    blocks = [b for b, d in enumerate(dilations) if _USABLE / d > 2.0 * LOWEST]
    blocks = blocks[: max(1, min(len(blocks), width // 4))]
    centres = np.geomspace(LOWEST, HIGHEST, max(width - len(blocks), 1))
    ratio = centres[1] / centres[0] if len(centres) > 1 else 2.0
    q = np.sqrt(ratio) / (ratio - 1.0)
    source, response, number, out = 0, np.ones(len(_GRID), dtype=complex), 1, []
    for block in blocks:
        last = block == blocks[-1]
        low = 0.0 if last else _USABLE / dilations[block + 1]
        for f in centres[(centres > low) & ((centres <= _USABLE / dilations[block]) | (block == 0))]:
            target = 1.0 / (1.0 + 1j * q * (_GRID / f - f / _GRID))
            if f == centres[0]:
                target = 1.0 / (1.0 + 1j * _GRID / (f * np.sqrt(ratio)))  # down to 0 Hz
            elif f == centres[-1]:
                target = 1.0 / (1.0 - 1j * f / np.sqrt(ratio) / _GRID)  # up to Nyquist
            out.append(Channel(number, block, source, _fit(response, dilations[block], kernel, target)[0], True))
            number += 1
        if not last:
            x = 1j * _GRID / low
            taps, heard = _fit(response, dilations[block], kernel, 1.0 / (1.0 + np.sqrt(2.0) * x + x**2))
            out.append(Channel(number, block, source, taps, False))
            source, response, number = number, response * heard, number + 1
    return out


def _fit(source: np.ndarray, dilation: int, kernel: int, target: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Least squares: the taps that make of a source's response nearly the target, and their own response on the grid."""
    delays = np.exp(-2j * np.pi * np.outer(_GRID, np.arange(kernel)) * dilation)
    matrix = source[:, None] * delays
    taps = np.linalg.lstsq(np.concatenate([matrix.real, matrix.imag]), np.concatenate([target.real, target.imag]), rcond=1e-3)[0]
    return taps[::-1].copy(), delays @ taps


@torch.no_grad()
def start_as_filterbank(tcn: ConditionalTcn) -> None:
    """Overwrite the weights; the network is the identity afterwards, as before."""
    width = tcn.shape["width"]
    for block in tcn.blocks:
        for silent in (*block.convolution.parameters(), block.residual.weight):
            silent.zero_()
        block.film.weight[width:] = 0.0
        block.film.bias.zero_()
        block.activation.weight.fill_(1.0)  # linear
        for number in range(1 if block is tcn.blocks[0] else width):
            block.residual.weight[number, number] = 1.0
    tcn.output.weight.zero_()
    tcn.output.weight[0, 0] = 1.0
    for channel in design(width, tcn.shape["kernel"], [b.convolution.dilation[0] for b in tcn.blocks]):
        block = tcn.blocks[channel.block]
        block.residual.weight[channel.number] = 0.0
        block.convolution.weight[channel.number, channel.source] = torch.from_numpy(channel.taps)
        block.film.weight[channel.number] = 0.0
        block.film.bias[channel.number] = -1.0 if channel.band else 0.0
        tcn.output.weight[0, channel.number] = 1.0 if channel.band else 0.0
