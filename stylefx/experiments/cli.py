"""`stylefx train-proxy` and `stylefx compare-strategies`."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from stylefx.command_line import json_option, out_option, overwrite_option, say, show_json
from stylefx.errors import Interrupted, UserError
from stylefx.files.atomic import check_free
from stylefx.logs import logged

if TYPE_CHECKING:
    from stylefx.effects.chain import EffectChain


def _chain(spec: str, ranges: str) -> EffectChain:
    """``parametric_eq``, ``compressor+expander``, or the path of a chain's JSON/YAML file."""
    from stylefx.effects.chain import EffectChain
    from stylefx.effects.files import load_chain
    from stylefx.effects.registry import make_effect

    if Path(spec).suffix in (".json", ".yaml", ".yml"):
        return load_chain(spec)
    names = spec.split("+")
    return EffectChain.of(*(make_effect(n, **({"ranges": ranges} if n == "parametric_eq" else {})) for n in names))


@click.command("train-proxy", context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.argument("effect")
@click.argument("recordings", type=click.Path(exists=True, path_type=Path))
@out_option("Weights (.safetensors); a JSON comes beside.", required=True, type=click.Path(path_type=Path))
@overwrite_option()
@json_option("Print the record of the training as JSON.")
@click.option("--ranges", default="deepafx-st", help="Ranges of parametric_eq.")
@click.option("--sample-rate", default=24000.0, help="Rate in Hz; the proxy is good for this one only.")
@click.option("--steps", default=20000, type=click.IntRange(1))
@click.option("--time-limit", default=None, type=click.FloatRange(0, min_open=True), help="Minutes; ends before the steps do.")
@click.option("--batch", default=8, type=click.IntRange(1))
@click.option("--frames", default=65536, type=click.IntRange(1024), help="Length of a training cut in samples.")
@click.option("--learning-rate", default=1e-3, type=click.FloatRange(0, min_open=True), help="The highest; it falls to zero.")
@click.option("--width", default=64, type=click.IntRange(1), help="Channels of the network; 16 is what a CPU trains.")
@click.option(
    "--start",
    default="identity",
    type=click.Choice(["identity", "filterbank"]),
    help="First weights; filterbank lays out bands and is for equalisers.",
)
@click.option("--max-minutes", default=60.0, type=click.FloatRange(0, min_open=True), help="Recordings kept in memory.")
@click.option("--seed", default=0, type=click.IntRange(0))
@click.option("--device", default=None, help="cpu or cuda; default: cuda where there is one.")
def train_proxy(
    effect: str,
    recordings: Path,
    out: Path,
    ranges: str,
    width: int,
    max_minutes: float,
    device: str | None,
    overwrite: bool,
    as_json: bool,
    **options: Any,
) -> None:
    """Train a neural proxy of EFFECT on RECORDINGS (a folder, or a corpus: its inputs).

    EFFECT is a name (parametric_eq, compressor, ...), several joined by + (one proxy of all), or a chain file.
    Ctrl-C stops after the step and saves what was learned.
    """
    import torch

    from stylefx.experiments.proxy_training import ProxyTraining
    from stylefx.experiments.proxy_training import train_proxy as run
    from stylefx.experiments.recordings import load_recordings
    from stylefx.progress import step_progress
    from stylefx.strategies.proxy import save_proxy
    from stylefx.training.processes.interrupt import StopRequest

    for file in (out, out.with_suffix(".json")):
        check_free(file, overwrite)
    chain = _chain(effect, ranges)
    training = ProxyTraining(minutes=options.pop("time_limit"), **options)
    data = load_recordings(recordings, training.sample_rate, training.frames, max_minutes, training.seed)
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    permille = training.minutes is not None  # how many steps the time is enough for is not known
    with StopRequest() as stop, step_progress(f"proxy of {effect}", 1000 if permille else training.steps) as report:

        def on_step(step: int, loss: float, progress: float) -> None:
            report(int(min(progress, 1.0) * 1000) if permille else step, step=step, loss=loss)

        proxy, record = run(chain, data, training, {"width": width}, device, on_step, lambda: bool(stop))
    save_proxy(proxy, out, {**record, "recordings": str(recordings)})
    show_json({"proxy": str(out), **record}) if as_json else say(_proxy_line(out, record))
    if stop.signal_number is not None:
        text = f"stopped after step {record['steps']} of {training.steps}; {out} holds what was learned until then"
        raise Interrupted(text, stop.signal_number)


def _proxy_line(out: Path, record: dict[str, Any]) -> str:
    error = record["held_out"]
    return (
        f"{out}: held-out recordings, random settings: MR-STFT {error['mr_stft']:.3f} (unprocessed input "
        f"{error['input_mr_stft']:.3f}), {error['relative_rms_db']:.1f} dB relative error "
        f"(input {error['input_relative_rms_db']:.1f} dB), {record['steps']} steps, {record['seconds']:.0f} s"
    )


@click.command("compare-strategies", context_settings={"help_option_names": ["-h", "--help"], "show_default": True})
@click.argument("corpus", type=click.Path(exists=True, path_type=Path))
@out_option("Folder for the JSON, the table and the picture.", required=True, type=click.Path(path_type=Path))
@json_option("Print the figures as JSON.")
@click.option("--strategies", default="ad,spsa,ctcn1", help="Comma-separated; np, np-hh, np-fh need --proxy.")
@click.option("--proxy", "proxies", multiple=True, type=click.Path(path_type=Path), help="One per effect of the chain, in order.")
@click.option("--steps", default=200, type=click.IntRange(2))
@click.option("--batch", default=4, type=click.IntRange(1))
@click.option("--frames", default=32768, type=click.IntRange(2048))
@click.option("--items", default=32, type=click.IntRange(1), help="Held-out samples for the quality.")
@click.option("--learning-rate", default=1e-3, help="SPSA uses a tenth of it, as in the paper.")
@click.option("--encoder", default="tiny")
@click.option("--width", default=64, type=click.IntRange(1), help="Channels of ctcn1 and ctcn2.")
@click.option(
    "--clock", default="wall", type=click.Choice(["wall", "cpu"]), help="Seconds: of the wall, or of the processor, all threads."
)
@click.option("--seed", default=0, type=click.IntRange(0))
@click.option("--device", default="cpu")
def compare_strategies(
    corpus: Path, out: Path, strategies: str, proxies: tuple[Path, ...], as_json: bool, **options: Any
) -> None:
    """Measure differentiation strategies side by side on CORPUS.

    Per strategy: cosine of its gradient with autodiff's, seconds per step, memory, and the held-out MR-STFT (as a share of the
    unprocessed input's) after equal steps and after equal seconds. After Ctrl-C the same command continues.
    """
    from stylefx.experiments.compare import compare
    from stylefx.experiments.measure import Comparison

    names = [n.strip() for n in strategies.split(",") if n.strip()]
    if any(n.startswith("np") for n in names) and not proxies:
        raise UserError("np, np-hh and np-fh need trained proxies: add --proxy EQ --proxy COMPRESSOR (`stylefx train-proxy`)")
    comparison = Comparison(corpus=str(corpus), proxies=tuple(str(p) for p in proxies), **options)
    text = compare(names, comparison, out, echo=logged(partial(say, err=True)))
    show_json(json.loads((out / "comparison.json").read_text(encoding="utf-8"))) if as_json else say(text)
