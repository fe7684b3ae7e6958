"""A neural stand-in for effects: a conditional TCN, the chain it imitates, and the rate that it was trained at.

Make-up gain is not learned: a proxy imitates the effect at 0 dB make-up and multiplies by the gain, exactly.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as tensor_bytes
from torch import Tensor, nn

from stylefx.config.read import parse_json
from stylefx.effects.chain import EffectChain
from stylefx.errors import UserError
from stylefx.files.atomic import write_with_card
from stylefx.strategies.tcn import ConditionalTcn, decibels_to_gain

FORMAT, VERSION = "stylefx-proxy", 1
MAKEUP = "makeup_gain_db"


class Proxy(nn.Module):
    """audio (batch, channels, samples), controls (batch, P) in [0, 1] of ``chain`` -> an imitation of the chain's render."""

    def __init__(self, chain: EffectChain, sample_rate: float, network: dict[str, int] | None = None):
        super().__init__()
        self.chain, self.sample_rate = chain, float(sample_rate)
        names = [p.name for p in chain.parameters]
        last = chain.effects[-1].parameters
        # only the last effect's make-up gain commutes with all that follows
        self.makeup = len(names) - len(last) + [p.name for p in last].index(MAKEUP) if MAKEUP in [p.name for p in last] else None
        self._learned = [i for i in range(len(names)) if i != self.makeup]
        self.tcn = ConditionalTcn(len(self._learned), **(network or {}))

    def forward(self, audio: Tensor, controls: Tensor) -> Tensor:
        output = self.tcn(audio, controls[:, self._learned])
        if self.makeup is None:
            return output
        parameter = self.chain.parameters[self.makeup]
        gain_db = parameter.minimum + controls[:, self.makeup] * (parameter.maximum - parameter.minimum)
        return output * decibels_to_gain(gain_db)[:, None, None]

    def check(self, chain: EffectChain, sample_rate: float) -> None:
        """UserError unless the proxy was trained for exactly this chain (effects, ranges) and rate."""
        if self.chain.to_dict() != chain.to_dict() or self.chain.parameters != chain.parameters:
            raise UserError(
                f"the proxy imitates {_describe(self.chain)}, the chain has {_describe(chain)}; "
                "train one for these effects and ranges with `stylefx train-proxy`"
            )
        if self.sample_rate != float(sample_rate):
            raise UserError(
                f"the proxy was trained at {self.sample_rate:g} Hz and means nothing at {sample_rate:g} Hz; "
                "resample, or train one with `stylefx train-proxy --sample-rate`"
            )


def _describe(chain: EffectChain) -> str:
    return " + ".join(f"{e.name}({', '.join(f'{k}={v}' for k, v in e.config().items())})" for e in chain.effects)


def save_proxy(proxy: Proxy, path: str | Path, record: dict[str, Any] | None = None) -> None:
    """Write ``path`` (.safetensors) and a JSON file beside it; ``record`` says how it was trained.

    A kill leaves the old pair, the new pair, or weights without a JSON file, never new weights beside an old one.
    """
    path = Path(path).with_suffix(".safetensors")
    path.parent.mkdir(parents=True, exist_ok=True)
    data = tensor_bytes({k: v.detach().cpu().contiguous() for k, v in proxy.state_dict().items()})
    description = {
        "format": FORMAT,
        "version": VERSION,
        "chain": proxy.chain.to_dict(),
        "sample_rate": proxy.sample_rate,
        "network": proxy.tcn.shape,
        "sha256": hashlib.sha256(data).hexdigest(),
        "training": record or {},
    }
    write_with_card(path, data, path.with_suffix(".json"), (json.dumps(description, indent=1) + "\n").encode())


def read_card(path: str | Path) -> dict[str, Any]:
    """The description of a proxy: chain, rate, network, how it was trained and how well it imitates."""
    path = Path(path)
    try:
        description = parse_json(path.with_suffix(".json").read_text(encoding="utf-8"), "its JSON")
    except (OSError, ValueError, UserError) as error:
        raise UserError(f"{path}: not a proxy ({error}); train one with `stylefx train-proxy`") from error
    if not isinstance(description, dict) or description.get("format") != FORMAT or description.get("version") != VERSION:
        raise UserError(f"{path}: its JSON is not of format {FORMAT} {VERSION}; train it again with this version")
    return description


def load_proxy(path: str | Path) -> Proxy:
    """Read what ``save_proxy`` wrote; UserError where it is missing, damaged or something else."""
    path = Path(path).with_suffix(".safetensors")
    description = read_card(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: not a proxy ({error}); train one with `stylefx train-proxy`") from error
    if hashlib.sha256(data).hexdigest() != description.get("sha256"):
        raise UserError(f"{path}: the weights are not the ones that were saved (sha256 differs); copy the file again")
    proxy = Proxy(EffectChain.from_dict(description["chain"]), description["sample_rate"], description["network"])
    try:
        proxy.load_state_dict(load_file(path))
    except (SafetensorError, RuntimeError) as error:
        raise UserError(f"{path}: the weights do not fit the description: {error}") from error
    return proxy.requires_grad_(False).eval()
