"""Train a proxy: uniform random controls, cuts at random, MR-STFT + 100 L1 to the real render.

Three things make it learn: the network starts as the identity (see ``tcn``), for an equaliser with its bands laid out (see
``filterbank``); every item is brought to one level before the loss, or the few that an equaliser lifts by 40 dB would be all
that counts; the learning rate warms up and then falls along a cosine, which a time limit bends so that both end together.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from stylefx.differentiable.losses import FFT_SIZES, MultiResolutionSTFTLoss, StyleTransferLoss
from stylefx.effects.chain import EffectChain
from stylefx.errors import UserError
from stylefx.experiments.recordings import TrainingRecordings
from stylefx.keyed import integer
from stylefx.strategies.black_box import NumpyChain, render_batch
from stylefx.strategies.filterbank import start_as_filterbank
from stylefx.strategies.proxy import Proxy

HELD_OUT_ITEMS, HELD_OUT_FRAMES = 32, 65536


WARM_UP_STEPS = 60


CURVE_STEPS = 20  # a point of the curve is the mean over so many


STARTS = {"identity": lambda tcn: None, "filterbank": start_as_filterbank}


SIGNAL_RATE = {"identity": 1.0, "filterbank": 0.1}  # of the learning rate, for all but FiLM: bands laid out are not to be shaken


LEVEL = 0.03  # RMS at which an item meets the loss


def fitting_fft_sizes(frames: int) -> tuple[int, ...]:
    """The loss's resolutions that a cut of so many samples has room for."""
    return tuple(size for size in FFT_SIZES if frames > size // 2)


@dataclass(frozen=True)
class ProxyTraining:
    """How a proxy is trained; ``frames`` in samples at ``sample_rate`` Hz. ``minutes`` ends the training before ``steps``.
    ``start``: one of STARTS."""

    sample_rate: float = 24000.0
    steps: int = 20_000
    batch: int = 8
    frames: int = 65536
    learning_rate: float = 1e-3
    seed: int = 0
    minutes: float | None = None
    start: str = "identity"

    @property
    def fft_sizes(self) -> tuple[int, ...]:
        return fitting_fft_sizes(self.frames)

    def __post_init__(self) -> None:
        if self.start not in STARTS:
            raise UserError(f"a proxy cannot start as {self.start!r}; known: {', '.join(STARTS)}")

    def progress(self, step: int, seconds: float) -> float:
        """How much of the training is over, 0 to 1, by steps or by time, whichever is further."""
        return max(step / self.steps, seconds / (60.0 * self.minutes) if self.minutes else 0.0)

    def learning_rate_at(self, step: int, progress: float) -> float:
        return self.learning_rate * min(1.0, (step + 1) / WARM_UP_STEPS) * 0.5 * (1.0 + math.cos(math.pi * min(progress, 1.0)))


def train_proxy(
    chain: EffectChain,
    recordings: TrainingRecordings,
    training: ProxyTraining,
    network: dict[str, int] | None = None,
    device: str = "cpu",
    on_step: Callable[[int, float, float], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> tuple[Proxy, dict[str, Any]]:
    """The trained proxy and a record: configuration, loss curve, error to the real render on held-out recordings.

    ``on_step`` gets the steps done, the loss and the progress. ``stop`` is asked before every step but the first; what was
    learned until then is returned.
    """
    torch.manual_seed(integer(training.seed, "proxy-weights") % 2**63)
    proxy = Proxy(chain, training.sample_rate, network).to(device)
    STARTS[training.start](proxy.tcn)
    neutral = _without_makeup(proxy)
    loss_of = StyleTransferLoss(fft_sizes=training.fft_sizes).to(device)
    optimiser, shares = _optimiser(proxy, training)
    render, curve, recent, step, started = NumpyChain(chain), [], [], 0, time.monotonic()
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        while (progress := training.progress(step, time.monotonic() - started)) < 1.0 and not (step and stop and stop()):
            audio = recordings.batch(step, training.batch).to(device)
            controls = neutral(recordings.controls(step, training.batch, chain)).to(device)
            target = render_batch(render, audio, controls, training.sample_rate, pool)
            gain = _gain_to_level(audio, target)
            loss = loss_of(proxy(audio, controls) * gain, target * gain)
            for group, share in zip(optimiser.param_groups, shares, strict=True):
                group["lr"] = share * training.learning_rate_at(step, progress)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(proxy.parameters(), 4.0)
            optimiser.step()
            recent.append(float(loss.detach()))
            step += 1
            if on_step:
                on_step(step, recent[-1], training.progress(step, time.monotonic() - started))
            if len(recent) == CURVE_STEPS:
                curve.append([step, sum(recent) / len(recent)])
                recent = []
    proxy.requires_grad_(False).eval()
    record = {
        "configuration": asdict(training),
        "steps": step,
        "seconds": round(time.monotonic() - started, 1),
        "curve": curve,
        "held_out": proxy_error(proxy, recordings),
    }
    return proxy, record


def _optimiser(proxy: Proxy, training: ProxyTraining) -> tuple[torch.optim.Adam, tuple[float, float]]:
    """Adam on what hears the knobs and on what hears the sound, with the share of the learning rate that each gets."""
    groups: tuple[list[Any], list[Any]] = [], []
    for name, parameter in proxy.named_parameters():
        groups[not (".condition." in name or ".film." in name)].append(parameter)
    return torch.optim.Adam([{"params": g} for g in groups], lr=training.learning_rate), (1.0, SIGNAL_RATE[training.start])


def _gain_to_level(audio: Tensor, target: Tensor) -> Tensor:
    """(batch, 1, 1): brings the louder of input and target to LEVEL. By the target alone, what a compressor pushes down by
    60 dB would be lifted as much, and any rest of the input with it."""
    power = torch.maximum(audio.square().mean((1, 2), keepdim=True), target.square().mean((1, 2), keepdim=True))
    return LEVEL / power.sqrt().clamp_min(3e-3)


def _without_makeup(proxy: Proxy) -> Callable[[Tensor], Tensor]:
    """Training happens at 0 dB make-up: the gain is applied analytically and would only scale the loss."""

    def neutral(controls: Tensor) -> Tensor:
        if proxy.makeup is None:
            return controls
        controls = controls.clone()
        controls[:, proxy.makeup] = proxy.chain.parameters[proxy.makeup].to_control(0.0)
        return controls

    return neutral


def proxy_error(
    proxy: Proxy, recordings: TrainingRecordings, items: int = HELD_OUT_ITEMS, frames: int = HELD_OUT_FRAMES
) -> dict[str, float]:
    """Error to the real render with random controls on held-out recordings: median relative RMS in dB, mean MR-STFT, beside
    the same distances of the unprocessed input."""
    device = next(proxy.parameters()).device
    audio = recordings.batch(0, items, held_out=True, frames=frames)
    controls = _without_makeup(proxy)(recordings.controls(0, items, proxy.chain, held_out=True))
    distance = MultiResolutionSTFTLoss(fitting_fft_sizes(frames))
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool, torch.no_grad():
        target = render_batch(NumpyChain(proxy.chain), audio, controls, proxy.sample_rate, pool)
        output = torch.cat([proxy(a[None].to(device), c[None].to(device)).cpu() for a, c in zip(audio, controls, strict=True)])

        def relative_db(x: Tensor) -> float:
            return float((10 * torch.log10((x - target).square().mean((1, 2)) / target.square().mean((1, 2)))).median())

        return {
            "relative_rms_db": relative_db(output),
            "mr_stft": float(distance(output, target)),
            "input_relative_rms_db": relative_db(audio),
            "input_mr_stft": float(distance(audio, target)),
            "items": items,
            "frames": frames,
        }
