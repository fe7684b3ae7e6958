"""NP, NP-HH, NP-FH: gradients through frozen proxies.

    strategy   forward in training   gradient                forward in evaluation
    NP         proxy                 through the proxy       proxy
    NP-HH      proxy                 through the proxy       real DSP
    NP-FH      real DSP              through the proxy       real DSP

A strategy holds one proxy per effect of its chain, or a single one of the whole chain. The proxies' weights are part of the
state dict, so that a checkpoint needs no other file; the description of their networks is part of the options.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self, cast

import torch
from torch import Tensor, nn

from stylefx.effects.chain import EffectChain
from stylefx.errors import UserError
from stylefx.strategies.base import Strategy
from stylefx.strategies.black_box import make_black_box, render_batch
from stylefx.strategies.proxy import Proxy, load_proxy


class _ProxyStrategy(Strategy):
    """``proxies``: paths of trained proxies, in the chain's order, or descriptions from a checkpoint's options."""

    def __init__(
        self,
        chain: EffectChain,
        sample_rate: float,
        proxies: Sequence[str | dict[str, Any] | Proxy],
        render: str = "numpy",
        threads: int | None = None,
    ):
        super().__init__(chain, sample_rate)
        if len(proxies) not in (1, len(chain.slots)):
            raise UserError(
                f"the chain has {len(chain.slots)} effects: give a proxy for each, or one for all; got {len(proxies)}"
            )
        parts = [chain] if len(proxies) == 1 else [EffectChain((slot,)) for slot in chain.slots]
        self.proxies = nn.ModuleList()
        for part, proxy in zip(parts, proxies, strict=True):
            if isinstance(proxy, str | os.PathLike):
                proxy = load_proxy(proxy)
            elif isinstance(proxy, dict):
                proxy = Proxy(part, sample_rate, proxy["network"])
            proxy.check(part, sample_rate)
            self.proxies.append(proxy.requires_grad_(False))
        self._render, self._threads = render, threads
        self.black_box = make_black_box(render, chain)
        self._pool = ThreadPoolExecutor(threads or os.cpu_count() or 1)

    def options(self) -> dict[str, Any]:
        return {"proxies": [{"network": p.tcn.shape} for p in self.proxies], "render": self._render, "threads": self._threads}

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        self.proxies.eval()  # frozen
        return self

    def imitate(self, audio: Tensor, controls: Tensor, sample_rate: float) -> Tensor:
        """The proxies in series."""
        if float(sample_rate) != self.sample_rate:
            for proxy in cast("Iterable[Proxy]", self.proxies):
                proxy.check(proxy.chain, sample_rate)
        start = 0
        for proxy in cast("Iterable[Proxy]", self.proxies):
            count = proxy.chain.num_controls
            audio = proxy(audio, controls[:, start : start + count])
            start += count
        return audio

    def real(self, audio: Tensor, controls: Tensor, sample_rate: float) -> Tensor:
        """The real effects, without a gradient."""
        return render_batch(self.black_box, audio, controls, sample_rate, self._pool)


class NeuralProxy(_ProxyStrategy):
    """NP: the proxy in training and at inference."""

    name = "np"

    @property
    def renders_settings(self) -> bool:
        return False

    def forward(self, audio: Tensor, controls: Tensor, sample_rate: float) -> Tensor:
        return self.imitate(audio, controls, sample_rate)


class NeuralProxyHalfHybrid(_ProxyStrategy):
    """NP-HH: the proxy in training, the real effects in evaluation."""

    name = "np-hh"

    def forward(self, audio: Tensor, controls: Tensor, sample_rate: float) -> Tensor:
        return (self.imitate if self.training else self.real)(audio, controls, sample_rate)


class NeuralProxyFullHybrid(_ProxyStrategy):
    """NP-FH: the real effects forward, always; the gradient goes through the proxy (straight-through)."""

    name = "np-fh"

    def forward(self, audio: Tensor, controls: Tensor, sample_rate: float) -> Tensor:
        output = self.real(audio, controls, sample_rate)
        if not (torch.is_grad_enabled() and (controls.requires_grad or audio.requires_grad)):
            return output
        proxy = self.imitate(audio, controls, sample_rate)
        return output + (proxy - proxy.detach())  # the bracket is exactly zero; only its gradient counts
