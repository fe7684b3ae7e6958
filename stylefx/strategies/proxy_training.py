"""Train a proxy: uniform random controls, recordings cut at random, MR-STFT + 100 L1 to the real render, Adam 3e-4."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from stylefx.audio import mix_down, read_audio, resample
from stylefx.differentiable.losses import FFT_SIZES, MultiResolutionSTFTLoss, StyleTransferLoss
from stylefx.effects.chain import EffectChain
from stylefx.errors import UserError
from stylefx.keyed import Draw, hex_digest, integer
from stylefx.strategies.black_box import NumpyChain, render_batch
from stylefx.strategies.proxy import Proxy

SUFFIXES = {".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff"}
HELD_OUT_SHARE = 0.1


def fitting_fft_sizes(frames: int) -> tuple[int, ...]:
    """The loss's resolutions that a cut of so many samples has room for."""
    return tuple(size for size in FFT_SIZES if frames > size // 2)


@dataclass(frozen=True)
class ProxyTraining:
    """How a proxy is trained; times in samples at ``sample_rate`` Hz."""

    sample_rate: float = 24000.0
    steps: int = 20_000
    batch: int = 8
    frames: int = 65536
    learning_rate: float = 3e-4
    seed: int = 0
    max_minutes: float = 60.0

    @property
    def fft_sizes(self) -> tuple[int, ...]:
        return fitting_fft_sizes(self.frames)


class Recordings:
    """Mono audio in memory, cut at random. Files are held out by the hash of their names."""

    def __init__(self, files: Sequence[Path], training: ProxyTraining):
        self.training = training
        self.waves: dict[bool, list[np.ndarray]] = {True: [], False: []}
        minutes, files = 0.0, sorted(files, key=lambda f: hex_digest("proxy-order", f.name))
        for i, file in enumerate(files):
            audio, rate = read_audio(file)
            wave = resample(mix_down(audio), rate, training.sample_rate)[0]
            if np.mean(wave**2) < 1e-7:
                continue
            held_out = integer("proxy-held-out", file.name) % 1000 < 1000 * HELD_OUT_SHARE if len(files) > 1 else i == 0
            self.waves[held_out].append(wave)
            minutes += len(wave) / training.sample_rate / 60.0
            if minutes >= training.max_minutes:
                break
        if not self.waves[False]:  # too few files to hold any out: the same recordings, other stretches
            self.waves[False] = self.waves[True]
        if not self.waves[True]:
            self.waves[True] = self.waves[False]
        if not self.waves[False]:
            raise UserError("no recording with audio in it was found; name a folder with WAV, FLAC, Ogg, MP3 or AIFF files")

    def batch(self, step: int, size: int, held_out: bool = False) -> Tensor:
        """(size, 1, frames), peaks between -30 and -3 dBFS, keyed by the step."""
        frames, out = self.training.frames, []
        waves = self.waves[held_out]
        lengths = np.array([len(w) for w in waves], dtype=np.float64)
        for item in range(size):
            draw = Draw(self.training.seed, f"proxy-{'test' if held_out else 'train'}", f"{step}-{item}")
            pieces, have = [], 0
            while have < frames:
                wave = draw.choice(waves, lengths)
                start = draw.integer(0, max(len(wave) - frames, 0))
                pieces.append(wave[start : start + frames - have])
                have += len(pieces[-1])
            cut = np.concatenate(pieces)
            peak = max(float(np.abs(cut).max()), 1e-6)
            out.append(cut * np.float32(10.0 ** (draw.uniform(-30.0, -3.0) / 20.0) / peak))
        return torch.from_numpy(np.stack(out)[:, None, :].astype(np.float32))

    def controls(self, step: int, size: int, chain: EffectChain, held_out: bool = False) -> Tensor:
        """(size, P) uniform in [0, 1]."""
        purpose = f"proxy-controls-{'test' if held_out else 'train'}"
        words = Draw(self.training.seed, purpose, str(step)).words(size * chain.num_controls)
        return torch.from_numpy(((words >> np.uint64(11)) * 2.0**-53).reshape(size, chain.num_controls)).float()


def find_recordings(path: str | Path) -> list[Path]:
    """All audio files below a folder, or the file itself."""
    path = Path(path)
    files = [path] if path.is_file() else sorted(f for f in path.rglob("*") if f.suffix.lower() in SUFFIXES)
    if not files:
        raise UserError(f"{path} holds no recordings ({', '.join(sorted(SUFFIXES))}); name a folder that does")
    return files


def train_proxy(
    chain: EffectChain,
    recordings: Recordings,
    training: ProxyTraining,
    network: dict[str, int] | None = None,
    device: str = "cpu",
    on_step: Callable[[int, float], None] | None = None,
) -> tuple[Proxy, dict]:
    """The trained proxy and a record: configuration, loss curve, error to the real render on held-out recordings."""
    torch.manual_seed(integer(training.seed, "proxy-weights") % 2**63)
    proxy = Proxy(chain, training.sample_rate, network).to(device)
    neutral = _without_makeup(proxy)
    loss_of = StyleTransferLoss(fft_sizes=training.fft_sizes).to(device)
    optimiser = torch.optim.Adam(proxy.parameters(), lr=training.learning_rate)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, [int(training.steps * 0.8), int(training.steps * 0.95)])
    render, curve, started = NumpyChain(chain), [], time.monotonic()
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for step in range(training.steps):
            audio = recordings.batch(step, training.batch).to(device)
            controls = neutral(recordings.controls(step, training.batch, chain)).to(device)
            target = render_batch(render, audio, controls, training.sample_rate, pool)
            loss = loss_of(proxy(audio, controls), target)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(proxy.parameters(), 4.0)
            optimiser.step()
            schedule.step()
            if step % 10 == 0 or step == training.steps - 1:
                curve.append([step, float(loss.detach())])
                if on_step:
                    on_step(step, curve[-1][1])
    proxy.requires_grad_(False).eval()
    record = {
        "configuration": asdict(training),
        "seconds": round(time.monotonic() - started, 1),
        "curve": curve,
        "held_out": proxy_error(proxy, recordings),
    }
    return proxy, record


def _without_makeup(proxy: Proxy) -> Callable[[Tensor], Tensor]:
    """Training happens at 0 dB make-up: the gain is applied analytically and would only scale the loss."""

    def neutral(controls: Tensor) -> Tensor:
        if proxy.makeup is None:
            return controls
        controls = controls.clone()
        controls[:, proxy.makeup] = proxy.chain.parameters[proxy.makeup].to_control(0.0)
        return controls

    return neutral


def proxy_error(proxy: Proxy, recordings: Recordings, items: int = 32) -> dict[str, float]:
    """Error to the real render with random controls on held-out recordings: median relative RMS in dB, mean MR-STFT, beside
    the same distances of the unprocessed input."""
    device = next(proxy.parameters()).device
    audio = recordings.batch(0, items, held_out=True)
    controls = _without_makeup(proxy)(recordings.controls(0, items, proxy.chain, held_out=True))
    distance = MultiResolutionSTFTLoss(recordings.training.fft_sizes)
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
        }
